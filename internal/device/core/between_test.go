package core_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/snapshot"
)

// pausing is the accounts of a NAS, which take a while to prepare or to write
// where they are told to.
type pausing struct {
	setting.Adapter
	prepare, persist *time.Duration
}

func (p pausing) Prepare(ctx context.Context, q setting.Request) ([]reset.Step, error) {
	time.Sleep(*p.prepare) // fake time
	return p.Adapter.Prepare(ctx, q)
}

func (p pausing) Persist(ctx context.Context, s reset.Step) error {
	time.Sleep(*p.persist)
	return p.Adapter.Persist(ctx, s)
}

// pause has the accounts' adapter pause.
func (d *device) pause() (prepare, persist *time.Duration) {
	d.t.Helper()
	prepare, persist = new(time.Duration), new(time.Duration)
	d.stop()
	d.boot(func(all []setting.Adapter) []setting.Adapter {
		for i, a := range all {
			if a.ID() == "memory.e1" {
				all[i] = pausing{a, prepare, persist}
			}
		}
		return all
	})
	return prepare, persist
}

// rootSets has root at the console set anna's password, and returns while that is
// still under way: it takes a minute.
func (d *device) rootSets(password string, persist *time.Duration) {
	d.t.Helper()
	root := d.console()
	*persist = time.Minute
	go func() {
		_, _ = root.Reset(context.Background(), corewire.ResetRequest{Scope: reset.Credentials, Administrator: "anna", Password: secret(password)})
	}()
	synctest.Wait()
	*persist = 0
}

// D11: a recovery code is not used up by a commit that comes while root's command
// is under way.
func TestBusyUsesUpNoCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.policy = access.ButtonSecondProof
		_, persist := d.pause()
		given, err := d.console().GiveCodes(context.Background(), corewire.CodesRequest{Administrator: "anna"})
		must(t, err)
		a := d.present()
		d.rootSets("eleven quiet bridges", persist)
		if _, err := a.resetWith(ofAnna(), newPassword, given.Codes[0]); problem(err) != "busy" {
			t.Fatal(err)
		}
		var status core.Status
		must(t, d.console().Read(context.Background(), corewire.ReadStatus, &status))
		if status.RecoveryCodes["anna"] != 10 {
			t.Errorf("%d codes are left", status.RecoveryCodes["anna"])
		}
		time.Sleep(2 * time.Minute)
		if p, err := a.resetWith(ofAnna(), newPassword, given.Codes[0]); err != nil || p.State != "committed" {
			t.Errorf("afterwards: %v %+v", err, p)
		}
	})
}

// D11: a request that is resumed while root's command is under way is ripe still:
// its key comes again.
func TestBusyKeepsTheRequestRipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.policy = "wait 24h"
		_, persist := d.pause()
		key := newKey(t)
		id := d.waited(ofAnna(), key)
		d.rootSets("eleven quiet bridges", persist)
		if _, _, err := d.resumeWith(key, id, newPassword); problem(err) != "busy" {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if s := d.requests()[0].State; s != access.RequestRipe {
			t.Fatalf("it is %s", s)
		}
		o, r, err := d.resumeWith(key, id, newPassword)
		must(t, err)
		if p := o.follow(r.Transaction); p.State != "committed" || !d.accepts("anna", newPassword) {
			t.Errorf("afterwards: %+v", p)
		}
	})
}

// X24: of two administrators who are switched off at once from two conversations,
// one stays: each was judged while the other could sign in.
func TestTwoAreNotSwitchedOffAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		const rootPassword = "another one for root 7"
		_, err := d.as("anna", oldPassword).change("root", reset.SetPassword, rootPassword)
		must(t, err)
		prepare, _ := d.pause()
		d.as("root", rootPassword)
		slow, fast := d.as("anna", oldPassword), d.as("anna", oldPassword)
		*prepare = time.Minute
		var late error
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, late = slow.change("anna", reset.SwitchOff, "")
		}()
		synctest.Wait()
		*prepare = 0
		if p, err := fast.change("root", reset.SwitchOff, ""); err != nil || p.State != "committed" {
			t.Fatalf("%v %+v", err, p)
		}
		<-ended
		if problem(late) != "plan_changed" || !d.accepts("anna", oldPassword) {
			t.Errorf("nobody is left who can sign in: %v", late)
		}
	})
}

// C15: a call that waits for its turn behind another is not heard when its
// conversation has ended meanwhile.
func TestWaitingCallEndsWithItsConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := false
		d := start(t, func(all []setting.Adapter) []setting.Adapter {
			all[0] = slow{all[0], &late}
			return all
		})
		key := newKey(t)
		d.resetAs(key, ofAnna(), newPassword)
		o := d.converse()
		_, err := o.byKey(key)
		must(t, err)
		root := d.console()
		id := d.owners(root)[0].ID
		_, recipient, err := snapshot.NewRecoveryKey()
		must(t, err)
		send := func(method deviceapi.OwnerMethod, body any) <-chan error {
			message, err := deviceapi.EncodeCall(deviceapi.Kind(method), body)
			must(t, err)
			box, err := o.channel.Seal(message)
			must(t, err)
			end := make(chan error, 1)
			go func() {
				_, err := o.send(box)
				end <- err
			}()
			synctest.Wait()
			return end
		}
		late = true
		first := send(deviceapi.OwnerAccounts, deviceapi.Empty{})
		second := send(deviceapi.OwnerRecoveryKey, deviceapi.RecoveryKeyCall{Recipient: recipient})
		must(t, root.ForgetOwner(t.Context(), corewire.ForgetOwnerRequest{ID: id}))
		<-first
		if err := <-second; problem(err) != "no_such_session" {
			t.Errorf("it is answered: %v", err)
		}
		if _, err := os.Lstat(filepath.Join(d.dir, "state", "recovery.json")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("snapshots are sealed to a key of somebody who was forgotten: %v", err)
		}
	})
}

// Promise 1: where a reset can be neither finished nor undone, the NAS does not say
// that all is well, and nothing more is begun on it.
func TestHalfStateIsShownAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, func(all []setting.Adapter) []setting.Adapter {
			for i, a := range all {
				if a.ID() == "memory.e1" {
					all[i] = neither{a}
				}
			}
			return all
		})
		a := d.present()
		p, err := a.reset(ofAnna(), newPassword)
		if err != nil || p.Problem == nil || p.Problem.ID != "half_state" {
			t.Fatalf("%v %+v", err, p)
		}
		must(t, a.call(deviceapi.KindClose, deviceapi.Empty{}, &deviceapi.Empty{}))
		time.Sleep(time.Minute)
		d.press(4200 * time.Millisecond)
		if about := d.about(); about.Ready || about.Claim.Open {
			t.Errorf("%+v", about)
		}
		if _, err := d.console().Reset(t.Context(), corewire.ResetRequest{Scope: reset.Credentials, Administrator: "anna", Password: secret(newPassword)}); problem(err) != "half_state" {
			t.Errorf("the next change: %v", err)
		}
	})
}

// neither is a part of a NAS that takes neither the new value nor the old one.
type neither struct{ setting.Adapter }

func (neither) Persist(context.Context, reset.Step) error { return setting.ErrPermanent }
func (neither) Undo(context.Context, reset.Step) error    { return setting.ErrPermanent }
