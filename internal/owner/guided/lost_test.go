package guided_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/triage"
	"github.com/paperclip-nas/paperclip/internal/domain/ways"
	"github.com/paperclip-nas/paperclip/internal/owner/guided"
	"github.com/paperclip-nas/paperclip/internal/owner/kept"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
	"github.com/paperclip-nas/paperclip/internal/x/scratch"
)

// noted has what this computer noted of the world's NAS when somebody was signed in.
func noted(t *testing.T, cfg guided.Config, w *world, change func(*kept.Record)) {
	t.Helper()
	r := kept.Record{Vendor: w.vendor, Name: "attic", Serial: "S1", MACs: w.found.MACs, MadeAt: time.Unix(1780000000, 0), Settings: w.settings.Clone(), Shares: w.shares}
	if change != nil {
		change(&r)
	}
	if err := cfg.Known.Keep(r); err != nil {
		t.Fatal(err)
	}
}

// R6: what was read while somebody was signed in is the plan of a later reset, and
// what is put back: what was off before stays off.
func TestFromWhatWasNoted(t *testing.T) {
	w := newWorld("Synology")
	w.settings.Ports = &nas.Ports{HTTP: 2000, HTTPS: 2001}
	cfg := w.home(t, scratch.Dir(t), w)
	noted(t, cfg, w, func(r *kept.Record) { r.Settings.Firewall = &nas.Firewall{} })
	w.onPress = func(w *world, n int) {
		reset(w, n)
		w.settings.Ports = &nas.Ports{HTTP: 5000, HTTPS: 5001}
	}
	res, err := guided.Start(t.Context(), cfg, guided.Request{Target: "attic"})
	w.holds(t, res, err)
	if !res.SignedIn || w.settings.Firewall.Enabled || !w.settings.AutoBlock.Enabled || w.everywhere != 1 {
		t.Errorf("%+v %v", res, err)
	}
	if len(res.Plan.NotCovered) != 0 || !strings.Contains(strings.Join(w.events, "\n"), "How it was set up is known from") {
		t.Errorf("the plan does not rest on it: %+v", res.Plan)
	}
	if catalog.ExitOf(err) != catalog.InPart || len(res.NotDone) != 1 || !strings.Contains(res.NotDone[0], "2000") {
		t.Errorf("ports that nobody put back: %v %q", err, res.NotDone)
	}
}

// 10 seconds on a QNAP by mistake: told from what is gone, the administrator and
// the shared folders are made anew, and who is left is named (R6).
func TestHeldTooLong(t *testing.T) {
	w := newWorld("QNAP")
	w.shares = []string{"photos", "papers"}
	w.settings.Accounts = append(w.settings.Accounts, nas.Account{Name: "ben", Enabled: true})
	cfg := w.home(t, scratch.Dir(t), w)
	noted(t, cfg, w, nil)
	w.onPress = func(w *world, n int) {
		reset(w, n)
		w.shares = nil
		w.settings.Accounts = []nas.Account{{Name: "admin", Administrator: true, BuiltIn: true, Enabled: true}}
	}
	res, err := guided.Start(t.Context(), cfg, guided.Request{Target: "attic"})
	w.holds(t, res, err)
	if !res.SignedIn || res.Administrator != "anna" || catalog.ExitOf(err) != catalog.InPart {
		t.Fatalf("%+v %v", res, err)
	}
	if !slices.Contains(res.Restored, "shared folder photos") || !slices.Contains(res.NotDone, "the user ben has to be made anew") {
		t.Errorf("%q %q", res.Restored, res.NotDone)
	}
	if a, _ := w.settings.Account("admin"); a.Enabled {
		t.Error("the built-in admin is left open")
	}
	if all := strings.Join(w.events, "\n"); !strings.Contains(all, "qnap.advanced.shares") || !strings.Contains(all, "photos, papers") {
		t.Error("what is gone, and that its files are there, was not said")
	}
	if k, ok := cfg.Known.Lookup(w.found.Identity()); !ok || len(k.Shares) != 2 || len(k.Settings.Accounts) != 3 {
		t.Errorf("what was noted before is lost: %+v", k)
	}
}

// From the dead end of a button that keeps the password a person may go on to
// Mode 2; whoever says nothing stops there.
func TestOnToModeTwo(t *testing.T) {
	w := modeTwo()
	first := w.onPress
	delete(w.answers, rescue.AskWay)
	w.answers[guided.AskOther] = string(ways.Reset2)
	w.refusesPage = true
	w.onPress = func(w *world, n int) {
		if n == 1 {
			reset(w, n)
			return
		}
		first(w, n-1)
	}
	res, err := w.rescue(t)
	if err != nil || res.Way != rescue.WayID(ways.Reset2) || w.presses != 3 || !slices.Contains(res.Restored, "settings backup") || !slices.Contains(res.Restored, "network addresses") {
		t.Errorf("%+v %v, %d presses", res, err, w.presses)
	}
}

// A password that somebody typed goes to no box that shows another certificate
// than before, by whatever way.
func TestStrangeBoxGetsNothing(t *testing.T) {
	for _, way := range []ways.ID{ways.SavedPassword, ways.OtherAdministrator, ways.ForgotMail, ways.Approval} {
		w := newWorld("Synology")
		cfg := w.home(t, scratch.Dir(t), w)
		w.print = theirs
		if _, err := guided.SignIn(t.Context(), cfg, w.found, "anna", access.NewSecret("")); err == nil {
			t.Fatal("a blank password opened it")
		}
		w.print, w.attempts = ours, nil
		w.answers[rescue.AskWay], w.answers[guided.AskTryIt], w.answers[guided.AskLabel] = string(way), "annas old password", "another"
		res, err := guided.Start(t.Context(), cfg, guided.Request{Target: "attic"})
		if !errors.Is(err, catalog.New("box_not_proved")) || len(w.attempts) != 0 || res.SignedIn {
			t.Errorf("%s: %v, %d attempts", way, err, len(w.attempts))
		}
	}
}

// Outside a rescue: what differs from a snapshot, and what of it is put back (R6).
func TestPutBack(t *testing.T) {
	w := newWorld("Synology")
	cfg := w.home(t, scratch.Dir(t), w)
	s, err := guided.SignIn(t.Context(), cfg, w.found, "anna", access.NewSecret("annas old password"))
	if err != nil {
		t.Fatal(err)
	}
	then := s.Record(time.Now())
	if d := s.Differences(then); len(d) != 0 {
		t.Errorf("%+v", d)
	}
	then.Settings = then.Settings.Clone()
	w.settings.AutoBlock.Enabled, w.settings.Firewall.Enabled, w.settings.Accounts[1].Enabled = false, false, true
	w.attempts = nil
	if s, err = guided.SignIn(t.Context(), cfg, w.found, "anna", access.NewSecret("annas old password")); err != nil || len(w.attempts) != 1 {
		t.Fatal(err, len(w.attempts))
	}
	if d := s.Differences(then); len(d) != 3 {
		t.Errorf("%+v", d)
	}
	restored, left, err := s.PutBack(t.Context(), cfg, then)
	if err != nil || len(restored) != 3 || len(left) != 0 || !w.settings.AutoBlock.Enabled || !w.settings.Firewall.Enabled || w.settings.Accounts[1].Enabled {
		t.Errorf("%q %q %v %+v", restored, left, err, w.settings)
	}
	s.End(t.Context())

	w.answer["anna"] = triage.Blocked
	if _, err := guided.SignIn(t.Context(), cfg, w.found, "anna", access.NewSecret("annas old password")); !errors.Is(err, catalog.New("vendor_refused")) || !strings.Contains(err.Error(), "raw blocked") {
		t.Error(err)
	}
}

// X24: the built-in admin is not disabled at the word of somebody who is no
// administrator now: nobody would be left.
func TestBuiltInStaysWhereNobodyElseAdministers(t *testing.T) {
	w := newWorld("Synology")
	cfg := w.home(t, t.TempDir(), w)
	s, err := guided.SignIn(t.Context(), cfg, w.found, "anna", access.NewSecret("annas old password"))
	if err != nil {
		t.Fatal(err)
	}
	then := s.Record(time.Now())
	then.Settings = then.Settings.Clone()
	w.settings.Accounts[1].Enabled = true
	i := slices.IndexFunc(w.settings.Accounts, func(a nas.Account) bool { return a.Name == "anna" })
	w.settings.Accounts[i].Administrator = false
	if s, err = guided.SignIn(t.Context(), cfg, w.found, "anna", access.NewSecret("annas old password")); err != nil {
		t.Fatal(err)
	}
	_, left, err := s.PutBack(t.Context(), cfg, then)
	if err != nil || !w.settings.Accounts[1].Enabled || !strings.Contains(strings.Join(left, " "), "still enabled") {
		t.Errorf("%q %v %+v", left, err, w.settings.Accounts)
	}
}
