package netstack

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// All 32 combinations, written as the letters of what is true: s stanza, u up,
// d networkd, m NetworkManager, p netplan. "-" is nobody.
func TestDecideIsComplete(t *testing.T) {
	table := map[string]Stack{
		"": None, "p": None,
		"s": Ifupdown, "u": Ifupdown, "su": Ifupdown, "sp": Ifupdown, "up": Ifupdown, "sup": Ifupdown,
		"d": Networkd, "sd": Networkd, "dp": Netplan, "sdp": Netplan,
		"m": NetworkManager, "sm": NetworkManager, "mp": Netplan, "smp": Netplan,
		"ud": None, "sud": None, "udp": None, "sudp": None,
		"um": None, "sum": None, "ump": None, "sump": None,
		"dm": None, "sdm": None, "dmp": None, "sdmp": None,
		"udm": None, "sudm": None, "udmp": None, "sudmp": None,
	}
	for i := range 32 {
		f := Facts{Stanza: i&1 > 0, Up: i&2 > 0, Networkd: i&4 > 0, NetworkManager: i&8 > 0, Netplan: i&16 > 0}
		key := ""
		for bit, letter := range []string{"s", "u", "d", "m", "p"} {
			if i&(1<<bit) > 0 {
				key += letter
			}
		}
		want, listed := table[key]
		got := Decide(f)
		if !listed || got.Stack != want || (got.Why != "") != (want == None) {
			t.Errorf("%q: %+v, want %q", key, got, want)
		}
		if live := f.Up && f.Networkd || f.Up && f.NetworkManager || f.Networkd && f.NetworkManager; live && got.Stack != None {
			t.Errorf("%q: given to %s though two programs have it", key, got.Stack)
		}
	}
	if len(table) != 32 {
		t.Errorf("the table has %d rows", len(table))
	}
}

// machine is a root directory, and nmcli.
type machine struct {
	t                    testing.TB
	root                 string
	devices, connections string
	exit                 int
	err                  error
}

func (m *machine) write(path, content string) {
	m.t.Helper()
	full := filepath.Join(m.root, path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(content), 0o644)); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) nic(name, index string, more ...string) {
	dir := "/sys/class/net/" + name + "/"
	m.write(dir+"type", "1\n")
	m.write(dir+"ifindex", index+"\n")
	m.write(dir+"address", "52:54:00:12:34:"+index+"0\n")
	m.write(dir+"mtu", "1500\n")
	for _, f := range more {
		m.write(dir+f, index)
	}
}

func (m *machine) Run(_ context.Context, _ string, c opfs.Command) (opfs.Output, error) {
	out := m.connections
	if slices.Contains(c.Args, "device") {
		out = m.devices
	}
	return opfs.Output{Stdout: []byte(out), ExitCode: m.exit}, m.err
}

func (m *machine) survey() (map[string]Stack, []NIC) {
	m.t.Helper()
	nics, err := System{FS: opfs.Under(m.root, opfs.OS(nil)), Runner: m}.Survey(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	stacks := make(map[string]Stack)
	for _, n := range nics {
		stacks[n.Name] = n.Decision.Stack
	}
	return stacks, nics
}

// One of everything, on one machine.
func TestSurvey(t *testing.T) {
	m := &machine{t: t, root: t.TempDir()}
	for i, name := range []string{"ifup0", "net0", "nm0", "plan0", "plan1", "none0", "two0", "old0"} {
		m.nic(name, string(rune('1'+i)), "device/vendor")
	}
	m.nic("lo", "9")
	m.write("/sys/class/net/lo/type", "772\n")
	m.nic("veth0", "10")
	m.nic("wlan0", "11", "device/vendor", "wireless/x")
	m.nic("bond0", "12", "bonding/slaves")
	m.nic("eth8", "13", "device/vendor")
	m.nic("eth9", "14", "device/vendor")
	m.write("/sys/class/net/eth8/master/ifindex", "12\n")
	m.write("/sys/class/net/eth9/master/ifindex", "12\n")

	m.write("/etc/network/interfaces", "iface ifup0 inet static\niface old0 inet dhcp\niface bond0 inet dhcp\n bond-slaves eth8 eth9\n")
	m.write("/run/network/ifstate", "lo=lo\nifup0=ifup0\ntwo0=two0\n")
	m.write("/run/systemd/netif/state", "")
	m.write("/run/systemd/netif/links/2", "ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/a.network\nNETWORK_FILE_DROPINS=\"/etc/a:/etc/b\"\n")
	m.write("/run/systemd/netif/links/4", "ADMIN_STATE=configured\nNETWORK_FILE=/run/systemd/network/10-netplan-plan0.network\n")
	m.write("/run/systemd/netif/links/6", "ADMIN_STATE=unmanaged\nNETWORK_FILE=/etc/systemd/network/a.network\n")
	m.write("/run/systemd/netif/links/7", "ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/a.network\n")
	m.write("/run/NetworkManager/x", "")
	m.devices = "nm0:connected:u-1\nplan1:connected:u-2\nifup0:unmanaged:\nnet0:connected (externally):u-3\nold0:disconnected:\n"
	m.connections = `u-1:802-3-ethernet:nm0:/etc/NetworkManager/system-connections/a\:b.nmconnection` + "\n" +
		"u-2:802-3-ethernet:plan1:/run/NetworkManager/system-connections/netplan-plan1.nmconnection\n"

	got, nics := m.survey()
	want := map[string]Stack{
		"ifup0": Ifupdown, "net0": Networkd, "nm0": NetworkManager, "plan0": Netplan, "plan1": Netplan, "none0": None, "two0": None,
		"old0": NetworkManager, "bond0": Ifupdown,
	}
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	why := Refused(nics)
	for _, part := range []string{
		"two0: both systemd-networkd and ifupdown", "netplan writes these files: /run/systemd/network/10-netplan-plan0.network, /run/NetworkManager/system-connections/netplan-plan1.nmconnection;",
	} {
		if !strings.Contains(why, part) || strings.Contains(why, "none0") {
			t.Errorf("refused: %s", why)
		}
	}
	for _, n := range nics {
		switch n.Name {
		case "nm0":
			if n.Profile != (Profile{"u-1", "802-3-ethernet", "/etc/NetworkManager/system-connections/a:b.nmconnection"}) {
				t.Errorf("profile %+v", n.Profile)
			}
		case "bond0":
			if !n.Bond || !slices.Equal(n.Members, []string{"eth8", "eth9"}) {
				t.Errorf("bond %+v", n)
			}
		case "net0":
			if want := (Link{Present: true, File: "/etc/systemd/network/a.network", DropIns: []string{"/etc/a", "/etc/b"}}); !reflect.DeepEqual(n.Link, want) {
				t.Errorf("link %+v", n.Link)
			}
		}
	}
	if of := Of(nics, Netplan); len(of) != 2 || len(nics) != len(want) {
		t.Errorf("of netplan: %+v", of)
	}
}

// NetworkManager that is stopped or broken.
func TestNetworkManagerDoesNotAnswer(t *testing.T) {
	m := &machine{t: t, root: t.TempDir(), devices: "eth0:connected:u\n"}
	m.nic("eth0", "2", "device/vendor")
	if got, _ := m.survey(); got["eth0"] != None {
		t.Errorf("asked without its mark: %v", got)
	}
	m.write("/run/NetworkManager/x", "")
	if got, _ := m.survey(); got["eth0"] != NetworkManager {
		t.Errorf("%v", got)
	}
	for _, gone := range []func(){func() { m.exit = notRunning }, func() { m.exit, m.err = 0, opfs.ErrNoCommand }} {
		gone()
		if got, _ := m.survey(); got["eth0"] != None {
			t.Errorf("%v", got)
		}
	}
	m.exit, m.err = 2, nil
	if _, err := (System{FS: opfs.Under(m.root, opfs.OS(nil)), Runner: m}).Survey(t.Context()); err == nil {
		t.Error("a failed nmcli is taken for an answer")
	}
}

func TestPut(t *testing.T) {
	var s nas.Settings
	for _, name := range []string{"b", "a", "c", "b"} {
		Put(&s, nas.Interface{Name: name, MTU: len(s.Interfaces)})
	}
	if len(s.Interfaces) != 3 || s.Interfaces[0].Name != "a" || s.Interfaces[1].MTU != 3 || s.Interfaces[2].Name != "c" {
		t.Errorf("%+v", s.Interfaces)
	}
}

func TestPlainName(t *testing.T) {
	for name, want := range map[string]bool{
		"eth0": true, "enp3s0f1": true, "br-lan": true, "eth0.10": true,
		"": false, "..": false, "a/b": false, "e*": false, "a b": false, "[x]": false, "-a": false, strings.Repeat("x", 16): false,
	} {
		if PlainName(name) != want {
			t.Errorf("%q: %t", name, !want)
		}
	}
}

func FuzzTerse(f *testing.F) {
	f.Add(`a\:b:c\\:`)
	f.Fuzz(func(t *testing.T, line string) {
		fields := terse(line)
		for i, field := range fields {
			fields[i] = strings.NewReplacer(`\`, `\\`, ":", `\:`).Replace(field)
		}
		if again := terse(strings.Join(fields, ":")); len(again) != len(fields) {
			t.Fatalf("%q: %q, then %q", line, fields, again)
		}
	})
}
