//go:build linux

package claimnet

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"

	"github.com/vishvananda/netlink"
)

// maxNICs bounds how many claim links are made.
const maxNICs = 16

// nic is a wired network card, or the bridge or bond that it belongs to: there
// a claim link hangs on the whole, as a part of it cannot carry one.
type nic struct {
	name  string
	index int
	mac   net.HardwareAddr
}

// wiredNICs lists the NICs that are up, by index.
func wiredNICs(virtual bool, log *slog.Logger) ([]nic, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list the network cards: %w", err)
	}
	byIndex := make(map[int]netlink.Link, len(links))
	for _, l := range links {
		byIndex[l.Attrs().Index] = l
	}
	var nics []nic
	for _, l := range links {
		if !wired(l, virtual) {
			continue
		}
		a := whole(l, byIndex).Attrs()
		if slices.ContainsFunc(nics, func(n nic) bool { return n.index == a.Index }) {
			continue
		}
		switch {
		case a.Flags&net.FlagUp == 0:
			log.Info("a network card that is switched off is left alone", "nic", a.Name)
		case len(nics) == maxNICs:
			log.Warn("too many network cards, this one is left out", "nic", a.Name)
		default:
			nics = append(nics, nic{name: a.Name, index: a.Index, mac: a.HardwareAddr})
		}
	}
	slices.SortFunc(nics, func(a, b nic) int { return a.index - b.index })
	return nics, nil
}

// wired tells whether a link is a wired Ethernet card. Virtual bridges, VPNs
// and the like have no device behind them.
func wired(l netlink.Link, virtual bool) bool {
	a := l.Attrs()
	if a.EncapType != "ether" || a.Flags&net.FlagLoopback != 0 || len(a.HardwareAddr) != 6 {
		return false
	}
	if virtual && l.Type() == "veth" {
		return true
	}
	has := func(attribute string) bool {
		_, err := os.Stat(filepath.Join("/sys/class/net", a.Name, attribute))
		return err == nil
	}
	return has("device") && !has("wireless") && !has("phy80211")
}

// whole is the bridge or bond that a link is part of, or the link itself.
func whole(l netlink.Link, byIndex map[int]netlink.Link) netlink.Link {
	for range len(byIndex) { // no loop can be longer
		master, ok := byIndex[l.Attrs().MasterIndex]
		if !ok || !slices.Contains([]string{"bridge", "bond", "team"}, master.Type()) {
			break
		}
		l = master
	}
	return l
}
