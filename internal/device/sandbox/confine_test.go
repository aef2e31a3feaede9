//go:build linux

package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// A child of the test applies the rules to itself, for good, and says what it
// could still do: PAPERCLIP_CONFINED has its orders.
func TestMain(m *testing.M) {
	if orders := os.Getenv("PAPERCLIP_CONFINED"); orders != "" {
		os.Exit(confined([]byte(orders)))
	}
	os.Exit(m.Run())
}

type orders struct {
	Rules           Rules
	Allowed, Denied string // folders
	Address         string // of a TCP listener
}

type deeds struct {
	ABI             int
	Write           []string
	Allowed, Denied []string // what was possible there
	Run, Connect    bool
	Report          Report
	CheckError      string
}

func confined(text []byte) int {
	var o orders
	if json.Unmarshal(text, &o) != nil {
		return 2
	}
	var d deeds
	var err error
	if d.ABI, d.Write, err = o.Rules.Apply(); err != nil {
		os.Stderr.WriteString(err.Error())
		return 2
	}
	d.Allowed, d.Denied = trespass(o.Allowed), trespass(o.Denied)
	d.Run = exec.Command("/bin/true").Run() == nil
	if conn, err := net.Dial("tcp", o.Address); err == nil {
		d.Connect = true
		conn.Close()
	}
	if d.Report, err = Check(d.ABI, d.Write); err != nil {
		d.CheckError = err.Error()
	}
	if json.NewEncoder(os.Stdout).Encode(d) != nil {
		return 2
	}
	return 0
}

// trespass does what a bug could do in a folder that has the files "file" and
// "other", and lists what was possible. It tries on every thread there is.
func trespass(dir string) (done []string) {
	file := filepath.Join(dir, "file")
	for name, deed := range map[string]func() error{
		"create":   func() error { return os.WriteFile(filepath.Join(dir, "new"), nil, 0o600) },
		"mkdir":    func() error { return os.Mkdir(filepath.Join(dir, "folder"), 0o700) },
		"symlink":  func() error { return os.Symlink("x", filepath.Join(dir, "link")) },
		"write":    func() error { return write(file) },
		"truncate": func() error { return os.Truncate(file, 0) },
		"rename":   func() error { return os.Rename(filepath.Join(dir, "other"), filepath.Join(dir, "renamed")) },
		"unlink":   func() error { return os.Remove(filepath.Join(dir, "third")) },
		"mknod":    func() error { return unix.Mknod(filepath.Join(dir, "block"), unix.S_IFBLK|0o600, 7<<8) },
	} {
		errs := make(chan error, 4)
		for range cap(errs) {
			go func() {
				runtime.LockOSThread()
				errs <- deed()
			}()
		}
		for range cap(errs) {
			if <-errs == nil && !slices.Contains(done, name) {
				done = append(done, name)
			}
		}
	}
	slices.Sort(done)
	return done
}

func write(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("x")
	return errors.Join(err, f.Close())
}

func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"file", "other", "third"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("kept"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func confine(t *testing.T, o orders) deeds {
	t.Helper()
	if abi, err := ll.LandlockGetABIVersion(); err != nil || abi < 1 {
		t.Skip("this kernel has no Landlock; the VM test has")
	}
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "PAPERCLIP_CONFINED="+string(text))
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	var d deeds
	if err := json.Unmarshal(out, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// Below the folders of the list everything that a setting needs works; outside
// nothing does, for root too, on every thread. No folder makes a device.
func TestConfined(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	o := orders{Allowed: folder(t), Denied: folder(t), Address: ln.Addr().String()}
	o.Rules = Rules{Write: []string{o.Allowed, filepath.Join(o.Allowed, "not-there"), "/dev/null"}}
	d := confine(t, o)
	if want := []string{"create", "mkdir", "rename", "symlink", "truncate", "unlink", "write"}; !slices.Equal(d.Allowed, want) {
		t.Errorf("in the allowed folder it could %q, want %q", d.Allowed, want)
	}
	want := []string(nil)
	if d.ABI < 3 {
		want = []string{"truncate"} // doctor says so
	}
	if !slices.Equal(d.Denied, want) {
		t.Errorf("outside it could %q, want %q", d.Denied, want)
	}
	if !slices.Equal(d.Write, []string{o.Allowed, "/dev/null"}) {
		t.Errorf("it says that it may write to %q", d.Write)
	}
	if !d.Run || !d.Connect {
		t.Errorf("core starts programs (%v) and connects (%v)", d.Run, d.Connect)
	}
	if len(d.Report.Open) > 0 || len(d.Report.Volumes) == 0 || d.CheckError != "" {
		t.Errorf("check: %+v %s", d.Report, d.CheckError)
	}
	alone := confine(t, orders{Allowed: folder(t), Denied: folder(t), Address: ln.Addr().String(), Rules: Front()})
	if alone.Run || alone.ABI >= 4 && alone.Connect || len(alone.Allowed) > 0 && alone.ABI >= 3 {
		t.Errorf("front can run %v, connect %v, %q", alone.Run, alone.Connect, alone.Allowed)
	}
}

// Without any sandbox the check says what is open, and leaves nothing behind.
func TestCheckFindsAnOpenVolume(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can write to a mounted file system's topmost folder")
	}
	r, err := Check(0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(r.Open, "/") {
		t.Errorf("%+v: root can write to /", r)
	}
	if left, _ := filepath.Glob("/.paperclip-try-*"); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// Watch sleeps until a mount appears, and ends when it is told to.
func TestWatchEnds(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	table, err := os.ReadFile(mountTable)
	if err != nil {
		t.Fatal(err)
	}
	before := Report{} // all folders are allowed, so nothing is a volume
	for _, m := range ParseMounts(table) {
		before.Write = append(before.Write, m.Path)
	}
	if now, err := Watch(ctx, before); !errors.Is(err, context.DeadlineExceeded) && len(now.Open) == 0 {
		t.Errorf("Watch: %+v, %v", now, err)
	}
}
