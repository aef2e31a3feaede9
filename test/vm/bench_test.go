//go:build linux

package vm

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// startsDocumented is the longest that a maker says its NAS may take to start its services (Synology's Web
// Assistant, status 7, "up to 10 min": vendors/synology.md). This virtual one starts in less than a minute.
const startsDocumented = 10 * time.Minute

// TestBenchRecovery times the same NAS, locked out → signed in: by the button and `paperclip rescue`, and by
// a script in a rescue shell, which is what is left without it: off, a shell in place of the system,
// both password stores, on again. The owner's computer is of the NAS's own subnet. Nobody has to think, type or fetch a screen in either.
func TestBenchRecovery(t *testing.T) {
	if os.Getenv("PAPERCLIP_BENCH") != "1" {
		t.Skip("a figure, no check: run make bench-recovery-vm")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Minute)
	defer cancel()
	n := boot(t, ctx, programs(t, ctx))
	n.install(t, ctx)
	check(t, n.Save(ctx, installed))

	benchRecovery(t, ctx, n)
}

func benchRecovery(t *testing.T, ctx context.Context, n *nas) {
	t.Helper()
	hand, ours := benchButton(t, ctx, n)
	n.again(t, ctx, installed)
	theirs, starting := benchShell(t, ctx, n)

	slow := theirs - starting + startsDocumented
	t.Logf("locked out to signed in: %.1f s by button and paperclip, of which %.1f s are a hold and beeps; %.1f s by a rescue shell",
		(hand + ours).Seconds(), hand.Seconds(), theirs.Seconds())
	t.Logf("times as fast: %.1f; without the hold and the beeps %.1f. On a NAS that takes as long to start as one maker says it may (%s): %.0f and %.0f",
		theirs.Seconds()/(hand+ours).Seconds(), theirs.Seconds()/ours.Seconds(), startsDocumented, slow.Seconds()/(hand+ours).Seconds(), slow.Seconds()/ours.Seconds())
}

// laps prints how long each phase of one way takes.
func laps(t *testing.T, way string) (lap func(what string) time.Duration) {
	next := stopwatch()
	return func(what string) time.Duration {
		took := next()
		t.Logf("%s: %5.1f s  %s", way, took.Seconds(), what)
		return took
	}
}

// benchButton is the owner's way. hand is how long the button is held and the code is beeped, and meanwhile
// the NAS is looked for; rest is what follows.
func benchButton(t *testing.T, ctx context.Context, n *nas) (hand, rest time.Duration) {
	t.Helper()
	lap := laps(t, "button")
	r, err := n.lan.StartRescueFrom(ctx, OldSubnet, n.built.Paperclip, t.TempDir(), "cellar", "--administrator", "anna")
	check(t, err)
	code := n.openClaim(t, ctx)
	hand = lap("the button is held, the code is beeped; meanwhile the NAS is looked for")
	check(t, r.Tell(code))
	check(t, r.Says(ctx, "Checking and keeping the receipt"))
	rest = lap("from the code to paperclip's own sign-in")
	for _, step := range steps(r.Said()) {
		t.Logf("button:   %s", step)
	}
	// What follows, a recovery key, is no part of getting in.
	password, err := r.Password()
	check(t, err)
	n.signsIn(t, ctx, password)
	rest += lap("SSH and SMB take the new password")
	r.Stop()
	return hand, rest
}

var doneLine = regexp.MustCompile(`^  done, (\d+ ms)$`)

// steps are the steps that a rescue told of, each with its time.
func steps(said string) (all []string) {
	step := ""
	for line := range strings.Lines(said) {
		line = strings.TrimRight(line, "\n")
		if m := doneLine.FindStringSubmatch(line); m != nil {
			all = append(all, fmt.Sprintf("%9s  %s", m[1], step))
			step = ""
		} else if step == "" {
			step = line
		}
	}
	return all
}

// benchShell is the way through a rescue shell. starting is how long the NAS takes until it lets anna in.
func benchShell(t *testing.T, ctx context.Context, n *nas) (all, starting time.Duration) {
	t.Helper()
	began := time.Now()
	lap := laps(t, "rescue shell")
	ended := func() {
		select {
		case <-n.Ended():
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		}
		check(t, n.Cut())
	}
	n.shell(t, ctx, "systemctl poweroff --no-block") // as the power button would: the image has no driver for that
	ended()
	lap("off")
	shell, err := n.BootShell(ctx)
	check(t, err)
	check(t, shell.Shows(ctx, "# "))
	lap("on, to a shell")
	const anew = "violet tractor 9 gulls"
	for _, line := range []struct{ types, shows string }{ // one after the other: the prompt stands before what was typed ahead
		{"mount -o remount,rw / && echo 'anna:" + anew + "' | chpasswd && echo changed", "\nchanged"},
		{"printf '%s\\n%s\\n' '" + anew + "' '" + anew + "' | smbpasswd -s anna && echo as well", "\nas well"},
	} {
		check(t, shell.Type(line.types))
		check(t, shell.Shows(ctx, line.shows))
	}
	lap("both passwords set")
	check(t, shell.Type("mount -o remount,ro /; sync; echo b > /proc/sysrq-trigger"))
	ended()
	check(t, shell.Close())
	lap("off")
	check(t, n.Boot(ctx))
	n.signsIn(t, ctx, anew)
	starting = lap("on; SSH and SMB take the new password")
	return time.Since(began), starting
}

// signsIn waits until anna gets in over SSH and SMB.
func (n *nas) signsIn(t *testing.T, ctx context.Context, password string) {
	t.Helper()
	for _, port := range []string{"22", "445"} {
		check(t, n.lan.Connects(ctx, OldSubnet, GuestAddress, port))
	}
	n.mounted(t, ctx)
	n.witness(t, ctx, say{"anna", password, Accepted})
}
