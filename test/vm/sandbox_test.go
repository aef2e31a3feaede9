//go:build linux

package vm

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// deedsDone runs the trespasser in the guest and gives the deeds that were done and those that were
// refused, each with the error. how is the command line before the program's own.
func (n *nas) deedsDone(t *testing.T, ctx context.Context, how, flags, disk string) (done, refused []string) {
	t.Helper()
	n.shell(t, ctx, `rm -rf /srv/trespass; mkdir -p /srv/trespass; cd /srv/trespass; for f in a b c d e f; do echo kept > $f; done; sync`)
	n.shell(t, ctx, `rm -f /run/trespass.out; `+strings.ReplaceAll(how, "PROGRAM", fmt.Sprintf("/run/trespass %s /srv/trespass %s", flags, disk)))
	var said map[string]string
	if err := json.Unmarshal([]byte(n.shell(t, ctx, "cat /run/trespass.out")), &said); err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(said)) {
		if said[name] == "done" {
			done = append(done, name)
		} else {
			refused = append(refused, name+" ("+said[name]+")")
		}
	}
	return done, refused
}

// testDataGuard: a daemon with a bug, in core's place, is refused by the kernel whatever it does to a
// data volume and its disk, by each of the two layers as far as that one goes. Without them all of it
// works, so the deeds are real.
func testDataGuard(t *testing.T, ctx context.Context, n *nas) {
	n.shell(t, ctx, `mkdir -p /run/payload; tar -C /run/payload -xf /dev/vdd; cp /run/payload/trespass /run/trespass; rm -r /run/payload`)
	disk := n.shell(t, ctx, `findmnt -n /srv > /dev/null || systemctl start srv.mount; findmnt -no SOURCE /srv`) // a slow boot goes on without it
	const (
		bare = `PROGRAM > /run/trespass.out`
		unit = `sed -e '/^Type=/d; /^Restart/d; /^\[Install\]/,$d; /^Requires=/d' -e 's#^ExecStart=.*#ExecStart=PROGRAM\nType=oneshot\nStandardOutput=file:/run/trespass.out\nStandardError=journal#' ` +
			`/usr/lib/systemd/system/paperclipd-core.service > /run/systemd/system/trespass.service; systemctl daemon-reload; systemctl start trespass.service`
	)
	both, refused := n.deedsDone(t, ctx, unit, "", disk)
	t.Logf("as core runs: refused %s", strings.Join(refused, ", "))
	if len(both) > 0 || len(refused) < 20 {
		t.Errorf("under core's unit and rules a bug can %q", both)
	}
	mounts, _ := n.deedsDone(t, ctx, unit, "-rules=false", disk)
	if len(mounts) > 0 {
		t.Errorf("under core's unit alone a bug can %q", mounts)
	}
	rules, refused := n.deedsDone(t, ctx, bare, "", disk)
	t.Logf("by Landlock alone: done %q, refused %s", rules, strings.Join(refused, ", "))
	for _, deed := range []string{"write", "append", "create", "create, unnamed", "mkdir", "symlink", "link", "rename", "move in", "unlink", "disk"} {
		if slices.Contains(rules, deed) {
			t.Errorf("under the rules alone a bug can %s", deed)
		}
	}
	free, refused := n.deedsDone(t, ctx, bare, "-rules=false", disk)
	if len(refused) > 0 {
		t.Logf("with nothing in the way: refused %q", refused)
	}
	for _, deed := range []string{"write", "append", "truncate", "truncate by open", "rename", "chmod", "chown", "set time", "set attribute", "unlink", "link", "symlink", "mkdir", "disk", "unmount"} {
		if !slices.Contains(free, deed) {
			t.Errorf("with nothing in the way %q is not done either: that it was refused proves nothing", deed)
		}
	}
}

// testSandboxIsTried: core tries its sandbox when it starts, says what it found to doctor, is started
// anew when a volume is mounted later, and does not run where the kernel would let it write.
func testSandboxIsTried(t *testing.T, ctx context.Context, n *nas) {
	doctor := func() string {
		return n.shell(t, ctx, `paperclipd doctor --json 2>/dev/null | python3 -c 'import json,sys; [print(c["id"], c["ok"], c["why"]) for c in json.load(sys.stdin)["checks"] if c["id"].startswith("sandbox")]'`)
	}
	said := doctor()
	t.Log(said)
	if !strings.HasPrefix(said, "sandbox True ") || !strings.Contains(said, "Landlock (ABI") || strings.Contains(said, " 0 block devices") {
		t.Errorf("doctor says %q", said)
	}
	began := n.shell(t, ctx, `systemctl show -P InvocationID paperclipd-core`)
	n.shell(t, ctx, `truncate -s 16M /run/late.img; mke2fs -q /run/late.img; mkdir -p /mnt/late; mount -o loop /run/late.img /mnt/late`)
	_, err := n.Agent.Until(ctx, `test "$(systemctl show -P InvocationID paperclipd-core)" != `+began)
	check(t, err)
	n.serving(t, ctx)
	_, err = n.Agent.Until(ctx, `grep /mnt/late /run/paperclip/sandbox.json`)
	check(t, err)
	if said := doctor(); !strings.HasPrefix(said, "sandbox True ") {
		t.Errorf("with a volume mounted later doctor says %q", said)
	}
	// A volume inside what core must write to is one it would reach.
	n.shell(t, ctx, `umount /mnt/late; mkdir -p /etc/data; mount -o loop /run/late.img /etc/data`)
	_, err = n.Agent.Until(ctx, `journalctl -u paperclipd-core --no-pager | grep 'would let it write to /etc/data'`)
	check(t, err)
	_, err = n.Agent.Until(ctx, `paperclipd doctor 2>/dev/null | grep 'WRONG *sandbox .*/etc/data'`)
	check(t, err)
	n.shell(t, ctx, `umount /etc/data`)
	n.serving(t, ctx) // systemd tries again
}
