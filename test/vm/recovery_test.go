//go:build linux

package vm

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// A part is one thing that must hold. It begins at a saved moment.
type part struct {
	name  string
	saved string
	test  func(*testing.T, context.Context, *nas)
}

// A line is what one machine is put to, part after part.
type line struct {
	name  string
	parts []part
}

// lines are all parts: each line has a machine of its own and runs beside others. What mostly waits has one
// for itself.
func lines() []line {
	return []line{
		{"main", []part{
			{"the button is ours (D1 D2 D8)", installed, testButtonIsOurs},
			{"locked out and back in (D2 D6 E1 F4 R1)", installed, testRecovery},
			{"a claim behind a firewall, with no DHCP, changes nothing (promise 2)", installed, testClaimChangesNothing},
			{"hard, with the wizard (D3 D5 D6 E1 to E13 H1 H2 H3)", dressed, testHard},
		}},
		{"dressed", []part{
			{"doctor finds every part", dressed, testDoctor},
			{"what a restart by hand interrupts (D12)", dressed, testFloor},
			{"scope credentials (D2 E1), sessions (X15)", dressed, testSessions},
			{"scope network (D13 E3 E4 E5 E6 E7)", dressed, testScope(reset.Network)},
			{"scope all (D2 E1 to E13)", dressed, testScope(reset.All)},
		}},
		{"lapse", []part{
			{"a claim that lapses changes nothing (promise 2)", installed, testClaimLapses},
			{"the sandbox is tried at every start (promise 1)", installed, testSandboxIsTried},
			{"find (F2 F6)", installed, testFind},
			{"root at the console (A6)", installed, testConsole},
			{"a button on a GPIO line (D4)", installed, testBoard},
		}},
		{"disk", []part{
			{"a power cut after acceptance: all new before any door opens (promise 1)", installed, testPowerCut},
			{"every write to the configuration has a name (promise 1)", installed, testNamedWrites},
			{"the kernel keeps a bug from the data (promise 1)", installed, testDataGuard},
			{"safe mode (A7)", installed, testSafeMode},
		}},
		{"restore", []part{
			{"all, then a restore on trial, a power cut, and one that is confirmed (R6 E1 to E13)", dressed, testRestore},
		}},
	}
}

// atOnce bounds how many machines run: an emulated NAS that gets a fifth of a processor runs into limits that
// are meant for slow ones.
const atOnce = 3

// TestNAS is the whole line on a real kernel (D, E, R). All parts share one boot,
// one installation and one set of settings to be set back.
func TestNAS(t *testing.T) {
	// It ends before the test binary would be killed: what it made on this machine is taken away again.
	end, limited := t.Deadline()
	if !limited {
		end = time.Now().Add(25 * time.Minute)
	}
	ctx, cancel := context.WithDeadline(t.Context(), end.Add(-time.Minute))
	defer cancel()
	done := phase(t, "build")
	built := programs(t, ctx)
	done()
	done = phase(t, "boot")
	n := boot(t, ctx, built)
	check(t, n.Save(ctx, "debian"))
	done()

	t.Run("without paperclipd the button reboots the NAS", func(t *testing.T) { testStockReboots(t, ctx, n) })

	done = phase(t, "install")
	n.install(t, ctx)
	check(t, n.Save(ctx, installed))
	done()
	done = phase(t, "dress")
	n.dress(t, ctx)
	check(t, n.Save(ctx, dressed))
	check(t, n.Quit(ctx)) // from here on only its twins run
	done()

	var all sync.WaitGroup // not t.Parallel: that is bounded by the processors, and a claim that lapses needs none
	defer all.Wait()
	room := make(chan struct{}, atOnce)
	for _, l := range lines() {
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			t.Run(l.name, func(t *testing.T) { n.twin(t, ctx, l.parts[0].saved).parts(t, ctx, l.parts) })
		})
	}
}

// installed is the moment at which paperclipd runs, and nobody has pressed.
const installed = "installed"

func (n *nas) parts(t *testing.T, ctx context.Context, all []part) {
	for _, p := range all {
		t.Run(p.name, func(t *testing.T) {
			defer phase(t, "took")()
			defer func() {
				if t.Failed() {
					n.confess(t)
				}
			}()
			n.again(t, ctx, p.saved)
			p.test(t, ctx, n)
		})
	}
}

// testStockReboots shows that testButtonIsOurs can fail: on Debian as it comes, a press of 1 s reboots.
func testStockReboots(t *testing.T, ctx context.Context, n *nas) {
	check(t, n.Hold(ctx, time.Second))
	select {
	case <-n.Ended(): // QEMU ends where the machine would reboot
	case <-time.After(60 * time.Second):
		t.Error("logind did not reboot on the reset button: the regression test next to this one proves nothing")
		check(t, n.Cut())
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
	check(t, n.Resume(ctx, "debian"))
}

// testButtonIsOurs holds the button 1 s, 4 s and 12 s: logind must not even notice. With core away it
// notices, and the drop-in keeps it from acting.
func testButtonIsOurs(t *testing.T, ctx context.Context, n *nas) {
	const alive = "cat /proc/sys/kernel/random/boot_id; systemctl is-system-running; systemctl list-jobs --no-legend"
	const noticed = "journalctl --no-pager -o cat -u systemd-logind"
	before, quiet := n.shell(t, ctx, alive), n.shell(t, ctx, noticed)
	hold := func(d time.Duration) {
		check(t, n.Hold(ctx, d))
		// logind acts some 3 s after the button is let go; stock Debian is down by then.
		pause(ctx, 6*time.Second)
		if after := n.shell(t, ctx, alive); after != before {
			t.Errorf("a hold of %s: before\n%s\nafter\n%s", d, before, after)
		}
	}
	for _, d := range []time.Duration{time.Second, 4 * time.Second, 12 * time.Second} {
		hold(d)
	}
	if said := n.shell(t, ctx, noticed); said != quiet {
		t.Errorf("logind noticed the button: %s", strings.TrimPrefix(said, quiet))
	}
	// D8: the press of 1 s selected nothing, and core says so.
	if said := n.shell(t, ctx, "journalctl --no-pager -o cat -u paperclipd-core"); !strings.Contains(said, "selected nothing") {
		t.Errorf("core does not say why the press of 1 s selected nothing: %s", said)
	}
	n.shell(t, ctx, "systemctl stop paperclipd-core")
	before = n.shell(t, ctx, alive)
	hold(time.Second)
}

// testClaimChangesNothing opens a claim where it is hardest to reach, behind an owner's firewall that
// drops everything and with no DHCP server, and closes it by holding on.
func testClaimChangesNothing(t *testing.T, ctx context.Context, n *nas) {
	n.shell(t, ctx, `nft -f - <<'RULES'
table inet owner {
	chain in { type filter hook input priority filter; policy drop; iif lo accept; drop; }
	chain out { type filter hook output priority filter; policy drop; oif lo accept; }
}
RULES`)
	check(t, n.lan.StopDHCP())
	defer func() { check(t, n.lan.StartDHCP(ctx)) }() // the next part has one
	check(t, run(ctx, "ip", "-n", n.lan.Namespace(Client), "address", "add", "169.254.77.50/16", "dev", "eth0"))
	n.unchangedBy(t, ctx, "169.254.", func() {
		check(t, n.Hold(ctx, 11*time.Second)) // held past 10 s: the claim closes
	})
}

// testClaimLapses opens a claim and leaves it alone, for the shortest window there is.
func testClaimLapses(t *testing.T, ctx context.Context, n *nas) {
	n.shell(t, ctx, `printf '[claim]\nwindow = "3m"\n' >> /etc/paperclip/paperclip.toml; systemctl restart paperclipd-core`)
	n.serving(t, ctx)
	n.unchangedBy(t, ctx, "10.77.0.", func() {
		pause(ctx, 3*time.Minute)
	})
	n.witness(t, ctx, say{"anna", oldPassword, Accepted})
}

// unchangedBy opens a claim, reaches it at an address that begins so, lets it end, and compares: every file
// of the system and the whole network are as they were, to the last change time.
func (n *nas) unchangedBy(t *testing.T, ctx context.Context, prefix string, end func()) {
	t.Helper()
	network := n.network(t, ctx)
	before, err := n.Agent.Touch(ctx, "/", "/srv")
	check(t, err)
	moved := n.watchAddresses(t, ctx)
	n.openClaim(t, ctx)
	opened, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	address, err := n.Agent.Until(opened, `ip -o -4 address show | grep pclip | grep -oP '(?<=inet )`+regexp.QuoteMeta(prefix)+`[0-9.]+' | head -1 | grep .`)
	check(t, err)
	if err := n.lan.Connects(opened, Client, address, "5001"); err != nil {
		t.Errorf("the claim's own address, from the LAN: %v", err)
	}
	end()
	n.claimGone(t, ctx)
	after, err := n.Agent.Touch(ctx, "/", "/srv")
	check(t, err)
	for _, change := range before.Changes(after, living) {
		t.Error(change)
	}
	if gone, added := linesChanged(network, n.network(t, ctx)); len(gone)+len(added) > 0 {
		t.Errorf("of the network, gone:\n%s\nand new:\n%s", strings.Join(gone, "\n"), strings.Join(added, "\n"))
	}
	if m := moved(); m != "" {
		t.Errorf("the NIC's own addresses were touched:\n%s", m)
	}
	if len(before) < 10_000 {
		t.Errorf("only %d names were compared", len(before))
	}
	t.Logf("%d names compared", len(before))
}

// testPowerCut takes the power away in the middle of an accepted reset, the moment the first password store
// has changed, with nothing written back; and switches on again: the new password holds everywhere, and
// sshd, smbd and the network began only after that was so.
func testPowerCut(t *testing.T, ctx context.Context, n *nas) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	n.shell(t, ctx, "systemd-run --quiet --collect --unit=power-cut "+guestProgram+" cut /etc/shadow")
	code := n.openClaim(t, ctx)
	r, err := n.lan.StartRescue(ctx, n.built.Paperclip, t.TempDir(), "--administrator", "anna")
	check(t, err)
	check(t, r.Tell(code))
	select {
	case <-n.Ended():
	case <-ctx.Done():
		t.Fatal("no reset was accepted: ", ctx.Err())
	}
	r.Stop()
	check(t, n.Boot(ctx))
	n.running(t, ctx)
	n.serving(t, ctx)

	// Core has brought it to its end, and signed that.
	committed, stop := context.WithTimeout(ctx, patience)
	defer stop()
	_, err = n.Agent.Until(committed, `paperclipd receipts | grep ' valid .* anna: committed'`)
	check(t, err)

	password, err := r.Password()
	check(t, err)
	n.witness(t, ctx, say{"anna", oldPassword, Refused}, say{"anna", password, Accepted}, say{"ben", benPassword, Accepted})
	for _, door := range []string{"ssh", "smbd", "systemd-networkd"} {
		order := n.shell(t, ctx, `for u in paperclip-recovery `+door+`; do systemctl show --property=ActiveEnterTimestampMonotonic --value $u; done | paste -sd' '`)
		var recovered, opened int64
		if _, err := fmt.Sscan(order, &recovered, &opened); err != nil || recovered == 0 || recovered >= opened {
			t.Errorf("%s opened before the recovery was through: %q (%v)", door, order, err)
		}
	}
}

// document is what of `rescue --json` is judged here.
type document struct {
	Device             string          `json:"device"`
	Way                string          `json:"way"`
	Administrator      string          `json:"administrator"`
	SignedIn           bool            `json:"signed_in"`
	OldPasswordRefused *bool           `json:"old_password_refused"`
	Data               json.RawMessage `json:"data"`
	Receipt            string          `json:"receipt"`
	AddressAfter       string          `json:"address_after"`
	Timeline           []struct {
		Step     string `json:"step"`
		Verified bool   `json:"verified"`
	} `json:"timeline"`
}

// rescue presses, hears, and runs `paperclip rescue` from the owner's computer to its end. It gives the
// new password.
func (n *nas) rescue(t *testing.T, ctx context.Context, args ...string) (document, string) {
	t.Helper()
	return n.rescueIn(t, ctx, t.TempDir(), n.openClaim, args...)
}

// rescueIn is rescue with the owner's files in a folder, and a way to open a claim.
func (n *nas) rescueIn(t *testing.T, ctx context.Context, dir string, open func(*testing.T, context.Context) [4]int, args ...string) (document, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 8*time.Minute)
	defer cancel()
	code := open(t, ctx)
	t.Logf("the NAS said %v", code)
	r, err := n.lan.StartRescue(ctx, n.built.Paperclip, dir, append([]string{"--administrator", "anna"}, args...)...)
	check(t, err)
	check(t, r.Tell(code))
	printed, password, exit, err := r.Wait(ctx)
	t.Logf("rescue said:\n%s", r.Said())
	if err != nil {
		t.Fatalf("exit %d: %v\n%s", exit, err, printed)
	}
	var d document
	if err := json.Unmarshal(printed, &d); err != nil {
		t.Fatalf("rescue printed no document: %v\n%s", err, printed)
	}
	if password != "" && bytes.Contains(printed, []byte(password)) {
		t.Error("the new password is printed")
	}
	return d, password
}

// testRecovery is the owner's way: press, code, rescue; then everybody who was not meant finds all as it was.
func testRecovery(t *testing.T, ctx context.Context, n *nas) {
	n.witness(t, ctx, say{"anna", oldPassword, Accepted}, say{"ben", benPassword, Accepted})
	if n.lan.Reachable(ctx, Client, GuestAddress) {
		t.Fatal("the owner's computer reaches the NAS's old address: the test proves nothing about the claim's own")
	}
	filesBefore, err := n.Agent.Manifest(ctx, "/srv")
	check(t, err)
	if filesBefore.Files() < 1000 {
		t.Fatalf("%d files on the array, want 1000", filesBefore.Files())
	}
	systemBefore, err := n.Agent.Touch(ctx, "/")
	check(t, err)
	shadowBefore, sambaBefore := n.shell(t, ctx, "cat /etc/shadow"), n.shell(t, ctx, "pdbedit -Lw")
	addressBefore := n.shell(t, ctx, "ip -o address show dev eth0")
	moved := n.watchAddresses(t, ctx)

	d, password := n.rescue(t, ctx)
	if password == "" {
		t.Error("the new password is empty")
	}
	if !d.SignedIn || d.Administrator != "anna" {
		t.Errorf("signed in %v as %q, want anna", d.SignedIn, d.Administrator)
	}
	if d.OldPasswordRefused != nil || string(d.Data) != "null" && d.Data != nil {
		t.Errorf("a real NAS has no witness, but old_password_refused is %v and data %s", d.OldPasswordRefused, d.Data)
	}
	if !strings.HasPrefix(d.AddressAfter, "10.77.0.") {
		t.Errorf("it was reached at %q, not at the claim's own address", d.AddressAfter)
	}
	for _, step := range d.Timeline {
		if !step.Verified {
			t.Errorf("step %s was not verified", step.Step)
		}
	}
	// Whoever has the receipt can check it: no key of ours is needed.
	verify := exec.CommandContext(ctx, n.built.Paperclip, "receipt", "verify", d.Receipt)
	if out, err := verify.CombinedOutput(); err != nil {
		t.Errorf("receipt verify: %v: %s", err, out)
	}

	// The witnesses: real SSH, SMB and hashes.
	n.witness(t, ctx, say{"anna", password, Accepted}, say{"anna", oldPassword, Refused}, say{"ben", benPassword, Accepted})
	filesAfter, err := n.Agent.Manifest(ctx, "/srv")
	check(t, err)
	for _, change := range filesBefore.Changes(filesAfter, nil) {
		t.Error("on the array: ", change)
	}
	t.Logf("%d files on the array compared", filesAfter.Files())

	// Of the system, the two password stores changed, and in them one line each.
	systemAfter, err := n.Agent.Touch(ctx, "/")
	check(t, err)
	for _, change := range systemBefore.Changes(systemAfter, living) {
		if !passwordStore(change) {
			t.Error("beside the passwords: ", change)
		}
	}
	for store, texts := range map[string][2]string{"shadow": {shadowBefore, n.shell(t, ctx, "cat /etc/shadow")}, "passdb": {sambaBefore, n.shell(t, ctx, "pdbedit -Lw")}} {
		gone, added := linesChanged(texts[0], texts[1])
		if len(gone) != 1 || len(added) != 1 || !strings.HasPrefix(gone[0], "anna:") || !strings.HasPrefix(added[0], "anna:") {
			t.Errorf("%s: gone %d lines, new %d: want anna's alone", store, len(gone), len(added))
		}
	}
	if now := n.shell(t, ctx, "ip -o address show dev eth0"); now != addressBefore {
		t.Errorf("the NIC's addresses were\n%s\nand are\n%s", addressBefore, now)
	}
	if m := moved(); m != "" {
		t.Errorf("the NIC's own addresses were touched:\n%s", m)
	}
	n.claimGone(t, ctx)
}

// passwordStore says whether a change is where a password had to be written, in the folder that holds it, or
// the notice at sign-in that it was.
func passwordStore(change string) bool {
	for _, path := range []string{
		"/etc", "/etc/shadow", "/etc/.pwd.lock", "/var/lib/samba/private", "/var/lib/samba/private/passdb.tdb",
		"/etc/motd.d", "/etc/motd.d/50-paperclip",
	} {
		if strings.HasPrefix(change, fmt.Sprintf("%q ", path)) {
			return true
		}
	}
	return false
}

// testNamedWrites watches core's system calls over a claim and a reset: between the marks of the named
// operations nothing below /etc, and no password store, is changed.
func testNamedWrites(t *testing.T, ctx context.Context, n *nas) {
	// The tracer is no part of what the unit allows; the rest of its sandbox stays.
	n.shell(t, ctx, `mkdir -p /run/systemd/system/paperclipd-core.service.d
cat > /run/systemd/system/paperclipd-core.service.d/trace.conf <<'UNIT'
[Service]
Environment=PAPERCLIP_TRACE_OPS=1
NotifyAccess=all
SystemCallFilter=@debug
ExecStart=
ExecStart=`+strings.Join(traced("/run/trace", "/usr/sbin/paperclipd", "core"), " ")+`
UNIT
systemctl daemon-reload; systemctl restart paperclipd-core`)
	n.serving(t, ctx)
	// A claim opens and closes, and a password is set beside it at the console (A6): the tracer slows
	// core down so much that no ear makes out its code.
	check(t, n.Hold(ctx, 4300*time.Millisecond))
	_, err := n.Agent.Until(ctx, "journalctl --no-pager -o cat -u paperclipd-core | grep 'a claim is open'; ip -o link | grep pclip")
	check(t, err)
	n.shell(t, ctx, "printf '%s\\n' 'violet tractor 9 gulls' | paperclipd reset-password anna")
	check(t, n.Hold(ctx, 11*time.Second))
	n.claimGone(t, ctx)
	n.witness(t, ctx, say{"anna", "violet tractor 9 gulls", Accepted}, say{"anna", oldPassword, Refused})
	r, err := n.Agent.Run(ctx, "cat", "/run/trace")
	check(t, err)
	trace, err := ReadTrace(bytes.NewReader(r.Stdout))
	check(t, err)
	if len(trace.Operations) == 0 {
		t.Fatal("core marked no named operation: PAPERCLIP_TRACE_OPS does nothing")
	}
	if len(trace.Unended) > 0 {
		t.Errorf("operations that began and did not end: %v", trace.Unended)
	}
	settings := 0
	for _, w := range trace.Writes {
		if !settingFile(w.Path) {
			continue
		}
		settings++
		if len(w.Ops) == 0 {
			t.Errorf("outside every named operation: %s", w.Call)
		}
	}
	if settings == 0 {
		t.Error("the trace holds no write to a setting: it watched the wrong process")
	}
	t.Logf("%d changes of settings inside %d named operations (%s)", settings, len(trace.Operations), strings.Join(trace.Operations, " "))
}
