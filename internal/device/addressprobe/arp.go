// Package addressprobe asks the cable whether an IPv4 address is somebody's,
// before the NAS is given it: RFC 5227's probe.
//
// A probe claims nothing: it has no sender's address, so no neighbour's table
// changes. Announce is for an address that an interface has already. The package gives no interface an address, and answers nobody. That
// nobody answers is no proof: a device may be switched off.
package addressprobe

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
)

// The parts of an ARP packet for IPv4 over Ethernet (RFC 826).
const (
	frameLen  = 28
	opRequest = 1
	opReply   = 2
)

// probe is the packet that asks for an address without having one (RFC 5227
// §2.1.1).
func probe(from net.HardwareAddr, asked netip.Addr) []byte {
	b := make([]byte, 0, frameLen)
	b = append(b, 0, 1, 8, 0, 6, 4, 0, opRequest)
	b = append(b, from...)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	return append(b, asked.AsSlice()...)
}

// announcement is the packet that says whose an address is (RFC 5227 §2.3):
// whoever keeps another MAC for it takes this one.
func announcement(from net.HardwareAddr, addr netip.Addr) []byte {
	b := probe(from, addr)
	copy(b[14:18], addr.AsSlice())
	return b
}

// whose reads a packet, and says who has the address by it, or wants it just
// now as we do. ok is false for every other packet, and for one that is none.
func whose(packet []byte, asked netip.Addr) (mac net.HardwareAddr, ok bool) {
	if len(packet) < frameLen || !bytes.Equal(packet[:6], []byte{0, 1, 8, 0, 6, 4}) {
		return nil, false
	}
	op := binary.BigEndian.Uint16(packet[6:])
	mac = net.HardwareAddr(bytes.Clone(packet[8:14]))
	sender, target := netip.AddrFrom4([4]byte(packet[14:18])), netip.AddrFrom4([4]byte(packet[24:28]))
	switch {
	case op != opRequest && op != opReply, mac[0]&1 != 0:
		return nil, false // nobody's own address is a group's
	case sender == asked:
		return mac, true
	case op == opRequest && sender.IsUnspecified() && target == asked:
		return mac, true
	}
	return nil, false
}
