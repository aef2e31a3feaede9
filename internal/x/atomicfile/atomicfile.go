// Package atomicfile replaces a file in one step: at any moment, over any power
// cut, a reader finds the whole old content or the whole new one.
//
// The new content goes to a temporary file in the same directory, takes over
// the old file's owner, mode and extended attributes, is made durable, renamed
// over the old name, and the directory is made durable. Each of these is a
// named operation of package opfs.
//
// It never writes through a symbolic link, never replaces anything but a
// regular file, and never falls back to overwriting in place: a file that is a
// mount point of its own (bind-mounted, as on NAS whose /etc is a RAM disk)
// cannot be replaced in one step, and is refused with [ErrMountPoint].
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

var (
	// ErrNotRegular says that the name is taken by something that is not a
	// regular file: a symbolic link, a directory, a device.
	ErrNotRegular = errors.New("not a regular file")
	// ErrMountPoint says that the file is mounted by itself, so no rename can
	// replace it.
	ErrMountPoint = errors.New("file is a mount point of its own and cannot be replaced in one step")
)

// Options say what a replaced file carries besides its content.
type Options struct {
	// Mode is for a file that does not exist yet; 0 means 0644. The new file
	// then belongs to the calling process.
	Mode fs.FileMode
	// Enforce gives Mode to an existing file too. Otherwise it keeps its own.
	Enforce bool
}

// Temporary is the name of the file in which the new content of path is
// prepared. It is fixed, so that what a power cut leaves is found again.
func Temporary(path string) string {
	dir, base := filepath.Split(path)
	return dir + "." + base + ".paperclip-new"
}

// Check says whether Replace could work on path: nil for a regular file or one
// that does not exist yet. It has no side effect, so a mount point is not found.
func Check(fsys opfs.FS, path string) error {
	_, err := existing(fsys, path)
	return err
}

func existing(fsys opfs.FS, path string) (bool, error) {
	info, err := fsys.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !info.Mode().IsRegular() {
		return false, fmt.Errorf("%s is a %s: %w", path, kind(info.Mode()), ErrNotRegular)
	}
	return true, nil
}

func kind(m fs.FileMode) string {
	switch {
	case m&fs.ModeSymlink != 0:
		return "symbolic link"
	case m.IsDir():
		return "directory"
	}
	return "special file"
}

// Replace gives path the content data. Its operations are op + ".clean" (only
// if an earlier run was cut short), ".create", ".write", ".mode", ".owner",
// ".xattr", ".sync", ".rename", ".syncdir", and ".discard" after a failure.
// After an error path has its old content, unless the error came from
// ".syncdir" or after ".rename": then it has the new one, not yet durable.
func Replace(fsys opfs.FS, op, path string, data []byte, o Options) error {
	if err := Exchange(fsys, op, path, data, o); err != nil {
		return err
	}
	return fsys.SyncDir(op+".syncdir", filepath.Dir(path))
}

// Exchange is Replace without its last operation: after a power cut path has
// the whole old content or the whole new one, and which of them is not certain
// until the caller syncs the directory, once for several files.
func Exchange(fsys opfs.FS, op, path string, data []byte, o Options) error {
	exists, err := existing(fsys, path)
	if err != nil {
		return err
	}
	a := opfs.Attributes{Mode: o.Mode, UID: -1, GID: -1}
	if a.Mode == 0 {
		a.Mode = 0o644
	}
	if exists {
		old, err := fsys.Attributes(path)
		if err != nil {
			return err
		}
		if o.Enforce {
			old.Mode = a.Mode
		}
		a = old
	}
	tmp := Temporary(path)
	if err := clean(fsys, op, tmp); err != nil {
		return err
	}
	if err := prepare(fsys, op, tmp, data, a); err != nil {
		return errors.Join(err, discard(fsys, op, tmp))
	}
	if err := fsys.Rename(op+".rename", tmp, path); err != nil {
		if crossesMount(err) {
			err = fmt.Errorf("%s: %w (%w)", path, ErrMountPoint, err)
		}
		return errors.Join(err, discard(fsys, op, tmp))
	}
	return nil
}

// Remove deletes path, if it is there, and makes that durable. Its operations
// are op + ".remove" and ".syncdir".
func Remove(fsys opfs.FS, op, path string) error {
	exists, err := existing(fsys, path)
	if err != nil {
		return err
	}
	if exists {
		if err := fsys.Remove(op+".remove", path); err != nil {
			return err
		}
	}
	return Settle(fsys, op, path)
}

// Settle is for a file found to have the wanted content already: it removes
// what an earlier, cut run left, and makes the directory durable, since that
// run may have ended between the rename and its own ".syncdir". Its operations
// are op + ".clean" and ".syncdir".
func Settle(fsys opfs.FS, op, path string) error {
	if err := clean(fsys, op, Temporary(path)); err != nil {
		return err
	}
	err := fsys.SyncDir(op+".syncdir", filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no directory, so nothing in it either
	}
	return err
}

// MakeDir makes a directory and those above it that are missing, and makes the
// names of all of them durable: a file in a directory that is not is lost with
// it. A directory that is there already has its own name made durable again,
// since the run that made it may have ended before that. Its operations are
// op + ".mkdir" (if one is missing) and ".syncparent" (one for each).
func MakeDir(fsys opfs.FS, op, dir string, perm fs.FileMode) error {
	parents := []string{filepath.Dir(dir)}
	for missing := dir; ; missing = filepath.Dir(missing) {
		_, err := fsys.Lstat(missing)
		if err == nil || filepath.Dir(missing) == missing {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if missing != dir {
			parents = append(parents, filepath.Dir(missing))
		}
	}
	if _, err := fsys.Lstat(dir); err != nil {
		if err := fsys.MkdirAll(op+".mkdir", dir, perm); err != nil {
			return err
		}
	}
	for _, parent := range slices.Backward(parents) { // from the top
		if err := fsys.SyncDir(op+".syncparent", parent); err != nil {
			return err
		}
	}
	return nil
}

func clean(fsys opfs.FS, op, tmp string) error {
	if exists, err := existing(fsys, tmp); err != nil || !exists {
		return err
	}
	return fsys.Remove(op+".clean", tmp)
}

func discard(fsys opfs.FS, op, tmp string) error {
	err := fsys.Remove(op+".discard", tmp)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// prepare makes the temporary file, closed to others until it has the owner
// that the old file has.
func prepare(fsys opfs.FS, op, tmp string, data []byte, a opfs.Attributes) (err error) {
	f, err := fsys.CreateExclusive(op+".create", tmp, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(op+".write", data); err != nil {
		return err
	}
	if a.UID >= 0 {
		if err := f.Chown(op+".owner", a.UID, a.GID); err != nil {
			return err
		}
	}
	if err := f.Chmod(op+".mode", a.Mode); err != nil {
		return err
	}
	for _, name := range sorted(a.Xattrs) {
		if err := f.SetXattr(op+".xattr", name, a.Xattrs[name]); err != nil {
			return fmt.Errorf("keep attribute %s: %w", name, err)
		}
	}
	return f.Sync(op + ".sync")
}

func sorted(m map[string][]byte) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
