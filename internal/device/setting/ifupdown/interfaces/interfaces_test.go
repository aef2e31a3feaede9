package interfaces

import (
	"io/fs"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/paperclip-nas/paperclip/internal/device/setting/blockedit"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// files is a file system in memory, by absolute names.
type files map[string]string

func (f files) fs() fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range f {
		m[strings.TrimPrefix(name, "/")] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

func (f files) ReadFile(p string) ([]byte, error) {
	return fs.ReadFile(f.fs(), strings.TrimPrefix(p, "/"))
}

func (f files) ReadDir(p string) ([]fs.DirEntry, error) {
	return fs.ReadDir(f.fs(), strings.TrimPrefix(p, "/"))
}
func load(t testing.TB, f files) Config { c, err := Load(f); fatal(t, err); return c }
func fatal(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func after(t testing.TB, text string, c Change) string {
	t.Helper()
	fatal(t, blockedit.Check(text, c.Edits, Split))
	out, err := blockedit.Apply(text, c.Edits, Split, blockedit.New)
	fatal(t, err)
	return out
}

// What a reset makes of a file: E4, E5, E6, E7.
func TestReset(t *testing.T) {
	for name, test := range map[string]struct {
		names         []string
		before, after string
		effects       []nas.Effect
		down, up      []string
	}{
		"static": {
			names: []string{"eth0"},
			before: "# mine\nauto lo\niface lo inet loopback\n\nallow-hotplug eth0\niface\teth0  inet static  \n\taddress 10.0.0.2/24\n\t# the old gateway\n" +
				"\tgateway 10.0.0.1\n\tdns-nameservers 10.0.0.1 \\\n\t\t9.9.9.9\n\tup echo hello\n\n# end\n",
			after:   "# mine\nauto lo\niface lo inet loopback\n\nallow-hotplug eth0\niface\teth0  inet dhcp  \n\t# the old gateway\n\tup echo hello\n\n# end\n",
			effects: []nas.Effect{nas.E4}, down: []string{"eth0"}, up: []string{"eth0"},
		},
		"both families, jumbo frames, an alias, no line end": {
			names: []string{"eth0"},
			before: "auto eth0 eth0:1\niface eth0 inet6 static\n address 2001:db8::2\n netmask 64\n accept_ra 0\n mtu 9000\niface eth0 inet static\n address 10.0.0.2\n" +
				"iface eth0:1 inet static\n address 10.0.0.3\n post-up true",
			after:   "auto eth0 eth0:1\niface eth0 inet6 auto\niface eth0 inet dhcp\niface eth0:1 inet manual\n post-up true",
			effects: []nas.Effect{nas.E4, nas.E5}, down: []string{"eth0", "eth0:1"}, up: []string{"eth0", "eth0:1"},
		},
		"only IPv6": {
			names:   []string{"eth0"},
			before:  "iface eth0 inet6 auto",
			after:   "iface eth0 inet6 auto\niface eth0 inet dhcp",
			effects: []nas.Effect{nas.E4}, down: []string{"eth0"}, up: []string{"eth0"},
		},
		"DHCP already, ordinary frames": {
			names: []string{"eth0"}, before: "auto eth0\niface eth0 inet dhcp\n\tmtu 1400\n", after: "auto eth0\niface eth0 inet dhcp\n\tmtu 1400\n",
		},
		"jumbo frames alone": {
			names: []string{"eth0"}, before: "iface eth0 inet dhcp\n\tmtu 9000\n", after: "iface eth0 inet dhcp\n",
			effects: []nas.Effect{nas.E5}, down: []string{"eth0"}, up: []string{"eth0"},
		},
		"another's interface": {
			names: []string{"eth1"}, before: "iface eth0 inet static\n\taddress 10.0.0.2/8\n", after: "iface eth0 inet static\n\taddress 10.0.0.2/8\n",
		},
		"bridge": {
			names: []string{"eth0"}, before: "iface eth0 inet manual\n\tmtu 9000\niface br0 inet static\n\taddress 10.0.0.2/8\n\tbridge_ports eth0\n",
			after:   "iface eth0 inet manual\niface br0 inet dhcp\n\tbridge_ports eth0\n",
			effects: []nas.Effect{nas.E4, nas.E5}, down: []string{"br0"}, up: []string{"br0"},
		},
		"bond by its own stanza": {
			names:   []string{"bond0"},
			before:  "auto lo bond0\niface bond0 inet static\n address 10.0.0.2/8\n bond-slaves eth0 eth1\n bond-mode 802.3ad\niface bond0 inet6 auto\n",
			after:   "auto lo eth0 eth1\n# The link aggregation bond0 (eth0, eth1) was switched off when the network was reset.\niface eth0 inet dhcp\niface eth1 inet dhcp\n# Stanza 2 of bond0 was here.\n",
			effects: []nas.Effect{nas.E7}, down: []string{"bond0"}, up: []string{"eth0", "eth1"},
		},
		"bond by its members, not up": {
			names: []string{"eth0", "eth1"},
			before: "auto bond0\niface bond0 inet dhcp\n bond-slaves none\n bond-mode 4\nauto eth0\niface eth0 inet manual\n bond-master bond0\n mtu 9000\n" +
				"auto eth1\niface eth1 inet manual\n bond_master bond0\n bond-primary eth0\n",
			after: "# auto bond0\n# The link aggregation bond0 (eth0, eth1) was switched off when the network was reset.\nauto eth0\niface eth0 inet dhcp\n" +
				"auto eth1\niface eth1 inet dhcp\n",
			effects: []nas.Effect{nas.E4, nas.E5, nas.E7}, down: []string{"bond0", "eth0", "eth1"}, up: []string{"eth0", "eth1"},
		},
		"bond under a VLAN stays": {
			names:   []string{"bond0"},
			before:  "iface bond0 inet static\n address 10.0.0.2/8\n slaves eth0 eth1\niface bond0.5 inet manual\n",
			after:   "iface bond0 inet dhcp\n slaves eth0 eth1\niface bond0.5 inet manual\n",
			effects: []nas.Effect{nas.E4}, down: []string{"bond0"}, up: []string{"bond0"},
		},
		"dial-up": {
			names: []string{"eth0"}, before: "auto dsl eth0\niface eth0 inet dhcp\niface dsl inet ppp\n provider dsl\n", after: "auto  eth0\niface eth0 inet dhcp\niface dsl inet ppp\n provider dsl\n",
			effects: []nas.Effect{nas.E6}, down: []string{"dsl"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			change := load(t, files{Main: test.before}).Reset(test.names, reset.Wizard{})
			if got := after(t, test.before, change); got != test.after {
				t.Errorf("got\n%s\nwant\n%s", got, test.after)
			}
			if !slices.Equal(change.Effects, test.effects) || !slices.Equal(change.Down, test.down) || !slices.Equal(change.Up, test.up) {
				t.Errorf("effects %v, down %v, up %v", change.Effects, change.Down, change.Up)
			}
			again := load(t, files{Main: test.after})
			names := slices.DeleteFunc(slices.Concat(test.names, test.up), func(n string) bool { return strings.Contains(n, ":") })
			if c := again.Reset(names, reset.Wizard{}); len(c.Edits) != 0 {
				t.Errorf("a second reset changes %+v", c.Edits)
			}
		})
	}
}

func TestSourcedFiles(t *testing.T) {
	c := load(t, files{
		Main:                               "source interfaces.d/*.cfg /etc/network/none\nsource-directory /etc/network/more.d\n",
		"/etc/network/interfaces.d/b.cfg":  "iface b inet dhcp\n",
		"/etc/network/interfaces.d/a.cfg":  "iface a inet dhcp\nsource /etc/network/deep\n",
		"/etc/network/interfaces.d/.c.cfg": "iface hidden inet dhcp\n",
		"/etc/network/interfaces.d/d.cfg~": "iface old inet dhcp\n",
		"/etc/network/deep":                "iface deep inet dhcp\n",
		"/etc/network/more.d/one":          "iface one inet dhcp\n",
		"/etc/network/more.d/two.dpkg-old": "iface two inet dhcp\n",
	})
	if got, want := c.Names(), []string{"a", "deep", "b", "one"}; !slices.Equal(got, want) || c.Obstacle != "" {
		t.Errorf("names %v, want %v; obstacle %q", got, want, c.Obstacle)
	}
	if c := load(t, files{}); len(c.Blocks) != 0 {
		t.Errorf("no file gives %+v", c)
	}
	if _, err := Load(files{Main: "source " + Main + "\n"}); err == nil {
		t.Error("a file that sources itself is read")
	}
}

func TestObstacles(t *testing.T) {
	for text, part := range map[string]string{
		"auto /eth*\n":                       "pattern",
		"mapping eth0\n\tscript x\n":         "mapping",
		"rename a=b\n":                       "rename",
		"iface eth0\n\taddress 10.0.0.1/8\n": "no family",
		"address 10.0.0.1/8\n":               "in no stanza",
		"source $HOME/x\n":                   "shell",
		"# This file is generated from information provided by the datasource.\nauto lo\n": "cloud-init",
		"\n# This file is auto-generated by openmediavault\nauto lo\n":                     "openmediavault",
		"auto lo\n# auto-generated\n":                                                      "",
		"# This file describes the network interfaces available on your system\n":          "",
	} {
		if got := load(t, files{Main: text}).Obstacle; !strings.Contains(got, part) || (part == "") != (got == "") {
			t.Errorf("%q: obstacle %q, want %q", text, got, part)
		}
	}
}

func TestSettings(t *testing.T) {
	c := load(t, files{Main: "iface eth0 inet static\n address 10.0.0.2\n netmask 255.255.255.0\n gateway 10.0.0.1\n dns-nameservers 10.0.0.1 9.9.9.9\n mtu 9000\n" +
		"iface eth0 inet6 static\n address 2001:db8::2/64\niface eth0:1 inet static\n address 10.0.0.3\niface eth1 inet manual\n"})
	want := nas.Interface{
		Name: "eth0", Method: nas.Static, Gateway: "10.0.0.1", DNS: []string{"10.0.0.1", "9.9.9.9"}, MTU: 9000,
		Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24"), netip.MustParsePrefix("2001:db8::2/64"), netip.MustParsePrefix("10.0.0.3/32")},
	}
	if got := c.Interface("eth0"); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := c.Interface("eth1").Method; got != nas.Unmanaged {
		t.Errorf("eth1 is %s", got)
	}
}

// Blocks joined are the file, and a change either can be made and taken back
// exactly, or is refused.
func FuzzReset(f *testing.F) {
	f.Add("# x\nauto lo bond0\niface bond0 inet static\n\taddress 10.0.0.2/8\\\n\n bond-slaves eth0 eth1\n\niface eth0 inet manual\n bond-master bond0\n")
	f.Add("iface eth0 inet static\n mtu 9000\r\n#\niface eth0 inet static\n mtu 9000\nauto eth0 p\niface p inet ppp")
	f.Add("iface bond0 inet dhcp\n bond-slaves bond0 eth0\nallow-x bond0 bond0")
	f.Fuzz(func(t *testing.T, text string) {
		if got := strings.Join(Split(text), ""); got != text {
			t.Fatalf("%q is read as %q", text, got)
		}
		c, err := Load(files{Main: text})
		if err != nil || c.Obstacle != "" {
			return
		}
		change := c.Reset([]string{"eth0", "eth1"}, reset.Wizard{})
		if blockedit.Check(text, change.Edits, Split) != nil {
			return // refused
		}
		out := after(t, text, change)
		back, err := blockedit.Apply(out, change.Edits, Split, blockedit.Old)
		if err != nil || back != text {
			t.Fatalf("%q became %q and then %q, %v", text, out, back, err)
		}
	})
}
