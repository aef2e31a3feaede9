//go:build linux

// Command trespass is a daemon with a deliberate bug, for the VM test: it takes
// the rules of paperclipd's core upon itself, is started under the properties of
// core's unit, and then does to a data volume and its disk all that a bug could
// do. For each deed it prints what the kernel said.
//
// It is no part of what ships, and is only ever run in a virtual machine whose
// disks are thrown away.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/paperclip-nas/paperclip/internal/device/sandbox"
)

func main() {
	rules := flag.Bool("rules", true, "apply core's Landlock rules first")
	flag.Parse()
	if flag.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "usage: trespass [-rules=false] FOLDER BLOCK-DEVICE; the folder has files a, b, c, d, e, f")
		os.Exit(2)
	}
	said := map[string]string{}
	if *rules {
		abi, write, err := sandbox.Core().Apply()
		if err != nil {
			fmt.Fprintln(os.Stderr, "trespass:", err)
			os.Exit(1)
		}
		fmt.Fprintln(os.Stderr, "trespass: Landlock ABI", abi, "allows", write)
	}
	for _, d := range deeds(flag.Arg(0), flag.Arg(1)) {
		said[d.name] = verdict(d.do())
	}
	if err := json.NewEncoder(os.Stdout).Encode(said); err != nil {
		os.Exit(1)
	}
}

// verdict is "done", or the error's name.
func verdict(err error) string {
	var errno unix.Errno
	switch {
	case err == nil:
		return "done"
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	}
	return err.Error()
}

// A deed is one thing that a bug could do.
type deed struct {
	name string
	do   func() error
}

// deeds are all of them, in an order in which each is possible where nothing is in the way: the volume
// leaves last, and then the namespace that it was in.
func deeds(dir, disk string) []deed {
	file := func(name string) string { return filepath.Join(dir, name) }
	open := func(path string, flags int) error {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return err
		}
		return unix.Close(fd)
	}
	return []deed{
		{"write", func() error { return open(file("a"), unix.O_WRONLY) }},
		{"append", func() error { return open(file("a"), unix.O_WRONLY|unix.O_APPEND) }},
		{"truncate", func() error { return unix.Truncate(file("a"), 0) }},
		{"truncate by open", func() error { return open(file("b"), unix.O_RDONLY|unix.O_TRUNC) }},
		{"create", func() error { return open(file("new"), unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL) }},
		{"create, unnamed", func() error { return open(dir, unix.O_WRONLY|unix.O_TMPFILE) }},
		{"mkdir", func() error { return unix.Mkdir(file("folder"), 0o700) }},
		{"symlink", func() error { return unix.Symlink("a", file("symlink")) }},
		{"link", func() error { return unix.Link(file("a"), file("link")) }},
		{"rename", func() error { return unix.Rename(file("c"), file("renamed")) }},
		{"move in", func() error { return moveIn("/etc/.paperclip-trespass", file("moved")) }},
		{"unlink", func() error { return unix.Unlink(file("d")) }},
		{"chmod", func() error { return unix.Chmod(file("e"), 0o777) }},
		{"chown", func() error { return unix.Chown(file("e"), 1, 1) }},
		{"set time", func() error { return unix.Utimes(file("e"), make([]unix.Timeval, 2)) }},
		{"set attribute", func() error { return unix.Setxattr(file("f"), "user.paperclip", []byte("x"), 0) }},
		{"disk", func() error { return open(disk, unix.O_WRONLY) }},
		{"disk, own node", func() error { return ownNode(disk) }},
		{"remount", func() error { return unix.Mount("", mountOf(dir), "", unix.MS_REMOUNT|unix.MS_BIND, "") }},
		{"by init's root", func() error { return open("/proc/1/root"+file("a"), unix.O_WRONLY) }},
		{"unmount", func() error { return unix.Unmount(mountOf(dir), unix.MNT_DETACH) }},
		{"another namespace", anotherNamespace},
	}
}

// moveIn makes a file where it may be made, and moves it to the volume.
func moveIn(from, to string) error {
	if err := os.WriteFile(from, nil, 0o600); err != nil {
		return err
	}
	return errors.Join(unix.Rename(from, to), os.Remove(from))
}

// ownNode makes a device node of its own and opens that.
func ownNode(disk string) error {
	var st unix.Stat_t
	if err := unix.Stat(disk, &st); err != nil {
		return err
	}
	const node = "/etc/.paperclip-node"
	if err := unix.Mknod(node, unix.S_IFBLK|0o600, int(st.Rdev)); err != nil {
		return err
	}
	fd, err := unix.Open(node, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		err = unix.Close(fd)
	}
	return errors.Join(err, unix.Unlink(node))
}

// mountOf is the folder that the volume is mounted on: the test gives one below it.
func mountOf(dir string) string { return filepath.Dir(dir) }

// anotherNamespace joins init's mounts.
func anotherNamespace() error {
	fd, err := unix.Open("/proc/1/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return errors.Join(unix.Setns(fd, unix.CLONE_NEWNS), unix.Close(fd))
}
