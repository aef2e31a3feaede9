//go:build linux || darwin

package opfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func attributes(path string) (Attributes, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return Attributes{}, err
	}
	a := Attributes{Mode: modeBits(info.Mode()), UID: -1, GID: -1}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		a.UID, a.GID = int(st.Uid), int(st.Gid)
	}
	a.Xattrs, err = xattrs(path)
	if err != nil {
		return Attributes{}, fmt.Errorf("extended attributes of %s: %w", path, err)
	}
	return a, nil
}

func modeBits(m fs.FileMode) fs.FileMode {
	return m & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)
}

func xattrs(path string) (map[string][]byte, error) {
	names := make([]byte, 64<<10) // the kernel's own limit for a list
	n, err := unix.Llistxattr(path, names)
	if errors.Is(err, unix.ENOTSUP) || n == 0 && err == nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all := make(map[string][]byte)
	value := make([]byte, 64<<10)
	for name := range strings.SplitSeq(strings.TrimRight(string(names[:n]), "\x00"), "\x00") {
		n, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all[name] = append([]byte(nil), value[:n]...)
	}
	return all, nil
}

func setXattr(f *os.File, name string, value []byte) error {
	return control(f, func(fd int) error { return unix.Fsetxattr(fd, name, value, 0) })
}

// control runs do with the file's descriptor, and leaves the file pollable,
// which f.Fd() would not.
func control(f *os.File, do func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := conn.Control(func(fd uintptr) { inner = do(int(fd)) }); err != nil {
		return err
	}
	return inner
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
