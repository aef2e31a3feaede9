//go:build linux

package claimnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// How DHCP is tried. One exchange takes 2 + 4 + 8 s when nobody answers.
const (
	answerWithin = 2 * time.Second
	tries        = 3
	pauseFirst   = 2 * time.Second
	pauseMost    = 30 * time.Second
	renewAtLeast = 30 * time.Second // between two renewals, whatever a server says
	leaseDefault = time.Hour
	leaseMost    = 24 * time.Hour // a claim ends long before
)

// lease keeps a DHCP address on a link until ctx is done. Then it gives the
// address back to the server; the link itself is removed by others.
func (n *Network) lease(ctx context.Context, l *link) {
	pause := pauseFirst
	for ctx.Err() == nil {
		got, err := exchange(l, func(c *nclient4.Client) (*nclient4.Lease, error) { return c.Request(ctx) })
		if err == nil {
			err = n.hold(ctx, l, got)
			pause = pauseFirst
		}
		if ctx.Err() != nil {
			return
		}
		n.cfg.Log.Info("no address by DHCP", "link", l.name, "error", err)
		n.wait(ctx, pause)
		pause = min(2*pause, pauseMost)
	}
}

// hold uses a lease until it ends, renewing it, and returns why it ended.
func (n *Network) hold(ctx context.Context, l *link, got *nclient4.Lease) error {
	p, err := leased(got)
	if err != nil {
		return err
	}
	if err := n.addAddress(l, p); err != nil {
		return err
	}
	n.changed()
	end := n.keep(ctx, l, got, p)
	if ctx.Err() != nil {
		return release(got, p.Addr())
	}
	err = errors.Join(end, n.dropAddress(l, p))
	n.changed()
	return err
}

// keep renews a lease in time until that fails for good, or ctx is done.
func (n *Network) keep(ctx context.Context, l *link, got *nclient4.Lease, p netip.Prefix) error {
	renew, end := terms(got, n.cfg.Clock.Monotonic())
	for {
		n.wait(ctx, renew-n.cfg.Clock.Monotonic())
		if ctx.Err() != nil {
			return ctx.Err()
		}
		next, err := exchange(l, func(c *nclient4.Client) (*nclient4.Lease, error) { return c.Renew(ctx, got) })
		now := n.cfg.Clock.Monotonic()
		if nak, ok := errors.AsType[*nclient4.ErrNak](err); ok {
			return nak
		}
		if err != nil {
			renew = now + max((end-now)/2, renewAtLeast)
			if renew >= end {
				return fmt.Errorf("the lease ended: %w", err)
			}
			continue
		}
		if q := prefixOf(next); q != p {
			return fmt.Errorf("the server changed the address from %v to %v", p, q)
		}
		got = next
		renew, end = terms(got, now)
	}
}

// wait sleeps on the network's clock, or until ctx is done.
func (n *Network) wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-n.cfg.Clock.After(d):
	}
}

// exchange talks DHCP on a link. The raw socket lives only for that long: it
// sees every packet of the link.
func exchange(l *link, talk func(*nclient4.Client) (*nclient4.Lease, error)) (*nclient4.Lease, error) {
	c, err := nclient4.New(l.name, nclient4.WithTimeout(answerWithin), nclient4.WithRetry(tries))
	if err != nil {
		return nil, err
	}
	got, err := talk(c)
	return got, errors.Join(err, c.Close())
}

// release tells the server that its address is free. It comes from the address
// itself, as servers expect; one that is not told waits for the lease to end.
func release(got *nclient4.Lease, from netip.Addr) error {
	msg, err := dhcpv4.NewReleaseFromACK(got.ACK)
	if err != nil {
		return err
	}
	to := &net.UDPAddr{IP: got.ACK.ServerIdentifier(), Port: nclient4.ServerPort}
	conn, err := net.DialUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), to)
	if err != nil {
		return err
	}
	_, err = conn.Write(msg.ToBytes())
	return errors.Join(err, conn.Close())
}

// terms are when to renew a lease and when it ends, from now.
func terms(got *nclient4.Lease, now time.Duration) (renew, end time.Duration) {
	lasts := min(max(got.ACK.IPAddressLeaseTime(leaseDefault), 2*renewAtLeast), leaseMost)
	after := min(max(got.ACK.IPAddressRenewalTime(lasts/2), renewAtLeast), lasts)
	return now + after, now + lasts
}

// leased is the address of a lease, if it can be used here.
func leased(got *nclient4.Lease) (netip.Prefix, error) {
	known, err := knownAddresses()
	if err != nil {
		return netip.Prefix{}, err
	}
	p := prefixOf(got)
	return p, usable(p, known)
}

// prefixOf is the address and mask that a server gave; the zero Prefix when
// they make no sense.
func prefixOf(got *nclient4.Lease) netip.Prefix {
	addr, ok := netip.AddrFromSlice(got.ACK.YourIPAddr.To4())
	mask := got.ACK.SubnetMask()
	if !ok || mask == nil {
		return netip.Prefix{}
	}
	ones, bits := mask.Size()
	if bits != 32 {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(addr, ones)
}

// knownAddresses are this machine's own addresses and its gateways'.
func knownAddresses() ([]netip.Addr, error) {
	addrs, err := netlink.AddrList(nil, unix.AF_INET)
	if err != nil {
		return nil, fmt.Errorf("list this machine's addresses: %w", err)
	}
	routes, err := netlink.RouteListFiltered(unix.AF_INET, &netlink.Route{}, 0)
	if err != nil {
		return nil, fmt.Errorf("list this machine's routes: %w", err)
	}
	var known []netip.Addr
	add := func(ip []byte) {
		if a, ok := netip.AddrFromSlice(ip); ok {
			known = append(known, a.Unmap())
		}
	}
	for _, a := range addrs {
		add(a.IP)
	}
	for _, r := range routes {
		add(r.Gw)
	}
	return known, nil
}
