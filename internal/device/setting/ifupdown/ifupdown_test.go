package ifupdown_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ifupdown"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ifupdown/interfaces"
	"github.com/paperclip-nas/paperclip/internal/device/setting/settingtest"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/scratch"
)

var networkScope = setting.Request{Mode: reset.Soft, Scope: reset.Network}

const static = `# This file describes the network interfaces available on your system
source /etc/network/interfaces.d/*

auto lo
iface lo inet loopback

# the cable to the switch
allow-hotplug eth0
iface eth0 inet static
	address 192.168.77.5/24
	gateway 192.168.77.1
	# was 1500
	mtu 9000
	dns-nameservers 192.168.77.1
	post-up logger up
`

const bonded = `auto lo bond0
iface bond0 inet static
	address 192.168.77.5/24
	bond-slaves eth0 eth1
	bond-mode 802.3ad
`

// system is a root directory with the files of ifupdown and of the kernel.
type system struct {
	t    testing.TB
	root string
	ran  []string // operations, with the interface
	dead string   // an operation whose command fails
	slow bool     // ifup does not end in time
}

func newSystem(t testing.TB, config string, nics ...string) *system {
	s := &system{t: t, root: scratch.Dir(t)}
	s.write("/usr/sbin/ifup", "")
	s.write("/usr/sbin/dhclient", "")
	s.write(interfaces.Main, config)
	s.write("/run/network/ifstate", "lo=lo\n")
	for i, name := range nics {
		s.nic(name, fmt.Sprint(i+2))
		s.write("/sys/class/net/"+name+"/device/vendor", "")
	}
	return s
}

func (s *system) path(p string) string { return filepath.Join(s.root, p) }

func (s *system) write(path, content string) {
	s.t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(s.path(path)), 0o755), os.WriteFile(s.path(path), []byte(content), 0o644)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *system) read(path string) string {
	s.t.Helper()
	data, err := os.ReadFile(s.path(path))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(data)
}

func (s *system) nic(name, index string) {
	dir := "/sys/class/net/" + name + "/"
	s.write(dir+"type", "1\n")
	s.write(dir+"ifindex", index+"\n")
	s.write(dir+"address", "52:54:00:12:34:"+index+"0\n")
	s.write(dir+"mtu", "9000\n")
}

// bond puts NICs into one.
func (s *system) bond(name string, members ...string) {
	s.nic(name, "9")
	s.write("/sys/class/net/"+name+"/bonding/slaves", strings.Join(members, " "))
	for _, m := range members {
		s.write("/sys/class/net/"+m+"/master/ifindex", "9\n")
	}
}

func (s *system) unbond(name string) {
	for _, m := range strings.Fields(s.read("/sys/class/net/" + name + "/bonding/slaves")) {
		os.RemoveAll(s.path("/sys/class/net/" + m + "/master"))
	}
	os.RemoveAll(s.path("/sys/class/net/" + name))
}

// Run is ifup, ifdown, ip and systemctl.
func (s *system) Run(ctx context.Context, op string, c opfs.Command) (opfs.Output, error) {
	args := append([]string{c.Path}, c.Args...)
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[i+1:]
	}
	name := args[len(args)-1]
	s.ran = append(s.ran, op+" "+name)
	if op == s.dead {
		return opfs.Output{ExitCode: 1, Stderr: []byte("no")}, nil
	}
	state := s.read("/run/network/ifstate")
	switch {
	case args[0] == "systemctl" && args[1] == "is-active":
		return opfs.Output{ExitCode: 3, Stdout: []byte(map[bool]string{true: "activating\n", false: "inactive\n"}[s.slow])}, nil
	case args[0] == "systemctl":
		return opfs.Output{ExitCode: 5}, nil // not loaded
	case args[0] == "ifdown":
		if !strings.Contains(string(c.Stdin), "iface "+name+" ") {
			return opfs.Output{ExitCode: 1}, fmt.Errorf("ifdown: unknown interface %s in %q", name, c.Stdin)
		}
		s.write("/run/network/ifstate", strings.ReplaceAll(state, name+"="+name+"\n", ""))
	case args[0] == "ifup" && s.slow:
		return opfs.Output{}, fmt.Errorf("ifup: %w", context.DeadlineExceeded)
	case args[0] == "ifup":
		if !strings.Contains(s.read(interfaces.Main), "iface "+name+" ") {
			return opfs.Output{ExitCode: 1, Stderr: []byte("unknown interface")}, nil
		}
		s.write("/run/network/ifstate", state+name+"="+name+"\n")
		if strings.Contains(s.read(interfaces.Main), "bond-slaves") {
			s.bond(name, "eth0", "eth1")
		}
	case args[0] == "ip" && args[2] == "delete":
		s.unbond(name)
	case args[0] == "ip" && args[1] == "link":
		s.write("/sys/class/net/"+args[4]+"/mtu", name+"\n")
	}
	return opfs.Output{}, ctx.Err()
}

func (s *system) adapter() *ifupdown.Adapter {
	return ifupdown.New(ifupdown.Config{FS: opfs.Under(s.root, opfs.OS(nil)), Runner: s})
}

// stored is everything below /etc, with modes.
func (s *system) stored(t testing.TB) []byte {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(s.path("/etc"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(p)
		fmt.Fprintf(&all, "%s %s\n%s", p[len(s.root):], info.Mode(), data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return []byte(all.String())
}

func bondSystem(t testing.TB) *system {
	s := newSystem(t, bonded, "eth0", "eth1")
	s.bond("bond0", "eth0", "eth1")
	s.write("/run/network/ifstate", "lo=lo\nbond0=bond0\n")
	return s
}

func TestContract(t *testing.T) {
	for name, build := range map[string]func(testing.TB) *system{
		"static": func(t testing.TB) *system { return newSystem(t, static, "eth0") },
		"bond":   bondSystem,
	} {
		t.Run(name, func(t *testing.T) {
			settingtest.Run(t, func(t testing.TB) settingtest.System {
				s := build(t)
				if err := os.Chmod(s.path(interfaces.Main), 0o600); err != nil {
					t.Fatal(err)
				}
				return settingtest.System{
					Adapter: s.adapter(), Request: networkScope, Idle: setting.Request{Mode: reset.Soft, Scope: reset.Credentials}, Stored: s.stored,
					Meddle: func(testing.TB) {
						s.write(interfaces.Main, strings.NewReplacer("address 192.168.77.5", "address 192.168.77.6", "inet dhcp", "inet manual").Replace(s.read(interfaces.Main)))
					},
					Restart: func(testing.TB) setting.Adapter { return s.adapter() },
				}
			})
		})
	}
}

func (s *system) settings(t testing.TB) (got nas.Settings) {
	t.Helper()
	if err := s.adapter().Read(t.Context(), &got); err != nil {
		t.Fatal(err)
	}
	return got
}

// E4, E5: static with jumbo frames becomes DHCP with ordinary ones.
func TestStaticBecomesDHCP(t *testing.T) {
	s := newSystem(t, static, "eth0")
	if before := s.settings(t).Interfaces; len(before) != 1 || before[0].Method != nas.Static || before[0].MTU != 9000 || before[0].MAC != "52:54:00:12:34:20" {
		t.Errorf("before %+v", before)
	}
	steps := settingtest.CarryOut(t, s.adapter(), networkScope)
	if len(steps) != 1 || !slices.Equal(steps[0].Effects, []nas.Effect{nas.E4, nas.E5}) {
		t.Errorf("steps %+v", steps)
	}
	want := strings.NewReplacer("inet static", "inet dhcp", "\taddress 192.168.77.5/24\n", "", "\tgateway 192.168.77.1\n", "",
		"\tmtu 9000\n", "", "\tdns-nameservers 192.168.77.1\n", "").Replace(static)
	if got := s.read(interfaces.Main); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if after := s.settings(t).Interfaces; after[0].Method != nas.DHCP || after[0].MTU != 1500 || len(after[0].Addresses) > 0 {
		t.Errorf("after %+v", after)
	}
	wantRan := []string{
		"ifupdown.activate.trying paperclip-ifup-eth0.service", "ifupdown.activate.down eth0", "ifupdown.activate.down eth0", "ifupdown.activate.flush eth0",
		"ifupdown.activate.mtu 1500", "ifupdown.activate.up eth0",
	}
	if !slices.Equal(s.ran, wantRan) {
		t.Errorf("ran %q", s.ran)
	}
	if again := settingtest.CarryOut(t, s.adapter(), networkScope); len(again) != 0 {
		t.Errorf("a second reset has steps: %v", again)
	}
}

// E7: the bond goes, its members have DHCP each; and all comes back.
func TestBond(t *testing.T) {
	s := newSystem(t, bonded, "eth0", "eth1")
	s.bond("bond0", "eth0", "eth1")
	before := s.settings(t)
	if len(before.Bonds) != 1 || before.Bonds[0].Name != "bond0" || len(before.Interfaces) != 1 || before.Interfaces[0].Name != "bond0" {
		t.Errorf("before %+v", before)
	}
	steps := settingtest.CarryOut(t, s.adapter(), networkScope)
	after := s.settings(t)
	if len(after.Bonds) != 0 || len(after.Interfaces) != 2 || after.Interfaces[0].Method != nas.DHCP {
		t.Errorf("after %+v", after)
	}
	a := s.adapter()
	for _, st := range steps {
		if err := errors.Join(a.Undo(t.Context(), st), a.Activate(t.Context(), st)); err != nil {
			t.Fatal(err)
		}
	}
	if back := s.settings(t); len(back.Bonds) != 1 || s.read(interfaces.Main) != bonded {
		t.Errorf("back %+v\n%s", back, s.read(interfaces.Main))
	}
}

func TestNotHere(t *testing.T) {
	for why, arrange := range map[string]func(*system){
		"not installed":               func(s *system) { os.Remove(s.path("/usr/sbin/ifup")) },
		"ifupdown2":                   func(s *system) { s.write("/usr/share/ifupdown2/x", "") },
		"configures no wired":         func(s *system) { s.write(interfaces.Main, "auto lo\niface lo inet loopback\n") },
		"no DHCP client":              func(s *system) { os.Remove(s.path("/usr/sbin/dhclient")) },
		"written by cloud-init":       func(s *system) { s.write(interfaces.Main, "# from cloud-init\n"+static) },
		"it names interfaces by a pa": func(s *system) { s.write(interfaces.Main, static+"auto /eth*\n") },
		"symbolic link": func(s *system) {
			os.Rename(s.path(interfaces.Main), s.path("/etc/network/other"))
			os.Symlink("other", s.path(interfaces.Main))
		},
		"both systemd-networkd and ifupdown": func(s *system) {
			s.write("/run/network/ifstate", "eth0=eth0\n")
			s.write("/run/systemd/netif/state", "")
			s.write("/run/systemd/netif/links/2", "ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/a.network\n")
			s.write(interfaces.Main, "# none\n")
		},
		"too many files": func(s *system) { s.write(interfaces.Main, "source "+interfaces.Main+"\n") },
	} {
		s := newSystem(t, static, "eth0")
		arrange(s)
		found, err := s.adapter().Detect(t.Context())
		if err != nil || found.Present || !strings.Contains(found.Why, why) {
			t.Errorf("found %+v, %v; want %q", found, err, why)
		}
		if steps, err := s.adapter().Prepare(t.Context(), networkScope); len(steps) > 0 && why != "not installed" && why != "ifupdown2" {
			t.Errorf("%s: steps %v, %v", why, steps, err)
		}
	}
}

// No DHCP server answers: the reset is done all the same.
func TestNoServer(t *testing.T) {
	s := newSystem(t, static, "eth0")
	s.slow = true
	steps := settingtest.CarryOut(t, s.adapter(), networkScope)
	// Going back does not wait for the client that still asks.
	s.ran = nil
	a := s.adapter()
	if err := errors.Join(a.Undo(t.Context(), steps[0]), a.Activate(t.Context(), steps[0])); err != nil {
		t.Fatal(err)
	}
	if len(s.ran) < 3 || !strings.HasPrefix(s.ran[1], "ifupdown.activate.kill ") || !strings.HasPrefix(s.ran[2], "ifupdown.activate.stop ") {
		t.Errorf("ran %q", s.ran)
	}
}

func TestACommandFails(t *testing.T) {
	for _, op := range []string{"ifupdown.activate.up", "ifupdown.activate.mtu", "ifupdown.activate.flush"} {
		s := newSystem(t, static, "eth0")
		a := s.adapter()
		steps, err := a.Prepare(t.Context(), networkScope)
		if err != nil {
			t.Fatal(err)
		}
		s.dead = op
		if err := errors.Join(a.Persist(t.Context(), steps[0]), a.Activate(t.Context(), steps[0])); err == nil {
			t.Errorf("%s failed unnoticed", op)
		}
		if err := a.Verify(t.Context(), steps[0]); err == nil {
			t.Errorf("%s failed, and it is verified", op)
		}
	}
}

// What others write elsewhere in the file stays, and is no third value.
func TestOthersEdits(t *testing.T) {
	s := newSystem(t, static, "eth0")
	a := s.adapter()
	steps, err := a.Prepare(t.Context(), networkScope)
	if err != nil {
		t.Fatal(err)
	}
	s.write(interfaces.Main, static+"\n# later\nauto eth5\niface eth5 inet dhcp\n")
	if err := errors.Join(a.Persist(t.Context(), steps[0]), a.Undo(t.Context(), steps[0])); err != nil {
		t.Fatal(err)
	}
	if got := s.read(interfaces.Main); got != static+"\n# later\nauto eth5\niface eth5 inet dhcp\n" {
		t.Errorf("got %s", got)
	}
}

// D5: the set-up wizard's address is in force, and goes back again; what stands
// in the plan is what is read afterwards.
func TestWizardsAddress(t *testing.T) {
	for name, s := range map[string]*system{
		"static": newSystem(t, static, "eth0"),
		"dhcp":   newSystem(t, "auto lo eth0\niface lo inet loopback\niface eth0 inet dhcp", "eth0"),
		"ipv6":   newSystem(t, "auto eth0\niface eth0 inet6 auto\n", "eth0"),
		"bond":   bondSystem(t),
	} {
		address, err := reset.ParseAddress("eth0=10.0.7.9/24,gateway=10.0.7.1,dns=9.9.9.9")
		if err != nil {
			t.Fatal(err)
		}
		if steps, err := s.adapter().Prepare(t.Context(), setting.Request{Mode: reset.Hard, Wizard: reset.Wizard{Network: []reset.Address{address}}}); err == nil || !strings.Contains(err.Error(), "resolvconf") {
			t.Errorf("%s: a DNS server that nobody would hear of: %v %v", name, steps, err)
		}
		s.write("/etc/network/if-up.d/000resolvconf", "")
		request := setting.Request{Mode: reset.Hard, Wizard: reset.Wizard{Network: []reset.Address{address}}}
		a := s.adapter()
		var before, after, back nas.Settings
		if err := a.Read(t.Context(), &before); err != nil {
			t.Fatal(err)
		}
		if err := request.Wizard.Check(before); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		steps, err := a.Prepare(t.Context(), request)
		if err != nil || len(steps) != 1 {
			t.Fatalf("%s: %v %v", name, steps, err)
		}
		if err := errors.Join(a.Persist(t.Context(), steps[0]), a.Activate(t.Context(), steps[0]), a.Verify(t.Context(), steps[0]), a.Read(t.Context(), &after)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		found := false
		for _, in := range after.Interfaces {
			if in.Name != "eth0" {
				continue
			}
			found = true
			if in.Method != nas.Static || !slices.Equal(in.Addresses, []netip.Prefix{address.Address}) || in.Gateway != "10.0.7.1" || !slices.Equal(in.DNS, []string{"9.9.9.9"}) {
				t.Errorf("%s: %+v", name, in)
			}
		}
		if !found {
			t.Errorf("%s: eth0 is gone: %+v", name, after)
		}
		if again, err := a.Prepare(t.Context(), request); err != nil || len(again) != 0 {
			t.Errorf("%s: the same again would change %v, %v", name, again, err)
		}
		if err := errors.Join(a.Undo(t.Context(), steps[0]), a.Activate(t.Context(), steps[0]), a.Read(t.Context(), &back)); err != nil || !reflect.DeepEqual(back, before) {
			t.Errorf("%s: back %+v, was %+v, %v", name, back, before, err)
		}
	}
}

// E5, E7: Verify sees jumbo frames and a bond that the kernel still has.
func TestVerifyAsksTheKernel(t *testing.T) {
	jumbo := newSystem(t, static, "eth0")
	steps := settingtest.CarryOut(t, jumbo.adapter(), networkScope)
	jumbo.write("/sys/class/net/eth0/mtu", "9000\n")
	if jumbo.adapter().Verify(t.Context(), steps[0]) == nil {
		t.Error("eth0 has jumbo frames, and it is content")
	}
	s := newSystem(t, bonded, "eth0", "eth1")
	s.bond("bond0", "eth0", "eth1")
	steps = settingtest.CarryOut(t, s.adapter(), networkScope)
	s.write("/sys/class/net/bond0/bonding/mode", "x\n")
	if s.adapter().Verify(t.Context(), steps[0]) == nil {
		t.Error("the bond is still there, and it is content")
	}
}
