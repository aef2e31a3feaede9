package onlink_test

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/paperclip-nas/paperclip/internal/device/claimnet/onlink"
)

func nas() onlink.Neighbours {
	iface := func(name string, room bool, prefixes ...string) onlink.Interface {
		i := onlink.Interface{Name: name, Room: room}
		for _, p := range prefixes {
			i.Prefixes = append(i.Prefixes, netip.MustParsePrefix(p))
		}
		return i
	}
	return onlink.Neighbours{Interfaces: []onlink.Interface{
		iface("lo", false, "127.0.0.1/8", "::1/128"),
		iface("eth0", true, "192.168.1.10/24", "fe80::10/64", "2001:db8:1::10/64", "2001:db8:2::10/128"),
		iface("pclip2", true, "169.254.7.7/16", "192.168.1.57/24", "fe80::57/64"),
		iface("eth1", true, "10.0.0.10/8"),
		iface("wg0", false, "10.8.0.2/24", "192.168.9.2/24", "fe80::9/64"),
		iface("ppp0", false, "203.0.113.7/32"),
		iface("docker0", false, "172.17.0.1/16"),
	}}
}

// "Off-link sources refused": who is in the room, and who is not.
func TestOnLink(t *testing.T) {
	for _, c := range []struct {
		name, local, remote string
		want                bool
	}{
		{"a neighbour", "192.168.1.10", "192.168.1.30", true},
		{"a neighbour, IPv4 in IPv6", "::ffff:192.168.1.10", "::ffff:192.168.1.30", true},
		{"a neighbour of the claim's link", "192.168.1.57", "192.168.1.30", true},
		{"a neighbour without DHCP", "169.254.7.7", "169.254.200.1", true},
		{"169.254 where the NAS has none", "192.168.1.10", "169.254.200.1", false},
		{"another subnet of the place, by a router", "192.168.1.10", "192.168.2.30", false},
		{"a private address is not enough", "192.168.1.10", "10.0.0.30", false},
		{"the internet", "192.168.1.10", "198.51.100.1", false},
		{"a VPN", "10.8.0.2", "10.8.0.3", false},
		{"a VPN whose network overlaps a card's", "10.8.0.2", "10.8.0.10", false},
		{"a VPN, by the card's address", "192.168.1.10", "192.168.9.3", false},
		{"a point-to-point line", "203.0.113.7", "203.0.113.8", false},
		{"a container", "172.17.0.1", "172.17.0.2", false},
		{"a program on the NAS", "192.168.1.10", "192.168.1.10", false},
		{"a program on the NAS, by its other address", "192.168.1.57", "192.168.1.10", false},
		{"loopback", "127.0.0.1", "127.0.0.1", false},
		{"an address that is not ours", "192.168.1.11", "192.168.1.30", false},
		{"IPv6 link-local", "fe80::10%eth0", "fe80::30%eth0", true},
		{"IPv6 link-local on a VPN", "fe80::9%wg0", "fe80::30%wg0", false},
		{"IPv6 link-local of another link", "fe80::10%eth0", "fe80::30%wg0", false},
		{"IPv6 link-local without a zone", "fe80::10", "fe80::30", false},
		{"IPv6 neighbour", "2001:db8:1::10", "2001:db8:1::30", true},
		{"IPv6 address without a network", "2001:db8:2::10", "2001:db8:2::11", false},
		{"IPv6, elsewhere", "2001:db8:1::10", "2001:db8:3::30", false},
		{"mixed families", "192.168.1.10", "2001:db8:1::30", false},
		{"multicast", "192.168.1.10", "224.0.0.251", false},
		{"nothing", "0.0.0.0", "0.0.0.0", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := nas().OnLink(netip.MustParseAddr(c.local), netip.MustParseAddr(c.remote)); got != c.want {
				t.Errorf("OnLink(%s, %s) = %v, want %v", c.local, c.remote, got, c.want)
			}
		})
	}
	if nas().OnLink(netip.Addr{}, netip.Addr{}) {
		t.Error("no address at all is on-link")
	}
}

func TestLoopbackIsTheRoomOnlyInTheLab(t *testing.T) {
	lab := nas()
	lab.Loopback = true
	for remote, want := range map[string]bool{"127.0.0.1": true, "192.168.1.30": false} {
		if got := lab.OnLink(netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr(remote)); got != want {
			t.Errorf("from %s: %v, want %v", remote, got, want)
		}
	}
}

// Whatever the addresses: without a card in the room nobody is on-link, and
// who is on-link shares a network with an address of a card in the room.
func TestOnLinkProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bytes := rapid.SliceOfN(rapid.Byte(), 4, 4)
		remote, _ := netip.AddrFromSlice(bytes.Draw(t, "remote"))
		n := nas()
		own := n.Interfaces[rapid.IntRange(0, len(n.Interfaces)-1).Draw(t, "interface")]
		local := own.Prefixes[0].Addr()
		if n.OnLink(local, remote) {
			if !own.Room || !own.Prefixes[0].Contains(remote) {
				t.Fatalf("%v is on-link at %v of %s", remote, local, own.Name)
			}
		}
		for i := range n.Interfaces {
			n.Interfaces[i].Room = false
		}
		if n.OnLink(local, remote) {
			t.Fatalf("%v is on-link where nothing is", remote)
		}
	})
}
