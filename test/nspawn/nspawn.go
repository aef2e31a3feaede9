//go:build linux

// Package nspawn runs the settings' adapters against the real programs: a
// Debian system booted in a container on which every part that a reset sets
// back is present and on. It holds only tests, and what they are run with.
//
// It touches nothing of the machine it runs on but its own cache, a network
// namespace of its own and the container's control groups.
package nspawn

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// container is one booted system. As an opfs.Runner it runs programs inside.
type container struct {
	leader string // process id of its systemd
	name   string // of its network namespace
}

// boot starts a fresh system: what it writes is gone with it.
func boot(t *testing.T, image string) *container {
	t.Helper()
	c := &container{name: "pcns-" + strings.ToLower(rand.Text()[:8])}
	host(t, "ip", "netns", "add", c.name)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", c.name).Run() })
	host(t, "ip", "-n", c.name, "link", "set", "lo", "up")
	host(t, "ip", "-n", c.name, "link", "add", "host0", "type", "veth", "peer", "name", "lan0")
	host(t, "ip", "-n", c.name, "link", "set", "lan0", "up")

	cmd := exec.Command("systemd-nspawn", "--quiet", "--directory="+image, "--volatile=overlay", "--boot", "--register=no", "--keep-unit",
		"--network-namespace-path=/run/netns/"+c.name, "--console=pipe", "--link-journal=no", "--timezone=off", "--resolv-conf=off", "--capability=CAP_NET_ADMIN", "--bind=/dev/fuse")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { c.stop(t, cmd.Process, ended) })

	children := fmt.Sprintf("/proc/%d/task/%[1]d/children", cmd.Process.Pid)
	c.until(t, "the container has not started", func() bool {
		data, err := os.ReadFile(children)
		pids := strings.Fields(string(data))
		if err != nil || len(pids) == 0 {
			return false
		}
		c.leader = pids[0]
		out, err := c.Run(t.Context(), "boot", opfs.Command{Path: "systemctl", Args: []string{"is-system-running"}})
		return err == nil && (bytes.HasPrefix(out.Stdout, []byte("running")) || bytes.HasPrefix(out.Stdout, []byte("degraded")))
	})
	c.must(t, "mkdir "+ownSys+" && mount -t sysfs -o ro sysfs "+ownSys)
	return c
}

// stop powers the container off, and ends it where it does not.
func (c *container) stop(t *testing.T, nspawn *os.Process, ended <-chan error) {
	if pid, err := strconv.Atoi(c.leader); err == nil {
		const poweroff = syscall.Signal(34 + 4) // SIGRTMIN+4, as systemd(1) has it
		_ = syscall.Kill(pid, poweroff)
	}
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Error("the container did not power off")
		_ = nspawn.Kill()
		<-ended
	}
	for _, kind := range []string{"systemd", "unified"} {
		for _, group := range []string{"payload/init.scope", "payload", "supervisor"} {
			_ = os.Remove(filepath.Join("/sys/fs/cgroup", kind, group)) // only where empty
		}
	}
}

// until waits for something that happens by itself, two minutes at most.
func (c *container) until(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(2 * time.Minute)
	for !so() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal(what)
		}
	}
}

// ownSys is where the container's own view of its network cards is mounted: the
// one that nspawn gives it in /sys is the host's.
const ownSys = "/run/own-sys"

// FS is the container's file system, as it sees it.
func (c *container) FS() opfs.FS {
	return sys{opfs.Under(filepath.Join("/proc", c.leader, "root"), opfs.OS(nil))}
}

// sys reads /sys from ownSys.
type sys struct{ opfs.FS }

func own(name string) string {
	if rest, ok := strings.CutPrefix(name, "/sys/"); ok {
		return filepath.Join(ownSys, rest)
	}
	return name
}

func (s sys) ReadFile(name string) ([]byte, error)            { return s.FS.ReadFile(own(name)) }
func (s sys) Lstat(name string) (fs.FileInfo, error)          { return s.FS.Lstat(own(name)) }
func (s sys) Stat(name string) (fs.FileInfo, error)           { return s.FS.Stat(own(name)) }
func (s sys) ReadDir(name string) ([]fs.DirEntry, error)      { return s.FS.ReadDir(own(name)) }
func (s sys) Attributes(name string) (opfs.Attributes, error) { return s.FS.Attributes(own(name)) }

// notFound is env(1)'s exit status for a program that is not there.
const notFound = 127

// Run runs a program inside.
func (c *container) Run(ctx context.Context, op string, cmd opfs.Command) (opfs.Output, error) {
	if cmd.Timeout == 0 {
		cmd.Timeout = time.Minute // the machine may be busy
	}
	inside := append([]string{
		"-t", c.leader, "-a", "--", "/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", cmd.Path,
	}, cmd.Args...)
	cmd.Path, cmd.Args = "nsenter", inside
	out, err := opfs.Exec(nil).Run(ctx, op, cmd)
	if err == nil && out.ExitCode == notFound {
		return out, fmt.Errorf("%s: %w", inside[8], opfs.ErrNoCommand)
	}
	return out, err
}

// sh runs a shell command inside, and says what it printed and whether it
// succeeded.
func (c *container) sh(t *testing.T, command string) (string, bool) {
	t.Helper()
	out, err := c.Run(t.Context(), "test", opfs.Command{Path: "/bin/sh", Args: []string{"-c", command + " 2>&1"}, Timeout: 2 * time.Minute})
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return strings.TrimSpace(string(out.Stdout)), out.ExitCode == 0
}

// must is sh of what cannot fail.
func (c *container) must(t *testing.T, command string) string {
	t.Helper()
	out, ok := c.sh(t, command)
	if !ok {
		t.Fatalf("%s: %s", command, out)
	}
	return out
}

func host(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
}

// image builds the root directory, once per recipe.
func image(t *testing.T) string {
	t.Helper()
	if os.Getenv("PAPERCLIP_NSPAWN") != "1" {
		t.Skip("set PAPERCLIP_NSPAWN=1 to boot Debian in containers (root, and the packages in test/nspawn/packages)")
	}
	var err error
	for _, tool := range []string{"systemd-nspawn", "mmdebstrap", "nsenter", "ip"} {
		_, missing := exec.LookPath(tool)
		err = errors.Join(err, missing)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("./image.sh")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal("the image was not built: ", err)
	}
	return strings.TrimSpace(string(out))
}
