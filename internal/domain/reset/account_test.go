package reset_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// X24: over any run of resets and account actions that are let through, an
// administrator has a way in: one whose password is known to work, because it
// was really signed in with, or has just been set.
func TestAWayInRemains(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"root", "admin", "anna", "ben"}
		var s nas.Settings
		for _, n := range names {
			s.Accounts = append(s.Accounts, nas.Account{Name: n, Administrator: n != "ben", BuiltIn: n == "root" || n == "admin", Enabled: rapid.Bool().Draw(t, n)})
		}
		working := map[string]bool{} // who really knows a password that opens the account
		for _, a := range s.Administrators() {
			if a.Enabled && rapid.Bool().Draw(t, a.Name+" knows the password") {
				working[a.Name] = true
			}
		}
		covered := reset.Coverage{nas.E1: {Present: true}, nas.H3: {Present: true}}
		signedIn := map[string]bool{}
		wayIn := func() bool {
			return slices.ContainsFunc(s.Administrators(), func(a nas.Account) bool { return a.Enabled && working[a.Name] })
		}
		had := wayIn()
		for range rapid.IntRange(1, 30).Draw(t, "operations") {
			who := rapid.SampledFrom([]string{"root", "admin", "anna"}).Draw(t, "who")
			a, _ := s.Account(who)
			switch op := rapid.SampledFrom([]string{"sign in", "soft", "hard", "password", "disable", "enable"}).Draw(t, "operation"); op {
			case "sign in":
				signedIn[who] = signedIn[who] || a.Enabled && working[who]
			case "soft", "hard":
				r := reset.Request{Mode: reset.Soft, Scope: reset.Credentials, Administrator: who}
				if op == "hard" {
					r = reset.Request{Mode: reset.Hard, Administrator: who}
				}
				if !reset.WayIn(r, s, covered) {
					continue
				}
				for _, e := range r.Effects() {
					if covered[e].Present {
						s = reset.Apply(e, s, who)
					}
				}
				working[who], signedIn[who] = true, false
			default:
				action := reset.Scope(op)
				var proved []string
				for n := range signedIn {
					if signedIn[n] {
						proved = append(proved, n)
					}
				}
				if !reset.MayAct(action, s, who, proved) {
					continue
				}
				s = reset.ApplyAccount(action, s, who)
				if action == reset.SetPassword {
					working[who], signedIn[who] = true, false
				}
			}
			if had = had || wayIn(); had && !wayIn() {
				t.Fatalf("nobody has a way in any more: %+v", s.Accounts)
			}
		}
	})
}

// R4: what an action does, and what it says that it does.
func TestAccountActions(t *testing.T) {
	s := nas.Settings{Accounts: []nas.Account{{Name: "anna", Administrator: true, Enabled: true}, {Name: "admin", Administrator: true, BuiltIn: true, Enabled: true}}}
	for _, action := range reset.AccountActions() {
		after := reset.ApplyAccount(action, s, "admin")
		a, _ := after.Account("admin")
		if other, _ := after.Account("anna"); other != s.Accounts[0] {
			t.Errorf("%s touches another account", action)
		}
		if a.Enabled != (action != reset.SwitchOff) || (a.PasswordChanges == 1) != reset.SetsPassword(reset.Account, action) {
			t.Errorf("%s: %+v", action, a)
		}
		p := reset.BuildAccount("cellar", action, "admin", s)
		if len(p.Changes) != 1 || p.Changes[0].ID != nas.E1 || p.Mode != reset.Account || p.Administrator != "admin" {
			t.Errorf("%s: %+v", action, p)
		}
		if got := (reset.Request{Mode: reset.Account, Scope: action}).Effects(); len(got) != 1 || got[0] != nas.E1 {
			t.Errorf("%s changes %v", action, got)
		}
	}
	if reset.MayAct(reset.SwitchOff, s, "admin", []string{"admin", "ben"}) || !reset.MayAct(reset.SwitchOff, s, "admin", []string{"anna"}) {
		t.Error("switching off counts on somebody who cannot sign in, or not on who can")
	}
	if _, err := reset.ParseMode(string(reset.Account)); err == nil {
		t.Error("it can be chosen as a reset's mode")
	}
}
