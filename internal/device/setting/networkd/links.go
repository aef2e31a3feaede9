package networkd

import (
	"context"
	"fmt"
	"slices"

	"github.com/paperclip-nas/paperclip/internal/device/setting/netstack"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// link is a wired interface of networkd's, or the bridge or bond that it is in,
// with the files in force.
type link struct {
	netstack.NIC
	config config
}

func (l link) settings() nas.Interface {
	return nas.Interface{
		Name: l.Name, MAC: l.MAC, MTU: max(l.MTU, l.config.mtu()), Method: l.config.method(),
		Addresses: l.config.addresses(), Gateway: l.config.gateway(), DNS: l.config.words("DNS", "Network"),
	}
}

// jumbo reports whether the interface has more than ordinary frames, be it by
// its file or by something else that its file does not contradict.
func (l link) jumbo() bool {
	if set := l.config.mtu(); set != 0 {
		return set > standardMTU
	}
	return l.MTU > standardMTU
}

// links are networkd's wired interfaces in order of their names; refused is
// why others are nobody's.
func (a *Adapter) links(ctx context.Context) (links []link, refused string, err error) {
	nics, err := a.system.Survey(ctx)
	if err != nil {
		return nil, "", err
	}
	for _, n := range netstack.Of(nics, netstack.Networkd) {
		l := link{NIC: n}
		if l.config, err = a.files(n.Name, n.Link); err != nil {
			return nil, "", err
		}
		links = append(links, l)
	}
	return links, netstack.Refused(nics), nil
}

// files are the .network file in force and its drop-ins.
func (a *Adapter) files(name string, l netstack.Link) (config, error) {
	var c config
	for _, p := range append([]string{l.File}, l.DropIns...) {
		data, err := a.cfg.FS.ReadFile(p)
		if err != nil {
			return nil, fmt.Errorf("the configuration of %s: %w", name, err)
		}
		c = c.with(parse(string(data)))
	}
	return c, nil
}

// members are those of a bond that can be taken apart; none for any other
// interface. A bond with a VLAN or the like on it stays, and so does one of
// which a member is not networkd's.
func (a *Adapter) members(l link) ([]link, error) {
	if !l.Bond || slices.ContainsFunc(l.config, func(e entry) bool { return e.section == "Network" && stacked(e.key) }) {
		return nil, nil
	}
	var members []link
	for _, name := range l.Members {
		m := link{NIC: netstack.NIC{Name: name}}
		var err error
		if m.Link, err = a.system.Link(name); err != nil {
			return nil, err
		}
		if m.Link.File == "" || !netstack.PlainName(name) {
			return nil, nil
		}
		if m.config, err = a.files(name, m.Link); err != nil {
			return nil, err
		}
		m.MTU = l.MTU
		members = append(members, m)
	}
	return members, nil
}
