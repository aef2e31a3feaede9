package net

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/owner/discover"
	"github.com/paperclip-nas/paperclip/internal/protocol/findhost"
	"github.com/paperclip-nas/paperclip/internal/x/nettest"
)

// count is how many of the crowd's n devices are there, each once.
func count(t *testing.T, devices []discover.Device, n int) int {
	t.Helper()
	seen := map[netip.Addr]bool{}
	for _, d := range devices {
		for _, a := range d.Addresses {
			if seen[a] {
				t.Errorf("%s is there twice", a)
			}
			seen[a] = true
		}
	}
	found := 0
	for i := range n {
		if seen[place(i)] {
			found++
		}
	}
	return found
}

// found is a search that ends when n devices are there, and how long that took.
type found struct {
	result discover.Result
	first  time.Duration // from the first answer on the wire to the first device told of
	all    time.Duration // from the start to the last device told of
}

func (c *crowd) find(wait time.Duration, n int) found {
	c.t.Helper()
	ctx, cancel := context.WithCancel(c.t.Context())
	defer cancel()
	var f found
	start := time.Now()
	r, err := discover.Find(ctx, everyWay(), discover.Options{
		Wait: wait,
		Changed: func(d []discover.Device) {
			if f.first == 0 {
				f.first = time.Since(time.Unix(0, c.first.Load()))
			}
			if f.all == 0 && len(d) >= n {
				f.all = time.Since(start)
				cancel()
			}
		},
	})
	if err != nil && ctx.Err() == nil {
		c.t.Fatal(err)
	}
	f.result = r
	return f
}

// Speed: 50 prompt devices, three makers. The times are told and not judged: the
// machine may be busy; the number of packets is.
func TestFifty(t *testing.T) {
	isolated(t, nil, func(t *testing.T) {
		c := lan(t)
		c.addresses(50)
		c.synology(0, 20)
		c.qnap(20, 35)
		c.ours(35, 50)
		f := c.find(12*time.Second, 50)
		t.Logf("50 devices: the first told of %v after its answer, all after %v, %d packets", f.first, f.all, f.result.PacketsSent)
		if got := count(t, f.result.Devices, 50); got != 50 {
			t.Errorf("%d of 50", got)
		}
		if n := f.result.PacketsSent - 15; f.all < 500*time.Millisecond && n > 10 { // apart from the details, one a device
			t.Errorf("%d packets", n)
		}
	})
}

// 1,000 devices.
func TestThousand(t *testing.T) {
	isolated(t, nil, func(t *testing.T) {
		c := lan(t)
		c.addresses(1000)
		c.synology(0, 1000)
		f := c.find(12*time.Second, 1000)
		t.Logf("1,000 devices: the first told of %v after its answer, all after %v, %d packets", f.first, f.all, f.result.PacketsSent)
		if got := count(t, f.result.Devices, 1000); got != 1000 {
			t.Errorf("%d of 1,000", got)
		}
	})
}

// At 5 % loss none of 1,000 is missed in 12 s, with at most 40 packets.
func TestLoss(t *testing.T) {
	isolated(t, nil, func(t *testing.T) {
		c := lan(t)
		c.loss = 0.05
		c.addresses(1000)
		c.synology(0, 1000)
		f := c.find(12*time.Second, 1001) // to the end
		if got := count(t, f.result.Devices, 1000); got != 1000 || f.result.PacketsSent > 40 {
			t.Errorf("%d of 1,000, %d packets", got, f.result.PacketsSent)
		}
		t.Logf("%d packets in 12 s", f.result.PacketsSent)
	})
}

// A search without a target is over when its time is, and never before: the
// late ones of the captures, findhost after 3.6 s and Qfinder after 10 s, four
// copies each, are in it.
func TestLate(t *testing.T) {
	isolated(t, nil, func(t *testing.T) {
		c := lan(t)
		c.extra = 3
		c.delay = func(n int) time.Duration {
			return []time.Duration{0, 3600 * time.Millisecond, 10 * time.Second}[n]
		}
		c.addresses(3)
		c.synology(0, 2)
		c.qnap(2, 3)
		f := c.find(12*time.Second, 4)
		if got := count(t, f.result.Devices, 3); got != 3 {
			t.Errorf("%d of 3: %+v", got, f.result.Devices)
		}
	})
}

// Hostile LAN: 10,000 forged answers a second for 10 s, from forged places.
// Memory is bounded, the real devices are listed, and the flood is told of.
func TestFlood(t *testing.T) {
	isolated(t, nil, func(t *testing.T) {
		c := lan(t)
		c.addresses(10)
		c.synology(0, 5)
		c.qnap(5, 10)
		forgers := make([]net.PacketConn, 0, 200)
		var batch []string
		for i := range 200 {
			batch = append(batch, fmt.Sprintf("10.77.200.%d", 1+i))
			c.space.IP(t, "address", "add", batch[i]+"/16", "dev", "lan0")
			forgers = append(forgers, c.socket(batch[i]+":1234"))
		}
		forged, err := findhost.Reply{Type: findhost.TypeResponse, Name: "forged", Serial: "F00000000", MAC: "02:00:00:00:00:00"}.Packet().Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
		defer stop()
		var sent atomic.Int64
		go func() {
			begun := time.Now()
			for n := 0; ctx.Err() == nil; {
				if n >= int(time.Since(begun).Seconds()*10_000) {
					runtime.Gosched()
					continue
				}
				n++
				b := forge(forged, n)
				if _, err := forgers[n%len(forgers)].WriteTo(b, &net.UDPAddr{IP: net.IPv4(10, 77, 255, 254), Port: 9999}); err == nil {
					sent.Add(1)
				}
			}
		}()
		var most atomic.Uint64
		go func() {
			for ctx.Err() == nil {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most.Store(max(most.Load(), m.HeapInuse))
				select {
				case <-ctx.Done():
				case <-time.After(200 * time.Millisecond):
				}
			}
		}()
		f := c.find(12*time.Second, 1<<20)
		t.Logf("%d forged answers; at most %d MiB of heap; %d devices listed", sent.Load(), most.Load()>>20, len(f.result.Devices))
		if sent.Load() < 50_000 {
			t.Logf("the machine is too busy for 10,000 a second")
		}
		for i := range 10 {
			if !slices.ContainsFunc(f.result.Devices, func(d discover.Device) bool {
				return slices.Contains(d.Addresses, place(i)) && (strings.HasPrefix(d.Name, "syno") || strings.HasPrefix(d.Name, "qnap"))
			}) {
				t.Errorf("device %d is not listed", i)
			}
		}
		if !slices.ContainsFunc(f.result.Findings, func(f discover.Finding) bool { return f.ID == "find_flooded" }) {
			t.Errorf("the flood is not told of: %+v", f.result.Findings)
		}
		if most.Load() > 256<<20 {
			t.Errorf("%d MiB of heap", most.Load()>>20)
		}
	})
}

// forge is the n-th answer: a serial and a MAC of its own.
func forge(base []byte, n int) []byte {
	b := bytes.Replace(base, []byte("F00000000"), fmt.Appendf(nil, "F%08d", n), 1)
	return bytes.Replace(b, []byte("02:00:00:00:00:00"), fmt.Appendf(nil, "02:%02x:%02x:%02x:00:00", n>>16&255, n>>8&255, n&255), 1)
}

// Several NICs: a NAS on two networks of ours is one line.
func TestTwoNetworks(t *testing.T) {
	isolated(t, nil, func(t *testing.T) {
		c := lan(t)
		c.space.Link(t, "nic1", "lan1")
		nettest.IP(t, "address", "add", "192.0.2.7/24", "dev", "nic1")
		c.space.IP(t, "address", "add", "192.0.2.20/24", "dev", "lan1")
		c.addresses(1)
		status := uint32(1)
		b, err := findhost.Reply{Type: findhost.TypeResponse, Status: &status, Name: "attic", Serial: "2040SBRXYZ123", MAC: "00:11:32:aa:bb:cc", HTTPPort: 5000}.Packet().Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		outs := map[string]net.PacketConn{"10.77": c.socket(place(0).String() + ":1234"), "192.0": c.socket("192.0.2.20:1234")}
		each(c.socket("0.0.0.0:9999"), func(q []byte, who *net.UDPAddr) {
			if p, err := findhost.Parse(q); err == nil && p.IsQuery() {
				_, _ = outs[who.IP.String()[:5]].WriteTo(b, &net.UDPAddr{IP: who.IP, Port: 9999})
			}
		})
		r, err := discover.Find(t.Context(), everyWay(), discover.Options{Wait: 3 * time.Second})
		if err != nil || len(r.Devices) != 1 || len(r.Devices[0].Addresses) != 2 {
			t.Errorf("%+v, %v", r.Devices, err)
		}
	})
}

// F6 on a real kernel: a silent neighbour, no DHCP server, another network.
func TestWhyItIsNotThere(t *testing.T) {
	isolated(t, nil, func(t *testing.T) {
		c := lan(t)
		nettest.IP(t, "neighbour", "add", "10.77.0.57", "lladdr", "00:11:32:aa:bb:cc", "dev", "nic0")
		nettest.IP(t, "neighbour", "add", "10.77.0.58", "lladdr", "02:00:00:aa:bb:cc", "dev", "nic0")
		c.space.Link(t, "nic1", "lan1")
		nettest.IP(t, "address", "add", "169.254.7.7/16", "dev", "nic1")
		r, err := discover.Find(t.Context(), everyWay(), discover.Options{Wait: time.Second, Around: discover.Around})
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, f := range r.Findings {
			ids = append(ids, string(f.ID))
		}
		slices.Sort(ids)
		if got := strings.Join(ids, " "); got != "neighbour_silent no_dhcp_here none_found" {
			t.Errorf("%s: %+v", got, r.Findings)
		}
	})
}

// F6: a firewall on this computer.
func TestFirewallHere(t *testing.T) {
	isolated(t, []string{"nft"}, func(t *testing.T) {
		lan(t)
		command(t, "nft", "add table inet t; add chain inet t in { type filter hook input priority 0; }; add rule inet t in udp dport { 9999, 8097 } drop")
		r, err := discover.Find(t.Context(), everyWay(), discover.Options{Wait: time.Second})
		if err != nil || !slices.ContainsFunc(r.Findings, func(f discover.Finding) bool { return f.ID == "broadcast_lost" }) {
			t.Errorf("%+v, %v", r.Findings, err)
		}
	})
}

// F6: the vendor's assistant holds the ports for itself alone.
func TestPortsHeld(t *testing.T) {
	isolated(t, nil, func(t *testing.T) {
		lan(t)
		for _, port := range []string{":9999", ":8097"} {
			held, err := net.ListenPacket("udp4", port)
			if err != nil {
				t.Fatal(err)
			}
			defer held.Close()
		}
		r, err := discover.Find(t.Context(), everyWay(), discover.Options{Wait: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		held := 0
		for _, f := range r.Findings {
			if f.ID == "port_held" {
				held++
			}
		}
		if held != 2 {
			t.Errorf("%+v", r.Findings)
		}
	})
}
