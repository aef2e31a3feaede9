//go:build linux

package sessions

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// As smbstatus 4.17.12 of Debian 12 answered, shortened.
const two = `{"version": "4.17.12-Debian", "sessions": {
 "760056992": {"session_id": "760056992", "server_id": {"pid": "19108", "task_id": "0"}, "uid": 1001, "username": "anna"},
 "760056993": {"session_id": "760056993", "server_id": {"pid": "19108", "task_id": "0"}, "uid": 1001, "username": "anna"},
 "860056992": {"session_id": "860056992", "server_id": {"pid": "19110", "task_id": "0"}, "uid": 1002, "username": "ben"}}}`

// tools answers commands, and remembers them.
type tools struct {
	answers map[string]opfs.Output
	errs    map[string]error

	mu  sync.Mutex // logins and Samba are ended side by side
	ran []string
}

func (r *tools) Run(_ context.Context, op string, c opfs.Command) (opfs.Output, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ran = append(r.ran, op+": "+c.Path+" "+strings.Join(c.Args, " "))
	return r.answers[c.Path], r.errs[c.Path]
}

// One account's sessions end, each process once, and no other's.
func TestEnd(t *testing.T) {
	r := &tools{answers: map[string]opfs.Output{"smbstatus": {Stdout: []byte(two)}}}
	if err := (Ender{Runner: r}).End(t.Context(), "anna"); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"sessions.end.logind: loginctl terminate-user anna", "sessions.end.samba: smbcontrol 19108 shutdown", "sessions.list.samba: smbstatus --processes --json",
	}
	slices.Sort(r.ran)
	if !slices.Equal(r.ran, want) {
		t.Errorf("ran %q", r.ran)
	}
}

func TestNobodyIsSignedIn(t *testing.T) {
	r := &tools{answers: map[string]opfs.Output{
		"loginctl":  {ExitCode: 1, Stderr: []byte("Failed to terminate user: User ID 1001 is not logged in or lingering")},
		"smbstatus": {Stdout: []byte(`{"sessions": {}}`)},
	}}
	if err := (Ender{Runner: r}).End(t.Context(), "anna"); err != nil {
		t.Error(err)
	}
	missing := &tools{errs: map[string]error{"loginctl": opfs.ErrNoCommand, "smbstatus": fmt.Errorf("smbstatus: %w", opfs.ErrNoCommand)}}
	if err := (Ender{Runner: missing}).End(t.Context(), "anna"); err != nil {
		t.Errorf("without the tools: %v", err)
	}
}

// One failure does not keep the rest from being ended, and is told.
func TestFailures(t *testing.T) {
	for name, c := range map[string]struct {
		tool   string
		answer opfs.Output
		err    error
	}{
		"loginctl fails":  {"loginctl", opfs.Output{ExitCode: 1, Stderr: []byte("Access denied")}, nil},
		"loginctl hangs":  {"loginctl", opfs.Output{}, context.DeadlineExceeded},
		"smbstatus fails": {"smbstatus", opfs.Output{ExitCode: 1}, nil},
		"no JSON":         {"smbstatus", opfs.Output{Stdout: []byte("Samba version")}, nil},
		"smbcontrol":      {"smbcontrol", opfs.Output{ExitCode: 1}, nil},
	} {
		r := &tools{answers: map[string]opfs.Output{"smbstatus": {Stdout: []byte(two)}}, errs: map[string]error{c.tool: c.err}}
		r.answers[c.tool] = c.answer
		if err := (Ender{Runner: r}).End(t.Context(), "anna"); err == nil {
			t.Errorf("%s: no error", name)
		}
		if c.tool == "loginctl" && len(r.ran) != 3 {
			t.Errorf("%s: Samba's sessions stay: %q", name, r.ran)
		}
	}
}

func TestNoName(t *testing.T) {
	r := &tools{}
	for _, name := range []string{"", "-a", "--help"} {
		if err := (Ender{Runner: r}).End(t.Context(), name); err == nil || len(r.ran) > 0 {
			t.Errorf("%q: %v, ran %q", name, err, r.ran)
		}
	}
}

func FuzzProcesses(f *testing.F) {
	for _, s := range []string{two, `{"sessions":{"1":{"server_id":{"pid":"1"},"username":"anna"}}}`, `{"sessions":{"1":{"server_id":{"pid":"-5"},"username":"anna"}}}`, `[]`, ``} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, status []byte) {
		pids, err := processes(status, "anna")
		if err != nil && pids != nil || len(pids) > maxSessions {
			t.Errorf("%v, %v", pids, err)
		}
		for _, pid := range pids {
			if pid <= 1 {
				t.Errorf("process %d would be stopped", pid)
			}
		}
	})
}

// The real tools against a real Samba: anna's connection ends, ben's stays.
func TestRealSamba(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("starts a Samba of its own, so it needs root")
	}
	for _, tool := range []string{"smbd", "smbclient", "smbstatus", "smbcontrol", "smbpasswd"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	s := startSamba(t, "nobody", "daemon")
	s.signIn(t, "nobody")
	s.signIn(t, "daemon")
	until(t, func() bool { return len(s.processes(t, "nobody")) == 1 && len(s.processes(t, "daemon")) == 1 })
	ended, stays := s.processes(t, "nobody")[0], s.processes(t, "daemon")[0]
	if err := (Ender{Runner: smbOnly{opfs.Exec(nil)}, SambaConfig: s.config}).End(t.Context(), "nobody"); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return syscall.Kill(ended, 0) != nil })
	if syscall.Kill(stays, 0) != nil || len(s.processes(t, "daemon")) != 1 {
		t.Error("another account's session ended")
	}
}

// until waits for something that another process will do.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("it did not happen")
		}
	}
}

// smbOnly keeps the test from ending logins of this machine.
type smbOnly struct{ opfs.Runner }

func (r smbOnly) Run(ctx context.Context, op string, c opfs.Command) (opfs.Output, error) {
	if c.Path == "loginctl" {
		return opfs.Output{}, opfs.ErrNoCommand
	}
	return r.Runner.Run(ctx, op, c)
}

type samba struct{ config, port string }

const testPassword = "for this test only"

// startSamba runs a Samba on loopback whose files are all in a folder of the
// test's own, with the accounts, which the system must have.
func startSamba(t *testing.T, accounts ...string) samba {
	t.Helper()
	dir, err := os.MkdirTemp("", "smb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	_ = ln.Close()
	s := samba{config: filepath.Join(dir, "smb.conf"), port: port}
	text := "[global]\nserver role = standalone server\ninterfaces = lo\nbind interfaces only = yes\ndisable netbios = yes\nguest account = root\nsmb ports = " + port + "\n"
	for _, folder := range []string{"private", "lock", "state", "cache", "pid"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
		option := map[string]string{"private": "private dir", "pid": "pid directory"}[folder]
		if option == "" {
			option = folder + " directory"
		}
		text += option + " = " + filepath.Join(dir, folder) + "\n"
	}
	text += "ncalrpc dir = " + filepath.Join(dir, "ncalrpc") + "\nlog file = " + filepath.Join(dir, "log") + "\n"
	if err := os.WriteFile(s.config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, account := range accounts {
		cmd := exec.CommandContext(t.Context(), "smbpasswd", "-c", s.config, "-s", "-a", account)
		cmd.Stdin = strings.NewReader(testPassword + "\n" + testPassword + "\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("smbpasswd: %v\n%s", err, out)
		}
	}
	smbd := exec.CommandContext(t.Context(), "smbd", "--configfile="+s.config, "--foreground", "--no-process-group")
	smbd.Cancel = func() error { return smbd.Process.Signal(os.Interrupt) }
	if err := smbd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = smbd.Process.Signal(os.Interrupt)
		_ = smbd.Wait()
	})
	until(t, func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return s
}

// signIn connects as an account, for as long as the test runs.
func (s samba) signIn(t *testing.T, account string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "smbclient", "--configfile="+s.config, "--port="+s.port, "//127.0.0.1/IPC$", "--user="+account+"%"+testPassword)
	in, err := cmd.StdinPipe() // it waits for commands
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
}

// processes are those that serve an account.
func (s samba) processes(t *testing.T, account string) []int {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "smbstatus", "--configfile="+s.config, "--processes", "--json").Output()
	if err != nil {
		t.Fatal(err)
	}
	pids, err := processes(out, account)
	if err != nil {
		t.Fatal(err)
	}
	return pids
}
