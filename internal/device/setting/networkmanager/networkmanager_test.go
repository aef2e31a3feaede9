package networkmanager_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/networkmanager"
	"github.com/paperclip-nas/paperclip/internal/device/setting/settingtest"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/scratch"
)

var networkScope = setting.Request{Mode: reset.Soft, Scope: reset.Network}

const static = `# the office
[connection]
id=office
uuid=aaaa-1
type=ethernet
interface-name=eth0

[ethernet]
mtu=9000

[802-1x]
password=hunter2

[ipv4]
address1=192.168.77.5/24,192.168.77.1
# ours
dns=192.168.77.1;9.9.9.9;
dns-search=lan;
method=manual
may-fail=false
route1=10.0.0.0/8,192.168.77.9

[ipv6]
addr-gen-mode=stable-privacy
method=auto

[proxy]
`

// connection is a profile that the fake NetworkManager has loaded.
type connection struct{ path, kind, device, text string }

// system is a root directory and NetworkManager.
type system struct {
	t      testing.TB
	root   string
	loaded map[string]connection // by UUID
	ran    []string
	dead   string // an operation whose command fails
	exit   int    // with this status
	deaf   bool   // a reload reads nothing
}

func newSystem(t testing.TB, nics ...string) *system {
	s := &system{t: t, root: scratch.Dir(t), loaded: map[string]connection{}}
	s.write("/run/NetworkManager/NetworkManager.pid", "1")
	for i, name := range nics {
		s.nic(name, fmt.Sprint(i+2))
		s.write("/sys/class/net/"+name+"/device/vendor", "")
	}
	return s
}

func (s *system) path(p string) string { return filepath.Join(s.root, p) }

func (s *system) write(path, content string) {
	s.t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(s.path(path)), 0o755), os.WriteFile(s.path(path), []byte(content), 0o600)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *system) read(path string) string {
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
	s.write(dir+"mtu", "1500\n")
}

// profile adds one; device is what it is in use by, "" for nothing.
func (s *system) profile(uuid, kind, device, text string) string {
	path := networkmanager.Directory + "/" + uuid + ".nmconnection"
	s.write(path, text)
	s.loaded[uuid] = connection{path, kind, device, text}
	return path
}

// Run is nmcli.
func (s *system) Run(_ context.Context, op string, c opfs.Command) (opfs.Output, error) {
	args := strings.Join(c.Args, " ")
	if op != "netstack.survey.nmcli" {
		s.ran = append(s.ran, op+" "+c.Args[len(c.Args)-1])
	}
	if op == s.dead {
		return opfs.Output{ExitCode: s.exit, Stderr: []byte("no")}, nil
	}
	uuid := c.Args[len(c.Args)-1]
	var out strings.Builder
	switch {
	case strings.Contains(args, "device status"):
		for _, id := range slices.Sorted(maps.Keys(s.loaded)) {
			if d := s.loaded[id].device; d != "" {
				fmt.Fprintf(&out, "%s:connected:%s\n", d, id)
			}
		}
	case strings.HasSuffix(args, "FILENAME connection show"):
		for _, id := range slices.Sorted(maps.Keys(s.loaded)) {
			c := s.loaded[id]
			fmt.Fprintf(&out, "%s:%s:%s:%s\n", id, c.kind, c.device, c.path)
		}
	case args == "connection reload":
		for id, c := range s.loaded {
			if !s.deaf {
				c.text = s.read(c.path)
			}
			s.loaded[id] = c
		}
	case strings.Contains(args, "connection down"):
		if s.loaded[uuid].device == "" {
			return opfs.Output{ExitCode: 10}, nil
		}
		c := s.loaded[uuid]
		c.device = ""
		s.loaded[uuid] = c
	case strings.Contains(args, "connection up"):
		c := s.loaded[uuid]
		for line := range strings.Lines(c.text) {
			if name, ok := strings.CutPrefix(strings.TrimSpace(line), "interface-name="); ok {
				c.device = name
			}
		}
		s.loaded[uuid] = c
	case strings.Contains(args, "ipv4.method"):
		out.WriteString("manual\n")
		if !strings.Contains(s.loaded[uuid].text, "method=manual") {
			out.Reset()
			out.WriteString("auto\n")
		}
	case strings.Contains(args, "connection.autoconnect"):
		out.WriteString(map[bool]string{true: "no\n", false: "yes\n"}[strings.Contains(s.loaded[uuid].text, "autoconnect=false")])
	}
	return opfs.Output{Stdout: []byte(out.String())}, nil
}

func (s *system) adapter() *networkmanager.Adapter {
	return networkmanager.New(networkmanager.Config{FS: opfs.Under(s.root, opfs.OS(nil)), Runner: s})
}

func (s *system) stored(t testing.TB) []byte {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(s.path("/etc"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		fmt.Fprintf(&all, "%s %s\n%s", p[len(s.root):], info.Mode(), s.read(p[len(s.root):]))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return []byte(all.String())
}

func oneStatic(t testing.TB) *system {
	s := newSystem(t, "eth0")
	s.profile("aaaa-1", "802-3-ethernet", "eth0", static)
	return s
}

func bonded(t testing.TB) *system {
	s := newSystem(t, "eth0", "eth1")
	s.nic("bond0", "9")
	s.write("/sys/class/net/bond0/bonding/slaves", "")
	for _, m := range []string{"eth0", "eth1"} {
		s.write("/sys/class/net/"+m+"/master/ifindex", "9\n")
	}
	s.profile("bbbb-0", "bond", "bond0", "[connection]\nid=b\nuuid=bbbb-0\ntype=bond\ninterface-name=bond0\n\n[bond]\nmode=4\n\n[ipv4]\nmethod=manual\naddress1=10.0.0.2/24")
	s.profile("bbbb-1", "802-3-ethernet", "eth0", "[connection]\nid=p\ninterface-name=eth0\nmaster=bbbb-0\nslave-type=bond\n\n[ethernet]\nmtu=9000\n")
	s.profile("bbbb-2", "802-3-ethernet", "eth1", "[connection]\nid=p\nautoconnect=false\ncontroller=bond0\nport-type=bond\ninterface-name=eth1")
	return s
}

func TestContract(t *testing.T) {
	for name, build := range map[string]func(testing.TB) *system{"static": oneStatic, "bond": bonded} {
		t.Run(name, func(t *testing.T) {
			settingtest.Run(t, func(t testing.TB) settingtest.System {
				s := build(t)
				return settingtest.System{
					Adapter: s.adapter(), Request: networkScope, Idle: setting.Request{Mode: reset.Soft, Scope: reset.Credentials}, Stored: s.stored,
					Meddle: func(testing.TB) {
						for id, c := range s.loaded {
							s.write(s.loaded[id].path, strings.NewReplacer("[connection]\n", "[connection]\nzone=home\n", "method=manual", "method=shared", "method=auto", "method=disabled").Replace(c.text))
						}
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

// E4, E5: by entry; no secret of the profile is in the step.
func TestStaticBecomesDHCP(t *testing.T) {
	s := oneStatic(t)
	before := s.settings(t).Interfaces
	if len(before) != 1 || before[0].Method != nas.Static || before[0].MTU != 9000 || before[0].Gateway != "192.168.77.1" ||
		!slices.Equal(before[0].Addresses, []netip.Prefix{netip.MustParsePrefix("192.168.77.5/24")}) || !slices.Equal(before[0].DNS, []string{"192.168.77.1", "9.9.9.9"}) {
		t.Errorf("before %+v", before)
	}
	steps := settingtest.CarryOut(t, s.adapter(), networkScope)
	if len(steps) != 1 || !slices.Equal(steps[0].Effects, []nas.Effect{nas.E4, nas.E5}) || strings.Contains(string(steps[0].Data), "hunter2") {
		t.Errorf("steps %+v", steps)
	}
	want := strings.NewReplacer("mtu=9000\n", "", "address1=192.168.77.5/24,192.168.77.1\n", "", "dns=192.168.77.1;9.9.9.9;\n", "",
		"dns-search=lan;\n", "", "method=manual", "method=auto", "route1=10.0.0.0/8,192.168.77.9\n", "").Replace(static)
	if got := s.read(s.loaded["aaaa-1"].path); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if after := s.settings(t).Interfaces; after[0].Method != nas.DHCP || after[0].MTU != 1500 {
		t.Errorf("after %+v", after)
	}
	if want := []string{"networkmanager.activate.reload reload", "networkmanager.activate.up aaaa-1", "networkmanager.verify.show aaaa-1"}; !slices.Equal(s.ran, want) {
		t.Errorf("ran %q", s.ran)
	}
	if again := settingtest.CarryOut(t, s.adapter(), networkScope); len(again) != 0 {
		t.Errorf("a second reset has steps: %v", again)
	}
}

// E7: the bond sleeps, its ports have DHCP each.
func TestBond(t *testing.T) {
	s := bonded(t)
	if b := s.settings(t).Bonds; len(b) != 1 || b[0].Name != "bond0" || !slices.Equal(b[0].Members, []string{"eth0", "eth1"}) {
		t.Errorf("before %+v", b)
	}
	steps := settingtest.CarryOut(t, s.adapter(), networkScope)
	for uuid, want := range map[string]string{
		"bbbb-0": "[connection]\nid=b\nuuid=bbbb-0\ntype=bond\ninterface-name=bond0\nautoconnect=false\n\n[bond]\nmode=4\n\n[ipv4]\nmethod=manual\naddress1=10.0.0.2/24",
		"bbbb-1": "[connection]\nid=p\ninterface-name=eth0\n\n[ipv4]\nmethod=auto\n\n[ipv6]\nmethod=auto\n\n[ethernet]\n",
		"bbbb-2": "[connection]\nid=p\ninterface-name=eth1\n\n[ipv4]\nmethod=auto\n\n[ipv6]\nmethod=auto\n",
	} {
		if got := s.read(s.loaded[uuid].path); got != want {
			t.Errorf("%s: got\n%q\nwant\n%q", uuid, got, want)
		}
	}
	if !slices.Equal(steps[0].Effects, []nas.Effect{nas.E5, nas.E7}) {
		t.Errorf("effects %v", steps[0].Effects)
	}
	want := []string{"networkmanager.activate.reload reload", "networkmanager.activate.down bbbb-0", "networkmanager.activate.up bbbb-1", "networkmanager.activate.up bbbb-2"}
	if !slices.Equal(s.ran[:4], want) {
		t.Errorf("ran %q", s.ran)
	}
	if b := s.settings(t).Bonds; len(b) != 0 {
		t.Errorf("after %+v", b)
	}
	a := s.adapter()
	s.ran = nil
	if err := errors.Join(a.Undo(t.Context(), steps[0]), a.Activate(t.Context(), steps[0])); err != nil {
		t.Fatal(err)
	}
	if want := []string{"networkmanager.activate.reload reload", "networkmanager.activate.up bbbb-0", "networkmanager.activate.up bbbb-1", "networkmanager.activate.up bbbb-2"}; !slices.Equal(s.ran, want) {
		t.Errorf("ran %q", s.ran)
	}
}

// A bond with a VLAN on it stays; its address does not.
func TestBondUnderAVLAN(t *testing.T) {
	s := bonded(t)
	s.profile("cccc-1", "vlan", "", "[connection]\ninterface-name=bond0.5\n[vlan]\nparent=bond0\n")
	steps := settingtest.CarryOut(t, s.adapter(), networkScope)
	if !slices.Equal(steps[0].Effects, []nas.Effect{nas.E4, nas.E5}) || !strings.Contains(s.read(s.loaded["bbbb-2"].path), "controller=bond0") {
		t.Errorf("effects %v\n%s", steps[0].Effects, s.stored(t))
	}
}

// E6: PPPoE no longer starts by itself; its password stays where it is.
func TestPPPoE(t *testing.T) {
	s := newSystem(t, "eth0")
	path := s.profile("dddd-1", "pppoe", "eth0", "[connection]\ntype=pppoe\n\n[pppoe]\nparent=eth0\npassword=hunter2\n")
	if p := s.settings(t).PPPoE; p == nil || !p.Enabled || p.Interface != "eth0" {
		t.Errorf("PPPoE %+v", p)
	}
	steps := settingtest.CarryOut(t, s.adapter(), networkScope)
	if !slices.Equal(steps[0].Effects, []nas.Effect{nas.E6}) || strings.Contains(string(steps[0].Data), "hunter2") {
		t.Errorf("steps %+v", steps)
	}
	if got := s.read(path); got != "[connection]\ntype=pppoe\nautoconnect=false\n\n[pppoe]\nparent=eth0\npassword=hunter2\n" {
		t.Errorf("got %s", got)
	}
	if p := s.settings(t).PPPoE; p != nil {
		t.Errorf("PPPoE %+v", p)
	}
}

// Which profiles are meant.
func TestProfiles(t *testing.T) {
	manual := "[connection]\ninterface-name=%s\n[ipv4]\nmethod=manual\naddress1=10.0.0.2/8\n"
	s := newSystem(t, "eth0", "eth1", "eth2")
	s.profile("e8aa", "802-3-ethernet", "eth1", "[connection]\n")
	s.profile("e0aa", "802-3-ethernet", "eth0", "[connection]\n[ipv4]\nmethod=auto\n")
	s.profile("e1aa", "802-3-ethernet", "", fmt.Sprintf(manual, "eth0"))             // spare
	s.profile("e2aa", "802-3-ethernet", "", "[connection]\n[ipv4]\nmethod=manual\n") // for any
	s.profile("e3aa", "802-3-ethernet", "", fmt.Sprintf(manual, "eth1"))             // nobody's just now
	s.profile("e4aa", "802-3-ethernet", "", fmt.Sprintf(manual, "usb0"))             // not here
	s.profile("e5aa", "802-11-wireless", "wlan0", fmt.Sprintf(manual, "wlan0"))
	s.profile("e6aa", "bridge", "", fmt.Sprintf(manual, "virbr0"))
	s.profile("e7aa", "802-3-ethernet", "eth2", fmt.Sprintf(manual, "eth2")) // networkd has it too
	s.write("/run/systemd/netif/state", "")
	s.write("/run/systemd/netif/links/4", "ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/a.network\n")
	steps, err := s.adapter().Prepare(t.Context(), networkScope)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.adapter().Persist(t.Context(), steps[0]); err != nil {
		t.Fatal(err)
	}
	var changed []string
	for _, id := range slices.Sorted(maps.Keys(s.loaded)) {
		if s.read(s.loaded[id].path) != s.loaded[id].text {
			changed = append(changed, id)
		}
	}
	if want := []string{"e1aa", "e2aa", "e3aa"}; !slices.Equal(changed, want) {
		t.Errorf("changed %v, want %v", changed, want)
	}
}

func TestNotHere(t *testing.T) {
	for why, arrange := range map[string]func(*system){
		"does not run":                  func(s *system) { os.RemoveAll(s.path("/run/NetworkManager")) },
		"configures no wired interface": func(s *system) { s.dead, s.exit = "netstack.survey.nmcli", 8 },
		"nmcli ended with status 1":     func(s *system) { s.dead, s.exit = "netstack.survey.nmcli", 1 },
		"written by another program":    func(s *system) { s.profile("aaaa-1", "802-3-ethernet", "eth0", "# Generated by cloud-init\n"+static) },
		"has the section [ipv4] twice":  func(s *system) { s.profile("aaaa-1", "802-3-ethernet", "eth0", static+"[ipv4]\n") },
		"in /run is written by another": func(s *system) {
			s.write("/run/NetworkManager/system-connections/x", static)
			s.loaded["aaaa-1"] = connection{"/run/NetworkManager/system-connections/x", "802-3-ethernet", "eth0", static}
		},
		"symbolic link": func(s *system) {
			p := s.path(s.loaded["aaaa-1"].path)
			os.Rename(p, p+".x")
			os.Symlink(p+".x", p)
		},
		"both systemd-networkd and NetworkManager": func(s *system) {
			s.write("/run/systemd/netif/state", "")
			s.write("/run/systemd/netif/links/2", "ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/a.network\n")
		},
	} {
		s := oneStatic(t)
		arrange(s)
		found, err := s.adapter().Detect(t.Context())
		if why == "in /run is written by another" {
			why = "/run/NetworkManager/system-connections/x is written by another"
		}
		if err != nil || found.Present || !strings.Contains(found.Why, why) {
			t.Errorf("found %+v, %v; want %q", found, err, why)
		}
		if steps, err := s.adapter().Prepare(t.Context(), networkScope); len(steps) > 0 {
			t.Errorf("%s: steps %v, %v", why, steps, err)
		}
	}
}

func TestNmcliFails(t *testing.T) {
	for _, test := range []struct {
		op   string
		exit int
		good bool
	}{
		{"networkmanager.activate.reload", 1, false},
		{"networkmanager.activate.up", 2, false},
		{"networkmanager.activate.up", 3, true}, // still asking for an address
		{"networkmanager.activate.up", 4, true}, // no cable
	} {
		s := oneStatic(t)
		a := s.adapter()
		steps, err := a.Prepare(t.Context(), networkScope)
		if err != nil {
			t.Fatal(err)
		}
		s.dead, s.exit = test.op, test.exit
		if err := errors.Join(a.Persist(t.Context(), steps[0]), a.Activate(t.Context(), steps[0])); (err == nil) != test.good {
			t.Errorf("%s ends with %d: err = %v", test.op, test.exit, err)
		}
	}
	s := oneStatic(t)
	s.deaf = true
	a := s.adapter()
	steps, err := a.Prepare(t.Context(), networkScope)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.Persist(t.Context(), steps[0]), a.Activate(t.Context(), steps[0])); err != nil {
		t.Fatal(err)
	}
	if err := a.Verify(t.Context(), steps[0]); err == nil {
		t.Error("verified although NetworkManager has the old profile")
	}
}

// D5: the set-up wizard's address is in force, and goes back again; what stands
// in the plan is what is read afterwards.
func TestWizardsAddress(t *testing.T) {
	for name, s := range map[string]*system{"static": oneStatic(t), "bond": bonded(t), "bare": bare(t)} {
		address, err := reset.ParseAddress("eth0=10.0.7.9/24,gateway=10.0.7.1,dns=9.9.9.9")
		if err != nil {
			t.Fatal(err)
		}
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
		if !found && name != "bond" { // the fake's kernel keeps its bond
			t.Errorf("%s: eth0 is gone: %+v", name, after)
		}
		if stored := string(s.stored(t)); strings.Count(stored, "address1=10.0.7.9/24,10.0.7.1\n") != 1 {
			t.Errorf("%s: the address does not stand once:\n%s", name, stored)
		}
		if again, err := a.Prepare(t.Context(), request); err != nil || len(again) != 0 {
			t.Errorf("%s: the same again would change %v, %v", name, again, err)
		}
		if err := errors.Join(a.Undo(t.Context(), steps[0]), a.Activate(t.Context(), steps[0]), a.Read(t.Context(), &back)); err != nil || !reflect.DeepEqual(back, before) {
			t.Errorf("%s: back %+v, was %+v, %v", name, back, before, err)
		}
	}
}

// bare is a profile without a section about addresses.
func bare(t testing.TB) *system {
	s := newSystem(t, "eth0")
	s.profile("aaaa-1", "802-3-ethernet", "eth0", "[connection]\nid=x\nuuid=aaaa-1\ntype=ethernet\ninterface-name=eth0")
	return s
}

// A profile for any interface would bring one address to all of them: refused
// beforehand, with the reason.
func TestWizardsAddressNeedsAProfileOfItsOwn(t *testing.T) {
	s := newSystem(t, "eth0", "eth1")
	s.profile("aaaa-1", "802-3-ethernet", "eth0", "[connection]\nid=any\nuuid=aaaa-1\ntype=ethernet\n\n[ipv4]\nmethod=auto\n")
	address, err := reset.ParseAddress("eth0=10.0.7.9/24")
	if err != nil {
		t.Fatal(err)
	}
	if steps, err := s.adapter().Prepare(t.Context(), setting.Request{Mode: reset.Hard, Wizard: reset.Wizard{Network: []reset.Address{address}}}); !errors.Is(err, catalog.New("wizard_answer")) {
		t.Errorf("%v %v", steps, err)
	}
}
