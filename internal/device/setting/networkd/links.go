package networkd

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

const classNet = "/sys/class/net"

// link is an interface that has addresses by cable: a wired NIC, or the bridge
// or bond that it is in.
type link struct {
	name, mac string
	mtu       int
	file      string // the .network file in force; "" when networkd does not manage it
	config    config
}

func (l link) settings() nas.Interface {
	in := nas.Interface{Name: l.name, MAC: l.mac, Method: nas.Unmanaged, MTU: l.mtu}
	if l.file == "" {
		return in
	}
	in.Method, in.Addresses = l.config.method(), l.config.addresses()
	in.Gateway = l.config.gateway()
	in.DNS = l.config.words("DNS", "Network")
	return in
}

// links are the wired interfaces in order of their names.
func (a *Adapter) links() ([]link, error) {
	entries, err := a.cfg.FS.ReadDir(classNet)
	if err != nil {
		return nil, fmt.Errorf("read the network interfaces: %w", err)
	}
	byIndex := make(map[string]string)
	for _, e := range entries {
		byIndex[a.attribute(e.Name(), "ifindex")] = e.Name()
	}
	var names []string
	for _, e := range entries {
		if !a.wired(e.Name()) {
			continue
		}
		name := a.top(e.Name(), byIndex)
		if plainName(name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var links []link
	for _, name := range names {
		l, err := a.link(name)
		if err != nil {
			return nil, err
		}
		links = append(links, l)
	}
	return links, nil
}

// wired reports whether an interface is Ethernet by cable with hardware behind
// it: no loopback, tunnel, bridge, container's end, or wireless.
func (a *Adapter) wired(name string) bool {
	const ethernet = "1" // ARPHRD_ETHER
	if a.attribute(name, "type") != ethernet || a.has(name, "wireless") || a.has(name, "phy80211") {
		return false
	}
	if a.has(name, "device") {
		return true
	}
	for _, made := range []string{"bridge", "bonding", "tun_flags"} {
		if a.has(name, made) {
			return false
		}
	}
	return a.cfg.Virtual
}

// top follows an interface to the bridge or bond that it is a member of.
func (a *Adapter) top(name string, byIndex map[string]string) string {
	for range 8 { // a bond in a bridge is two; a loop is not possible in the kernel
		master, ok := byIndex[a.attribute(name, "master/ifindex")]
		if !ok || !a.has(name, "master") {
			break
		}
		name = master
	}
	return name
}

func (a *Adapter) link(name string) (link, error) {
	l := link{name: name}
	l.mac, _ = nas.NormalMAC(a.attribute(name, "address"))
	l.mtu, _ = strconv.Atoi(a.attribute(name, "mtu"))
	state, present, err := a.state(name)
	if err != nil || !present || state.file == "" {
		return l, err
	}
	l.file = state.file
	for _, p := range append([]string{state.file}, state.dropIns...) {
		data, err := a.cfg.FS.ReadFile(p)
		if err != nil {
			return l, fmt.Errorf("the configuration of %s: %w", name, err)
		}
		l.config = l.config.with(parse(string(data)))
	}
	return l, nil
}

// state is what networkd says of an interface in /run/systemd/netif/links.
type state struct {
	file    string
	dropIns []string
	failed  bool
}

// state reads it; present is false where the interface is not there.
func (a *Adapter) state(name string) (s state, present bool, err error) {
	index := a.attribute(name, "ifindex")
	if _, err := strconv.Atoi(index); err != nil {
		return state{}, false, nil
	}
	data, err := a.cfg.FS.ReadFile("/run/systemd/netif/links/" + index)
	if errors.Is(err, fs.ErrNotExist) {
		return state{}, true, nil
	}
	if err != nil {
		return state{}, false, err
	}
	for line := range strings.Lines(string(data)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.Trim(value, `"'`)
		switch key {
		case "NETWORK_FILE":
			s.file = value
		case "NETWORK_FILE_DROPINS":
			s.dropIns = strings.FieldsFunc(value, func(r rune) bool { return r == ':' || r == ' ' })
		case "ADMIN_STATE":
			s.failed = value == "failed"
			if value == "unmanaged" {
				return state{}, true, nil
			}
		}
	}
	return s, true, nil
}

func (a *Adapter) attribute(name, attribute string) string {
	data, err := a.cfg.FS.ReadFile(path.Join(classNet, name, attribute))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

func (a *Adapter) has(name, attribute string) bool {
	_, err := a.cfg.FS.Stat(path.Join(classNet, name, attribute))
	return err == nil
}

// plainName reports whether a name can stand in a file name and in a Match
// section without meaning anything else there.
func plainName(name string) bool {
	if name == "" || len(name) > 15 {
		return false
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_.-@:", r) {
			return false
		}
	}
	return name != "." && name != ".."
}
