package discover

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/protocol/announce"
)

// MDNS asks by multicast DNS for our own devices, and for those of the vendors
// that tell themselves by it.
type MDNS struct {
	targets []netip.AddrPort
	sent    atomic.Int64
}

// NewMDNS asks by multicast on every interface; with targets it asks those
// alone, by unicast, and is done when all have answered.
func NewMDNS(targets ...netip.AddrPort) *MDNS {
	return &MDNS{targets: targets}
}

const (
	mdnsPort     = 5353
	mdnsHopLimit = 255 // RFC 6762 §11
	maxResolve   = 64  // instances that are asked about one by one
)

// Name is "mdns".
func (*MDNS) Name() string { return "mdns" }

// Sent is how many queries were sent.
func (m *MDNS) Sent() int { return int(m.sent.Load()) }

// Find asks until ctx ends.
func (m *MDNS) Find(ctx context.Context, out chan<- Sighting) error {
	id := uint16(rand.Uint32())
	services := []string{announce.ServiceNative, announce.ServiceQNAP, announce.ServiceWeb}
	q := question{}
	var err error
	if q.unicast, err = announce.Browse(id, true, services...); err != nil {
		return err
	}
	if q.multicast, err = announce.Browse(0, false, services...); err != nil {
		return err
	}
	waiting := expect(m.targets)
	conns, ask, err := m.open(ctx, waiting)
	if err != nil {
		return err
	}
	resolving := map[string]bool{}
	send := func(int) error { return ask(q) }
	take := func(d datagram) bool {
		instances, err := announce.ParseResponse(d.data)
		if err != nil {
			return false // a query, or noise
		}
		whole := true
		for _, i := range instances {
			if (i.Port == 0 || len(i.Text) == 0) && isWanted(i.Service) {
				whole = whole && i.Port != 0
				resolve(id, i, resolving, ask)
			}
			if s, ok := m.sighting(i, d.from.Addr()); ok {
				give(ctx, out, s)
			}
		}
		return whole && len(m.targets) > 0 && waiting.heard(d.from)
	}
	return converse(ctx, conns, mdnsPause, send, take)
}

// question is the same question in two ways. A one-shot one, from a port of our
// own, is answered to us at once, in at most 512 bytes (avahi leaves out what
// does not fit); one from the protocol's own port is answered to everyone, in
// full.
type question struct{ unicast, multicast []byte }

// resolve asks, once, about an instance that came without its SRV record or
// its text.
func resolve(id uint16, i announce.Instance, asked map[string]bool, ask func(question) error) {
	name := i.Name + "." + i.Service
	if asked[name] || len(asked) == maxResolve {
		return
	}
	asked[name] = true
	if b, err := announce.Resolve(id, true, i); err == nil {
		_ = ask(question{unicast: b}) // an interface that takes nothing just now; the device answers the next query anew
	}
}

func isWanted(service string) bool {
	return slices.Contains([]string{announce.ServiceNative, announce.ServiceQNAP, announce.ServiceWeb}, service)
}

// mdnsPause: at 0, 1 and 3 s, then twice as long each time (RFC 6762 §5.2).
func mdnsPause(round int) time.Duration { return time.Second << min(round, 6) }

// open makes the sockets, and how to ask on all of them.
func (m *MDNS) open(ctx context.Context, waiting expected) ([]net.PacketConn, func(question) error, error) {
	if len(m.targets) > 0 {
		conn, err := net.ListenUDP("udp", nil)
		if err != nil {
			return nil, nil, err
		}
		return []net.PacketConn{conn}, func(q question) error {
			for t := range waiting {
				m.count(conn.WriteToUDPAddrPort(q.unicast, t))
			}
			return nil
		}, nil
	}
	var conns []net.PacketConn
	var lc net.ListenConfig
	v4, err4 := lc.ListenPacket(ctx, "udp4", ":0")
	v6, err6 := lc.ListenPacket(ctx, "udp6", "[::]:0")
	if err4 != nil && err6 != nil {
		return nil, nil, errors.Join(err4, err6)
	}
	var p4 *ipv4.PacketConn
	if err4 == nil {
		p4 = ipv4.NewPacketConn(v4)
		_ = p4.SetMulticastTTL(mdnsHopLimit) // 1, the default, does for a link as well
		conns = append(conns, v4)
	}
	var p6 *ipv6.PacketConn
	if err6 == nil {
		p6 = ipv6.NewPacketConn(v6)
		_ = p6.SetMulticastHopLimit(mdnsHopLimit)
		conns = append(conns, v6)
	}
	everyone := overhear(groupV4(), mdnsPort)
	return append(conns, everyone...), func(q question) error {
		if q.multicast != nil {
			for _, c := range everyone { // each is of one interface
				m.count(c.WriteTo(q.multicast, &net.UDPAddr{IP: groupV4().AsSlice(), Port: mdnsPort}))
			}
		}
		return m.multicast(p4, p6, q.unicast)
	}, nil
}

func groupV4() netip.Addr { return netip.AddrFrom4([4]byte{224, 0, 0, 251}) }

// multicast asks on every interface.
func (m *MDNS) multicast(p4 *ipv4.PacketConn, p6 *ipv6.PacketConn, b []byte) error {
	all := upInterfaces(net.FlagMulticast)
	if len(all) == 0 {
		return errNoNetwork
	}
	for _, i := range all {
		if p4 != nil && p4.SetMulticastInterface(&i) == nil {
			m.count(p4.WriteTo(b, nil, &net.UDPAddr{IP: groupV4().AsSlice(), Port: mdnsPort}))
		}
		if p6 != nil && p6.SetMulticastInterface(&i) == nil {
			m.count(p6.WriteTo(b, nil, &net.UDPAddr{IP: net.ParseIP("ff02::fb"), Port: mdnsPort, Zone: i.Name}))
		}
	}
	return nil
}

// count counts what went out. An interface that takes nothing just now is asked
// again in the next round.
func (m *MDNS) count(_ int, err error) {
	if err == nil {
		m.sent.Add(1)
	}
}

// sighting reads an instance as one of our devices or a vendor's; a printer is
// not ok.
func (m *MDNS) sighting(i announce.Instance, from netip.Addr) (Sighting, bool) {
	s := Sighting{Source: m.Name(), From: from, Name: i.Name, Addresses: addresses(i, from), Status: nas.Unknown}
	if i.Port == 0 {
		return s, false // asked for; it comes with the next answer
	}
	if n, err := announce.ParseNative(i); err == nil {
		s.Name, s.Vendor, s.KeyID, s.MACs, s.Claim = n.Name, "Paperclip", n.KeyID, []string{n.MAC}, &n.Claim
		s.HTTPSPort = int(i.Port)
		if n.Status != "" {
			s.Status = nas.StatusOf(n.Status)
		}
		return s, true
	}
	v, ok := announce.ParseVendor(i)
	if !ok || len(i.Text) == 0 { // asked for too: without its text it says nothing of who it is
		return s, false
	}
	s.Vendor, s.Model, s.Serial, s.MACs = v.Vendor, v.Model, v.Serial, v.MACs
	s.Version, s.Build = v.Version, v.Build
	s.HTTPPort, s.HTTPSPort = int(v.HTTPPort), int(v.HTTPSPort)
	return s, true
}

// addresses are where an instance can be reached: first where its answer came
// from, then the others that it names, IPv4 first. A link-local IPv6 address is
// worth something only with the link that it was heard on.
func addresses(i announce.Instance, from netip.Addr) []netip.Addr {
	var out []netip.Addr
	for _, a := range i.Addresses {
		if a.Is6() && a.IsLinkLocalUnicast() {
			if from.Zone() == "" {
				continue
			}
			a = a.WithZone(from.Zone())
		}
		if a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	if len(out) == 0 {
		return []netip.Addr{from}
	}
	slices.SortStableFunc(out, func(a, b netip.Addr) int {
		return strings.Compare(rank(a, from), rank(b, from))
	})
	return out
}

func rank(a, from netip.Addr) string {
	switch {
	case a == from:
		return "0 heard from"
	case a.Is4() && !a.IsLinkLocalUnicast():
		return "1 IPv4"
	case a.Is4():
		return "2 link-local IPv4"
	case !a.IsLinkLocalUnicast():
		return "3 IPv6"
	}
	return "4 link-local IPv6"
}
