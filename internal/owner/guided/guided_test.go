package guided_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/triage"
	"github.com/paperclip-nas/paperclip/internal/domain/ways"
	"github.com/paperclip-nas/paperclip/internal/owner/discover"
	"github.com/paperclip-nas/paperclip/internal/owner/guided"
	"github.com/paperclip-nas/paperclip/internal/owner/pins"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/scratch"
)

const (
	newPassword = "four words and a horse"
	ours        = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	theirs      = "sha256:2222222222222222222222222222222222222222222222222222222222222222"
)

func newWorld(vendor string) *world {
	static := false
	w := &world{
		clock: &instant{}, vendor: vendor, print: ours, newOne: newPassword,
		found: discover.Device{
			Name: "attic", Vendor: vendor, Model: "DS920+", Serial: "S1", MACs: []string{"00:11:32:00:00:01"}, Version: "7.2", Build: "64570",
			Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}, Status: "ready", StatusText: "Ready", HTTPPort: 5000, HTTPSPort: 5001, DHCP: &static,
		},
		passwords: map[string]string{"anna": "annas old password"}, answer: map[string]triage.Answer{}, answers: map[rescue.QuestionID]string{guided.AskAccount: "anna"},
		settings: nas.Settings{
			Accounts: []nas.Account{{Name: "anna", Administrator: true, Enabled: true}, {Name: "admin", Administrator: true, BuiltIn: true}},
			Firewall: &nas.Firewall{Enabled: true}, AutoBlock: &nas.AutoBlock{Enabled: true},
		},
		onPress: reset,
	}
	if vendor == "QNAP" {
		w.found.Model, w.found.Version, w.found.MACs = "TS-453D", "5.1.9", []string{"24:5e:be:00:00:01"}
	}
	return w
}

// reset is what a press does to the world's NAS.
func reset(w *world, _ int) {
	dhcp := true
	w.found.Addresses, w.found.DHCP = []netip.Addr{netip.MustParseAddr("192.0.2.77")}, &dhcp
	w.passwords["admin"] = ""
	if w.vendor == "QNAP" {
		w.passwords["admin"] = "245EBE000001"
	}
	w.settings.Accounts[1].Enabled = true
	w.settings.Firewall.Enabled, w.settings.AutoBlock.Enabled = false, false
	w.silent = 2
}

func (w *world) rescue(t *testing.T) (rescue.Result, error) {
	t.Helper()
	known, err := pins.Open(opfs.OS(nil), scratch.Dir(t))
	if err != nil {
		t.Fatal(err)
	}
	return w.rescueWith(t, known)
}

func (w *world) rescueWith(t *testing.T, known *pins.Store) (rescue.Result, error) {
	t.Helper()
	res, err := guided.Start(t.Context(), guided.Config{Person: w, Finder: w, Meet: w.meet, Pins: known, Clock: w.clock, Rand: rand.Reader}, guided.Request{Target: "attic", Password: true})
	w.holds(t, res, err)
	return res, err
}

// holds is what is so after every guided rescue, however it ended.
func (w *world) holds(t *testing.T, res rescue.Result, err error) {
	t.Helper()
	seen := map[string]bool{}
	for _, p := range w.attempts {
		if seen[p] {
			t.Errorf("a typed password was sent in two sign-ins")
		}
		seen[p] = true
	}
	out, jsonErr := json.Marshal(res)
	if jsonErr != nil {
		t.Fatal(jsonErr)
	}
	for _, text := range append(w.events, string(out), fmt.Sprint(err)) {
		for _, secret := range append(slices.Clone(w.attempts), newPassword) {
			if len(secret) > 5 && strings.Contains(text, secret) {
				t.Errorf("a password in %q", text)
			}
		}
	}
	if err == nil && !res.SignedIn {
		t.Error("done without a fresh sign-in")
	}
	if res.SignedIn && len(w.attempts) == 0 {
		t.Error("signed in without an attempt")
	}
}

func (w *world) sent(password string) (to []string) {
	for _, g := range w.got {
		if shown, p, _ := strings.Cut(g, " "); p == password {
			to = append(to, shown)
		}
	}
	return to
}

// The whole way: pressed, followed, proved by the certificate, set on the
// vendor's page, signed in, closed, put back (R1 R4 R5).
func TestModeOne(t *testing.T) {
	w := newWorld("Synology")
	res, err := w.rescue(t)
	if err != nil || res.Way != "reset_1" || res.Cause != "password_lost" || res.Administrator != "anna" || res.AddressBefore != "192.0.2.1" || res.AddressAfter != "192.0.2.1" {
		t.Fatalf("%+v %v", res, err)
	}
	if w.settings.Accounts[1].Enabled || !w.settings.Firewall.Enabled || !w.settings.AutoBlock.Enabled || len(res.Restored) != 4 {
		t.Errorf("%+v %q", w.settings, res.Restored)
	}
	if res.Plan == nil || len(res.Plan.Losses) == 0 || len(res.Plan.NotCovered) == 0 {
		t.Errorf("the plan: %+v", res.Plan)
	}
	order := slices.Index(w.asked, rescue.AskAccept)
	if order < 0 || w.presses != 1 {
		t.Errorf("accepted %d, pressed %d", order, w.presses)
	}
	all := strings.Join(w.events, "\n")
	for _, id := range []catalog.ID{"synology.button.mode1", "synology.mode1.data", "synology.mode1.encrypted"} {
		if f, ok := catalog.FactNamed(id); !ok || !strings.Contains(all, f.Text+" ["+string(f.Confidence)+"]") {
			t.Errorf("%s was never said, with how sure it is", id)
		}
	}
	if !strings.Contains(all, "synology.button.mode1, confidence A") || !strings.Contains(all, "Nothing of this was tested") {
		t.Error("what it rests on was never said")
	}
}

// QTS: its default by firmware and MAC, one attempt; the password by its page.
func TestThreeSeconds(t *testing.T) {
	w := newWorld("QNAP")
	res, err := w.rescue(t)
	if err != nil || !res.SignedIn || !slices.Contains(w.attempts, "245EBE000001") {
		t.Fatalf("%+v %v %q", res, err, w.attempts)
	}
	if strings.Contains(strings.Join(w.events, "\n"), "245EBE000001") {
		t.Error("the default password is shown")
	}
}

// An imposter that waits for the reset: another certificate, and neither beep
// nor label. No new password goes there.
func TestImposterAfterTheReset(t *testing.T) {
	for _, vendor := range []string{"Synology", "QNAP"} {
		w := newWorld(vendor)
		w.deaf = true
		w.onPress = func(w *world, n int) {
			reset(w, n)
			w.print = theirs
		}
		res, err := w.rescue(t)
		if !errors.Is(err, catalog.New("box_not_proved")) || len(w.sent(newPassword)) != 0 || res.SignedIn {
			t.Errorf("%s: %v, sent to %q", vendor, err, w.sent(newPassword))
		}
	}
}

// A certificate that changed with the reset is no dead end: the box that beeps,
// or whose label fits, is the one.
func TestCertificateChanged(t *testing.T) {
	for _, vendor := range []string{"Synology", "QNAP"} {
		w := newWorld(vendor)
		w.answers[guided.AskLabel] = "s1"
		w.onPress = func(w *world, n int) {
			reset(w, n)
			w.print = theirs
		}
		if res, err := w.rescue(t); err != nil || !res.SignedIn {
			t.Errorf("%s: %+v %v", vendor, res, err)
		}
	}
}

// What is on the label opens the real one after a reset: it is typed for a box
// that shows another certificate only after that was compared with the label too.
func TestCloudKeyGoesToNoStrangeBox(t *testing.T) {
	for name, c := range map[string]struct {
		print, label string
		in           bool
	}{"the certificate of before": {ours, "", true}, "another": {theirs, "", false}, "another, and another label": {theirs, "S2", false}, "another, and its label": {theirs, "s1", true}} {
		w := newWorld("QNAP")
		w.found.Version = "5.2.0"
		w.answers[guided.AskCloudKey] = "Q4711-0815"
		if c.label != "" {
			w.answers[guided.AskLabel] = c.label
		}
		w.onPress = func(w *world, n int) {
			reset(w, n)
			w.print, w.passwords["admin"] = c.print, "Q47110815"
		}
		res, err := w.rescue(t)
		if c.in && (err != nil || !res.SignedIn) {
			t.Errorf("%s: %+v %v", name, res, err)
		}
		if !c.in && (!errors.Is(err, catalog.New("box_not_proved")) || len(w.got) != 0) {
			t.Errorf("%s: %v, sent %d", name, err, len(w.got))
		}
		if c.in && !slices.Contains(w.asked, guided.AskBeep) && c.print == theirs {
			t.Errorf("%s: the label took the place of its beep", name)
		}
	}
}

// A NAS that was met before and shows another certificate today gets no typed
// password before it was proved.
func TestMismatchAtTheDoor(t *testing.T) {
	known, err := pins.Open(opfs.OS(nil), scratch.Dir(t))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld("Synology")
	if err := known.Remember(pins.Device{Fingerprint: theirs, Vendor: "Synology", Serial: "S1", MACs: w.found.MACs, Seen: time.Now()}); err != nil {
		t.Fatal(err)
	}
	w.answers[guided.AskTry] = "yes"
	w.answers[guided.AskTryIt] = "annas old password"
	if _, err := w.rescueWith(t, known); !errors.Is(err, catalog.New("box_not_proved")) || len(w.attempts) != 0 {
		t.Errorf("%v, %d attempts", err, len(w.attempts))
	}
	if known.Pin(nas.Identity{Serial: "S1"}) != theirs {
		t.Error("the new certificate took the old one's place")
	}
}

// Two that claim the same MAC: none of them is spoken to.
func TestTwoOfTheSame(t *testing.T) {
	w := newWorld("Synology")
	w.others = []discover.Device{w.found}
	if _, err := w.rescue(t); !errors.Is(err, catalog.New("target_ambiguous")) || len(w.got) != 0 || w.presses != 0 {
		t.Error(err)
	}
}

// D8: a press that does nothing is noticed, and said why; after three it ends.
func TestPressWithoutEffect(t *testing.T) {
	w := newWorld("Synology")
	w.onPress = nil
	if _, err := w.rescue(t); !errors.Is(err, catalog.New("press_without_effect")) || w.presses != 3 {
		t.Errorf("%v after %d presses", err, w.presses)
	}
	w = newWorld("Synology")
	w.onPress = func(w *world, n int) {
		if n == 2 {
			reset(w, n)
		}
	}
	if res, err := w.rescue(t); err != nil || w.presses != 2 || !res.SignedIn {
		t.Errorf("%v after %d presses", err, w.presses)
	}
}

func TestNeverComesBack(t *testing.T) {
	w := newWorld("Synology")
	w.onPress = func(w *world, n int) { w.silent = 1 << 30 }
	if _, err := w.rescue(t); !errors.Is(err, catalog.New("never_came_back")) {
		t.Error(err)
	}
}

// D9 R14: the address changed and the blank password is refused: told apart, and
// not a success.
func TestKeepPassword(t *testing.T) {
	w := newWorld("Synology")
	w.answers[guided.AskPage] = "no"
	res, err := w.rescue(t)
	if catalog.ExitOf(err) != catalog.Refused || res.Cause != string(triage.BlankKeepPassword) || len(w.sent(newPassword)) != 0 {
		t.Errorf("%+v %v", res, err)
	}
}

// One attempt, and its answer decides: the button is only offered where it helps.
func TestAnswersDecide(t *testing.T) {
	for answer, want := range map[triage.Answer]triage.CauseID{
		triage.Blocked: triage.AddressBlocked, triage.Locked: triage.AccountLocked, triage.CodeNeeded: triage.CodeMissing, triage.Expired: triage.PasswordExpired,
		triage.AccountDisabled: triage.Disabled, triage.Forbidden: triage.PrivilegeRemoved, triage.WrongPassword: triage.PasswordForgotten, triage.Other: triage.Unexplained,
	} {
		w := newWorld("Synology")
		w.answer["anna"] = answer
		w.answers[guided.AskTry] = "yes"
		w.answers[guided.AskTryIt] = "annas old password"
		w.answers[rescue.AskAccept] = "no"
		res, err := w.rescue(t)
		if res.Cause != string(want) || len(w.attempts) != 1 || !errors.Is(err, catalog.New("declined")) {
			t.Errorf("%s: %s, %d attempts, %v", answer, res.Cause, len(w.attempts), err)
		}
		if answer == triage.Other && !strings.Contains(strings.Join(w.events, "\n"), "raw other") {
			t.Error("the device's own words are lost")
		}
	}
}

// R2: another administrator sets the password by program, with no reset.
func TestOtherAdministrator(t *testing.T) {
	w := newWorld("Synology")
	w.passwords["dora"] = "doras own password"
	w.settings.Accounts = append(w.settings.Accounts, nas.Account{Name: "dora", Administrator: true, Enabled: true})
	w.answers[rescue.AskWay] = string(ways.OtherAdministrator)
	w.answers[guided.AskAccount] = "dora"
	w.answers[guided.AskTryIt] = "doras own password"
	res, err := w.rescue(t)
	if err != nil || w.presses != 0 || res.Administrator != "anna" || w.passwords["anna"] != newPassword {
		t.Errorf("%+v %v", res, err)
	}
}

// One attempt a typed password, wherever it is typed: refused, it is not sent
// again, and neither a reset nor another sign-in follows by itself.
func TestRefusedPasswordIsSentOnce(t *testing.T) {
	for name, way := range map[string]ways.ID{"another administrator's": ways.OtherAdministrator, "one that was saved": ways.SavedPassword} {
		w := newWorld("Synology")
		w.answers[rescue.AskWay], w.answers[guided.AskTryIt] = string(way), "a password that was mistyped"
		res, err := w.rescue(t)
		if err == nil || len(w.attempts) != 1 || w.presses != 0 || res.SignedIn {
			t.Errorf("%s: %v, sent %d times, %d presses", name, err, len(w.attempts), w.presses)
		}
	}
}

// D1: what is not ready is waited for; drives that are gone are no case for a
// reset, nor for an installer.
func TestNotReady(t *testing.T) {
	w := newWorld("Synology")
	w.found.Status, w.found.StatusText = "booting", "Booting"
	w.silent = 0
	looks := 0
	w.answers[rescue.AskWay] = string(ways.Wait)
	finder := finderFunc(func() []discover.Device {
		w.mu.Lock()
		defer w.mu.Unlock()
		if looks++; looks > 3 {
			w.found.Status, w.found.StatusText = "ready", "Ready"
			delete(w.answers, rescue.AskWay)
		}
		return []discover.Device{w.found}
	})
	known, err := pins.Open(opfs.OS(nil), scratch.Dir(t))
	if err != nil {
		t.Fatal(err)
	}
	res, err := guided.Start(t.Context(), guided.Config{Person: w, Finder: finder, Meet: w.meet, Pins: known, Clock: w.clock, Rand: rand.Reader}, guided.Request{Target: "attic"})
	if err != nil || !res.SignedIn || res.Way != "reset_1" {
		t.Errorf("%+v %v", res, err)
	}
	w = newWorld("Synology")
	w.found.Status, w.found.StatusText = "not_installed", "Not installed"
	w.answers[guided.AskPage] = "no"
	if res, err := w.rescue(t); w.presses != 0 || res.Way != rescue.WayID(ways.CheckDrives) || !errors.Is(err, catalog.New("guided_end")) {
		t.Errorf("%+v %v", res, err)
	}
}

type finderFunc func() []discover.Device

func (f finderFunc) Find(context.Context, string, time.Duration) ([]discover.Device, error) {
	return f(), nil
}

// Where nobody is to do what only a person can, it says what is left, and does
// not claim to be done.
func TestWhatIsLeft(t *testing.T) {
	w := newWorld("Synology")
	w.settings.Firewall.Enabled = false
	w.onPress = func(w *world, n int) {
		reset(w, n)
		w.answers[guided.AskPage] = ""
	}
	pages := 0
	p := person{w, func(q rescue.Question) (rescue.Answer, bool) {
		if q.ID == guided.AskPage {
			pages++
			return rescue.Answer{}, pages > 1 // the first, which sets the password, is done
		}
		return rescue.Answer{}, false
	}}
	known, err := pins.Open(opfs.OS(nil), scratch.Dir(t))
	if err != nil {
		t.Fatal(err)
	}
	res, err := guided.Start(t.Context(), guided.Config{Person: p, Finder: w, Meet: w.meet, Pins: known, Clock: w.clock, Rand: rand.Reader}, guided.Request{Target: "attic"})
	if catalog.ExitOf(err) != catalog.InPart || !res.SignedIn || len(res.NotDone) != 2 {
		t.Errorf("%+v %v", res, err)
	}
}

type person struct {
	*world
	first func(rescue.Question) (rescue.Answer, bool)
}

func (p person) Choose(ctx context.Context, q rescue.Question) (rescue.Answer, error) {
	if a, ok := p.first(q); ok {
		return a, nil
	}
	return p.world.Choose(ctx, q)
}

// The table has one row for each step, and each leads to one that is there.
func TestTable(t *testing.T) {
	d := guided.Diagram()
	for _, s := range guided.Steps() {
		if strings.Count(d, "    "+string(s)+" --> ") < 1 || !strings.Contains(d, "--> "+string(s)) {
			t.Errorf("%s is not reached, or leads nowhere", s)
		}
	}
}
