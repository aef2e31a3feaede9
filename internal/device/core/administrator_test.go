package core_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
)

// changing is an adapter that reads an account as another program has left it.
type changing struct {
	setting.Adapter
	by *atomic.Pointer[func(*nas.Account)]
}

func (c changing) Read(ctx context.Context, s *nas.Settings) error {
	err := c.Adapter.Read(ctx, s)
	for i := range s.Accounts {
		if change := c.by.Load(); change != nil && s.Accounts[i].Name == "anna" {
			(*change)(&s.Accounts[i])
		}
	}
	return err
}

// X15: an account that is no administrator any more, or is disabled, is worth
// nothing from then on: not in a conversation that was begun before, not with its
// owner key, and not in a plan that was shown before.
func TestWhoIsNoAdministratorAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var by atomic.Pointer[func(*nas.Account)]
		d := start(t, func(all []setting.Adapter) []setting.Adapter {
			for i, a := range all { // more than one of them reads accounts
				all[i] = changing{a, &by}
			}
			return all
		})
		key := newKey(t)
		d.resetAs(key, ofAnna(), newPassword)
		byPassword, byKey := d.anna(newPassword), d.converse()
		_, err := byKey.byKey(key)
		must(t, err)
		for name, change := range map[string]func(*nas.Account){
			"no administrator": func(a *nas.Account) { a.Administrator = false },
			"disabled":         func(a *nas.Account) { a.Enabled = false },
		} {
			by.Store(&change)
			for how, o := range map[string]*owner{"the password": byPassword, "the key": byKey} {
				if err := o.speaks(); problem(err) != "not_administrator" {
					t.Errorf("%s, begun by %s: %v", name, how, err)
				}
			}
			if _, err := d.converse().byKey(key); problem(err) != "owner_unknown" {
				t.Errorf("%s, with the owner key: %v", name, err)
			}
			by.Store(nil)
			must(t, byKey.speaks())
		}

		a := d.present()
		var plan deviceapi.PlanReply
		must(t, a.call(deviceapi.KindPlan, ofAnna(), &plan))
		change := func(a *nas.Account) { a.Administrator = false }
		by.Store(&change)
		commit := deviceapi.CommitCall{PlanHash: plan.Hash, Administrator: "anna", NewPassword: secret(oldPassword)}
		if err := a.call(deviceapi.KindCommit, commit, &deviceapi.CommitReply{}); problem(err) != "unknown_administrator" {
			t.Errorf("a plan of before: %v", err)
		}
		if !d.accepts("anna", newPassword) {
			t.Error("it was carried out")
		}
	})
}

// checking is an Accounts in which something happens while a password is checked.
type checking struct {
	core.Accounts
	core.Marker
	during func()
}

func (c *checking) Check(ctx context.Context, user string, p access.Secret) (bool, error) {
	ok, err := c.Accounts.Check(ctx, user, p)
	if during := c.during; during != nil {
		c.during = nil
		during()
	}
	return ok, err
}

// X15 X24: a password that is replaced while it is checked opens nothing, and is
// no proof that its account can sign in.
func TestPasswordReplacedWhileItIsChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		var slow *checking
		d.accounts = func(a core.Accounts) core.Accounts {
			slow = &checking{Accounts: a, Marker: a.(core.Marker)}
			return slow
		}
		d.stop()
		d.boot(nil)
		root := d.console()
		reset := func(user, password string) {
			_, err := root.Reset(context.Background(), corewire.ResetRequest{Scope: reset.Credentials, Administrator: user, Password: secret(password)})
			must(t, err)
		}
		slow.during = func() { reset("anna", newPassword) }
		if _, err := d.converse().byPassword("anna", oldPassword); problem(err) != "no_such_session" {
			t.Errorf("the password of before: %v", err)
		}
		reset("root", "another one for root 7")
		slow.during = func() { must(t, d.store.SetPassword("anna", secret("set behind our back 99"))) }
		_, err := d.converse().byPassword("anna", newPassword)
		must(t, err)
		for _, a := range d.as("root", "another one for root 7").accounts() {
			if a.SignedIn != (a.Name == "root") {
				t.Errorf("%s has signed in with the password of now: %v", a.Name, a.SignedIn)
			}
		}
	})
}

// X24: where nobody can tell one password from the next, nobody is known to have
// signed in, and the built-in administrator stays.
func TestNobodyIsKnownToSignInWithoutMarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.accounts = func(a core.Accounts) core.Accounts { return struct{ core.Accounts }{a} }
		d.stop()
		d.boot(nil)
		if _, err := d.as("anna", oldPassword).change("root", reset.SwitchOff, ""); problem(err) != "no_proved_way_in" && problem(err) != "account_is_so" {
			t.Errorf("%v", err)
		}
		for _, a := range d.as("anna", oldPassword).accounts() {
			if a.SignedIn {
				t.Errorf("%s is known to have signed in", a.Name)
			}
		}
	})
}

// X19: a recovery code is counted on disk before it is looked at. Where it cannot
// be, the right one opens nothing, and is not spent.
func TestRecoveryCodesAreCountedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.reboot(access.ButtonSecondProof)
		given, err := d.console().GiveCodes(context.Background(), corewire.CodesRequest{Administrator: "anna"})
		must(t, err)
		a := d.present()
		for range 3 {
			if _, err := a.resetWith(ofAnna(), newPassword, "7k2m-9qxw-b4tna"); problem(err) != "second_proof_wrong" {
				t.Errorf("a wrong code: %v", err)
			}
		}
		file := filepath.Join(d.dir, "state", "attempts.json")
		raw, err := os.ReadFile(file)
		must(t, err)
		var counted struct{ Codes int }
		if err := json.Unmarshal(raw, &counted); err != nil || counted.Codes != 3 {
			t.Errorf("%d codes are counted, not 3 (%v)", counted.Codes, err)
		}
		must(t, os.Remove(file))
		must(t, os.Mkdir(file, 0o700)) // it cannot be written now
		if _, err := a.resetWith(ofAnna(), newPassword, given.Codes[0]); err == nil {
			t.Error("a code that could not be counted is taken")
		}
		var status core.Status
		must(t, d.console().Read(context.Background(), corewire.ReadStatus, &status))
		if status.RecoveryCodes["anna"] != 10 || !d.accepts("anna", oldPassword) {
			t.Errorf("%d codes are left of 10, or the password was set", status.RecoveryCodes["anna"])
		}
	})
}

// What is kept of recovery codes is worth nothing without the key beside it.
func TestRecoveryCodesAreKeyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.reboot(access.ButtonSecondProof)
		given, err := d.console().GiveCodes(context.Background(), corewire.CodesRequest{Administrator: "anna"})
		must(t, err)
		d.stop()
		file := filepath.Join(d.dir, "state", "codes.key")
		key, err := os.ReadFile(file)
		must(t, err)
		other := make([]byte, len(key))
		_, _ = rand.Read(other)
		must(t, os.WriteFile(file, other, 0o600))
		d.boot(nil)
		a := d.present()
		if _, err := a.resetWith(ofAnna(), newPassword, given.Codes[0]); problem(err) != "second_proof_wrong" {
			t.Errorf("under another key: %v", err)
		}
	})
}
