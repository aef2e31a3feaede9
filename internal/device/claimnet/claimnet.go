//go:build linux

// Package claimnet is the claim's own network: while a claim is open, the NAS
// can be reached even when its address is wrong, the LAN has no DHCP server,
// or a firewall of the owner's lets nothing in (design.md "Claim", rows F4 and
// F6).
//
// On every wired NIC it makes a macvlan link (pclip0, pclip1, …) with a MAC
// address of its own, a fixed address in 169.254/16, and one more from DHCP
// when there is a server. Where nftables rules could drop what comes in by it,
// accept rules tagged "paperclip-claim" stand at the head of the blocking
// chains. All of it goes at Close, and Clean removes what a killed process
// left; both find things by name and tag, so neither depends on memory.
//
// It never touches the NIC's own addresses, routes or settings, nor any file
// outside /run. From DHCP it takes address and mask: no route, no DNS, no host
// name. No route of the claim's is in the main table: answers from the claim's
// addresses find their way by a rule, and what the host itself sends elsewhere
// goes where it went before. It opens no port: it only lets in what others
// listen on.
//
// Rules of iptables-legacy are not seen. Where a rule set is loaded anew while a
// claim is open, our rules are put back within seconds.
package claimnet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// prefix is how the names of claim links begin.
const prefix = "pclip"

// tag marks rules and tables as ours.
const tag = "paperclip-claim"

// ErrNoNIC says that there is no wired NIC that is up.
var ErrNoNIC = errors.New("no wired network card of this machine is up")

// Config is what a Network works with.
type Config struct {
	FS   opfs.FS     // for the marks in /run
	Run  opfs.Runner // asks and tells networkd and NetworkManager
	Hook opfs.Hook   // names the netlink operations; may be nil

	// Ports are the TCP ports that a claim is served on. They are asked for at
	// every Open.
	Ports func() []uint16

	Clock clock.Clock  // leases and the guard run by it; nil is the machine's
	Log   *slog.Logger // what did not work; nil discards it

	// Virtual also takes virtual Ethernet pairs (veth) as NICs: for
	// containers and tests.
	Virtual bool
}

// Network is the claim's network. It is closed at first. It is safe for
// concurrent use.
type Network struct {
	cfg     Config
	fw      firewall
	changes chan struct{}

	whole    sync.Mutex // one Open, Close or Clean at a time
	guarding sync.Mutex // one change of the ARP guard at a time

	mu    sync.Mutex // guards what follows
	links []*link
	stop  context.CancelFunc // nil while closed
	dhcp  sync.WaitGroup     // what runs until then: the DHCP clients, the guard
}

// New returns a closed Network.
func New(cfg Config) *Network {
	if cfg.Clock == nil {
		cfg.Clock = clock.System()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Network{cfg: cfg, fw: firewall{cfg.Hook}, changes: make(chan struct{}, 1)}
}

// Open makes the claim's network and lets in TCP to the configured ports and
// mDNS. It returns as soon as the fixed addresses stand; DHCP goes on until
// Close, whatever becomes of ctx. An open Network is closed first.
//
// changed is called with the interfaces before Open returns, and again when a
// lease gives or takes an address; one call at a time, and none once Close has
// returned. Close waits for it, so it must not wait for Close.
//
// A NIC that does not work is logged and left out. If none works, nothing is
// left behind and the error says why.
func (n *Network) Open(ctx context.Context, changed func([]access.Interface)) error {
	n.whole.Lock()
	defer n.whole.Unlock()
	if err := n.close(ctx); err != nil {
		return fmt.Errorf("remove what an earlier claim left: %w", err)
	}
	if err := n.open(ctx); err != nil {
		return errors.Join(fmt.Errorf("open the claim's network: %w", err), n.close(context.WithoutCancel(ctx)))
	}
	changed(n.Interfaces())
	n.startDHCP(ctx, changed)
	return nil
}

func (n *Network) open(ctx context.Context) error {
	nics, err := wiredNICs(n.cfg.Virtual, n.cfg.Log)
	if err != nil {
		return err
	}
	if len(nics) == 0 {
		return ErrNoNIC
	}
	// The marks come first: a link that networkd sees unmarked, it configures.
	if err := n.markUnmanaged(ctx); err != nil {
		n.cfg.Log.Warn("the claim's links may be configured by the system too", "error", err)
	}
	if err := n.fw.refuseAdvertisements(); err != nil {
		n.cfg.Log.Warn("IPv6 router advertisements on the claim's links are not filtered", "error", err)
	}
	var failed []error
	for _, nic := range nics {
		l, err := n.openLink(nic)
		if err != nil {
			n.cfg.Log.Warn("no claim link", "nic", nic.name, "error", err)
			failed = append(failed, fmt.Errorf("%s: %w", nic.name, err))
			continue
		}
		n.mu.Lock()
		n.links = append(n.links, l)
		n.mu.Unlock()
	}
	if len(n.links) == 0 {
		return errors.Join(failed...)
	}
	if err := n.fw.open(n.cfg.Ports()); err != nil {
		n.cfg.Log.Warn("a firewall may keep the claim from being reached", "error", err)
	}
	return nil
}

// startDHCP runs one DHCP client a link, and one that tells of changes, until
// Close.
func (n *Network) startDHCP(ctx context.Context, changed func([]access.Interface)) {
	// The claim outlives the call that opened it.
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	n.mu.Lock()
	n.stop = stop
	n.mu.Unlock()
	// What stands is read before Open returns: a firewall that is loaded anew right
	// after must not pass for how it was. Without nftables nothing of ours is there.
	if stood, err := n.fw.standing(); err == nil {
		n.dhcp.Go(func() { n.guard(ctx, stood) })
	}
	for _, l := range n.links {
		n.dhcp.Go(func() { n.lease(ctx, l) })
	}
	n.dhcp.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-n.changes:
				changed(n.Interfaces())
			}
		}
	})
}

// Close removes the claim's network. It may be called again, and when nothing
// is open it is Clean.
func (n *Network) Close(ctx context.Context) error {
	n.whole.Lock()
	defer n.whole.Unlock()
	return n.close(ctx)
}

// Clean removes what an earlier process left behind. It is for the start of
// the service.
func (n *Network) Clean(ctx context.Context) error { return n.Close(ctx) }

func (n *Network) close(ctx context.Context) error {
	n.mu.Lock()
	stop := n.stop
	n.stop, n.links = nil, nil
	n.mu.Unlock()
	if stop != nil {
		stop()
		n.dhcp.Wait()
		select {
		case <-n.changes: // of a network that is no more
		default:
		}
	}
	return errors.Join(
		n.fw.close(),
		n.removeLinks(),
		n.unmark(ctx),
	)
}

// Interfaces is what the claim can be reached by now. MAC is the NIC's own.
func (n *Network) Interfaces() []access.Interface {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []access.Interface
	for _, l := range n.links {
		all = append(all, access.Interface{Name: l.name, MAC: l.nic.mac.String(), Prefixes: slices.Clone(l.prefixes)})
	}
	return all
}

// Addresses is every address of the claim's, with its network.
func (n *Network) Addresses() []netip.Prefix {
	var all []netip.Prefix
	for _, i := range n.Interfaces() {
		all = append(all, i.Prefixes...)
	}
	return all
}

// changed has the change told; several may be told as one.
func (n *Network) changed() {
	select {
	case n.changes <- struct{}{}:
	default: // one is told of already
	}
}
