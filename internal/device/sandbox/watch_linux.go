package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// Watch waits until a file system is mounted that only Landlock, or nothing,
// keeps this process from, and returns what Check says then. A unit's read-only
// mounts are made when it starts: what is mounted later needs a new start.
// Between mounts it sleeps in the kernel.
func Watch(ctx context.Context, before Report) (Report, error) {
	table, err := os.Open(mountTable)
	if err != nil {
		return before, err
	}
	defer table.Close()
	wake, end, err := os.Pipe()
	if err != nil {
		return before, err
	}
	defer wake.Close()
	stop := context.AfterFunc(ctx, func() { end.Close() })
	defer func() {
		if stop() {
			end.Close()
		}
	}()
	fds := []unix.PollFd{{Fd: int32(table.Fd()), Events: unix.POLLPRI}, {Fd: int32(wake.Fd()), Events: unix.POLLIN}}
	for {
		// The first look comes first: something may have been mounted since before.
		now, err := Check(before.Landlock, before.Write)
		if err != nil || len(now.Open) > 0 || more(before.Weak(), now.Weak()) {
			return now, err
		}
		for changed := false; !changed; {
			fds[0].Revents, fds[1].Revents = 0, 0
			_, err := unix.Poll(fds, -1)
			switch {
			case ctx.Err() != nil:
				return now, ctx.Err()
			case errors.Is(err, unix.EINTR):
			case err != nil:
				return now, fmt.Errorf("wait for mounts: %w", err)
			default:
				changed = fds[0].Revents != 0
			}
		}
	}
}

// more tells whether b has what a has not.
func more(a, b []string) bool {
	return slices.ContainsFunc(b, func(s string) bool { return !slices.Contains(a, s) })
}
