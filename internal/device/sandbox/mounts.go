package sandbox

import (
	"bufio"
	"bytes"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Mount is one line of /proc/self/mountinfo (proc_pid_mountinfo(5)).
type Mount struct {
	Device   string // major:minor
	Root     string // the folder of that file system which is mounted
	Path     string
	ReadOnly bool // this mount of it
	Type     string
}

// maxMounts bounds what is read; a NAS with containers has some hundreds.
const maxMounts = 100_000

// ParseMounts reads a mount table. Of mounts on the same path the last counts:
// it hides the others. A line that it does not understand is left out.
func ParseMounts(table []byte) []Mount {
	var all []Mount
	lines := bufio.NewScanner(bytes.NewReader(table))
	for lines.Scan() && len(all) < maxMounts {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		f, kind := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 6 || len(kind) < 1 {
			continue
		}
		m := Mount{Device: f[2], Root: unescape(f[3]), Path: path.Clean(unescape(f[4])), ReadOnly: slices.Contains(strings.Split(f[5], ","), "ro"), Type: kind[0]}
		all = slices.DeleteFunc(all, func(o Mount) bool { return o.Path == m.Path })
		all = append(all, m)
	}
	return all
}

// unescape undoes the kernel's \040 for a space and its like.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// kernel tells whether a file system has no data of anybody's on it.
func (m Mount) kernel() bool {
	switch m.Type {
	case "proc", "sysfs", "devtmpfs", "devpts", "tmpfs", "ramfs", "cgroup", "cgroup2", "securityfs", "bpf", "pstore", "mqueue",
		"hugetlbfs", "debugfs", "tracefs", "configfs", "fusectl", "binfmt_misc", "autofs", "efivarfs", "nsfs", "rpc_pipefs", "selinuxfs":
		return true
	}
	return false
}

// remote tells whether a file system is on another machine and may keep who
// asks waiting for ever.
func (m Mount) remote() bool {
	switch m.Type {
	case "nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "afs", "glusterfs", "fuse.glusterfs", "fuse.sshfs", "fuse.rclone":
		return true
	}
	return false
}

// private tells whether a mount is the service's own empty /tmp, which systemd
// makes it (PrivateTmp=) and removes with it.
func (m Mount) private() bool {
	return (m.Path == "/tmp" || m.Path == "/var/tmp") && strings.Contains(m.Root, "/systemd-private-")
}

// Outside are the file systems with data that a process with these folders has
// no business on. A mount of the same file system as the folder it is in, such
// as the bind mounts that a unit makes of its own folders, is part of the folder;
// another below a folder is a volume that lies in it.
func Outside(mounts []Mount, write []string) []Mount {
	var all []Mount
	for _, m := range mounts {
		if !m.kernel() && !m.private() && !partOf(m, mounts, write) {
			all = append(all, m)
		}
	}
	return all
}

func partOf(m Mount, mounts []Mount, write []string) bool {
	return slices.ContainsFunc(write, func(folder string) bool {
		return m.Path == folder || below(m.Path, folder) && m.Device == holder(folder, mounts).Device
	})
}

// holder is the mount that a path is on.
func holder(p string, mounts []Mount) (best Mount) {
	for _, m := range mounts {
		if (m.Path == p || below(p, m.Path)) && len(m.Path) >= len(best.Path) {
			best = m
		}
	}
	return best
}

// below tells whether p lies in folder.
func below(p, folder string) bool {
	return p != folder && strings.HasPrefix(p, strings.TrimSuffix(folder, "/")+"/")
}
