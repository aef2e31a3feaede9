package core_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
)

// X19: what cannot be counted on disk is not tried: neither the code that was
// said, nor the one on the label, nor a password, right as they may be.
func TestWhatCannotBeCountedIsNotTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		label := d.label(corewire.LabelNew)
		d.press(4200 * time.Millisecond)
		said := d.hear()
		a, err := d.enter()
		must(t, err)
		file := filepath.Join(d.dir, "state", "attempts.json")
		counters, err := os.ReadFile(file)
		must(t, err)
		must(t, os.Remove(file))
		must(t, os.Mkdir(file, 0o700)) // it cannot be written now
		if err := a.try(said); err == nil {
			t.Error("the code that was said proves presence")
		}
		if err := a.try(label); err == nil {
			t.Error("the label's code proves presence")
		}
		if _, err := d.converse().byPassword("anna", oldPassword); err == nil {
			t.Error("the password opens a conversation")
		}
		if _, err := d.front.SignIn(context.Background(), corewire.SignInRequest{Source: d.source, User: "anna", Password: secret(oldPassword)}); err == nil {
			t.Error("the password signs in")
		}

		must(t, os.Remove(file))
		must(t, os.WriteFile(file, counters, 0o600))
		must(t, a.try(said))
	})
}

// X19: nor is a recovery code, which is then as good as before.
func TestACodeThatCannotBeCountedIsNotTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.reboot(access.ButtonSecondProof)
		given, err := d.console().GiveCodes(context.Background(), corewire.CodesRequest{Administrator: "anna"})
		must(t, err)
		a := d.present()
		file := filepath.Join(d.dir, "state", "attempts.json")
		counters, err := os.ReadFile(file)
		must(t, err)
		must(t, os.Remove(file))
		must(t, os.Mkdir(file, 0o700)) // it cannot be written now
		if _, err := a.resetWith(ofAnna(), newPassword, given.Codes[0]); err == nil || !d.accepts("anna", oldPassword) {
			t.Errorf("the code resets: %v", err)
		}
		must(t, os.Remove(file))
		must(t, os.WriteFile(file, counters, 0o600))
		if p, err := a.resetWith(ofAnna(), newPassword, given.Codes[0]); err != nil || p.State != "committed" {
			t.Errorf("the code is spent: %v %+v", err, p)
		}
	})
}

// X19: pulling the plug wins nobody another guess: the claim is closed, a code of
// before is worth nothing, and what was counted goes on from where it was.
func TestRestartWinsNoGuess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.press(4200 * time.Millisecond)
		code := d.hear()
		wrong := code
		wrong[0] = wrong[0]%6 + 1
		a, err := d.enter()
		must(t, err)
		for range 3 {
			if err := a.try(wrong); problem(err) != "wrong_code" {
				t.Fatal(err)
			}
		}
		_, err = d.converse().byPassword("anna", "a guess")
		if problem(err) != "sign_in_failed" {
			t.Fatal(err)
		}
		d.stop()
		d.boot(nil)
		if _, err := d.enter(); problem(err) != "claim_closed" {
			t.Errorf("after a restart the claim is open: %v", err)
		}
		if err := a.try(code); err == nil {
			t.Error("a session of before goes on")
		}
		d.press(4200 * time.Millisecond)
		d.hear()
		if a, err = d.enter(); err != nil {
			t.Fatal(err)
		}
		if err := a.try(wrong); problem(err) != "wrong_code" {
			t.Fatal(err)
		}
		var status core.Status
		must(t, d.console().Read(context.Background(), corewire.ReadStatus, &status))
		raw, err := os.ReadFile(filepath.Join(d.dir, "state", "attempts.json"))
		must(t, err)
		if status.Tries != 4 || status.Claims != 2 || signIns(t, raw) != 1 {
			t.Errorf("%d tries in %d claims and %d sign-ins are counted, not 4, 2 and 1", status.Tries, status.Claims, signIns(t, raw))
		}
		if !strings.Contains(string(raw), `"tries_in_claim":1`) {
			t.Errorf("of the last claim it says %s", raw)
		}
	})
}

// Counters, codes and what is left to set up that cannot be understood are not
// taken for forgotten: core does not start.
func TestDamagedStateKeepsCoreFromStarting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		_, err := d.console().GiveCodes(context.Background(), corewire.CodesRequest{Administrator: "anna"})
		must(t, err)
		d.press(4200 * time.Millisecond)
		d.stop()
		state := filepath.Join(d.dir, "state")
		for file, bad := range map[string][]string{
			"attempts.json": {"", "{", `{"version":2}`, `{"version":1,"more":1}`},
			"codes.json":    {"", "{", `{"version":2,"users":{}}`},
			"codes.key":     {"", "short"},
			"label.json":    {"{", `{"version":2}`},
			"setup.json":    {"", "{", `{"version":2}`},
			"owners.json":   {"", `{"version":2}`, `{"version":1,"owners":[{"id":"x","public_key":"AA=="}]}`},
			"identity.key":  {"", "short"},
		} {
			path := filepath.Join(state, file)
			was, readErr := os.ReadFile(path)
			for _, text := range bad {
				must(t, os.WriteFile(path, []byte(text), 0o600))
				if _, err := core.New(d.config(nil)); err == nil {
					t.Errorf("it starts with %q in %s", text, file)
				}
			}
			if must(t, os.Remove(path)); readErr == nil {
				must(t, os.WriteFile(path, was, 0o600))
			}
		}
		must(t, os.Remove(filepath.Join(state, "codes.key")))
		if _, err := core.New(d.config(nil)); err == nil {
			t.Error("it starts with codes and without their key")
		}
	})
}

// H1: what cannot be kept for the way back is not set back: without its bundle no
// hard reset is accepted.
func TestNoHardResetWithoutItsBundle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		must(t, os.WriteFile(filepath.Join(d.dir, "state", "bundles"), nil, 0o600)) // where its folder would be
		before := d.words()
		if _, err := d.presentHard().reset(hard(t), newPassword); problem(err) != "preflight_failed" || d.words() != before || !d.accepts("anna", oldPassword) {
			t.Errorf("it is carried out: %v", err)
		}
	})
}
