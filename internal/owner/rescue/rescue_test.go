package rescue

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/owner/keys"
	"github.com/paperclip-nas/paperclip/internal/protocol/identity"
	"github.com/paperclip-nas/paperclip/internal/protocol/receipt"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// R1: from locked out to signed in, in every scope; the result has the names
// of design.md and every step is verified.
func TestRescue(t *testing.T) {
	for scope, way := range map[reset.Scope]WayID{reset.Credentials: SoftClaimCredentials, reset.Network: SoftClaimNetwork, reset.All: SoftClaimAll} {
		sc := newScene(t)
		refused := true
		w := &seen{Evidence: Evidence{&refused, &Data{Files: 1200, Bytes: 99}}}
		sc.cfg.Witness = w
		forgotten := []string{"anna"}
		if scope == reset.Network { // the password is not touched: the old one is asked for
			sc.person.password, forgotten = []string{oldPassword}, nil
		}
		res, err := Start(t.Context(), sc.cfg, Request{Scope: scope})
		if err != nil {
			t.Fatalf("%s: %v (%v)", scope, err, errors.Unwrap(err))
		}
		if res.Way != way || !res.SignedIn || res.Administrator != "anna" || res.Device != "cellar" || res.Data.Files != 1200 || !*res.OldPasswordRefused {
			t.Errorf("%s: %+v", scope, res)
		}
		if len(w.forgotten) != 1 || !slices.Equal(w.forgotten[0], forgotten) {
			t.Errorf("%s: the witness looked at what is forgotten: %v", scope, w.forgotten)
		}
		var steps []Name
		for _, e := range res.Timeline {
			steps = append(steps, e.Step)
			if !e.Verified {
				t.Errorf("%s: %s is not verified", scope, e.Step)
			}
		}
		want := slices.DeleteFunc(Steps(), func(n Name) bool { return n == SetUp || n == Waiting || n == Redeem })
		if scope == reset.Network {
			want = slices.DeleteFunc(want, func(n Name) bool { return n == Password })
		}
		if !slices.Equal(steps, want) {
			t.Errorf("%s: went through %v", scope, steps)
		}
		file, err := os.ReadFile(res.Receipt)
		if err != nil {
			t.Fatal(err)
		}
		if id, _, err := receipt.Verify(file); err != nil || id != identity.KeyID(sc.box.pub()) {
			t.Errorf("%s: receipt of %s: %v", scope, id, err)
		}
		if sc.box.open {
			t.Errorf("%s: the claim is left open", scope)
		}
		if k, err := sc.cfg.Keys.OwnerKey(nil); err != nil || !sc.box.owner.Equal(k.Public()) {
			t.Errorf("%s: the owner's key was not enrolled with the commit (%v)", scope, err)
		}
		if d, ok := sc.cfg.Keys.Lookup(sc.box.pub()); !ok || d.How != keys.Claimed {
			t.Errorf("%s: the key is remembered as %+v", scope, d)
		}
	}
}

// The names of `rescue --json` are a contract.
func TestResultHasTheNamesOfTheContract(t *testing.T) {
	sc := newScene(t)
	res, err := Start(t.Context(), sc.cfg, Request{})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(res)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"device", "cause", "way", "plan", "timeline", "address_before", "address_after", "administrator", "signed_in", "old_password_refused", "data", "restored", "receipt", "not_done"} {
		if _, ok := m[name]; !ok {
			t.Errorf("%s is missing", name)
		}
	}
	for name, want := range map[string]string{"old_password_refused": "null", "data": "null", "signed_in": "true", "restored": "[]", "not_done": "[]"} {
		if string(m[name]) != want { // a real NAS has no witness
			t.Errorf("%s is %s, want %s", name, m[name], want)
		}
	}
	if bytes.Contains(raw, []byte(newPassword)) {
		t.Error("the password is in the result")
	}
}

// Promise 5: what could not be shown is not called done.
func TestDoneMeansShown(t *testing.T) {
	yes, no := true, false
	for name, c := range map[string]struct {
		change func(*scene)
		id     catalog.ID
		exit   catalog.Exit
	}{
		"the password was not written":     {func(s *scene) { s.box.dropPassword = true }, "not_verified", catalog.InPart},
		"a file changed":                   {func(s *scene) { s.cfg.Witness = &seen{Evidence: Evidence{&yes, &Data{Changed: 1}}} }, "data_changed", catalog.InPart},
		"the old password still works":     {func(s *scene) { s.cfg.Witness = &seen{Evidence: Evidence{&no, &Data{}}} }, "not_verified", catalog.InPart},
		"the witness looked at no file":    {func(s *scene) { s.cfg.Witness = &seen{Evidence: Evidence{&yes, nil}} }, "not_verified", catalog.InPart},
		"another key signed the receipt":   {func(s *scene) { s.box.forge = true }, "not_verified", catalog.InPart},
		"the NAS put everything back":      {func(s *scene) { s.box.undo = true }, "step_failed", catalog.Failed},
		"the person does not accept":       {func(s *scene) { s.person.yes = false }, "declined", catalog.Failed},
		"the person takes another way":     {func(s *scene) { s.person.way = SavedPassword }, "other_way", catalog.Failed},
		"an administrator there is not":    {func(s *scene) { s.cfg.Person = s.person }, "unknown_administrator", catalog.Refused},
		"nothing is found":                 {func(s *scene) { s.cfg.Finder = lan{} }, "none_found", catalog.NotFound},
		"a password that will never do":    {func(s *scene) { s.person.password = []string{"short"} }, "gave_up", catalog.Failed},
		"a NAS of a vendor, with guidance": {func(s *scene) { s.cfg.Finder = lan{func() NAS { return NAS{Name: "attic", Vendor: "Synology"} }} }, "not_yet", catalog.Failed},
	} {
		sc := newScene(t)
		c.change(sc)
		req := Request{}
		if c.id == "unknown_administrator" {
			req.Administrator = "root"
		}
		res, err := Start(t.Context(), sc.cfg, req)
		if !errors.Is(err, catalog.New(c.id)) || catalog.ExitOf(err) != c.exit {
			t.Errorf("%s: %v (%v)", name, err, errors.Unwrap(err))
		}
		if sc.box.open {
			t.Errorf("%s: the claim is left open", name)
		}
		if c.exit != catalog.InPart && !sc.box.undo && (sc.box.commits != 0 || sc.box.password["anna"] != oldPassword) {
			t.Errorf("%s: something was changed", name)
		}
		if c.id == "none_found" && !strings.Contains(catalog.AsProblem(err).WhatToDo, "hold its reset button") {
			t.Errorf("the way out is not named: %v", err)
		}
		if c.id == "not_yet" && !strings.Contains(catalog.AsProblem(err).WhatToDo, "Hold RESET") {
			t.Errorf("no guidance: %v", err)
		}
		if name == "the password was not written" && res.SignedIn {
			t.Error("signed in with a password that was never written")
		}
	}
}

func TestWrongCodesAreAskedAgainAndBounded(t *testing.T) {
	sc := newScene(t)
	sc.person.codes = []access.Code{{1, 1, 1, 1}, {2, 2, 2, 2}}
	if _, err := Start(t.Context(), sc.cfg, Request{}); err != nil {
		t.Fatal(err)
	}
	sc = newScene(t)
	sc.person.codes = slices.Repeat([]access.Code{{6, 6, 6, 6}}, 1000)
	_, err := Start(t.Context(), sc.cfg, Request{})
	if !errors.Is(err, catalog.New("gave_up")) || len(sc.person.codes) != 1000-maxWrong {
		t.Fatalf("%v after %d codes", err, 1000-len(sc.person.codes))
	}
}

func TestPasswordIsAskedAgainWithAdvice(t *testing.T) {
	sc := newScene(t)
	sc.person.password = []string{"short", "aaaaaaaaaaaaaaaaaaaaaaaa", newPassword}
	if _, err := Start(t.Context(), sc.cfg, Request{}); err != nil {
		t.Fatal(err)
	}
	if a := sc.person.advice; len(a) != 3 || a[0] != "" || !strings.Contains(a[1], "too short") || a[2] == "" {
		t.Fatalf("advice %q", a)
	}
	if sc.box.password["anna"] != newPassword {
		t.Fatal("another password was set")
	}
}

// D11: where the owner demands a second proof, it is asked for, and again after
// a wrong one; where the owner allows the network only, nothing is asked.
func TestOwnersChoices(t *testing.T) {
	sc := newScene(t)
	sc.box.demands = map[reset.Scope]access.Demand{reset.Credentials: access.SecondProof}
	sc.box.recoveryCode = "7k2m-9qxw-b4tna"
	sc.person.recovery = []string{"wrong", "wrong again", "7k2m-9qxw-b4tna"}
	if _, err := Start(t.Context(), sc.cfg, Request{}); err != nil || sc.box.commits != 1 {
		t.Fatalf("%v, %d commits", err, sc.box.commits)
	}
	sc = newScene(t)
	sc.box.demands = map[reset.Scope]access.Demand{reset.Credentials: access.SecondProof}
	sc.box.recoveryCode, sc.person.recovery = "7k2m-9qxw-b4tna", []string{"wrong"}
	if _, err := Start(t.Context(), sc.cfg, Request{}); !errors.Is(err, catalog.New("second_proof_wrong")) || sc.box.commits != 0 {
		t.Fatalf("%v, %d commits", err, sc.box.commits)
	}
	sc = newScene(t)
	sc.box.demands = map[reset.Scope]access.Demand{reset.Credentials: access.Never}
	if _, err := Start(t.Context(), sc.cfg, Request{}); !errors.Is(err, catalog.New("policy_network_only")) || slices.Contains(sc.person.asked, AskNewPassword) {
		t.Fatalf("%v, asked %v", err, sc.person.asked)
	}
}

// Promise 6: a stranger by a known name stops everything, before any claim.
func TestMismatchStopsEverything(t *testing.T) {
	other, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	known := func(sc *scene) {
		if err := sc.cfg.Keys.Remember(keys.Device{PublicKey: other, Name: "cellar", How: keys.Claimed}); err != nil {
			t.Fatal(err)
		}
	}
	sc := newScene(t)
	known(sc)
	_, err = Start(t.Context(), sc.cfg, Request{})
	id := identity.KeyID(sc.box.pub())
	if !errors.Is(err, catalog.New("identity_mismatch")) || sc.box.presses+sc.box.commits+sc.box.signIns != 0 || len(sc.person.asked) != 0 {
		t.Fatalf("%v; %d presses, asked %v", err, sc.box.presses, sc.person.asked)
	}
	if !strings.Contains(catalog.AsProblem(err).WhatToDo, id) {
		t.Error("the person is not told which key to compare")
	}
	if _, err := Start(t.Context(), sc.cfg, Request{AcceptKey: "another"}); !errors.Is(err, catalog.New("identity_mismatch")) {
		t.Fatalf("a key that nobody named is accepted: %v", err)
	}
	if _, err := Start(t.Context(), sc.cfg, Request{AcceptKey: id}); err != nil {
		t.Fatal(err)
	}
	if _, still := sc.cfg.Keys.Lookup(other); still {
		t.Error("the old key is still remembered")
	}
}

// F4: after a network reset the NAS is elsewhere, and is followed by its key.
func TestFollowsTheNASToItsNewAddress(t *testing.T) {
	sc := newScene(t)
	sc.box.movesTo = netip.MustParseAddrPort("198.51.100.9:5001")
	sc.person.password = []string{oldPassword}
	res, err := Start(t.Context(), sc.cfg, Request{Scope: reset.Network})
	if err != nil {
		t.Fatal(err, errors.Unwrap(err))
	}
	if res.AddressBefore != "192.0.2.5:5001" || res.AddressAfter != "198.51.100.9:5001" {
		t.Fatalf("from %s to %s", res.AddressBefore, res.AddressAfter)
	}
}

// F4: a claim that has closed takes its own address along, and the NAS answers at the one it has now: the
// last sign-in goes there.
func TestSignsInWhereTheNASIsOnceTheClaimHasClosed(t *testing.T) {
	for _, mode := range []reset.Mode{reset.Soft, reset.Hard} {
		sc := newScene(t)
		sc.box.closesTo = netip.MustParseAddrPort("198.51.100.9:5001")
		res, err := Start(t.Context(), sc.cfg, Request{Mode: mode, Scope: reset.All})
		if err != nil {
			t.Fatal(mode, err, errors.Unwrap(err))
		}
		if !res.SignedIn || res.AddressAfter != "198.51.100.9:5001" {
			t.Errorf("%s: signed in %v at %s", mode, res.SignedIn, res.AddressAfter)
		}
	}
}

func TestOnlyTheTargetThatIsMeant(t *testing.T) {
	attic := func() NAS { return NAS{Name: "attic", Vendor: "Synology", Address: "192.0.2.6"} }
	sc := newScene(t)
	sc.cfg.Finder = lan{attic, sc.box.found}
	if res, err := Start(t.Context(), sc.cfg, Request{}); err != nil || res.Device != "cellar" {
		t.Fatalf("the only one that can be rescued is not taken: %v", err)
	}
	sc = newScene(t)
	sc.cfg.Finder = lan{sc.box.found, sc.box.found}
	if _, err := Start(t.Context(), sc.cfg, Request{Target: "cellar"}); !errors.Is(err, catalog.New("target_ambiguous")) {
		t.Fatalf("two fit: %v", err)
	}
	sc = newScene(t)
	sc.cfg.Finder = lan{attic, attic}
	sc.cfg.Person = Unattended{}
	if _, err := Start(t.Context(), sc.cfg, Request{}); !errors.Is(err, catalog.New("target_ambiguous")) || catalog.ExitOf(err) != catalog.WrongUse {
		t.Fatalf("nobody to choose: %v", err)
	}
}

// A rescue that is interrupted as any step begins, or has just ended, takes
// leave, says how to go on, and goes on to the end. The plan is handed over
// once, and nothing secret was ever written down.
func TestInterruptedAnywhereAndResumed(t *testing.T) {
	for _, kind := range []EventKind{StepStarted, StepDone} {
		for _, n := range Steps() {
			if n == Witnessed || n == Waiting || n == Redeem {
				continue // there is none here
			}
			req := Request{Mode: modeOf(n)}
			sc := newScene(t)
			ctx, cancel := context.WithCancel(t.Context())
			sc.person.tell = func(e Event) {
				if e.Kind == kind && e.Step == n {
					cancel()
				}
			}
			res, err := Start(ctx, sc.cfg, req)
			cancel()
			sc.person.tell = nil
			if n == Receipt && err == nil {
				continue // too late to interrupt
			}
			if !errors.Is(err, catalog.New("interrupted")) || !strings.Contains(catalog.AsProblem(err).WhatToDo, "--resume "+res.ID) {
				t.Fatalf("%s %s: %v (%v)", n, kind, err, errors.Unwrap(err))
			}
			commit := slices.Index(Steps(), Commit)
			if slices.Index(Steps(), n) < commit && sc.box.open && sc.box.proved {
				t.Errorf("%s %s: the claim is left open, proved", n, kind)
			}
			res, err = Resume(t.Context(), sc.cfg, res.ID, Request{})
			if err != nil { // the receipt is had with the owner key
				t.Fatalf("%s %s, resumed: %v (%v)", n, kind, err, errors.Unwrap(err))
			}
			if !res.SignedIn || sc.box.commits != 1 || sc.box.password["anna"] != newPassword {
				t.Errorf("%s %s: signed in %v, %d commits", n, kind, res.SignedIn, sc.box.commits)
			}
			noSecrets(t, sc)
		}
	}
}

// modeOf is a mode that goes through the step: every other one is tried with a
// hard reset.
func modeOf(n Name) reset.Mode {
	if n == SetUp || slices.Index(Steps(), n)%2 == 1 {
		return reset.Hard
	}
	return reset.Soft
}

// A rescue that was killed leaves its session behind on the NAS. What was
// accepted is not accepted twice; before that, a hold of the button closes the
// claim that nobody can use any more.
func TestKilledAnywhereAndResumed(t *testing.T) {
	for _, n := range Steps() {
		if n == Witnessed || n == Waiting || n == Redeem || n == Find || n == Identify {
			continue
		}
		req := Request{Mode: modeOf(n)}
		sc := newScene(t)
		ctx, kill := context.WithCancel(t.Context())
		var id string
		sc.person.tell = func(e Event) {
			if e.Kind != StepStarted || e.Step != n {
				return
			}
			sc.box.mu.Lock()
			if l := sc.box.holder; l != nil {
				l.dead = true
			}
			sc.box.mu.Unlock()
			kill()
		}
		res, err := Start(ctx, sc.cfg, req)
		kill()
		sc.person.tell = nil
		if err == nil {
			t.Fatalf("%s: was not killed", n)
		}
		id = res.ID
		sc.box.mu.Lock()
		if sc.box.commits > 0 { // the NAS finishes by itself, and lets go of its claim
			sc.box.busy, sc.box.open, sc.box.proved, sc.box.holder = 0, false, false, nil
		}
		sc.box.mu.Unlock()
		res, err = Resume(t.Context(), sc.cfg, id, Request{})
		if err != nil {
			t.Fatalf("%s, resumed: %v (%v)", n, err, errors.Unwrap(err))
		}
		if !res.SignedIn || sc.box.commits != 1 {
			t.Errorf("%s: signed in %v, %d commits", n, res.SignedIn, sc.box.commits)
		}
		noSecrets(t, sc)
	}
}

// The reply to the commit is lost and so is the session: whether it was
// accepted is seen by signing in, and by the receipt that the enrolled owner
// key fetches, if the NAS knows it.
func TestLostReplyToTheCommit(t *testing.T) {
	for _, keeps := range []bool{false, true} {
		sc := newScene(t)
		sc.box.loseCommit, sc.box.keepsReceipts = true, keeps
		res, err := Start(t.Context(), sc.cfg, Request{})
		if errors.Is(err, catalog.New("not_verified")) != keeps || (len(res.NotDone) == 1) != keeps || (res.Receipt == "") != keeps {
			t.Fatalf("%v, not done %q, receipt %q", err, res.NotDone, res.Receipt)
		}
		if !res.SignedIn || sc.box.commits != 1 {
			t.Fatalf("signed in %v, %d commits", res.SignedIn, sc.box.commits)
		}
	}
}

func noSecrets(t *testing.T, sc *scene) {
	t.Helper()
	err := filepath.WalkDir(sc.cfg.Dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		for _, secret := range []string{newPassword, oldPassword, `"3162"`, "3 1 6 2", "[3,1,6,2]"} {
			if bytes.Contains(data, []byte(secret)) {
				t.Errorf("%s has a secret in it", name)
			}
		}
		if info, err := d.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", name, info.Mode(), err)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestResumeOfWhatIsNotThere(t *testing.T) {
	sc := newScene(t)
	for _, id := range []string{"", "zzzzzzzz", "../../etc", "abc", strings.Repeat("a", 500)} {
		if _, err := Resume(t.Context(), sc.cfg, id, Request{}); !errors.Is(err, catalog.New("resume_unknown")) {
			t.Errorf("%.20q: %v", id, err)
		}
	}
	done, err := Start(t.Context(), sc.cfg, Request{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := Resume(t.Context(), sc.cfg, done.ID, Request{})
	if err != nil || again.Receipt != done.Receipt || sc.box.commits != 1 {
		t.Fatalf("a rescue that has ended: %v, %d commits", err, sc.box.commits)
	}
	file := filepath.Join(sc.cfg.Dir, done.ID, stateFile)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{
		"cut":           data[:len(data)/2],
		"unknown field": bytes.Replace(data, []byte(`"version"`), []byte(`"x": 1, "version"`), 1),
		"other version": bytes.Replace(data, []byte(`"version": 1`), []byte(`"version": 9`), 1),
		"of another":    bytes.Replace(data, []byte(done.ID), []byte("aaaaaaaa"), 1),
		"no such step":  bytes.Replace(data, []byte(`"step": "ended"`), []byte(`"step": "hop"`), 1),
	} {
		if err := os.WriteFile(file, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Resume(t.Context(), sc.cfg, done.ID, Request{}); !errors.Is(err, catalog.New("file_unusable")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGenerated(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		p, err := Generated()
		if err != nil {
			t.Fatal(err)
		}
		if s := p.Reveal(); len(s) < 20 || seen[s] || access.CheckPassword(p, false, "anna") != access.PasswordFits {
			t.Fatalf("%d characters, again %v", len(s), seen[s])
		}
		seen[p.Reveal()] = true
	}
	if _, err := Generate(strings.NewReader("short")); err == nil {
		t.Fatal("a password without randomness")
	}
}

func TestCodeFileGivesEachCodeOnce(t *testing.T) {
	content := ""
	next := CodeFile(func() ([]byte, error) { return []byte(content), nil })
	give := func(want bool) {
		t.Helper()
		if _, ok, err := next(); ok != want || err != nil {
			t.Fatalf("%v %v", ok, err)
		}
	}
	give(false) // missing or empty
	content = "31"
	give(false) // half written
	content = "3 1 6 2\n"
	give(true)
	give(false)
	content = "4 1 6 2\n"
	give(true)
	for _, text := range []string{"", "\n", "3", "3 1 6", "7K2M-9", "7K2M-9QXW-B4TN"} {
		content = text
		give(false) // more may come
	}
	for _, text := range []string{"3 1 6\n", "7 1 6 2\n", "hello\n", "hello, you", "3 1 6 2 5 5 5 5 5 5 5 5 5 5 5", "7K2M-9QXW-B4TU", "\x00"} {
		content = text
		if _, ok, err := next(); ok || !errors.Is(err, catalog.New("no_code")) {
			t.Errorf("%q: %v %v", text, ok, err)
		}
	}
}

// Nobody is there to hear a second time: a code that was refused ends it, and
// one that has taken its place by then is tried.
func TestUnattendedEndsAfterAWrongCode(t *testing.T) {
	content := "3 1 6 2\n"
	u := Unattended{Clock: clock.System(), Code: CodeFile(func() ([]byte, error) { return []byte(content), nil })}
	if code, err := u.Hear(t.Context(), Hear{}); err != nil || code == nil {
		t.Fatal(code, err)
	}
	if code, err := u.Hear(t.Context(), Hear{Wrong: 1, Refused: true}); !errors.Is(err, catalog.New("wrong_code")) || catalog.ExitOf(err) != catalog.Refused {
		t.Error(code, err)
	}
	content = "4 1 6 2\n"
	if code, err := u.Hear(t.Context(), Hear{Wrong: 1, Refused: true}); err != nil || code == nil {
		t.Error(code, err)
	}
}

// F5: an address that was typed says of itself which NAS it is; a stranger that
// takes a known name there is found out all the same.
func TestTypedAddressIsHeldAgainstWhatIsKnown(t *testing.T) {
	only := func(sc *scene) {
		sc.cfg.Finder = lan{func() NAS {
			return NAS{Address: "192.0.2.5", At: []netip.AddrPort{sc.box.at}, Native: true}
		}}
	}
	sc := newScene(t)
	only(sc)
	if res, err := Start(t.Context(), sc.cfg, Request{Target: "192.0.2.5"}); err != nil || res.Device != "cellar" {
		t.Fatalf("%q, %v", res.Device, err)
	}
	sc = newScene(t)
	only(sc)
	other, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := sc.cfg.Keys.Remember(keys.Device{PublicKey: other, Name: "cellar", How: keys.Met}); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), sc.cfg, Request{Target: "192.0.2.5"}); !errors.Is(err, catalog.New("identity_mismatch")) {
		t.Fatal(err)
	}
}

// A state file may have been written by anybody: it is read whole or refused,
// and leads only to steps that there are.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(`{"version":1,"id":"aaaaaaaa","step":"press"}`))
	f.Add([]byte(`{"version":1,"id":"aaaaaaaa","step":"progress","handed":true,"public_key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`))
	f.Add([]byte(`{"version":1,"id":"aaaaaaaa","step":"ended","timeline":[{"step":"find","started":"2026-01-01T00:00:00Z","ms":1,"verified":true}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := store{opfs.OS(nil), t.TempDir()}
		if err := s.write("test", "aaaaaaaa", stateFile, data); err != nil {
			t.Fatal(err)
		}
		st, err := s.load("aaaaaaaa")
		if err != nil {
			return
		}
		if to := st.goesOn(); to != "" {
			if _, ok := row(to); !ok {
				t.Fatalf("it goes on at %q", to)
			}
			if !st.Handed && slices.Index(Steps(), to) > slices.Index(Steps(), PressIt) {
				t.Fatalf("nothing was handed over, and it goes on at %s", to)
			}
		}
		if err := s.save(st); err != nil {
			t.Fatal(err)
		}
		again, err := s.load("aaaaaaaa")
		if err != nil || again.Step != st.Step || again.Handed != st.Handed {
			t.Fatalf("written and read again: %v", err)
		}
	})
}
