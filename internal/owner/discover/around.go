package discover

import (
	"net"
	"net/netip"
	"slices"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
)

// Interface is one network interface of this computer that is up and is no
// loopback.
type Interface struct {
	Name     string
	Prefixes []netip.Prefix // its addresses, each with its network
}

// Neighbour is somebody that the kernel has spoken with on a link.
type Neighbour struct {
	Address netip.Addr
	MAC     string // lower case with colons
}

// Surroundings are what this computer knows of the networks that it is on.
type Surroundings struct {
	Interfaces []Interface
	Neighbours []Neighbour
}

// Around looks at this computer's interfaces and at its kernel's table of
// neighbours. It sends nothing.
func Around() Surroundings {
	s := Surroundings{Interfaces: interfaces()}
	if n, err := neighbours(); err == nil { // without it a search explains less
		s.Neighbours = n
	}
	return s
}

func interfaces() []Interface {
	var out []Interface
	for _, i := range upInterfaces(0) {
		out = append(out, Interface{i.Name, prefixes(i)})
	}
	return out
}

// ours reports of an address whether it is on one of our own networks, or of
// this computer.
func ours(all []Interface) func(netip.Addr) bool {
	return func(a netip.Addr) bool {
		if a.IsLoopback() {
			return true
		}
		return slices.ContainsFunc(all, func(i Interface) bool {
			return slices.ContainsFunc(i.Prefixes, func(p netip.Prefix) bool { return p.Masked().Contains(a.WithZone("")) })
		})
	}
}

// maxSilent bounds how many neighbours are told of.
const maxSilent = 8

// explain says why a device may not be there, or may not be reached (row F6).
func (s Surroundings) explain(devices []Device) []catalog.Problem {
	var out []catalog.Problem
	for _, i := range s.Interfaces {
		if i.onlyLinkLocal() {
			out = append(out, catalog.New("no_dhcp_here", i.Name))
		}
	}
	here := ours(s.Interfaces)
	known := map[string]bool{}
	places := map[netip.Addr]bool{}
	for _, d := range devices {
		for _, m := range d.MACs {
			known[m] = true
		}
		for _, a := range d.Addresses {
			places[a.WithZone("")] = true
		}
		if p, strange := d.outOfReach(here); strange && len(out) < maxSilent {
			out = append(out, p)
		}
	}
	silent := 0
	for _, n := range s.Neighbours {
		maker := catalog.MakerOf(n.MAC)
		if maker == "" || known[n.MAC] || places[n.Address.WithZone("")] || silent == maxSilent {
			continue
		}
		silent++
		known[n.MAC] = true
		out = append(out, catalog.New("neighbour_silent", maker, n.Address, n.MAC))
	}
	return out
}

// onlyLinkLocal reports whether the interface gave itself an IPv4 address since
// nobody else did.
func (i Interface) onlyLinkLocal() bool {
	own := false
	for _, p := range i.Prefixes {
		if a := p.Addr(); a.Is4() {
			if !a.IsLinkLocalUnicast() {
				return false
			}
			own = true
		}
	}
	return own
}

// outOfReach says why a device that was heard cannot be opened: it has only
// IPv4 addresses of networks that this computer is not on.
func (d Device) outOfReach(here func(netip.Addr) bool) (catalog.Problem, bool) {
	if len(d.Addresses) == 0 || slices.ContainsFunc(d.Addresses, func(a netip.Addr) bool { return here(a) || a.Is6() }) {
		return catalog.Problem{}, false
	}
	if !slices.ContainsFunc(d.FoundBy, func(source string) bool { return source != "leases" && source != "web" }) {
		return catalog.Problem{}, false // it was not heard on our link; routers lead to it
	}
	if d.Addresses[0].IsLinkLocalUnicast() {
		return catalog.New("no_dhcp_there", d.label()), true
	}
	return catalog.New("other_subnet", d.label()), true
}

// network is one IPv4 subnet of one interface.
type network struct {
	iface     net.Interface
	prefix    netip.Prefix
	broadcast netip.Addr // of the subnet
}
