package core_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	store "github.com/paperclip-nas/paperclip/internal/device/setting/memory"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/receipt"
)

// D2, E1: from the press to the new password, and what is kept.
func TestOwnerGetsBackIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		a := d.present()
		var options deviceapi.OptionsReply
		if err := a.call(deviceapi.KindOptions, deviceapi.Empty{}, &options); err != nil {
			t.Fatal(err)
		}
		if len(options.Administrators) != 2 || options.Administrators[0].Name != "anna" {
			t.Fatalf("administrators: %+v", options.Administrators)
		}
		p, err := a.reset(deviceapi.PlanCall{Mode: reset.Soft, Scope: reset.Credentials, Administrator: "anna"}, newPassword)
		if err != nil || p.Problem != nil || p.State != "committed" {
			t.Fatalf("%v %+v", err, p)
		}
		if !d.accepts("anna", newPassword) || d.accepts("anna", oldPassword) || !d.accepts("ben", oldPassword) {
			t.Error("passwords afterwards are not: new accepted, old refused, another user's kept")
		}
		is, was := d.store.Running().Settings, settings()
		for _, e := range nas.Effects()[1:] {
			if x, y := reset.Describe(e, was, "anna"), reset.Describe(e, is, "anna"); x != y {
				t.Errorf("a reset of the credentials changed %s: %s, was %s", e, y, x)
			}
		}
		key, s, err := receipt.Verify(p.Receipt)
		if err != nil || key != d.core.KeyID() || s.Result != receipt.Committed || s.Administrator != "anna" || len(s.Changes) != 1 {
			t.Errorf("the receipt: %v %+v", err, s)
		}
		for _, text := range []string{string(p.Receipt), d.log.String()} {
			if strings.Contains(text, newPassword) || strings.Contains(text, oldPassword) {
				t.Error("a password stands in a receipt or a log")
			}
		}
		if err := a.call(deviceapi.KindClose, deviceapi.Empty{}, &deviceapi.Empty{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if d.about().Claim.Open || d.network.last() != "close" {
			t.Error("the claim or its network stays after the claimant left")
		}
	})
}

// Promise 2: a press alone changes nothing, and a claim that lapses leaves
// everything as it was.
func TestPressAndLapseChangeNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		before := d.everything()
		d.press(4200 * time.Millisecond)
		about := d.about()
		if !about.Claim.Open || about.Claim.Hard || !about.Claim.CodeNeeded {
			t.Fatalf("after 4 s: %+v", about.Claim)
		}
		if d.network.last() != "open" {
			t.Error("the claim's network was not opened")
		}
		same(t, "a press", before, d.everything())
		time.Sleep(15 * time.Minute)
		synctest.Wait()
		if d.about().Claim.Open || d.network.last() != "close" {
			t.Error("the claim does not lapse")
		}
		same(t, "a claim that lapsed", before, d.everything())
		if !d.accepts("anna", oldPassword) {
			t.Error("the old password stopped working")
		}
		if !d.logs("the window is over") {
			t.Error("the log does not say why the claim closed")
		}
	})
}

// A child's hundred random presses leave the old password working.
func TestChildsPressesChangeNothing(t *testing.T) {
	for seed := range uint64(5) {
		synctest.Test(t, func(t *testing.T) {
			d := start(t, nil)
			before := d.everything()
			random := rand.New(rand.NewPCG(seed, 1))
			for range 100 {
				d.press(time.Duration(random.IntN(14000)) * time.Millisecond)
				time.Sleep(time.Duration(random.IntN(12000)) * time.Millisecond)
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			same(t, fmt.Sprintf("a child (seed %d)", seed), before, d.everything())
			if !d.accepts("anna", oldPassword) || d.about().Claim.Open {
				t.Error("the old password stopped working, or a claim is still open")
			}
		})
	}
}

// D8: a press that selects nothing says why. A claim is closed by holding on.
func TestPressesThatSelectNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.press(time.Second)
		if !d.logs("reason=too-short") || d.about().Claim.Open {
			t.Errorf("a press of a second: %s", d.log)
		}
		time.Sleep(time.Minute)
		d.press(12 * time.Second)
		if !d.logs("reason=too-long") || d.about().Claim.Open {
			t.Errorf("a press of 12 s: %s", d.log)
		}
		time.Sleep(time.Minute)
		d.press(4200 * time.Millisecond)
		time.Sleep(time.Minute)
		d.press(12 * time.Second)
		if d.about().Claim.Open || !d.logs("the button was held") {
			t.Error("12 s do not close a claim")
		}
	})
}

// D3: the second press makes it a hard claim, and only the second press.
func TestSecondPressMakesItHard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.press(4200 * time.Millisecond)
		time.Sleep(3 * time.Second)
		d.press(4200 * time.Millisecond)
		if c := d.about().Claim; !c.Open || !c.Hard {
			t.Fatalf("after two presses: %+v", c)
		}
	})
}

// Before presence is proved a stranger is shown no settings and no names, and
// nothing that a front can make up gets further.
func TestNothingBeforePresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		if _, err := d.enter(); problem(err) != "claim_closed" {
			t.Errorf("a session without a claim: %v", err)
		}
		d.press(4200 * time.Millisecond)
		a, err := d.enter()
		if err != nil {
			t.Fatal(err)
		}
		ctx := context.Background()
		for name, err := range map[string]error{
			"sealed": func() error {
				_, err := d.front.ClaimSealed(ctx, corewire.ClaimSealedRequest{Source: d.source, Body: deviceapi.SealedRequest{Session: a.session, Box: make([]byte, 64)}})
				return err
			}(),
			"confirm": func() error {
				_, err := d.front.ClaimConfirm(ctx, corewire.ClaimConfirmRequest{Source: d.source, Body: deviceapi.ConfirmRequest{Session: a.session, Confirm: make([]byte, 32)}})
				return err
			}(),
			"status":   d.front.Read(ctx, corewire.ReadStatus, &struct{}{}),
			"receipts": d.front.Read(ctx, corewire.ReadReceipts, &struct{}{}),
			"owners":   d.front.Read(ctx, corewire.ReadOwners, &struct{}{}),
			"requests": d.front.Read(ctx, corewire.ReadRequests, &struct{}{}),
		} {
			if id := problem(err); id != "presence_not_shown" && id != "wrong_code" {
				t.Errorf("%s: %v", name, err)
			}
		}
		raw, err := json.Marshal(d.about())
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"anna", `"ben"`, "192.168.1.20", "8443"} {
			if strings.Contains(string(raw), secret) {
				t.Errorf("anybody is shown %q: %s", secret, raw)
			}
		}
		if _, err := d.front.ClaimSession(ctx, corewire.ClaimSessionRequest{Source: d.source, LeafSPKI: []byte("somebody else's key")}); problem(err) != "bad_message" {
			t.Errorf("a session over a key that core did not certify: %v", err)
		}
	})
}

// X19: a try is on disk before its answer is; twenty wrong ones by a neighbour
// do not stop the owner.
func TestTriesAreCountedAndCannotBeUsedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.press(4200 * time.Millisecond)
		code := d.hear()
		wrong := code
		wrong[0] = wrong[0]%6 + 1
		onDisk := func() (n struct {
			Tries int `json:"tries"`
		},
		) {
			raw, err := os.ReadFile(filepath.Join(d.dir, "state", "attempts.json"))
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(raw, &n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		owner := d.source
		d.source = netip.MustParseAddr("192.168.1.66")
		tries := 0
		for range 6 {
			a, err := d.enter()
			if err != nil {
				t.Fatal(err)
			}
			for {
				err := a.try(wrong)
				if problem(err) != "wrong_code" {
					break
				}
				tries++
				if n := onDisk(); n.Tries != tries {
					t.Fatalf("%d tries on disk after %d", n.Tries, tries)
				}
			}
			time.Sleep(2 * time.Minute / 6)
		}
		if tries != 20 {
			t.Fatalf("a neighbour had %d tries", tries)
		}
		if !d.about().Claim.PressNeeded {
			t.Error("nobody is told that a press is needed")
		}
		d.source = owner
		a, err := d.enter()
		if err != nil {
			t.Fatal(err)
		}
		if err := a.try(code); problem(err) != "tries_spent" {
			t.Fatalf("without a press: %v", err)
		}
		d.ear = d.panel.Listen()
		d.press(300 * time.Millisecond)
		if err := a.try(d.hear()); err != nil {
			t.Fatalf("the owner, after a short press: %v", err)
		}
		if err := a.call(deviceapi.KindOptions, deviceapi.Empty{}, &deviceapi.OptionsReply{}); err != nil {
			t.Fatal(err)
		}
	})
}

// A code is said anew by a short press, and the old one is worth nothing then.
func TestFreshCodeReplacesTheOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.press(4200 * time.Millisecond)
		first := d.hear()
		second := first
		for second == first { // one time in 1,296 the new one is the old one
			d.ear = d.panel.Listen()
			d.press(300 * time.Millisecond)
			second = d.hear()
		}
		a, err := d.enter()
		if err != nil {
			t.Fatal(err)
		}
		if err := a.try(first); problem(err) != "wrong_code" {
			t.Errorf("the old code: %v", err)
		}
		if err := a.try(second); err != nil {
			t.Errorf("the new code: %v", err)
		}
	})
}

// What is accepted is what was shown, by whom it was shown to.
func TestPlanMustBeTheOneShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		a := d.present()
		var plan deviceapi.PlanReply
		if err := a.call(deviceapi.KindPlan, deviceapi.PlanCall{Mode: reset.Soft, Scope: reset.Network, Administrator: "anna"}, &plan); err != nil {
			t.Fatal(err)
		}
		before := d.everything()
		for name, c := range map[string]struct {
			call deviceapi.CommitCall
			want string
		}{
			"made-up plan":     {deviceapi.CommitCall{PlanHash: strings.Repeat("0", 64), Administrator: "anna", NewPassword: access.NewSecret(newPassword)}, "plan_changed"},
			"no administrator": {deviceapi.CommitCall{PlanHash: plan.Hash, Administrator: "ben"}, "unknown_administrator"},
			"no such account":  {deviceapi.CommitCall{PlanHash: plan.Hash, Administrator: "nobody"}, "unknown_administrator"},
		} {
			if err := a.call(deviceapi.KindCommit, c.call, &deviceapi.CommitReply{}); string(problem(err)) != c.want {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, err := a.reset(deviceapi.PlanCall{Mode: reset.Soft, Scope: reset.Credentials, Administrator: "anna"}, "short")
		if problem(err) != "password_short" {
			t.Errorf("a short password: %v", err)
		}
		same(t, "a refused commit", before, d.everything())
		p, err := a.reset(deviceapi.PlanCall{Mode: reset.Soft, Scope: reset.Network, Administrator: "anna"}, "")
		if err != nil || p.State != "committed" {
			t.Fatalf("the network alone, without a password (D13): %v %+v", err, p)
		}
		if !d.accepts("anna", oldPassword) || d.store.Running().Settings.Interfaces[0].Method != nas.DHCP {
			t.Error("a network reset did not do the network and only the network")
		}
		synctest.Wait()
		if calls := d.network.all(); !slices.Equal(calls[len(calls)-2:], []string{"open", "open"}) {
			t.Errorf("the claim's network is still that of the cards and ports of before: %v", calls)
		}
	})
}

// Promise 1: a setting that cannot be changed puts everything back.
func TestFailureUndoesEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, func(all []setting.Adapter) []setting.Adapter {
			for i, a := range all {
				if a.Effects()[0] == nas.E9 {
					all[i] = broken{a}
				}
			}
			return all
		})
		before := d.store.Running()
		a := d.present()
		p, err := a.reset(deviceapi.PlanCall{Mode: reset.Soft, Scope: reset.All, Administrator: "anna"}, newPassword)
		if err != nil || p.State != "undone" || p.Problem == nil || p.Problem.ID != "step_failed" {
			t.Fatalf("%v %+v", err, p)
		}
		if !strings.Contains(p.Problem.Meaning, "at once for: firewall") || !strings.Contains(p.Problem.WhatToDo, "Restart") {
			t.Errorf("the firewall does not answer, and all is said to be as before: %v", p.Problem)
		}
		if d.accepts("anna", newPassword) || !d.accepts("anna", oldPassword) {
			t.Error("the password is not the old one")
		}
		if diff := cmp.Diff(before, d.store.Running(), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
			t.Errorf("not all is as before:\n%s", diff)
		}
		if _, s, err := receipt.Verify(p.Receipt); err != nil || s.Result != receipt.Undone || len(s.Changes) != 0 {
			t.Errorf("the receipt: %v %+v", err, s)
		}
	})
}

// Promise 4: what somebody else has set meanwhile was left, and is not said to be put back.
func TestWhatWasLeftAloneIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, func(all []setting.Adapter) []setting.Adapter {
			for i, a := range all {
				if a.ID() == "memory.e1" {
					all[i] = setMeanwhile{a}
				}
			}
			return all
		})
		p, err := d.present().reset(ofAnna(), newPassword)
		if err != nil || p.State != "undone" || p.Problem == nil || p.Problem.ID != "third_value" || !strings.Contains(p.Problem.Text, nas.E1.Setting()) {
			t.Errorf("%v %+v", err, p)
		}
	})
}

// setMeanwhile is a part of a NAS that somebody else has set when it is written.
type setMeanwhile struct{ setting.Adapter }

func (setMeanwhile) Persist(context.Context, reset.Step) error { return setting.ErrThirdValue }
func (setMeanwhile) Undo(context.Context, reset.Step) error    { return setting.ErrThirdValue }

// broken cannot be activated.
type broken struct{ setting.Adapter }

func (broken) Activate(context.Context, reset.Step) error {
	return fmt.Errorf("the firewall does not answer: %w", setting.ErrPermanent)
}

// Promise 5: core reads back; an adapter whose writes get lost and that says
// otherwise is found out by the next sign-in, not by the engine.
func TestLostWriteShowsAtSignIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, func(all []setting.Adapter) []setting.Adapter {
			all[0] = store.Silent(all[0])
			return all
		})
		a := d.present()
		if _, err := a.reset(deviceapi.PlanCall{Mode: reset.Soft, Scope: reset.Credentials, Administrator: "anna"}, newPassword); err != nil {
			t.Fatal(err)
		}
		_, err := d.front.SignIn(context.Background(), corewire.SignInRequest{Source: d.source, User: "anna", Password: access.NewSecret(newPassword)})
		if problem(err) != "sign_in_failed" {
			t.Errorf("signing in with a password that was never written: %v", err)
		}
	})
}

// X16, X22: the same answer for every account, longer waits for who fails, no
// wait for anybody else.
func TestSignIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		try := func(source, user, password string) error {
			_, err := d.front.SignIn(context.Background(), corewire.SignInRequest{Source: netip.MustParseAddr(source), User: user, Password: access.NewSecret(password)})
			return err
		}
		if err := try("192.168.1.7", "anna", oldPassword); err != nil {
			t.Fatal(err)
		}
		var answers []string
		for _, user := range []string{"anna", "nobody", "root", ""} {
			answers = append(answers, fmt.Sprint(try("192.168.1."+fmt.Sprint(100+len(answers)), user, "wrong password at all")))
		}
		for _, a := range answers[1:] {
			if a != answers[0] {
				t.Errorf("answers differ: %q", answers)
			}
		}
		for range 50 {
			_ = try("192.168.1.66", "anna", "wrong password at all")
		}
		if err := try("192.168.1.66", "anna", oldPassword); problem(err) != "sign_in_later" {
			t.Errorf("after 50 failures: %v", err)
		}
		if err := try("192.168.1.7", "anna", oldPassword); err != nil {
			t.Errorf("the owner, from elsewhere: %v", err)
		}
		time.Sleep(time.Minute)
		if err := try("192.168.1.66", "anna", oldPassword); err != nil {
			t.Errorf("a minute later: %v", err)
		}
	})
}

// A reset that was accepted before the power failed is finished at the next
// start, with its receipt; starting again changes nothing more.
func TestAcceptedResetIsFinishedAfterAPowerCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		d := start(t, func(all []setting.Adapter) []setting.Adapter {
			all[0] = stuck{all[0], gate}
			return all
		})
		a := d.present()
		var plan deviceapi.PlanReply
		if err := a.call(deviceapi.KindPlan, deviceapi.PlanCall{Mode: reset.Soft, Scope: reset.Credentials, Administrator: "anna"}, &plan); err != nil {
			t.Fatal(err)
		}
		if err := a.call(deviceapi.KindCommit, deviceapi.CommitCall{PlanHash: plan.Hash, Administrator: "anna", NewPassword: access.NewSecret(newPassword)}, &deviceapi.CommitReply{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		d.stop()
		close(gate)
		synctest.Wait()
		if d.accepts("anna", newPassword) {
			t.Fatal("the adapter was not stuck: this test shows nothing")
		}
		d.boot(nil)
		d.about() // core serves, so it has finished
		if !d.accepts("anna", newPassword) || d.accepts("anna", oldPassword) {
			t.Error("the accepted reset was not finished")
		}
		after := d.everything()
		d.stop()
		d.boot(nil)
		d.about()
		same(t, "a start with nothing to do", after, d.everything())
		list, err := d.core.Receipts()
		if err != nil || len(list.Receipts) != 1 || !list.Receipts[0].Valid || list.Receipts[0].Statement.Result != receipt.Committed {
			t.Errorf("receipts: %v %+v", err, list)
		}
	})
}

// stuck does not persist before its gate opens; then the power is gone.
type stuck struct {
	setting.Adapter
	gate chan struct{}
}

func (s stuck) Persist(ctx context.Context, _ reset.Step) error {
	select {
	case <-s.gate:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// A front that lies gets nothing: whatever frames it sends, no claim opens, no
// setting changes, no name is told.
func TestLyingFrontGetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.press(4200 * time.Millisecond)
		before := d.everything()
		random := rand.New(rand.NewPCG(7, 7))
		ctx := context.Background()
		for range 300 {
			mine, theirs := net.Pipe()
			served := make(chan error, 1)
			go func() { served <- d.core.Serve(ctx, mine) }()
			liar, err := corewire.Dial(ctx, theirs)
			if err != nil {
				t.Fatal(err)
			}
			session := fmt.Sprintf("%032x", random.Uint64())
			junk := make([]byte, random.IntN(200))
			for i := range junk {
				junk[i] = byte(random.Uint32())
			}
			source := netip.AddrFrom4([4]byte{10, byte(random.Uint32()), 1, 1})
			var errs []error
			_, err = liar.Certify(ctx, corewire.CertifyRequest{LeafPublicKey: junk})
			errs = append(errs, err)
			_, err = liar.ClaimPake(ctx, corewire.ClaimPakeRequest{Source: source, Body: deviceapi.PakeRequest{Session: session, Share: junk}})
			errs = append(errs, err)
			_, err = liar.ClaimConfirm(ctx, corewire.ClaimConfirmRequest{Source: source, Body: deviceapi.ConfirmRequest{Session: session, Confirm: junk}})
			errs = append(errs, err)
			_, err = liar.ClaimSealed(ctx, corewire.ClaimSealedRequest{Source: source, Body: deviceapi.SealedRequest{Session: session, Box: junk}})
			errs = append(errs, err)
			for i, err := range errs {
				if err == nil || strings.Contains(err.Error(), "anna") {
					t.Fatalf("request %d of a liar: %v", i, err)
				}
			}
			liar.Close()
			<-served
		}
		same(t, "a lying front", before, d.everything())
	})
}

// A6: root on the device sets a password by one command: the same transaction,
// rules and receipt as a claim, and no front may ask for it.
func TestConsoleSetsAPassword(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		ctx := context.Background()
		mine, theirs := net.Pipe()
		served := make(chan error, 1)
		go func() { served <- d.core.ServeConsole(ctx, mine) }()
		root, err := corewire.Dial(ctx, theirs)
		if err != nil {
			t.Fatal(err)
		}
		q := corewire.ResetRequest{Scope: reset.Credentials, Administrator: "anna", Password: access.NewSecret("short")}
		if _, err := root.Reset(ctx, q); problem(err) != "password_short" {
			t.Errorf("a short password: %v", err)
		}
		q.Administrator, q.Password = "ben", access.NewSecret(newPassword)
		if _, err := root.Reset(ctx, q); problem(err) != "unknown_administrator" {
			t.Errorf("somebody who is no administrator: %v", err)
		}
		q.Administrator = "anna"
		p, err := root.Reset(ctx, q)
		if err != nil || p.State != "committed" {
			t.Fatalf("%v %+v", err, p)
		}
		if !d.accepts("anna", newPassword) || d.accepts("anna", oldPassword) {
			t.Error("the password is not the new one")
		}
		if _, s, err := receipt.Verify(p.Receipt); err != nil || s.Claim != "" || s.Administrator != "anna" {
			t.Errorf("the receipt: %v %+v", err, s)
		}
		root.Close()
		<-served
		before := d.everything()
		if _, err := d.front.Reset(ctx, q); err == nil {
			t.Error("a front may reset without a claim")
		}
		same(t, "a front that asks for a reset", before, d.everything())
	})
}
