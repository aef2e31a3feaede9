// Package opfs gives every side effect on disk, and every external command, a
// name. A settings change that must survive a power cut is a list of such
// operations; because each has a name, a test can list them from a recorded
// run, and then fail or kill the process before and after every single one.
//
// Names are dotted lower case, "area.verb.step": "shadow.persist.rename".
// Reading has no side effect and so no name.
//
// The package never decides anything: it does not retry, create parents, or
// hide an error. It never follows a policy about which path may be written;
// that is the sandbox's work. What it reads is bounded by [MaxRead].
package opfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// MaxRead is the largest file, in bytes, that [FS.ReadFile] returns: settings
// and journals are far smaller, and a larger one is a mistake or an attack.
const MaxRead = 16 << 20

// ErrTooLarge says that a file is larger than [MaxRead].
var ErrTooLarge = errors.New("file is larger than 16 MiB")

// When tells a hook which side of an operation it stands on.
type When int

const (
	// Before the operation: an error prevents it.
	Before When = iota
	// After the operation: it has happened; an error is reported in its place.
	After
)

// String is "before" or "after".
func (w When) String() string {
	if w == After {
		return "after"
	}
	return "before"
}

// Hook is called before and after every named operation. A non-nil error fails
// the operation; a test may also end the process here.
type Hook func(op string, when When) error

// Around runs do as the operation op, with the hook on both sides. Packages
// whose side effects are neither files nor commands (netlink, say) use it to
// name theirs. A nil hook is allowed.
func (h Hook) Around(op string, do func() error) error {
	if h == nil {
		return do()
	}
	if err := h(op, Before); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if err := do(); err != nil {
		return err
	}
	if err := h(op, After); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

// File is a new file being written.
type File interface {
	Write(op string, p []byte) (int, error)
	Sync(op string) error
	Chown(op string, uid, gid int) error
	Chmod(op string, mode fs.FileMode) error
	// SetXattr sets one extended attribute, as listed by FS.Attributes.
	SetXattr(op, name string, value []byte) error
	Close() error
}

// Attributes are what a file carries besides its content.
type Attributes struct {
	Mode     fs.FileMode // permission bits and setuid, setgid, sticky
	UID, GID int         // -1 where the system has no owners (Windows)
	Xattrs   map[string][]byte
}

// FS is a file system whose side effects are named.
type FS interface {
	ReadFile(path string) ([]byte, error)
	Lstat(path string) (fs.FileInfo, error)
	Stat(path string) (fs.FileInfo, error)
	ReadDir(path string) ([]fs.DirEntry, error)
	// Attributes reads owner, mode and extended attributes (access control
	// lists and labels among them), without following a symbolic link.
	Attributes(path string) (Attributes, error)

	// CreateExclusive makes a file that must not exist yet (O_EXCL, so a
	// symbolic link in its place is refused).
	CreateExclusive(op, path string, perm fs.FileMode) (File, error)
	Rename(op, from, to string) error
	Remove(op, path string) error
	MkdirAll(op, path string, perm fs.FileMode) error
	// Chown gives a file or directory another owner; a symbolic link itself,
	// never what it leads to.
	Chown(op, path string, uid, gid int) error
	// SyncDir makes renames, creations and removals in a directory durable.
	SyncDir(op, path string) error
	// Lock takes the exclusive record lock (fcntl) on a lock file, which is
	// made (0600) if missing. It waits until the lock is free or ctx is done;
	// then the error wraps ctx.Err(). The lock ends with release or the process.
	Lock(ctx context.Context, op, path string) (release func(), err error)
}

// OS is the machine's own file system. The hook may be nil.
func OS(hook Hook) FS { return osFS{hook} }

type osFS struct{ hook Hook }

func (o osFS) ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxRead+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxRead {
		return nil, &fs.PathError{Op: "read", Path: path, Err: ErrTooLarge}
	}
	return data, nil
}

func (o osFS) Lstat(path string) (fs.FileInfo, error)     { return os.Lstat(path) }
func (o osFS) Stat(path string) (fs.FileInfo, error)      { return os.Stat(path) }
func (o osFS) ReadDir(path string) ([]fs.DirEntry, error) { return os.ReadDir(path) }
func (o osFS) Attributes(path string) (Attributes, error) { return attributes(path) }

func (o osFS) CreateExclusive(op, path string, perm fs.FileMode) (File, error) {
	var f *os.File
	err := o.hook.Around(op, func() (err error) {
		f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
		return err
	})
	if err != nil {
		if f != nil {
			f.Close()
		}
		return nil, err
	}
	return &osFile{f, o.hook}, nil
}

func (o osFS) Rename(op, from, to string) error {
	return o.hook.Around(op, func() error { return os.Rename(from, to) })
}

func (o osFS) Remove(op, path string) error {
	return o.hook.Around(op, func() error { return os.Remove(path) })
}

func (o osFS) MkdirAll(op, path string, perm fs.FileMode) error {
	return o.hook.Around(op, func() error { return os.MkdirAll(path, perm) })
}

func (o osFS) Chown(op, path string, uid, gid int) error {
	return o.hook.Around(op, func() error { return os.Lchown(path, uid, gid) })
}

func (o osFS) SyncDir(op, path string) error {
	return o.hook.Around(op, func() error { return syncDir(path) })
}

func (o osFS) Lock(ctx context.Context, op, path string) (release func(), err error) {
	err = o.hook.Around(op, func() (err error) {
		release, err = lock(ctx, path)
		return err
	})
	if err != nil && release != nil {
		release()
		release = nil
	}
	return release, err
}

type osFile struct {
	f    *os.File
	hook Hook
}

func (f *osFile) Write(op string, p []byte) (n int, err error) {
	err = f.hook.Around(op, func() (err error) {
		n, err = f.f.Write(p)
		return err
	})
	return n, err
}

func (f *osFile) Sync(op string) error { return f.hook.Around(op, f.f.Sync) }

func (f *osFile) Chown(op string, uid, gid int) error {
	return f.hook.Around(op, func() error { return f.f.Chown(uid, gid) })
}

func (f *osFile) Chmod(op string, mode fs.FileMode) error {
	return f.hook.Around(op, func() error { return f.f.Chmod(mode) })
}

func (f *osFile) SetXattr(op, name string, value []byte) error {
	return f.hook.Around(op, func() error { return setXattr(f.f, name, value) })
}

func (f *osFile) Close() error { return f.f.Close() }

// Under is fsys with every path below root: "/etc/shadow" is root/etc/shadow.
// It keeps ".." inside root, but it is for a test's or the lab's own
// directory, not a fence: a symbolic link inside root may still lead out.
func Under(root string, fsys FS) FS { return under{root, fsys} }

type under struct {
	root string
	fsys FS
}

func (u under) path(p string) string {
	clean := filepath.Clean("/" + strings.TrimPrefix(filepath.ToSlash(p), "/"))
	return filepath.Join(u.root, clean)
}

func (u under) ReadFile(p string) ([]byte, error)       { return u.fsys.ReadFile(u.path(p)) }
func (u under) Lstat(p string) (fs.FileInfo, error)     { return u.fsys.Lstat(u.path(p)) }
func (u under) Stat(p string) (fs.FileInfo, error)      { return u.fsys.Stat(u.path(p)) }
func (u under) ReadDir(p string) ([]fs.DirEntry, error) { return u.fsys.ReadDir(u.path(p)) }
func (u under) Attributes(p string) (Attributes, error) { return u.fsys.Attributes(u.path(p)) }
func (u under) Rename(op, from, to string) error        { return u.fsys.Rename(op, u.path(from), u.path(to)) }
func (u under) Remove(op, p string) error               { return u.fsys.Remove(op, u.path(p)) }
func (u under) SyncDir(op, p string) error              { return u.fsys.SyncDir(op, u.path(p)) }
func (u under) Chown(op, p string, uid, gid int) error  { return u.fsys.Chown(op, u.path(p), uid, gid) }

func (u under) MkdirAll(op, p string, m fs.FileMode) error { return u.fsys.MkdirAll(op, u.path(p), m) }

func (u under) CreateExclusive(op, p string, m fs.FileMode) (File, error) {
	return u.fsys.CreateExclusive(op, u.path(p), m)
}

func (u under) Lock(ctx context.Context, op, p string) (func(), error) {
	return u.fsys.Lock(ctx, op, u.path(p))
}
