//go:build linux

package claimnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Routing tables and rules of the claim's. The numbers only have to be nobody
// else's: table numbers are 32 bits wide, names and services use small ones.
const (
	tableBase  = 0x70630000 // + the link's number
	tableCount = 1 << 16
	fromPref   = 5240  // before the main table (32766)
	lastPref   = 32800 // after main and default (32767)
)

// link is one open claim link.
type link struct {
	nic   nic
	name  string
	mac   net.HardwareAddr
	index int
	table int

	prefixes []netip.Prefix // guarded by Network.mu; the fixed one is the first
}

func (l *link) handle() netlink.Link {
	return &netlink.Macvlan{LinkAttrs: netlink.LinkAttrs{Name: l.name, Index: l.index}}
}

// openLink makes the claim link of one NIC, with its fixed address.
func (n *Network) openLink(on nic) (*link, error) {
	l := &link{
		nic:   on,
		name:  fmt.Sprintf("%s%d", prefix, on.index),
		mac:   linkMAC(on.mac),
		table: tableBase + on.index%tableCount,
	}
	if err := n.addLink(l); err != nil {
		return nil, err
	}
	if err := n.fillLink(l); err != nil {
		return nil, errors.Join(err, n.removeLink(l.handle()), n.removeRules(func(table int) bool { return table == l.table }))
	}
	return l, nil
}

func (n *Network) addLink(l *link) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex, attrs.HardwareAddr = l.name, l.nic.index, l.mac
	err := n.cfg.Hook.Around("claimnet.link.add", func() error {
		return netlink.LinkAdd(&netlink.Macvlan{LinkAttrs: attrs, Mode: netlink.MACVLAN_MODE_BRIDGE})
	})
	if err != nil {
		return fmt.Errorf("make %s: %w", l.name, err)
	}
	made, err := netlink.LinkByName(l.name)
	if err != nil {
		return fmt.Errorf("find %s again: %w", l.name, err)
	}
	l.index = made.Attrs().Index
	return nil
}

func (n *Network) fillLink(l *link) error {
	if err := n.cfg.Hook.Around("claimnet.link.configure", func() error { return configure(l.index) }); err != nil {
		return fmt.Errorf("configure %s: %w", l.name, err)
	}
	// A last resort of its own: what no other route reaches may be reached by
	// the claim's link. It also lets a loose reverse-path filter accept a
	// neighbour of another subnet on a NAS without a default route.
	if err := n.addRule(l, lastPref, netip.Prefix{}); err != nil {
		return err
	}
	if err := n.cfg.Hook.Around("claimnet.link.up", func() error { return netlink.LinkSetUp(l.handle()) }); err != nil {
		return fmt.Errorf("switch %s on: %w", l.name, err)
	}
	return n.addAddress(l, fixedAddress(l.mac))
}

// configure sets the link's own IPv4 parameters (the kernel's IPV4_DEVCONF_*),
// through netlink because a sandbox makes /proc/sys read-only: it answers ARP
// for its own addresses only, since the NIC beside it must keep its traffic;
// it forwards nothing, believes no redirect and filters no reverse path.
func configure(index int) error {
	const (
		inetConf        = 1 // IFLA_INET_CONF
		forwarding      = 1
		acceptRedirects = 4
		sendRedirects   = 6
		rpFilter        = 8
		arpIgnore       = 19
	)
	req := nl.NewNetlinkRequest(unix.RTM_SETLINK, unix.NLM_F_ACK)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(index)
	req.AddData(msg)
	spec := nl.NewRtAttr(unix.IFLA_AF_SPEC, nil)
	conf := spec.AddRtAttr(unix.AF_INET, nil).AddRtAttr(inetConf, nil)
	for _, set := range []struct {
		attr  int
		value uint32
	}{{forwarding, 0}, {acceptRedirects, 0}, {sendRedirects, 0}, {rpFilter, 0}, {arpIgnore, 1}} {
		conf.AddRtAttr(set.attr, nl.Uint32Attr(set.value))
	}
	req.AddData(spec)
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

// addAddress gives a link one more address, or leaves it as it was.
func (n *Network) addAddress(l *link, p netip.Prefix) error {
	err := n.tryAddress(l, p)
	if err != nil {
		err = errors.Join(err, n.dropAddress(l, p))
	}
	return err
}

// tryAddress first keeps the NIC beside the link from answering for the
// address, then sets it, and last makes answers from it leave by the link.
func (n *Network) tryAddress(l *link, p netip.Prefix) error {
	n.setPrefixes(l, append(slices.Clone(l.prefixes), p))
	scope := netlink.SCOPE_UNIVERSE
	if p.Addr().IsLinkLocalUnicast() {
		scope = netlink.SCOPE_LINK
	}
	err := n.cfg.Hook.Around("claimnet.address.add", func() error {
		return netlink.AddrAdd(l.handle(), &netlink.Addr{IPNet: ipNet(p), Scope: int(scope), Flags: unix.IFA_F_NOPREFIXROUTE})
	})
	if err != nil {
		return fmt.Errorf("give %s the address %v: %w", l.name, p, err)
	}
	err = n.cfg.Hook.Around("claimnet.route.add", func() error {
		return netlink.RouteReplace(&netlink.Route{
			LinkIndex: l.index, Dst: ipNet(p.Masked()), Src: p.Addr().AsSlice(),
			Table: l.table, Scope: netlink.SCOPE_LINK, Protocol: unix.RTPROT_STATIC,
		})
	})
	if err != nil {
		return fmt.Errorf("route %v by %s: %w", p.Masked(), l.name, err)
	}
	return n.addRule(l, fromPref, netip.PrefixFrom(p.Addr(), 32))
}

// dropAddress takes an address away again. What is already gone is no error.
func (n *Network) dropAddress(l *link, p netip.Prefix) error {
	rule := l.rule(fromPref, netip.PrefixFrom(p.Addr(), 32))
	errs := []error{
		n.cfg.Hook.Around("claimnet.rule.delete", func() error { return gone(netlink.RuleDel(rule)) }),
		n.cfg.Hook.Around("claimnet.route.delete", func() error {
			return gone(netlink.RouteDel(&netlink.Route{LinkIndex: l.index, Dst: ipNet(p.Masked()), Table: l.table, Scope: netlink.SCOPE_LINK}))
		}),
		n.cfg.Hook.Around("claimnet.address.delete", func() error {
			return gone(netlink.AddrDel(l.handle(), &netlink.Addr{IPNet: ipNet(p)}))
		}),
	}
	n.setPrefixes(l, slices.DeleteFunc(slices.Clone(l.prefixes), func(q netip.Prefix) bool { return q == p }))
	return errors.Join(errs...)
}

// setPrefixes records a link's addresses and renews the guard that keeps other
// links from answering ARP for them.
func (n *Network) setPrefixes(l *link, prefixes []netip.Prefix) {
	n.guarding.Lock() // the last to record is the last to guard
	defer n.guarding.Unlock()
	n.mu.Lock()
	l.prefixes = prefixes
	n.mu.Unlock()
	if err := n.guardAddresses(l); err != nil {
		// It still works, if neighbours may then find the NIC's MAC address.
		n.cfg.Log.Warn("the network card may answer for the claim's address", "nic", l.nic.name, "error", err)
	}
}

// guardARP renews that guard as it is.
func (n *Network) guardARP() error {
	n.guarding.Lock()
	defer n.guarding.Unlock()
	return n.guardAddresses()
}

// guardAddresses writes the guard for the links there are, and these.
func (n *Network) guardAddresses(more ...*link) error {
	n.mu.Lock()
	guarded := map[netip.Addr]string{}
	for _, other := range append(slices.Clone(n.links), more...) {
		for _, p := range other.prefixes {
			guarded[p.Addr()] = other.name
		}
	}
	n.mu.Unlock()
	return n.fw.guardARP(guarded)
}

func (n *Network) addRule(l *link, pref int, from netip.Prefix) error {
	err := n.cfg.Hook.Around("claimnet.rule.add", func() error { return netlink.RuleAdd(l.rule(pref, from)) })
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add a routing rule for %s: %w", l.name, err)
	}
	return nil
}

func (l *link) rule(pref int, from netip.Prefix) *netlink.Rule {
	r := netlink.NewRule()
	r.Family, r.Priority, r.Table = unix.AF_INET, pref, l.table
	// networkd removes rules that it does not know, but none of the kernel's.
	r.Protocol = unix.RTPROT_KERNEL
	if from.IsValid() {
		r.Src = ipNet(from)
	}
	return r
}

// removeLinks removes every claim link and routing rule there is.
func (n *Network) removeLinks() error {
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list the claim's links: %w", err)
	}
	errs := []error{n.removeRules(func(table int) bool { return table >= tableBase && table < tableBase+tableCount })}
	for _, l := range links {
		if l.Type() == "macvlan" && strings.HasPrefix(l.Attrs().Name, prefix) {
			errs = append(errs, n.removeLink(l))
		}
	}
	return errors.Join(errs...)
}

// removeLink removes a link and with it its addresses and routes.
func (n *Network) removeLink(l netlink.Link) error {
	err := n.cfg.Hook.Around("claimnet.link.delete", func() error { return gone(netlink.LinkDel(l)) })
	if err != nil {
		return fmt.Errorf("remove %s: %w", l.Attrs().Name, err)
	}
	return nil
}

func (n *Network) removeRules(ours func(table int) bool) error {
	rules, err := netlink.RuleList(unix.AF_INET)
	if err != nil {
		return fmt.Errorf("list the routing rules: %w", err)
	}
	var errs []error
	for _, r := range rules {
		if ours(r.Table) {
			r.Family = unix.AF_INET
			errs = append(errs, n.cfg.Hook.Around("claimnet.rule.delete", func() error { return gone(netlink.RuleDel(&r)) }))
		}
	}
	return errors.Join(errs...)
}

// gone forgives what was already removed.
func gone(err error) error {
	for _, absent := range []error{unix.ENOENT, unix.ENODEV, unix.EADDRNOTAVAIL, unix.ESRCH} {
		if errors.Is(err, absent) {
			return nil
		}
	}
	return err
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
