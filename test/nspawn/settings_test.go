//go:build linux

package nspawn

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
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
	"github.com/paperclip-nas/paperclip/internal/device/setting/fail2ban"
	"github.com/paperclip-nas/paperclip/internal/device/setting/faillock"
	"github.com/paperclip-nas/paperclip/internal/device/setting/firewalld"
	"github.com/paperclip-nas/paperclip/internal/device/setting/guest"
	"github.com/paperclip-nas/paperclip/internal/device/setting/keepalived"
	"github.com/paperclip-nas/paperclip/internal/device/setting/libvirt"
	"github.com/paperclip-nas/paperclip/internal/device/setting/networkd"
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
func adapters(c *container) []setting.Adapter {
	system := unit.System{FS: c.FS(), Runner: c}
	return []setting.Adapter{
		shadow.New(shadow.Config{FS: c.FS(), Clock: clock.System(), Rand: rand.Reader}),
		samba.New(samba.Config{Runner: c, Clock: clock.System()}),
		guest.New(system),
		ports.New(c.FS(), nil),
		networkd.New(networkd.Config{FS: c.FS(), Runner: c, Virtual: true}),
		pppoe.New(c.FS(), c),
		fail2ban.New(system),
		faillock.New(c.FS()),
		nftables.New(system),
		ufw.New(c.FS(), c),
		firewalld.New(system),
		keepalived.New(system),
		libvirt.New(system),
		// As if a second proof had come with the request.
		authenticator.New(c.FS(), func(r setting.Request) bool { return r.Scope == reset.All }),
	}
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

// E1 to E13, on real programs: everything set back, and put back to the byte.
func TestEverySetting(t *testing.T) {
	root := image(t)
	present := map[string]bool{}
	var ids []string
	for _, f := range firewalls {
		t.Run(f.id, func(t *testing.T) {
			c := boot(t, root)
			for _, a := range everySetting(t, c, f) {
				present[a.ID()] = true
			}
			if ids == nil {
				for _, a := range adapters(c) {
					ids = append(ids, a.ID())
				}
			}
		})
	}
	for _, id := range ids {
		if !present[id] {
			t.Errorf("%s was not present in any image, so nothing was shown of it", id)
		}
	}
}

// everySetting does it on one system, and returns what was present there.
func everySetting(t *testing.T, c *container, f firewall) []setting.Adapter {
	prepare(t, c, f)
	all := here(t, c)
	doors := doors(f)
	before, filesBefore := settings(t, all), files(t, c)
	open := closed(t, c, doors)
	for _, d := range open {
		t.Errorf("before: %s is shut already, so nothing would be shown", d)
	}

	steps := steps(t, all)
	each(t, all, steps, "persist", setting.Adapter.Persist)
	each(t, all, steps, "activate", setting.Adapter.Activate)
	each(t, all, steps, "verify", setting.Adapter.Verify)
	after := settings(t, all)
	if shut := closed(t, c, doors); len(shut) != len(doors) {
		t.Errorf("after: only %q of what was in the way is gone", shut)
	}
	for _, again := range []string{"systemctl start fail2ban", "systemctl start keepalived", "systemctl start libvirtd-tcp.socket", f.again} {
		if out, back := c.sh(t, again); back {
			t.Errorf("what was switched off is back after %q: %s", again, out)
		}
	}

	slices.Reverse(steps)
	each(t, all, steps, "undo", setting.Adapter.Undo)
	each(t, all, steps, "activate the old", setting.Adapter.Activate)
	var undone nas.Settings
	c.until(t, "what was undone does not come back", func() bool {
		undone = settings(t, all)
		return equal(before, undone) && len(closed(t, c, doors)) == 0
	})
	if diff := difference(filesBefore, files(t, c)); diff != "" {
		t.Errorf("files are not as they were:\n%s", diff)
	}
	report(t, f, before, after, undone)
	return all
}

// prepare brings about what an image cannot hold.
func prepare(t *testing.T, c *container, f firewall) {
	t.Helper()
	c.must(t, f.on)
	c.until(t, "the firewall did not come up", func() bool { _, open := c.sh(t, f.answer); return !open })
	c.until(t, "fail2ban did not come up", func() bool { _, ok := c.sh(t, "fail2ban-client ping"); return ok })
	c.must(t, "fail2ban-client set sshd banip 192.0.2.7")
	_, _ = c.sh(t, `su ben -c "echo wrong | su anna -c true"`)
	c.must(t, "test -s /run/faillock/anna")
	c.until(t, "the shared address did not come up", func() bool { _, ok := c.sh(t, "ip addr show dev host0 | grep -q 192.168.77.50/24"); return ok })
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
func here(t *testing.T, c *container) (all []setting.Adapter) {
	t.Helper()
	for _, a := range adapters(c) {
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
func report(t *testing.T, f firewall, before, after, undone nas.Settings) {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "row\tsetting\tbefore\tafter\tput back")
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
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", e, e.Setting(), say(before), say(after), say(undone))
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Logf("E1 to E13 with the firewall of %s:\n%s", f.id, text.String())

	if len(before.Interfaces) != 1 || len(after.Interfaces) != 1 {
		t.Fatalf("interfaces %+v, then %+v", before.Interfaces, after.Interfaces)
	}
	for e, want := range map[nas.Effect]bool{
		nas.E2: before.Guest.Enabled && !after.Guest.Enabled,
		nas.E4: before.Interfaces[0].Method == nas.Static && after.Interfaces[0].Method == nas.DHCP,
		nas.E6: before.PPPoE.Enabled && !after.PPPoE.Enabled,
		nas.E8: before.AutoBlock.Enabled && !after.AutoBlock.Enabled &&
			slices.Contains(before.AutoBlock.Blocked, "192.0.2.7") && slices.Equal(before.AutoBlock.Blocked, after.AutoBlock.Blocked),
		nas.E9:  before.Firewall.Enabled && !after.Firewall.Enabled && before.Firewall.Rules > 0 && before.Firewall.Rules == after.Firewall.Rules,
		nas.E10: before.HighAvailability.Member && !after.HighAvailability.Member,
		nas.E11: before.VirtualMachines.Member && !after.VirtualMachines.Member,
	} {
		if !want {
			t.Errorf("%s (%s) is not as a reset leaves it", e, e.Setting())
		}
	}
}
