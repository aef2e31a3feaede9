package interfaces

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// Bond is a link aggregation.
type Bond struct {
	Name    string
	Members []string
	// Fixed: it stays, because a bridge or a VLAN is built on it, or because
	// its members cannot be told.
	Fixed bool
}

// Names are the interfaces that have a stanza.
func (c Config) Names() []string {
	var names []string
	for _, b := range c.Blocks {
		if n := b.Interface(); n != "" {
			names = add(names, n)
		}
	}
	return names
}

func (c Config) first(name string) int {
	return slices.IndexFunc(c.Blocks, func(b Block) bool { return b.Interface() == name })
}

// Starts reports whether an interface comes up by itself.
func (c Config) Starts(name string) bool {
	return slices.ContainsFunc(c.Blocks, func(b Block) bool { return slices.Contains(b.starts(), name) })
}

// Tops are the interfaces that names get their addresses by: the bond or
// bridge that one is a member of, or itself.
func (c Config) Tops(names []string) []string {
	var tops []string
	for _, name := range names {
		for range maxDepth {
			master := c.master(name)
			if master == "" || master == name {
				break
			}
			name = master
		}
		if c.first(name) >= 0 {
			tops = add(tops, name)
		}
	}
	return tops
}

// master is the bond or bridge that an interface is a member of.
func (c Config) master(name string) string {
	for _, b := range c.Blocks {
		if b.Interface() == name {
			if m := b.Get("bond-master"); m != "" && c.first(m) >= 0 {
				return m
			}
		}
	}
	for _, b := range c.Blocks {
		if b.Interface() != "" && slices.Contains(b.ports(), name) {
			return b.Interface()
		}
	}
	return ""
}

// members are the interfaces that a bond or bridge is made of.
func (c Config) members(name string) []string {
	var all []string
	for _, b := range c.Blocks {
		switch b.Interface() {
		case "":
		case name:
			for _, p := range b.ports() {
				all = add(all, p)
			}
		default:
			if b.Get("bond-master") == name {
				all = add(all, b.Interface())
			}
		}
	}
	return all
}

// ports are the members that a stanza names itself.
func (b Block) ports() []string {
	ports := strings.Fields(b.Get("bond-slaves", "slaves") + " " + b.Get("bridge-ports"))
	return slices.DeleteFunc(ports, func(p string) bool { return p == "none" })
}

// Bond is the bond of that name.
func (c Config) Bond(name string) (Bond, bool) {
	bond := Bond{Name: name, Members: c.members(name)}
	is := false
	for _, b := range c.Blocks {
		switch n := b.Interface(); {
		case n == "":
		case n == name:
			is = is || slices.ContainsFunc(b.Options, func(o Option) bool { return strings.HasPrefix(o.Name, "bond") })
			is = is || b.Get("slaves") != ""
		case slices.Contains(b.ports(), name), strings.HasPrefix(n, name+"."), b.Get("vlan-raw-device") == name:
			bond.Fixed = true
		}
		is = is || b.Interface() != "" && b.Get("bond-master") == name && c.first(name) >= 0
	}
	for _, m := range bond.Members {
		if m == "all" || strings.ContainsAny(m, "/*?[") {
			bond.Fixed = true
		}
	}
	return bond, is && len(bond.Members) > 0
}

// DialUps are the dial-up connections (PPP) that start by themselves.
func (c Config) DialUps() []string {
	var all []string
	for _, b := range c.Blocks {
		if b.Method() == "ppp" && c.Starts(b.Interface()) {
			all = add(all, b.Interface())
		}
	}
	return all
}

// Interface is how an interface is configured, but for its MAC. An MTU of 0 is
// one that the files do not set.
func (c Config) Interface(name string) nas.Interface {
	in := nas.Interface{Name: name, Method: nas.Unmanaged}
	for _, b := range c.Blocks {
		if n := b.Interface(); n != name && !strings.HasPrefix(n, name+":") {
			continue
		}
		switch method := b.Method(); {
		case method == "dhcp" && b.Family() == "inet":
			in.Method = nas.DHCP
		case method == "static" && in.Method != nas.DHCP:
			in.Method = nas.Static
		case method == "ipv4ll" && in.Method == nas.Unmanaged:
			in.Method = nas.LinkLocal
		}
		if b.Method() == "static" {
			if a, ok := b.address(); ok {
				in.Addresses = append(in.Addresses, a)
			}
			if g := b.Get("gateway"); in.Gateway == "" {
				in.Gateway = g
			}
		}
		for _, d := range strings.Fields(b.Get("dns-nameservers", "dns-nameserver")) {
			in.DNS = add(in.DNS, d)
		}
		if m, err := strconv.Atoi(b.Get("mtu")); err == nil {
			in.MTU = m
		}
	}
	return in
}

// address is the one of a static stanza: with its length, a mask beside it, or
// alone.
func (b Block) address() (netip.Prefix, bool) {
	text := b.Get("address")
	if p, err := netip.ParsePrefix(text); err == nil {
		return p, true
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	mask := b.Get("netmask")
	bits, err := strconv.Atoi(mask)
	if ip := net.ParseIP(mask).To4(); ip != nil {
		bits, _ = net.IPMask(ip).Size()
	} else if err != nil {
		bits = a.BitLen()
	}
	p := netip.PrefixFrom(a, bits)
	return p, p.IsValid()
}

// Made reports whether ifup itself makes an interface: of others, as a bond or
// a bridge, or by dialling.
func (c Config) Made(name string) bool {
	return len(c.members(name)) > 0 || slices.ContainsFunc(c.Blocks, func(b Block) bool { return b.Interface() == name && b.Method() == "ppp" })
}

// Changed are the interfaces of which a stanza, or whether they come up by
// themselves, is another in then.
func (c Config) Changed(then Config) []string {
	var all []string
	for _, name := range slices.Concat(c.Names(), then.Names()) {
		if c.of(name) != then.of(name) || c.Starts(name) != then.Starts(name) {
			all = add(all, name)
		}
	}
	return all
}

// of is the text of all stanzas of an interface.
func (c Config) of(name string) string {
	text := ""
	for _, b := range c.Blocks {
		if b.Interface() == name {
			text += b.Text
		}
	}
	return strings.TrimSuffix(text, "\n")
}

// Secret tells the stanzas with a password in them, of Wi-Fi or 802.1X, by what
// they are of. It is a blockedit.Key.
func Secret(block string) (key string, out bool) {
	for _, b := range blocks(block) {
		key = strings.Join(b.Words[:min(len(b.Words), 3)], " ")
		for _, o := range b.Options {
			name := strings.ReplaceAll(o.Name, "_", "-")
			out = out || !o.comment && (strings.HasPrefix(name, "wpa-") || strings.HasPrefix(name, "wireless-key") || strings.Contains(name, "password") || strings.Contains(name, "secret"))
		}
	}
	return key, out
}
