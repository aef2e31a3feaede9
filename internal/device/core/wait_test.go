package core_test

import (
	"crypto/ed25519"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/receipt"
)

// X17: whatever claimants do (ask again, for something else, with another key,
// take back, come too early, pull the plug, name another's request), nothing is
// carried out that did not wait, from its own notice on, as long as the owner said.
func TestNoClaimantShortensAWait(t *testing.T) {
	carried := 0
	for seed := range uint64(8) {
		synctest.Test(t, func(t *testing.T) {
			const wait = 2 * time.Hour
			d := start(t, nil)
			d.reboot("wait 2h")
			random := rand.New(rand.NewPCG(seed, 17))
			var up time.Duration // that the NAS was really on
			last := time.Now()
			passed := func() { now := time.Now(); up += now.Sub(last); last = now }
			begun := map[string]time.Duration{} // request to the time of its notice
			keys := []ed25519.PrivateKey{newKey(t), newKey(t)}
			plans := []deviceapi.PlanCall{ofAnna(), {Mode: reset.Soft, Scope: reset.All, Administrator: "anna"}}
			var named []string
			comesBack := func(key ed25519.PrivateKey) bool {
				request := ""
				if len(named) > 0 && random.IntN(2) == 0 {
					request = named[random.IntN(len(named))]
				}
				o, r, err := d.resumeWith(key, request, newPassword)
				passed()
				if err != nil {
					if !d.accepts("anna", oldPassword) {
						t.Fatalf("seed %d: refused with %v, and the password is another one", seed, err)
					}
					return false
				}
				_, s, err := receipt.Verify(o.follow(r.Transaction).Receipt)
				must(t, err)
				if waited := up - begun[s.Claim]; begun[s.Claim] == 0 || waited < wait {
					t.Fatalf("seed %d: carried out after %s of %s", seed, waited, wait)
				}
				return true
			}
			for range 40 {
				key := keys[random.IntN(len(keys))]
				switch random.IntN(6) {
				case 0, 1:
					d.ear = d.panel.Listen()
					a := d.present()
					reply, err := a.ask(plans[random.IntN(len(plans))], key, "")
					must(t, err)
					passed()
					if _, known := begun[reply.Request]; !known {
						begun[reply.Request], named = up, append(named, reply.Request)
					}
					must(t, a.call(deviceapi.KindClose, deviceapi.Empty{}, &deviceapi.Empty{}))
				case 2, 3:
					time.Sleep(time.Duration(random.IntN(60)) * time.Minute)
				case 4:
					passed()
					d.stop()
					time.Sleep(time.Duration(random.IntN(48)) * time.Hour) // off
					last = time.Now()
					d.boot(nil)
				case 5:
					o := d.converse()
					if _, err := o.byKey(key); err == nil && random.IntN(3) == 0 {
						_ = o.call(deviceapi.OwnerWithdraw, deviceapi.RequestCall{Request: named[random.IntN(len(named))]}, &deviceapi.Empty{})
					}
				}
				if comesBack(keys[0]) || comesBack(keys[1]) {
					carried++
					return
				}
			}
		})
	}
	if carried == 0 {
		t.Error("nothing was ever carried out: this test shows nothing")
	}
}
