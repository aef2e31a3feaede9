package networkd

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// entry is one assignment of a .network file; number tells sections of the
// same name apart.
type entry struct {
	section    string
	number     int
	key, value string
}

// config is the assignments of a .network file and its drop-ins, in order.
type config []entry

// parse reads the format of systemd.syntax(7): sections, assignments, comments
// at the start of a line, a backslash that continues one. It never fails: what
// it cannot read networkd cannot either, and ignores.
func parse(text string) config {
	var c config
	section, number := "", 0
	text = strings.ReplaceAll(text, "\r\n", "\n")
	var pending string
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue // inside a continued line too
		}
		line = strings.TrimSpace(pending + line)
		pending = ""
		if rest, continued := strings.CutSuffix(line, `\`); continued {
			pending = rest + " "
			continue
		}
		if strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]") {
			section, number = line[1:len(line)-1], number+1
			continue
		}
		if key, value, ok := strings.Cut(line, "="); ok && section != "" {
			c = append(c, entry{section, number, strings.TrimSpace(key), strings.TrimSpace(value)})
		}
	}
	return c
}

// with is c and then the assignments of a drop-in.
func (c config) with(dropIn config) config {
	sections := 0
	if len(c) > 0 {
		sections = c[len(c)-1].number
	}
	for _, e := range dropIn {
		e.number += sections
		c = append(c, e)
	}
	return c
}

// values are those of a key in any of the sections; an empty one clears those
// before it, as networkd reads lists.
func (c config) values(key string, sections ...string) []string {
	var all []string
	for _, e := range c {
		if e.key != key || !slices.Contains(sections, e.section) {
			continue
		}
		if e.value == "" && e.section == "Network" {
			all = nil
		} else if e.value != "" {
			all = append(all, e.value)
		}
	}
	return all
}

func (c config) last(key string, sections ...string) string {
	all := c.values(key, sections...)
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1]
}

func (c config) words(key string, sections ...string) []string {
	var all []string
	for _, v := range c.values(key, sections...) {
		all = append(all, strings.Fields(v)...)
	}
	return all
}

// addresses are those set by hand, that can be read.
func (c config) addresses() []netip.Prefix {
	var all []netip.Prefix
	for _, text := range c.values("Address", "Network", "Address") {
		if p, err := netip.ParsePrefix(text); err == nil {
			all = append(all, p)
		} else if addr, err := netip.ParseAddr(text); err == nil {
			all = append(all, netip.PrefixFrom(addr, addr.BitLen()))
		}
	}
	return all
}

// gateway is the one of the default route, if it is set by hand.
func (c config) gateway() string {
	if g := c.last("Gateway", "Network"); g != "" {
		return g
	}
	elsewhere := make(map[int]bool) // [Route] sections that lead to one network only
	for _, e := range c {
		if e.section == "Route" && e.key == "Destination" && !strings.HasSuffix(e.value, "/0") {
			elsewhere[e.number] = true
		}
	}
	for _, e := range c {
		if e.section == "Route" && e.key == "Gateway" && !elsewhere[e.number] {
			return e.value
		}
	}
	return ""
}

func (c config) dhcp() bool {
	switch strings.ToLower(c.last("DHCP", "Network")) {
	case "yes", "true", "1", "on", "y", "t", "both", "ipv4", "v4":
		return true
	}
	return false
}

func (c config) method() nas.Method {
	switch linkLocal := strings.ToLower(c.last("LinkLocalAddressing", "Network")); {
	case c.dhcp():
		return nas.DHCP
	case len(c.values("Address", "Network", "Address")) > 0:
		return nas.Static
	case slices.Contains([]string{"yes", "true", "1", "on", "ipv4", "fallback", "ipv4-fallback"}, linkLocal):
		return nas.LinkLocal
	}
	return nas.Unmanaged
}

// plainDHCP reports whether nothing is set by hand: then E4 changes nothing.
func (c config) plainDHCP() bool {
	if !c.dhcp() {
		return false
	}
	for _, e := range c {
		switch {
		case e.value == "":
		case e.section == "Address" || e.section == "Route" || e.section == "RoutingPolicyRule":
			return false
		case e.section == "Network" && slices.Contains([]string{"Address", "Gateway", "DNS"}, e.key):
			return false
		}
	}
	return true
}

// standardMTU is the largest packet of plain Ethernet, in bytes.
const standardMTU = 1500

// mtu is the one that is set, in bytes; 0 is none. K, M and G are powers of
// 1024 (systemd.network(5)).
func (c config) mtu() int {
	text, unit := c.last("MTUBytes", "Link"), 1
	for i, suffix := range []string{"K", "M", "G"} {
		if rest, ok := strings.CutSuffix(text, suffix); ok {
			text, unit = rest, 1<<(10*(i+1))
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 1<<20 {
		return 0
	}
	return n * unit
}

// stacked are the keys of [Network] that build another interface on this one.
func stacked(key string) bool {
	return slices.Contains([]string{"VLAN", "MACVLAN", "MACVTAP", "IPVLAN", "IPVTAP", "VXLAN", "MACsec", "Tunnel", "L2TP"}, key)
}

// free is c without being part of a bond.
func (c config) free() config {
	return slices.DeleteFunc(slices.Clone(c), func(e entry) bool {
		return e.section == "Network" && slices.Contains([]string{"Bond", "ActiveSlave", "PrimarySlave"}, e.key)
	})
}

// built are the keys of [Network] that say what is made on an interface, or
// what it is part of; they are kept. All others there are about addresses.
func built(key string) bool {
	return slices.Contains([]string{
		"Description", "Bridge", "Bond", "VRF", "VLAN", "MACVLAN", "MACVTAP", "IPVLAN", "IPVTAP", "VXLAN",
		"Tunnel", "L2TP", "MACsec", "Xfrm", "BatmanAdvanced", "ActiveSlave", "PrimarySlave", "ConfigureWithoutCarrier",
	}, key)
}

// kept are the whole sections that have nothing to do with addresses.
func kept(section string) bool {
	return slices.Contains([]string{"Link", "Bridge", "BridgeVLAN", "BridgeFDB", "BridgeMDB", "LLDP", "SR-IOV"}, section)
}

// addressing says in [Network] where an interface has its address from.
func addressing(name string, w reset.Wizard) string {
	a, static := w.Static(name)
	if !static {
		return "DHCP=yes\n"
	}
	text := "DHCP=no\nAddress=" + a.Address.String() + "\n"
	if a.Gateway.IsValid() {
		text += "Gateway=" + a.Gateway.String() + "\n"
	}
	for _, d := range a.DNS {
		text += "DNS=" + d.String() + "\n"
	}
	return text
}

// override is the content of our own file for an interface that is configured
// by file now. ordinary: it gets the ordinary MTU, whatever it has. The address
// is the set-up wizard's, where it was told one for the interface, else DHCP's.
func (c config) override(name, file string, ordinary bool, w reset.Wizard) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Written by paperclipd when the network settings were reset. It goes before\n# %s,\n"+
		"# which is as it was: remove this file and run \"networkctl reload\" to go back.\n", file)
	fmt.Fprintf(&b, "[Match]\nName=%s\n\n[Network]\n%sLinkLocalAddressing=yes\nIPv6AcceptRA=yes\n", name, addressing(name, w))
	for _, e := range c {
		if e.section == "Network" && built(e.key) {
			fmt.Fprintf(&b, "%s=%s\n", e.key, e.value)
		}
	}
	if ordinary {
		fmt.Fprintf(&b, "\n[Link]\nMTUBytes=%d\n", standardMTU)
	}
	open := 0
	for _, e := range c {
		if !kept(e.section) || e.section == "Link" && (e.key == "Unmanaged" || ordinary && e.key == "MTUBytes") {
			continue
		}
		if e.number != open || open == 0 {
			fmt.Fprintf(&b, "\n[%s]\n", e.section)
			open = e.number
		}
		fmt.Fprintf(&b, "%s=%s\n", e.key, e.value)
	}
	return b.String()
}
