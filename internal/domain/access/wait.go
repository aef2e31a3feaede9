package access

import "time"

// Wait is time that must still pass on the device itself. It is a value that
// the device writes down now and then; only what was written down is believed.
// Neither a clock that is set nor a restart makes it shorter: where the start of
// the system is another one, nothing is known to have passed meanwhile.
type Wait struct {
	Left  time.Duration `json:"left"`  // in nanoseconds, when it was written down
	Start string        `json:"start"` // which start of the system that was
	Up    time.Duration `json:"up"`    // and how long it had been up
}

// NewWait begins one.
func NewWait(length time.Duration, start string, up time.Duration) Wait {
	return Wait{Left: length, Start: start, Up: up}
}

// At is what is left of the wait when the system has been up that long since
// that start.
func (w Wait) At(start string, up time.Duration) Wait {
	switch {
	case start != w.Start:
		w.Start, w.Up = start, up
	case up > w.Up:
		w.Left, w.Up = max(0, w.Left-(up-w.Up)), up
	}
	return w
}

// Over reports whether nothing is left.
func (w Wait) Over() bool { return w.Left <= 0 }
