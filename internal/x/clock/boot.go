package clock

import "time"

// Boot is the time since the system started. It goes on while the system
// sleeps, and setting the wall clock does not touch it: waits that must really
// pass are measured by it.
type Boot interface {
	// Up is which start of the system this is, an id that no other start has,
	// and how long ago that was.
	Up() (start string, since time.Duration, err error)
}

// BootOf makes a Boot of a clock that knows of no start: start names this
// program's, so that time counts only while it runs.
func BootOf(c Clock, start string) Boot { return bootOf{c, start} }

type bootOf struct {
	clock Clock
	start string
}

func (b bootOf) Up() (string, time.Duration, error) { return b.start, b.clock.Monotonic(), nil }
