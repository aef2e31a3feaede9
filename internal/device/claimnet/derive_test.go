//go:build linux

package claimnet

import (
	"net"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

func TestDerivedAddresses(t *testing.T) {
	reserved := []netip.Prefix{netip.MustParsePrefix("169.254.0.0/24"), netip.MustParsePrefix("169.254.255.0/24")}
	rapid.Check(t, func(t *rapid.T) {
		nic := net.HardwareAddr(rapid.SliceOfN(rapid.Byte(), 6, 6).Draw(t, "nic"))
		mac := linkMAC(nic)
		if len(mac) != 6 || mac[0]&1 != 0 || mac[0]&2 == 0 {
			t.Fatalf("%v is not a locally administered unicast address", mac)
		}
		if mac.String() != linkMAC(nic).String() || mac.String() == nic.String() {
			t.Fatalf("%v is not a stable address of its own for %v", mac, nic)
		}
		p := fixedAddress(mac)
		if p != fixedAddress(mac) || p.Bits() != 16 || !p.Addr().IsLinkLocalUnicast() {
			t.Fatalf("%v is not a stable link-local address", p)
		}
		for _, r := range reserved {
			if r.Contains(p.Addr()) {
				t.Fatalf("%v is reserved", p)
			}
		}
	})
}

func TestUsable(t *testing.T) {
	known := []netip.Addr{netip.MustParseAddr("192.168.1.10"), netip.MustParseAddr("192.168.1.1")}
	for offer, want := range map[string]bool{
		"192.168.1.57/24":   true,
		"10.1.2.3/8":        true,
		"203.0.113.9/24":    true,  // some places give public addresses to everybody
		"192.168.1.10/24":   false, // the NIC's own
		"192.168.1.1/24":    false, // the gateway's
		"192.168.1.0/24":    false,
		"192.168.1.255/24":  false,
		"127.0.0.9/8":       false,
		"224.0.0.9/8":       false,
		"255.255.255.255/8": false,
		"0.0.0.0/8":         false,
		"0.1.2.3/8":         false,
		"8.8.8.8/1":         false, // a network that holds half the internet
		"192.168.1.57/31":   false,
		"192.168.1.57/32":   false,
		"2001:db8::9/64":    false,
	} {
		if err := usable(netip.MustParsePrefix(offer), known); (err == nil) != want {
			t.Errorf("usable(%s) = %v, want usable %v", offer, err, want)
		}
	}
	if usable(netip.Prefix{}, nil) == nil {
		t.Error("no address is usable")
	}
}
