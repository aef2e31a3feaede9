// Package clock is the time that the rest of the program is given, so that a
// test can give another one.
//
// It never decides anything and never sleeps by itself. Under testing/synctest
// the System clock is already a fake one; a Clock of its own is needed only
// where virtual time runs at another speed, as in the lab.
package clock

import "time"

// Clock tells the time and waits.
type Clock interface {
	// Now is the wall clock: for people and receipts, never for measuring.
	Now() time.Time
	// Monotonic is the time since an arbitrary, fixed moment. It never goes
	// back and is what holds, windows and waits are measured by.
	Monotonic() time.Duration
	// After sends once on the returned channel when d has passed.
	After(d time.Duration) <-chan time.Time
}

// System is the machine's own clock.
func System() Clock { return system{start: time.Now()} }

type system struct{ start time.Time }

func (system) Now() time.Time                         { return time.Now() }
func (s system) Monotonic() time.Duration             { return time.Since(s.start) }
func (system) After(d time.Duration) <-chan time.Time { return time.After(d) }

// Faster is a clock on which everything takes 1/factor of the time: the lab's.
// factor is at least 1.
func Faster(c Clock, factor int) Clock { return faster{c, time.Duration(max(factor, 1))} }

type faster struct {
	Clock
	factor time.Duration
}

func (f faster) Monotonic() time.Duration               { return f.Clock.Monotonic() * f.factor }
func (f faster) After(d time.Duration) <-chan time.Time { return f.Clock.After(d / f.factor) }
