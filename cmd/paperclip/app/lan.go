package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/lab"
	"github.com/paperclip-nas/paperclip/internal/lab/face"
	"github.com/paperclip-nas/paperclip/internal/owner/discover"
	"github.com/paperclip-nas/paperclip/internal/owner/driver/native"
	"github.com/paperclip-nas/paperclip/internal/owner/keys"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
	"github.com/paperclip-nas/paperclip/internal/protocol/identity"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

// lan is the network that a command works on: the real one, or the lab's rack,
// through the same sources.
type lan struct {
	home string // the folder of keys and rescues
	keys *keys.Store
	rack *lab.Rack // nil on a real network
	stop func()
	app  *app
	// speed is how much faster than real time the rack is.
	speed time.Duration
}

// labFlags are the switch that puts the lab in place of the real network.
type labFlags struct {
	on    bool
	dir   string
	speed int
	later time.Duration
	wrong string
}

func (f *labFlags) add(fs *pflag.FlagSet) {
	fs.SortFlags = false // as they are declared: what matters most first, the lab's last
	fs.BoolVar(&f.on, "lab", false, "try it on virtual NAS on this computer, and touch nothing else: cellar (Paperclip), attic (Synology), studio (QNAP)")
	fs.StringVar(&f.dir, "lab-dir", "", "with --lab: the `FOLDER` in which they are kept")
	fs.StringVar(&f.wrong, "scenario", "", "with --lab: `WHAT` is wrong with attic and studio, such as other-admin; an unknown word lists them all")
	fs.DurationVar(&f.later, "later", 0, "with --lab: let so much `TIME` pass first, as in 24h")
	fs.IntVar(&f.speed, "speed", 0, "with --lab: buttons and beeps are so many `TIMES` faster than real")
}

func faults() []string {
	var out []string
	for _, f := range face.Faults() {
		out = append(out, string(f))
	}
	return out
}

// command is how a rescue is begun with these flags, for whoever goes on later.
func (f labFlags) command() string {
	if !f.on {
		return "paperclip rescue"
	}
	c := "paperclip rescue --lab"
	if f.dir != "" {
		c += fmt.Sprintf(" --lab-dir %q", f.dir)
	}
	if f.wrong != "" {
		c += fmt.Sprintf(" --scenario %q", f.wrong)
	}
	return c
}

// open opens the network. speed is used where the flag gives none; 0 is the
// lab's own.
func (a *app) open(ctx context.Context, f labFlags, speed int) (*lan, error) {
	if !f.on && f.wrong != "" {
		return nil, catalog.New("usage", "--scenario goes with --lab.")
	}
	if !f.on {
		home, err := a.home()
		if err != nil {
			return nil, err
		}
		k, err := a.openKeys(home)
		return &lan{home: home, keys: k, app: a}, err
	}
	wrong, err := face.ParseScenario(f.wrong)
	if err != nil {
		return nil, catalog.New("usage", "--scenario: "+err.Error()+"; there are "+strings.Join(faults(), ", ")+".")
	}
	if f.speed < 0 || f.speed > 100 {
		return nil, catalog.New("usage", "--speed is from 1 to 100.")
	}
	o := a.env.Lab
	if f.later < 0 || f.later > 1000*time.Hour {
		return nil, catalog.New("usage", "--later is from 0 to 1000h.")
	}
	o.Dir, o.Speed, o.Later = a.labHome(f.dir), f.speed, f.later
	if wrong != nil {
		o.Scenario = wrong
	}
	if o.Speed == 0 {
		o.Speed = speed
	}
	home := filepath.Join(o.Dir, "owner")
	k, err := a.openKeys(home)
	if err != nil {
		return nil, err
	}
	// The rack outlives an interruption, so that leave can be taken of its NAS;
	// only its start does not.
	own, stop := context.WithCancel(context.WithoutCancel(ctx))
	started := context.AfterFunc(ctx, stop)
	rack, err := lab.Start(own, o)
	if !started() && err == nil {
		err = errors.Join(ctx.Err(), rack.Close())
	}
	if err != nil {
		stop()
		return nil, err
	}
	return &lan{home: home, keys: k, rack: rack, app: a, stop: stop, speed: time.Duration(cmp.Or(o.Speed, lab.DefaultSpeed))}, nil
}

func (l *lan) close() {
	if l.rack != nil {
		_ = l.rack.Close()
		l.stop()
	}
}

// meet connects to a device by its own API.
func (l *lan) meet(ctx context.Context, at []netip.AddrPort, pin keys.Pin) (*native.Device, error) {
	return native.Meet(ctx, at, pin, native.Options{Clock: l.app.clock, Rand: rand.Reader})
}

// verify looks at the live key of a device that announces one, and compares it
// with what is remembered.
func (l *lan) verify(ctx context.Context, d *discover.Device) {
	if !d.Native() || !d.API().IsValid() {
		return
	}
	met, err := l.meet(ctx, api(*d), keys.Pin{})
	if err != nil {
		return
	}
	pub := met.PublicKey()
	d.Verified = discover.Verified(l.keys.Judge(pub, keys.Hints{Name: d.Name, MACs: d.MACs, KeyID: d.KeyID}))
	if d.Verified == discover.VerifiedMatch {
		proveAt(ctx, met, d)
	}
	l.describe(ctx, met, d)
	d.Facts = append(d.Facts, discover.Fact{Field: "key_id", Value: identity.KeyID(pub), Source: "native", Trust: discover.Proved})
	if known, ok := l.keys.Lookup(pub); ok {
		was := discover.Was{Name: known.Name, Addresses: []netip.Addr{}}
		if at, err := netip.ParseAddrPort(known.Address); err == nil {
			was.Addresses = append(was.Addresses, at.Addr())
		}
		d.Was = &was
	}
}

// maxNotices bounds how many notices of one device are shown.
const maxNotices = 8

// maxProved bounds at how many addresses a device is asked for its key.
const maxProved = 4

// proveAt asks for the device's key at all its addresses: whatever else was named
// for it may be somebody else's, and somebody else may hold a copy of the key.
func proveAt(ctx context.Context, met *native.Device, d *discover.Device) {
	all := api(*d)
	d.Leaf = met.Leaf()
	same, copies := met.Holders(ctx, all[:min(len(all), maxProved)])
	d.ProvedAt(append([]netip.Addr{met.Address().Addr()}, hosts(same)...)...)
	d.Copies = hosts(copies)
}

func hosts(at []netip.AddrPort) (out []netip.Addr) {
	for _, a := range at {
		out = append(out, a.Addr())
	}
	return out
}

// describe fills in what the device says over its own API and did not announce.
func (l *lan) describe(ctx context.Context, met *native.Device, d *discover.Device) {
	info, err := met.Info(ctx)
	if err != nil {
		return
	}
	status := info.State()
	d.Status, d.StatusText = status.ID(), status.String()
	d.Facts = append(d.Facts, discover.Fact{Field: "status", Value: status.ID(), Source: "native", Trust: discover.Proved})
	for _, n := range info.Notices[:min(len(info.Notices), maxNotices)] {
		if words, ok := catalog.NoticeOf(n.ID); ok {
			d.Facts = append(d.Facts, discover.Fact{Field: "notice", Value: words.Text + " (" + n.At.UTC().Format(time.DateOnly) + ")", Source: "native", Trust: discover.Proved})
		}
	}
	if d.Model == "" && info.Model != "" {
		d.Model = printable.Clean(info.Model)
		d.Facts = append(d.Facts, discover.Fact{Field: "model", Value: d.Model, Source: "native", Trust: discover.Hint})
	}
}

// api lists where a device's API may answer, the best address first.
func api(d discover.Device) []netip.AddrPort {
	var out []netip.AddrPort
	for _, addr := range discover.NearFirst(d.Addresses, discover.OwnSubnets()) {
		if d.HTTPSPort != 0 {
			out = append(out, netip.AddrPortFrom(addr, uint16(d.HTTPSPort)))
		}
	}
	return out
}

// finder is discovery as a rescue asks for it.
type finder struct {
	lan  *lan
	wait time.Duration
}

// Find implements rescue.Finder. A typed address at which nothing answered a
// search is believed to be a NAS's: it may be where no broadcast reaches (F5).
func (f finder) Find(ctx context.Context, target string) ([]rescue.NAS, error) {
	if f.lan.rack == nil {
		return f.find(ctx, target, f.wait)
	}
	n, ok := f.lan.rack.Named(target)
	if !ok || n.Box() == nil {
		return f.find(ctx, target, f.wait)
	}
	target = n.Identity().MACs[0] // a vendor's NAS loses its name with its settings
	// A virtual NAS that starts has places to ask at only from then on.
	for begun := f.lan.app.clock.Monotonic(); ; {
		found, err := f.find(ctx, target, labWait)
		over := f.lan.app.clock.Monotonic()-begun > cmp.Or(f.wait, discover.DefaultWait)
		if len(found) > 0 || ctx.Err() != nil || over || err != nil && catalog.ExitOf(err) != catalog.NotFound {
			return found, err
		}
	}
}

func (f finder) find(ctx context.Context, target string, wait time.Duration) ([]rescue.NAS, error) {
	o := discover.Options{Wait: wait}
	addr, addrErr := netip.ParseAddr(target)
	sources := f.lan.sources(nil, nil, nil)
	if target != "" {
		o.Enough = func(devices []discover.Device) bool {
			_, err := discover.Match(devices, target)
			return err == nil
		}
		if addrErr == nil && f.lan.rack == nil {
			sources = append(sources, f.lan.sources(nil, []netip.Prefix{netip.PrefixFrom(addr.WithZone(""), addr.BitLen())}, nil)...)
		}
	}
	res, err := discover.Find(ctx, sources, o)
	if err != nil && len(res.Devices) == 0 {
		return nil, err
	}
	devices := res.Devices
	if target != "" {
		d, err := discover.Match(devices, target)
		switch {
		case err == nil:
			devices = []discover.Device{d}
		case addrErr == nil && catalog.ExitOf(err) == catalog.NotFound && f.lan.rack == nil:
			return []rescue.NAS{{Address: target, At: []netip.AddrPort{netip.AddrPortFrom(addr, 5001)}, Native: true}}, nil
		default:
			return nil, err
		}
	}
	var out []rescue.NAS
	for _, d := range devices {
		out = append(out, toRescue(d))
	}
	return out, nil
}

func toRescue(d discover.Device) rescue.NAS {
	n := rescue.NAS{Name: d.Name, Vendor: d.Vendor, Model: d.Model, Serial: d.Serial, MACs: d.MACs, KeyID: d.KeyID, At: api(d), Native: d.Native()}
	if len(d.Addresses) > 0 {
		n.Address = d.Addresses[0].String()
	}
	return n
}
