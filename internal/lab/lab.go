// Package lab is a rack of virtual NAS on this computer: the device's own
// engine, core and front, over settings, button and beeper in memory, with
// volumes of real files in a folder, found and spoken to over real sockets on
// loopback.
//
// What is demonstrated here is the code that runs on hardware. What is the
// lab's alone: the faces of other vendors, as far as they go yet; a robot that
// presses the virtual button and counts its beeps; and a witness that looks at
// a virtual NAS from outside the engine.
//
// It never listens on anything but loopback, never touches a setting of the
// computer it runs on, and needs nothing but Go to build.
package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/config"
	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/device/panel/memory"
	"github.com/paperclip-nas/paperclip/internal/device/setting"
	store "github.com/paperclip-nas/paperclip/internal/device/setting/memory"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/lab/face"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// Options are how a rack is started.
type Options struct {
	// Dir is the folder that the rack's state is kept in; it is made if it is
	// missing, and a rack that is started on it again is the same rack.
	Dir string
	// Speed is how much faster than real time buttons, beeps and windows are;
	// 0 is DefaultSpeed. A person needs 1.
	Speed int
	// Drop is an effect whose adapter loses its writes and says that all went
	// well: for tests that must notice.
	Drop nas.Effect
	// Only names the NAS to start; empty is all of the rack.
	Only []string
	// Scenario is what is wrong with the NAS behind other vendors' faces.
	Scenario face.Scenario
	// Trial is how long a restore has to be confirmed, in real time; 0 is five
	// minutes.
	Trial time.Duration
	// Later is how much time passes in the rack before it starts, for what waits.
	Later time.Duration
	// Log takes what the virtual devices log; nil is nowhere.
	Log *slog.Logger
}

// DefaultSpeed suits the robot: beeps of 20 ms are told apart even on a busy
// computer.
const DefaultSpeed = 10

// Rack is the virtual NAS that are running.
type Rack struct {
	nas    []*NAS
	stop   context.CancelFunc
	ended  sync.WaitGroup
	unlock func()
}

// NAS is one virtual NAS.
type NAS struct {
	model  model
	dir    string
	addr   netip.Addr
	clock  clock.Clock
	boot   clock.Boot
	trial  time.Duration
	allows access.ButtonPolicy
	label  access.Secret // the code on its label; empty: there is none
	log    *slog.Logger

	store    *store.Store
	adapters []setting.Adapter
	panel    *memory.Panel
	core     *core.Core // nil behind another vendor's face

	box      *face.Box // another vendor's; nil where core is not
	imposter *imposter // somebody who claims to be it; nil without that scenario

	mdns netip.AddrPort // where it answers mDNS; invalid if it does not
}

// Start builds and starts the rack, or the problem lab_failed. It runs until
// Close, or until ctx is done.
func Start(ctx context.Context, o Options) (*Rack, error) {
	r, err := start(ctx, o)
	if err != nil {
		return nil, catalog.New("lab_failed", err.Error()).Because(err)
	}
	return r, nil
}

func start(ctx context.Context, o Options) (*Rack, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Speed <= 0 {
		o.Speed = DefaultSpeed
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	unlock, err := lock(o.Dir)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	r := &Rack{stop: stop, unlock: unlock}
	for i, m := range models() {
		if len(o.Only) > 0 && !slices.Contains(o.Only, m.identity.Name) {
			continue
		}
		n, err := newNAS(o, m, i)
		if err == nil {
			err = n.start(ctx, &r.ended)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", m.identity.Name, err), r.Close())
		}
		r.nas = append(r.nas, n)
	}
	return r, nil
}

// Close stops every virtual NAS and waits until they have stopped. Their state
// stays in the folder.
func (r *Rack) Close() error {
	r.stop()
	r.ended.Wait()
	r.unlock()
	return nil
}

// All lists the virtual NAS.
func (r *Rack) All() []*NAS { return slices.Clone(r.nas) }

// Named returns the virtual NAS that is called so.
func (r *Rack) Named(name string) (*NAS, bool) {
	i := slices.IndexFunc(r.nas, func(n *NAS) bool { return n.Name() == name })
	if i < 0 {
		return nil, false
	}
	return r.nas[i], true
}

// Labelled returns the virtual NAS with that MAC on its label: what a reset does
// not change.
func (r *Rack) Labelled(macs []string) (*NAS, bool) {
	i := slices.IndexFunc(r.nas, func(n *NAS) bool {
		return slices.ContainsFunc(n.model.identity.MACs, func(m string) bool { return slices.Contains(macs, m) })
	})
	if i < 0 {
		return nil, false
	}
	return r.nas[i], true
}

// Findhost is where to send findhost queries now: the rack's broadcast.
func (r *Rack) Findhost() []netip.AddrPort { return r.where(answers.findhostAt) }

// Qfinder is where to send Qfinder's questions now.
func (r *Rack) Qfinder() []netip.AddrPort { return r.where(answers.qfinderAt) }

// MDNS is where to send mDNS queries now: the rack's multicast.
func (r *Rack) MDNS() []netip.AddrPort { return r.where(answers.mdnsAt) }

// SSDP is where to send SSDP's searches now.
func (r *Rack) SSDP() []netip.AddrPort { return r.where(answers.ssdpAt) }

// answers are the places at which one NAS answers; those that are not valid it
// does not have.
type answers struct{ findhost, qfinder, mdns, ssdp netip.AddrPort }

func (a answers) findhostAt() netip.AddrPort { return a.findhost }
func (a answers) qfinderAt() netip.AddrPort  { return a.qfinder }
func (a answers) mdnsAt() netip.AddrPort     { return a.mdns }
func (a answers) ssdpAt() netip.AddrPort     { return a.ssdp }

// where lists one of the places, of all NAS and of those who claim to be one.
func (r *Rack) where(of func(answers) netip.AddrPort) []netip.AddrPort {
	var out []netip.AddrPort
	add := func(a answers) {
		if at := of(a); at.IsValid() {
			out = append(out, at)
		}
	}
	for _, n := range r.nas {
		if n.box == nil {
			add(answers{mdns: n.mdns})
			continue
		}
		var a answers
		a.findhost, a.qfinder, a.mdns, a.ssdp = n.box.Found()
		add(a)
		if n.imposter != nil {
			add(n.imposter.answers)
		}
	}
	return out
}

func newNAS(o Options, m model, i int) (*NAS, error) {
	n := &NAS{
		model: m, dir: filepath.Join(o.Dir, m.identity.Name), addr: loopback(11 + i),
		clock: clock.Faster(clock.System(), o.Speed), log: o.Log.With("nas", m.identity.Name), trial: o.Trial,
	}
	if err := os.MkdirAll(n.dir, 0o700); err != nil {
		return nil, err
	}
	fsys, file := opfs.OS(nil), filepath.Join(n.dir, "settings.json")
	on, err := switchOn(n.dir)
	if err == nil {
		n.boot, err = on.pass(n.dir, o.Later)
	}
	if err == nil {
		n.allows, err = allows(n.dir)
	}
	if err == nil {
		n.label, err = labelCode(n.dir)
	}
	if err != nil {
		return nil, err
	}
	if n.store, err = store.Open(fsys, file); errors.Is(err, os.ErrNotExist) {
		settings := m.settings.Clone()
		settings.Name = m.identity.Name
		n.store, err = store.Create(fsys, file, store.State{Settings: settings, Hashes: map[string]string{}})
	}
	if err != nil {
		return nil, err
	}
	for _, a := range n.store.Adapters() {
		if slices.Contains(a.Effects(), o.Drop) {
			a = store.Silent(a)
		}
		n.adapters = append(n.adapters, a)
	}
	n.panel = memory.New(n.clock)
	if m.maker != native {
		if n.box, err = n.newBox(o.Scenario, i); err != nil {
			return nil, err
		}
	}
	return n, fillVolume(n.volume(), m.files)
}

// allows is the owner's choice of what the button may do: that of paperclip.toml
// in the NAS's folder, as on a real one.
func allows(dir string) (access.ButtonPolicy, error) {
	c, err := config.Load(opfs.OS(nil), filepath.Join(dir, "paperclip.toml"))
	return c.Claim.Allows.Choice(), err
}

// labelCode is what its maker printed on the label: the file "label" in the
// NAS's folder.
func labelCode(dir string) (access.Secret, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "label"))
	if errors.Is(err, os.ErrNotExist) {
		return access.Secret{}, nil
	}
	if err != nil {
		return access.Secret{}, err
	}
	return access.ParseRecoveryCode(string(raw))
}

// loopback is 127.0.0.<host> where the system has it, so that each NAS has an
// address of its own, and 127.0.0.1 elsewhere.
func loopback(host int) netip.Addr {
	a := netip.AddrFrom4([4]byte{127, 0, 0, byte(host)})
	l, err := net.Listen("tcp", netip.AddrPortFrom(a, 0).String())
	if err != nil {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	_ = l.Close()
	return a
}

// Name is what the NAS is called: what its set-up wizard was told, if it was
// ever set up anew.
func (n *NAS) Name() string { return cmp.Or(n.store.Running().Settings.Name, n.model.identity.Name) }

// Identity is what its label says.
func (n *NAS) Identity() nas.Identity { return n.model.identity }

// Volume is the folder that stands for its data volume.
func (n *NAS) Volume() string { return n.volume() }

func (n *NAS) volume() string { return filepath.Join(n.dir, "volume1") }

// Plan is what a reset of this NAS would do. The lab is the owner of its NAS
// and may see their settings.
func (n *NAS) Plan(ctx context.Context, mode reset.Mode, scope reset.Scope, administrator string) (reset.Plan, error) {
	return core.MakePlan(ctx, n.adapters, reset.Request{Device: n.Name(), Mode: mode, Scope: scope, Administrator: administrator})
}

// Panel is the virtual button and beeper, for whoever stands in front of it.
func (n *NAS) Panel() *memory.Panel { return n.panel }

// lock keeps two racks off one folder.
func lock(dir string) (unlock func(), err error) {
	file := filepath.Join(dir, "in-use")
	unlock, err = lockFile(file)
	if err != nil {
		return nil, fmt.Errorf("the folder %s is in use by another lab: %w", dir, err)
	}
	return unlock, nil
}
