package app

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/owner/discover"
)

// ways are what --via takes: the sources, and native for our own devices.
func ways() []string { return []string{"findhost", "qfinder", "mdns", "ssdp", "web", "native"} }

// maxUnicast bounds to how many typed addresses datagrams go as well: beyond
// that, only their pages are looked at.
const maxUnicast = 256

// sources are the ways of finding that were asked for; nil is all there are.
// Where targets are given they alone are asked. The lab's rack is asked wherever
// it is.
func (l *lan) sources(via []string, targets []netip.Prefix, leases *discover.Leases) []discover.Source {
	want := func(names ...string) bool {
		return len(via) == 0 || slices.ContainsFunc(names, func(n string) bool { return slices.Contains(via, n) })
	}
	var out []discover.Source
	add := func(s discover.Source, names ...string) {
		if want(names...) {
			out = append(out, s)
		}
	}
	if leases != nil {
		out = append(out, leases)
	}
	if l.rack != nil {
		add(discover.NewFindhost(l.rack.Findhost()...), "findhost")
		add(discover.NewQfinder(l.rack.Qfinder()...), "qfinder")
		add(discover.NewMDNS(l.rack.MDNS()...), "mdns", "native")
		add(discover.NewSSDP(l.rack.SSDP()...), "ssdp")
		return out
	}
	few := addresses(targets)
	if len(targets) == 0 || len(few) > 0 {
		add(discover.NewFindhost(ports(few, 9999)...), "findhost")
		add(discover.NewQfinder(ports(few, 8097)...), "qfinder")
		add(discover.NewMDNS(ports(few, 5353)...), "mdns", "native")
		add(discover.NewSSDP(ports(few, 1900)...), "ssdp")
	}
	pages := slices.Clone(targets)
	if leases != nil {
		pages = append(pages, leases.Addresses()...)
	}
	add(discover.NewWeb(pages...), "web", "native")
	return out
}

// addresses lists those of all targets, or none where they are too many.
func addresses(targets []netip.Prefix) []netip.Addr {
	var out []netip.Addr
	for _, t := range targets {
		if t.Addr().BitLen()-t.Bits() > 8 {
			return nil
		}
		for a := t.Masked().Addr(); t.Contains(a); a = a.Next() {
			if out = append(out, a); len(out) > maxUnicast {
				return nil
			}
		}
	}
	return out
}

func ports(addrs []netip.Addr, port uint16) []netip.AddrPort {
	var out []netip.AddrPort
	for _, a := range addrs {
		out = append(out, netip.AddrPortFrom(a, port))
	}
	return out
}

// subnet reads an address, or a subnet of at most discover.MaxSubnet addresses.
func subnet(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a.WithZone(""), a.BitLen()), zoneless(a)
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || 1<<min(p.Addr().BitLen()-p.Bits(), 40) > discover.MaxSubnet {
		return netip.Prefix{}, catalog.New("usage", fmt.Sprintf("%q is no address and no subnet of at most %d addresses (a /16).", s, discover.MaxSubnet))
	}
	return p.Masked(), nil
}

// zoneless refuses an address that is of one link alone: devices there are found
// without it.
func zoneless(a netip.Addr) error {
	if a.Zone() != "" {
		return catalog.New("usage", "An address with a zone (%) cannot be typed here; find without it lists the devices on every link.")
	}
	return nil
}

// takes is how long a search with these sources needs: the default, or what
// asking every typed address takes.
func takes(sources []discover.Source) time.Duration {
	wait := discover.DefaultWait
	for _, s := range sources {
		if w, ok := s.(*discover.Web); ok {
			wait = max(wait, w.Takes())
		}
	}
	return wait
}
