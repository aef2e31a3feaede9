//go:build unix && !linux

package discover

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// shareAddress lets a running Synology Assistant keep its port (§1.1); on BSD
// and macOS that takes both options.
func shareAddress(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		if failed == nil {
			failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		}
	})
	if err != nil {
		return err
	}
	return failed
}
