//go:build linux

package claimnet

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/nftables"

	"github.com/paperclip-nas/paperclip/internal/device/addressprobe"
)

// guardEvery is how often is looked whether our rules still stand: a firewall
// that is loaded anew while a claim is open takes them away.
const guardEvery = 3 * time.Second

// guard puts back what a firewall that was loaded anew has taken away of what
// stood when the claim was opened, until ctx is done. Close waits for it before it
// removes the rules: none comes after.
func (n *Network) guard(ctx context.Context, stood standing) {
	for {
		n.wait(ctx, guardEvery)
		if ctx.Err() != nil {
			return
		}
		now, err := n.fw.standing()
		if err != nil || now.whole && now.advertisements >= stood.advertisements && now.arp >= stood.arp {
			continue
		}
		n.cfg.Log.Info("the firewall was loaded anew: the claim's rules are put back")
		err = nil
		if now.advertisements < stood.advertisements {
			err = n.fw.refuseAdvertisements()
		}
		if now.arp < stood.arp {
			err = errors.Join(err, n.guardARP())
		}
		if err = errors.Join(err, n.fw.open(n.cfg.Ports())); err != nil {
			n.cfg.Log.Warn("the claim's rules could not all be put back", "error", err)
		}
		n.announce()
	}
}

// announce tells the neighbours where the claim's addresses are: without the rules
// the card answered for them too, and who took its MAC is let in by none.
func (n *Network) announce() {
	for _, i := range n.Interfaces() {
		for _, p := range i.Prefixes {
			if !p.Addr().Is4() {
				continue
			}
			if err := addressprobe.Announce(i.Name, p.Addr()); err != nil {
				n.cfg.Log.Warn("the claim's address could not be announced", "link", i.Name, "error", err)
			}
		}
	}
}

// standing is what there is of ours in the system's nftables.
type standing struct {
	whole               bool // every chain that could block has our rules
	advertisements, arp int  // whether the tables of our own have theirs: 0 or 1
}

func (f firewall) standing() (standing, error) {
	c, err := nftables.New()
	if err != nil {
		return standing{}, err
	}
	chains, err := blocking(c)
	if err != nil {
		return standing{}, err
	}
	rules, err := listRules()
	if err != nil {
		return standing{}, err
	}
	s := standing{whole: !slices.ContainsFunc(chains, func(c *nftables.Chain) bool { return !ours(c, rules) })}
	for _, r := range rules {
		switch {
		case r.table != tag:
		case r.family == nftables.TableFamilyIPv6:
			s.advertisements = 1
		case r.family == nftables.TableFamilyARP:
			s.arp = 1
		}
	}
	return s, nil
}

// ours tells whether our rules stand in a chain.
func ours(c *nftables.Chain, rules []rule) bool {
	return slices.ContainsFunc(rules, func(r rule) bool {
		return r.family == c.Table.Family && r.table == c.Table.Name && r.chain == c.Name && bytes.Equal(r.userData, tagged())
	})
}
