package announcer_test

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/brutella/dnssd"

	"github.com/paperclip-nas/paperclip/internal/device/announcer"
	"github.com/paperclip-nas/paperclip/internal/protocol/announce"
	"github.com/paperclip-nas/paperclip/internal/x/nettest"
)

// listener is a socket at the other end of the cable. group makes it a member
// of the multicast group; else it asks from a port of its own.
func listener(t *testing.T, s *nettest.Space, iface string, group bool) net.PacketConn {
	t.Helper()
	var c net.PacketConn
	var err error
	s.Do(func() {
		if !group {
			c, err = net.ListenPacket("udp4", ":0")
			return
		}
		var i *net.Interface
		if i, err = net.InterfaceByName(iface); err == nil {
			c, err = net.ListenMulticastUDP("udp4", i, &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func ask(t *testing.T, c net.PacketConn, b []byte) {
	t.Helper()
	if _, err := c.WriteTo(b, &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353}); err != nil {
		t.Fatal(err)
	}
}

func has(address string) func(announce.Instance) bool {
	return func(i announce.Instance) bool {
		return i.Port == 5001 && slices.Contains(i.Addresses, netip.MustParseAddr(address))
	}
}

// F4, F6: the claim's interfaces come while the announcer runs, get their
// address late, and go. Each link hears its own addresses only.
func TestFollowsInterfaces(t *testing.T) {
	nettest.Isolated(t, func(t *testing.T) {
		lan := nettest.NewSpace(t)
		lan.Link(t, "nic0", "lan0")
		nettest.IP(t, "address", "add", "192.0.2.10/24", "dev", "nic0")
		lan.IP(t, "address", "add", "192.0.2.20/24", "dev", "lan0")
		lan.IP(t, "route", "add", "224.0.0.0/4", "dev", "lan0")

		m, err := announcer.NewMulticast(slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		group, alone := listener(t, lan, "lan0", true), listener(t, lan, "lan0", false)

		set := func(claim bool, interfaces ...string) {
			var links []announcer.Link
			for _, name := range interfaces {
				links = append(links, announcer.Link{Interface: name, Instances: []announce.Instance{cellar(t, claim)}})
			}
			if err := m.Set(links...); err != nil {
				t.Fatal(err)
			}
		}
		set(false, "nic0")
		hear(t, group, "the announcement that nobody asked for", has("192.0.2.10"))
		ask(t, alone, browse(t, announce.ServiceNative))
		hear(t, alone, "the answer to one querier", has("192.0.2.10"))

		// A claim opens: the text changes, and an interface is named that does
		// not exist yet. It appears, and gets its address after that.
		set(true, "nic0", "claim0")
		hear(t, group, "the open claim", func(i announce.Instance) bool { return slices.Contains(i.Text, "claim=1") })
		nettest.IP(t, "link", "add", "claim0", "link", "nic0", "type", "macvlan", "mode", "bridge")
		nettest.IP(t, "link", "set", "claim0", "up")
		nettest.IP(t, "address", "add", "169.254.7.7/16", "dev", "claim0")
		heard := hear(t, group, "the claim's interface", has("169.254.7.7"))
		if has("192.0.2.10")(heard) {
			t.Errorf("the claim's interface announces another's address: %v", heard.Addresses)
		}

		// A querier of the one subnet is answered on the one link alone; the
		// other answers to everyone, since that querier's address is not its own.
		ask(t, alone, browse(t, announce.ServiceNative))
		hear(t, alone, "the answer on the link", has("192.0.2.10"))
		ask(t, alone, browse(t, announce.ServiceNative))
		hear(t, group, "the answer to everyone", has("169.254.7.7"))

		// It goes, and comes back under the same name.
		nettest.IP(t, "link", "delete", "claim0")
		nettest.IP(t, "link", "add", "claim0", "link", "nic0", "type", "macvlan", "mode", "bridge")
		nettest.IP(t, "address", "add", "169.254.8.8/16", "dev", "claim0")
		nettest.IP(t, "link", "set", "claim0", "up")
		hear(t, group, "the interface that came back", has("169.254.8.8"))

		set(false, "nic0")
		hear(t, group, "the closed claim", func(i announce.Instance) bool { return slices.Contains(i.Text, "claim=0") })
	})
}

// Whoever is not on the link gets no datagram: answers cannot be aimed.
func TestNoAnswerBeyondTheLink(t *testing.T) {
	nettest.Isolated(t, func(t *testing.T) {
		lan := nettest.NewSpace(t)
		lan.Link(t, "nic0", "lan0")
		nettest.IP(t, "address", "add", "192.0.2.10/24", "dev", "nic0")
		nettest.IP(t, "route", "add", "default", "dev", "nic0")
		lan.IP(t, "address", "add", "198.51.100.9/24", "dev", "lan0")
		lan.IP(t, "route", "add", "224.0.0.0/4", "dev", "lan0")
		m, err := announcer.NewMulticast(slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		group, alone := listener(t, lan, "lan0", true), listener(t, lan, "lan0", false)
		if err := m.Set(announcer.Link{Interface: "nic0", Instances: []announce.Instance{cellar(t, false)}}); err != nil {
			t.Fatal(err)
		}
		hear(t, group, "the first announcement", has("192.0.2.10"))
		hear(t, group, "the second", has("192.0.2.10"))
		ask(t, alone, browse(t, announce.ServiceNative))
		// Once the answer to everyone is there, one for the querier alone would be, too.
		hear(t, group, "the answer to everyone", has("192.0.2.10"))
		lan.IP(t, "address", "add", "192.0.2.20/24", "dev", "lan0")
		var near net.PacketConn
		lan.Do(func() { near, err = net.ListenPacket("udp4", "192.0.2.20:0") })
		if err != nil {
			t.Fatal(err)
		}
		defer near.Close()
		ask(t, near, browse(t, announce.ServiceNative))
		hear(t, near, "the answer on the link", has("192.0.2.10"))
		if err := alone.SetReadDeadline(past()); err != nil {
			t.Fatal(err)
		}
		if n, from, err := alone.ReadFrom(make([]byte, 1)); err == nil {
			t.Errorf("%d bytes from %v for a querier beyond the link", n, from)
		}
	})
}

// An implementation that is not ours finds the device: F2.
func TestAnotherImplementationFindsIt(t *testing.T) {
	if os.Getenv(witness) != "" {
		browseWithLibrary(t)
		return
	}
	nettest.Isolated(t, func(t *testing.T) {
		lan := nettest.NewSpace(t)
		lan.Link(t, "nic0", "lan0")
		nettest.IP(t, "address", "add", "192.0.2.10/24", "dev", "nic0")
		lan.IP(t, "address", "add", "192.0.2.20/24", "dev", "lan0")
		m, err := announcer.NewMulticast(slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if err := m.Set(announcer.Link{Interface: "nic0", Instances: []announce.Instance{cellar(t, true)}}); err != nil {
			t.Fatal(err)
		}
		var out []byte
		lan.Do(func() {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
			cmd.Env = append(os.Environ(), witness+"=1")
			out, err = cmd.CombinedOutput()
		})
		want := "found cellar-abcdefgh cellar-abcdefgh 5001 map[claim:1 id:" + keyID + " mac:02:00:5e:10:00:01 v:1]"
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%v\n%s\nwant %s", err, out, want)
		}
	})
}

const witness = "ANNOUNCER_WITNESS"

func browseWithLibrary(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := dnssd.LookupType(ctx, "_paperclip._tcp.local.", func(e dnssd.BrowseEntry) {
		t.Log("found", e.Name, e.Host, e.Port, e.Text)
		cancel()
	}, func(dnssd.BrowseEntry) {})
	if ctx.Err() == context.DeadlineExceeded {
		t.Error("nothing found:", err)
	}
}
