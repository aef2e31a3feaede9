//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tell says on the serial line what becomes of some files of a folder until the power fails: each that is
// put in place, with what the pattern's group finds in it, and each that is taken away. Whoever cuts the
// power knows by it where a cut falls.
func tell(dir, pattern string, names []string) error {
	find, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	told, err := os.OpenFile("/dev/ttyS0", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	watch, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return err
	}
	if _, err := unix.InotifyAddWatch(watch, dir, unix.IN_MOVED_TO|unix.IN_DELETE); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	for {
		n, err := unix.Read(watch, buf)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		for at := 0; at < n; {
			event := (*unix.InotifyEvent)(unsafe.Pointer(&buf[at])) //nolint:gosec // the kernel's own alignment
			name := unix.ByteSliceToString(buf[at+unix.SizeofInotifyEvent : at+unix.SizeofInotifyEvent+int(event.Len)])
			at += unix.SizeofInotifyEvent + int(event.Len)
			if !slices.Contains(names, name) {
				continue
			}
			says := "gone"
			if event.Mask&unix.IN_MOVED_TO != 0 {
				says = "there"
				content, _ := os.ReadFile(filepath.Join(dir, name)) // gone again already: it is there by name alone
				if m := find.FindSubmatch(content); len(m) > 1 {
					says = string(m[1])
				}
			}
			if _, err := fmt.Fprintf(told, "\nfile %s %s\n", name, says); err != nil {
				return err
			}
		}
	}
}
