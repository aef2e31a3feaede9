package crash

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/authenticator"
	"github.com/paperclip-nas/paperclip/internal/device/setting/cockpit"
	"github.com/paperclip-nas/paperclip/internal/device/setting/encrypted"
	"github.com/paperclip-nas/paperclip/internal/device/setting/fail2ban"
	"github.com/paperclip-nas/paperclip/internal/device/setting/faillock"
	"github.com/paperclip-nas/paperclip/internal/device/setting/firewalld"
	"github.com/paperclip-nas/paperclip/internal/device/setting/guest"
	"github.com/paperclip-nas/paperclip/internal/device/setting/hostname"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ifupdown"
	"github.com/paperclip-nas/paperclip/internal/device/setting/keepalived"
	"github.com/paperclip-nas/paperclip/internal/device/setting/libvirt"
	"github.com/paperclip-nas/paperclip/internal/device/setting/memory"
	"github.com/paperclip-nas/paperclip/internal/device/setting/networkd"
	"github.com/paperclip-nas/paperclip/internal/device/setting/networkmanager"
	"github.com/paperclip-nas/paperclip/internal/device/setting/nftables"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ports"
	"github.com/paperclip-nas/paperclip/internal/device/setting/pppoe"
	"github.com/paperclip-nas/paperclip/internal/device/setting/samba"
	"github.com/paperclip-nas/paperclip/internal/device/setting/samba/sambatest"
	"github.com/paperclip-nas/paperclip/internal/device/setting/shadow"
	"github.com/paperclip-nas/paperclip/internal/device/setting/shares"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ufw"
	"github.com/paperclip-nas/paperclip/internal/device/setting/unit"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/opfs/crashfs"
)

const (
	stateDir = "/var/lib/paperclip"
	anna     = "anna" // the administrator who is locked out

	oldPassword = "what anna had forgotten"
	newPassword = "violet tractor 9 gulls"
)

// kind is a sort of NAS to cut the power of.
type kind struct {
	name string
	// files is what is on the disk before.
	files func(testing.TB) map[string]string
	// start is the rest of the system coming up: what it keeps in /run.
	start func(*crashfs.Disk)
	// adapters are over the disk and over the running system on it.
	adapters func(*crashfs.Disk) ([]setting.Adapter, core.Accounts, error)
	// opens are the passwords with which each account may be open; one that is
	// not named stays as it was.
	opens map[string][]string
	// wayIn: an administrator can always sign in (X24), at every moment.
	wayIn bool
}

// linux is a Debian NAS: the real adapters over files, with stand-ins for the
// programs that they run.
func linux() kind {
	return kind{name: "linux", files: linuxFiles, start: startLinux, opens: annas(), adapters: func(d *crashfs.Disk) ([]setting.Adapter, core.Accounts, error) {
		return accounted(linuxAdapters(d, programs{d}, false))
	}}
}

// keeping is the same, whose owner keeps sealed keys: what was encrypted can be
// put back after a reset.
func keeping() kind {
	k := linux()
	k.adapters = func(d *crashfs.Disk) ([]setting.Adapter, core.Accounts, error) {
		return accounted(linuxAdapters(d, programs{d}, true))
	}
	return k
}

// annas is a NAS on which Anna alone may get in, with her new password.
func annas() map[string][]string { return map[string][]string{anna: {newPassword}} }

// taking is a NAS that gets a new administrator, who alone may get in.
func taking(k kind) kind {
	k.opens = map[string][]string{newcomer: {newPassword}}
	return k
}

// accounted adds who of the adapters knows the accounts.
func accounted(all []setting.Adapter) ([]setting.Adapter, core.Accounts, error) {
	for _, a := range all {
		if known, ok := a.(core.Accounts); ok {
			return all, known, nil
		}
	}
	return nil, nil, errors.New("no adapter knows the accounts")
}

func linuxAdapters(d opfs.FS, run opfs.Runner, keepKeys bool) []setting.Adapter {
	systemd := unit.System{FS: d, Runner: run}
	return []setting.Adapter{
		shadow.New(shadow.Config{FS: d, Clock: clock.System(), Rand: rand.Reader}),
		samba.New(samba.Config{Runner: run, Clock: clock.System()}),
		hostname.New(hostname.Config{FS: d, Runner: run}), guest.New(systemd), shares.New(systemd, baseline(d)),
		ports.New(d, func(context.Context, nas.Ports) error { return nil }),
		cockpit.New(d, run), pppoe.New(d, run),
		fail2ban.New(systemd), ufw.New(d, run), firewalld.New(systemd), nftables.New(systemd), keepalived.New(systemd), libvirt.New(systemd),
		faillock.New(d), encrypted.New(systemd, keepKeys),
		authenticator.New(d, run, func(r setting.Request) bool {
			return r.SecondFactor || r.Scope == reset.All // as if a second proof had come with that
		}),
		networkd.New(networkd.Config{FS: d, Runner: run}),
	}
}

// baseline is what was shared when the device first started.
func baseline(d opfs.FS) shares.Baseline {
	return func() json.RawMessage {
		b, err := core.Baseline(d, stateDir)
		if err != nil {
			return nil
		}
		return b.Sections[shares.ID]
	}
}

// Ben and root are locked, each in his way; Anna's account is locked and has
// expired, which a reset lifts.
func linuxFiles(testing.TB) map[string]string {
	return map[string]string{
		"/etc/passwd":            "root:x:0:0::/root:/bin/sh\nanna:x:1000:1000::/home/anna:/bin/sh\nben:x:1001:1001::/home/ben:/bin/sh\ncleo:x:1002:1002::/home/cleo:/bin/sh\n",
		"/etc/group":             "sudo:x:27:anna\n",
		"/etc/shadow":            "root:*:19000:0:99999:7:::\n# kept\nanna:!$6$somesaltsomesalt$OldHash:19000:0:99999:7::10000:\nben:!$6$x$BensHash:19000:0:99999:7:::\ncleo:$6$y$CleosHash:19000:0:99999:7:::\nguest:$6$z$GuestsHash:19000:0:99999:7:::\n",
		"/etc/gshadow":           "sudo:*::anna\n",
		"/etc/login.defs":        "UID_MIN 1000\nUID_MAX 60000\n",
		shadow.Homes + "/.ready": "",
		"/etc/samba/smb.conf":    "# the owner's\n[global]\n   map to guest = Bad User\n[music]\n   guest ok = yes\n",
		"/etc/ufw/ufw.conf":      "# the owner's\nENABLED=yes\nLOGLEVEL=low\n",
		"/etc/nftables.conf":     "table inet filter {\n}\n",
		"/etc/samba/smb.conf.passdb": "anna:1000:XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX:5C54B3EE4C8287D5A795C0A58FE8201A:[U          ]:LCT-6B028451:\n" +
			"ben:1001:XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX:A9F0DD57E1EDAB5BB55A9AC0A99C15EC:[DU         ]:LCT-6B028451:\n",
		"/etc/systemd/network/10-lan.network": "[Match]\nName=eth0\n[Network]\nAddress=192.168.77.5/24\n",
		"/etc/systemd/network/10-two.network": "[Match]\nName=eth1\n[Network]\nAddress=192.168.78.5/24\n",
		"/etc/paperclip/ports.toml":           "http = 80\nforce_https = true\n",
		"/sys/class/net/eth0/type":            "1\n",
		"/sys/class/net/eth0/ifindex":         "2\n",
		"/sys/class/net/eth0/device/vendor":   "\n",
		"/sys/class/net/eth1/type":            "1\n",
		"/sys/class/net/eth1/ifindex":         "3\n",
		"/sys/class/net/eth1/device/vendor":   "\n",
		"/srv/music/song":                     "data that no reset touches",
		"/etc/hostname":                       "cellar\n",
		"/etc/hosts":                          "127.0.0.1 localhost\n127.0.1.1 cellar.example.org cellar\n",

		"/usr/lib/systemd/system/cockpit.socket":           "[Socket]\nListenStream=9090\n",
		"/etc/systemd/system/cockpit.socket.d/listen.conf": "# closer to the web\n[Socket]\nListenStream=\nListenStream=443\nFreeBind=yes\n",
		"/etc/ppp/peers/dsl-provider":                      "plugin pppoe.so\nnic-eth0\nuser \"anna\"\n",
		"/etc/pam.d/sshd":                                  "auth required pam_faillock.so\nauth required pam_google_authenticator.so nullok\n",
		"/etc/security/faillock.conf":                      "dir = /var/lib/faillock\n",
		"/var/lib/faillock/anna":                           strings.Repeat("counted", 9),
		"/home/anna/.google_authenticator":                 "JBSWY3DPEHPK3PXP\n",
		"/etc/crypttab":                                    "vault /dev/sdb1 /etc/keys/vault luks\n",
		"/etc/fstab":                                       "/dev/mapper/vault /srv/vault ext4 nofail 0 2\n/srv/papers.enc /srv/papers fuse.gocryptfs passfile=/etc/keys/papers 0 0\n",
		"/etc/keys/vault":                                  "the key of a disk",
		"/etc/keys/papers":                                 "the key of a folder",
	}
}

// units are the services that run.
func units() []string {
	return []string{"smbd.service", "fail2ban.service", "firewalld.service", "nftables.service", "keepalived.service", "libvirtd-tcp.socket"}
}

// startLinux is the system coming up: each interface follows the first file for
// it, each service runs that is not masked.
func startLinux(d *crashfs.Disk) {
	d.Wipe("/run")
	put(d, "/run/masks/none", "")
	put(d, "/run/hostname", hostname.Load(d))
	reconfigure(d)
	for _, name := range units() {
		load(d, name)
		put(d, running(name), fmt.Sprint(!exists(d, loadedMask(name))))
	}
	ufw, _ := d.ReadFile("/etc/ufw/ufw.conf")
	put(d, "/run/ufw", fmt.Sprint(bytes.Contains(ufw, []byte("ENABLED=yes"))))
}

// reconfigure is "networkctl reload".
func reconfigure(d *crashfs.Disk) {
	put(d, "/run/systemd/netif/state", "")
	for i, own := range []string{"10-lan.network", "10-two.network"} {
		nic := fmt.Sprint("eth", i)
		file := networkd.Directory + "/" + own
		if reset := networkd.Directory + "/05-paperclip-reset-" + nic + ".network"; exists(d, reset) {
			file = reset
		}
		put(d, fmt.Sprint("/run/systemd/netif/links/", i+2), "ADMIN_STATE=configured\nNETWORK_FILE="+file+"\n")
	}
}

func running(unit string) string    { return "/run/units/" + unit }
func loadedMask(unit string) string { return "/run/masks/" + unit }

// load is systemd reading whether a unit is masked.
func load(d *crashfs.Disk, name string) {
	d.Wipe(loadedMask(name))
	if exists(d, unit.File(name)) {
		put(d, loadedMask(name), "")
	}
}

func put(d *crashfs.Disk, path, content string) {
	d.Put(path, crashfs.File{Data: []byte(content), Attributes: opfs.Attributes{Mode: 0o640, UID: 0, GID: 42}})
}

func exists(d *crashfs.Disk, path string) bool {
	_, err := d.Lstat(path)
	return err == nil
}

// programs stand in for Samba's tools, networkctl, systemctl, ufw and nft. What
// they write is on the disk too, and so are the places within it.
type programs struct{ disk *crashfs.Disk }

func (p programs) Run(_ context.Context, op string, c opfs.Command) (out opfs.Output, err error) {
	err = p.disk.Around(op, func() error {
		switch {
		case c.Path == "networkctl":
			reconfigure(p.disk)
		case c.Path == "pdbedit" || strings.HasPrefix(op, samba.ID+"."):
			var stdout, stderr bytes.Buffer
			out.ExitCode = sambatest.ToolOn(p.disk, op, append([]string{c.Path}, c.Args...), bytes.NewReader(c.Stdin), &stdout, &stderr)
			out.Stdout, out.Stderr = stdout.Bytes(), stderr.Bytes()
		case c.Path == "systemctl":
			out.Stdout = []byte(p.systemctl(c.Args[0], c.Args[len(c.Args)-1]))
		case c.Path == "ufw":
			out.Stdout = []byte(p.ufw(c.Args[len(c.Args)-1]))
		case c.Path == "systemd-run":
			p.outside(c.Args[slices.Index(c.Args, "--")+1:])
		case c.Path == "hostnamectl" && len(c.Args) == 3:
			put(p.disk, "/run/hostname", c.Args[2])
		case c.Path == "hostnamectl":
			out.Stdout, _ = p.disk.ReadFile("/run/hostname")
		case c.Path == "nft":
			if runs, _ := p.disk.ReadFile(running("nftables.service")); string(runs) == "true" {
				out.Stdout = []byte("table inet filter\n")
			}
		default:
			return fmt.Errorf("%s: %w", c.Path, opfs.ErrNoCommand)
		}
		return nil
	})
	return out, err
}

// outside is what package authenticator has done in a home directory.
func (p programs) outside(args []string) {
	if args[0] == "/usr/bin/rm" {
		p.disk.Wipe(args[len(args)-1])
		return
	}
	data, _ := p.disk.ReadFile(args[4])
	put(p.disk, args[5], string(data))
}

func (p programs) systemctl(verb, name string) string {
	switch verb {
	case "show":
		if !slices.Contains(units(), name) {
			return "LoadState=not-found\nUnitFileState=\nActiveState=inactive\n"
		}
		load, file, active := "loaded", "enabled", "inactive"
		if exists(p.disk, loadedMask(name)) {
			load, file = "masked", "masked"
		}
		if runs, _ := p.disk.ReadFile(running(name)); string(runs) == "true" {
			active = "active"
		}
		return fmt.Sprintf("LoadState=%s\nUnitFileState=%s\nActiveState=%s\n", load, file, active)
	case "daemon-reload":
		for _, name := range units() {
			load(p.disk, name)
		}
	case "start", "stop":
		put(p.disk, running(name), fmt.Sprint(verb == "start"))
	}
	return ""
}

func (p programs) ufw(verb string) string {
	switch verb {
	case "disable", "enable":
		put(p.disk, "/run/ufw", fmt.Sprint(verb == "enable"))
	case "status":
		if active, _ := p.disk.ReadFile("/run/ufw"); string(active) == "true" {
			return "Status: active\n"
		}
		return "Status: inactive\n"
	}
	return ""
}

const memoryFile = "/etc/settings.json"

// virtual is a NAS of the lab, which has every row.
func virtual() kind {
	return kind{name: "virtual", files: virtualFiles, start: func(*crashfs.Disk) {}, opens: annas(), adapters: func(d *crashfs.Disk) ([]setting.Adapter, core.Accounts, error) {
		st, err := memory.Open(d, memoryFile)
		if err != nil {
			return nil, nil, err
		}
		return st.Adapters(), st, nil
	}}
}

func virtualFiles(t testing.TB) map[string]string {
	hash := memoryHash(t, oldPassword)
	return map[string]string{memoryFile: stored(t, memory.State{
		Version: 1,
		Settings: nas.Settings{
			Name:   "cellar",
			Shares: &nas.Shares{Defined: []string{"photos"}, Baseline: []string{}, Changed: true},
			Accounts: []nas.Account{
				{Name: anna, Administrator: true},
				{Name: "root", Administrator: true, BuiltIn: true},
				{Name: "cleo", Enabled: true},
			},
			Guest:      &nas.Guest{Enabled: true},
			Ports:      &nas.Ports{HTTP: 8080, HTTPS: 8443, ForceHTTPS: true},
			Interfaces: []nas.Interface{{Name: "eth0", Method: nas.Static, MTU: 9000, Addresses: []netip.Prefix{netip.MustParsePrefix("192.168.1.20/24")}}},
			PPPoE:      &nas.PPPoE{Enabled: true, Interface: "eth0"},
			Bonds:      []nas.Bond{{Name: "bond0", Members: []string{"eth1", "eth2"}, Enabled: true}},
			AutoBlock:  &nas.AutoBlock{Enabled: true, Blocked: []string{"192.168.1.66"}},
			Firewall:   &nas.Firewall{Enabled: true, Rules: 3},
		},
		Hashes: map[string]string{anna: hash, "cleo": hash},
	})}
}

func memoryHash(t testing.TB, password string) string {
	t.Helper()
	hash, err := memory.Hash(rand.Reader, access.NewSecret(password))
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// stored is the file of a virtual NAS.
func stored(t testing.TB, s memory.State) string {
	t.Helper()
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data) + "\n"
}

func changedInMemory(t testing.TB, text string, change func(*memory.State)) string {
	t.Helper()
	var s memory.State
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	change(&s)
	return stored(t, s)
}

// install is the NAS before anything of ours has run on it.
func (k kind) install(t testing.TB, m crashfs.Model) *crashfs.Disk {
	d := crashfs.New(m)
	put(d, "/var/lib/dpkg/status", "")
	for path, content := range k.files(t) {
		put(d, path, content)
	}
	k.start(d)
	return d
}

// looks is every file of the system but the device's own state, with owner,
// mode and content. Directories do not count but for homes that are made, nor
// do lock files.
func looks(d *crashfs.Disk) string {
	var b strings.Builder
	for path, f := range d.Files("/") {
		if f.Data == nil && !strings.HasPrefix(path, shadow.Homes+"/") || strings.HasPrefix(path, stateDir+"/") || strings.HasPrefix(path, "/run/") || path == "/etc/.pwd.lock" {
			continue
		}
		fmt.Fprintf(&b, "%s %v %d:%d\n%s\n", path, f.Mode, f.UID, f.GID, f.Data)
	}
	return b.String()
}

// stubborn is an adapter whose verification never succeeds, so that everything
// goes back.
type stubborn struct{ setting.Keeper }

func (stubborn) Verify(context.Context, reset.Step) error {
	return fmt.Errorf("told to fail: %w", setting.ErrPermanent)
}

// refusing is one that cannot write: everything before it goes back.
type refusing struct{ setting.Keeper }

func (refusing) Persist(context.Context, reset.Step) error {
	return fmt.Errorf("told to fail: %w", setting.ErrPermanent)
}

// ending is how a reset is made to end.
type ending string

const (
	forward ending = "forward"
	verify  ending = "not verified"
	persist ending = "not persisted"
)

// parts are the adapters of a device that ends its resets so.
func (k kind) parts(d *crashfs.Disk, e ending) ([]setting.Adapter, core.Accounts, error) {
	all, known, err := k.adapters(d)
	if err != nil || e == forward {
		return all, known, err
	}
	for i, a := range all {
		last := slices.Contains([]string{networkd.ID, ifupdown.ID, networkmanager.ID, "memory.e7"}, a.ID())
		switch {
		case last && e == verify:
			all[i] = stubborn{a.(setting.Keeper)}
		case last && e == persist:
			all[i] = refusing{a.(setting.Keeper)}
		}
	}
	return all, known, nil
}

// config is the device on a disk.
func (k kind) config(d *crashfs.Disk, e ending) (core.Config, error) {
	all, known, err := k.parts(d, e)
	return core.Config{
		Name: "cellar", Model: "Linux NAS", Dir: stateDir, FS: d, Clock: clock.System(), Rand: rand.Reader, Adapters: all, Accounts: known,
	}, err
}
