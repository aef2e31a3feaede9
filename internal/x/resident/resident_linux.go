// Package resident gives memory back to the kernel that a process keeps and
// does not use.
//
// Starting a Go program touches nearly every page of its file, and each of its
// garbage collections half of them; a process that waits needs a tenth. What is
// given back is unmapped, not lost: a page that is touched again comes from the
// page cache, as at the start, and the kernel may take it from there first.
//
// It never gives back what is not the file's own text: a page that was ever
// written to (by relocation, or by a debugger) would come back as the file has
// it, so a mapping with one such page is left alone. It keeps nothing in memory
// either: a page whose disk has failed cannot be read again, and whoever touches
// it is ended (SIGBUS), but that is so of every program, as the kernel drops
// such pages when it likes.
package resident

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// GiveBack collects garbage, gives what that frees to the kernel, and unmaps the
// pages of the files that this process only reads. Other threads may run
// meanwhile.
func GiveBack() error {
	debug.FreeOSMemory()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return err
	}
	defer f.Close()
	spans, err := readOnly(f)
	if err != nil {
		return err
	}
	for _, s := range spans {
		// Not unix.Madvise: its slice would be a Go slice over the program's own text.
		if _, _, e := unix.Syscall(unix.SYS_MADVISE, s.from, s.to-s.from, unix.MADV_DONTNEED); e != 0 {
			err = errors.Join(err, fmt.Errorf("madvise %x-%x: %w", s.from, s.to, e))
		}
	}
	return err
}

// span is a mapping's addresses, the end not included.
type span struct{ from, to uintptr }

// readOnly finds in smaps (proc(5)) the private mappings of files that cannot be
// written and of which no page differs from the file.
func readOnly(smaps io.Reader) ([]span, error) {
	var found []span
	var last span
	candidate := false
	lines := bufio.NewScanner(smaps)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), " ")
		switch {
		case !strings.HasSuffix(key, ":"): // the first line of a mapping
			var err error
			if last, err = parseSpan(key); err != nil {
				return nil, err
			}
			fields := strings.Fields(value) // rights, offset, device, inode, path
			candidate = len(fields) >= 5 && (fields[0] == "r-xp" || fields[0] == "r--p") && fields[3] != "0"
		case key == "Anonymous:" && candidate && strings.TrimSpace(value) == "0 kB":
			found = append(found, last)
			candidate = false
		}
	}
	return found, lines.Err()
}

// parseSpan reads two hexadecimal addresses, as in 00400000-00951000.
func parseSpan(text string) (span, error) {
	a, b, _ := strings.Cut(text, "-")
	from, err1 := strconv.ParseUint(a, 16, strconv.IntSize)
	to, err2 := strconv.ParseUint(b, 16, strconv.IntSize)
	if err := errors.Join(err1, err2); err != nil {
		return span{}, fmt.Errorf("smaps: %w", err)
	}
	if from >= to {
		return span{}, fmt.Errorf("smaps: %q is no mapping", text)
	}
	return span{uintptr(from), uintptr(to)}, nil
}
