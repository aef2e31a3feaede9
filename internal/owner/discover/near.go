package discover

import (
	"net/netip"
	"slices"
)

// NearFirst is the addresses in the order in which they are tried: those of a
// subnet that this computer is in before the others. A NAS that nobody reaches
// often announces the address of a wrong setting first (F4), and trying it costs
// seconds.
func NearFirst(addresses []netip.Addr, own []netip.Prefix) []netip.Addr {
	far := func(a netip.Addr) int {
		if slices.ContainsFunc(own, func(p netip.Prefix) bool { return p.Contains(a) }) {
			return 0
		}
		return 1
	}
	out := slices.Clone(addresses)
	slices.SortStableFunc(out, func(a, b netip.Addr) int { return far(a) - far(b) })
	return out
}

// OwnSubnets are those that this computer is in.
func OwnSubnets() []netip.Prefix {
	var out []netip.Prefix
	for _, i := range upInterfaces(0) {
		out = append(out, prefixes(i)...)
	}
	return out
}
