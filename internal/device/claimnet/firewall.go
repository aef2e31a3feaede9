//go:build linux

package claimnet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	mdl "github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// firewall puts rules of ours into the system's nftables, and takes them out.
//
// An accept in a table of our own would not help: a packet that one chain
// drops is dropped, whatever others say. So the accept rules stand at the head
// of the chains that could drop it. Where a packet must be dropped, a table of
// our own will do.
type firewall struct{ hook opfs.Hook }

const mdnsPort = 5353

// attempts is how often a change is tried when somebody else changed the
// rules in between.
const attempts = 3

// open lets TCP to the given ports, and mDNS, in by claim links and the
// answers out. A chain that has our rules already is left as it is.
func (f firewall) open(ports []uint16) error {
	return ifPresent(f.retry("claimnet.firewall.open", func(c *nftables.Conn) error {
		chains, err := blocking(c)
		if err != nil {
			return err
		}
		rules, err := listRules()
		for _, chain := range chains {
			if ours(chain, rules) {
				continue
			}
			for _, exprs := range accepts(*chain.Hooknum, ports) {
				c.InsertRule(&nftables.Rule{Table: chain.Table, Chain: chain, Exprs: exprs, UserData: tagged()})
			}
		}
		return err
	}))
}

// close removes every rule and table of ours.
func (f firewall) close() error {
	return ifPresent(f.retry("claimnet.firewall.close", func(c *nftables.Conn) error {
		rules, err := listRules()
		if err != nil {
			return err
		}
		var errs []error
		for _, r := range rules {
			if bytes.Equal(r.userData, tagged()) {
				table := &nftables.Table{Family: r.family, Name: r.table}
				errs = append(errs, c.DelRule(&nftables.Rule{Table: table, Chain: &nftables.Chain{Name: r.chain}, Handle: r.handle}))
			}
		}
		tables, err := c.ListTables()
		for _, t := range tables {
			if t.Name == tag {
				c.DelTable(t)
			}
		}
		return errors.Join(append(errs, err)...)
	}))
}

// guardARP keeps every link but its own from answering ARP for a claim's
// address. Linux otherwise answers by any card of the LAN, with that card's
// MAC address, and the packets then come in by the wrong link, where neither
// our rules nor a strict reverse-path filter let them pass.
func (f firewall) guardARP(addresses map[netip.Addr]string) error {
	return f.retry("claimnet.firewall.arp", func(c *nftables.Conn) error {
		chain := ownChain(c, nftables.TableFamilyARP)
		for _, addr := range slices.SortedFunc(maps.Keys(addresses), netip.Addr.Compare) {
			c.AddRule(&nftables.Rule{Table: chain.Table, Chain: chain, UserData: tagged(), Exprs: []expr.Any{
				&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1},
				&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: ifname(addresses[addr])},
				// The address asked for: byte 24 of an ARP packet for IPv4.
				&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 24, Len: 4},
				&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: addr.AsSlice()},
				&expr.Verdict{Kind: expr.VerdictDrop},
			}})
		}
		return nil
	})
}

// refuseAdvertisements keeps IPv6 routers from giving claim links routes.
func (f firewall) refuseAdvertisements() error {
	const icmpRouterAdvertisement = 134
	return f.retry("claimnet.firewall.advertisements", func(c *nftables.Conn) error {
		chain := ownChain(c, nftables.TableFamilyIPv6)
		exprs := slices.Concat(byClaimLink(expr.MetaKeyIIFNAME), protocol(unix.IPPROTO_ICMPV6), []expr.Any{
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{icmpRouterAdvertisement}},
			&expr.Verdict{Kind: expr.VerdictDrop},
		})
		c.AddRule(&nftables.Rule{Table: chain.Table, Chain: chain, Exprs: exprs, UserData: tagged()})
		return nil
	})
}

// ownChain is an empty input chain in a table of our own.
func ownChain(c *nftables.Conn, family nftables.TableFamily) *nftables.Chain {
	hook := nftables.ChainHookInput
	if family == nftables.TableFamilyARP {
		hook = nftables.ChainHookRef(0) // NF_ARP_IN
	}
	chain := c.AddChain(&nftables.Chain{
		Name: "input", Table: c.AddTable(&nftables.Table{Family: family, Name: tag}),
		Hooknum: hook, Priority: nftables.ChainPriorityFilter, Type: nftables.ChainTypeFilter,
	})
	c.FlushChain(chain)
	return chain
}

// retry makes one atomic change of the rules, again if they were changed by
// somebody else in between.
func (f firewall) retry(op string, change func(*nftables.Conn) error) error {
	var err error
	for range attempts {
		err = f.once(op, change)
		if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.EINTR) {
			break
		}
	}
	return err
}

func (f firewall) once(op string, change func(*nftables.Conn) error) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("nftables: %w", err)
	}
	if err := change(c); err != nil {
		return fmt.Errorf("nftables: %w", err)
	}
	if err := f.hook.Around(op, c.Flush); err != nil {
		return fmt.Errorf("nftables: %w", err)
	}
	return nil
}

// ifPresent forgives that the kernel has no nftables at all: then none of its
// rules blocks, and none is ours.
func ifPresent(err error) error {
	if err == nil {
		return nil
	}
	// Without nf_tables even a question is an invalid message.
	_, asked := listRules()
	for _, absent := range []error{unix.EINVAL, unix.EOPNOTSUPP, unix.EPROTONOSUPPORT} {
		if errors.Is(asked, absent) {
			return nil
		}
	}
	return err
}

// blocking lists the chains that could drop what comes in by a claim link, or
// the answers: every filter chain on the way that has a rule or drops by
// default. Whether a rule does drop is not asked: it may jump to one that does.
func blocking(c *nftables.Conn) ([]*nftables.Chain, error) {
	chains, err := c.ListChains()
	if err != nil {
		return nil, err
	}
	rules, err := listRules()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(chains, func(c *nftables.Chain) bool { return !blocks(c, rules) }), nil
}

func blocks(c *nftables.Chain, rules []rule) bool {
	if c.Hooknum == nil || c.Type != nftables.ChainTypeFilter || c.Table.Name == tag {
		return false
	}
	switch c.Table.Family {
	case nftables.TableFamilyINet, nftables.TableFamilyIPv4, nftables.TableFamilyIPv6:
	default:
		return false
	}
	switch *c.Hooknum {
	case *nftables.ChainHookPrerouting, *nftables.ChainHookInput, *nftables.ChainHookOutput, *nftables.ChainHookPostrouting:
	default:
		return false
	}
	if c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop {
		return true
	}
	return slices.ContainsFunc(rules, func(r rule) bool {
		return r.family == c.Table.Family && r.table == c.Table.Name && r.chain == c.Name
	})
}

// accepts are the rules for a chain: towards us by destination port, away from
// us by source port.
func accepts(hook nftables.ChainHook, ports []uint16) [][]expr.Any {
	key, offset := expr.MetaKeyIIFNAME, uint32(2)
	if hook == *nftables.ChainHookOutput || hook == *nftables.ChainHookPostrouting {
		key, offset = expr.MetaKeyOIFNAME, 0
	}
	one := func(proto byte, port uint16) []expr.Any {
		return slices.Concat(byClaimLink(key), protocol(proto), []expr.Any{
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(port)},
			&expr.Verdict{Kind: expr.VerdictAccept},
		})
	}
	all := [][]expr.Any{one(unix.IPPROTO_UDP, mdnsPort)}
	for _, port := range ports {
		all = append(all, one(unix.IPPROTO_TCP, port))
	}
	return all
}

// byClaimLink matches a link name's beginning, as `iifname "pclip*"` does.
func byClaimLink(key expr.MetaKey) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: key, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte(prefix)},
	}
}

func protocol(proto byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{proto}},
	}
}

// ifname is a whole link name as the kernel compares it.
func ifname(name string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, name)
	return b
}

// tagged is the comment that `nft list ruleset` shows behind our rules.
func tagged() []byte { return userdata.AppendString(nil, userdata.TypeComment, tag) }

// rule is what must be known of a rule to find ours: no more, because other
// programs' expressions are theirs to understand.
type rule struct {
	family       nftables.TableFamily
	table, chain string
	handle       uint64
	userData     []byte
}

// listRules lists the rules of every family.
func listRules() ([]rule, error) {
	conn, err := mdl.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	msgs, err := conn.Execute(mdl.Message{
		Header: mdl.Header{
			Type:  unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETRULE,
			Flags: mdl.Request | mdl.Dump,
		},
		Data: []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0},
	})
	if err != nil {
		return nil, err
	}
	var rules []rule
	for _, m := range msgs {
		r, err := parseRule(m.Data)
		if err != nil {
			return nil, err
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// parseRule reads one NFT_MSG_NEWRULE.
func parseRule(b []byte) (rule, error) {
	const headerSize = 4 // struct nfgenmsg: family, version, resource
	if len(b) < headerSize {
		return rule{}, fmt.Errorf("a rule message of %d bytes", len(b))
	}
	r := rule{family: nftables.TableFamily(b[0])}
	ad, err := mdl.NewAttributeDecoder(b[headerSize:])
	if err != nil {
		return rule{}, err
	}
	ad.ByteOrder = binary.BigEndian
	for ad.Next() {
		switch ad.Type() {
		case unix.NFTA_RULE_TABLE:
			r.table = ad.String()
		case unix.NFTA_RULE_CHAIN:
			r.chain = ad.String()
		case unix.NFTA_RULE_HANDLE:
			r.handle = ad.Uint64()
		case unix.NFTA_RULE_USERDATA:
			r.userData = ad.Bytes()
		}
	}
	return r, ad.Err()
}
