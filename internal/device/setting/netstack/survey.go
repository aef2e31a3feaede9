package netstack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting/ifupdown/interfaces"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

const classNet = "/sys/class/net"

// System is one machine. FS and Runner are required.
type System struct {
	FS     opfs.FS
	Runner opfs.Runner // nmcli, only where NetworkManager has left its mark
	Nmcli  string      // "nmcli" when empty
	// Virtual takes in Ethernet interfaces without hardware: for containers
	// and tests.
	Virtual bool
}

// NIC is an interface that has addresses by cable: a wired one, or the bridge
// or bond that it is in.
type NIC struct {
	Name, MAC string
	MTU       int      // as it is now, in bytes
	Members   []string // wired interfaces in a bridge or bond
	Bond      bool
	Link      Link    // what systemd-networkd says
	Profile   Profile // what NetworkManager says
	Facts     Facts
	Decision  Decision
}

// Link is what systemd-networkd says of an interface in
// /run/systemd/netif/links. File is "" where it leaves it alone.
type Link struct {
	Present bool
	File    string
	DropIns []string
	Failed  bool
}

// Profile is the connection by which NetworkManager runs an interface. UUID is
// "" where there is none just now.
type Profile struct{ UUID, Type, File string }

// Of are those that are a stack's.
func Of(nics []NIC, stack Stack) []NIC {
	return slices.DeleteFunc(slices.Clone(nics), func(n NIC) bool { return n.Decision.Stack != stack })
}

// Refused says why interfaces are not changed though a program configures them:
// two do, or the files are netplan's. It is "" where there are none.
func Refused(nics []NIC) string {
	var all, files []string
	for _, n := range nics {
		switch {
		case n.Decision.Stack == Netplan:
			files = append(files, n.File())
		case n.Decision.Stack == None && n.Facts != (Facts{}):
			all = append(all, n.Name+": "+n.Decision.Why)
		}
	}
	if len(files) > 0 {
		all = append(all, "netplan writes these files: "+strings.Join(files, ", ")+
			"; a change there would be lost, so the network has to be set in /etc/netplan, and by \"netplan apply\"")
	}
	return strings.Join(all, "; ")
}

// File is what the interface is configured by, as far as the running program
// says it.
func (n NIC) File() string {
	if n.Facts.Networkd {
		return n.Link.File
	}
	return n.Profile.File
}

// Put adds an interface to the settings, in order of the names, or replaces
// the one of that name.
func Put(s *nas.Settings, in nas.Interface) {
	i, found := slices.BinarySearchFunc(s.Interfaces, in.Name, func(a nas.Interface, name string) int { return strings.Compare(a.Name, name) })
	if found {
		s.Interfaces[i] = in
		return
	}
	s.Interfaces = slices.Insert(s.Interfaces, i, in)
}

// Survey is the wired interfaces in order of their names, each with whose it
// is. Its one operation, "netstack.survey.nmcli", only asks.
func (s System) Survey(ctx context.Context) ([]NIC, error) {
	nics, err := s.wiredNICs()
	if err != nil {
		return nil, err
	}
	// What cannot be read there is for the adapter of ifupdown to report.
	stanzas, _ := interfaces.Load(s.FS)
	up, err := s.BroughtUp()
	if err != nil {
		return nil, err
	}
	profiles, err := s.profiles(ctx)
	if err != nil {
		return nil, err
	}
	for i := range nics {
		n := &nics[i]
		names := append([]string{n.Name}, n.Members...)
		if n.Link, err = s.Link(n.Name); err != nil {
			return nil, err
		}
		managed := false
		n.Profile, managed = profiles[n.Name]
		n.Facts = Facts{
			Stanza:         len(stanzas.Tops(names)) > 0,
			Up:             up[n.Name],
			Networkd:       n.Link.File != "" && s.exists("/run/systemd/netif/state"),
			NetworkManager: managed,
		}
		n.Facts.Netplan = netplans(n.File())
		n.Decision = Decide(n.Facts)
	}
	return nics, nil
}

// netplans reports whether a file is one that netplan writes, by the places
// and names that it uses (netplan-generate(8)).
func netplans(file string) bool {
	dir, base := path.Split(file)
	return dir == "/run/systemd/network/" && strings.HasPrefix(base, "10-netplan-") ||
		dir == "/run/NetworkManager/system-connections/" && strings.HasPrefix(base, "netplan-")
}

func (s System) wiredNICs() ([]NIC, error) {
	entries, err := s.FS.ReadDir(classNet)
	if err != nil {
		return nil, fmt.Errorf("read the network interfaces: %w", err)
	}
	byIndex := make(map[string]string)
	for _, e := range entries {
		byIndex[s.Attribute(e.Name(), "ifindex")] = e.Name()
	}
	var nics []NIC
	for _, e := range entries {
		if !s.wired(e.Name()) {
			continue
		}
		name := s.top(e.Name(), byIndex)
		if !PlainName(name) {
			continue
		}
		i := slices.IndexFunc(nics, func(n NIC) bool { return n.Name == name })
		if i < 0 {
			i = len(nics)
			nics = append(nics, s.nic(name))
		}
		if name != e.Name() {
			nics[i].Members = append(nics[i].Members, e.Name())
		}
	}
	slices.SortFunc(nics, func(a, b NIC) int { return strings.Compare(a.Name, b.Name) })
	return nics, nil
}

func (s System) nic(name string) NIC {
	n := NIC{Name: name, Bond: s.has(name, "bonding")}
	n.MAC, _ = nas.NormalMAC(s.Attribute(name, "address"))
	n.MTU, _ = strconv.Atoi(s.Attribute(name, "mtu"))
	return n
}

// wired reports whether an interface is Ethernet by cable with hardware behind
// it: no loopback, tunnel, bridge, container's end, or wireless.
func (s System) wired(name string) bool {
	const ethernet = "1" // ARPHRD_ETHER
	if s.Attribute(name, "type") != ethernet || s.has(name, "wireless") || s.has(name, "phy80211") {
		return false
	}
	if s.has(name, "device") {
		return true
	}
	for _, made := range []string{"bridge", "bonding", "tun_flags"} {
		if s.has(name, made) {
			return false
		}
	}
	return s.Virtual
}

// top follows an interface to the bridge or bond that it is a member of.
func (s System) top(name string, byIndex map[string]string) string {
	for range 8 { // a bond in a bridge is two; a loop is not possible in the kernel
		master, ok := byIndex[s.Attribute(name, "master/ifindex")]
		if !ok || !s.has(name, "master") {
			break
		}
		name = master
	}
	return name
}

// Link reads what systemd-networkd says of an interface.
func (s System) Link(name string) (Link, error) {
	index := s.Attribute(name, "ifindex")
	if _, err := strconv.Atoi(index); err != nil {
		return Link{}, nil
	}
	data, err := s.FS.ReadFile("/run/systemd/netif/links/" + index)
	if errors.Is(err, fs.ErrNotExist) {
		return Link{Present: true}, nil
	}
	if err != nil {
		return Link{}, err
	}
	l := Link{Present: true}
	for line := range strings.Lines(string(data)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.Trim(value, `"'`)
		switch key {
		case "NETWORK_FILE":
			l.File = value
		case "NETWORK_FILE_DROPINS":
			l.DropIns = strings.FieldsFunc(value, func(r rune) bool { return r == ':' || r == ' ' })
		case "ADMIN_STATE":
			l.Failed = value == "failed"
			if value == "unmanaged" {
				return Link{Present: true}, nil
			}
		}
	}
	return l, nil
}

// BroughtUp are the interfaces that ifup says it has brought up.
func (s System) BroughtUp() (map[string]bool, error) {
	up := make(map[string]bool)
	data, err := s.FS.ReadFile("/run/network/ifstate")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for line := range strings.Lines(string(data)) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), "=")
		up[name] = name != ""
	}
	return up, nil
}

// Attribute is a value that the kernel gives of an interface; "" for none.
func (s System) Attribute(name, attribute string) string {
	data, err := s.FS.ReadFile(path.Join(classNet, name, attribute))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

func (s System) has(name, attribute string) bool {
	return s.exists(path.Join(classNet, name, attribute))
}

func (s System) exists(path string) bool {
	_, err := s.FS.Stat(path)
	return err == nil
}

// PlainName reports whether a name can stand in a file name, in a
// configuration and among a program's arguments without meaning anything else
// there.
func PlainName(name string) bool {
	if name == "" || len(name) > 15 || name[0] == '-' {
		return false
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_.-@:", r) {
			return false
		}
	}
	return name != "." && name != ".."
}
