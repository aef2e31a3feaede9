package discover

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// shareAddress lets other finders on this computer keep the port; every one of
// them gets a broadcast (vendors/synology.md §1.1).
func shareAddress(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	})
	if err != nil {
		return err
	}
	return failed
}
