// Package networkd sets every wired interface back to DHCP (E4), ordinary
// frames (E5) and no bond (E7), where systemd-networkd manages it.
//
// It never edits a file of the owner or of the distribution. For each interface
// that is to change it writes one file of its own,
// /etc/systemd/network/05-paperclip-reset-NAME.network, which networkd reads
// before any other: DHCP, and those parts of the file in force that say how the
// interface is built (VLANs on it, its link settings), not which addresses it
// has. Removing that file is the way back, and is the undo. Where the set-up
// wizard of a hard reset was told an address (D5), the file has that, not DHCP.
//
// A bond is taken apart by such files for its members, which then are in none;
// the bond itself stays, without members, and so without a carrier and an
// address. Addresses of a bridge, or of a bond that something else is built on,
// belong to it, so it gets the file and its members are left alone. Wireless
// and virtual interfaces, and those that something else manages or netplan
// configures, are not touched.
package networkd

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/netstack"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ownfile"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// ID is the adapter's name in steps and operations.
const ID = "networkd"

// Directory is where the files of ours go.
const Directory = "/etc/systemd/network"

// Config is what an Adapter is built from. FS and Runner are required.
type Config struct {
	FS         opfs.FS
	Runner     opfs.Runner
	Networkctl string // "networkctl" when empty
	// Settle is how long networkd may take to follow a file that it has read
	// again: 10 s when 0.
	Settle time.Duration
	// Virtual takes in Ethernet interfaces without hardware: for containers
	// and tests.
	Virtual bool
}

// Adapter is systemd-networkd.
type Adapter struct {
	cfg    Config
	system netstack.System
}

// New is the adapter of the system below cfg.FS. It has no side effect.
func New(cfg Config) *Adapter {
	if cfg.Networkctl == "" {
		cfg.Networkctl = "networkctl"
	}
	if cfg.Settle == 0 {
		cfg.Settle = 10 * time.Second
	}
	return &Adapter{cfg, netstack.System{FS: cfg.FS, Runner: cfg.Runner, Virtual: cfg.Virtual}}
}

// ID is "networkd".
func (a *Adapter) ID() string { return ID }

// Effects are E4, E5 and E7.
func (a *Adapter) Effects() []nas.Effect { return []nas.Effect{nas.E4, nas.E5, nas.E7} }

// Detect says whether networkd runs and manages a wired interface.
func (a *Adapter) Detect(ctx context.Context) (reset.Found, error) {
	found := reset.Found{What: "systemd-networkd"}
	links, refused, err := a.links(ctx)
	_, runs := a.cfg.FS.Stat("/run/systemd/netif/state")
	switch {
	case err != nil:
		found.Why = err.Error()
	case len(links) > 0:
		found.Present = true
	case refused != "":
		found.Why = refused
	case runs != nil:
		found.Why = "systemd-networkd does not run here: the addresses are managed by something else"
	default:
		found.Why = "systemd-networkd manages no wired interface here"
	}
	return found, nil
}

// Read fills the interfaces and bonds as they are configured.
func (a *Adapter) Read(ctx context.Context, s *nas.Settings) error {
	links, _, err := a.links(ctx)
	if err != nil {
		return err
	}
	for _, l := range links {
		netstack.Put(s, l.settings())
		members, err := a.members(l)
		if err != nil {
			return err
		}
		if len(members) > 0 {
			s.Bonds = append(s.Bonds, nas.Bond{Name: l.Name, Members: l.Members, Enabled: true})
		}
	}
	return nil
}

// change is what a step's Data holds.
type change struct {
	Interface string          `json:"interface"`
	From      ownfile.Content `json:"from"`
	To        ownfile.Content `json:"to"`
	Back      *back           `json:"back,omitempty"` // of a restore, instead of the others
}

// Prepare gives one step for each interface that is to change, and for each
// member of a bond.
func (a *Adapter) Prepare(ctx context.Context, r setting.Request) ([]reset.Step, error) {
	if !slices.Contains(reset.Effects(r.Mode, r.Scope), nas.E4) {
		return nil, nil
	}
	links, _, err := a.links(ctx)
	if err != nil {
		return nil, err
	}
	var steps []reset.Step
	for _, l := range links {
		members, err := a.members(l)
		if err != nil {
			return nil, err
		}
		for _, m := range members {
			m.config = m.config.free()
			s, err := a.step(m, m.Name+" out of "+l.Name, r.Wizard, effects(m, nas.E7)...)
			if err != nil {
				return nil, err
			}
			steps = append(steps, s)
		}
		todo := effects(l)
		if _, static := r.Wizard.Static(l.Name); static && !slices.Contains(todo, nas.E4) {
			todo = append(todo, nas.E4)
		}
		if len(members) > 0 || len(todo) == 0 {
			continue
		}
		s, err := a.step(l, "addresses of "+l.Name, r.Wizard, todo...)
		if err != nil {
			return nil, err
		}
		steps = append(steps, s)
	}
	return steps, nil
}

// effects are those that an interface's own file has, and more.
func effects(l link, more ...nas.Effect) []nas.Effect {
	var all []nas.Effect
	if !l.config.plainDHCP() && len(more) == 0 {
		all = append(all, nas.E4)
	}
	if l.jumbo() {
		all = append(all, nas.E5)
	}
	return append(all, more...)
}

func (a *Adapter) step(l link, name string, w reset.Wizard, effects ...nas.Effect) (reset.Step, error) {
	now, err := ownfile.Read(a.cfg.FS, own(l.Name))
	if err != nil {
		return reset.Step{}, err
	}
	data, err := json.Marshal(change{Interface: l.Name, From: now, To: ownfile.Text(l.config.override(l.Name, l.Link.File, l.jumbo(), w))})
	return reset.Step{Name: name, Adapter: ID, Effects: effects, Data: data}, err
}

// own is the file of ours for an interface.
func own(name string) string { return path.Join(Directory, "05-paperclip-reset-"+name+".network") }

func read(s reset.Step) (change, error) {
	var c change
	err := json.Unmarshal(s.Data, &c)
	if err == nil && c.Back != nil && c.Back.plain() {
		return c, nil
	}
	if err != nil || c.Back != nil || c.To == nil || !netstack.PlainName(c.Interface) {
		return change{}, fmt.Errorf("the step %q is not one of systemd-networkd's: %w", s.Name, setting.ErrPermanent)
	}
	return c, nil
}

// Persist writes the file of ours.
func (a *Adapter) Persist(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	if c.Back != nil {
		return ownfile.MoveAll(a.cfg.FS, "networkd.persist", c.Back.Files, false)
	}
	return ownfile.Move(a.cfg.FS, "networkd.persist", own(c.Interface), c.From, c.To)
}

// Undo removes the file of ours, or puts back what it held before.
func (a *Adapter) Undo(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	if c.Back != nil {
		return ownfile.MoveAll(a.cfg.FS, "networkd.undo", c.Back.Files, true)
	}
	return ownfile.Move(a.cfg.FS, "networkd.undo", own(c.Interface), c.To, c.From)
}

// Activate has networkd read its files again, and take the interface through
// its configuration if it does not follow the right file by itself.
func (a *Adapter) Activate(ctx context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	if err := a.networkctl(ctx, "networkd.activate.reload", "reload"); err != nil {
		return err
	}
	if c.Back != nil {
		return a.reconfigure(ctx, *c.Back)
	}
	if follows, err := a.until(ctx, func() (bool, error) { return a.follows(c) }); err != nil || follows {
		return err
	}
	return a.networkctl(ctx, "networkd.activate.reconfigure", "reconfigure", c.Interface)
}

// until waits for what networkd does by itself after a reload, for as long as it
// may take. To reconfigure an interface meanwhile takes it through its file
// twice: a bond whose members go down again while its routes are set fails.
func (a *Adapter) until(ctx context.Context, so func() (bool, error)) (bool, error) {
	limited, stop := context.WithTimeout(ctx, a.cfg.Settle)
	defer stop()
	for {
		if is, err := so(); err != nil || is {
			return is, err
		}
		select {
		case <-limited.Done():
			return false, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (a *Adapter) networkctl(ctx context.Context, op string, args ...string) error {
	out, err := a.cfg.Runner.Run(ctx, op, opfs.Command{Path: a.cfg.Networkctl, Args: args})
	if err != nil {
		return err
	}
	if out.ExitCode != 0 {
		return fmt.Errorf("networkctl %s ended with status %d: %.200s", args[0], out.ExitCode, out.Stderr)
	}
	return nil
}

// follows reports whether the interface is configured by the file of ours when
// there is one, and by another when there is none. An interface that is gone
// (its NIC was taken out) follows anything.
func (a *Adapter) follows(c change) (bool, error) {
	now, err := ownfile.Read(a.cfg.FS, own(c.Interface))
	if err != nil {
		return false, err
	}
	l, err := a.system.Link(c.Interface)
	if err != nil || !l.Present {
		return !l.Present, err
	}
	return (l.File == own(c.Interface)) == (now != nil), nil
}

// Verify reads back the file, and from networkd which file it goes by.
func (a *Adapter) Verify(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	if c.Back != nil {
		return a.verifyBack(*c.Back)
	}
	now, err := ownfile.Read(a.cfg.FS, own(c.Interface))
	if err != nil {
		return err
	}
	if !ownfile.Equal(now, c.To) {
		return fmt.Errorf("%s does not hold what was written", own(c.Interface))
	}
	l, err := a.system.Link(c.Interface)
	if err == nil {
		err = by(c.Interface, l, own(c.Interface))
	}
	switch {
	case err != nil:
		return err
	case slices.Contains(s.Effects, nas.E7) && a.system.Attribute(c.Interface, "master/ifindex") != "":
		return fmt.Errorf("%s is still in a bond", c.Interface)
	}
	return nil
}
