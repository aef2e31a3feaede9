package core_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
)

func (d *device) label(do corewire.LabelAction) access.LabelCode {
	d.t.Helper()
	r, err := d.console().Label(context.Background(), corewire.LabelRequest{Do: do})
	if err != nil {
		d.t.Fatal(err)
	}
	code, err := access.ParseRecoveryCode(r.Code)
	if err != nil && do == corewire.LabelNew {
		d.t.Fatal(err)
	}
	return access.NewLabelCode(code)
}

// tries is how many codes were counted, on disk.
func (d *device) tries() int {
	d.t.Helper()
	raw, err := os.ReadFile(filepath.Join(d.dir, "state", "attempts.json"))
	var n struct {
		Tries int `json:"tries"`
	}
	if err == nil {
		err = json.Unmarshal(raw, &n)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return n.Tries
}

// The code on the label proves presence in a claim that a press opened, where
// nobody hears the beeps (design.md, "Claim"); without a press it opens nothing.
func TestLabelProvesPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		code := d.label(corewire.LabelNew)
		if _, err := d.enter(); problem(err) != "claim_closed" {
			t.Errorf("without a press: %v", err)
		}
		d.press(4200 * time.Millisecond)
		if !d.about().Claim.Label {
			t.Error("nobody is told that the label's code will do")
		}
		a, err := d.enter()
		if err != nil {
			t.Fatal(err)
		}
		before := d.tries()
		if err := a.try(access.NewLabelCode(access.NewSecret("7k2m9qxwb4tna"))); problem(err) != "wrong_code" {
			t.Errorf("a wrong code: %v", err)
		}
		if got := d.tries(); got != before+1 {
			t.Errorf("a wrong code of the label was counted %d times", got-before)
		}
		if err := a.try(code); err != nil {
			t.Fatal(err)
		}
		p, err := a.reset(deviceapi.PlanCall{Mode: reset.Soft, Scope: reset.Credentials, Administrator: "anna"}, newPassword)
		if err != nil || p.State != "committed" || !d.accepts("anna", newPassword) {
			t.Errorf("%v %+v", err, p)
		}
	})
}

// Five tries a session and twenty a claim hold for it too, and the kept file
// does not hold the code (X19 X13).
func TestLabelIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		code := d.label(corewire.LabelNew)
		d.press(4200 * time.Millisecond)
		a, err := d.enter()
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if err := a.try(access.NewLabelCode(access.NewSecret("7k2m9qxwb4tna"))); problem(err) != "wrong_code" {
				t.Fatal(err)
			}
		}
		if err := a.try(code); problem(err) != "session_spent" {
			t.Errorf("a sixth try: %v", err)
		}
		kept, err := os.ReadFile(filepath.Join(d.dir, "state", "label.json"))
		if err != nil || strings.Contains(string(kept), "7k2m") {
			t.Error(err)
		}
		if _, there, err := core.HasLabel(d.config(nil).FS, filepath.Join(d.dir, "state")); !there || err != nil {
			t.Error("it is not seen that there is one", err)
		}
	})
}

// Only root makes another; then the one of before is worth nothing, also in an
// exchange that was begun with it. A device without one counts no try for it.
func TestLabelIsRootsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.press(4200 * time.Millisecond)
		a, err := d.enter()
		if err != nil {
			t.Fatal(err)
		}
		before := d.tries()
		if err := a.try(access.NewLabelCode(access.NewSecret("7k2m9qxwb4tna"))); problem(err) != "label_none" || d.tries() != before {
			t.Errorf("a NAS without one: %v", err)
		}
		old := d.label(corewire.LabelNew)
		fresh := d.label(corewire.LabelNew)
		if err := a.try(old); problem(err) != "wrong_code" {
			t.Errorf("the code of before: %v", err)
		}
		d.label(corewire.LabelRemove)
		if err := a.try(fresh); problem(err) != "label_none" {
			t.Errorf("the code that was removed: %v", err)
		}
		if _, err := d.front.Label(context.Background(), corewire.LabelRequest{Do: corewire.LabelNew}); err == nil {
			t.Error("a front is given a code for the label")
		}
	})
}
