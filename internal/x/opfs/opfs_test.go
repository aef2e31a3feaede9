package opfs_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// every names each operation once, in a fixed order.
func every(t *testing.T, fsys opfs.FS, dir string) []error {
	t.Helper()
	var errs []error
	errs = append(errs, fsys.MkdirAll("t.mkdir", dir+"/d", 0o755))
	f, err := fsys.CreateExclusive("t.create", dir+"/d/a", 0o600)
	errs = append(errs, err)
	if err == nil {
		_, err = f.Write("t.write", []byte("hello"))
		errs = append(errs, err, f.Chmod("t.chmod", 0o640), f.Sync("t.sync"))
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	errs = append(errs,
		fsys.Rename("t.rename", dir+"/d/a", dir+"/d/b"),
		fsys.SyncDir("t.syncdir", dir+"/d"),
		fsys.Remove("t.remove", dir+"/d/b"))
	return errs
}

func TestEveryOperationIsNamedOnBothSides(t *testing.T) {
	var rec opfs.Recorder
	if err := errors.Join(every(t, opfs.OS(rec.Hook), t.TempDir())...); err != nil {
		t.Fatal(err)
	}
	want := []string{"t.mkdir", "t.create", "t.write", "t.chmod", "t.sync", "t.rename", "t.syncdir", "t.remove"}
	if got := rec.Ops(); !slices.Equal(got, want) {
		t.Fatalf("ops = %v, want %v", got, want)
	}
	points := rec.Points()
	if len(points) != 2*len(want) || points[1] != (opfs.Point{Op: "t.mkdir", Nth: 1, When: opfs.After}) {
		t.Fatalf("points = %v", points)
	}
}

func TestAFailedOperation(t *testing.T) {
	boom := errors.New("boom")
	for _, when := range []opfs.When{opfs.Before, opfs.After} {
		dir := t.TempDir()
		hook := opfs.At(opfs.Point{Op: "t.rename", Nth: 1, When: when}, func() error { return boom })
		fsys := opfs.OS(hook)
		if err := errors.Join(every(t, fsys, dir)[:6]...); !errors.Is(err, boom) {
			t.Fatalf("%s: err = %v, want boom", when, err)
		}
		_, err := os.Stat(dir + "/d/a")
		if happened := errors.Is(err, fs.ErrNotExist); happened != (when == opfs.After) {
			// Before prevents the rename; after it, the last step removed b.
			t.Errorf("%s: rename happened = %t", when, happened)
		}
	}
}

func TestAtCountsOccurrences(t *testing.T) {
	hits := 0
	hook := opfs.Hooks(nil, opfs.At(opfs.Point{Op: "x", Nth: 3, When: opfs.After}, func() error { hits++; return nil }))
	for i := range 5 {
		for _, w := range []opfs.When{opfs.Before, opfs.After} {
			if err := hook("x", w); err != nil {
				t.Fatal(err)
			}
			if want := i > 2 || i == 2 && w == opfs.After; (hits == 1) != want {
				t.Fatalf("round %d %s: hits = %d", i, w, hits)
			}
		}
	}
}

func TestUnderKeepsPathsInside(t *testing.T) {
	root := t.TempDir()
	fsys := opfs.Under(root, opfs.OS(nil))
	if err := fsys.MkdirAll("m", "/etc", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"/etc/x", "etc/y", "/../../etc/z"} {
		f, err := fsys.CreateExclusive("c", p, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	for _, p := range []string{"x", "y", "z"} {
		if _, err := os.Stat(filepath.Join(root, "etc", p)); err != nil {
			t.Error(err)
		}
	}
}

func TestReadFileIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, opfs.MaxRead+1); err != nil {
		t.Fatal(err)
	}
	if _, err := opfs.OS(nil).ReadFile(path); !errors.Is(err, opfs.ErrTooLarge) {
		t.Fatalf("err = %v, want ErrTooLarge", err)
	}
}

func TestExclusiveRefusesASymlink(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(dir+"/target", dir+"/link"); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	if _, err := opfs.OS(nil).CreateExclusive("c", dir+"/link", 0o600); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("err = %v, want fs.ErrExist", err)
	}
}

func TestLockExcludesAndIsBounded(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("open-file-description locks are Linux's")
	}
	path := filepath.Join(t.TempDir(), "lock")
	fsys := opfs.OS(nil)
	release, err := fsys.Lock(t.Context(), "lock", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := fsys.Lock(ctx, "lock", path); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("second lock: err = %v, want a deadline", err)
	}
	release()
	again, err := fsys.Lock(t.Context(), "lock", path)
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestExec(t *testing.T) {
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("no /bin/sh")
	}
	var rec opfs.Recorder
	run := opfs.Exec(rec.Hook)
	out, err := run.Run(t.Context(), "t.run", opfs.Command{
		Path: "sh", Args: []string{"-c", "cat; echo $HOME-$X >&2; exit 3"}, Stdin: []byte("secret"), Env: []string{"X=1"},
	})
	if err != nil || out.ExitCode != 3 || string(out.Stdout) != "secret" || string(out.Stderr) != "-1\n" {
		t.Fatalf("out = %+v, err = %v", out, err)
	}
	if got := rec.Ops(); !slices.Equal(got, []string{"t.run"}) {
		t.Fatalf("ops = %v", got)
	}
	if _, err := run.Run(t.Context(), "t.none", opfs.Command{Path: "no-such-program"}); !errors.Is(err, opfs.ErrNoCommand) {
		t.Fatalf("err = %v, want ErrNoCommand", err)
	}
	_, err = run.Run(t.Context(), "t.slow", opfs.Command{Path: "sh", Args: []string{"-c", "exec sleep 60"}, Timeout: 50 * time.Millisecond})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("err = %v, want a deadline", err)
	}
	out, err = run.Run(t.Context(), "t.loud", opfs.Command{Path: "sh", Args: []string{"-c", "yes | head -c 3000000"}})
	if err != nil || len(out.Stdout) != 1<<20 || !bytes.HasPrefix(out.Stdout, []byte("y\n")) {
		t.Fatalf("%d bytes, err = %v, want 1 MiB kept", len(out.Stdout), err)
	}
}

// TestAnswersAreKept holds that a program is started once where answers are kept,
// and each time elsewhere; what is another question is asked.
func TestAnswersAreKept(t *testing.T) {
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("no /bin/sh")
	}
	var rec opfs.Recorder
	run := opfs.Exec(rec.Hook)
	count := filepath.Join(t.TempDir(), "count")
	ask := func(ctx context.Context, c opfs.Command) string {
		t.Helper()
		c.Path, c.Args = "sh", append([]string{"-c", `cat; echo "$X" "$@" | tee -a "$0"; wc -l < "$0"`, count}, c.Args...)
		out, err := run.Run(ctx, "t.ask", c)
		if err != nil || out.ExitCode != 0 {
			t.Fatalf("out = %+v, err = %v", out, err)
		}
		return string(out.Stdout)
	}
	kept := opfs.KeepAnswers(t.Context())
	if !opfs.AnswersKept(kept) || opfs.AnswersKept(t.Context()) || opfs.KeepAnswers(kept) != kept {
		t.Fatal("where answers are kept is not known")
	}
	first := ask(kept, opfs.Command{Args: []string{"a", "b"}})
	if again := ask(kept, opfs.Command{Args: []string{"a", "b"}}); again != first {
		t.Errorf("asked again: %q, want %q", again, first)
	}
	for _, other := range []opfs.Command{{Args: []string{"a b"}}, {Args: []string{"a", "b"}, Stdin: []byte("x")}, {Args: []string{"a", "b"}, Env: []string{"X=1"}}} {
		if got := ask(kept, other); got == first {
			t.Errorf("%+v got the answer to another question", other)
		}
	}
	if got := ask(t.Context(), opfs.Command{Args: []string{"a", "b"}}); got == first {
		t.Error("an answer was kept where none is to be")
	}
	if got := ask(opfs.KeepAnswers(t.Context()), opfs.Command{Args: []string{"a", "b"}}); got == first {
		t.Error("an answer of another look was given")
	}
	if n := len(rec.Ops()); n != 6 {
		t.Errorf("%d programs were started, want 6", n)
	}
}

// TestAFailureIsNotKept holds that what could not be run is tried again.
func TestAFailureIsNotKept(t *testing.T) {
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("no /bin/sh")
	}
	run, ctx := opfs.Exec(opfs.At(opfs.Point{Op: "t.ask", Nth: 1, When: opfs.Before}, func() error { return errors.New("as wished") })), opfs.KeepAnswers(t.Context())
	for n, fails := range []bool{true, false} {
		if _, err := run.Run(ctx, "t.ask", opfs.Command{Path: "sh", Args: []string{"-c", "true"}}); (err != nil) != fails {
			t.Errorf("try %d: err = %v", n+1, err)
		}
	}
}

func TestAttributes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no owners on Windows")
	}
	path := filepath.Join(t.TempDir(), "f")
	f, err := opfs.OS(nil).CreateExclusive("c", path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Chmod("m", 0o640); err != nil {
		t.Fatal(err)
	}
	xerr := f.SetXattr("x", "user.paperclip", []byte("v"))
	a, err := opfs.OS(nil).Attributes(path)
	if err != nil {
		t.Fatal(err)
	}
	if a.Mode != 0o640 || a.UID != os.Getuid() {
		t.Errorf("attributes = %+v", a)
	}
	if xerr != nil {
		t.Skip("no extended attributes here:", xerr)
	}
	if got := string(a.Xattrs["user.paperclip"]); got != "v" {
		t.Errorf("xattr = %q, all = %v", got, strings.Join(names(a), " "))
	}
}

func names(a opfs.Attributes) (all []string) {
	for n := range a.Xattrs {
		all = append(all, n)
	}
	return all
}
