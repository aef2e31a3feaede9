//go:build linux

package vm

import (
	"context"
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
// no file on the array changed.
func testHard(t *testing.T, ctx context.Context, n *nas) {
	const volumes = "grep -v vault /etc/fstab; cat /etc/mdadm/mdadm.conf; findmnt -no SOURCE,TARGET /srv" // the vault is E12
	before, mounted := n.look(t, ctx, OldSubnet, GuestAddress), n.shell(t, ctx, volumes)
	files, err := n.Agent.Manifest(ctx, "/srv")
	check(t, err)

	d, password := n.rescueIn(t, ctx, t.TempDir(), n.openHardClaim, "--mode", "hard", "--name", "attic")
	if !d.SignedIn {
		t.Errorf("not signed in: %+v", d)
	}
	n.claimGone(t, ctx)
	after := n.settles(t, ctx, Client, LeasedAddress, func(r row, is string) string {
		if r.id == "E13" { // wants more than a claim
			return ""
		}
		return r.wasReset(before[r.id], is)
	})
	table(t, "a hard reset", column{"before", before}, column{"after", after})
	if name := n.shell(t, ctx, "cat /etc/hostname; hostname"); name != "attic\nattic" {
		t.Errorf("it is called %q", name)
	}
	if now := n.shell(t, ctx, volumes); now != mounted {
		t.Errorf("volumes were\n%s\nand are\n%s", mounted, now)
	}
	if said := n.shell(t, ctx, "paperclipd receipts"); !strings.Contains(said, "hard") || !strings.Contains(said, "committed") {
		t.Errorf("the receipts say %q", said)
	}
	n.witnessAt(t, ctx, Client, LeasedAddress, say{"anna", password, Accepted}, say{"anna", oldPassword, Refused}, say{"ben", benPassword, Refused})
	n.sameFiles(t, ctx, files)
}
