package addressprobe

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/x/nettest"
)

// On a real kernel: a neighbour's address is told with its MAC, a free one is
// nobody's, our own is ours, and what cannot be asked is an error.
func TestTaken(t *testing.T) {
	nettest.Isolated(t, func(t *testing.T) {
		other := nettest.NewSpace(t)
		other.Link(t, "eth0", "far0")
		nettest.IP(t, "address", "add", "10.0.7.2/24", "dev", "eth0")
		other.IP(t, "link", "set", "far0", "address", "02:00:00:00:00:09")
		other.IP(t, "address", "add", "10.0.7.9/24", "dev", "far0")
		other.IP(t, "link", "set", "far0", "up")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for address, want := range map[string]string{"10.0.7.9": "02:00:00:00:00:09", "10.0.7.8": "", "10.0.7.2": ""} {
			if got, err := (Cable{}).Taken(ctx, "eth0", netip.MustParseAddr(address)); err != nil || got != want {
				t.Errorf("%s: %q, %v; want %q", address, got, err, want)
			}
		}
		nettest.IP(t, "link", "set", "eth0", "down")
		for _, name := range []string{"eth0", "eth9"} {
			if got, err := (Cable{}).Taken(ctx, name, netip.MustParseAddr("10.0.7.9")); err == nil {
				t.Errorf("%s cannot be asked, and says %q", name, got)
			}
		}
	})
}
