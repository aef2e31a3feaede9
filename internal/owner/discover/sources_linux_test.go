package discover_test

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/owner/discover"
	"github.com/paperclip-nas/paperclip/internal/protocol/announce"
	"github.com/paperclip-nas/paperclip/internal/protocol/findhost"
	"github.com/paperclip-nas/paperclip/internal/x/nettest"
)

// on opens a socket at the other end of the cable.
func on(t *testing.T, s *nettest.Space, open func() (net.PacketConn, error)) net.PacketConn {
	t.Helper()
	var c net.PacketConn
	var err error
	s.Do(func() { c, err = open() })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// answersElsewhere is a device's findhostd: it listens on port 9999 and answers
// from port 1234, to port 9999 whatever port asked, to everyone and to the
// querier (vendors/synology.md §1.1).
func answersElsewhere(t *testing.T, s *nettest.Space, name string, address netip.Addr) *virtual {
	t.Helper()
	out := on(t, s, func() (net.PacketConn, error) { return net.ListenPacket("udp4", address.String()+":1234") })
	t.Cleanup(func() { out.Close() })
	in := on(t, s, func() (net.PacketConn, error) { return net.ListenPacket("udp4", ":9999") })
	answer := synology(t, name, address)
	return serve(t, in, func(got []byte) []byte {
		if b := answer(got); b != nil {
			_, _ = out.WriteTo(b, &net.UDPAddr{IP: net.IPv4bcast, Port: findhost.Port})
		}
		return nil
	}, nil)
}

// speaksMDNS is a device's multicast responder.
func speaksMDNS(t *testing.T, s *nettest.Space, iface string, answer func([]byte) []byte, to func(net.Addr) []net.Addr) *virtual {
	t.Helper()
	return serve(t, on(t, s, func() (net.PacketConn, error) {
		i, err := net.InterfaceByName(iface)
		if err != nil {
			return nil, err
		}
		return net.ListenMulticastUDP("udp4", i, &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353})
	}), answer, to)
}

func everyone(net.Addr) []net.Addr {
	return []net.Addr{&net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353}}
}

// F2, F4: real broadcasts and multicasts over a real link, no address given.
func TestFindsOnALink(t *testing.T) {
	nettest.Isolated(t, func(t *testing.T) {
		lan := nettest.NewSpace(t)
		lan.Link(t, "nic0", "lan0")
		nettest.IP(t, "address", "add", "192.0.2.7/24", "dev", "nic0")
		lan.IP(t, "address", "add", "192.0.2.20/24", "dev", "lan0")
		lan.IP(t, "route", "add", "default", "dev", "lan0")
		device := netip.MustParseAddr("192.0.2.20")
		a := answersElsewhere(t, lan, "attic", device)
		c := speaksMDNS(t, lan, "lan0", native(t, announce.Legacy, "cellar", device), back)
		r, err := discover.Find(t.Context(), []discover.Source{discover.NewFindhost(), discover.NewMDNS()}, discover.Options{
			Wait: patience, Enough: func(d []discover.Device) bool { return len(d) == 2 },
		})
		if err != nil || !slices.Equal(names(r), []string{"attic", "cellar"}) || len(r.Findings) != 0 {
			t.Fatalf("%+v, %v", r, err)
		}
		for _, d := range r.Devices {
			if d.Addresses[0] != device || d.Verified != discover.VerifiedUnknown {
				t.Errorf("%+v", d)
			}
		}
		a.forget(device) // its own broadcasts come back to it
		onlyQuestions(t, a, c)
	})
}

// F6: it beeped, and now it has an address of another subnet, or one that it
// gave itself. It hears what is sent to everyone, and answers so.
func TestFindsWithAnAddressOfAnotherSubnet(t *testing.T) {
	nettest.Isolated(t, func(t *testing.T) {
		lan := nettest.NewSpace(t)
		lan.Link(t, "nic0", "lan0")
		nettest.IP(t, "address", "add", "192.0.2.7/24", "dev", "nic0")
		lan.IP(t, "address", "add", "169.254.12.34/16", "dev", "lan0")
		lan.IP(t, "route", "add", "default", "dev", "lan0")
		device := netip.MustParseAddr("169.254.12.34")
		answersElsewhere(t, lan, "attic", device)
		speaksMDNS(t, lan, "lan0", native(t, announce.Multicast, "cellar", device), everyone)
		r, err := discover.Find(t.Context(), []discover.Source{discover.NewFindhost(), discover.NewMDNS()}, discover.Options{
			Wait: patience, Enough: func(d []discover.Device) bool { return len(d) == 2 },
		})
		if err != nil || !slices.Equal(names(r), []string{"attic", "cellar"}) {
			t.Fatalf("%+v, %v", r, err)
		}
		for _, d := range r.Devices {
			if d.Addresses[0] != device {
				t.Errorf("%+v", d)
			}
		}
	})
}

// Trust: somebody else on the LAN answers as attic, with another state. Both
// are there, neither is verified, and it is said that they are alike.
func TestForgedAnswerOnALink(t *testing.T) {
	nettest.Isolated(t, func(t *testing.T) {
		lan := nettest.NewSpace(t)
		lan.Link(t, "nic0", "lan0")
		nettest.IP(t, "address", "add", "192.0.2.7/24", "dev", "nic0")
		lan.IP(t, "address", "add", "192.0.2.20/24", "dev", "lan0")
		lan.IP(t, "address", "add", "192.0.2.66/24", "dev", "lan0")
		lan.IP(t, "route", "add", "default", "dev", "lan0")
		answersElsewhere(t, lan, "attic", netip.MustParseAddr("192.0.2.20"))
		forger := on(t, lan, func() (net.PacketConn, error) { return net.ListenPacket("udp4", "192.0.2.66:1234") })
		defer forger.Close()
		lost := uint32(4)
		forged, err := findhost.Reply{
			Type: findhost.TypeInstaller, Status: &lost, Name: "attic", Model: "DS920+", Version: "7.2", Build: 64570,
			Serial: "2040attic", MAC: "00:11:32:aa:bb:cc", HTTPPort: 80,
		}.Packet().Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := discover.Find(t.Context(), []discover.Source{discover.NewFindhost()}, discover.Options{
			Wait: patience,
			Changed: func([]discover.Device) {
				_, _ = forger.WriteTo(forged, &net.UDPAddr{IP: net.IPv4(192, 0, 2, 7), Port: findhost.Port})
			},
			Enough: func(d []discover.Device) bool { return len(d) == 2 },
		})
		if err != nil || len(r.Devices) != 2 || len(r.Findings) != 1 || r.Findings[0].ID != "look_alikes" {
			t.Fatalf("%+v, %v", r, err)
		}
		if d := r.Devices[0]; d.Addresses[0] != netip.MustParseAddr("192.0.2.20") || d.Status != "ready" || d.HTTPPort != 5000 {
			t.Errorf("%+v", d)
		}
		for _, d := range r.Devices {
			if d.Verified != discover.VerifiedUnknown {
				t.Errorf("%+v", d)
			}
		}
	})
}

// No cable, no address: it says so at once and does not wait.
func TestNoNetwork(t *testing.T) {
	nettest.Isolated(t, func(t *testing.T) {
		r, err := discover.Find(t.Context(), []discover.Source{discover.NewFindhost(), discover.NewMDNS()}, discover.Options{Wait: patience})
		if err != nil || len(r.Findings) != 1 || r.Findings[0].ID != "no_network" || r.ElapsedMS >= patience.Milliseconds() {
			t.Errorf("%+v, %v", r, err)
		}
	})
}
