package atomicfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

func write(t *testing.T, path, content string, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// A failure at any operation leaves the whole old or the whole new content and
// nothing else that matters; doing it again then succeeds and leaves no litter.
func TestFailAtEveryOperation(t *testing.T) {
	var rec opfs.Recorder
	path := filepath.Join(t.TempDir(), "shadow")
	write(t, path, "old", 0o640)
	if err := atomicfile.Replace(opfs.OS(rec.Hook), "t", path, []byte("new"), atomicfile.Options{}); err != nil {
		t.Fatal(err)
	}
	boom := errors.New("boom")
	for _, p := range rec.Points() {
		t.Run(strings.ReplaceAll(p.String(), " ", "_"), func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "shadow")
			write(t, path, "old", 0o640)
			fails := opfs.OS(opfs.At(p, func() error { return boom }))
			if err := atomicfile.Replace(fails, "t", path, []byte("new"), atomicfile.Options{}); !errors.Is(err, boom) {
				t.Fatalf("err = %v, want boom", err)
			}
			renamed := p.Op == "t.syncdir" || p.Op == "t.rename" && p.When == opfs.After
			want := "old"
			if renamed {
				want = "new"
			}
			if got := read(t, path); got != want {
				t.Fatalf("content = %q, want %q", got, want)
			}
			if err := atomicfile.Replace(opfs.OS(nil), "t", path, []byte("new"), atomicfile.Options{}); err != nil {
				t.Fatal("again:", err)
			}
			if got := read(t, path); got != "new" {
				t.Fatalf("content = %q after a second run", got)
			}
			entries, _ := os.ReadDir(dir)
			if len(entries) != 1 {
				t.Fatalf("litter: %v", entries)
			}
		})
	}
}

func TestOwnerModeAndAttributesStay(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no owners on Windows")
	}
	path := filepath.Join(t.TempDir(), "shadow")
	write(t, path, "old", 0o640)
	root := os.Getuid() == 0
	if root {
		if err := os.Chown(path, 1234, 42); err != nil {
			t.Fatal(err)
		}
	}
	if err := atomicfile.Replace(opfs.OS(nil), "t", path, []byte("new"), atomicfile.Options{Mode: 0o600}); err != nil {
		t.Fatal(err)
	}
	a, err := opfs.OS(nil).Attributes(path)
	if err != nil {
		t.Fatal(err)
	}
	if a.Mode != 0o640 || root && (a.UID != 1234 || a.GID != 42) {
		t.Errorf("attributes = %+v, want the old file's", a)
	}
	keepsXattr(t, path)
	if err := atomicfile.Replace(opfs.OS(nil), "t", path, []byte("new"), atomicfile.Options{Mode: 0o600, Enforce: true}); err != nil {
		t.Fatal(err)
	}
	if a, _ = opfs.OS(nil).Attributes(path); a.Mode != 0o600 {
		t.Errorf("mode = %v, want the enforced 0600", a.Mode)
	}
}

func TestANewFileHasTheModeAskedFor(t *testing.T) {
	for _, c := range []struct{ ask, want fs.FileMode }{{0, 0o644}, {0o600, 0o600}} {
		path := filepath.Join(t.TempDir(), "new")
		if err := atomicfile.Replace(opfs.OS(nil), "t", path, nil, atomicfile.Options{Mode: c.ask}); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != c.want && runtime.GOOS != "windows" {
			t.Errorf("mode = %v, want %v", info.Mode(), c.want)
		}
	}
}

func TestSymlinksAndDirectoriesAreRefused(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	write(t, target, "old", 0o600)
	link := filepath.Join(dir, "link")
	if err := os.Symlink(target, link); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	for _, path := range []string{link, dir} {
		if err := atomicfile.Replace(opfs.OS(nil), "t", path, []byte("new"), atomicfile.Options{}); !errors.Is(err, atomicfile.ErrNotRegular) {
			t.Errorf("replace %s: err = %v, want ErrNotRegular", path, err)
		}
		if err := atomicfile.Remove(opfs.OS(nil), "t", path); !errors.Is(err, atomicfile.ErrNotRegular) {
			t.Errorf("remove %s: err = %v, want ErrNotRegular", path, err)
		}
		if err := atomicfile.Check(opfs.OS(nil), path); !errors.Is(err, atomicfile.ErrNotRegular) {
			t.Errorf("check %s: err = %v, want ErrNotRegular", path, err)
		}
	}
	if got := read(t, target); got != "old" {
		t.Errorf("target = %q", got)
	}
}

func TestRemoveAndSettleAreRepeatable(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "own")
	write(t, path, "x", 0o600)
	write(t, atomicfile.Temporary(path), "half", 0o600)
	var rec opfs.Recorder
	for range 2 {
		if err := atomicfile.Remove(opfs.OS(rec.Hook), "t", path); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"t.remove", "t.clean", "t.syncdir", "t.syncdir"}; !slices.Equal(rec.Ops(), want) {
		t.Errorf("ops = %v, want %v", rec.Ops(), want)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("left: %v", entries)
	}
	if err := atomicfile.Settle(opfs.OS(nil), "t", filepath.Join(dir, "none", "x")); err != nil {
		t.Errorf("settle without a directory: %v", err)
	}
}

func TestMakeDirMakesEveryNameDurable(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	var rec opfs.Recorder
	for range 2 {
		if err := atomicfile.MakeDir(opfs.OS(rec.Hook), "t", dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"t.mkdir", "t.syncparent", "t.syncparent", "t.syncparent"}; !slices.Equal(rec.Ops(), want) {
		t.Errorf("ops = %v, want %v", rec.Ops(), want)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		t.Errorf("%v, %v", info, err)
	}
	file := filepath.Join(dir, "file")
	write(t, file, "", 0o600)
	if err := atomicfile.MakeDir(opfs.OS(nil), "t", filepath.Join(file, "x"), 0o700); err == nil {
		t.Error("a directory was made in a file")
	}
}
