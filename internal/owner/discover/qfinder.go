package discover

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/net/ipv4"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/protocol/qfinder"
)

// Qfinder asks as QNAP's own finder does (vendors/qnap.md §1.1): three questions
// to everyone, and then one to each device that answered, for its details. It
// sends nothing that changes a device.
type Qfinder struct {
	targets []netip.AddrPort
	sent    atomic.Int64
	held    atomic.Bool
}

// NewQfinder asks by broadcast on every interface; with targets it asks those
// alone, by unicast, and is done when all have answered in detail.
func NewQfinder(targets ...netip.AddrPort) *Qfinder { return &Qfinder{targets: targets} }

// maxDetails bounds the questions for details in a flood.
const maxDetails = 2048

// Name is "qfinder".
func (*Qfinder) Name() string { return "qfinder" }

// Sent is how many questions were sent.
func (q *Qfinder) Sent() int { return int(q.sent.Load()) }

// Notices tells where the port is somebody else's.
func (q *Qfinder) Notices() []catalog.Problem {
	if q.held.Load() {
		return []catalog.Problem{catalog.New("port_held", qfinder.Port)}
	}
	return nil
}

// Find asks until ctx ends. A device answers to port 8097 alone, by broadcast:
// where another program holds that port, this way finds nothing and says so.
func (q *Qfinder) Find(ctx context.Context, out chan<- Sighting) error {
	query, err := qfinder.Query().Append(nil)
	if err != nil {
		return err
	}
	conn, err := q.listen(ctx)
	if err != nil {
		q.held.Store(true)
		return nil
	}
	waiting := expect(q.targets)
	p := ipv4.NewPacketConn(conn)
	send := func(round int) error {
		switch {
		case len(q.targets) > 0:
			for t := range waiting {
				q.count(conn.WriteTo(query, net.UDPAddrFromAddrPort(t)))
			}
		case round < qfinderRounds:
			return q.broadcast(p, query, netip.Addr{})
		}
		return nil
	}
	asked := map[string]bool{}
	take := func(d datagram) bool {
		r, err := qfinder.ParseReply(d.data)
		if err != nil {
			return false // our own question, somebody else's, or noise
		}
		give(ctx, out, q.sighting(r, d.from.Addr()))
		if r.Kind == qfinder.Detail {
			return len(q.targets) > 0 && waiting.heard(d.from)
		}
		if r.Address != "" && !asked[r.Address] && len(asked) < maxDetails {
			asked[r.Address] = true
			q.detail(conn, p, r.Address, d.from)
		}
		return false
	}
	return converse(ctx, []net.PacketConn{conn}, qfinderPause, send, take)
}

func (q *Qfinder) listen(ctx context.Context) (net.PacketConn, error) {
	lc := net.ListenConfig{Control: shareAddress}
	if len(q.targets) > 0 && !slices.ContainsFunc(q.targets, func(t netip.AddrPort) bool { return t.Port() == qfinder.Port }) {
		return lc.ListenPacket(ctx, "udp4", ":0")
	}
	return lc.ListenPacket(ctx, "udp4", ":"+strconv.Itoa(qfinder.Port))
}

const qfinderRounds = 3

// qfinderPause: at 0, 0.2 and 0.6 s (vendors/qnap.md §1.1).
func qfinderPause(round int) time.Duration {
	switch round {
	case 0:
		return 200 * time.Millisecond
	case 1:
		return 400 * time.Millisecond
	}
	return 3 * time.Second // nothing is sent then but to targets
}

// detail asks one device, in the place where it answered from.
func (q *Qfinder) detail(conn net.PacketConn, p *ipv4.PacketConn, mac string, from netip.AddrPort) {
	query, err := qfinder.DetailQuery(mac)
	if err != nil {
		return
	}
	b, err := query.Append(nil)
	if err != nil {
		return
	}
	if len(q.targets) > 0 {
		q.count(conn.WriteTo(b, net.UDPAddrFromAddrPort(from)))
		return
	}
	_ = q.broadcast(p, b, from.Addr()) // there is a network: the answer came over it
}

// broadcast sends to everyone: through the interface whose network near is in,
// or through all where near is not valid or in none.
func (q *Qfinder) broadcast(p *ipv4.PacketConn, b []byte, near netip.Addr) error {
	all := networks()
	if len(all) == 0 {
		return errNoNetwork
	}
	if i := slices.IndexFunc(all, func(n network) bool { return n.prefix.Contains(near) }); i >= 0 {
		all = all[i : i+1]
	}
	asked := map[int]bool{}
	for _, n := range all {
		if !asked[n.iface.Index] {
			asked[n.iface.Index] = true
			q.count(p.WriteTo(b, &ipv4.ControlMessage{IfIndex: n.iface.Index}, &net.UDPAddr{IP: net.IPv4bcast, Port: qfinder.Port}))
		}
	}
	return nil
}

// count counts what went out. An interface that takes nothing just now is asked
// again in the next round.
func (q *Qfinder) count(_ int, err error) {
	if err == nil {
		q.sent.Add(1)
	}
}

func (q *Qfinder) sighting(r qfinder.Reply, from netip.Addr) Sighting {
	s := Sighting{
		Source: q.Name(), From: from, Name: r.Name, Vendor: "QNAP", Model: r.Model, MACs: r.MACs,
		Addresses: []netip.Addr{from}, Status: nas.Unknown, Build: r.Build,
		HTTPPort: int(r.HTTPPort), HTTPSPort: int(r.HTTPSPort), DHCP: r.DHCP,
		Netmask: text(r.Netmask), Gateway: text(r.Gateway),
	}
	if r.Kind == qfinder.Detail { // it has the network, and the brief one the ports
		s.part = "detail"
	}
	for _, a := range r.DNS {
		s.DNS = append(s.DNS, a.String())
	}
	return s
}

// deniedLocalNetwork recognises what macOS says to a program that may not use the local
// network (vendors/synology.md §1.1).
func deniedLocalNetwork(system string, err error) bool {
	return system == "darwin" && errors.Is(err, errNoRoute)
}
