//go:build linux

package vm

import (
	"context"
	"testing"
)

// testConsole is somebody with root at the serial console, who types a password twice; nothing else is
// needed (A6). It is not shown, and afterwards it holds everywhere.
func testConsole(t *testing.T, ctx context.Context, n *nas) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	console, err := n.Console(ctx)
	check(t, err)
	defer console.Close()
	n.shell(t, ctx, `systemctl stop serial-getty@ttyS0
systemd-run --quiet --collect --unit=root-at-the-console --property=StandardInput=tty-force --property=StandardOutput=tty --property=StandardError=tty \
	--property=TTYPath=/dev/ttyS0 --property=TTYReset=yes bash --norc -i`)
	const anew = "violet tractor 9 gulls"
	for _, step := range []struct{ shows, types string }{
		{"# ", "paperclipd reset-password anna"},
		{"New password of anna: ", anew},
		{"The same again: ", anew + " or not"},
		{"The two passwords differ. Nothing was changed.", "paperclipd reset-password anna"},
		{"New password of anna: ", anew},
		{"The same again: ", anew},
		{"anna has a new password", "exit"},
	} {
		check(t, console.Shows(ctx, step.shows))
		check(t, console.Type(step.types))
	}
	if console.Showed(anew) {
		t.Error("the console showed the password")
	}
	n.witness(t, ctx, say{"anna", anew, Accepted}, say{"anna", oldPassword, Refused}, say{"ben", benPassword, Accepted})
}
