//go:build linux

// Package realtime keeps the time of beeps and blinks on one thread of the
// operating system that runs before everything ordinary (SCHED_FIFO), and sleeps
// in the kernel: neither a busy machine nor Go's scheduler makes a beep late.
//
// It plays nothing by itself, and nothing but a pattern's pulses ever runs on
// that thread. It never fails for want of the right: where the kernel refuses,
// the thread is an ordinary one and Refused says why. While nothing plays, the
// thread sleeps without an end. Row D2.
package realtime

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Priority is the thread's, of 1 to 99: before all that is ordinary, and behind
// what a system gives its own interrupt threads (50). RLIMIT_RTPRIO has to allow it.
const Priority = 10

// Thread is the thread. It implements panel.Timing.
type Thread struct {
	patterns chan func()
	ended    chan struct{}
	refused  error
}

// Start makes the thread.
func Start() *Thread {
	t := &Thread{patterns: make(chan func()), ended: make(chan struct{})}
	asked := make(chan error)
	go func() {
		defer close(t.ended)
		runtime.LockOSThread() // for good: the thread ends with this goroutine
		asked <- ask()
		for pattern := range t.patterns {
			pattern()
		}
	}()
	t.refused = <-asked
	return t
}

// ask makes the calling thread a real-time one; what it starts is ordinary.
func ask() error {
	err := unix.SchedSetAttr(0, &unix.SchedAttr{
		Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: Priority, Flags: unix.SCHED_FLAG_RESET_ON_FORK,
	}, 0)
	if err != nil {
		return fmt.Errorf("real-time scheduling (SCHED_FIFO, priority %d): %w", Priority, err)
	}
	return nil
}

// Refused is why the kernel makes it no real-time thread, or nil.
func (t *Thread) Refused() error { return t.refused }

// Close ends the thread, after what it plays. Nothing may be played after it.
func (t *Thread) Close() error {
	close(t.patterns)
	<-t.ended
	return nil
}

// Keep implements panel.Timing. Patterns run one after the other.
func (t *Thread) Keep(ctx context.Context, play func(wait func(time.Duration) error) error) error {
	var ends [2]int // of a pipe: its closed end wakes the thread
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return fmt.Errorf("a pipe for a pattern: %w", err)
	}
	defer unix.Close(ends[0])
	cut := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		unix.Close(ends[1])
		close(cut)
	})
	defer func() {
		if stop() {
			unix.Close(ends[1])
		} else {
			<-cut
		}
	}()
	played := make(chan error)
	t.patterns <- func() {
		played <- play(func(d time.Duration) error { return sleep(ctx, ends[0], d) })
	}
	return <-played
}

// sleep sleeps for d, never less, or until ctx is done, whose end closes the
// other end of the pipe.
func sleep(ctx context.Context, pipe int, d time.Duration) error {
	wake := []unix.PollFd{{Fd: int32(pipe), Events: unix.POLLIN}}
	for end := time.Now().Add(d); ; { // a signal of Go's own ends a sleep early
		left := time.Until(end)
		if left <= 0 {
			return nil
		}
		most := unix.NsecToTimespec(int64(left))
		n, err := unix.Ppoll(wake, &most, nil)
		switch {
		case n > 0:
			return ctx.Err()
		case err != nil && err != unix.EINTR:
			return fmt.Errorf("sleep: %w", err)
		}
	}
}
