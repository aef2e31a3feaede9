//go:build linux

package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/sys/unix"
)

// entry is what must not change of one name. The kernel moves the change time at every write, change of
// mode, owner, attribute or link, and no program can set it: so it tells of a touch that left no other trace.
type entry struct {
	Path   []byte            `json:"path"` // names are bytes, not text
	Mode   string            `json:"mode"` // type and permission bits, octal
	UID    uint32            `json:"uid"`
	GID    uint32            `json:"gid"`
	Size   int64             `json:"size,omitempty"`
	SHA256 string            `json:"sha256,omitempty"`
	Target string            `json:"target,omitempty"`
	Links  uint64            `json:"links,omitempty"`
	Device uint64            `json:"device,omitempty"`
	Xattrs map[string][]byte `json:"xattrs,omitempty"`
	Mtime  int64             `json:"mtime"` // nanoseconds
	Ctime  int64             `json:"ctime"` // nanoseconds
}

// writeManifest writes one JSON line for each name below the roots, staying on each root's own
// file system. Contents are hashed unless the first argument is "-touch", which leaves that to the
// change times: hashing a whole system takes a minute under emulation. What cannot be read is an error: a manifest with holes proves nothing. A file that
// vanishes while we look (a socket, a log being rotated) is left out.
func writeManifest(w io.Writer, roots []string) error {
	hash := true
	if len(roots) > 0 && roots[0] == "-touch" {
		hash, roots = false, roots[1:]
	}
	out := bufio.NewWriterSize(w, 1<<20)
	lines := json.NewEncoder(out)
	for _, root := range roots {
		var top unix.Stat_t
		if err := unix.Lstat(root, &top); err != nil {
			return fmt.Errorf("%s: %w", root, err)
		}
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return ignoreVanished(err)
			}
			var st unix.Stat_t
			if err := unix.Lstat(path, &st); err != nil {
				return ignoreVanished(err)
			}
			if st.Dev != top.Dev {
				return filepath.SkipDir
			}
			e, err := describe(path, &st, hash)
			if err != nil {
				return ignoreVanished(err)
			}
			return lines.Encode(e)
		})
		if err != nil {
			return err
		}
	}
	return out.Flush()
}

func ignoreVanished(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func describe(path string, st *unix.Stat_t, hash bool) (entry, error) {
	e := entry{Path: []byte(path), Mode: fmt.Sprintf("%06o", st.Mode), UID: st.Uid, GID: st.Gid, Mtime: st.Mtim.Nano(), Ctime: st.Ctim.Nano()}
	var err error
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		e.Size, e.Links = st.Size, uint64(st.Nlink)
		if hash {
			if e.SHA256, err = hashFile(path); err != nil {
				return e, err
			}
		}
	case unix.S_IFLNK:
		if e.Target, err = os.Readlink(path); err != nil {
			return e, err
		}
	case unix.S_IFCHR, unix.S_IFBLK:
		e.Device = st.Rdev
	}
	e.Xattrs, err = readXattrs(path)
	return e, err
}

func hashFile(path string) (string, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOATIME|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", &fs.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func readXattrs(path string) (map[string][]byte, error) {
	buf := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, buf)
	if err != nil || n == 0 {
		if errors.Is(err, unix.ENOTSUP) {
			err = nil
		}
		return nil, err
	}
	names := strings.Split(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00")
	sort.Strings(names)
	all := make(map[string][]byte, len(names))
	for _, name := range names {
		n, err := unix.Lgetxattr(path, name, buf)
		if err != nil {
			return nil, err
		}
		all[name] = append([]byte(nil), buf[:n]...)
	}
	return all, nil
}
