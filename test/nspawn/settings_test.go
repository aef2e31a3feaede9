//go:build linux

package nspawn

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/authenticator"
	"github.com/paperclip-nas/paperclip/internal/device/setting/cockpit"
	"github.com/paperclip-nas/paperclip/internal/device/setting/encrypted"
	"github.com/paperclip-nas/paperclip/internal/device/setting/fail2ban"
	"github.com/paperclip-nas/paperclip/internal/device/setting/faillock"
	"github.com/paperclip-nas/paperclip/internal/device/setting/firewalld"
	"github.com/paperclip-nas/paperclip/internal/device/setting/guest"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ifupdown"
	"github.com/paperclip-nas/paperclip/internal/device/setting/keepalived"
	"github.com/paperclip-nas/paperclip/internal/device/setting/libvirt"
	"github.com/paperclip-nas/paperclip/internal/device/setting/networkd"
	"github.com/paperclip-nas/paperclip/internal/device/setting/networkmanager"
	"github.com/paperclip-nas/paperclip/internal/device/setting/nftables"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ports"
	"github.com/paperclip-nas/paperclip/internal/device/setting/pppoe"
	"github.com/paperclip-nas/paperclip/internal/device/setting/samba"
	"github.com/paperclip-nas/paperclip/internal/device/setting/shadow"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ufw"
	"github.com/paperclip-nas/paperclip/internal/device/setting/unit"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
)

const administrator = "anna"

var everything = setting.Request{
	Mode: reset.Soft, Scope: reset.All, Administrator: administrator, Password: access.NewSecret("four words quite apart"),
}

// adapters are all that are named here, the accounts' first.
func adapters(c *container, keepKeys bool) []setting.Adapter {
	system := unit.System{FS: c.FS(), Runner: c}
	accounts := shadow.New(shadow.Config{FS: c.FS(), Clock: clock.System(), Rand: rand.Reader})
	return []setting.Adapter{
		accounts,
		samba.New(samba.Config{Runner: c, Clock: clock.System(), Ordinary: accounts.Ordinary}),
		guest.New(system),
		ports.New(c.FS(), nil),
		cockpit.New(c.FS(), c),
		pppoe.New(c.FS(), c),
		networkd.New(networkd.Config{FS: c.FS(), Runner: c, Virtual: true}),
		ifupdown.New(ifupdown.Config{FS: c.FS(), Runner: c, Virtual: true}),
		networkmanager.New(networkmanager.Config{FS: c.FS(), Runner: c, Virtual: true}),
		fail2ban.New(system),
		faillock.New(c.FS()),
		nftables.New(system),
		ufw.New(c.FS(), c),
		firewalld.New(system),
		keepalived.New(system),
		libvirt.New(system),
		encrypted.New(system, keepKeys),
		// As if a second proof had come with the request.
		authenticator.New(c.FS(), c, func(r setting.Request) bool { return r.Scope == reset.All }),
	}
}

// stack is one of three; each gets a boot of its own. The image has it off, but
// for networkd.
type stack struct{ id, on, up string }

// toNetworkd is taken away before another stack gets the interface.
const toNetworkd = `systemctl stop -q systemd-networkd.socket systemd-networkd.service
	systemctl disable -q systemd-networkd.socket systemd-networkd.service
	rm -rf /etc/systemd/network/20-lan.network /run/systemd/netif; ip address flush dev host0; ip link set dev host0 mtu 1500 down
`

var stacks = []stack{
	{"networkd", "true", "ip addr show dev host0 | grep -q 192.168.77.10/24"},
	{"ifupdown", toNetworkd + `mkdir -p /run/network
		printf '\n# by hand\nauto host0\niface host0 inet static\n\taddress 192.168.77.10/24\n\tgateway 192.168.77.1\n\tmtu 9000\n' >> /etc/network/interfaces
		ifup host0`, "ip addr show dev host0 | grep -q 192.168.77.10/24"},
	{"NetworkManager", toNetworkd + `printf '[main]\nplugins=keyfile\nno-auto-default=*\n[keyfile]\nunmanaged-devices=interface-name:lan0\n[device]\nmanaged=1\n' > /etc/NetworkManager/conf.d/10-test.conf
		printf '[connection]\nid=lan\nuuid=5f8c6a4e-0d5c-4f7a-9b1e-2d3c4b5a6978\ntype=ethernet\ninterface-name=host0\n\n[ethernet]\nmtu=9000\n\n[ipv4]\nmethod=manual\naddress1=192.168.77.10/24,192.168.77.1\n' > /etc/NetworkManager/system-connections/lan.nmconnection
		chmod 600 /etc/NetworkManager/system-connections/lan.nmconnection
		systemctl start NetworkManager`, "nmcli -t -f DEVICE,STATE device | grep -q '^host0:connected'"},
}

// firewall is one of three; only one can be on at a time.
type firewall struct {
	id     string
	on     string // switches it on
	answer string // fails while its rules are in force
	again  string // would bring it back, as a start of the system or a program that wants it does
}

var firewalls = []firewall{
	{"nftables", "systemctl enable --now nftables", "! nft list table inet filter", "systemctl start nftables"},
	{"ufw", "ufw allow 22/tcp && ufw --force enable", "! iptables -S ufw-user-input", "systemctl restart ufw && iptables -S ufw-user-input"},
	{"firewalld", "firewall-offline-cmd --add-port=445/tcp && systemctl enable --now firewalld", "! nft list table inet firewalld", "busctl call org.fedoraproject.FirewallD1 / org.freedesktop.DBus.Peer Ping"},
}

// E1 to E13, on real programs, each firewall with another network stack: set
// back, undone to the byte; set back again, and restored from what was saved
// before (R6).
func TestEverySetting(t *testing.T) {
	root := image(t)
	present := map[string]bool{}
	for i, f := range firewalls {
		t.Run(f.id+" and "+stacks[i].id, func(t *testing.T) {
			c := boot(t, root)
			for _, a := range everySetting(t, c, f, stacks[i], i > 0) {
				present[a.ID()] = true
			}
		})
	}
	for _, a := range adapters(&container{}, false) {
		if !present[a.ID()] {
			t.Errorf("%s was not present in any image, so nothing was shown of it", a.ID())
		}
	}
}

// everySetting does it on one system, and returns what was present there. The
// undo, to the byte, is shown where keys are not kept.
func everySetting(t *testing.T, c *container, f firewall, s stack, keepKeys bool) []setting.Adapter {
	prepare(t, c, f, s)
	all := here(t, c, keepKeys)
	doors := doors(f)
	before, filesBefore := settings(t, all), files(t, c)
	for _, d := range closed(t, c, doors) {
		t.Errorf("before: %s is shut already, so nothing would be shown", d)
	}
	snapshot := save(t, all)

	steps := carryOut(t, all)
	after := settings(t, all)
	if shut := closed(t, c, doors); len(shut) != len(doors) {
		t.Errorf("after: only %q of what was in the way is gone", shut)
	}
	for _, again := range []string{"systemctl start fail2ban", "systemctl start keepalived", "systemctl start libvirtd-tcp.socket", f.again} {
		if out, back := c.sh(t, again); back {
			t.Errorf("what was switched off is back after %q: %s", again, out)
		}
	}
	if !keepKeys {
		undo(t, c, all, steps, before, filesBefore, doors)
		carryOut(t, all)
	}
	restored := restore(t, c, all, snapshot, before, filesBefore, doors, keepKeys)
	report(t, f.id+" and "+s.id, before, after, restored)
	return all
}

func carryOut(t *testing.T, all []setting.Adapter) []reset.Step {
	t.Helper()
	steps := steps(t, all)
	each(t, all, steps, "persist", setting.Adapter.Persist)
	each(t, all, steps, "activate", setting.Adapter.Activate)
	each(t, all, steps, "verify", setting.Adapter.Verify)
	return steps
}

func undo(t *testing.T, c *container, all []setting.Adapter, steps []reset.Step, before nas.Settings, filesBefore map[string]string, doors []door) {
	t.Helper()
	slices.Reverse(steps)
	each(t, all, steps, "undo", setting.Adapter.Undo)
	each(t, all, steps, "activate the old", setting.Adapter.Activate)
	c.until(t, "what was undone does not come back", func() bool { return equal(before, settings(t, all)) && len(closed(t, c, doors)) == 0 })
	if diff := difference(filesBefore, files(t, c)); diff != "" {
		t.Errorf("files are not as they were:\n%s", diff)
	}
}

// save is what a snapshot holds of each setting.
func save(t *testing.T, all []setting.Adapter) map[string]json.RawMessage {
	t.Helper()
	saved := map[string]json.RawMessage{}
	for _, a := range all {
		k, ok := a.(setting.Keeper)
		if !ok {
			continue
		}
		raw, err := k.Save(t.Context())
		if err != nil {
			t.Fatalf("save %s: %v", a.ID(), err)
		}
		saved[a.ID()] = raw
	}
	return saved
}

// restore brings back what was saved: everything but the administrator's
// password and the counted failures, and encrypted folders whose key is gone.
func restore(t *testing.T, c *container, all []setting.Adapter, snapshot map[string]json.RawMessage, before nas.Settings, filesBefore map[string]string, doors []door, keepKeys bool) nas.Settings {
	t.Helper()
	var steps []reset.Step
	for _, a := range all {
		k, ok := a.(setting.Keeper)
		if !ok {
			continue
		}
		s, err := k.PrepareRestore(t.Context(), snapshot[a.ID()])
		if a.ID() == encrypted.ID && !keepKeys {
			if !errors.Is(err, setting.ErrSaved) {
				t.Errorf("encrypted folders without their key: %v, %v", s, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("prepare a restore of %s: %v", a.ID(), err)
		}
		steps = append(steps, s...)
	}
	each(t, all, steps, "persist the restore", setting.Adapter.Persist)
	each(t, all, steps, "activate the restore", setting.Adapter.Activate)
	each(t, all, steps, "verify the restore", setting.Adapter.Verify)

	gone := []string{"the old SMB password", "counted failures"}
	want := before.Clone()
	if !keepKeys {
		gone = append(gone, "an encrypted folder")
		want.EncryptedFolders = settings(t, all).EncryptedFolders
	}
	var now nas.Settings
	var shut []string
	c.until(t, "what was restored does not come back", func() bool {
		now, shut = settings(t, all), closed(t, c, doors)
		return equal(want, now) && slices.Equal(shut, gone) || t.Failed()
	})
	if !equal(want, now) || !slices.Equal(shut, gone) {
		t.Errorf("restored: %q are shut, want %q", shut, gone)
	}
	filesNow := files(t, c)
	for _, own := range []string{"/etc/shadow", "/etc/keys/papers", "/etc/keys/vault", "/etc/crypttab", "/etc/fstab"} {
		if own == "/etc/shadow" || !keepKeys {
			filesBefore[own] = filesNow[own]
		}
	}
	for name, was := range filesBefore {
		if was == "" {
			delete(filesBefore, name)
		}
	}
	if diff := difference(filesBefore, filesNow); diff != "" {
		t.Errorf("after the restore, files are not as they were:\n%s", diff)
	}
	return now
}

// prepare brings about what an image cannot hold.
func prepare(t *testing.T, c *container, f firewall, s stack) {
	t.Helper()
	c.must(t, s.on)
	c.until(t, s.id+" did not come up", func() bool { _, ok := c.sh(t, s.up); return ok })
	c.must(t, "systemctl restart keepalived")
	c.must(t, f.on)
	c.until(t, "the firewall did not come up", func() bool { _, open := c.sh(t, f.answer); return !open })
	c.until(t, "fail2ban did not come up", func() bool { _, ok := c.sh(t, "fail2ban-client ping"); return ok })
	c.must(t, "fail2ban-client set sshd banip 192.0.2.7")
	_, _ = c.sh(t, `su ben -c "echo wrong | su anna -c true"`)
	c.must(t, "test -s /run/faillock/anna")
	c.until(t, "the shared address did not come up", func() bool { _, ok := c.sh(t, "ip addr show dev host0 | grep -q 192.168.77.50/24"); return ok })
	c.until(t, "the encrypted folder was not opened", func() bool { _, ok := c.sh(t, "findmnt /srv/papers"); return ok })
	c.until(t, "Samba did not come up", func() bool { _, ok := c.sh(t, "smbclient //127.0.0.1/data -U % -c ls"); return ok })
}

// door is something that a reset shuts or takes away: the command succeeds
// while it is there.
type door struct{ name, there string }

func doors(f firewall) []door {
	return []door{
		{"firewall", strings.TrimPrefix(f.answer, "! ")},
		{"a guest in a share", "smbclient //127.0.0.1/data -U % -c ls"},
		{"the old SMB password", "smbclient -L 127.0.0.1 -U 'anna%old anna password'"},
		{"fail2ban", "fail2ban-client ping"},
		{"counted failures", "test -s /run/faillock/anna"},
		{"the cluster's address", "ip addr show dev host0 | grep -q 192.168.77.50/24"},
		{"libvirt for other hosts", "ss -ltn | grep -q :16509"},
		{"Cockpit at another port", "ss -ltn | grep -q :8443"},
		{"an encrypted folder", "findmnt /srv/papers"},
		{"a second factor", "test -e /home/anna/.google_authenticator"},
	}
}

func closed(t *testing.T, c *container, doors []door) (names []string) {
	t.Helper()
	for _, d := range doors {
		if _, there := c.sh(t, d.there); !there {
			names = append(names, d.name)
		}
	}
	return names
}

// here are the adapters that have something in this system.
func here(t *testing.T, c *container, keepKeys bool) (all []setting.Adapter) {
	t.Helper()
	for _, a := range adapters(c, keepKeys) {
		found, err := a.Detect(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", a.ID(), err)
		}
		if found.Present {
			all = append(all, a)
		} else {
			t.Logf("%s: not present: %s", a.ID(), found.Why)
		}
	}
	if len(all) == 0 {
		t.Fatal("nothing at all is present")
	}
	return all
}

func settings(t *testing.T, all []setting.Adapter) nas.Settings {
	t.Helper()
	var s nas.Settings
	for _, a := range all {
		if err := a.Read(t.Context(), &s); err != nil {
			t.Fatalf("%s: %v", a.ID(), err)
		}
	}
	return s
}

func equal(a, b nas.Settings) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}

// steps go through JSON, as through the journal.
func steps(t *testing.T, all []setting.Adapter) []reset.Step {
	t.Helper()
	var steps []reset.Step
	for _, a := range all {
		s, err := a.Prepare(t.Context(), everything)
		if err != nil {
			t.Fatalf("%s: %v", a.ID(), err)
		}
		steps = append(steps, s...)
	}
	data, err := json.Marshal(steps)
	if err != nil {
		t.Fatal(err)
	}
	var back []reset.Step
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	return back
}

func each(t *testing.T, all []setting.Adapter, steps []reset.Step, what string, do func(setting.Adapter, context.Context, reset.Step) error) {
	t.Helper()
	for _, s := range steps {
		i := slices.IndexFunc(all, func(a setting.Adapter) bool { return a.ID() == s.Adapter })
		if err := do(all[i], t.Context(), s); err != nil {
			t.Errorf("%s of %s: %v", what, s.Name, err)
		}
	}
}

// files are those that hold settings, with owner, mode and checksum.
func files(t *testing.T, c *container) map[string]string {
	t.Helper()
	fsys, all := c.FS(), map[string]string{}
	base := filepath.Join("/proc", c.leader, "root")
	for _, dir := range []string{"/etc", "/home", "/var/lib/paperclip"} {
		err := filepath.WalkDir(filepath.Join(base, dir), func(name string, d fs.DirEntry, err error) error {
			if os.IsNotExist(err) || err == nil && d.IsDir() {
				return nil
			}
			if err != nil {
				return err
			}
			inside := path.Join("/", strings.TrimPrefix(name, base))
			if path.Dir(inside) == authenticator.Kept { // stays, for its owner to have back
				return nil
			}
			a, err := fsys.Attributes(inside)
			if err != nil {
				return err
			}
			content, _ := os.Readlink(name)
			if d.Type().IsRegular() {
				data, err := fsys.ReadFile(inside)
				if err != nil {
					return err
				}
				content = fmt.Sprintf("%x", sha256.Sum256(data))
			}
			all[inside] = fmt.Sprintf("%v %d:%d %v %s", a.Mode, a.UID, a.GID, a.Xattrs, content)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func difference(before, after map[string]string) string {
	var lines []string
	for name, was := range before {
		if is := after[name]; is != was {
			lines = append(lines, fmt.Sprintf("%s\n  was %s\n  is  %s", name, was, is))
		}
	}
	for name, is := range after {
		if _, known := before[name]; !known {
			lines = append(lines, fmt.Sprintf("%s\n  was not there\n  is  %s", name, is))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// report prints each row before, after and after the way back.
func report(t *testing.T, name string, before, after, restored nas.Settings) {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "row\tsetting\tbefore\tafter\tafter restore")
	for _, e := range nas.Effects() {
		say := func(s nas.Settings) string {
			if e == nas.E1 {
				a, _ := s.Account(administrator)
				return fmt.Sprintf("%s, enabled %t", a.Name, a.Enabled)
			}
			if d := reset.Describe(e, s, administrator); d != "" {
				return d
			}
			return "none here"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", e, e.Setting(), say(before), say(after), say(restored))
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Logf("E1 to E13 with %s:\n%s", name, text.String())

	if len(before.Interfaces) != 1 || len(after.Interfaces) != 1 {
		t.Fatalf("interfaces %+v, then %+v", before.Interfaces, after.Interfaces)
	}
	for e, want := range map[nas.Effect]bool{
		nas.E2: before.Guest.Enabled && !after.Guest.Enabled,
		nas.E4: before.Interfaces[0].Method == nas.Static && after.Interfaces[0].Method == nas.DHCP,
		nas.E5: before.Interfaces[0].MTU == 9000 && after.Interfaces[0].MTU == 1500,
		nas.E6: before.PPPoE.Enabled && !after.PPPoE.Enabled,
		nas.E8: before.AutoBlock.Enabled && !after.AutoBlock.Enabled &&
			slices.Contains(before.AutoBlock.Blocked, "192.0.2.7") && slices.Equal(before.AutoBlock.Blocked, after.AutoBlock.Blocked),
		nas.E9:  before.Firewall.Enabled && !after.Firewall.Enabled && before.Firewall.Rules > 0 && before.Firewall.Rules == after.Firewall.Rules,
		nas.E10: before.HighAvailability.Member && !after.HighAvailability.Member,
		nas.E12: opened(before.EncryptedFolders) && !opened(after.EncryptedFolders),
		nas.E11: before.VirtualMachines.Member && !after.VirtualMachines.Member,
	} {
		if !want {
			t.Errorf("%s (%s) is not as a reset leaves it", e, e.Setting())
		}
	}
}

// opened reports whether a folder is open, or would be at the next start.
func opened(all []nas.EncryptedFolder) bool {
	return slices.ContainsFunc(all, func(f nas.EncryptedFolder) bool { return f.Mounted || f.MountOnStart })
}
