package discover

import (
	"net/netip"

	"github.com/vishvananda/netlink"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// neighbours reads the kernel's table by netlink, as `ip neigh` does. Entries
// without an answer have no MAC and are left out.
func neighbours() ([]Neighbour, error) {
	all, err := netlink.NeighList(0, netlink.FAMILY_ALL)
	if err != nil {
		return nil, err
	}
	var out []Neighbour
	for _, n := range all {
		a, ok := netip.AddrFromSlice(n.IP)
		mac, isMAC := nas.NormalMAC(n.HardwareAddr.String())
		if ok && isMAC && n.State&(netlink.NUD_NOARP|netlink.NUD_INCOMPLETE|netlink.NUD_FAILED) == 0 {
			out = append(out, Neighbour{a.Unmap(), mac})
		}
	}
	return out, nil
}
