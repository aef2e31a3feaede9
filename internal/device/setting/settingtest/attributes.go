package settingtest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/scratch"
)

const (
	markName  = "user.paperclip-test"
	markValue = "somebody's"
	markGroup = 4242
)

// room is a test that remembers which temporary directories its system is in. They
// are on a disk: what hangs on a file is little in memory.
type room struct {
	testing.TB
	dirs []string
}

var _ scratch.OnDisk = (*room)(nil)

// OnDisk says what scratch is to give.
func (r *room) OnDisk() {}

func (r *room) TempDir() string {
	dir := r.TB.TempDir()
	r.dirs = append(r.dirs, dir)
	return dir
}

// attributes: of a file that is written, the setting's content changes and nothing
// else: whoever it belongs to, who may read it and what hangs on it (access
// control lists are extended attributes too) is the same there and back.
func attributes(t *testing.T, build func(testing.TB) System) {
	r := &room{TB: t}
	s := build(r)
	marked := map[string]string{}
	for _, dir := range r.dirs {
		must(t, "mark", filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			switch {
			case err == nil && e.IsDir() && (e.Name() == "sys" || e.Name() == "proc"):
				return fs.SkipDir // the kernel's: not files that anybody writes
			case err == nil && e.Type().IsRegular():
				err = mark(path)
				marked[path] = marks(t, path)
			}
			return err
		}))
	}
	switch {
	case s.Simulated:
		t.Skip("its files are on a simulated disk")
	case len(marked) == 0:
		t.Fatal("no file of it was found in the test's folders: nothing would be looked at")
	}
	all := steps(t, s)
	for _, st := range all {
		must(t, "persist", s.Adapter.Persist(t.Context(), st))
	}
	for _, st := range all {
		must(t, "activate", s.Adapter.Activate(t.Context(), st))
	}
	for path, want := range marked {
		switch now := marks(t, path); now {
		case want:
		case gone:
			marked[path], _, _ = strings.Cut(want, and)
		default:
			t.Errorf("%s was %s and is %s", path, want, now)
		}
	}
	for _, st := range all {
		must(t, "undo", s.Adapter.Undo(t.Context(), st))
	}
	for _, st := range all {
		must(t, "activate the old value", s.Adapter.Activate(t.Context(), st))
	}
	for path, want := range marked {
		if now := marks(t, path); !strings.HasPrefix(now, want) {
			t.Errorf("taken back: %s was %s and is %s", path, want, now)
		}
	}
}

// mark gives a file what a new file would not have: a mode, for root a group, and
// where the file system takes one an extended attribute.
func mark(path string) error {
	fsys := opfs.OS(nil)
	data, err := fsys.ReadFile(path)
	if err != nil {
		return err
	}
	a, err := fsys.Attributes(path)
	if err != nil {
		return err
	}
	if err := fsys.Remove("mark", path); err != nil {
		return err
	}
	f, err := fsys.CreateExclusive("mark", path, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write("mark", data); err != nil {
		return err
	}
	if os.Getuid() == 0 {
		if err := f.Chown("mark", a.UID, markGroup); err != nil {
			return err
		}
	}
	_ = f.SetXattr("mark", markName, []byte(markValue)) // where the file system keeps none there is none to lose
	return f.Chmod("mark", a.Mode^0o100)
}

const (
	gone = "gone"
	and  = " and on it "
)

func marks(t testing.TB, path string) string {
	t.Helper()
	a, err := opfs.OS(nil).Attributes(path)
	if os.IsNotExist(err) {
		return gone
	}
	must(t, "attributes", err)
	return fmt.Sprintf("%s of %d:%d"+and+"%q", a.Mode, a.UID, a.GID, a.Xattrs)
}
