package app

import (
	"context"
	"crypto/rand"
	"path/filepath"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	waysin "github.com/paperclip-nas/paperclip/internal/domain/ways"
	"github.com/paperclip-nas/paperclip/internal/lab"
	"github.com/paperclip-nas/paperclip/internal/owner/discover"
	"github.com/paperclip-nas/paperclip/internal/owner/guided"
	"github.com/paperclip-nas/paperclip/internal/owner/kept"
	"github.com/paperclip-nas/paperclip/internal/owner/pins"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
)

// elsewhere rescues a NAS of another maker.
func (a *app) elsewhere(l *lan, o rescueOptions, p rescue.Person) func(context.Context, string, rescue.NAS) (rescue.Result, error) {
	return func(ctx context.Context, id string, n rescue.NAS) (rescue.Result, error) {
		if !guided.Serves(n.Vendor) {
			return rescue.Result{}, catalog.New("not_yet", "rescuing a NAS of "+n.Vendor)
		}
		virtual, _ := l.labelled(n.MACs)
		cfg, err := a.guidance(l, o, p, id, virtual)
		if err != nil {
			return rescue.Result{}, err
		}
		req := guided.Request{Target: label(n), Administrator: o.administrator, Way: waysin.ID(o.way), Password: true}
		res, err := guided.Start(ctx, cfg, req)
		return invented(res, virtual), err
	}
}

// resumeElsewhere goes on with an interrupted rescue of another maker's NAS.
func (a *app) resumeElsewhere(ctx context.Context, l *lan, o rescueOptions, p rescue.Person) (rescue.Result, error) {
	macs, err := guided.Label(a.fsys, a.rescues(l), o.resume)
	if err != nil {
		return rescue.Result{}, err
	}
	virtual, _ := l.labelled(macs)
	cfg, err := a.guidance(l, o, p, o.resume, virtual)
	if err != nil {
		return rescue.Result{}, err
	}
	res, err := guided.Resume(ctx, cfg, guided.Request{Administrator: o.administrator, Way: waysin.ID(o.way), Password: true})
	return invented(res, virtual), err
}

// rescues is the folder in which rescues are written down.
func (a *app) rescues(l *lan) string { return filepath.Join(l.home, "rescues") }

// labelled is the virtual NAS with that MAC; nil on a real network.
func (l *lan) labelled(macs []string) (*lab.NAS, bool) {
	if l.rack == nil {
		return nil, false
	}
	n, ok := l.rack.Labelled(macs)
	if !ok || n.Box() == nil {
		return nil, false
	}
	return n, true
}

// guidance is what a guided rescue works with.
func (a *app) guidance(l *lan, o rescueOptions, p rescue.Person, id string, virtual *lab.NAS) (guided.Config, error) {
	certificates, err := pins.Open(a.fsys, l.home)
	if err != nil {
		return guided.Config{}, err
	}
	settings, err := kept.Open(a.fsys, l.home)
	if err != nil {
		return guided.Config{}, err
	}
	cfg := guided.Config{
		Person: p, Finder: watcher{l}, Pins: certificates, Known: settings, Clock: a.clock, Rand: rand.Reader, Wait: o.wait,
		FS: a.fsys, Dir: a.rescues(l), ID: id,
		Meet: func(ctx context.Context, d discover.Device, pin string) (guided.Device, error) {
			return guided.Connect(ctx, d, pin, o.plain)
		},
	}
	if l.rack == nil {
		return cfg, nil
	}
	cfg.Poll, cfg.Again = 100*time.Millisecond, o.lab.command()+" --resume"
	cfg.Settle, cfg.Stable, cfg.Patience = 2*time.Minute/l.speed, 45*time.Second/l.speed, 20*time.Minute/l.speed
	cfg.Wait = min(cfg.Wait, labWait)
	if virtual != nil {
		cfg.Witness = beside{virtual.Witness(), virtual.Name(), virtual.Accounts()}
		cfg.Person = virtual.People(p).Beside()
		if o.yes {
			cfg.Person = virtual.People(p)
		}
	}
	return cfg, nil
}

// beside is the lab's witness of one NAS, whatever that calls itself just now.
type beside struct {
	rescue.Witness
	name     string
	accounts []string
}

// Before has its owner forget every password: what a vendor's reset takes is not
// known before the cause is.
func (b beside) Before(ctx context.Context, _ string, _ ...string) error {
	return b.Witness.Before(ctx, b.name, b.accounts...)
}

func (b beside) After(ctx context.Context, _, administrator string) (rescue.Evidence, error) {
	return b.Witness.After(ctx, b.name, administrator)
}

// invented adds what the lab made up on the way.
func invented(res rescue.Result, virtual *lab.NAS) rescue.Result {
	if virtual != nil {
		res.Invented = virtual.Box().Invented()
	}
	return res
}

// labWait is how long the rack's NAS are looked for: they answer at once.
const labWait = 3 * time.Second

// label is what the NAS is looked for by: what does not change with its address.
func label(n rescue.NAS) string {
	switch {
	case len(n.MACs) > 0:
		return n.MACs[0]
	case n.Serial != "":
		return n.Serial
	case n.Name != "":
		return n.Name
	}
	return n.Address
}

// watcher is discovery as a guided rescue asks for it, again and again.
type watcher struct{ lan *lan }

// Find implements guided.Finder. It ends early once the NAS has said how it is
// and how it gets its address, or all that it ever says.
func (w watcher) Find(ctx context.Context, target string, wait time.Duration) ([]discover.Device, error) {
	begun := w.lan.app.clock.Monotonic()
	o := discover.Options{Wait: wait, Enough: func(devices []discover.Device) bool {
		d, err := discover.Match(devices, target)
		if err != nil {
			return false
		}
		whole := d.Status != nas.Unknown.ID() && d.DHCP != nil && len(d.Addresses) > 0
		return whole || len(d.Addresses) > 0 && w.lan.app.clock.Monotonic()-begun > wait/2
	}}
	res, err := discover.Find(ctx, w.lan.sources(nil, nil, nil), o)
	if err != nil && len(res.Devices) == 0 {
		return nil, err
	}
	d, err := discover.Match(res.Devices, target)
	if err != nil {
		return nil, err
	}
	return []discover.Device{d}, nil
}

// identityOf is who a NAS that was found says it is.
func identityOf(n rescue.NAS) nas.Identity {
	return nas.Identity{Name: n.Name, Vendor: n.Vendor, Model: n.Model, Serial: n.Serial, MACs: n.MACs}
}
