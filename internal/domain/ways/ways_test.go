package ways_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/triage"
	"github.com/paperclip-nas/paperclip/internal/domain/ways"
)

func situation(name, version string, cause triage.CauseID) ways.Situation {
	m, _ := catalog.ModelNamed(name)
	return ways.Situation{Model: m, Version: version, Cause: cause}
}

func order(all []ways.Way) []ways.ID {
	var out []ways.ID
	for _, w := range all {
		out = append(out, w.ID)
	}
	return out
}

// C3: every cause but "you are in" has a way, for each vendor and firmware; each
// way says all it must, and rests on facts that hold for that firmware and that
// vendor alone.
func TestEveryCauseHasAWay(t *testing.T) {
	for _, device := range []struct{ model, version string }{{"DS920+", "7.2"}, {"DS212", "6.2.3"}, {"DS415+", ""}, {"TS-453D", "5.2.1"}, {"TS-453D", "5.1.9"}, {"TS-251", "4.3.3"}} {
		for _, c := range triage.Causes() {
			s := situation(device.model, device.version, c.ID)
			all := ways.For(s)
			if len(all) == 0 && c.ID != triage.NoneSignedIn {
				t.Errorf("%s %s: no way against %s", device.model, device.version, c.ID)
			}
			for _, w := range all {
				if w.Text == "" || w.Takes == "" || len(w.Keeps) == 0 || w.Changes == nil || w.Lost == nil || w.Needs == nil || w.By == "" {
					t.Errorf("%s for %s is incomplete: %+v", w.ID, c.ID, w)
				}
				for _, id := range w.Facts {
					f, ok := catalog.FactNamed(id)
					if !ok || !f.Applies(s.Version) {
						t.Errorf("%s rests on %s, which does not hold for %s", w.ID, id, device.version)
					}
					if own := strings.ToLower(s.Model.Vendor) + "."; !strings.HasPrefix(string(id), own) {
						t.Errorf("%s of %s rests on %s", w.ID, s.Model.Vendor, id)
					}
				}
			}
		}
	}
}

// The order of design.md: what changes nothing first, the button after
// everything else, and never the longer hold before the shorter.
func TestLeastFirst(t *testing.T) {
	got := order(ways.For(situation("DS920+", "7.2", triage.PasswordForgotten)))
	want := []ways.ID{ways.SavedPassword, ways.Approval, ways.OtherAdministrator, ways.ForgotMail, ways.SSH, ways.Reset1, ways.Reset2}
	if !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	got = order(ways.For(situation("TS-453D", "5.2.0", triage.PasswordForgotten)))
	want = []ways.ID{ways.SavedPassword, ways.OtherAdministrator, ways.ForgotMail, ways.SSH, ways.Reset1, ways.Reset2}
	if !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	for _, c := range triage.Causes() {
		for _, name := range []string{"DS920+", "TS-453D"} {
			all := order(ways.For(situation(name, "", c.ID)))
			one, two := slices.Index(all, ways.Reset1), slices.Index(all, ways.Reset2)
			if two >= 0 && one > two && c.ID != triage.BlankKeepPassword {
				t.Errorf("%s %s: %v", name, c.ID, all)
			}
			if one >= 0 && one < slices.Index(all, ways.OtherAdministrator) {
				t.Errorf("%s %s: the button comes before another administrator: %v", name, c.ID, all)
			}
		}
	}
}

// Nobody is sent to the button for what is no lost password (R10), nor with a
// NAS that is not ready or whose drives are gone.
func TestNoButtonWhereItDoesNotHelp(t *testing.T) {
	for _, c := range []triage.CauseID{triage.AddressBlocked, triage.AccountLocked, triage.OldPasswordApp, triage.NotReady, triage.DrivesMissing, triage.ConfigurationLost, triage.CodeMissing, triage.PasswordExpired} {
		for _, name := range []string{"DS920+", "TS-453D"} {
			if all := order(ways.For(situation(name, "", c))); slices.Contains(all, ways.Reset1) || slices.Contains(all, ways.Reset2) {
				t.Errorf("%s, %s: %v", name, c, all)
			}
		}
	}
}

// D9: with the keep-password option on, Mode 1 is said to be useless before it
// is pressed, and the way that is left is last.
func TestKeepPassword(t *testing.T) {
	yes, none := true, 0
	s := situation("DS920+", "7.2", triage.PasswordForgotten)
	s.Known = ways.Known{KeepPassword: &yes, OtherAdmins: &none}
	w, ok := ways.Named(s, ways.Reset1)
	if !ok || !strings.Contains(w.Useless, "keeps the password") {
		t.Errorf("%+v", w)
	}
	if w, _ := ways.Named(s, ways.OtherAdministrator); w.Useless == "" {
		t.Error("an administrator who is not there")
	}
	if w, _ := ways.Named(situation("DS920+", "7.2", triage.BlankKeepPassword), ways.Reset1); w.Useless == "" {
		t.Error("the same press again")
	}
	s.Cause = triage.NetworkFailed
	if w, _ := ways.Named(s, ways.Reset1); w.Useless != "" {
		t.Error("the network is reset all the same (D13)")
	}
	if w, _ := ways.Named(situation("RX415", "", triage.PasswordForgotten), ways.Reset1); !strings.Contains(w.Useless, "expansion") {
		t.Error("an expansion unit has no button of use")
	}
}

// D10: ten seconds are never recommended, and the warning is where the hold is.
func TestTenSecondsAreWarnedOf(t *testing.T) {
	s := situation("TS-453D", "5.1.9", triage.PasswordForgotten)
	if w, _ := ways.Named(s, ways.Reset1); !strings.Contains(w.Warning, "first beep") || !slices.Contains(w.Facts, "qnap.wrong.ten_seconds") {
		t.Errorf("%+v", w)
	}
	if w, _ := ways.Named(s, ways.Reset2); w.Useless == "" {
		t.Error("ten seconds are offered")
	}
}

// What cannot be known is said before the press.
func TestBeforehand(t *testing.T) {
	s := situation("DS920+", "7.2", triage.PasswordForgotten)
	if words := strings.Join(ways.Beforehand(s), "\n"); !strings.Contains(words, "firewall rules") || !strings.Contains(words, "machine key") || !strings.Contains(words, "save this first") {
		t.Error(words)
	}
	s.Known.Settings = ways.FromSnapshot
	if words := ways.Beforehand(s); words != nil {
		t.Errorf("%q", words)
	}
}
