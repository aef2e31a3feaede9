//go:build unix

package discover

import "golang.org/x/sys/unix"

const errNoRoute = unix.EHOSTUNREACH
