//go:build linux

package vm

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	effects "github.com/paperclip-nas/paperclip/internal/domain/nas" // this package's nas is a machine
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// dressed is the moment at which all that a reset sets back is on.
const dressed = "dressed"

//go:embed dress.sh
var dressScript []byte

// dress switches all on.
func (n *nas) dress(t *testing.T, ctx context.Context) {
	t.Helper()
	r, err := n.Agent.Do(ctx, dressScript, "bash", "-s")
	check(t, err)
	if r.Exit != 0 {
		t.Fatalf("dress.sh: exit %d: %s%s", r.Exit, r.Stdout, r.Stderr)
	}
}

// settingParts are what a reset of scope all works on; doctor finds each of them on the dressed NAS.
func settingParts() []string {
	return []string{"shadow", "samba", "guest", "ports", "networkd", "pppoe", "fail2ban", "nftables", "keepalived", "libvirt", "encrypted", "authenticator"}
}

// testDoctor asks the NAS itself what it is ready for.
func testDoctor(t *testing.T, ctx context.Context, n *nas) {
	var report struct {
		Checks []struct {
			ID, Why string
			OK      bool
		}
	}
	check(t, json.Unmarshal([]byte(n.shell(t, ctx, "paperclipd doctor --json")), &report))
	found := map[string]string{}
	for _, c := range report.Checks {
		found[c.ID] = c.Why
		t.Logf("doctor: %-24s %v %s", c.ID, c.OK, c.Why)
		if !c.OK {
			t.Errorf("doctor: %s: %s", c.ID, c.Why)
		}
	}
	if _, told := found["beep_timing"]; !told {
		t.Error("doctor does not say whether core, as its unit runs it, has its real-time thread")
	}
	for _, id := range settingParts() {
		if why, asked := found["setting."+id]; !asked || strings.HasPrefix(why, "Not on this system") {
			t.Errorf("%s is switched on, and doctor says %q", id, why)
		}
	}
}

// testFind looks for the NAS from both sides of the LAN: as one of its own subnet, and as one that is not.
func testFind(t *testing.T, ctx context.Context, n *nas) {
	for from, address := range map[Place]string{OldSubnet: GuestAddress, Client: ""} {
		var said struct {
			Devices []struct {
				Name, Vendor, Status string
				Addresses            []string
			}
		}
		c := n.lan.Command(ctx, from, n.built.Paperclip, "find", "--json")
		c.Env = append(os.Environ(), "PAPERCLIP_HOME="+t.TempDir())
		out, err := c.Output()
		if err != nil {
			t.Errorf("find from %s: %v: %s", from, err, out)
			continue
		}
		check(t, json.Unmarshal(out, &said))
		t.Logf("find from %s: %+v", from, said.Devices)
		if len(said.Devices) != 1 || said.Devices[0].Name != "cellar" || address != "" && !slices.Contains(said.Devices[0].Addresses, address) {
			t.Errorf("find from %s: %s, want cellar alone", from, out)
		}
	}
}

// A row is one of E1 to E13 as somebody sees it who knows nothing of Paperclip. see prints it in the guest,
// in one line; reset is what that line is after a reset that sets the row back ("" is: another than before).
type row struct{ id, what, see, reset string }

func rows() []row {
	return []row{
		{"E1", "anna's password", `getent shadow anna | cut -d: -f2 | sha256sum | cut -c1-12`, ""},
		{"E2", "a guest in the share", "", "refused"},
		{"E3", "ports of the pages", `ss -Hltnp | grep '"paperclipd"' | awk '{print $4}' | sed 's/.*://' | sort -nu | paste -sd' '`, "5000 5001"},
		{"E4", "addresses", `ip -4 -o address show scope global | awk '$2 !~ /^(pclip|virbr)/ && $4 !~ /77.90/ {print $2, $4}' | paste -sd,`, "eth0 " + LeasedAddress + "/24,eth1 " + SecondAddress + "/24"},
		{"E5", "frames", `for i in eth0 eth1; do echo $i $(cat /sys/class/net/$i/mtu); done | paste -sd,`, "eth0 1500,eth1 1500"},
		{"E6", "PPPoE", `grep -q ^dryrun /etc/ppp/peers/dsl-provider && echo pppd ends without dialling || echo pppd would dial`, "pppd ends without dialling"},
		{"E7", "members of bond0", `set -- $(tr ' ' '\n' 2>/dev/null < /sys/class/net/bond0/bonding/slaves | sort); echo ${*:-none}`, "none"},
		{"E8", "auto block", `f=$(fail2ban-client ping > /dev/null 2>&1 && echo on || echo off); echo $f, keeps $(python3 -c 'import sqlite3; print(*[r[0] for r in sqlite3.connect("file:/var/lib/fail2ban/fail2ban.sqlite3?mode=ro", uri=True).execute("select distinct ip from bips")])')`, "off, keeps 192.0.2.7"},
		{"E9", "firewall", `echo $(nft list table inet filter 2>/dev/null | grep -c accept) rules in force, $(grep -c accept /etc/nftables.conf) in the file`, "0 rules in force, 4 in the file"},
		{"E10", "keepalived", `echo $(systemctl is-enabled keepalived), $(systemctl is-active keepalived)`, ""},
		{"E11", "libvirt for other hosts", `ss -Hltn 'sport = :16509' | grep -q . && echo listens || echo nobody listens`, "nobody listens"},
		{"E12", "encrypted volume", `echo $(grep -q '^vault .*noauto' /etc/crypttab && echo stays shut || echo opens) at start, $(test -e /dev/mapper/vault && echo open || echo shut), $(test -e /etc/keys/vault && echo key kept || echo no key)`, "stays shut at start, shut, no key"},
		{"E13", "anna's second factor", `test -e /home/anna/.google_authenticator && echo asked for || echo none`, ""},
	}
}

// look prints every row; guests try the share at an address, from a place.
func (n *nas) look(t *testing.T, ctx context.Context, from Place, address string) map[string]string {
	t.Helper()
	seen := map[string]string{}
	for _, r := range rows() {
		if r.see == "" {
			verdict, err := n.lan.Guest(ctx, from, address)
			check(t, err)
			seen[r.id] = string(verdict)
			continue
		}
		done, err := n.Agent.Do(ctx, nil, "bash", "-c", r.see)
		check(t, err)
		seen[r.id] = done.Text()
	}
	return seen
}

// wasReset says what is wrong with a row that a reset sets back; nothing: it is as it should be.
func (r row) wasReset(was, is string) string {
	switch {
	case is == was:
		return fmt.Sprintf("is still %q", is)
	case r.reset != "" && is != r.reset:
		return fmt.Sprintf("is %q, want %q", is, r.reset)
	}
	return ""
}

// settles waits until wrong finds nothing wrong with any row, and gives what was seen last: what a NAS puts
// in force takes a moment to stand. eth1 has its address from DHCP after eth0, and over that one the owner is
// through already.
func (n *nas) settles(t *testing.T, ctx context.Context, from Place, address string, wrong func(r row, is string) string) map[string]string {
	t.Helper()
	limited, stop := context.WithTimeout(ctx, patience)
	defer stop()
	check(t, n.lan.Connects(limited, from, address, "445"))
	for {
		seen := n.look(t, ctx, from, address)
		var faults []string
		for _, r := range rows() {
			if fault := wrong(r, seen[r.id]); fault != "" {
				faults = append(faults, fmt.Sprintf("%s (%s) %s", r.id, r.what, fault))
			}
		}
		if len(faults) == 0 {
			return seen
		}
		if limited.Err() != nil {
			t.Error(strings.Join(faults, "\n"))
			return seen
		}
		pause(ctx, time.Second)
	}
}

// as wants each row to be as it is here.
func as(want map[string]string) func(row, string) string {
	return func(r row, is string) string {
		if is != want[r.id] {
			return fmt.Sprintf("is %q, want %q", is, want[r.id])
		}
		return ""
	}
}

// plan is what paperclipd itself says that a reset would change.
func (n *nas) plan(t *testing.T, ctx context.Context, scope reset.Scope) map[string]string {
	t.Helper()
	var p reset.Plan
	said := n.shell(t, ctx, "paperclipd plan --json --administrator anna --scope "+string(scope))
	check(t, json.Unmarshal([]byte(said), &p))
	changes := map[string]string{}
	for _, c := range p.Changes {
		changes[string(c.ID)] = c.From + " → " + c.To
	}
	for _, line := range p.NotCovered {
		t.Logf("%s, not covered: %s", scope, line)
	}
	return changes
}

// testScope sets a dressed NAS back from the owner's computer, in one scope.
func testScope(scope reset.Scope) func(*testing.T, context.Context, *nas) {
	return func(t *testing.T, ctx context.Context, n *nas) {
		was := n.setBack(t, ctx, t.TempDir(), scope)
		table(t, "a soft reset of scope "+string(scope), column{"before", was.before}, column{"after", was.after}, column{"as the plan put it", was.planned})
	}
}

// A change is a reset as it was seen from outside.
type change struct {
	before, after, planned map[string]string
	files                  Manifest // of the array, before and after
	password               string   // anna's now
}

// setBack resets a dressed NAS. The rows of the scope are as a reset leaves them, every other is as it was,
// and no file on the array changed.
func (n *nas) setBack(t *testing.T, ctx context.Context, dir string, scope reset.Scope) change {
	t.Helper()
	before, planned := n.look(t, ctx, OldSubnet, GuestAddress), n.plan(t, ctx, scope)
	files, err := n.Agent.Manifest(ctx, "/srv")
	check(t, err)

	args := []string{"--scope", string(scope)}
	if !reset.SetsPassword(reset.Soft, scope) {
		kept := filepath.Join(t.TempDir(), "kept")
		check(t, os.WriteFile(kept, []byte(oldPassword+"\n"), 0o600))
		args = append(args, "--password-file", kept)
	}
	measured := n.lan.Probe(ctx, "ben", benPassword, Spot{OldSubnet, GuestAddress}, Spot{Client, LeasedAddress})
	d, password := n.rescueIn(t, ctx, dir, n.openClaim, args...)
	if !d.SignedIn {
		t.Errorf("not signed in: %+v", d)
	}
	if password == "" {
		password = oldPassword
	}
	from, address := OldSubnet, GuestAddress
	sets := reset.Effects(reset.Soft, scope)
	if slices.Contains(sets, "E4") {
		from, address = Client, LeasedAddress
		waiting, stop := context.WithTimeout(ctx, patience)
		defer stop()
		check(t, n.lan.Connects(waiting, from, address, "22"))
	}
	n.claimGone(t, ctx)
	logOutages(t, "a reset of scope "+string(scope), measured())
	after := n.settles(t, ctx, from, address, func(r row, is string) string {
		resets := slices.ContainsFunc(sets, func(e effects.Effect) bool { return string(e) == r.id })
		switch {
		case resets && r.id != "E13": // E13 wants more than a claim
			return r.wasReset(before[r.id], is)
		case is != before[r.id]:
			return fmt.Sprintf("is no part of the scope, was %q and is %q", before[r.id], is)
		}
		return ""
	})
	for _, e := range sets {
		if e != "E13" && planned[string(e)] == "" {
			t.Errorf("%s changed and was not in the plan", e)
		}
	}
	left := n.plan(t, ctx, scope)
	delete(left, "E1") // whoever asks again sets it again
	for id, change := range left {
		t.Errorf("%s: a second reset would still change %s", id, change)
	}
	n.witnessAt(t, ctx, from, address, say{"anna", password, Accepted}, say{"ben", benPassword, Accepted})
	n.sameFiles(t, ctx, files)
	return change{before, after, planned, files, password}
}

// sameFiles holds the array against what it was.
func (n *nas) sameFiles(t *testing.T, ctx context.Context, was Manifest) {
	t.Helper()
	now, err := n.Agent.Manifest(ctx, "/srv")
	check(t, err)
	for _, change := range was.Changes(now, nil) {
		t.Error("on the array: ", change)
	}
	t.Logf("%d files on the array compared", now.Files())
}

// A column is how the rows are at one moment.
type column struct {
	head string
	rows map[string]string
}

// table prints the rows.
func table(t *testing.T, what string, columns ...column) {
	t.Helper()
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	line := func(id, what string, of func(column) string) {
		fmt.Fprint(w, id, "\t", what)
		for _, c := range columns {
			fmt.Fprint(w, "\t", of(c))
		}
		fmt.Fprintln(w)
	}
	line("row", "what", func(c column) string { return c.head })
	for _, r := range rows() {
		line(r.id, r.what, func(c column) string { return c.rows[r.id] })
	}
	check(t, w.Flush())
	t.Logf("E1 to E13, %s:\n%s", what, text.String())
}
