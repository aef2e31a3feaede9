//go:build linux

package vm

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// logOutages prints how long each service gave no answer (D12).
func logOutages(t *testing.T, during string, all map[string]*Outage) {
	t.Helper()
	var text []string
	for _, service := range []string{"ping", "SSH", "SMB"} {
		longest, answers := all[service].Longest()
		if answers == 0 {
			t.Errorf("%s never answered during %s", service, during)
		}
		text = append(text, fmt.Sprintf("%s %d ms (%d answers)", service, longest.Milliseconds(), answers))
	}
	t.Logf("D12, longest time without an answer during %s: %s", during, strings.Join(text, ", "))
}

// testFloor is what the figures of the scopes are to be held against: the same NAS left alone, and the same
// services restarted by hand, with the same change of addresses.
func testFloor(t *testing.T, ctx context.Context, n *nas) {
	old := Spot{OldSubnet, GuestAddress}
	during := func(what, script string, spots ...Spot) {
		measured := n.lan.Probe(ctx, "ben", benPassword, spots...)
		pause(ctx, 5*time.Second) // every asker is signed in by then; what it took is shown by "nothing"
		if script != "" {
			n.shell(t, ctx, script)
		}
		pause(ctx, 5*time.Second)
		logOutages(t, what, measured())
	}
	during("nothing", "", old)
	during("a restart of ssh and smbd by hand", "systemctl restart ssh smbd", old)
	during("a change to DHCP by hand", `cd /etc/systemd/network
rm 20-members.network 30-bond0.network
printf '[Match]\nName=eth*\n[Network]\nDHCP=yes\n' > 20-lan.network
ip link set bond0 down; networkctl reload; networkctl reconfigure eth0 eth1
until ip -4 -o address show dev eth0 | grep -q `+LeasedAddress+`; do sleep 0.1; done`, old, Spot{Client, LeasedAddress})
}

// X15: a session of before lasts 5 s after the commit at most; it is 0.9 s, alone as well as beside two other
// machines. An emulated one that is stopped now and then has twice that before the test is red: the figure is
// printed.
const within = 10 * time.Second

// testSessions resets credentials alone. What anna had open is cut within 5 s after the commit; what ben has
// open stays.
func testSessions(t *testing.T, ctx context.Context, n *nas) {
	open := map[string]<-chan time.Time{}
	for user, password := range map[string]string{"anna": oldPassword, "ben": benPassword} {
		open[user+" SSH"] = n.openSSH(t, ctx, user, password)
		open[user+" SMB"] = n.openSMB(t, ctx, user, password)
	}
	ahead := n.clockAhead(t, ctx)
	testScope(reset.Credentials)(t, ctx, n)
	committed := n.committedAt(t, ctx).Add(-ahead)
	for name, closed := range open {
		mine := strings.HasPrefix(name, "anna")
		select {
		case at := <-closed:
			late := at.Sub(committed)
			switch {
			case !mine:
				t.Errorf("%s was cut, %.1f s after the commit: it is another user's", name, late.Seconds())
			case late > within:
				t.Errorf("%s was cut %.1f s after the commit, want %s", name, late.Seconds(), within)
			default:
				t.Logf("X15: %s was cut %d ms after the commit (want 5000)", name, late.Milliseconds())
			}
		default:
			if mine {
				t.Errorf("%s is still open, %.1f s after the commit", name, time.Since(committed).Seconds())
			} else {
				t.Logf("X15: %s is still open, %.1f s after the commit", name, time.Since(committed).Seconds())
			}
		}
	}
}

// openSSH is a session with a command that runs; the channel tells when it ended.
func (n *nas) openSSH(t *testing.T, ctx context.Context, user, password string) <-chan time.Time {
	t.Helper()
	var client *ssh.Client
	var err error
	for end := time.Now().Add(patience); client == nil; pause(ctx, time.Second) {
		if client, err = n.lan.SSHSession(Spot{OldSubnet, GuestAddress}, user, password, nil); err != nil && time.Now().After(end) {
			t.Fatal(user, err)
		}
	}
	t.Cleanup(func() { client.Close() })
	session, err := client.NewSession()
	check(t, err)
	_, err = session.StdinPipe() // stays open
	check(t, err)
	printed, err := session.StdoutPipe()
	check(t, err)
	check(t, session.Start("echo here; cat"))
	_, err = io.ReadFull(printed, make([]byte, len("here\n")))
	check(t, err)
	return ended(func() { _ = client.Wait() }) // how it ended is no news
}

// openSMB is smbclient, signed in and waiting for what to do.
func (n *nas) openSMB(t *testing.T, ctx context.Context, user, password string) <-chan time.Time {
	t.Helper()
	file, err := writeSecret(n.dir, "smb-*", "username="+user+"\npassword="+password+"\n")
	check(t, err)
	before := n.smbConnections(t, ctx)
	c := n.lan.Command(ctx, OldSubnet, "stdbuf", "--output=L", "smbclient", "--authentication-file="+file, "//"+GuestAddress+"/data")
	in, err := c.StdinPipe()
	check(t, err)
	out, err := c.StdoutPipe()
	check(t, err)
	c.Stderr = c.Stdout
	check(t, c.Start())
	t.Cleanup(func() { in.Close(); stopped(c) })
	_, err = io.WriteString(in, "ls\n")
	check(t, err)
	for lines := bufio.NewScanner(out); ; {
		if !lines.Scan() {
			t.Fatalf("%s did not get into the share: %v", user, lines.Err())
		}
		if strings.Contains(lines.Text(), "inbox") {
			go io.Copy(io.Discard, out)
			break
		}
	}
	var mine string
	for _, connection := range n.smbConnections(t, ctx) {
		if !slices.Contains(before, connection) {
			mine = connection
		}
	}
	if mine == "" {
		t.Fatalf("%s has no connection to the share", user)
	}
	return ended(func() {
		for ctx.Err() == nil && slices.Contains(n.smbConnections(t, ctx), mine) {
			pause(ctx, 100*time.Millisecond)
		}
	})
}

func stopped(c *exec.Cmd) {
	_ = c.Process.Kill() // it may have ended
	_ = c.Wait()
}

// smbConnections are the ports of the connections to the share that stand in both directions.
func (n *nas) smbConnections(t *testing.T, ctx context.Context) []string {
	out, err := n.lan.Command(ctx, OldSubnet, "ss", "-Htn", "state", "established", "dport = :445").Output()
	if err != nil && ctx.Err() == nil {
		t.Error(err)
	}
	var all []string
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 2 {
			all = append(all, f[2])
		}
	}
	return all
}

// ended gives the moment at which wait returns.
func ended(wait func()) <-chan time.Time {
	at := make(chan time.Time, 1)
	go func() {
		wait()
		at <- time.Now()
	}()
	return at
}

// clockAhead is by how much the guest's clock is ahead of ours.
func (n *nas) clockAhead(t *testing.T, ctx context.Context) time.Duration {
	t.Helper()
	began := time.Now()
	there := n.moment(t, ctx, "date +%s.%N")
	return there.Sub(began.Add(time.Since(began) / 2))
}

// committedAt is when the last reset was committed, by the guest's clock: the receipt follows at once.
func (n *nas) committedAt(t *testing.T, ctx context.Context) time.Time {
	t.Helper()
	return n.moment(t, ctx, "stat -c %.9Y /var/lib/paperclip/receipts/* | sort -n | tail -1")
}

func (n *nas) moment(t *testing.T, ctx context.Context, script string) time.Time {
	t.Helper()
	seconds, err := strconv.ParseFloat(n.shell(t, ctx, script), 64)
	check(t, err)
	return time.UnixMicro(int64(seconds * 1e6))
}
