package networkmanager

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/blockedit"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ini"
	"github.com/paperclip-nas/paperclip/internal/device/setting/netstack"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
)

// network is NetworkManager's part of the machine.
type network struct {
	nics     []netstack.NIC // that are NetworkManager's
	others   []netstack.NIC
	refused  string
	profiles []profile
}

func (a *Adapter) load(ctx context.Context) (network, error) {
	all, err := a.system.Survey(ctx)
	if err != nil {
		return network{}, err
	}
	n := network{nics: netstack.Of(all, netstack.NetworkManager), refused: netstack.Refused(all)}
	n.others = slices.DeleteFunc(all, func(nic netstack.NIC) bool { return nic.Decision.Stack == netstack.NetworkManager })
	connections, _, err := a.system.Connections(ctx)
	if err != nil {
		return network{}, err
	}
	for _, c := range connections {
		n.profiles = append(n.profiles, a.profile(c))
	}
	return n, nil
}

func (a *Adapter) profile(c netstack.Connection) profile {
	p := profile{uuid: c.UUID, kind: c.Type, device: c.Device, path: c.File}
	data, err := a.cfg.FS.ReadFile(c.File)
	if err != nil {
		p.err = err
		return p
	}
	p.keyfile = ini.Sections(string(data))
	switch twice := p.keyfile.twice(); {
	case path.Dir(c.File) != Directory, generated(string(data)):
		p.err = fmt.Errorf("%s is written by another program, which would undo a change: the addresses have to be set there", c.File)
	case twice != "":
		p.err = fmt.Errorf("%s has the section [%s] twice", c.File, twice)
	case !plainUUID(c.UUID):
		p.err = fmt.Errorf("%s has no usual UUID: %q", c.File, c.UUID)
	default:
		p.err = atomicfile.Check(a.cfg.FS, c.File)
	}
	return p
}

const ethernet = "802-3-ethernet"

// wired are the profiles by which the interfaces here could come up: those of
// one of them, and those for any.
func (n network) wired() []profile {
	var all []profile
	for _, p := range n.profiles {
		name := p.keyfile.name()
		switch {
		case n.named(n.others, name) || p.device != "" && n.named(n.others, p.device):
		case p.kind == ethernet && (name == "" || n.named(n.nics, name)),
			p.kind == "bond" && (n.named(n.nics, name) || len(n.ports(p)) > 0),
			p.kind == "bridge" && (n.named(n.nics, name) || len(n.ports(p)) > 0):
			all = append(all, p)
		}
	}
	return all
}

// named reports whether a name is one of the interfaces, or of their members.
func (n network) named(nics []netstack.NIC, name string) bool {
	return name != "" && slices.ContainsFunc(nics, func(nic netstack.NIC) bool { return nic.Name == name || slices.Contains(nic.Members, name) })
}

// ports are the Ethernet profiles that are members of a bond or bridge.
func (n network) ports(of profile) []profile {
	return slices.DeleteFunc(slices.Clone(n.profiles), func(p profile) bool {
		m := p.keyfile.master()
		return p.kind != ethernet || m == "" || m != of.uuid && m != of.keyfile.name()
	})
}

type bond struct {
	profile profile
	ports   []profile
}

func (b bond) names() []string {
	var names []string
	for _, p := range b.ports {
		name := p.keyfile.name()
		if name == "" {
			name = p.device
		}
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// bonds are those that start by themselves, and on which nothing is built.
func (n network) bonds() []bond {
	var all []bond
	for _, p := range n.wired() {
		if p.kind != "bond" || !p.keyfile.starts() || p.keyfile.master() != "" {
			continue
		}
		b := bond{p, n.ports(p)}
		built := slices.ContainsFunc(n.profiles, func(o profile) bool {
			parent := o.keyfile.get("parent", "vlan", "macvlan", "ipvlan")
			return parent != "" && (parent == p.uuid || parent == p.keyfile.name())
		})
		if len(b.ports) > 0 && !built {
			all = append(all, b)
		}
	}
	return all
}

// dialUps are the PPPoE profiles that start by themselves or are in use.
func (n network) dialUps() []profile {
	return slices.DeleteFunc(slices.Clone(n.profiles), func(p profile) bool {
		return p.kind != "pppoe" || !p.keyfile.starts() && p.device == ""
	})
}

// over is the interface of a PPPoE profile.
func (p profile) over() string {
	for _, name := range []string{p.keyfile.get("parent", "pppoe"), p.device, p.keyfile.name()} {
		if name != "" {
			return name
		}
	}
	return ""
}

// profileOf is the one in use, or one that an interface could come up by.
func (n network) profileOf(nic netstack.NIC) (profile, bool) {
	for _, p := range n.profiles {
		if p.uuid == nic.Profile.UUID && p.uuid != "" {
			return p, true
		}
	}
	for _, p := range n.wired() {
		if p.keyfile.name() == nic.Name {
			return p, true
		}
	}
	return profile{}, false
}

// editor collects what a reset changes.
type editor struct {
	change  change
	effects map[nas.Effect]bool
	wizard  reset.Wizard
}

func (e *editor) listed() []nas.Effect {
	return slices.DeleteFunc(nas.Effects(), func(f nas.Effect) bool { return !e.effects[f] })
}

// reset works out the change. It fails where a profile that has to change
// cannot.
func (n network) reset(w reset.Wizard) (*editor, error) {
	e := &editor{effects: map[nas.Effect]bool{}, wizard: w}
	off, freed := map[string]bool{}, map[string]bool{}
	for _, b := range n.bonds() {
		off[b.profile.uuid] = true
		e.effects[nas.E7] = true
		for _, p := range b.ports {
			freed[p.uuid] = true
		}
	}
	for _, p := range n.dialUps() {
		off[p.uuid] = true
		e.effects[nas.E6] = true
	}
	for _, p := range n.profiles {
		if !off[p.uuid] {
			continue
		}
		e.change.Off = append(e.change.Off, p.uuid)
		if err := e.edit(p, func(s ini.Section) ini.Section {
			if s.Name == "connection" && p.keyfile.starts() {
				return asleep(s)
			}
			return s
		}); err != nil {
			return nil, err
		}
	}
	for _, p := range n.wired() {
		if off[p.uuid] {
			continue
		}
		if err := e.automatic(p, freed[p.uuid]); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// automatic gives a profile addresses that come by themselves, and ordinary
// frames. A port of a bridge has no addresses; one that is freed of its bond
// gets them.
func (e *editor) automatic(p profile, freed bool) error {
	member := p.keyfile.master() != "" && !freed
	address, static := e.wizard.Static(p.keyfile.name())
	err := e.edit(p, func(s ini.Section) ini.Section {
		switch s.Name {
		case "connection":
			if freed {
				s = s.Without(membership)
				s.Lines = append(ended(s.Lines), missing(p.keyfile)...)
			}
			if static && !p.keyfile.has("ipv4") {
				s.Lines = fixedLines(s.Lines, address)
			}
		case "ipv4", "ipv6":
			if member {
				break
			}
			out := automatic(s)
			if static && s.Name == "ipv4" {
				out = manually(out, address)
			}
			if out.Text() != s.Text() {
				e.effects[nas.E4] = true
				s = out
			}
		case "ethernet", "802-3-ethernet":
			if out := s.Without(jumbo); out.Text() != s.Text() {
				e.effects[nas.E5] = true
				s = out
			}
		}
		return s
	})
	if edited := slices.ContainsFunc(e.change.Edits, func(d blockedit.Edit) bool { return d.Path == p.path }); edited && !member {
		if static {
			e.change.Fixed = append(e.change.Fixed, p.uuid)
		} else {
			e.change.Auto = append(e.change.Auto, p.uuid)
		}
	}
	return err
}

// bound refuses the wizard's address for an interface that has no profile of its
// own: one that serves any interface would bring the same address to all.
func (n network) bound(w reset.Wizard) error {
	for _, a := range w.Network {
		if !n.named(n.nics, a.Interface) {
			continue // another stack's
		}
		own, used := false, true
		for _, p := range n.wired() {
			own = own || p.keyfile.name() == a.Interface
			used = used && (p.device != a.Interface || p.keyfile.name() == a.Interface)
		}
		if !own || !used {
			return catalog.New("wizard_answer", fmt.Sprintf("%s has no connection of NetworkManager's own (interface-name), so only dhcp can be chosen; set the address there afterwards", a.Interface))
		}
	}
	return nil
}

// manually is an [ipv4] section, without anything set by hand, with the wizard's
// address.
func manually(s ini.Section, a reset.Address) ini.Section {
	out := s.Without(func(key, _ string) bool { return key == "method" })
	out.Lines = append(ended(slices.Clone(out.Lines)), byWizard(a)...)
	return out
}

// fixedLines are those of a keyfile's [connection] with an [ipv4] section after
// it, for one that has none.
func fixedLines(lines []string, a reset.Address) []string {
	lines = slices.Clone(lines)
	for i, l := range lines {
		if l == "[ipv4]\n" { // that missing has just added
			return slices.Insert(slices.Delete(lines, i+1, i+2), i+1, byWizard(a)...)
		}
	}
	return append(ended(lines), append([]string{"\n", "[ipv4]\n"}, byWizard(a)...)...)
}

func byWizard(a reset.Address) []string {
	address := a.Address.String()
	if a.Gateway.IsValid() {
		address += "," + a.Gateway.String()
	}
	lines := []string{"method=manual\n", "address1=" + address + "\n"}
	if len(a.DNS) > 0 {
		dns := "dns="
		for _, d := range a.DNS {
			dns += d.String() + ";"
		}
		lines = append(lines, dns+"\n")
	}
	return lines
}

// missing are the lines of the address sections that a keyfile does not have.
func missing(k keyfile) []string {
	var lines []string
	for _, name := range []string{"ipv4", "ipv6"} {
		if !k.has(name) {
			lines = append(lines, "\n", "["+name+"]\n", "method=auto\n")
		}
	}
	return lines
}

// ended are lines of which the last has an end.
func ended(lines []string) []string {
	if last := lines[len(lines)-1]; ini.End(last) == "" {
		lines = append(slices.Clone(lines[:len(lines)-1]), last+"\n")
	}
	return lines
}

// edit takes every section of a profile through to.
func (e *editor) edit(p profile, to func(ini.Section) ini.Section) error {
	var edits []blockedit.Edit
	text := ""
	for _, s := range p.keyfile {
		text += s.Text()
		if out := to(s); s.Name != "" && out.Text() != s.Text() {
			edits = append(edits, blockedit.Edit{Path: p.path, Old: s.Text(), New: out.Text()})
		}
	}
	if len(edits) == 0 {
		return nil
	}
	if p.err != nil {
		return fmt.Errorf("%w: %w", p.err, setting.ErrPermanent)
	}
	if err := blockedit.Check(text, edits, ini.Split); err != nil {
		return err
	}
	e.change.Edits = append(e.change.Edits, edits...)
	if p.device != "" {
		e.change.Up = append(e.change.Up, p.uuid)
	}
	return nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return strings.TrimSpace(line)
}
