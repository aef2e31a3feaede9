package discover

import (
	"net/netip"
	"slices"
	"testing"
)

// F4: what this computer can reach is tried first; else the order stays, link-local addresses last.
func TestAddressesOfOurSubnetsAreTriedFirst(t *testing.T) {
	var all []netip.Addr
	for _, a := range []string{"192.168.77.10", "10.77.0.100", "2001:db8::5", "169.254.7.7", "fe80::1%eth0"} {
		all = append(all, netip.MustParseAddr(a))
	}
	own := []netip.Prefix{netip.MustParsePrefix("10.77.0.50/24"), netip.MustParsePrefix("fe80::2/64")}
	want := []netip.Addr{all[1], all[0], all[2], all[3], all[4]}
	if got := NearFirst(all, own); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := NearFirst(all, nil); !slices.Equal(got, all) {
		t.Errorf("of no subnet at all: %v", got)
	}
}
