// Package ifupdown sets the wired interfaces that Debian's ifup configures
// back to DHCP, or to the set-up wizard's address (E4), ordinary frames (E5), no bond (E7) and no dial-up by
// itself (E6), by editing their stanzas in /etc/network/interfaces and in the
// files that it sources.
//
// Only lines of those stanzas change, as package interfaces works them out;
// comments, order, other stanzas and the owner's own commands (up, post-up and
// the like) stay. All files go from the recorded old blocks to the new ones, or
// none does.
//
// Then each interface that changed is taken down as the old text has it, and
// brought up by the new one: what uses it is interrupted meanwhile. ifup runs
// in a systemd unit of its own, because the DHCP client that it leaves behind
// must outlive this process and not live in its sandbox.
//
// The package never touches an interface that another program configures, a
// file that another program writes, a mapping, or ifupdown2's files.
package ifupdown

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/blockedit"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ifupdown/interfaces"
	"github.com/paperclip-nas/paperclip/internal/device/setting/netstack"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// ID is the adapter's name in steps and operations.
const ID = "ifupdown"

// Config is what an Adapter is built from. FS and Runner are required.
type Config struct {
	FS     opfs.FS
	Runner opfs.Runner
	// Virtual takes in Ethernet interfaces without hardware: for containers
	// and tests.
	Virtual bool
}

// Adapter is ifupdown.
type Adapter struct {
	cfg    Config
	system netstack.System
}

// New is the adapter of the system below cfg.FS. It has no side effect.
func New(cfg Config) *Adapter {
	return &Adapter{cfg, netstack.System{FS: cfg.FS, Runner: cfg.Runner, Virtual: cfg.Virtual}}
}

// ID is "ifupdown".
func (a *Adapter) ID() string { return ID }

// Effects are E4 to E7.
func (a *Adapter) Effects() []nas.Effect { return []nas.Effect{nas.E4, nas.E5, nas.E6, nas.E7} }

// Detect says whether ifupdown configures a wired interface by files that can
// be edited.
func (a *Adapter) Detect(ctx context.Context) (reset.Found, error) {
	found := reset.Found{What: "ifupdown (" + interfaces.Main + ")"}
	switch {
	case a.exists("/usr/share/ifupdown2"):
		found.Why = "ifupdown2 is in use, which is not handled"
		return found, nil
	case !a.exists("/sbin/ifup") && !a.exists("/usr/sbin/ifup"):
		found.Why = "ifupdown is not installed"
		return found, nil
	}
	nics, config, err := a.load(ctx)
	if err != nil {
		found.Why = err.Error()
		return found, nil
	}
	found.Why = a.obstacle(nics, config)
	found.Present = found.Why == ""
	found.Blocked = !found.Present && len(config.Tops(names(nics))) > 0
	return found, nil
}

// obstacle says why nothing can be changed here.
func (a *Adapter) obstacle(nics []netstack.NIC, config interfaces.Config) string {
	switch refused := netstack.Refused(nics); {
	case len(config.Tops(names(nics))) == 0 && refused != "":
		return refused
	case len(config.Tops(names(nics))) == 0:
		return "ifupdown configures no wired interface here"
	case config.Obstacle != "":
		return config.Obstacle
	case !slices.ContainsFunc([]string{"dhclient", "udhcpc", "dhcpcd"}, a.program):
		return "there is no DHCP client that ifup could start (Debian: isc-dhcp-client)"
	}
	for _, p := range config.Paths() {
		if err := atomicfile.Check(a.cfg.FS, p); err != nil {
			return err.Error()
		}
	}
	return ""
}

func (a *Adapter) program(name string) bool {
	return a.exists("/sbin/"+name) || a.exists("/usr/sbin/"+name) || a.exists("/usr/bin/"+name)
}

func (a *Adapter) exists(path string) bool {
	_, err := a.cfg.FS.Stat(path)
	return err == nil
}

func (a *Adapter) load(ctx context.Context) ([]netstack.NIC, interfaces.Config, error) {
	nics, err := a.system.Survey(ctx)
	if err != nil {
		return nil, interfaces.Config{}, err
	}
	config, err := interfaces.Load(a.cfg.FS)
	return nics, config, err
}

// names are the interfaces that are ifupdown's.
func names(nics []netstack.NIC) []string {
	var all []string
	for _, n := range netstack.Of(nics, netstack.Ifupdown) {
		all = append(all, n.Name)
		if len(n.Members) > 0 && n.Bond {
			all = append(all, n.Members...)
		}
	}
	return all
}

// Read fills the interfaces, bonds and dial-up connections of ifupdown.
func (a *Adapter) Read(ctx context.Context, s *nas.Settings) error {
	nics, config, err := a.load(ctx)
	if err != nil {
		return err
	}
	for _, name := range config.Tops(names(nics)) {
		in := config.Interface(name)
		for _, n := range nics {
			if n.Name == name {
				in.MAC = n.MAC
				in.MTU = max(in.MTU, n.MTU)
			}
		}
		netstack.Put(s, in)
		if b, ok := config.Bond(name); ok && !b.Fixed {
			s.Bonds = append(s.Bonds, nas.Bond{Name: name, Members: b.Members, Enabled: true})
		}
	}
	for _, name := range config.DialUps() {
		if s.PPPoE == nil || !s.PPPoE.Enabled {
			s.PPPoE = &nas.PPPoE{Enabled: true, Interface: name}
		}
	}
	return nil
}

// change is what the step's Data holds.
type change struct {
	Edits []blockedit.Edit `json:"edits"`
	Down  []string         `json:"down"`
	Up    []string         `json:"up"`
	Jumbo []string         `json:"jumbo"`
	Back  bool             `json:"back,omitempty"` // of a restore
}

// Prepare gives one step for all files: a bond may be spread over several.
func (a *Adapter) Prepare(ctx context.Context, r setting.Request) ([]reset.Step, error) {
	if !slices.Contains(reset.Effects(r.Mode, r.Scope), nas.E4) {
		return nil, nil
	}
	nics, config, err := a.load(ctx)
	if err != nil {
		return nil, err
	}
	if why := a.obstacle(nics, config); why != "" {
		return nil, fmt.Errorf("%s: %w", why, setting.ErrPermanent)
	}
	if err := a.dnsHeard(r.Wizard, names(nics)); err != nil {
		return nil, err
	}
	c := config.Reset(names(nics), r.Wizard)
	if len(c.Edits) == 0 {
		return nil, nil
	}
	for _, p := range blockedit.Paths(c.Edits) {
		text, err := a.cfg.FS.ReadFile(p)
		if err != nil {
			return nil, err
		}
		if err := blockedit.Check(string(text), blockedit.In(c.Edits, p), interfaces.Split); err != nil {
			return nil, err
		}
	}
	data, err := json.Marshal(change{Edits: c.Edits, Down: c.Down, Up: c.Up, Jumbo: c.Jumbo})
	if err != nil {
		return nil, err
	}
	return []reset.Step{{Name: "interfaces of ifupdown", Adapter: ID, Effects: c.Effects, Data: data}}, nil
}

// dnsHeard refuses DNS servers set by hand where nobody listens to ifup's: they
// would stand in the file and not be in force.
func (a *Adapter) dnsHeard(w reset.Wizard, names []string) error {
	if a.exists("/etc/network/if-up.d/000resolvconf") || a.exists("/etc/network/if-up.d/resolved") || a.exists("/etc/network/if-up.d/resolvconf") {
		return nil
	}
	for _, one := range w.Network {
		if len(one.DNS) > 0 && slices.Contains(names, one.Interface) {
			return catalog.New("wizard_answer", one.Interface+" is ifupdown's, which sets no DNS server without the package resolvconf: leave dns out, or install that first")
		}
	}
	return nil
}

func read(s reset.Step) (change, error) {
	var c change
	err := json.Unmarshal(s.Data, &c)
	for _, name := range slices.Concat(c.Down, c.Up, c.Jumbo) {
		if !netstack.PlainName(name) {
			err = fmt.Errorf("%q is no interface", name)
		}
	}
	if err != nil || len(c.Edits) == 0 {
		return change{}, fmt.Errorf("the step %q is not one of ifupdown's: %w", s.Name, setting.ErrPermanent)
	}
	return c, nil
}

// Persist writes the new blocks.
func (a *Adapter) Persist(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	return blockedit.Move(a.cfg.FS, "ifupdown.persist", c.Edits, interfaces.Split, blockedit.New)
}

// Undo writes the old blocks again.
func (a *Adapter) Undo(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	return blockedit.Move(a.cfg.FS, "ifupdown.undo", c.Edits, interfaces.Split, blockedit.Old)
}
