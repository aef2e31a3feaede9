package core_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/receipt"
)

// asAnna is an administrator who has signed in with a password.
func (d *device) as(account, password string) *owner {
	d.t.Helper()
	o := d.converse()
	_, err := o.byPassword(account, password)
	must(d.t, err)
	return o
}

func (o *owner) change(account string, action reset.Scope, password string) (deviceapi.ProgressReply, error) {
	o.d.t.Helper()
	var r deviceapi.AccountReply
	if err := o.call(deviceapi.OwnerAccount, deviceapi.AccountCall{Account: account, Action: action, NewPassword: access.NewSecret(password)}, &r); err != nil {
		return deviceapi.ProgressReply{}, err
	}
	return o.follow(r.Transaction), nil
}

func (o *owner) accounts() []deviceapi.AccountInfo {
	o.d.t.Helper()
	var r deviceapi.AccountsReply
	must(o.d.t, o.call(deviceapi.OwnerAccounts, deviceapi.Empty{}, &r))
	return r.Accounts
}

// R2 R3: an administrator sets their own password and another's, by the journal,
// with a receipt; the rules for passwords apply, and old passwords stop working.
func TestAdministratorsSetPasswords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		anna := d.as("anna", oldPassword)
		if _, err := anna.change("anna", reset.SetPassword, "short"); problem(err) != "password_short" {
			t.Errorf("a short one: %v", err)
		}
		if _, err := anna.change("ben", reset.SetPassword, newPassword); problem(err) != "unknown_administrator" {
			t.Errorf("somebody who is no administrator: %v", err)
		}
		p, err := anna.change("root", reset.SetPassword, "another one for root 7")
		if err != nil || p.State != "committed" || !d.accepts("root", "another one for root 7") || !d.accepts("anna", oldPassword) {
			t.Fatalf("another's: %v %+v", err, p)
		}
		p, err = anna.change("anna", reset.SetPassword, newPassword)
		if err != nil || p.State != "committed" || !d.accepts("anna", newPassword) || d.accepts("anna", oldPassword) {
			t.Fatalf("their own: %v %+v", err, p)
		}
		_, s, err := receipt.Verify(p.Receipt)
		if err != nil || s.Mode != "account" || s.Scope != "password" || s.Administrator != "anna" || len(s.Changes) != 1 {
			t.Errorf("the receipt: %v %+v", err, s)
		}
		if strings.Contains(d.log.String(), newPassword) {
			t.Error("a password is in the log")
		}
		if n := d.about().Notices; len(n) != 2 || n[0].ID != "notice_account" {
			t.Errorf("told: %+v", n)
		}
	})
}

// R4, X24: the built-in administrator is switched off only once another has
// really signed in, with the password that they have now.
func TestBuiltInIsSwitchedOffWhenAnotherHasSignedIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		anna := d.as("anna", oldPassword)
		const rootPassword = "another one for root 7"
		_, err := anna.change("root", reset.SetPassword, rootPassword)
		must(t, err)
		if _, err := anna.change("anna", reset.SwitchOff, ""); problem(err) != "no_proved_way_in" {
			t.Errorf("root has never signed in, and anna switches herself off: %v", err)
		}
		root := d.as("root", rootPassword)
		d.stop()
		d.boot(nil) // what is known is known after a restart
		if list := d.as("anna", oldPassword).accounts(); !slices.ContainsFunc(list, func(a deviceapi.AccountInfo) bool { return a.Name == "root" && a.SignedIn && !a.You }) {
			t.Errorf("%+v", list)
		}
		_ = root
		must(t, d.store.SetPassword("anna", access.NewSecret("set behind our back 99"))) // by another program
		root = d.as("root", rootPassword)
		if _, err := root.change("root", reset.SwitchOff, ""); problem(err) != "no_proved_way_in" {
			t.Errorf("anna has not signed in with the password of now: %v", err)
		}
		anna = d.as("anna", "set behind our back 99")
		p, err := anna.change("root", reset.SwitchOff, "")
		if err != nil || p.State != "committed" || d.accepts("root", rootPassword) {
			t.Fatalf("%v %+v", err, p)
		}
		for action, want := range map[reset.Scope]string{reset.SwitchOff: "account_is_so", "delete": "bad_message"} {
			if _, err := anna.change("root", action, ""); string(problem(err)) != want {
				t.Errorf("%s: %v", action, err)
			}
		}
		if err := root.call(deviceapi.OwnerAccounts, deviceapi.Empty{}, &struct{}{}); problem(err) != "no_such_session" {
			t.Errorf("root's conversation goes on after root was switched off: %v", err)
		}
		if _, err := anna.change("anna", reset.SwitchOff, ""); problem(err) != "no_proved_way_in" {
			t.Errorf("the last one switches herself off: %v", err)
		}
		p, err = anna.change("root", reset.SwitchOn, "")
		if err != nil || p.State != "committed" || !d.accepts("root", rootPassword) {
			t.Errorf("on again: %v %+v", err, p)
		}
	})
}

// X15: a new password ends what was opened with the one of before: sessions, and
// the keys that were enrolled, but for the one that asked for it.
func TestPasswordEndsKeysOfBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		key := newKey(t)
		d.resetAs(key, ofAnna(), newPassword)
		o := d.converse()
		_, err := o.byKey(key)
		must(t, err)
		_, err = o.change("anna", reset.SetPassword, oldPassword)
		must(t, err)
		if as, err := d.converse().byKey(key); err != nil || as.Account != "anna" {
			t.Errorf("the key that asked: %v %+v", err, as)
		}
		anna := d.as("anna", oldPassword)
		_, err = anna.change("root", reset.SetPassword, "another one for root 7")
		must(t, err)
		_, err = d.as("root", "another one for root 7").change("anna", reset.SetPassword, newPassword)
		must(t, err)
		if _, err := d.converse().byKey(key); problem(err) != "owner_unknown" {
			t.Errorf("another administrator's new password leaves the key: %v", err)
		}
		again := newKey(t)
		time.Sleep(time.Minute)
		d.resetAs(again, ofAnna(), oldPassword)
		_, err = d.console().Reset(context.Background(), corewire.ResetRequest{Scope: reset.Credentials, Administrator: "anna", Password: access.NewSecret(newPassword)})
		must(t, err)
		if _, err := d.converse().byKey(again); problem(err) != "owner_unknown" {
			t.Errorf("root's new password leaves the key: %v", err)
		}
	})
}
