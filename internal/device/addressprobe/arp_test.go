package addressprobe

import (
	"net"
	"net/netip"
	"testing"
)

var (
	theirs = net.HardwareAddr{2, 0, 0, 0, 0, 9}
	asked  = netip.MustParseAddr("192.168.7.9")
)

// packetOf is an ARP packet.
func packetOf(op byte, mac net.HardwareAddr, sender, target string) []byte {
	b := append([]byte{0, 1, 8, 0, 6, 4, 0, op}, mac...)
	b = append(b, netip.MustParseAddr(sender).AsSlice()...)
	b = append(b, 0, 0, 0, 0, 0, 0)
	return append(b, netip.MustParseAddr(target).AsSlice()...)
}

// RFC 5227 §2.1.1: who has the address, who says that it has, and who probes for
// it at the same time; nobody else, and no packet that is none.
func TestWhose(t *testing.T) {
	for name, c := range map[string]struct {
		packet []byte
		want   bool
	}{
		"a reply":              {packetOf(2, theirs, "192.168.7.9", "0.0.0.0"), true},
		"an announcement":      {packetOf(1, theirs, "192.168.7.9", "192.168.7.9"), true},
		"asks from it":         {packetOf(1, theirs, "192.168.7.9", "192.168.7.1"), true},
		"another's probe":      {packetOf(1, theirs, "0.0.0.0", "192.168.7.9"), true},
		"padded":               {append(packetOf(2, theirs, "192.168.7.9", "0.0.0.0"), make([]byte, 18)...), true},
		"asks for it":          {packetOf(1, theirs, "192.168.7.1", "192.168.7.9"), false},
		"another address":      {packetOf(2, theirs, "192.168.7.8", "0.0.0.0"), false},
		"a probe for another":  {packetOf(1, theirs, "0.0.0.0", "192.168.7.8"), false},
		"a reply from nowhere": {packetOf(2, theirs, "0.0.0.0", "192.168.7.9"), false},
		"of a group":           {packetOf(2, net.HardwareAddr{3, 0, 0, 0, 0, 9}, "192.168.7.9", "0.0.0.0"), false},
		"reverse ARP":          {packetOf(3, theirs, "192.168.7.9", "0.0.0.0"), false},
		"cut":                  {packetOf(2, theirs, "192.168.7.9", "0.0.0.0")[:27], false},
		"not Ethernet":         {append([]byte{0, 6}, packetOf(2, theirs, "192.168.7.9", "0.0.0.0")[2:]...), false},
		"nothing":              {nil, false},
	} {
		if mac, ok := whose(c.packet, asked); ok != c.want || ok && mac.String() != theirs.String() {
			t.Errorf("%s: %v %s", name, ok, mac)
		}
	}
	// What we send is a probe, and says nothing of whose the address is.
	if mac, ok := whose(probe(theirs, asked), asked); !ok || mac.String() != theirs.String() || len(probe(theirs, asked)) != frameLen {
		t.Errorf("our probe is read as %v %s", ok, mac)
	}
}

// An announcement says that the address is ours: whoever probes for it hears so.
func TestAnnouncement(t *testing.T) {
	if mac, ok := whose(announcement(theirs, asked), asked); !ok || mac.String() != theirs.String() {
		t.Errorf("%v %s", ok, mac)
	}
	if _, ok := whose(announcement(theirs, asked), netip.MustParseAddr("192.168.7.8")); ok {
		t.Error("it announces another address too")
	}
}

func FuzzWhose(f *testing.F) {
	f.Add(packetOf(2, theirs, "192.168.7.9", "0.0.0.0"))
	f.Add(probe(theirs, asked))
	f.Fuzz(func(t *testing.T, packet []byte) {
		mac, ok := whose(packet, asked)
		if ok && (len(mac) != 6 || len(packet) < frameLen) {
			t.Errorf("%x: %s", packet, mac)
		}
	})
}
