package networkmanager

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting/ini"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// standardMTU is the largest packet of plain Ethernet, in bytes.
const standardMTU = 1500

// keyfile is a profile as its sections.
type keyfile []ini.Section

// get is the value of a key in the section of that name, or of an older name
// for it.
func (k keyfile) get(key string, names ...string) string {
	value := ""
	for _, s := range k {
		for _, name := range names {
			if s.Name != name {
				continue
			}
			for _, line := range s.Lines {
				if n, v, ok := ini.Entry(line); ok && n == key {
					value = v
				}
			}
		}
	}
	return value
}

func (k keyfile) has(name string) bool {
	for _, s := range k {
		if s.Name == name {
			return true
		}
	}
	return false
}

// twice is a section that stands twice; an edit could not tell which is meant.
func (k keyfile) twice() string {
	seen := make(map[string]bool)
	for _, s := range k {
		if s.Name != "" && seen[s.Name] {
			return s.Name
		}
		seen[s.Name] = true
	}
	return ""
}

// generated reports whether a program says in the head of the file that it
// writes it.
func generated(text string) bool {
	for line := range strings.Lines(text) {
		line = strings.ToLower(strings.TrimSpace(line))
		if line != "" && !strings.HasPrefix(line, "#") {
			return false
		}
		if strings.Contains(line, "generated") {
			return true
		}
	}
	return false
}

func (k keyfile) name() string   { return k.get("interface-name", "connection") }
func (k keyfile) starts() bool   { return k.get("autoconnect", "connection") != "false" }
func (k keyfile) master() string { return k.either("controller", "master") }

func (k keyfile) either(key, older string) string {
	if v := k.get(key, "connection"); v != "" {
		return v
	}
	return k.get(older, "connection")
}

func (k keyfile) mtu() int {
	n, _ := strconv.Atoi(k.get("mtu", "ethernet", "802-3-ethernet"))
	return n
}

// byHand matches the keys of [ipv4] and [ipv6] that set what DHCP or the
// router would say.
var byHand = regexp.MustCompile(`^(address(es)?[0-9]*|gateway|dns|dns-search|routes?[0-9]*(_options)?|ignore-auto-dns|ignore-auto-routes|never-default)$`)

// manual are the methods that give an interface addresses by hand, or none,
// or make it a router.
var manual = map[string]map[string]bool{
	"ipv4": {"manual": true, "link-local": true, "shared": true, "disabled": true},
	"ipv6": {"manual": true, "shared": true},
}

// automatic is an [ipv4] or [ipv6] section without anything set by hand.
func automatic(s ini.Section) ini.Section {
	out := ini.Section{Name: s.Name}
	for _, line := range s.Lines {
		key, value, ok := ini.Entry(line)
		switch {
		case ok && byHand.MatchString(key):
			continue
		case ok && key == "method" && manual[s.Name][value]:
			line = "method=auto" + ini.End(line)
		}
		out.Lines = append(out.Lines, line)
	}
	return out
}

// jumbo are the entries of [ethernet] that set more than an ordinary MTU.
func jumbo(key, value string) bool {
	n, _ := strconv.Atoi(value)
	return key == "mtu" && n > standardMTU
}

// membership are the entries of [connection] of a port of a bond; a port may be
// started by its bond alone.
func membership(key, _ string) bool {
	switch key {
	case "master", "controller", "slave-type", "port-type", "autoconnect":
		return true
	}
	return false
}

// asleep is a [connection] section that does not start by itself.
func asleep(s ini.Section) ini.Section {
	out := s.Without(func(key, _ string) bool { return key == "autoconnect" })
	last := &out.Lines[len(out.Lines)-1]
	if ini.End(*last) == "" {
		*last += "\n"
	}
	out.Lines = append(out.Lines, "autoconnect=false\n")
	return out
}

// settings are the interface as the profile has it, but for name and MAC.
func (k keyfile) settings() nas.Interface {
	in := nas.Interface{Method: nas.Unmanaged, MTU: k.mtu(), Gateway: k.get("gateway", "ipv4")}
	switch k.get("method", "ipv4") {
	case "auto", "":
		in.Method = nas.DHCP
	case "manual":
		in.Method = nas.Static
	case "link-local":
		in.Method = nas.LinkLocal
	}
	for _, family := range []string{"ipv4", "ipv6"} {
		for i := range 32 {
			key := "address" + strconv.Itoa(i)
			if i == 0 {
				key = "address"
			}
			address, gateway, _ := strings.Cut(k.get(key, family), ",")
			if p, err := netip.ParsePrefix(strings.TrimSpace(address)); err == nil {
				in.Addresses = append(in.Addresses, p)
			}
			if gateway = strings.TrimSpace(gateway); in.Gateway == "" && family == "ipv4" {
				in.Gateway = gateway
			}
		}
		in.DNS = append(in.DNS, strings.FieldsFunc(k.get("dns", family), func(r rune) bool { return r == ';' || r == ',' || r == ' ' })...)
	}
	return in
}

// profile is one connection with its file.
type profile struct {
	uuid, kind, device, path string
	keyfile                  keyfile
	err                      error // why the file cannot be edited
}

func (p profile) String() string { return fmt.Sprintf("%s (%s)", p.path, p.uuid) }
