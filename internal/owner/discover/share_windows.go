package discover

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// shareAddress lets a running Synology Assistant keep its port. On Windows a
// unicast answer then reaches only one of the two; the broadcast one reaches
// both (vendors/synology.md §1.1).
func shareAddress(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = windows.SetsockoptInt(windows.Handle(fd), windows.SOL_SOCKET, windows.SO_REUSEADDR, 1)
	})
	if err != nil {
		return err
	}
	return failed
}
