package discover

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/net/ipv4"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/protocol/findhost"
)

// Findhost asks as Synology's own assistant does (vendors/synology.md §1.1):
// the way to find Synology devices, those that wait in their installer too. It
// sends the smallest query there is and never a packet that changes a device.
type Findhost struct {
	targets []netip.AddrPort
	sent    atomic.Int64
	held    atomic.Bool // somebody else has the port
	echo    atomic.Bool // our own broadcast came back
	heard   atomic.Bool
	denied  atomic.Bool
}

// NewFindhost asks by broadcast on every interface; with targets it asks those
// alone, by unicast, and is done when all have answered.
func NewFindhost(targets ...netip.AddrPort) *Findhost {
	return &Findhost{targets: targets}
}

// Name is "findhost".
func (*Findhost) Name() string { return "findhost" }

// Sent is how many queries were sent.
func (f *Findhost) Sent() int { return int(f.sent.Load()) }

// Find asks until ctx ends.
func (f *Findhost) Find(ctx context.Context, out chan<- Sighting) error {
	query, err := findhost.Query().Append(nil)
	if err != nil {
		return err
	}
	conn, err := f.listen(ctx)
	if err != nil {
		return err
	}
	waiting := expect(f.targets)
	p := ipv4.NewPacketConn(conn)
	send := func(int) error {
		if len(f.targets) == 0 {
			return f.broadcast(p, query)
		}
		for t := range waiting {
			f.count(conn.WriteTo(query, net.UDPAddrFromAddrPort(t)))
		}
		return nil
	}
	take := func(d datagram) bool {
		r, err := findhost.ParseReply(d.data)
		if err != nil { // our own query, somebody else's, or noise
			if bytes.Equal(d.data, query) {
				f.echo.Store(true)
			}
			return false
		}
		f.heard.Store(true)
		give(ctx, out, f.sighting(r, d.from.Addr()))
		return len(f.targets) > 0 && waiting.heard(d.from)
	}
	return converse(ctx, []net.PacketConn{conn}, findhostPause, send, take)
}

// listen takes port 9999, since a device answers to that port whatever port
// was asked from; where another program holds it alone, the two that the
// vendor's assistant falls back to. The lab's devices answer to any port.
func (f *Findhost) listen(ctx context.Context) (net.PacketConn, error) {
	lc := net.ListenConfig{Control: shareAddress}
	real := len(f.targets) == 0 || slices.ContainsFunc(f.targets, func(t netip.AddrPort) bool { return t.Port() == findhost.Port })
	if !real {
		return lc.ListenPacket(ctx, "udp4", ":0")
	}
	var errs []error
	for _, port := range []int{findhost.Port, findhost.FallbackPort1, findhost.FallbackPort2} {
		conn, err := lc.ListenPacket(ctx, "udp4", ":"+strconv.Itoa(port))
		if err == nil {
			return conn, nil
		}
		f.held.Store(true)
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// findhostPause: at 0, 0.2 and 0.7 s, then ever more slowly up to every 3.5 s;
// devices answer late, and not every query (vendors/synology.md §1.1).
func findhostPause(round int) time.Duration {
	pauses := []time.Duration{200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second}
	if round < len(pauses) {
		return pauses[round]
	}
	return 3500 * time.Millisecond
}

// broadcast asks on every network: the subnet's broadcast address, and the
// general one through each interface, which reaches a device with an address
// of another subnet.
func (f *Findhost) broadcast(p *ipv4.PacketConn, query []byte) error {
	all := networks()
	if len(all) == 0 {
		return errNoNetwork
	}
	general := &net.UDPAddr{IP: net.IPv4bcast, Port: findhost.Port}
	asked := map[int]bool{}
	for _, n := range all {
		f.count(p.WriteTo(query, nil, &net.UDPAddr{IP: n.broadcast.AsSlice(), Port: findhost.Port}))
		if !asked[n.iface.Index] {
			asked[n.iface.Index] = true
			f.count(p.WriteTo(query, &ipv4.ControlMessage{IfIndex: n.iface.Index}, general))
		}
	}
	return nil
}

// count counts what went out. An interface that takes nothing just now is asked
// again in the next round.
func (f *Findhost) count(_ int, err error) {
	switch {
	case err == nil:
		f.sent.Add(1)
	case deniedLocalNetwork(runtime.GOOS, err):
		f.denied.Store(true)
	}
}

// Notices tells what keeps answers away.
func (f *Findhost) Notices() []catalog.Problem {
	var out []catalog.Problem
	if f.held.Load() {
		out = append(out, catalog.New("port_held", findhost.Port))
	}
	switch {
	case len(f.targets) > 0 || f.heard.Load():
	case f.denied.Load() && f.Sent() == 0:
		out = append(out, catalog.New("local_network_denied"))
	case f.Sent() > 0 && !f.echo.Load() && !f.held.Load():
		out = append(out, catalog.New("broadcast_lost"))
	}
	return out
}

func (f *Findhost) sighting(r findhost.Reply, from netip.Addr) Sighting {
	s := Sighting{
		Source: f.Name(), From: from, Name: r.Name, Vendor: "Synology", Model: r.Model, Serial: r.Serial,
		Addresses: []netip.Addr{from}, // it wins over what the device thinks that it has (§1.4)
		Version:   r.Version, Build: decimal(r.Build), Update: decimal(r.Update),
		HTTPPort: int(r.HTTPPort), HTTPSPort: int(r.HTTPSPort), DHCP: r.DHCP,
		Netmask: text(r.Netmask), Gateway: text(r.Gateway),
	}
	s.Status, s.Guessed = r.State()
	if s.Status == nas.Unknown {
		s.Guessed = false
	}
	if s.Serial == "" {
		s.Serial = r.ShortSerial
	}
	for _, mac := range []string{r.FirstMAC, r.MAC} {
		if mac != "" && !slices.Contains(s.MACs, mac) {
			s.MACs = append(s.MACs, mac)
		}
	}
	for _, a := range r.DNS {
		s.DNS = append(s.DNS, a.String())
	}
	return s
}

func decimal(n uint32) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(n), 10)
}

func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
