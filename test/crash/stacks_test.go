package crash

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ifupdown"
	"github.com/paperclip-nas/paperclip/internal/device/setting/networkmanager"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ports"
	"github.com/paperclip-nas/paperclip/internal/device/setting/shadow"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/opfs/crashfs"
)

// The same Debian NAS with one of the other network stacks: accounts, ports and
// the network, which is where they differ.

// only are some of the files of the NAS, and others.
func only(t testing.TB, more map[string]string) map[string]string {
	files := linuxFiles(t)
	maps.DeleteFunc(files, func(name, _ string) bool {
		return !strings.HasPrefix(name, "/sys/") && !slices.Contains([]string{"/etc/passwd", "/etc/group", "/etc/shadow", "/etc/paperclip/ports.toml", "/srv/music/song"}, name)
	})
	maps.Copy(files, more)
	return files
}

func withStack(d *crashfs.Disk, stack setting.Adapter) []setting.Adapter {
	return []setting.Adapter{
		shadow.New(shadow.Config{FS: d, Clock: clock.System(), Rand: rand.Reader}),
		ports.New(d, func(context.Context, nas.Ports) error { return nil }),
		stack,
	}
}

// ifupdowns has one interface set by hand, and a bond whose parts are in three
// files.
func ifupdowns() kind {
	files := func(t testing.TB) map[string]string {
		return only(t, map[string]string{
			"/usr/sbin/ifup": "", "/usr/sbin/dhclient": "",
			"/etc/network/interfaces":         "# by hand\nauto eth0\niface eth0 inet static\n\taddress 192.168.77.5/24\n\tmtu 9000\nsource /etc/network/interfaces.d/*\n",
			"/etc/network/interfaces.d/bond":  "auto bond0\niface bond0 inet static\n\taddress 10.0.0.2/24\n\tbond-mode 802.3ad\n",
			"/etc/network/interfaces.d/eth1":  "auto eth1\niface eth1 inet manual\n\tbond-master bond0\n",
			"/etc/network/interfaces.d/other": "iface eth9 inet static\n\taddress 10.9.9.9/8\n",
		})
	}
	start := func(d *crashfs.Disk) {
		d.Wipe("/run")
		up := "eth0=eth0\neth1=eth1\nlo=lo\n"
		if bond, _ := d.ReadFile("/etc/network/interfaces.d/bond"); bytes.HasPrefix(bond, []byte("auto bond0\n")) {
			up = "bond0=bond0\n" + up
		}
		put(d, "/run/network/ifstate", up)
	}
	return kind{name: "ifupdown", files: files, start: start, opens: annas(), adapters: func(d *crashfs.Disk) ([]setting.Adapter, core.Accounts, error) {
		return accounted(withStack(d, ifupdown.New(ifupdown.Config{FS: d, Runner: ifPrograms{d}})))
	}}
}

// ifPrograms stand in for systemctl, ip, and ifup and ifdown in a unit.
type ifPrograms struct{ disk *crashfs.Disk }

func (p ifPrograms) Run(_ context.Context, op string, c opfs.Command) (out opfs.Output, err error) {
	err = p.disk.Around(op, func() error {
		name := c.Args[len(c.Args)-1]
		state, _ := p.disk.ReadFile("/run/network/ifstate")
		up := slices.DeleteFunc(strings.Fields(string(state)), func(s string) bool { return s == name+"="+name })
		note := func(up []string) {
			slices.Sort(up)
			put(p.disk, "/run/network/ifstate", strings.Join(up, "\n")+"\n")
		}
		switch {
		case c.Path == "systemctl" && c.Args[0] == "is-active":
			out.ExitCode, out.Stdout = 3, []byte("inactive\n")
		case slices.Contains(c.Args, "ifup"):
			note(append(up, name+"="+name))
		case slices.Contains(c.Args, "ifdown"):
			note(up)
		}
		return nil
	})
	return out, err
}

// managers has NetworkManager with one connection set by hand, and a bond of
// one port, each in a file of its own.
func managers() kind {
	dir := networkmanager.Directory + "/"
	files := func(t testing.TB) map[string]string {
		return only(t, map[string]string{
			dir + "aaaa-1": "# the office\n[connection]\nuuid=aaaa-1\ntype=ethernet\ninterface-name=eth0\n\n[ethernet]\nmtu=9000\n\n[802-1x]\npassword=secret\n\n[ipv4]\nmethod=manual\naddress1=192.168.77.5/24\n",
			dir + "bbbb-0": "[connection]\nuuid=bbbb-0\ntype=bond\ninterface-name=bond0\n\n[ipv4]\nmethod=manual\naddress1=10.0.0.2/24\n",
			dir + "bbbb-1": "[connection]\nuuid=bbbb-1\ntype=ethernet\ninterface-name=eth1\nmaster=bbbb-0\nslave-type=bond\n",
		})
	}
	start := func(d *crashfs.Disk) {
		d.Wipe("/run")
		put(d, "/run/NetworkManager/pid", "1")
	}
	return kind{name: "NetworkManager", files: files, start: start, opens: annas(), adapters: func(d *crashfs.Disk) ([]setting.Adapter, core.Accounts, error) {
		return accounted(withStack(d, networkmanager.New(networkmanager.Config{FS: d, Runner: nmPrograms{d}})))
	}}
}

// nmPrograms stand in for nmcli, which says what the files say.
type nmPrograms struct{ disk *crashfs.Disk }

func (p nmPrograms) Run(_ context.Context, op string, c opfs.Command) (out opfs.Output, err error) {
	err = p.disk.Around(op, func() error {
		args, last := strings.Join(c.Args, " "), c.Args[len(c.Args)-1]
		profile, _ := p.disk.ReadFile(networkmanager.Directory + "/" + last)
		switch {
		case strings.Contains(args, "device status"):
			out.Stdout = []byte("eth0:connected:aaaa-1\neth1:connected:bbbb-1\n")
		case strings.HasSuffix(args, "FILENAME connection show"):
			for _, row := range [][3]string{{"aaaa-1", "802-3-ethernet", "eth0"}, {"bbbb-0", "bond", ""}, {"bbbb-1", "802-3-ethernet", "eth1"}} {
				out.Stdout = fmt.Appendf(out.Stdout, "%s:%s:%s:%s/%[1]s\n", row[0], row[1], row[2], networkmanager.Directory)
			}
		case strings.Contains(args, "ipv4.method"):
			out.Stdout = []byte(map[bool]string{true: "manual\n", false: "auto\n"}[strings.Contains(string(profile), "method=manual")])
		case strings.Contains(args, "connection.autoconnect"):
			out.Stdout = []byte(map[bool]string{true: "no\n", false: "yes\n"}[strings.Contains(string(profile), "autoconnect=false")])
		}
		return nil
	})
	return out, err
}
