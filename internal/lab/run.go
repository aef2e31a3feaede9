package lab

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/announcer"
	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/device/front"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/button"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/protocol/announce"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// start starts the NAS behind its face. What it starts ends with ctx.
func (n *NAS) start(ctx context.Context, ended *sync.WaitGroup) error {
	if n.box != nil {
		return n.startBox(ctx, ended)
	}
	return n.startNative(ctx, ended)
}

// startNative runs core and front as paperclipd does, with a pipe for the
// socket between them.
func (n *NAS) startNative(ctx context.Context, ended *sync.WaitGroup) error {
	c, err := core.New(core.Config{
		Name: n.model.identity.Name, Named: n.Name, Model: n.model.identity.Model, Dir: filepath.Join(n.dir, "state"),
		FS: opfs.OS(nil), Clock: n.clock, Rand: rand.Reader, Log: n.log,
		Panel: n.panel.Ports(), Profile: button.Paperclip(),
		Adapters: n.adapters, Accounts: n.store,
		Ports: func() nas.Ports { return *n.store.Running().Settings.Ports },
		Rules: access.DefaultRules(),
		Boot:  n.boot, Trial: n.trial, Policy: n.allows,
	})
	if err != nil {
		return err
	}
	n.core = c
	if err := c.RecordBaseline(ctx); err != nil {
		return err
	}
	if !n.label.Empty() {
		if err := c.TakeLabel(n.label); err != nil {
			return err
		}
	}
	multicast, err := n.listenMDNS(ctx, ended)
	if err != nil {
		return err
	}
	listen := netip.AddrPortFrom(n.addr, 0).String()
	f := front.New(front.Config{
		Dial: func(context.Context) (net.Conn, error) { // its context is for dialling alone
			mine, theirs := net.Pipe()
			ended.Go(func() { _ = c.Serve(ctx, mine) })
			return theirs, nil
		},
		HTTP: listen, HTTPS: listen,
		OnLink:   func(_, remote netip.AddrPort) bool { return remote.Addr().Unmap().IsLoopback() },
		Announce: loopbackAnnouncer{multicast},
		Interfaces: func() []corewire.Interface {
			return []corewire.Interface{{Name: "lo", MAC: n.model.identity.MACs[0], Addresses: []netip.Prefix{netip.PrefixFrom(n.addr, 32)}}}
		},
		Clock: n.clock, Rand: rand.Reader, Log: n.log,
	})
	failed := make(chan error, 2)
	ended.Go(func() { failed <- c.Run(ctx) })
	ended.Go(func() { failed <- f.Run(ctx) })
	select {
	case <-f.Ready():
		return multicast.wait(ctx)
	case err := <-failed:
		return errors.Join(errors.New("a part of it ended at once"), err)
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(startTimeout):
		return errors.New("it does not get ready")
	}
}

// startTimeout is how long a virtual NAS may take to answer; it takes a moment.
const startTimeout = time.Minute

// mdnsPort answers mDNS questions on a port of the NAS's own.
type mdnsPort struct {
	*announcer.Unicast
	told     chan struct{} // closed when something was announced
	tellOnce sync.Once
}

func (n *NAS) listenMDNS(ctx context.Context, ended *sync.WaitGroup) (*mdnsPort, error) {
	u, err := announcer.NewUnicast(netip.AddrPortFrom(n.addr, 0))
	if err != nil {
		return nil, err
	}
	n.mdns = u.Address()
	ended.Add(1)
	context.AfterFunc(ctx, func() {
		defer ended.Done()
		_ = u.Close()
	})
	return &mdnsPort{Unicast: u, told: make(chan struct{})}, nil
}

// wait returns once the NAS can be found.
func (p *mdnsPort) wait(ctx context.Context) error {
	select {
	case <-p.told:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// loopbackAnnouncer announces what front says, on the port of the NAS's own.
type loopbackAnnouncer struct{ port *mdnsPort }

func (a loopbackAnnouncer) Set(_ context.Context, all []front.Announcement) error {
	var instances []announce.Instance
	for _, one := range all {
		instances = append(instances, one.Instance)
	}
	err := a.port.Unicast.Set(instances...)
	if len(instances) > 0 && err == nil {
		a.port.tellOnce.Do(func() { close(a.port.told) })
	}
	return err
}
