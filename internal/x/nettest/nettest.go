//go:build linux

// Package nettest gives a test networks of its own: Linux network namespaces
// with links between them, where it can broadcast, take addresses and plug
// cables without a packet on the machine's own network.
//
// It is for tests only, needs root and the ip command, and skips a test, saying
// why, where they are missing. It leaves nothing behind: the namespaces have no
// names and end with the test's process.
package nettest

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inside marks the process that Isolated started.
const inside = "NETTEST_INSIDE"

// Isolated runs f as this test, in a process and a network namespace of its
// own that has nothing but a loopback interface.
func Isolated(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	if os.Getenv(inside) == t.Name() {
		IP(t, "link", "set", "lo", "up")
		f(t)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("no ip command (Debian: iproute2)")
	}
	args := []string{"-test.run=^" + t.Name() + "$", "-test.v=" + fmt.Sprint(testing.Verbose())}
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), inside+"="+t.Name())
	runtime.LockOSThread() // the child ends with the thread that started it
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		t.Logf("in a namespace of its own:\n%s", out)
	case strings.Contains(err.Error(), "operation not permitted"):
		t.Skipf("no network namespace here: %v", err)
	default:
		t.Fatalf("in a namespace of its own: %v\n%s", err, out)
	}
}

// Space is a second network namespace within the test's process: one thread
// lives in it.
type Space struct {
	work chan func()
	path string
}

// NewSpace makes a namespace that lasts as long as the test.
func NewSpace(t *testing.T) *Space {
	t.Helper()
	s := &Space{work: make(chan func())}
	ready := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		s.path = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
		ready <- err
		for f := range s.work {
			f()
		}
	}()
	if err := <-ready; err != nil {
		t.Skipf("no network namespace here: %v", err)
	}
	t.Cleanup(func() { close(s.work) })
	s.IP(t, "link", "set", "lo", "up")
	return s
}

// Do runs f in the namespace. The sockets that it opens and the commands that
// it starts stay there; goroutines that it starts do not.
func (s *Space) Do(f func()) {
	done := make(chan struct{})
	s.work <- func() {
		defer close(done)
		f()
	}
	<-done
}

// IP runs the ip command in the namespace.
func (s *Space) IP(t *testing.T, args ...string) {
	t.Helper()
	s.Do(func() { IP(t, args...) })
}

// Link lays a cable between the test's own namespace, where its end is called
// here, and s, where it is called there. Both ends are up, without addresses
// but IPv6's own.
func (s *Space) Link(t *testing.T, here, there string) {
	t.Helper()
	IP(t, "link", "add", here, "type", "veth", "peer", "name", there, "netns", s.path)
	IP(t, "link", "set", here, "up")
	s.IP(t, "link", "set", there, "up")
}

// IP runs the ip command in the test's own namespace. Only within [Isolated].
func IP(t *testing.T, args ...string) {
	t.Helper()
	if os.Getenv(inside) == "" {
		t.Fatal("nettest: not in a namespace of its own")
	}
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Errorf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
