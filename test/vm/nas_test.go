//go:build linux

package vm

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/button"
)

// The accounts of the guest (customize.sh).
const (
	oldPassword = "old anna password"
	benPassword = "ben keeps this one"
)

// patience is how long is waited for what must come, on a loaded machine under emulation.
const patience = 3 * time.Minute

// configuration is what an owner of this board writes: its reset button sits on a keyboard, which
// paperclipd takes only when it is named.
const configuration = `
[device]
volumes = ["/srv"]

[panel]
button = "/dev/input/by-path/platform-i8042-serio-0-event-kbd"
`

// nas is a NAS with paperclipd on a LAN, and who is around it.
type nas struct {
	*Machine
	built Built
	lan   *LAN
	dir   string
}

// programs builds what is to be tested, once a test; without PAPERCLIP_VM=1 it skips.
func programs(t *testing.T, ctx context.Context) Built {
	t.Helper()
	if os.Getenv("PAPERCLIP_VM") != "1" {
		t.Skip("boots a virtual machine, as root: run make test-vm")
	}
	if os.Getuid() != 0 {
		t.Skip("needs root, for network namespaces and a disk image: run make test-vm as root")
	}
	built, err := Build(ctx, filepath.Join("..", ".."), t.TempDir())
	check(t, err)
	return built
}

// boot makes a LAN and a NAS on it, as Debian has it, nothing of ours installed.
func boot(t *testing.T, ctx context.Context, built Built) *nas {
	t.Helper()
	c := site(t, ctx, built)
	m, err := Create(ctx, c)
	check(t, err)
	n := &nas{Machine: m, built: built, lan: c.LAN, dir: c.Dir}
	t.Cleanup(func() { check(t, m.Cut()) })
	n.running(t, ctx)
	return n
}

// twin is a second NAS, as this one was when it was saved, on a LAN of its own.
func (n *nas) twin(t *testing.T, ctx context.Context, saved string) *nas {
	t.Helper()
	c := site(t, ctx, n.built)
	m, err := n.Clone(ctx, c, saved)
	check(t, err)
	t.Cleanup(func() { check(t, m.Cut()) })
	return &nas{Machine: m, built: n.built, lan: c.LAN, dir: c.Dir}
}

// site is a folder and a LAN for one NAS, gone at the end of the test.
func site(t *testing.T, ctx context.Context, built Built) Config {
	t.Helper()
	dir, err := os.MkdirTemp("", "vm-") // socket names have to be short
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	lan, err := NewLAN(ctx, dir)
	check(t, err)
	t.Cleanup(func() { check(t, lan.Close()) })
	return Config{Image: built.Image, Guest: built.Guest, Payload: built.Payload, Dir: dir, LAN: lan}
}

// running waits until systemd has nothing left to start.
func (n *nas) running(t *testing.T, ctx context.Context) {
	t.Helper()
	// It waits inside, since asking costs an emulated processor much; and not for long, since it can miss the moment.
	state, err := n.Agent.Until(ctx, `state=$(timeout 10 systemctl is-system-running --wait) || state=$(systemctl is-system-running) || true; echo "$state"; [ "$state" = running ] || [ "$state" = degraded ]`)
	check(t, err)
	if state != "running" {
		t.Errorf("the system is %s: %s", state, n.shell(t, ctx, "systemctl --failed --no-legend"))
	}
	n.mounted(t, ctx)
}

// mounted waits for the volume: on a machine with much else to do the array comes later than fstab waits for it.
func (n *nas) mounted(t *testing.T, ctx context.Context) {
	t.Helper()
	n.shell(t, ctx, "mountpoint -q /srv || systemctl start srv.mount")
}

// install puts paperclipd on the NAS as an owner would, and waits for its button and its listener.
func (n *nas) install(t *testing.T, ctx context.Context) {
	t.Helper()
	n.shell(t, ctx, `mkdir -p /run/payload /etc/paperclip; tar -C /run/payload -xf /dev/vdd`)
	r, err := n.Agent.Do(ctx, []byte(configuration), "tee", "/etc/paperclip/paperclip.toml")
	check(t, err)
	if r.Exit != 0 {
		t.Fatal("no configuration")
	}
	n.shell(t, ctx, `sh /run/payload/packaging/install.sh /run/payload/paperclipd; rm -r /run/payload`)
	n.serving(t, ctx)
	if said := n.shell(t, ctx, `systemd-analyze verify /usr/lib/systemd/system/paperclip*.service 2>&1`); said != "" {
		t.Errorf("systemd-analyze verify: %s", said)
	}
}

// serving waits until core holds the button and front listens.
func (n *nas) serving(t *testing.T, ctx context.Context) {
	t.Helper()
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := n.Agent.Until(limited, `systemctl is-active paperclipd-core paperclipd-front; ss -Hltnp | grep '"paperclipd"'; test -S /run/paperclip/core.sock`)
	check(t, err)
}

// confess logs what the units said, for the report of a failure.
func (n *nas) confess(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	select {
	case <-n.Ended():
		t.Log(n.explain())
		return
	default:
	}
	said, err := n.Agent.Shell(ctx, `journalctl --no-pager -o short-monotonic -n 80 -u 'paperclip*' -u systemd-logind; journalctl --no-pager -o short-monotonic -n 60 -u systemd-networkd; ip -br address; networkctl --no-pager`)
	t.Logf("the NAS says (%v):\n%s", err, said)
}

func (n *nas) shell(t *testing.T, ctx context.Context, script string) string {
	t.Helper()
	out, err := n.Agent.Shell(ctx, script)
	check(t, err)
	return out
}

// again brings the NAS back to where it was saved.
func (n *nas) again(t *testing.T, ctx context.Context, saved string) {
	t.Helper()
	check(t, n.Load(ctx, saved))
	n.shell(t, ctx, "true")
}

// openClaim holds the button until the NAS beeps, lets go, and gives the code that it says then.
func (n *nas) openClaim(t *testing.T, ctx context.Context) [4]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ear := n.Listen(ctx)
	defer ear.Close()
	check(t, n.Press(ctx))
	began := time.Now()
	check(t, ear.Wait(ctx, "the beep of a hold of 4 s", func(s []button.Sound) bool { return len(s) > 0 }))
	if held := time.Since(began); held < 3500*time.Millisecond {
		t.Errorf("it beeped after %s: too early for 4 s", held)
	}
	check(t, n.Release(ctx))
	code, err := ear.Code(ctx)
	check(t, err)
	return code
}

// say is one thing a witness tried.
type say struct {
	user, password string
	want           Verdict
}

// witness tries passwords over SSH and SMB at the NAS's own address, all at once: each takes seconds.
func (n *nas) witness(t *testing.T, ctx context.Context, tries ...say) {
	t.Helper()
	n.witnessAt(t, ctx, OldSubnet, GuestAddress, tries...)
}

// witnessAt is witness at another address.
func (n *nas) witnessAt(t *testing.T, ctx context.Context, from Place, address string, tries ...say) {
	t.Helper()
	var all sync.WaitGroup
	for _, try := range tries {
		for protocol, signIn := range map[string]func(context.Context, Place, string, string, string) (Verdict, error){"SSH": n.lan.SSH, "SMB": n.lan.SMB} {
			all.Go(func() {
				got, err := signIn(ctx, from, address, try.user, try.password)
				if err != nil {
					t.Error(err)
				} else if got != try.want {
					t.Errorf("%s: %s's password %q is %s, want %s", protocol, try.user, try.password, got, try.want)
				}
			})
		}
	}
	all.Wait()
}

// watchAddresses records every change of the NIC's own addresses from now on; the function it returns tells them.
func (n *nas) watchAddresses(t *testing.T, ctx context.Context) func() string {
	t.Helper()
	n.shell(t, ctx, `systemd-run --quiet --collect --unit=watch-addresses --property=StandardOutput=file:/run/addresses.log ip -o monitor address dev eth0`)
	return func() string { return n.shell(t, ctx, "cat /run/addresses.log") }
}

// network is all of the NAS's network that a claim must leave as it was.
func (n *nas) network(t *testing.T, ctx context.Context) string {
	t.Helper()
	return n.shell(t, ctx, `ip -o link | sed 's/ qlen.*//'; ip -o address; ip rule; ip -6 rule; ip route show table all; ip -6 route show table all; nft list ruleset; ls /run/systemd/network 2>/dev/null`)
}

// claimGone waits until a claim's interface is away.
func (n *nas) claimGone(t *testing.T, ctx context.Context) {
	t.Helper()
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := n.Agent.Until(limited, `! ip -o link | grep pclip`)
	check(t, err)
}

// living are the places that a running NAS writes to without anybody resetting it, each with the reason.
// (A Debian that is left alone writes nowhere else: compared over a minute and over sign-ins.)
func living(path string) string {
	for place, reason := range map[string]string{
		"/var/log":                "logs and the journal",
		"/var/cache/samba":        "Samba notes each sign-in",
		"/var/lib/systemd/timers": "systemd notes when a timer ran",
		"/tmp":                    "units have a private folder there that systemd makes and removes",
		"/var/tmp":                "the same",
		"/var/lib/paperclip":      "our counters, identity and receipts: no setting of the NAS",
	} {
		if path == place || strings.HasPrefix(path, place+"/") {
			return reason
		}
	}
	return ""
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// linesChanged gives the lines of two texts that are not in both.
func linesChanged(before, after string) (gone, new []string) {
	a, b := strings.Split(before, "\n"), strings.Split(after, "\n")
	for _, l := range a {
		if !slices.Contains(b, l) {
			gone = append(gone, l)
		}
	}
	for _, l := range b {
		if !slices.Contains(a, l) {
			new = append(new, l)
		}
	}
	return gone, new
}

// phase logs how long a part took, so that the 15 minutes can be watched.
func phase(t *testing.T, what string) func() {
	began := time.Now()
	return func() { t.Logf("%s: %.1f s", what, time.Since(began).Seconds()) }
}
