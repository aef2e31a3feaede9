//go:build linux

package main

import (
	"context"
	"time"

	"github.com/paperclip-nas/paperclip/internal/x/resident"
)

// When what waits gives memory back: once it has started, and then again and
// again. Go collects garbage every two minutes in a process that does nothing,
// and touches half the program for it; a little earlier that is ours to do, and
// costs no wake-up more.
const (
	startTakes    = 10 * time.Second
	giveBackEvery = 100 * time.Second
)

// giveBack gives back the memory that a start, a use and collecting garbage have
// left, while quiet says that nothing is under way, until ctx ends. What is
// needed next (for a press, above all) comes from the page cache, or from the
// disk on a NAS that is short of memory: holds do not depend on it, they are
// measured by the kernel's time stamps, and a system disk that cannot be read
// could not be reset either.
func (m *machine) giveBack(ctx context.Context, quiet func(context.Context) bool) {
	for wait := startTakes; ; wait = giveBackEvery {
		select {
		case <-ctx.Done():
			return
		case <-m.clock.After(wait):
		}
		if !quiet(ctx) {
			continue
		}
		if err := resident.GiveBack(); err != nil {
			m.log.Warn("memory that is not needed stays resident", "error", err)
			return
		}
	}
}
