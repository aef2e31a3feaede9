package discover

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/protocol/ssdp"
)

// SSDP asks by UPnP's search, and reads the description of each device that
// looks like a NAS: from the address that the answer came from, and no other.
type SSDP struct {
	targets []netip.AddrPort
	sent    atomic.Int64
}

// NewSSDP asks by multicast on every interface; with targets it asks those
// alone, by unicast, and is done when all have answered.
func NewSSDP(targets ...netip.AddrPort) *SSDP { return &SSDP{targets: targets} }

const (
	ssdpRounds      = 3
	maxDescriptions = 512
	readAhead       = 8 // descriptions that are fetched at a time
)

// Name is "ssdp".
func (*SSDP) Name() string { return "ssdp" }

// Sent is how many searches were sent.
func (s *SSDP) Sent() int { return int(s.sent.Load()) }

// Find asks until ctx ends.
func (s *SSDP) Find(ctx context.Context, out chan<- Sighting) error {
	var lc net.ListenConfig
	conn, err := lc.ListenPacket(ctx, "udp4", ":0")
	if err != nil {
		return err
	}
	p := ipv4.NewPacketConn(conn)
	conns := []net.PacketConn{conn}
	var p6 *ipv6.PacketConn
	if len(s.targets) == 0 {
		conns = append(conns, overhear(ssdpGroup(), ssdp.Port)...)
		if v6, err := lc.ListenPacket(ctx, "udp6", "[::]:0"); err == nil {
			p6 = ipv6.NewPacketConn(v6)
			_ = p6.SetMulticastHopLimit(2)
			conns = append(conns, v6)
		}
	}
	query := ssdp.Search(ssdp.TargetRoot, 1)
	waiting := expect(s.targets)
	send := func(round int) error {
		switch {
		case len(s.targets) > 0:
			for t := range waiting {
				s.count(conn.WriteTo(query, net.UDPAddrFromAddrPort(t)))
			}
		case round < ssdpRounds:
			return s.multicast(p, p6, round)
		}
		return nil
	}
	var reading sync.WaitGroup
	defer reading.Wait()
	places := make(chan struct{}, readAhead)
	read := map[string]bool{}
	take := func(d datagram) bool {
		m, err := ssdp.Parse(d.data)
		if err != nil || m.Goodbye() {
			return false // a search, a goodbye, or noise
		}
		first, ok := s.sighting(m, d.from.Addr())
		if !ok {
			return false
		}
		give(ctx, out, first)
		url, err := m.DescriptionURL(d.from.Addr())
		if err == nil && !read[url] && len(read) < maxDescriptions {
			read[url] = true
			reading.Go(func() {
				select {
				case places <- struct{}{}:
					defer func() { <-places }()
				case <-ctx.Done():
					return
				}
				if more, ok := s.describe(ctx, url, first); ok {
					give(ctx, out, more)
				}
			})
		}
		return len(s.targets) > 0 && waiting.heard(d.from)
	}
	return converse(ctx, conns, ssdpPause, send, take)
}

// ssdpPause: at 0, 1 and 3 s; a search may be lost, and devices answer within a
// second of it.
func ssdpPause(round int) time.Duration { return time.Second << min(round, 3) }

func ssdpGroup() netip.Addr { return netip.AddrFrom4([4]byte{239, 255, 255, 250}) }

// multicast asks on every interface: by IPv4, and by IPv6 those on the link and
// once those of the site (UPnP Device Architecture 2.0, annex A).
func (s *SSDP) multicast(p *ipv4.PacketConn, p6 *ipv6.PacketConn, round int) error {
	all := upInterfaces(net.FlagMulticast)
	if len(all) == 0 {
		return errNoNetwork
	}
	_ = p.SetMulticastTTL(2) // 1, the default, does for a link as well
	groups := []string{ssdp.GroupLink, ssdp.GroupSite}
	if round > 0 {
		groups = groups[:1]
	}
	for _, i := range all {
		if p.SetMulticastInterface(&i) == nil {
			s.count(p.WriteTo(ssdp.Search(ssdp.TargetRoot, 1), nil, &net.UDPAddr{IP: ssdpGroup().AsSlice(), Port: ssdp.Port}))
		}
		if p6 == nil || p6.SetMulticastInterface(&i) != nil {
			continue
		}
		for _, g := range groups {
			s.count(p6.WriteTo(ssdp.SearchAt(g, ssdp.TargetRoot, 1), nil, &net.UDPAddr{IP: net.ParseIP(g), Port: ssdp.Port, Zone: i.Name}))
		}
	}
	return nil
}

// count counts what went out. An interface that takes nothing just now is asked
// again in the next round.
func (s *SSDP) count(_ int, err error) {
	if err == nil {
		s.sent.Add(1)
	}
}

// sighting is what an answer itself tells of a NAS; a router or a television is
// not ok.
func (s *SSDP) sighting(m ssdp.Message, from netip.Addr) (Sighting, bool) {
	out := Sighting{Source: s.Name(), From: from, Addresses: []netip.Addr{from}, Status: nas.Unknown}
	mac := m.MAC()
	if mac != "" {
		out.MACs = []string{mac}
	}
	synology, installer := m.Synology()
	if synology {
		out.Vendor = "Synology"
	} else {
		out.Vendor = catalog.MakerOf(mac)
	}
	if installer {
		out.Status, out.Guessed = nas.NotInstalled, true
	}
	return out, out.Vendor != ""
}

// describe reads the description, with which the sighting says more.
func (s *SSDP) describe(ctx context.Context, url string, first Sighting) (Sighting, bool) {
	b, err := fetch(ctx, plainClient(first.From), url, ssdp.MaxDescription)
	if err != nil {
		return Sighting{}, false
	}
	d, err := ssdp.ParseDescription(b)
	if err != nil || d.Manufacturer != "Synology" {
		return Sighting{}, false // a media server on the NAS describes itself and not the NAS
	}
	more := first
	more.Name, more.Model = d.Name(), d.ModelName
	more.Version, more.Build = d.Version()
	if mac := d.MAC(); mac != "" {
		more.MACs = union(more.MACs, []string{mac})
	}
	return more, true
}

var errElsewhere = errors.New("not where it was asked")
