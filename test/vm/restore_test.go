//go:build linux

package vm

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// owner is the computer of somebody who claimed the NAS: it has an address in both of the LAN's subnets.
type owner struct {
	nas  *nas
	home string
}

// both is that computer's address in the subnet of the DHCP server.
const both = "10.77.0.51/24"

// does runs `paperclip` on the owner's computer, and reads the document that it prints.
func (o owner) does(t *testing.T, ctx context.Context, args ...string) map[string]any {
	t.Helper()
	c := o.nas.lan.Command(ctx, OldSubnet, append([]string{o.nas.built.Paperclip}, append(args, "--json")...)...)
	c.Env = append(os.Environ(), "PAPERCLIP_HOME="+o.home)
	var said strings.Builder
	c.Stderr = &said
	out, err := c.Output()
	if err != nil {
		t.Fatalf("paperclip %s: %v\n%s\n%s", strings.Join(args, " "), err, out, said.String())
	}
	var d map[string]any
	check(t, json.Unmarshal(out, &d))
	return d
}

// testRestore takes a snapshot of the dressed NAS, resets all of it, and puts the snapshot back, twice. The
// first time nobody confirms it and the power fails: it is as the reset left it, before a door opens. The
// second time it is confirmed: each row is as it was, but for the password, which no snapshot brings back.
func testRestore(t *testing.T, ctx context.Context, n *nas) {
	dir := t.TempDir()
	o := owner{n, filepath.Join(dir, "home")}
	check(t, run(ctx, "ip", "-n", n.lan.Namespace(OldSubnet), "address", "add", both, "dev", "eth0"))
	defer run(context.WithoutCancel(ctx), "ip", "-n", n.lan.Namespace(OldSubnet), "address", "delete", both, "dev", "eth0")
	// The owner's firewall lets the pages and finding in: else nobody takes a snapshot without a claim.
	n.shell(t, ctx, `sed -i 's/tcp dport { 22, 445 }/meta l4proto { tcp, udp } th dport { 22, 445, 5353, 8443 }/' /etc/nftables.conf; systemctl restart nftables`)
	old, key, snapshot := filepath.Join(dir, "old"), filepath.Join(dir, "key"), filepath.Join(dir, "snapshot")
	check(t, os.WriteFile(old, []byte(oldPassword+"\n"), 0o600))
	keyID := n.shell(t, ctx, `paperclipd status | sed -n 's/^Key: *//p'`)
	o.does(t, ctx, "snapshot", "cellar", "-o", snapshot, "--as", "anna", "--password-file", old, "--accept-key", keyID, "--recovery-key-out", key)

	vaultKey := n.shell(t, ctx, "cat /etc/keys/vault")

	was := n.setBack(t, ctx, dir, reset.All)
	want := maps.Clone(was.before)
	want["E1"] = was.after["E1"]
	// E12: no snapshot holds the key of an encrypted volume: its owner puts it back first.
	n.shell(t, ctx, "(umask 077; echo "+vaultKey+" > /etc/keys/vault; sync)")
	taken := maps.Clone(was.after)
	taken["E12"] = strings.Replace(taken["E12"], "no key", "key kept", 1)
	putBack := func() map[string]string {
		d := o.does(t, ctx, "restore", "cellar", snapshot, "--recovery-key-file", key, "--yes")
		if d["state"] != "trial" {
			t.Fatalf("restore says %v", d)
		}
		return n.settles(t, ctx, OldSubnet, GuestAddress, as(want))
	}
	restored := putBack()
	check(t, n.Cut())
	check(t, n.Boot(ctx))
	// What goes back at a start may be stopped in the middle of its own: systemd calls that failed.
	n.shell(t, ctx, `until systemctl is-system-running | grep -qE 'running|degraded'; do sleep 1; done; systemctl reset-failed fail2ban.service`)
	n.running(t, ctx)
	n.serving(t, ctx)
	undone := n.settles(t, ctx, Client, LeasedAddress, as(taken))
	if state := n.shell(t, ctx, `paperclipd status --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["journal"]["state"])'`); state != "undone" {
		t.Errorf("after a restart in the middle of a trial the journal says %q", state)
	}
	n.witnessAt(t, ctx, Client, LeasedAddress, say{"anna", was.password, Accepted}, say{"ben", benPassword, Accepted})

	putBack()
	if d := o.does(t, ctx, "restore", "cellar", "--confirm"); d["state"] != "committed" {
		t.Errorf("--confirm says %v", d)
	}
	confirmed := n.settles(t, ctx, OldSubnet, GuestAddress, as(want))
	n.witnessAt(t, ctx, OldSubnet, GuestAddress, say{"anna", was.password, Accepted}, say{"anna", oldPassword, Refused}, say{"ben", benPassword, Accepted})
	n.sameFiles(t, ctx, was.files)
	table(t, "a soft reset of scope all, and a snapshot put back", column{"before", was.before}, column{"after", was.after},
		column{"restored, on trial", restored}, column{"after a power cut", undone}, column{"restored, confirmed", confirmed})
}
