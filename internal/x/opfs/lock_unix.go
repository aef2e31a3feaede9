//go:build linux || darwin

package opfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lockPoll is how often a lock held by another process is asked for again.
// The kernel can also wait by itself, but then nothing could end the wait.
const lockPoll = 20 * time.Millisecond

func lock(ctx context.Context, path string) (func(), error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := control(f, func(fd int) error {
			whole := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
			return unix.FcntlFlock(uintptr(fd), lockCommand, &whole)
		})
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("%s is locked by another program: %w", path, ctx.Err())
		case <-time.After(lockPoll):
		}
	}
}
