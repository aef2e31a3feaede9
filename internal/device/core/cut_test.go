package core_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
)

// cutter is the system's sessions, as a list of whose were ended.
type cutter struct {
	d        *device
	ended    []string
	receipts []int // that there were when it was called
}

func (c *cutter) End(_ context.Context, account string) error {
	c.ended, c.receipts = append(c.ended, account), append(c.receipts, len(c.d.receiptFiles()))
	return nil
}

func (d *device) receiptFiles() []string {
	d.t.Helper()
	files, err := filepath.Glob(filepath.Join(d.dir, "state", "receipts", "*.json"))
	if err != nil {
		d.t.Fatal(err)
	}
	return files
}

// What the administrator had open ends with the commit, before the receipt is
// written; where core ends between the two, it is done at the next start, and
// never later than that (X15).
func TestSessionsEndBeforeTheReceipt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		cut := &cutter{d: d}
		d.sessions = cut
		d.stop()
		d.boot(nil)
		p, err := d.present().reset(deviceapi.PlanCall{Mode: reset.Soft, Scope: reset.Credentials, Administrator: "anna"}, newPassword)
		if err != nil || p.State != "committed" {
			t.Fatalf("%v %+v", err, p)
		}
		if !slices.Equal(cut.ended, []string{"anna"}) || !slices.Equal(cut.receipts, []int{0}) {
			t.Errorf("ended %v, with %v receipts there", cut.ended, cut.receipts)
		}

		d.stop()
		d.boot(nil)
		d.about() // answers when its start is over
		if len(cut.ended) != 1 {
			t.Errorf("a start after the receipt ended sessions: %v", cut.ended)
		}
		d.stop()
		for _, f := range d.receiptFiles() { // as a kill before it leaves it
			if err := os.Remove(f); err != nil {
				t.Fatal(err)
			}
		}
		d.boot(nil)
		d.about()
		if !slices.Equal(cut.ended, []string{"anna", "anna"}) || len(d.receiptFiles()) != 1 {
			t.Errorf("a start before the receipt ended %v, receipts %v", cut.ended, d.receiptFiles())
		}
	})
}

// A hard reset also ends what the accounts that it locks had open: a locked
// password alone leaves whoever is signed in where they are (X15, H3).
func TestHardResetEndsTheSessionsOfLockedAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		cut := &cutter{d: d}
		d.sessions = cut
		d.stop()
		d.boot(nil)
		before := d.store.Running().Settings.Clone().Accounts
		p, err := d.presentHard().reset(hard(t), newPassword)
		if err != nil || p.State != "committed" {
			t.Fatalf("%v %+v", err, p)
		}
		for _, a := range before {
			now, ok := d.store.Running().Settings.Account(a.Name)
			switch ended := slices.Contains(cut.ended, a.Name); {
			case a.Name == "anna" && !ended:
				t.Error("the administrator's sessions of before go on")
			case a.Enabled && ok && !now.Enabled && !ended:
				t.Errorf("%s is locked, and what it had open goes on", a.Name)
			}
		}
		if len(cut.ended) < 2 {
			t.Errorf("only the sessions of %v were ended", cut.ended)
		}
		if slices.ContainsFunc(cut.receipts, func(n int) bool { return n != 0 }) {
			t.Errorf("the receipt was there before: %v", cut.receipts)
		}
	})
}
