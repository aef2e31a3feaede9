package interfaces

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting/blockedit"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// standardMTU is the largest packet of plain Ethernet, in bytes.
const standardMTU = 1500

// Change is what a network reset does to the files.
type Change struct {
	Edits   []blockedit.Edit
	Effects []nas.Effect
	Down    []string // interfaces to take down, as the old text has them, in this order
	Up      []string // interfaces to bring up afterwards, as the new text has them
	Jumbo   []string // interfaces that had jumbo frames: ifup does not take them back by itself
}

// editor collects the new text of blocks.
type editor struct {
	config  Config
	text    []string // by block
	effects map[nas.Effect]bool
	change  Change
	wizard  reset.Wizard
}

// Reset works out the change for the wired interfaces named: DHCP instead of
// addresses set by hand (E4), no jumbo frames (E5), no bond (E7), and no
// dial-up that starts by itself (E6). Comments, order, other stanzas and the
// owner's own commands (up, down and the like) stay. Where the set-up wizard was
// told an address, the interface has that instead of DHCP.
func (c Config) Reset(names []string, w reset.Wizard) Change {
	e := editor{config: c, effects: map[nas.Effect]bool{}, wizard: w}
	for _, b := range c.Blocks {
		e.text = append(e.text, b.Text)
	}
	for _, name := range c.Tops(names) {
		if bond, ok := c.Bond(name); ok && !bond.Fixed {
			e.disband(bond)
		} else {
			e.addresses(name)
		}
	}
	for _, name := range c.DialUps() {
		e.effects[nas.E6] = true
		e.change.Down = append(e.change.Down, name)
		e.start(name, nil)
	}
	for i, b := range c.Blocks {
		if e.text[i] != b.Text {
			e.change.Edits = append(e.change.Edits, blockedit.Edit{Path: b.Path, Old: b.Text, New: e.text[i]})
		}
	}
	for _, effect := range nas.Effects() {
		if e.effects[effect] {
			e.change.Effects = append(e.change.Effects, effect)
		}
	}
	return e.change
}

// addresses takes an interface, its aliases and the ports of a bridge back to
// DHCP and plain frames.
func (e *editor) addresses(name string) {
	before := slices.Clone(e.text)
	e.dhcp(name, "")
	for _, member := range e.config.members(name) {
		for i, b := range e.config.Blocks {
			if b.Interface() == member {
				e.set(i, e.drop(b, false))
			}
		}
	}
	if slices.Equal(before, e.text) {
		return
	}
	for _, b := range e.config.Blocks {
		if n := b.Interface(); n == name || strings.HasPrefix(n, name+":") {
			e.change.Down = add(e.change.Down, n)
			e.change.Up = add(e.change.Up, n)
		}
	}
}

// dhcp gives one stanza of the interface the method dhcp, and takes the
// addresses out of all. bond is what it is no longer a member of.
func (e *editor) dhcp(name, bond string) {
	chosen := e.config.chosen(name)
	last := -1
	for i, b := range e.config.Blocks {
		if n := b.Interface(); n != name && !strings.HasPrefix(n, name+":") {
			continue
		}
		last = i
		method := b.Method()
		switch {
		case i == chosen:
			method = e.method(name)
		case b.Family() == "inet" && addressed(method):
			method = "manual"
		case b.Family() == "inet6" && method == "static":
			method = "auto"
		}
		text := e.drop(b, bond != "")
		if lines := e.byHand(name); i == chosen && lines != "" {
			header := b.headerLine()
			text = line(header) + lines + strings.TrimPrefix(text, header)
			if text != b.Text {
				e.effects[nas.E4] = true
			}
		}
		if method != b.Method() {
			e.effects[nas.E4] = true
			text = swap(text, 3, method)
		}
		e.set(i, text)
	}
	if chosen < 0 && last >= 0 {
		e.effects[nas.E4] = true
		e.set(last, line(e.text[last])+e.stanza(name))
	}
}

// chosen is the stanza that is to say dhcp: one that does, else the first of
// IPv4; -1 is none.
func (c Config) chosen(name string) int {
	first := -1
	for i, b := range c.Blocks {
		if b.Interface() != name || b.Family() != "inet" {
			continue
		}
		if b.Method() == "dhcp" {
			return i
		}
		if first < 0 && (addressed(b.Method()) || b.Method() == "manual") {
			first = i
		}
	}
	return first
}

// addressed reports whether a method of IPv4 gives an interface an address in
// another way than DHCP.
func addressed(method string) bool {
	return slices.Contains([]string{"static", "bootp", "ipv4ll"}, method)
}

// disband takes a bond apart: its members have DHCP each.
func (e *editor) disband(bond Bond) {
	e.effects[nas.E7] = true
	var missing []string // have no stanza of their own
	for _, m := range bond.Members {
		e.dhcp(m, bond.Name)
		if e.config.first(m) < 0 {
			missing = append(missing, m)
		}
	}
	e.start(bond.Name, bond.Members)
	n := 0
	for i, b := range e.config.Blocks {
		if b.Interface() != bond.Name {
			continue
		}
		text := fmt.Sprintf("# The link aggregation %s (%s) was switched off when the network was reset.\n", bond.Name, strings.Join(bond.Members, ", "))
		if n++; n > 1 {
			text = fmt.Sprintf("# Stanza %d of %s was here.\n", n, bond.Name)
		}
		for _, m := range missing {
			text += e.stanza(m)
		}
		missing = nil
		e.set(i, text)
	}
	e.change.Down = append(e.change.Down, bond.Name)
	for _, m := range bond.Members {
		if e.config.first(m) >= 0 {
			e.change.Down = add(e.change.Down, m)
		}
		e.change.Up = add(e.change.Up, m)
	}
}

// start replaces name by others in the lines that bring interfaces up at boot;
// those that start by themselves already are left out.
func (e *editor) start(name string, others []string) {
	others = slices.DeleteFunc(slices.Clone(others), e.config.Starts)
	for i, b := range e.config.Blocks {
		at := slices.Index(b.starts(), name) + 1
		if at == 0 {
			continue
		}
		if len(others) == 0 && len(b.Words) == 2 {
			e.set(i, "# "+strings.Join(b.Words, " ")+"\n")
			continue
		}
		e.set(i, swap(e.text[i], at, strings.Join(others, " ")))
		others = nil
	}
}

// drop is the block's text without what a reset takes out of it.
func (e *editor) drop(b Block, bond bool) string {
	text := b.headerLine()
	for _, o := range b.Options {
		mtu, _ := strconv.Atoi(o.Value)
		switch {
		case o.is("mtu") && mtu > standardMTU:
			e.effects[nas.E5] = true
			e.change.Jumbo = add(e.change.Jumbo, b.Interface())
		case bond && !o.comment && strings.HasPrefix(strings.ReplaceAll(o.Name, "_", "-"), "bond-"):
		case o.is(addressOptions(b)...):
			e.effects[nas.E4] = true
		default:
			text += o.text
		}
	}
	return text
}

// addressOptions are the options of a stanza that are about its addresses.
func addressOptions(b Block) []string {
	options := []string{"dns-nameservers", "dns-nameserver", "dns-search", "dns-domain"}
	switch {
	case b.Family() == "inet" && (addressed(b.Method()) || b.Method() == "dhcp"):
		options = append(options, "address", "netmask", "broadcast", "network", "gateway", "pointopoint", "scope")
		if b.Method() == "static" {
			options = append(options, "metric")
		}
	case b.Family() == "inet6" && b.Method() == "static":
		options = append(options, "address", "netmask", "gateway", "scope", "metric", "autoconf", "accept-ra",
			"preferred-lifetime", "dad-attempts", "dad-interval")
	}
	return options
}

// set is the new text of a block, without a line end where it had none.
func (e *editor) set(i int, text string) {
	if !strings.HasSuffix(e.config.Blocks[i].Text, "\n") {
		text = strings.TrimSuffix(text, "\n")
	}
	e.text[i] = text
}

// stanza is a new one for an interface that had none.
func (e *editor) stanza(name string) string {
	return "iface " + name + " inet " + e.method(name) + "\n" + e.byHand(name)
}

// method is how an interface gets its addresses afterwards.
func (e *editor) method(name string) string {
	if _, ok := e.wizard.Static(name); ok {
		return "static"
	}
	return "dhcp"
}

// byHand are the lines of a stanza with the wizard's address, or none.
func (e *editor) byHand(name string) string {
	a, ok := e.wizard.Static(name)
	if !ok {
		return ""
	}
	text := "    address " + a.Address.String() + "\n"
	if a.Gateway.IsValid() {
		text += "    gateway " + a.Gateway.String() + "\n"
	}
	if len(a.DNS) > 0 {
		text += "    dns-nameservers"
		for _, d := range a.DNS {
			text += " " + d.String()
		}
		text += "\n"
	}
	return text
}

// line is text that ends its line.
func line(text string) string {
	if strings.HasSuffix(text, "\n") {
		return text
	}
	return text + "\n"
}

func add(names []string, name string) []string {
	if slices.Contains(names, name) {
		return names
	}
	return append(names, name)
}
