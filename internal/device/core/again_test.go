package core_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/panel"
	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
)

// On a slow NAS an assistant gives up waiting and sends the same box again while
// core is still at it: it gets the answer, and the plan is carried out once.
func TestTheSameBoxAgainWhileCoreIsAtIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := false
		d := start(t, func(all []setting.Adapter) []setting.Adapter {
			all[0] = slow{all[0], &late}
			return all
		})
		a := d.present()
		q := deviceapi.PlanCall{Mode: reset.Soft, Scope: reset.Credentials, Administrator: "anna"}
		var plan deviceapi.PlanReply
		if err := a.call(deviceapi.KindPlan, q, &plan); err != nil {
			t.Fatal(err)
		}
		message, err := deviceapi.EncodeCall(deviceapi.KindCommit, deviceapi.CommitCall{PlanHash: plan.Hash, Administrator: "anna", NewPassword: access.NewSecret(newPassword)})
		if err != nil {
			t.Fatal(err)
		}
		box, err := a.channel.Seal(message)
		if err != nil {
			t.Fatal(err)
		}
		send := func() (deviceapi.SealedReply, error) {
			return d.front.ClaimSealed(context.Background(), corewire.ClaimSealedRequest{Source: d.source, Body: deviceapi.SealedRequest{Session: a.session, Box: box}})
		}
		late = true
		go func() { _, _ = send() }() // whoever sent it has gone
		synctest.Wait()
		out, err := send()
		if err != nil {
			t.Fatal(err)
		}
		plain, err := a.channel.Open(out.Box)
		if err != nil {
			t.Fatal(err)
		}
		var accepted deviceapi.CommitReply
		if err := deviceapi.ParseReply(plain, &accepted); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // fake time: lets the transaction go on
		if list, err := d.core.Receipts(); err != nil || len(list.Receipts) != 1 || !d.accepts("anna", newPassword) {
			t.Errorf("after the same box twice: receipts %+v (%v), want one and the new password", list, err)
		}
	})
}

// A network card that is down for a moment when a claim opens is waited for.
func TestClaimNetworkIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.network.mu.Lock()
		d.network.down = 2
		d.network.mu.Unlock()
		d.press(4200 * time.Millisecond)
		time.Sleep(10 * time.Second) // fake time
		if calls := d.network.all(); len(calls) < 3 || !slices.Equal(calls[len(calls)-3:], []string{"open", "open", "open"}) {
			t.Errorf("opened %v, want until it worked and no more", calls)
		}
	})
}

// A button that was lost, and comes back late, opens a claim again without a new
// start of core (D1).
func TestButtonIsLookedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.stop()
		away := &lostButton{times: 5}
		d.button = func(b panel.Button) panel.Button { away.Button = b; return away }
		d.boot(nil)
		time.Sleep(10 * time.Minute)
		d.press(4200 * time.Millisecond)
		if !d.about().Claim.Open {
			t.Error("no claim opens any more")
		}
		if n := strings.Count(d.log.String(), "cannot be read"); n != 1 {
			t.Errorf("it was logged %d times", n)
		}
	})
}

// lostButton cannot be read a few times.
type lostButton struct {
	panel.Button
	times int
}

func (b *lostButton) Edges(ctx context.Context, out chan<- panel.Edge) error {
	if b.times--; b.times >= 0 {
		return errors.New("it is not there")
	}
	return b.Button.Edges(ctx, out)
}

// So is the end of a claim's network: what stays of it is a door.
func TestClaimNetworkIsClosedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.press(4200 * time.Millisecond)
		d.network.mu.Lock()
		d.network.stuck = 2
		d.network.mu.Unlock()
		time.Sleep(20 * time.Minute) // fake time: longer than a claim is open
		if calls := d.network.all(); !slices.Equal(calls, []string{"open", "close", "close", "close"}) {
			t.Errorf("%v, want closed until it worked and no more", calls)
		}
	})
}

// slow takes half a minute to be read.
type slow struct {
	setting.Adapter
	late *bool
}

func (s slow) Detect(ctx context.Context) (reset.Found, error) {
	if *s.late {
		time.Sleep(30 * time.Second) // fake time
	}
	return s.Adapter.Detect(ctx)
}

// lasting is a part of a NAS that takes long to prepare.
type lasting struct{ setting.Adapter }

func (s lasting) Prepare(ctx context.Context, q setting.Request) ([]reset.Step, error) {
	time.Sleep(20 * time.Minute) // fake time: longer than a claim is open
	return s.Adapter.Prepare(ctx, q)
}

// A claim that lapses while the steps are prepared is not accepted any more: it
// is asked once again right before the record (promise 2).
func TestClaimThatLapsesWhileItIsPrepared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, func(all []setting.Adapter) []setting.Adapter {
			for i, a := range all {
				if a.ID() == "memory.e1" {
					all[i] = lasting{a}
				}
			}
			return all
		})
		before := d.store.Running().Hashes["anna"]
		if _, err := d.present().reset(ofAnna(), newPassword); err == nil {
			t.Error("it is accepted after the claim was over")
		}
		synctest.Wait()
		if d.store.Running().Hashes["anna"] != before || !d.accepts("anna", oldPassword) {
			t.Error("the password is another one")
		}
	})
}
