//go:build linux

package service

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
)

// system is a MapFS with absolute paths.
type system struct{ fstest.MapFS }

func (s system) ReadFile(p string) ([]byte, error)  { return s.MapFS.ReadFile(p[1:]) }
func (s system) Stat(p string) (fs.FileInfo, error) { return s.MapFS.Stat(p[1:]) }
func with(release string, systemd bool) system {
	s := system{fstest.MapFS{}}
	if release != "" {
		s.MapFS["etc/os-release"] = &fstest.MapFile{Data: []byte(release)}
	}
	if systemd {
		s.MapFS["run/systemd/system"] = &fstest.MapFile{Mode: fs.ModeDir}
	}
	return s
}

func TestSupported(t *testing.T) {
	for _, c := range []struct {
		release string
		systemd bool
		says    string // "" is supported
	}{
		{"ID=debian\nVERSION_ID=\"12\"\n", true, ""},
		{"PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nVERSION_ID=\"13\"\nID=debian", true, ""},
		{"ID=debian\nVERSION_ID=\"12\"\n", false, "systemd"},
		{"ID=debian\nVERSION_ID=\"11\"\n", true, "debian 11"},
		{"ID=ubuntu\nVERSION_ID=\"24.04\"\nID_LIKE=debian\n", true, "ubuntu 24.04"},
		{"ID=debian\n", true, "debian"},
		{"ID=\x1b[2J\n", true, `\x1b`},
		{"", true, "/etc/os-release"},
	} {
		err := Supported(with(c.release, c.systemd))
		if c.says == "" {
			if err != nil {
				t.Errorf("%q: %v", c.release, err)
			}
			continue
		}
		p := catalog.AsProblem(err)
		if p.ID != "unsupported_system" || p.Exit != catalog.Failed || !strings.Contains(p.Text, c.says) {
			t.Errorf("%q: %s %q", c.release, p.ID, p.Text)
		}
	}
}

func TestNotify(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := Notify("READY=1"); err != nil {
		t.Error(err)
	}
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	if err := Notify("READY=1"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	if n, err := conn.Read(b); err != nil || string(b[:n]) != "READY=1" {
		t.Errorf("%q, %v", b[:n], err)
	}
}

// callAs connects as a user, in a child process, and returns what it is told.
func callAs(t *testing.T, path string, uid uint32) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCall$")
	cmd.Env = append(os.Environ(), "CALL_SOCKET="+path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("as %d: %v", uid, err)
	}
	said, _, _ := strings.Cut(string(out), "\n")
	return said
}

// TestCall is the child of callAs.
func TestCall(t *testing.T) {
	path := os.Getenv("CALL_SOCKET")
	if path == "" {
		t.Skip("runs as a child of TestCallers")
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	said, _ := io.ReadAll(conn)
	_, _ = os.Stdout.WriteString(string(said) + "\n")
}

// socketFor is a path for a socket that every user can call, and the user that
// front is.
func socketFor(t *testing.T) (path string, front uint32) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("calls as several users, so it needs root")
	}
	dir, err := os.MkdirTemp("", "svc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	// The child is this very test program, which others must be able to run.
	self := filepath.Join(dir, "test")
	program, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(self, program, 0o755); err != nil {
		t.Fatal(err)
	}
	args := os.Args[0]
	os.Args[0] = self
	t.Cleanup(func() { os.Args[0] = args })
	return filepath.Join(dir, "core.sock"), 64001
}

// The kernel says who calls: root is root, the one user is front, and nobody
// else hears a word.
func TestCallers(t *testing.T) {
	path, front := socketFor(t)
	for range 2 { // the second finds the first one's socket
		ln, err := Listen(path, int(front))
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o660 || info.Sys().(*syscall.Stat_t).Gid != front {
			t.Fatalf("%v %v", info.Mode(), err)
		}
		if err := os.Chmod(path, 0o666); err != nil { // so that it is the check that keeps a stranger out
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		callers := Callers{FrontUID: int(front), Log: slog.New(slog.DiscardHandler), Serve: func(_ context.Context, c Caller, conn net.Conn) error {
			_, err := conn.Write([]byte(map[Caller]string{Front: "front", Root: "root"}[c]))
			return err
		}}
		go func() { ended <- callers.Run(ctx, ln) }()
		for uid, want := range map[uint32]string{0: "root", front: "front", front + 1: ""} {
			if got := callAs(t, path, uid); got != want {
				t.Errorf("user %d is %q, want %q", uid, got, want)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// A front that takes every place that it can get leaves root's alone: the console
// stays open (X1).
func TestFrontLeavesRootItsPlaces(t *testing.T) {
	path, front := socketFor(t)
	ln, err := Listen(path, int(front))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	inside, let, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	callers := Callers{FrontUID: int(front), Log: slog.New(slog.DiscardHandler), Serve: func(_ context.Context, c Caller, conn net.Conn) error {
		if c == Front {
			inside <- struct{}{}
			<-let
		}
		_, err := conn.Write([]byte("served"))
		return err
	}}
	go func() { ended <- callers.Run(ctx, ln) }()
	said := make(chan string)
	for range maxEach {
		go func() { said <- callAs(t, path, front) }()
		<-inside
	}
	if got := callAs(t, path, front); got != "" {
		t.Errorf("one front more is %q", got)
	}
	if got := callAs(t, path, 0); got != "served" {
		t.Errorf("root is told %q", got)
	}
	close(let)
	for range maxEach {
		if got := <-said; got != "served" {
			t.Errorf("a front was told %q", got)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Where there is no user for front, nobody is taken for it.
func TestNoFrontUser(t *testing.T) {
	for _, uid := range []int{-1, 0} {
		for _, caller := range []int{-1, 1, 65534} {
			if got := (Callers{FrontUID: uid}).who(caller); got != Stranger {
				t.Errorf("user %d, front %d: %v", caller, uid, got)
			}
		}
	}
}

// What lies in the socket's place and is no socket stays.
func TestListenRemovesOnlyASocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "core.sock")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path, os.Getgid()); err == nil {
		t.Error("listening in the place of a file")
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "precious" {
		t.Error(errors.New("the file is gone"), err)
	}
}
