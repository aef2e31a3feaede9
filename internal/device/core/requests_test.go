package core_test

import (
	"context"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/device/setting"
	store "github.com/paperclip-nas/paperclip/internal/device/setting/memory"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/receipt"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// ask goes from the proof to the request that waits.
func (a *assistant) ask(q deviceapi.PlanCall, key ed25519.PrivateKey, password string) (deviceapi.CommitReply, error) {
	a.d.t.Helper()
	var plan deviceapi.PlanReply
	if err := a.call(deviceapi.KindPlan, q, &plan); err != nil {
		return deviceapi.CommitReply{}, err
	}
	c := deviceapi.CommitCall{PlanHash: plan.Hash, Administrator: q.Administrator, NewPassword: secret(password)}
	if key != nil {
		c.OwnerKey = key.Public().(ed25519.PublicKey)
	}
	var reply deviceapi.CommitReply
	return reply, a.call(deviceapi.KindCommit, c, &reply)
}

func secret(s string) access.Secret { return access.NewSecret(s) }

func (d *device) requests() []core.ListedRequest {
	d.t.Helper()
	var list core.RequestList
	if err := d.console().Read(context.Background(), corewire.ReadRequests, &list); err != nil {
		d.t.Fatal(err)
	}
	return list.Requests
}

// D11: with "wait 24h" presence leaves a request and changes nothing. Every
// administrator is told, in every way there is, and no password is kept.
func TestPresenceLeavesARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.reboot("wait 24h")
		a := d.present()
		var options deviceapi.OptionsReply
		if err := a.call(deviceapi.KindOptions, deviceapi.Empty{}, &options); err != nil {
			t.Fatal(err)
		}
		if options.Demands[reset.Credentials] != access.AfterWait || options.Demands[reset.Network] != access.PresenceIsEnough || !strings.Contains(options.Costs, "24 hours") {
			t.Errorf("told beforehand: %v, %q", options.Demands, options.Costs)
		}
		key := newKey(t)
		before := d.store.Running()
		if _, err := a.ask(ofAnna(), key, newPassword); problem(err) != "bad_message" {
			t.Errorf("a password is taken that must not be kept: %v", err)
		}
		if _, err := a.ask(ofAnna(), nil, ""); problem(err) != "wait_needs_key" {
			t.Errorf("a request without a key: %v", err)
		}
		reply, err := a.ask(ofAnna(), key, "")
		if err != nil || reply.Request == "" || reply.Transaction != "" || reply.WaitSeconds != 24*60*60 {
			t.Fatalf("%v %+v", err, reply)
		}
		again, err := a.ask(ofAnna(), key, "")
		if err != nil || again.Request != reply.Request {
			t.Errorf("the same again is another request: %v %+v", err, again)
		}
		if after := d.store.Running(); after.Hashes["anna"] != before.Hashes["anna"] || !d.accepts("anna", oldPassword) {
			t.Error("something is changed before the wait is over")
		}
		synctest.Wait()
		banner, mails := d.told.read()
		if !strings.Contains(banner, "--refuse") || len(mails) != 1 || !strings.Contains(mails[0], "cellar") {
			t.Errorf("told at sign-in: %q; by mail: %q", banner, mails)
		}
		if n := d.about().Notices; len(n) != 1 || n[0].ID != "notice_request_begun" {
			t.Errorf("told on the LAN: %+v", n)
		}
		if list := d.requests(); len(list) != 1 || list[0].State != access.RequestWaiting || list[0].Plan.Administrator != "anna" {
			t.Errorf("%+v", list)
		}
	})
}

// A claimant who asks for something else has the request of before withdrawn, and
// waits for the new one from its beginning; what is withdrawn is never carried
// out.
func TestAnotherPlanReplacesTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.reboot("wait 2h")
		key := newKey(t)
		a := d.present()
		first, err := a.ask(ofAnna(), key, "")
		must(t, err)
		must(t, a.call(deviceapi.KindClose, deviceapi.Empty{}, &deviceapi.Empty{}))
		time.Sleep(90 * time.Minute)
		a = d.present()
		all := deviceapi.PlanCall{Mode: reset.Soft, Scope: reset.All, Administrator: "anna"}
		second, err := a.ask(all, key, "")
		if err != nil || second.Request == first.Request || second.WaitSeconds != 2*60*60 {
			t.Fatalf("%v %+v", err, second)
		}
		if again, err := a.ask(all, key, ""); err != nil || again.Request != second.Request {
			t.Errorf("the same again: %v %+v", err, again)
		}
		if list := d.requests(); len(list) != 2 || list[0].State != access.RequestWithdrawn || list[1].State != access.RequestWaiting || list[1].LeftSeconds < 7000 {
			t.Errorf("%+v", list)
		}
		if other, err := a.ask(ofAnna(), newKey(t), ""); err != nil || other.Request == second.Request {
			t.Errorf("another key's: %v", err)
		}
		if list := d.requests(); len(list) != 3 || list[1].State != access.RequestWaiting {
			t.Errorf("another key's request replaced it: %+v", list)
		}
		time.Sleep(time.Hour) // the first would be over by now
		synctest.Wait()
		if list := d.requests(); list[0].State != access.RequestWithdrawn || list[1].State != access.RequestWaiting {
			t.Errorf("after the first one's time: %+v", list)
		}
	})
}

// D11, X19: time in which the NAS is off does not count, nor does more than was
// written down before a power cut; and it does end.
func TestWaitRunsOnTheDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.reboot("wait 2h")
		if _, err := d.present().ask(ofAnna(), newKey(t), ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		d.stop()
		time.Sleep(48 * time.Hour) // off
		d.boot(nil)
		left := time.Duration(d.requests()[0].LeftSeconds) * time.Second
		if left < time.Hour || left > time.Hour+6*time.Minute {
			t.Fatalf("after an hour on and two days off %s of two hours are left", left)
		}
		time.Sleep(left - time.Minute)
		synctest.Wait()
		if s := d.requests()[0].State; s != access.RequestWaiting {
			t.Errorf("a minute early it is %s", s)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if s := d.requests()[0].State; s != access.RequestRipe {
			t.Errorf("after the wait it is %s", s)
		}
		d.stop()
		d.boot(nil)
		if s := d.requests()[0].State; s != access.RequestRipe {
			t.Errorf("after a restart it is %s", s)
		}
		time.Sleep(access.RipeFor + time.Hour)
		synctest.Wait()
		if s := d.requests()[0].State; s != access.RequestExpired {
			t.Errorf("a week later, with nobody come, it is %s", s)
		}
	})
}

// D11: root can say no; nothing can be done with the request then.
func TestRootRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.reboot("wait 24h")
		root := d.console()
		ctx := context.Background()
		if err := root.Refuse(ctx, corewire.RefuseRequest{}); problem(err) != "request_unknown" {
			t.Errorf("refusing where there is none: %v", err)
		}
		reply, err := d.present().ask(ofAnna(), newKey(t), "")
		if err != nil {
			t.Fatal(err)
		}
		if err := root.Refuse(ctx, corewire.RefuseRequest{ID: "another"}); problem(err) != "request_unknown" {
			t.Errorf("refusing another: %v", err)
		}
		if err := d.front.Refuse(ctx, corewire.RefuseRequest{ID: reply.Request}); err == nil {
			t.Error("a front refuses it")
		}
		if err := root.Refuse(ctx, corewire.RefuseRequest{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(25 * time.Hour)
		if s := d.requests()[0].State; s != access.RequestRefused {
			t.Errorf("it is %s", s)
		}
		if err := root.Refuse(ctx, corewire.RefuseRequest{ID: reply.Request}); problem(err) != "request_over" {
			t.Errorf("refusing it again: %v", err)
		}
	})
}

// Promise 7: nobody fills the device with requests, and one that is full says
// what to do.
func TestRequestsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.reboot("wait 24h")
		a := d.present()
		for range access.MaxRequests {
			if _, err := a.ask(ofAnna(), newKey(t), ""); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := a.ask(ofAnna(), newKey(t), ""); problem(err) != "requests_full" {
			t.Errorf("%v", err)
		}
	})
}

// What cannot be understood is not taken for forgotten.
func TestDamagedRequestsKeepCoreFromStarting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.stop()
		for _, bad := range []string{"", "{", `{"version":2,"requests":[]}`, `{"version":1,"requests":[{"id":"x","state":"ripe"}]}`} {
			file := filepath.Join(d.dir, "state", "requests.json")
			if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := core.New(d.config(nil)); err == nil {
				t.Errorf("it starts with %q", bad)
			}
		}
	})
}

// D11: a notice is shown for a week, over restarts, and a system that cannot
// tell it keeps nobody from getting in.
func TestNoticesLastAWeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.told.refuse(os.ErrPermission)
		if p, err := d.present().reset(ofAnna(), newPassword); err != nil || p.State != "committed" {
			t.Fatalf("%v %+v", err, p)
		}
		synctest.Wait()
		if banner, _ := d.told.read(); !strings.Contains(banner, "was reset") {
			t.Errorf("at sign-in: %q", banner)
		}
		time.Sleep(6 * 24 * time.Hour)
		d.stop()
		d.told = &fakeNotifier{}
		d.boot(nil)
		synctest.Wait()
		if banner, mails := d.told.read(); !strings.Contains(banner, "was reset") || len(mails) != 0 || len(d.about().Notices) != 1 {
			t.Errorf("after six days and a restart: %q %q", banner, mails)
		}
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		if banner, _ := d.told.read(); banner != "" || len(d.about().Notices) != 0 {
			t.Errorf("after a week: %q", banner)
		}
	})
}

// D11: on a NAS that starts without knowing the time, a notice is shown for a week
// from when its clock is set.
func TestNoticeOfBeforeTheClockWasSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil) // synctest begins in the year 2000
		d.resetAs(newKey(t), ofAnna(), newPassword)
		d.ahead.Store(int64(26 * 365 * 24 * time.Hour))
		for day := range 7 {
			if n := d.about().Notices; len(n) != 1 {
				t.Fatalf("after %d days: %+v", day, n)
			}
			time.Sleep(time.Minute)
			d.stop()
			d.boot(nil)
			if banner, _ := d.told.read(); !strings.Contains(banner, "was reset") || !strings.Contains(banner, "202") {
				t.Errorf("after %d days, at sign-in: %q", day, banner)
			}
			time.Sleep(24*time.Hour - 2*time.Minute)
		}
		time.Sleep(time.Hour)
		if n := d.about().Notices; len(n) != 0 {
			t.Errorf("after a week: %+v", n)
		}
	})
}

// E13, promise 7: a second factor goes with a second proof, and only where it
// was asked for.
func TestSecondFactorIsTakenAwayWithAProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.secondFactor("anna")
		factor := func() bool { a, _ := d.store.Running().Settings.Account("anna"); return a.SecondFactor }
		given, err := d.console().GiveCodes(context.Background(), corewire.CodesRequest{Administrator: "anna"})
		if err != nil {
			t.Fatal(err)
		}
		a := d.present()
		without, with := ofAnna(), ofAnna()
		with.SecondFactor = true
		if _, err := a.resetWith(with, newPassword, ""); problem(err) != "second_proof_needed" {
			t.Errorf("without a second proof: %v", err)
		}
		if _, err := a.reset(deviceapi.PlanCall{Mode: reset.Soft, Scope: reset.Network, Administrator: "anna", SecondFactor: true}, ""); problem(err) != "no_second_factor" {
			t.Errorf("with the network: %v", err)
		}
		if p, err := a.reset(without, newPassword); err != nil || p.State != "committed" || !factor() {
			t.Fatalf("a reset that does not ask for it: %v %+v, factor %v", err, p, factor())
		}
		if err := a.call(deviceapi.KindClose, deviceapi.Empty{}, &deviceapi.Empty{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		p, err := d.present().resetWith(with, oldPassword, given.Codes[0])
		if err != nil || p.State != "committed" || factor() || !d.accepts("anna", oldPassword) {
			t.Fatalf("with a code: %v %+v, factor %v", err, p, factor())
		}
		if n := d.about().Notices; len(n) != 3 || n[1].ID != "notice_code_spent" {
			t.Errorf("told: %+v", n)
		}
	})
}

// waited leaves a request and lets its wait pass.
func (d *device) waited(q deviceapi.PlanCall, key ed25519.PrivateKey) string {
	d.t.Helper()
	a := d.present()
	reply, err := a.ask(q, key, "")
	must(d.t, err)
	must(d.t, a.call(deviceapi.KindClose, deviceapi.Empty{}, &deviceapi.Empty{}))
	time.Sleep(25 * time.Hour)
	synctest.Wait()
	return reply.Request
}

// resumeWith is a claimant who comes back, with this key.
func (d *device) resumeWith(key ed25519.PrivateKey, request, password string) (*owner, deviceapi.ResumeReply, error) {
	d.t.Helper()
	o := d.converse()
	if _, err := o.byKey(key); err != nil {
		return o, deviceapi.ResumeReply{}, err
	}
	var r deviceapi.ResumeReply
	err := o.call(deviceapi.OwnerResume, deviceapi.ResumeCall{Request: request, NewPassword: secret(password)}, &r)
	return o, r, err
}

func (o *owner) follow(transaction string) deviceapi.ProgressReply {
	o.d.t.Helper()
	for {
		var p deviceapi.ProgressReply
		must(o.d.t, o.call(deviceapi.OwnerProgress, deviceapi.ProgressCall{Transaction: transaction}, &p))
		if p.Done {
			return p
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// D11: after the wait the claimant's key, and no other, carries out what was
// asked for, with a password that is sent only then. Until it has, that key is
// good for nothing else.
func TestKeyResumesAfterTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.reboot("wait 24h")
		key := newKey(t)
		first, err := d.present().ask(ofAnna(), key, "")
		must(t, err)
		o, _, err := d.resumeWith(key, first.Request, newPassword)
		if problem(err) != "wait_not_over" {
			t.Errorf("before the wait is over: %v", err)
		}
		var where deviceapi.RequestReply
		must(t, o.call(deviceapi.OwnerRequest, deviceapi.RequestCall{}, &where))
		if where.Request != first.Request || where.State != access.RequestWaiting || where.WaitSeconds < 86000 {
			t.Errorf("%+v", where)
		}
		for method, body := range map[deviceapi.OwnerMethod]any{
			deviceapi.OwnerRequests: deviceapi.Empty{}, deviceapi.OwnerRefuse: deviceapi.RequestCall{},
			deviceapi.OwnerReceipt: deviceapi.ReceiptCall{}, deviceapi.OwnerProgress: deviceapi.ProgressCall{Transaction: "another"}, deviceapi.OwnerPut: deviceapi.OwnerPutCall{Data: []byte{1}},
		} {
			if err := o.call(method, body, &struct{}{}); problem(err) != "owner_narrow" {
				t.Errorf("the key of a request is let into %s: %v", method, err)
			}
		}
		time.Sleep(25 * time.Hour)
		if _, _, err := d.resumeWith(newKey(t), first.Request, newPassword); problem(err) != "owner_unknown" {
			t.Errorf("another key: %v", err)
		}
		if _, _, err := d.resumeWith(key, first.Request, "short"); problem(err) != "password_short" {
			t.Errorf("a bad password: %v", err)
		}
		o, r, err := d.resumeWith(key, first.Request, newPassword)
		must(t, err)
		if r.Check(where.Plan) != nil {
			t.Error("another plan than the one that was shown")
		}
		if p := o.follow(r.Transaction); p.State != "committed" || !d.accepts("anna", newPassword) || d.accepts("anna", oldPassword) {
			t.Errorf("%+v", p)
		}
		var got deviceapi.ReceiptReply
		must(t, o.call(deviceapi.OwnerReceipt, deviceapi.ReceiptCall{Transaction: r.Transaction}, &got))
		_, s, err := receipt.Verify(got.Receipt)
		if err != nil || s.Claim != first.Request || s.PlanHash != r.Hash {
			t.Errorf("the receipt: %v %+v", err, s)
		}
		if _, _, err := d.resumeWith(key, first.Request, newPassword); problem(err) != "request_over" {
			t.Errorf("a second time: %v", err)
		}
		if as, err := d.converse().byKey(key); err != nil || as.Account != "anna" {
			t.Errorf("the key is enrolled now: %v %+v", err, as)
		}
	})
}

// What is carried out after the wait is what was shown before it.
func TestResumeWithOtherSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.reboot("wait 24h")
		key := newKey(t)
		all := deviceapi.PlanCall{Mode: reset.Soft, Scope: reset.All, Administrator: "anna"}
		id := d.waited(all, key)
		d.stop()
		s := d.store.Running()
		s.Settings.Ports.HTTP = 9999
		var err error
		d.store, err = store.Create(opfs.OS(nil), filepath.Join(d.dir, "settings.json"), s)
		must(t, err)
		d.boot(nil)
		if _, _, err := d.resumeWith(key, id, newPassword); problem(err) != "plan_changed" {
			t.Errorf("%v", err)
		}
		if !d.accepts("anna", oldPassword) {
			t.Error("something was changed")
		}
	})
}

// D11: the owner's choice counts as it is when the claimant comes back, and an
// administrator's no is as good as root's.
func TestOwnersCanSayNo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.reboot("wait 24h")
		key := newKey(t)
		id := d.waited(ofAnna(), key)
		for policy, want := range map[access.ButtonPolicy]string{access.ButtonNetworkOnly: "policy_network_only", access.ButtonSecondProof: "second_proof_needed"} {
			d.reboot(policy)
			if _, _, err := d.resumeWith(key, id, newPassword); string(problem(err)) != want {
				t.Errorf("under %s: %v", policy, err)
			}
		}
		d.reboot("wait 24h")
		o := d.converse()
		_, err := o.byPassword("anna", oldPassword)
		must(t, err)
		var list deviceapi.RequestsReply
		must(t, o.call(deviceapi.OwnerRequests, deviceapi.Empty{}, &list))
		if len(list.Requests) != 1 || list.Requests[0].Request != id {
			t.Errorf("%+v", list)
		}
		must(t, o.call(deviceapi.OwnerRefuse, deviceapi.RequestCall{Request: id}, &deviceapi.Empty{}))
		if _, _, err := d.resumeWith(key, id, newPassword); problem(err) != "request_over" {
			t.Errorf("after the no: %v", err)
		}
	})
}

// A claimant can take the request back, and a transaction that is undone leaves
// it to be tried again.
func TestWithdrawAndUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.policy = "wait 24h"
		d.stop()
		d.boot(func(all []setting.Adapter) []setting.Adapter { return append(all[1:], stubborn{all[0]}) })
		key := newKey(t)
		id := d.waited(ofAnna(), key)
		o, r, err := d.resumeWith(key, id, newPassword)
		must(t, err)
		if p := o.follow(r.Transaction); p.State != "undone" || !d.accepts("anna", oldPassword) {
			t.Errorf("%+v", p)
		}
		if s := d.requests()[0].State; s != access.RequestRipe {
			t.Errorf("after a transaction that was undone it is %s", s)
		}
		must(t, o.call(deviceapi.OwnerWithdraw, deviceapi.RequestCall{Request: id}, &deviceapi.Empty{}))
		if s := d.requests()[0].State; s != access.RequestWithdrawn {
			t.Errorf("withdrawn it is %s", s)
		}
	})
}

// stubborn is an adapter whose step can never succeed.
type stubborn struct{ setting.Adapter }

func (stubborn) Persist(context.Context, reset.Step) error { return setting.ErrPermanent }

// E13: a second factor goes after a wait too, where that is the owner's choice.
func TestSecondFactorAfterTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.policy = "wait 24h"
		d.secondFactor("anna")
		key, q := newKey(t), ofAnna()
		q.SecondFactor = true
		id := d.waited(q, key)
		if a, _ := d.store.Running().Settings.Account("anna"); !a.SecondFactor {
			t.Fatal("it is gone before anybody came back")
		}
		o, r, err := d.resumeWith(key, id, newPassword)
		must(t, err)
		p := o.follow(r.Transaction)
		if a, _ := d.store.Running().Settings.Account("anna"); p.State != "committed" || a.SecondFactor {
			t.Errorf("%+v %+v", p, a)
		}
	})
}

// D11: a claimant's key is for its own request, and sees or ends no other's.
func TestARequestIsItsKeysAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.reboot("wait 24h")
		a, other := d.present(), newKey(t)
		first, err := a.ask(ofAnna(), newKey(t), "")
		must(t, err)
		_, err = a.ask(ofAnna(), other, "")
		must(t, err)
		o := d.converse()
		_, err = o.byKey(other)
		must(t, err)
		q := deviceapi.RequestCall{Request: first.Request}
		for _, method := range []deviceapi.OwnerMethod{deviceapi.OwnerRequest, deviceapi.OwnerWithdraw} {
			if err := o.call(method, q, &struct{}{}); problem(err) != "request_unknown" {
				t.Errorf("%s of another's request: %v", method, err)
			}
		}
	})
}
