//go:build linux

package vm

import (
	"context"
	"strings"
	"testing"
)

// testSafeMode: with paperclip.safe only recovery runs, a claim needs the button as always, and the
// next ordinary boot has everything back (A7).
func testSafeMode(t *testing.T, ctx context.Context, n *nas) {
	settings := n.shell(t, ctx, `cat /etc/shadow /etc/samba/smb.conf /etc/systemd/network/*; find /etc -newer /var/lib/paperclip/identity.key | sort; sync`)
	check(t, n.Cut())
	check(t, n.Boot(ctx, "paperclip.safe"))
	n.serving(t, ctx)
	if at := n.shell(t, ctx, `systemctl get-default; systemctl is-active paperclip-safe.target multi-user.target basic.target || true`); at != "paperclip-safe.target\nactive\ninactive\ninactive" {
		t.Errorf("the boot went to %q", at)
	}
	open := n.shell(t, ctx, `ss -Hltn | awk '{ print $4 }' | sort -u`)
	t.Logf("listening: %s\nrunning: %s", open, n.shell(t, ctx, `systemctl list-units --plain --no-legend --state=running | awk '{ print $1 }' | paste -sd' '`))
	for _, address := range strings.Fields(open) {
		if !strings.HasSuffix(address, ":5000") && !strings.HasSuffix(address, ":5001") {
			t.Errorf("in safe mode something listens on %s", address)
		}
	}
	if status := n.shell(t, ctx, `paperclipd status`); !strings.Contains(status, "Safe mode") {
		t.Errorf("status says %q", status)
	}
	if code := n.openClaim(t, ctx); code[0] == 0 {
		t.Error("no claim opens")
	}
	n.shell(t, ctx, "sync")
	check(t, n.Cut())
	check(t, n.Boot(ctx))
	n.running(t, ctx)
	if active := n.shell(t, ctx, `systemctl is-active ssh smbd paperclipd-core multi-user.target`); active != "active\nactive\nactive\nactive" {
		t.Errorf("after an ordinary boot: %q", active)
	}
	if now := n.shell(t, ctx, `cat /etc/shadow /etc/samba/smb.conf /etc/systemd/network/*; find /etc -newer /var/lib/paperclip/identity.key | sort`); now != settings {
		t.Errorf("safe mode changed settings: before\n%s\nafter\n%s", settings, now)
	}
}
