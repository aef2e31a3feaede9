// Package onlink tells whether somebody who connects is in the room: on the
// same wire (or wireless network) as this machine, by address.
//
// Being on-link is more than having a private address: a VPN is not the room,
// nor is a container, another site, or a program on this machine itself. An
// address can be forged on the wire, but then no answer arrives, so it is
// asked only of connections that stand (TCP).
//
// Neighbours is a value and OnLink a pure function of it. The package never
// changes anything, and it opens no connection.
package onlink

import "net/netip"

// Interface is one network interface, as far as OnLink needs it.
type Interface struct {
	Name string
	// Room says that the interface leads to a network of this place: an
	// Ethernet or wireless card, a bridge, bond or VLAN on one, a claim's
	// link. Tunnels, point-to-point lines, loopback and virtual bridges do
	// not.
	Room     bool
	Prefixes []netip.Prefix // the interface's own addresses, with their networks
}

// Neighbours is what the machine's interfaces were at one moment.
type Neighbours struct {
	Interfaces []Interface
	// Loopback also lets this machine itself count as the room. It is for the
	// lab only.
	Loopback bool
}

// OnLink tells whether remote, which is connected to this machine's address
// local, is on-link there. Both may be IPv4-mapped; an IPv6 link-local address
// needs its zone.
func (n Neighbours) OnLink(local, remote netip.Addr) bool {
	local, remote = local.Unmap(), remote.Unmap()
	if !local.IsValid() || !remote.IsValid() || local.Is4() != remote.Is4() {
		return false
	}
	if local.IsLoopback() || remote.IsLoopback() {
		return n.Loopback && local.IsLoopback() && remote.IsLoopback()
	}
	if remote.IsMulticast() || remote.IsUnspecified() || n.own(remote) {
		return false
	}
	for _, i := range n.Interfaces {
		if i.Room && i.has(local) && i.reaches(remote) {
			return true
		}
	}
	return false
}

// own tells whether an address is this machine's: a program here, or a
// forwarder, is not somebody in the room.
func (n Neighbours) own(a netip.Addr) bool {
	for _, i := range n.Interfaces {
		if i.has(a) {
			return true
		}
	}
	return false
}

// has tells whether the interface has the address.
func (i Interface) has(a netip.Addr) bool {
	if !i.inZone(a) {
		return false
	}
	for _, p := range i.Prefixes {
		if p.Addr().Unmap() == a.WithZone("") {
			return true
		}
	}
	return false
}

// reaches tells whether the address is in one of the interface's networks. A
// network of one address (/32, /128) has no neighbours.
func (i Interface) reaches(a netip.Addr) bool {
	if !i.inZone(a) {
		return false
	}
	for _, p := range i.Prefixes {
		if p.Contains(a.WithZone("")) && p.Bits() < a.BitLen() && p.Bits() > 0 {
			return true
		}
	}
	return false
}

// inZone tells whether the interface is the one that a link-local IPv6 address
// names. Other addresses have no zone and fit everywhere.
func (i Interface) inZone(a netip.Addr) bool {
	if a.Is6() && a.IsLinkLocalUnicast() {
		return a.Zone() == i.Name
	}
	return a.Zone() == ""
}
