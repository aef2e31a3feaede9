package discover

import (
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/net/route"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// neighbours reads the routes that have a link-layer address, as `arp -a` and
// `ndp -a` do.
func neighbours() ([]Neighbour, error) {
	const flags = 2 // NET_RT_FLAGS
	raw, err := route.FetchRIB(syscall.AF_UNSPEC, flags, syscall.RTF_LLINFO)
	if err != nil {
		return nil, err
	}
	messages, err := route.ParseRIB(route.RIBType(flags), raw)
	if err != nil {
		return nil, err
	}
	var out []Neighbour
	for _, m := range messages {
		r, ok := m.(*route.RouteMessage)
		if !ok || len(r.Addrs) <= syscall.RTAX_GATEWAY {
			continue
		}
		link, ok := r.Addrs[syscall.RTAX_GATEWAY].(*route.LinkAddr)
		if !ok || len(link.Addr) != 6 {
			continue
		}
		mac, ok := nas.NormalMAC(net.HardwareAddr(link.Addr).String())
		if !ok {
			continue
		}
		switch a := r.Addrs[syscall.RTAX_DST].(type) {
		case *route.Inet4Addr:
			out = append(out, Neighbour{netip.AddrFrom4(a.IP), mac})
		case *route.Inet6Addr:
			out = append(out, Neighbour{netip.AddrFrom16(a.IP), mac})
		}
	}
	return out, nil
}
