package networkd_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/networkd"
	"github.com/paperclip-nas/paperclip/internal/device/setting/settingtest"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/scratch"
)

var networkScope = setting.Request{Mode: reset.Soft, Scope: reset.Network}

const static = `# the owner's
[Match]
Name=eth0
[Link]
MTUBytes=9000
[Network]
Address=192.168.77.5/24
Gateway=192.168.77.1
DNS=192.168.77.1 9.9.9.9
VLAN=eth0.10
[Route]
Destination=10.0.0.0/8
Gateway=192.168.77.9
`

// system is a root directory with the files of networkd and of the kernel.
type system struct {
	t    testing.TB
	root string
	// force is, by interface index, the owner's file in force.
	force map[string]string
	// deaf: networkd does not notice a new file at a reload.
	deaf bool
	// slow is how long it takes to follow one.
	slow time.Duration
	// bonded: eth0 and eth1 are in a bond.
	bonded bool
	ran    []string // operations, with the interface
	fail   error
}

func newSystem(t testing.TB) *system {
	s := &system{t: t, root: scratch.Dir(t), force: map[string]string{}}
	s.write("/run/systemd/netif/state", "OPER_STATE=routable\n")
	s.write("/sys/class/net/lo/type", "772")
	s.write("/sys/class/net/lo/ifindex", "1")
	return s
}

func (s *system) write(path, content string) {
	s.t.Helper()
	full := filepath.Join(s.root, path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(content), 0o644)); err != nil {
		s.t.Fatal(err)
	}
}

// nic adds an interface; file is the .network file in force, "" for none.
func (s *system) nic(name, index, file string, more ...string) {
	dir := "/sys/class/net/" + name + "/"
	s.write(dir+"type", "1\n")
	s.write(dir+"ifindex", index+"\n")
	s.write(dir+"address", "52:54:00:12:34:"+index+"0\n")
	s.write(dir+"mtu", "1500\n")
	for _, m := range more {
		s.write(dir+m, index)
	}
	s.force[index] = file
	s.settle(name)
}

// settle is what networkd does: it goes by the file of ours if there is one.
func (s *system) settle(name string) {
	index, err := os.ReadFile(filepath.Join(s.root, "/sys/class/net", name, "ifindex"))
	if err != nil {
		s.t.Fatal(err)
	}
	i := strings.TrimSpace(string(index))
	file := s.force[i]
	ours := "/etc/systemd/network/05-paperclip-reset-" + name + ".network"
	if _, err := os.Stat(filepath.Join(s.root, ours)); err == nil {
		file = ours
	}
	if strings.HasPrefix(file, ours) {
		os.RemoveAll(filepath.Join(s.root, "/sys/class/net", name, "master")) // no Bond= in ours
	} else if s.bonded {
		s.write("/sys/class/net/"+name+"/master/ifindex", "9\n")
	}
	state := "ADMIN_STATE=unmanaged\n"
	if file != "" {
		state = "ADMIN_STATE=configured\nNETWORK_FILE=" + file + "\n"
	}
	s.write("/run/systemd/netif/links/"+i, state)
}

// Run is networkctl.
func (s *system) Run(_ context.Context, op string, c opfs.Command) (opfs.Output, error) {
	s.ran = append(s.ran, strings.Join(append([]string{op}, c.Args[1:]...), " "))
	switch {
	case s.fail != nil:
		return opfs.Output{}, s.fail
	case c.Args[0] == "reload" && !s.deaf:
		entries, err := os.ReadDir(filepath.Join(s.root, "/sys/class/net"))
		if err != nil {
			return opfs.Output{}, err
		}
		follow := func() {
			for _, e := range entries {
				s.settle(e.Name())
			}
		}
		if s.slow == 0 {
			follow()
		} else {
			time.AfterFunc(s.slow, follow)
		}
	case c.Args[0] == "reconfigure":
		s.settle(c.Args[1])
	}
	return opfs.Output{}, nil
}

func (s *system) adapter() *networkd.Adapter {
	c := networkd.Config{FS: opfs.Under(s.root, opfs.OS(nil)), Runner: s, Settle: time.Millisecond}
	if s.slow > 0 {
		c.Settle = 0 // as it is shipped
	}
	return networkd.New(c)
}

// stored is the whole configuration directory.
func (s *system) stored(t testing.TB) []byte {
	t.Helper()
	var all []byte
	dir := filepath.Join(s.root, networkd.Directory)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all = append(append(append(all, e.Name()...), '\n'), data...)
	}
	return all
}

const ownerFile = "/etc/systemd/network/10-lan.network"

func oneStatic(t testing.TB) *system {
	s := newSystem(t)
	s.write(ownerFile, static)
	s.nic("eth0", "2", ownerFile, "device/vendor")
	return s
}

func TestContract(t *testing.T) {
	settingtest.Run(t, func(t testing.TB) settingtest.System {
		s := oneStatic(t)
		return settingtest.System{
			Adapter: s.adapter(),
			Request: networkScope,
			Idle:    setting.Request{Mode: reset.Soft, Scope: reset.Credentials},
			Stored:  s.stored,
			Meddle: func(testing.TB) {
				s.write("/etc/systemd/network/05-paperclip-reset-eth0.network", "[Match]\nName=other\n")
			},
			Restart: func(testing.TB) setting.Adapter { return s.adapter() },
		}
	})
}

// E4, D13: static becomes DHCP; what is built on the interface stays.
func TestStaticBecomesDHCP(t *testing.T) {
	s := oneStatic(t)
	var before, after nas.Settings
	if err := s.adapter().Read(t.Context(), &before); err != nil {
		t.Fatal(err)
	}
	want := []nas.Interface{{
		Name: "eth0", MAC: "52:54:00:12:34:20", Method: nas.Static, MTU: 9000, Gateway: "192.168.77.1",
		Addresses: []netip.Prefix{netip.MustParsePrefix("192.168.77.5/24")}, DNS: []string{"192.168.77.1", "9.9.9.9"},
	}}
	if !reflect.DeepEqual(before.Interfaces, want) {
		t.Errorf("before %+v\nwant   %+v", before.Interfaces, want)
	}
	settingtest.CarryOut(t, s.adapter(), networkScope)
	if err := s.adapter().Read(t.Context(), &after); err != nil {
		t.Fatal(err)
	}
	if in := after.Interfaces[0]; in.Method != nas.DHCP || len(in.Addresses) > 0 || in.Gateway != "" || len(in.DNS) > 0 {
		t.Errorf("after %+v", in)
	}
	text := string(s.stored(t))
	for _, keep := range []string{"\nDHCP=yes\n", "\nVLAN=eth0.10\n", "\n[Link]\nMTUBytes=1500\n", static} {
		if !strings.Contains(text, keep) {
			t.Errorf("%q is not in\n%s", keep, text)
		}
	}
	ours, _, _ := strings.Cut(text, "10-lan.network\n#")
	if strings.Contains(ours, "192.168.77") {
		t.Errorf("an address is left in ours:\n%s", ours)
	}
	if again := settingtest.CarryOut(t, s.adapter(), networkScope); len(again) != 0 {
		t.Errorf("a second reset has steps: %v", again)
	}
}

// Which interfaces are meant.
func TestInterfaces(t *testing.T) {
	s := newSystem(t)
	s.write(ownerFile, static)
	s.write("/run/systemd/network/10-netplan-eth1.network", "[Match]\nName=eth1\n[Network]\nDHCP=ipv4\n")
	s.nic("eth0", "2", ownerFile, "device/vendor")
	s.nic("eth1", "3", "/run/systemd/network/10-netplan-eth1.network", "device/vendor")
	s.nic("eth2", "4", "", "device/vendor") // another program's
	s.nic("wlan0", "5", ownerFile, "device/vendor", "wireless/x")
	s.nic("veth1", "6", ownerFile)
	s.nic("br0", "7", ownerFile, "bridge/x")
	s.nic("eth3", "8", "/etc/systemd/network/20-member.network", "device/vendor")
	s.write("/sys/class/net/eth3/master/ifindex", "7\n")
	s.write("/etc/systemd/network/20-member.network", "[Match]\nName=eth3\n[Network]\nBridge=br0\n")
	var got nas.Settings
	if err := s.adapter().Read(t.Context(), &got); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, in := range got.Interfaces {
		names = append(names, in.Name+" "+string(in.Method))
	}
	if want := []string{"br0 static", "eth0 static"}; !slices.Equal(names, want) {
		t.Errorf("interfaces %v, want %v", names, want)
	}
	var steps []string
	for _, st := range settingtest.CarryOut(t, s.adapter(), networkScope) {
		steps = append(steps, st.Name)
	}
	if want := []string{"addresses of br0", "addresses of eth0"}; !slices.Equal(steps, want) {
		t.Errorf("steps %v, want %v", steps, want)
	}
	found, err := s.adapter().Detect(t.Context())
	if err != nil || !found.Present {
		t.Errorf("found %+v, %v", found, err)
	}
}

func TestNotHere(t *testing.T) {
	s := newSystem(t)
	s.nic("eth0", "2", "", "device/vendor")
	found, err := s.adapter().Detect(t.Context())
	if err != nil || found.Present || !strings.Contains(found.Why, "manages no wired interface") {
		t.Errorf("found %+v, %v", found, err)
	}
	if err := os.Remove(filepath.Join(s.root, "/run/systemd/netif/state")); err != nil {
		t.Fatal(err)
	}
	if found, err = s.adapter().Detect(t.Context()); err != nil || found.Present || !strings.Contains(found.Why, "does not run") {
		t.Errorf("found %+v, %v", found, err)
	}
}

// Netplan's files are refused with the reason; so are those of two programs.
func TestGeneratedIsRefused(t *testing.T) {
	for why, arrange := range map[string]func(*system){
		"netplan writes these files: /run/systemd/network/10-netplan-eth0.network": func(s *system) {
			s.write("/run/systemd/network/10-netplan-eth0.network", static)
			s.nic("eth0", "2", "/run/systemd/network/10-netplan-eth0.network", "device/vendor")
		},
		"both systemd-networkd and ifupdown": func(s *system) { s.write("/run/network/ifstate", "eth0=eth0\n") },
	} {
		s := oneStatic(t)
		arrange(s)
		found, err := s.adapter().Detect(t.Context())
		if err != nil || found.Present || !strings.Contains(found.Why, why) {
			t.Errorf("found %+v, %v; want %q", found, err, why)
		}
		if steps := settingtest.CarryOut(t, s.adapter(), networkScope); len(steps) > 0 {
			t.Errorf("steps %v", steps)
		}
	}
}

// E5 where something else than the file made the frames large.
func TestJumboFramesAlone(t *testing.T) {
	s := newSystem(t)
	s.write(ownerFile, "[Match]\nName=eth0\n[Network]\nDHCP=yes\n")
	s.nic("eth0", "2", ownerFile, "device/vendor")
	s.write("/sys/class/net/eth0/mtu", "9000\n")
	steps := settingtest.CarryOut(t, s.adapter(), networkScope)
	if len(steps) != 1 || !slices.Equal(steps[0].Effects, []nas.Effect{nas.E5}) || !strings.Contains(string(s.stored(t)), "\n[Link]\nMTUBytes=1500\n") {
		t.Errorf("steps %v\n%s", steps, s.stored(t))
	}
}

func bonded(t testing.TB) *system {
	s := newSystem(t)
	s.write("/etc/systemd/network/20-bond.network", "[Match]\nName=bond0\n[Network]\nAddress=192.168.77.5/24\n")
	s.write("/etc/systemd/network/30-member.network", "[Match]\nName=eth*\n[Network]\nBond=bond0\nPrimarySlave=yes\n[Link]\nMTUBytes=9000\n")
	s.nic("bond0", "9", "/etc/systemd/network/20-bond.network", "bonding/slaves")
	s.bonded = true
	for i, name := range []string{"eth0", "eth1"} {
		s.nic(name, string(rune('2'+i)), "/etc/systemd/network/30-member.network", "device/vendor")
	}
	return s
}

// D5: the address that the set-up wizard was told, on a card with DHCP, with
// another address, and on one that was in a bond until now.
func TestWizardsAddress(t *testing.T) {
	address, err := reset.ParseAddress("eth0=10.0.7.9/24,gateway=10.0.7.1,dns=9.9.9.9")
	if err != nil {
		t.Fatal(err)
	}
	request := setting.Request{Mode: reset.Hard, Wizard: reset.Wizard{Network: []reset.Address{address}}}
	dhcp := newSystem(t)
	dhcp.write(ownerFile, "[Match]\nName=eth0\n[Network]\nDHCP=yes\n")
	dhcp.nic("eth0", "2", ownerFile, "device/vendor")
	for name, s := range map[string]*system{"static": oneStatic(t), "dhcp": dhcp, "bond": bonded(t)} {
		var before, after nas.Settings
		if err := s.adapter().Read(t.Context(), &before); err != nil {
			t.Fatal(err)
		}
		if err := request.Wizard.Check(before); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		steps, err := s.adapter().Prepare(t.Context(), request)
		if err != nil || len(steps) == 0 {
			t.Fatalf("%s: %v %v", name, steps, err)
		}
		for _, st := range steps {
			if err := errors.Join(s.adapter().Persist(t.Context(), st), s.adapter().Activate(t.Context(), st), s.adapter().Verify(t.Context(), st)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if err := s.adapter().Read(t.Context(), &after); err != nil {
			t.Fatal(err)
		}
		in := after.Interfaces[0]
		if in.Name != "eth0" || in.Method != nas.Static || !slices.Equal(in.Addresses, []netip.Prefix{address.Address}) || in.Gateway != "10.0.7.1" || !slices.Equal(in.DNS, []string{"9.9.9.9"}) {
			t.Errorf("%s: %+v", name, in)
		}
		if want := reset.Describe(nas.E4, request.Wizard.Apply(nas.E4, nas.Settings{Interfaces: []nas.Interface{{Name: "eth0"}}}, ""), ""); reset.Describe(nas.E4, nas.Settings{Interfaces: []nas.Interface{in}}, "") != want {
			t.Errorf("%s: not what the plan says: %s", name, want)
		}
		for _, st := range slices.Backward(steps) {
			if err := errors.Join(s.adapter().Undo(t.Context(), st), s.adapter().Activate(t.Context(), st)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		var back nas.Settings
		if err := s.adapter().Read(t.Context(), &back); err != nil || !reflect.DeepEqual(back, before) {
			t.Errorf("%s: back %+v, %v", name, back, err)
		}
	}
}

// E7: each member gets a file of ours, and is out of the bond.
func TestBond(t *testing.T) {
	s := bonded(t)
	var before, after nas.Settings
	if err := s.adapter().Read(t.Context(), &before); err != nil {
		t.Fatal(err)
	}
	if want := []nas.Bond{{Name: "bond0", Members: []string{"eth0", "eth1"}, Enabled: true}}; !reflect.DeepEqual(before.Bonds, want) || len(before.Interfaces) != 1 {
		t.Errorf("before %+v", before)
	}
	steps := settingtest.CarryOut(t, s.adapter(), networkScope)
	var names []string
	for _, st := range steps {
		names = append(names, st.Name)
		if !slices.Equal(st.Effects, []nas.Effect{nas.E5, nas.E7}) {
			t.Errorf("%s: effects %v", st.Name, st.Effects)
		}
	}
	if want := []string{"eth0 out of bond0", "eth1 out of bond0"}; !slices.Equal(names, want) {
		t.Errorf("steps %v, want %v", names, want)
	}
	for _, name := range []string{"eth0", "eth1"} {
		text, err := os.ReadFile(filepath.Join(s.root, "/etc/systemd/network/05-paperclip-reset-"+name+".network"))
		if err != nil || strings.Contains(string(text), "Bond=") || strings.Contains(string(text), "PrimarySlave") || !strings.Contains(string(text), "DHCP=yes") {
			t.Errorf("%s: %s, %v", name, text, err)
		}
	}
	if err := s.adapter().Read(t.Context(), &after); err != nil {
		t.Fatal(err)
	}
	if len(after.Bonds) != 0 || len(after.Interfaces) != 2 || after.Interfaces[0].Method != nas.DHCP {
		t.Errorf("after %+v", after)
	}
	if again := settingtest.CarryOut(t, s.adapter(), networkScope); len(again) != 0 {
		t.Errorf("a second reset has steps: %v", again)
	}
	for _, st := range steps {
		if err := errors.Join(s.adapter().Undo(t.Context(), st), s.adapter().Activate(t.Context(), st)); err != nil {
			t.Fatal(err)
		}
	}
	var back nas.Settings
	if err := s.adapter().Read(t.Context(), &back); err != nil || !reflect.DeepEqual(back, before) {
		t.Errorf("back %+v, %v", back, err)
	}
}

// A bond with a VLAN on it stays, with an address from DHCP; so does one whose
// member somebody else configures.
func TestBondStays(t *testing.T) {
	for _, arrange := range []func(*system){
		func(s *system) {
			s.write("/etc/systemd/network/20-bond.network", "[Match]\nName=bond0\n[Network]\nAddress=192.168.77.5/24\nVLAN=v\n")
		},
		func(s *system) { s.force["3"] = ""; s.settle("eth1") },
	} {
		s := bonded(t)
		arrange(s)
		steps := settingtest.CarryOut(t, s.adapter(), networkScope)
		if len(steps) != 1 || steps[0].Name != "addresses of bond0" {
			t.Errorf("steps %+v", steps)
		}
	}
}

func TestAReloadThatWasNotNoticed(t *testing.T) {
	s := oneStatic(t)
	s.deaf = true
	synctest.Test(t, func(t *testing.T) { settingtest.CarryOut(t, s.adapter(), networkScope) })
	if want := []string{"networkd.activate.reload", "networkd.activate.reconfigure eth0"}; !slices.Equal(s.ran, want) {
		t.Errorf("ran %v, want %v", s.ran, want)
	}
}

// A networkd that takes its time is not pushed: a bond whose members are taken
// through their files twice at once may fail.
func TestASlowReloadIsWaitedFor(t *testing.T) {
	s := bonded(t)
	synctest.Test(t, func(t *testing.T) {
		s.slow = 3 * time.Second
		a := s.adapter()
		s.slow = 0
		was, err := a.Save(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		settingtest.CarryOut(t, a, networkScope)
		for name, deaf := range map[string]bool{"it follows after seconds": false, "it does not follow": true} {
			steps, err := a.PrepareRestore(t.Context(), was)
			if err != nil || len(steps) != 1 {
				t.Fatalf("%d steps: %v", len(steps), err)
			}
			s.slow, s.deaf, s.ran = 3*time.Second, deaf, nil
			for _, do := range []func(context.Context, reset.Step) error{a.Persist, a.Activate, a.Verify} {
				if err := do(t.Context(), steps[0]); err != nil {
					t.Fatal(name, err)
				}
			}
			want := []string{"networkd.activate.reload"}
			if deaf { // members before their bond, which goes by its file already
				want = append(want, "networkd.activate.reconfigure eth0", "networkd.activate.reconfigure eth1")
			}
			if !slices.Equal(s.ran, want) {
				t.Errorf("%s: ran %v, want %v", name, s.ran, want)
			}
			s.deaf, s.ran = false, nil
			if err := errors.Join(a.Undo(t.Context(), steps[0]), a.Activate(t.Context(), steps[0])); err != nil {
				t.Fatal(err)
			}
			if want := []string{"networkd.activate.reload"}; !slices.Equal(s.ran, want) {
				t.Errorf("%s, and back: ran %v, want %v", name, s.ran, want)
			}
			s.slow = 0
		}
	})
}

func TestNetworkctlFails(t *testing.T) {
	s := oneStatic(t)
	a := s.adapter()
	steps, err := a.Prepare(t.Context(), networkScope)
	if err != nil {
		t.Fatal(err)
	}
	s.fail = errors.New("no bus")
	if err := a.Activate(t.Context(), steps[0]); !errors.Is(err, s.fail) {
		t.Errorf("err = %v", err)
	}
	if err := a.Persist(t.Context(), steps[0]); err != nil {
		t.Fatal(err)
	}
	if err := a.Verify(t.Context(), steps[0]); err == nil {
		t.Error("verified although networkd goes by the old file")
	}
}

// Verify sees a file that networkd cannot configure an interface by, and a member
// that is still in its bond.
func TestVerifyAsksNetworkdAndTheKernel(t *testing.T) {
	s := bonded(t)
	steps := settingtest.CarryOut(t, s.adapter(), networkScope)
	links := "/run/systemd/netif/links/" + strings.TrimSpace(s.read("/sys/class/net/eth0/ifindex"))
	good := s.read(links)
	s.write(links, strings.Replace(good, "configured", "failed", 1))
	if s.adapter().Verify(t.Context(), steps[0]) == nil {
		t.Error("networkd failed, and it is content")
	}
	s.write(links, good)
	s.write("/sys/class/net/eth0/master/ifindex", "9\n")
	if s.adapter().Verify(t.Context(), steps[0]) == nil {
		t.Error("eth0 is still in the bond, and it is content")
	}
}

// R6: a snapshot puts files of networkd's there, and no others.
func TestRestoreRefusesOtherFiles(t *testing.T) {
	s := oneStatic(t)
	for _, path := range []string{"/etc/passwd", "/usr/lib/systemd/network/x.network", "/etc/systemd/network/x.sh", "/etc/systemd/network/../x.network", "/etc/systemd/network/.x.network"} {
		raw := []byte(`{"version":1,"adapter":"networkd","value":{"interfaces":[],"files":[{"path":"` + path + `","text":"x"}]}}`)
		if steps, err := s.adapter().PrepareRestore(t.Context(), raw); !errors.Is(err, setting.ErrSaved) {
			t.Errorf("%s: %d steps, %v", path, len(steps), err)
		}
	}
}

func (s *system) read(path string) string {
	s.t.Helper()
	data, err := os.ReadFile(filepath.Join(s.root, path))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(data)
}
