package atomicfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// A bind-mounted file (config of a NAS whose /etc is a RAM disk) is refused
// with a clear error and left as it was.
func TestABindMountedFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	source, path := filepath.Join(dir, "source"), filepath.Join(dir, "shadow")
	write(t, source, "old", 0o640)
	write(t, path, "", 0o640)
	if err := syscall.Mount(source, path, "", syscall.MS_BIND, ""); err != nil {
		t.Skip("bind mounts need root:", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(path, 0); err != nil {
			t.Error(err)
		}
	})
	err := atomicfile.Replace(opfs.OS(nil), "t", path, []byte("new"), atomicfile.Options{})
	if !errors.Is(err, atomicfile.ErrMountPoint) {
		t.Fatalf("err = %v, want ErrMountPoint", err)
	}
	if got := read(t, path); got != "old" {
		t.Errorf("content = %q", got)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("litter: %v", entries)
	}
}
