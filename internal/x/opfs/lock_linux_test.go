package opfs_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

const lockVariable = "PAPERCLIP_TEST_LOCK"

// Started again, this binary holds a lock as lckpwdf(3) takes it (a record lock
// of the process) until its standard input ends.
func TestMain(m *testing.M) {
	path := os.Getenv(lockVariable)
	if path == "" {
		os.Exit(m.Run())
	}
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CREAT, 0o600)
	if err == nil {
		err = unix.FcntlFlock(uintptr(fd), unix.F_SETLKW, &unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("locked")
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

func TestLockHeldByAnotherProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".pwd.lock")
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), lockVariable+"="+path)
	c.Stderr = os.Stderr
	stdin, err1 := c.StdinPipe()
	stdout, err2 := c.StdoutPipe()
	if err := errors.Join(err1, err2, c.Start()); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "locked\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	fsys := opfs.OS(nil)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Millisecond)
	defer cancel()
	if _, err := fsys.Lock(ctx, "lock", path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("err = %v, want a deadline", err)
	}
	if err := errors.Join(stdin.Close(), c.Wait()); err != nil {
		t.Fatal(err)
	}
	release, err := fsys.Lock(t.Context(), "lock", path)
	if err != nil {
		t.Fatal("the lock of a process that ended:", err)
	}
	release()
}
