//go:build linux

package claimnet

import (
	"crypto/sha256"
	"fmt"
	"net"
	"net/netip"
)

// linkMAC is the claim link's own MAC address on the NIC with the given one:
// locally administered, unicast, and the same at every claim, so that switches
// and DHCP servers meet an old acquaintance.
func linkMAC(nic net.HardwareAddr) net.HardwareAddr {
	sum := sha256.Sum256(append([]byte("paperclip claim link "), nic...))
	mac := net.HardwareAddr(sum[:6])
	mac[0] = mac[0]&^1 | 2
	return mac
}

// fixedAddress is the link-local IPv4 address that a claim link always has
// (RFC 3927 §2.1: drawn from the MAC address; the first and last 256 addresses
// of 169.254/16 are reserved). It is not probed for: two NAS on one LAN have
// the same one in one of 65,024 cases, and the DHCP address is beside it.
func fixedAddress(mac net.HardwareAddr) netip.Prefix {
	sum := sha256.Sum256(append([]byte("paperclip claim address "), mac...))
	third := 1 + byte((uint16(sum[0])<<8|uint16(sum[1]))%254)
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{169, 254, third, sum[2]}), 16)
}

// usable says why an address that a DHCP server offers is not taken; nil when
// it is. Anyone on the LAN can be that server, so an address that this machine
// or its routes already know (a gateway's, for instance) is refused: taking it
// would cut the NAS off from it.
func usable(p netip.Prefix, known []netip.Addr) error {
	addr := p.Addr()
	switch {
	case !p.IsValid() || !addr.Is4():
		return fmt.Errorf("the DHCP server offered no IPv4 address with a mask")
	case addr.IsUnspecified(), addr.IsLoopback(), addr.IsMulticast(), addr.As4()[0] >= 240, addr.As4()[0] == 0:
		return fmt.Errorf("the DHCP server offered %v, which no computer can have", addr)
	case p.Bits() < 8 || p.Bits() > 30:
		return fmt.Errorf("the DHCP server offered %v: a network of that size is no LAN", p)
	case addr == p.Masked().Addr(), addr == lastOf(p):
		return fmt.Errorf("the DHCP server offered %v, which is a whole network's address", p)
	}
	for _, k := range known {
		if k == addr {
			return fmt.Errorf("the DHCP server offered %v, which this machine already knows as something else", addr)
		}
	}
	return nil
}

// lastOf is the broadcast address of an IPv4 prefix.
func lastOf(p netip.Prefix) netip.Addr {
	a := p.Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		a[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(a)
}
