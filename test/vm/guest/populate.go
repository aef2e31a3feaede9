//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// populate fills dir with an owner's files, the same ones each time: 1,200 of them of varied content,
// size, mode, owner, time and name, with the awkward cases (no permission at all, setuid, holes,
// hard and symbolic links, attributes, names that are not UTF-8, long, or look like options).
func populate(dir string) error {
	random := rand.New(rand.NewPCG(20261122, 1))
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(data, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(data, 0o777); err != nil {
		return err
	}
	strange := []string{"plain", "with space", "-rf", "--help", "ümlaut-é", "日本語", "tab\there", "new\nline", "quote'\"", "*?[a]", "$HOME", "\xff\xfe not utf8", ".hidden", "trailing ", strings.Repeat("long", 60)}
	modes := []uint32{0o644, 0o600, 0o664, 0o640, 0o755, 0o000, 0o4755, 0o2755, 0o1777, 0o444, 0o6711, 0o007}
	owners := []int{0, 1000, 1001, 1000, 33, 65534, 70000, 4_000_000_000}
	for i := range 1200 {
		folder := filepath.Join(data, fmt.Sprintf("folder %02d", i%40))
		if i < 40 {
			if err := os.Mkdir(folder, 0o755); err != nil {
				return err
			}
		}
		path := filepath.Join(folder, fmt.Sprintf("%04d %s", i, strange[i%len(strange)]))
		content := make([]byte, random.IntN(1<<(4+i%12)))
		for j := range content {
			content[j] = byte(random.Uint32())
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
		if err := dress(path, i, owners[random.IntN(len(owners))], owners[random.IntN(len(owners))], modes[i%len(modes)]); err != nil {
			return err
		}
	}
	return awkward(data)
}

// dress gives a file its attribute, owner, mode and time, in the order in which the kernel keeps them.
func dress(path string, i, uid, gid int, mode uint32) error {
	if i%10 == 0 {
		if err := unix.Setxattr(path, "user.label", fmt.Appendf(nil, "label %d", i), 0); err != nil {
			return fmt.Errorf("xattr: %w", err)
		}
	}
	if err := os.Chown(path, uid, gid); err != nil {
		return err
	}
	if err := unix.Chmod(path, mode); err != nil {
		return err
	}
	when := time.Unix(1_000_000_000+int64(i)*86_400, int64(i))
	return os.Chtimes(path, when, when)
}

func awkward(data string) error {
	first := filepath.Join(data, "folder 00")
	if err := os.WriteFile(filepath.Join(first, "original"), []byte("one content, two names\n"), 0o640); err != nil {
		return err
	}
	if err := os.Link(filepath.Join(first, "original"), filepath.Join(first, "hard link")); err != nil {
		return err
	}
	for name, target := range map[string]string{"link": "original", "dangling": "nowhere", "out of the array": "/etc/shadow"} {
		if err := os.Symlink(target, filepath.Join(first, name)); err != nil {
			return err
		}
	}
	if err := unix.Mkfifo(filepath.Join(first, "fifo"), 0o622); err != nil {
		return err
	}
	hole, err := os.Create(filepath.Join(first, "with a hole"))
	if err != nil {
		return err
	}
	defer hole.Close()
	if _, err := hole.WriteAt([]byte("end"), 8<<20); err != nil {
		return err
	}
	// The share's users write here over SMB.
	inbox := filepath.Join(data, "inbox")
	if err := os.Mkdir(inbox, 0o755); err != nil {
		return err
	}
	return unix.Chmod(inbox, 0o1777)
}
