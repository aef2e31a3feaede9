package sandbox

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// mountTable is this process's own.
const mountTable = "/proc/self/mountinfo"

// Check tries what the rules forbid: to make a file on every mounted file
// system outside the allowed folders, and to open every block device. The kernel
// has to refuse each. The file has a name that nothing else has and is removed
// at once where the kernel does not refuse; no other is touched.
//
// An error says that it could not be tried; what was not refused is in the
// report.
func Check(abi int, write []string) (Report, error) {
	r := Report{Version: ReportVersion, Landlock: abi, Write: write}
	table, err := os.ReadFile(mountTable)
	if err != nil {
		return r, err
	}
	for _, m := range Outside(ParseMounts(table), write) {
		by, err := try(m)
		switch {
		case errors.Is(err, errOpen):
			r.Open = append(r.Open, m.Path)
		case err != nil:
			return r, fmt.Errorf("whether %s is kept from paperclipd could not be tried: %w", m.Path, err)
		case by != "":
			r.Volumes = append(r.Volumes, Volume{m.Path, by})
		}
	}
	devices, err := blockDevices("/dev")
	if err != nil {
		return r, err
	}
	for _, path := range devices {
		switch err := openDevice(path); {
		case errors.Is(err, errOpen):
			r.Open = append(r.Open, path)
		case errors.Is(err, errNothing):
		case err != nil:
			return r, fmt.Errorf("whether %s is kept from paperclipd could not be tried: %w", path, err)
		default:
			r.Devices++
		}
	}
	return r, nil
}

// errOpen says that the kernel did not refuse; errNothing that there is nothing
// behind a node.
var (
	errOpen    = errors.New("it was not refused")
	errNothing = errors.New("no device")
)

// try makes a file in the mount's topmost folder, or says what kept it from it.
// A mount that hides below another one, or is gone by now, is none.
func try(m Mount) (By, error) {
	if m.remote() {
		if m.ReadOnly {
			return NotTried, nil
		}
		return "", errOpen
	}
	info, err := os.Stat(m.Path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", nil
	case errors.Is(err, os.ErrPermission): // not even to be looked at
		return ByRules, nil
	case err != nil:
		return "", err
	case !info.IsDir():
		return tryFile(m.Path)
	}
	// A file without a name leaves no trace, not even the folder's time, where it is not refused.
	fd, err := unix.Open(m.Path, unix.O_WRONLY|unix.O_TMPFILE|unix.O_CLOEXEC, 0o600)
	if err == nil {
		return "", errors.Join(errOpen, unix.Close(fd))
	}
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EINVAL) {
		return refused(err)
	}
	path := filepath.Join(m.Path, ".paperclip-try-"+rand.Text())
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		return "", errors.Join(errOpen, f.Close(), os.Remove(path))
	}
	return refused(err)
}

// tryFile is try for a mount that is a file: it is opened, and not written to.
func tryFile(path string) (By, error) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		return "", errors.Join(errOpen, f.Close())
	}
	return refused(err)
}

// refused tells apart by which layer a write was refused. No space is left is
// no refusal.
func refused(err error) (By, error) {
	switch {
	case errors.Is(err, unix.EROFS):
		return ByMount, nil
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return ByRules, nil
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return "", errOpen
	}
	return "", err
}

// blockDevices lists the nodes below a folder.
func blockDevices(dir string) ([]string, error) {
	var all []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // what cannot be listed cannot be opened by its name
		}
		if t := d.Type(); t&os.ModeDevice != 0 && t&os.ModeCharDevice == 0 {
			all = append(all, path)
		}
		return nil
	})
	return all, err
}

// openDevice opens a block device for writing, and writes nothing.
func openDevice(path string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	switch {
	case err == nil:
		return errors.Join(errOpen, unix.Close(fd))
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM), errors.Is(err, unix.EROFS):
		return nil
	case errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENOMEDIUM), errors.Is(err, unix.ENOENT):
		return errNothing
	case errors.Is(err, unix.EBUSY):
		return errOpen // held by its user; the kernel would have let us otherwise
	}
	return err
}
