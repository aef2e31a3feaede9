//go:build linux

package claimnet

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
)

// Whatever a DHCP server answers: the address is usable or refused, and a
// lease is renewed neither all the time nor never.
func FuzzLease(f *testing.F) {
	for _, mask := range []net.IPMask{net.CIDRMask(24, 32), {255, 0, 255, 0}, {255}, nil} {
		ack, err := dhcpv4.New(dhcpv4.WithYourIP(net.IPv4(192, 168, 1, 57)), dhcpv4.WithNetmask(mask), dhcpv4.WithLeaseTime(1))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(ack.ToBytes())
	}
	known := []netip.Addr{netip.MustParseAddr("192.168.1.1")}
	f.Fuzz(func(t *testing.T, b []byte) {
		ack, err := dhcpv4.FromBytes(b)
		if err != nil {
			return
		}
		got := &nclient4.Lease{ACK: ack}
		p := prefixOf(got)
		if usable(p, known) == nil && (!p.Addr().Is4() || p.Bits() < 8 || p.Bits() > 30 || p.Addr() == known[0]) {
			t.Errorf("%v is taken for usable", p)
		}
		const now = time.Hour
		renew, end := terms(got, now)
		if renew < now+renewAtLeast || end < renew || end > now+leaseMost {
			t.Errorf("renew at %v, end at %v", renew, end)
		}
	})
}
