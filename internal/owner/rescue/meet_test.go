package rescue

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paperclip-nas/paperclip/internal/owner/keys"
)

// A NAS is met where it answers; an address of another network, which swallows
// what is sent to it, keeps nobody waiting.
func TestSilentAddressDoesNotKeepWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sc := newScene(t)
		silent := netip.MustParseAddrPort("192.0.2.200:5001")
		meet := sc.cfg.Meet
		sc.cfg.Meet = func(ctx context.Context, at []netip.AddrPort, pin keys.Pin) (Device, error) {
			if at[0] == silent {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return meet(ctx, at, pin)
		}
		r := newRun(sc.cfg, Request{})
		r.nas = NAS{Name: "cellar", At: []netip.AddrPort{silent, sc.box.at}}
		begun := time.Now()
		device, verdict, err := r.meetAny(t.Context())
		if err != nil || verdict != keys.Unknown || device.Address() != sc.box.at {
			t.Fatalf("met %v, %q, %v", device, verdict, err)
		}
		if took := time.Since(begun); took > lateTime {
			t.Errorf("it took %s", took)
		}
		// One that is remembered is waited for no moment longer than it takes.
		if err := sc.cfg.Keys.Remember(keys.Device{PublicKey: sc.box.pub(), Name: "cellar", How: keys.Met}); err != nil {
			t.Fatal(err)
		}
		begun = time.Now()
		if _, verdict, err := r.meetAny(t.Context()); err != nil || verdict != keys.Match || time.Since(begun) != 0 {
			t.Errorf("a remembered one: %q, %v, after %s", verdict, err, time.Since(begun))
		}
	})
}
