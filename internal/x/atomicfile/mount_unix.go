//go:build !windows

package atomicfile

import (
	"errors"
	"syscall"
)

func crossesMount(err error) bool {
	return errors.Is(err, syscall.EBUSY) || errors.Is(err, syscall.EXDEV)
}
