//go:build linux

package vm

import (
	"context"
	"os"
	"testing"
	"time"
)

// TestBenchRecovery times the same NAS, locked out → signed in: by the button and `paperclip rescue`, and by
// a script in a rescue shell, which is what is left without it: off, a shell in place of the system,
// both password stores, on again. Nobody has to think, type or fetch a screen in either.
func TestBenchRecovery(t *testing.T) {
	if os.Getenv("PAPERCLIP_BENCH") != "1" {
		t.Skip("a figure, no check: run make bench-recovery-vm")
	}
	ctx := t.Context()
	n := boot(t, ctx, programs(t, ctx))
	n.install(t, ctx)
	check(t, n.Save(ctx, installed))
	benchRecovery(t, ctx, n)
}

func benchRecovery(t *testing.T, ctx context.Context, n *nas) {
	t.Helper()
	n.again(t, ctx, installed)
	began := time.Now()
	code := n.openClaim(t, ctx)
	t.Logf("ours: %.1f s: the code %v is heard", time.Since(began).Seconds(), code)
	r, err := n.lan.StartRescue(ctx, n.built.Paperclip, t.TempDir(), "cellar", "--administrator", "anna")
	check(t, err)
	check(t, r.Tell(code))
	_, password, _, err := r.Wait(ctx)
	t.Logf("rescue said:\n%s", r.Said())
	check(t, err)
	n.signsIn(t, ctx, password)
	ours := time.Since(began)

	n.again(t, ctx, installed)
	began = time.Now()
	lap := func(what string) { t.Logf("rescue shell: %.1f s: %s", time.Since(began).Seconds(), what) }
	n.shell(t, ctx, "systemctl poweroff --no-block") // as the power button would: the image has no driver for that
	select {
	case <-n.Ended():
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
	check(t, n.Cut())
	lap("off")
	shell, err := n.BootShell(ctx)
	check(t, err)
	check(t, shell.Shows(ctx, "# "))
	lap("a shell")
	const anew = "violet tractor 9 gulls"
	for _, line := range []struct{ types, shows string }{ // one after the other: the prompt stands before what was typed ahead
		{"mount -o remount,rw / && echo 'anna:" + anew + "' | chpasswd && echo changed", "\nchanged"},
		{"printf '%s\\n%s\\n' '" + anew + "' '" + anew + "' | smbpasswd -s anna && echo as well", "\nas well"},
	} {
		check(t, shell.Type(line.types))
		check(t, shell.Shows(ctx, line.shows))
	}
	check(t, shell.Type("mount -o remount,ro /; sync; echo b > /proc/sysrq-trigger"))
	select {
	case <-n.Ended():
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
	check(t, shell.Close())
	check(t, n.Cut())
	lap("both passwords set")
	check(t, n.Boot(ctx))
	n.signsIn(t, ctx, anew)
	theirs := time.Since(began)
	lap("signed in")

	t.Logf("locked out to signed in: %.1f s by button and paperclip, %.1f s by a rescue shell: %.1f times as fast",
		ours.Seconds(), theirs.Seconds(), theirs.Seconds()/ours.Seconds())
}

// signsIn waits until anna gets in over SSH.
func (n *nas) signsIn(t *testing.T, ctx context.Context, password string) {
	t.Helper()
	check(t, n.lan.Connects(ctx, OldSubnet, GuestAddress, "22"))
	n.witness(t, ctx, say{"anna", password, Accepted})
}
