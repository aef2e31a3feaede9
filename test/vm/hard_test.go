//go:build linux

package vm

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/button"
)

// openHardClaim presses twice, the second time until three beeps, and gives the code that is said then.
func (n *nas) openHardClaim(t *testing.T, ctx context.Context) [4]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ear := n.Listen(ctx)
	check(t, n.Press(ctx))
	check(t, ear.Wait(ctx, "the beep of a hold of 4 s", func(s []button.Sound) bool { return len(s) > 0 }))
	check(t, n.Release(ctx))
	ear.Close()
	pause(ctx, time.Second)

	ear = n.Listen(ctx)
	check(t, n.Press(ctx))
	check(t, ear.Wait(ctx, "three beeps of the second hold", func(s []button.Sound) bool {
		beeps := 0
		for _, sound := range s {
			if sound.On && sound.At > 3500*time.Millisecond { // before it, the first claim's code may be heard
				beeps++
			}
		}
		return beeps >= 3
	}))
	check(t, n.Release(ctx))
	ear.Close()

	ear = n.Listen(ctx)
	defer ear.Close()
	code, err := ear.Code(ctx)
	check(t, err)
	return code
}

// testHard sets a dressed NAS back by a hard reset with the wizard's answers: a new name, DHCP, anna as its
// first administrator. All rows are as a soft reset of scope all leaves them, other accounts are closed, and
// no file on the array changed (D3 D5 D6).
func testHard(t *testing.T, ctx context.Context, n *nas) {
	before := n.look(t, ctx, OldSubnet, GuestAddress)
	mounts := n.shell(t, ctx, "cat /etc/fstab /etc/mdadm/mdadm.conf; findmnt -no SOURCE,TARGET /srv")
	files, err := n.Agent.Manifest(ctx, "/srv")
	check(t, err)
	code := n.openHardClaim(t, ctx)
	t.Logf("the NAS said %v", code)

	limited, cancel := context.WithTimeout(ctx, 8*time.Minute)
	defer cancel()
	r, err := n.lan.StartRescue(limited, n.built.Paperclip, t.TempDir(), "--mode", "hard", "--administrator", "anna", "--name", "attic")
	check(t, err)
	check(t, r.Tell(code))
	printed, password, exit, err := r.Wait(limited)
	t.Logf("rescue said:\n%s", r.Said())
	if err != nil {
		t.Fatalf("exit %d: %v\n%s", exit, err, printed)
	}
	var d document
	check(t, json.Unmarshal(printed, &d))
	if !d.SignedIn {
		t.Errorf("not signed in: %s", printed)
	}
	check(t, n.lan.Connects(limited, Client, LeasedAddress, "22"))
	n.claimGone(t, ctx)
	after := n.look(t, ctx, Client, LeasedAddress)
	n.table(t, "hard", before, after, nil)
	for _, row := range rows() {
		if row.id != "E13" && (before[row.id] == after[row.id] || row.reset != "" && after[row.id] != row.reset) {
			t.Errorf("%s (%s) was %q and is %q, want %q", row.id, row.what, before[row.id], after[row.id], row.reset)
		}
	}
	if name := n.shell(t, ctx, "cat /etc/hostname"); name != "attic" {
		t.Errorf("it is called %q", name)
	}
	if now := n.shell(t, ctx, "cat /etc/fstab /etc/mdadm/mdadm.conf; findmnt -no SOURCE,TARGET /srv"); now != mounts {
		t.Errorf("volumes were\n%s\nand are\n%s", mounts, now)
	}
	if said := n.shell(t, ctx, "paperclipd receipts"); !strings.Contains(said, "hard") || !strings.Contains(said, "committed") {
		t.Errorf("the receipts say %q", said)
	}
	n.witnessAt(t, ctx, Client, LeasedAddress, say{"anna", password, Accepted}, say{"anna", oldPassword, Refused}, say{"ben", benPassword, Refused})
	now, err := n.Agent.Manifest(ctx, "/srv")
	check(t, err)
	for _, change := range files.Changes(now, nil) {
		t.Error("on the array: ", change)
	}
	t.Logf("%d files on the array compared", now.Files())
}
