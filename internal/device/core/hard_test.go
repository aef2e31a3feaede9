package core_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/bundle"
	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/receipt"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

func wizard(t *testing.T, network ...string) *reset.Wizard {
	w := &reset.Wizard{Name: "attic", Network: []reset.Address{}}
	for _, n := range network {
		a, err := reset.ParseAddress(n)
		if err != nil {
			t.Fatal(err)
		}
		w.Network = append(w.Network, a)
	}
	return w
}

func hard(t *testing.T, network ...string) deviceapi.PlanCall {
	return deviceapi.PlanCall{Mode: reset.Hard, Administrator: "anna", Wizard: wizard(t, network...)}
}

// survivors are the files that no reset brings back or sets back (D5).
func (d *device) survivors() map[string]string {
	d.t.Helper()
	out := map[string]string{}
	for _, name := range []string{"identity.key", "codes.json", "codes.key", "attempts.json", "baseline.json"} {
		raw, err := os.ReadFile(filepath.Join(d.dir, "state", name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			d.t.Fatal(err)
		}
		out[name] = string(raw)
	}
	return out
}

// D5: two presses, the wizard's answers, one transaction: set up anew, with
// nothing that must survive gone and the settings of before kept.
func TestHardReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		if err := d.core.RecordBaseline(t.Context()); err != nil {
			t.Fatal(err)
		}
		given, err := d.console().GiveCodes(t.Context(), corewire.CodesRequest{Administrator: "anna"})
		if err != nil || len(given.Codes) != 10 {
			t.Fatal(err)
		}
		key := d.core.KeyID()
		if status := d.about().Status; status != "ready" {
			t.Errorf("before: %s", status)
		}
		a := d.presentHard()
		survivors := d.survivors()
		var o deviceapi.OptionsReply
		if err := a.call(deviceapi.KindOptions, deviceapi.Empty{}, &o); err != nil || !slices.Contains(o.Modes, reset.Hard) || o.HardDemand != access.PresenceIsEnough {
			t.Fatalf("%v %+v", err, o)
		}
		d.ear = d.panel.Listen()
		p, err := a.reset(hard(t, "eth0=192.168.7.9/24,gateway=192.168.7.1,dns=9.9.9.9"), newPassword)
		if err != nil || p.Problem != nil || p.State != "committed" {
			t.Fatalf("%v %+v", err, p)
		}
		is := d.store.Running().Settings
		eth0 := is.Interfaces[0]
		if is.Name != "attic" || d.about().Name != "attic" || eth0.Method != nas.Static || eth0.Addresses[0].String() != "192.168.7.9/24" || eth0.Gateway != "192.168.7.1" {
			t.Errorf("the wizard's answers are not in force: %+v", is)
		}
		if len(is.Shares.Defined) != 0 || is.Firewall.Enabled || is.Ports.HTTP != 5000 {
			t.Errorf("not as at install: %+v", is)
		}
		if !d.accepts("anna", newPassword) || d.accepts("anna", oldPassword) || d.accepts("ben", oldPassword) {
			t.Error("the administrator cannot sign in, or another account still can")
		}
		if _, here := is.Account("ben"); !here {
			t.Error("an account is gone, and with it whose files these were")
		}
		if status := d.about().Status; status != "ready" {
			t.Errorf("afterwards: %s", status)
		}
		same(t, "a hard reset: what survives", survivors, d.survivors())
		if d.core.KeyID() != key {
			t.Error("another identity")
		}
		_, s, err := receipt.Verify(p.Receipt)
		if err != nil || s.Mode != "hard" || s.Result != receipt.Committed || s.Device.Name != "cellar" || !slices.ContainsFunc(s.NotCovered, func(n string) bool { return strings.Contains(n, "cron") }) {
			t.Errorf("the receipt: %v %+v", err, s)
		}
		shelf := core.Bundles(opfs.OS(nil), filepath.Join(d.dir, "state"))
		names, err := shelf.Names()
		if err != nil || len(names) != 1 {
			t.Fatalf("bundles: %v %v", names, err)
		}
		b, err := shelf.Load(names[0])
		if err != nil || b.Transaction != s.Transaction || b.KeyID != key || b.Name != "cellar" || !strings.Contains(string(b.Sections["memory.h1"]), "cellar") {
			t.Errorf("the bundle: %v %+v", err, b)
		}
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
		defer stop()
		for sounded := false; !sounded; { // the end of what sounded before is a change too
			tone, err := d.ear.Next(ctx)
			if err != nil {
				t.Fatalf("no beep says that it is ready: %v", err)
			}
			sounded = tone.Hz > 0
		}
	})
}

// Promise 3: a soft claim never becomes a hard reset, and a hard claim may still
// do less.
func TestHardTakesTheSecondPress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		a := d.present()
		before := d.everything()
		var o deviceapi.OptionsReply
		if err := a.call(deviceapi.KindOptions, deviceapi.Empty{}, &o); err != nil || slices.Contains(o.Modes, reset.Hard) || o.HardDemand != "" {
			t.Fatalf("%v %+v", err, o)
		}
		if err := a.call(deviceapi.KindPlan, hard(t), &deviceapi.PlanReply{}); problem(err) != "hard_press_needed" {
			t.Errorf("a plan: %v", err)
		}
		commit := deviceapi.CommitCall{PlanHash: "x", Administrator: "anna", NewPassword: access.NewSecret(newPassword), Wizard: wizard(t)}
		if err := a.call(deviceapi.KindCommit, commit, &deviceapi.CommitReply{}); problem(err) != "hard_press_needed" {
			t.Errorf("a commit: %v", err)
		}
		same(t, "asking for more than was pressed", before, d.everything())
		d.press(12 * time.Second)
		time.Sleep(time.Minute)
		a = d.presentHard()
		if p, err := a.reset(deviceapi.PlanCall{Mode: reset.Soft, Scope: reset.Credentials, Administrator: "anna"}, newPassword); err != nil || p.State != "committed" || d.store.Running().Settings.Name != "cellar" {
			t.Errorf("less than was pressed: %v %+v", err, p)
		}
	})
}

// Answers that cannot be right, and a reset that would lock everybody out, are
// refused before anything is changed (X24).
func TestHardRefusesBeforehand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		a := d.presentHard()
		before := d.everything()
		with := func(change func(*deviceapi.PlanCall)) deviceapi.PlanCall {
			q := hard(t)
			change(&q)
			return q
		}
		for name, c := range map[string]struct {
			call deviceapi.PlanCall
			want string
		}{
			"no answers":          {with(func(q *deviceapi.PlanCall) { q.Wizard = nil }), "wizard_needed"},
			"no administrator":    {with(func(q *deviceapi.PlanCall) { q.Administrator = "" }), "no_way_in_left"},
			"not an admin":        {with(func(q *deviceapi.PlanCall) { q.Administrator = "ben" }), "no_way_in_left"},
			"nobody there":        {with(func(q *deviceapi.PlanCall) { q.Administrator = "carla" }), "no_way_in_left"},
			"a bad name":          {with(func(q *deviceapi.PlanCall) { q.Wizard.Name = "../etc" }), "wizard_answer"},
			"no such card":        {hard(t, "eth9=192.168.7.9/24"), "wizard_answer"},
			"gateway elsewhere":   {hard(t, "eth0=192.168.7.9/24,gateway=10.0.0.1"), "wizard_answer"},
			"restore what":        {with(func(q *deviceapi.PlanCall) { q.Wizard.Restore = "all" }), "wizard_answer"},
			"answers for soft":    {deviceapi.PlanCall{Mode: reset.Soft, Scope: reset.All, Administrator: "anna", Wizard: wizard(t)}, "bad_message"},
			"mode without a name": {with(func(q *deviceapi.PlanCall) { q.Mode = "" }), "usage"},
		} {
			err := a.call(deviceapi.KindPlan, c.call, &deviceapi.PlanReply{})
			if string(problem(err)) != c.want && !(c.want == "usage" && problem(err) == "bad_message") {
				t.Errorf("%s: %v", name, err)
			}
		}
		// The answers are part of what was shown: others are another plan.
		var plan deviceapi.PlanReply
		if err := a.call(deviceapi.KindPlan, hard(t), &plan); err != nil {
			t.Fatal(err)
		}
		commit := deviceapi.CommitCall{PlanHash: plan.Hash, Administrator: "anna", NewPassword: access.NewSecret(newPassword), Wizard: wizard(t, "eth0=192.168.7.9/24")}
		if err := a.call(deviceapi.KindCommit, commit, &deviceapi.CommitReply{}); problem(err) != "plan_changed" {
			t.Errorf("other answers than were shown: %v", err)
		}
		same(t, "refused hard resets", before, d.everything())
	})
}

// D9 D11: the owner's choice governs a hard reset too, and outlives one.
func TestPolicyGovernsHard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.reboot(access.ButtonNetworkOnly)
		a := d.presentHard()
		if err := a.call(deviceapi.KindPlan, hard(t), &deviceapi.PlanReply{}); problem(err) != "policy_network_only" {
			t.Errorf("network-only: %v", err)
		}
		d.reboot(access.ButtonSecondProof)
		given, err := d.console().GiveCodes(t.Context(), corewire.CodesRequest{Administrator: "anna"})
		if err != nil {
			t.Fatal(err)
		}
		a = d.presentHard()
		if _, err := a.reset(hard(t), newPassword); problem(err) != "second_proof_needed" {
			t.Errorf("without a second proof: %v", err)
		}
		if p, err := a.resetWith(hard(t), newPassword, given.Codes[0]); err != nil || p.State != "committed" {
			t.Fatalf("with one: %v %+v", err, p)
		}
		time.Sleep(time.Hour)
		a = d.presentHard()
		if _, err := a.resetWith(hard(t), "another tractor 9 gulls", given.Codes[0]); problem(err) != "second_proof_wrong" {
			t.Errorf("a hard reset brought a spent code back: %v", err)
		}
	})
}

// D4 F3: configuration lost from acceptance to the end, and until what the
// owner wants back is restored; over a restart too.
func TestConfigurationLostIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &waiting{released: make(chan struct{})}
		d := start(t, func(all []setting.Adapter) []setting.Adapter {
			slow.Adapter = all[0]
			return append([]setting.Adapter{slow}, all[1:]...)
		})
		a := d.presentHard()
		q := hard(t)
		q.Wizard.Restore = reset.RestoreBundle
		var plan deviceapi.PlanReply
		if err := a.call(deviceapi.KindPlan, q, &plan); err != nil {
			t.Fatal(err)
		}
		var accepted deviceapi.CommitReply
		if err := a.call(deviceapi.KindCommit, deviceapi.CommitCall{PlanHash: plan.Hash, Administrator: "anna", NewPassword: access.NewSecret(newPassword), Wizard: q.Wizard}, &accepted); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if about := d.about(); about.Status != "configuration_lost" || about.Ready {
			t.Errorf("while it is carried out: %+v", about)
		}
		close(slow.released)
		time.Sleep(time.Minute)
		if about := d.about(); about.Status != "configuration_lost" || !about.Ready {
			t.Errorf("before what the owner wants back is restored: %+v", about)
		}
		d.stop()
		d.boot(nil)
		if about := d.about(); about.Status != "configuration_lost" || about.Name != "attic" {
			t.Errorf("after a restart: %+v", about)
		}
		before := len(d.panel.Lights())
		time.Sleep(10 * time.Second)
		if n := len(d.panel.Lights()) - before; n < 9 || n > 12 {
			t.Errorf("in 10 s the light changed %d times", n)
		}
	})
}

// waiting is an adapter whose writes take until it is told to go on.
type waiting struct {
	setting.Adapter
	released chan struct{}
}

func (w *waiting) Persist(ctx context.Context, s reset.Step) error {
	<-w.released
	return w.Adapter.Persist(ctx, s)
}

// What the NAS was set up like at install is written down once, without any
// password, and no reset writes it again.
func TestBaseline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.secondFactor("anna")
		if _, err := core.Baseline(opfs.OS(nil), filepath.Join(d.dir, "state")); !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		for range 2 {
			if err := d.core.RecordBaseline(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		var b bundle.Bundle
		b, err := core.Baseline(opfs.OS(nil), filepath.Join(d.dir, "state"))
		if err != nil || b.Sections["memory.e4"] == nil || b.Sections["memory.e1"] != nil || b.Sections["memory.h3"] != nil || b.Sections["memory.e13"] != nil || slices.Contains(b.NotHeld, "memory.e13") {
			t.Fatalf("%v %+v", err, b)
		}
		raw, _ := os.ReadFile(filepath.Join(d.dir, "state", "baseline.json"))
		if strings.Contains(string(raw), "argon2id") {
			t.Error("a password's hash is in the baseline")
		}
		was := d.survivors()["baseline.json"]
		if p, err := d.presentHard().reset(hard(t), newPassword); err != nil || p.State != "committed" {
			t.Fatalf("%v %+v", err, p)
		}
		if err := d.core.RecordBaseline(t.Context()); err != nil || d.survivors()["baseline.json"] != was {
			t.Errorf("the baseline was written again: %v", err)
		}
	})
}

// newcomer is a hard reset whose first administrator is a new account.
func newcomer(t *testing.T, name string) deviceapi.PlanCall {
	q := hard(t)
	q.Administrator, q.Wizard.NewAdministrator = name, true
	return q
}

// H3, E1: the first administrator may be a new account: in the plan, part of the
// transaction, in the receipt, and the only one that signs in afterwards.
func TestHardResetMakesAnAdministrator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		p, err := d.presentHard().reset(newcomer(t, "dora"), newPassword)
		if err != nil || p.State != "committed" {
			t.Fatalf("%v %+v", err, p)
		}
		if !d.accepts("dora", newPassword) || d.accepts("anna", oldPassword) || d.accepts("anna", newPassword) {
			t.Error("the new administrator cannot sign in, or another one still can")
		}
		if a, _ := d.store.Running().Settings.Account("dora"); !a.Administrator {
			t.Errorf("%+v", a)
		}
		_, s, err := receipt.Verify(p.Receipt)
		if err != nil || s.Administrator != "dora" || !slices.ContainsFunc(s.Changes, func(c receipt.Change) bool {
			return c.ID == "E1" && strings.Contains(c.To, "a new administrator dora is made")
		}) {
			t.Errorf("the receipt: %v %+v", err, s)
		}
	})
}

// Promise 1: all or nothing. What cannot be finished takes the account away again.
func TestANewAdministratorGoesWithTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, func(all []setting.Adapter) []setting.Adapter {
			last := len(all) - 1
			all[last] = unwilling{all[last]}
			return all
		})
		before := d.store.Running()
		p, err := d.presentHard().reset(newcomer(t, "dora"), newPassword)
		if err != nil || p.State != "undone" {
			t.Fatalf("%v %+v", err, p)
		}
		if after := d.store.Running(); !reflect.DeepEqual(before, after) || d.accepts("dora", newPassword) || !d.accepts("anna", oldPassword) {
			t.Errorf("not as before: %+v", after)
		}
	})
}

type unwilling struct{ setting.Adapter }

func (unwilling) Verify(context.Context, reset.Step) error {
	return fmt.Errorf("told to fail: %w", setting.ErrPermanent)
}

// A name that cannot be, one that is taken, and a proof that a new account cannot
// have, are refused with the plan; a name of nobody's makes none by mistake.
func TestNewAdministratorRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		a := d.presentHard()
		before := d.everything()
		for _, name := range []string{"anna", "ben", "root", "", "Dora", "-dora", "dora:x", "dora\n", strings.Repeat("d", 33)} {
			if err := a.call(deviceapi.KindPlan, newcomer(t, name), &deviceapi.PlanReply{}); problem(err) != "account_name" {
				t.Errorf("%q: %v", name, err)
			}
		}
		q := hard(t)
		q.Administrator = "dora"
		if err := a.call(deviceapi.KindPlan, q, &deviceapi.PlanReply{}); problem(err) == "" {
			t.Error("an account is made that nobody asked for")
		}
		var plan deviceapi.PlanReply
		if err := a.call(deviceapi.KindPlan, newcomer(t, "dora"), &plan); err != nil {
			t.Fatal(err)
		}
		commit := deviceapi.CommitCall{PlanHash: plan.Hash, Administrator: "erik", NewPassword: access.NewSecret(newPassword), Wizard: newcomer(t, "").Wizard}
		if err := a.call(deviceapi.KindCommit, commit, &deviceapi.CommitReply{}); problem(err) != "plan_changed" {
			t.Errorf("another name than was shown: %v", err)
		}
		same(t, "refused new administrators", before, d.everything())
		d.reboot(access.ButtonSecondProof)
		if err := d.presentHard().call(deviceapi.KindPlan, newcomer(t, "dora"), &deviceapi.PlanReply{}); problem(err) != "account_name" {
			t.Errorf("with a second proof: %v", err)
		}
	})
}
