package onlink

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

const sysClassNet = "/sys/class/net"

// depth bounds how far a link is followed down to the card below it.
const depth = 8

// Snapshot looks at the machine's interfaces. It needs no privilege. With
// virtual set, an Ethernet link without a device (a veth, which sysfs does not
// name) counts as a card too: for containers and tests.
func Snapshot(virtual bool) (Neighbours, error) {
	ifs, err := net.Interfaces()
	if err != nil {
		return Neighbours{}, fmt.Errorf("list the network interfaces: %w", err)
	}
	var n Neighbours
	for _, i := range ifs {
		addrs, err := i.Addrs()
		if err != nil {
			continue // it has just gone away
		}
		one := Interface{Name: i.Name, Room: room(i, virtual)}
		for _, a := range addrs {
			if p, ok := prefixOf(a); ok {
				one.Prefixes = append(one.Prefixes, p)
			}
		}
		n.Interfaces = append(n.Interfaces, one)
	}
	return n, nil
}

func prefixOf(a net.Addr) (netip.Prefix, bool) {
	ipNet, ok := a.(*net.IPNet)
	if !ok {
		return netip.Prefix{}, false
	}
	addr, ok := netip.AddrFromSlice(ipNet.IP)
	ones, bits := ipNet.Mask.Size()
	if !ok || bits == 0 {
		return netip.Prefix{}, false
	}
	addr = addr.Unmap()
	if addr.Is4() && bits == 128 {
		ones -= 96
	}
	return netip.PrefixFrom(addr, ones), true
}

func room(i net.Interface, virtual bool) bool {
	const need, never = net.FlagUp | net.FlagBroadcast, net.FlagLoopback | net.FlagPointToPoint
	if i.Flags&need != need || i.Flags&never != 0 || len(i.HardwareAddr) != 6 {
		return false
	}
	return leadsOut(sysClassNet, i.Name, virtual, depth)
}

// leadsOut tells whether a link is a card, or stands on one. sysfs shows the
// links below a bridge, bond, VLAN or macvlan as lower_NAME.
func leadsOut(dir, name string, virtual bool, depth int) bool {
	if depth == 0 {
		return false
	}
	has := func(attribute string) bool {
		_, err := os.Stat(filepath.Join(dir, name, attribute))
		return err == nil
	}
	if has("tun_flags") {
		return false // tun and tap: a program's, or a VPN
	}
	if has("device") {
		return true
	}
	lower, err := filepath.Glob(filepath.Join(dir, name, "lower_*"))
	if err != nil {
		return false // the name is the kernel's, but it may hold a pattern's characters
	}
	for _, l := range lower {
		if leadsOut(dir, strings.TrimPrefix(filepath.Base(l), "lower_"), virtual, depth-1) {
			return true
		}
	}
	return virtual && len(lower) == 0 && has("iflink") && !has("bridge") && !has("bonding")
}
