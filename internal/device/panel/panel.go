// Package panel is what a person at the NAS can touch, hear and see: a reset
// button, a beeper, lights. It declares the ports; the adapters are in
// evdev and sysled (a real front panel under Linux) and memory (the lab).
//
// A panel only reports and plays. It never decides what a press means (that is
// domain/button), never opens a claim, and never says a code that it was not
// given as pulses. Rows D1, D2, D3, D8.
package panel

import (
	"context"
	"errors"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/button"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
)

// Edge is one change of the button.
type Edge struct {
	// At is when it happened, on the button's own clock (see Button.Now): for
	// a real button the kernel's time stamp, monotonic since boot, so that a
	// busy machine does not lengthen a hold.
	At time.Duration
	// Down is the state from At on.
	Down bool
	// Lost says that edges before this one may have been missed (the kernel's
	// queue overflowed, or the device was away). No hold may be measured
	// across it, and a button that is down here counts as one that was
	// already down at start: it means nothing until it is released.
	Lost bool
}

// Button is the reset button.
type Button interface {
	// Edges sends every change to out, in order, until ctx is done or the
	// button is lost. It may be called once at a time, and again after that: a
	// button may come back late. It returns ctx's error, or why it was lost.
	Edges(ctx context.Context, out chan<- Edge) error
	// HeldAtStart tells whether the button was already down when it was
	// opened. Such a hold selects nothing (row D8).
	HeldAtStart() bool
	// Now is the present time on the clock that stamps edges.
	Now() time.Duration
}

// Beeper makes a sound.
type Beeper interface {
	// Tone starts a tone of hz and ends the one before; 0 is silence.
	Tone(hz int) error
}

// Light switches a light by its name on this panel.
type Light interface {
	Set(name string, on bool) error
}

// Panel is the whole of it. A part that a device does not have is nil.
type Panel struct {
	Button Button
	Beeper Beeper
	Light  Light
	// Status is the name of the light that goes with the beeper, for ears
	// that can't hear it and rooms that are too loud.
	Status string
	// Clock is what pulses are timed by; nil is the machine's.
	Clock clock.Clock
	// Timing keeps the time of patterns instead of Clock; nil: nothing does.
	Timing Timing
}

// Timing keeps the time of a pattern better than a clock, which tells when
// Go's scheduler comes to it (see package realtime).
type Timing interface {
	// Keep runs play and returns its error. The wait that it gives to play
	// returns once d has passed, never sooner, or ctx's error as soon as ctx is
	// done. Its own error says that play was not run.
	Keep(ctx context.Context, play func(wait func(d time.Duration) error) error) error
}

// byClock is the Timing of a clock.
type byClock struct{ clock.Clock }

func (c byClock) Keep(ctx context.Context, play func(wait func(time.Duration) error) error) error {
	return play(func(d time.Duration) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.After(d):
			return nil
		}
	})
}

// Pulse is one part of a pattern: sound and light, or silence and darkness.
type Pulse struct {
	On  bool
	For time.Duration
	// Hz is the pitch while On; 0 means light only.
	Hz int
}

// Pulses are a pattern of the domain as this package plays it.
func Pulses(pattern []button.Pulse) []Pulse {
	pulses := make([]Pulse, len(pattern))
	for i, p := range pattern {
		pulses[i] = Pulse{On: p.On, For: p.For, Hz: p.Hz}
	}
	return pulses
}

// Play plays the pulses once by beeper and status light, and leaves both
// silent and dark, whether it ends, fails or is cancelled. Every pulse lasts
// at least as long as it says: on a busy machine a pattern gets longer, but a
// beep never goes missing. A part that fails does not stop the other; the
// errors are returned together at the end. If ctx is done it returns ctx's
// error.
func (p Panel) Play(ctx context.Context, pulses []Pulse) error {
	return p.timing().Keep(ctx, func(wait func(time.Duration) error) error {
		var failed error
		keep := func(err error) {
			if failed == nil {
				failed = err // the first failure tells; forty of them do not tell more
			}
		}
		for _, pulse := range pulses {
			keep(p.show(pulse))
			if err := wait(pulse.For); err != nil {
				return errors.Join(err, p.show(Pulse{}))
			}
		}
		return errors.Join(failed, p.show(Pulse{}))
	})
}

func (p Panel) timing() Timing {
	switch {
	case p.Timing != nil:
		return p.Timing
	case p.Clock != nil:
		return byClock{p.Clock}
	}
	return byClock{clock.System()}
}

// show sets beeper and light to what one pulse says.
func (p Panel) show(pulse Pulse) error {
	hz := 0
	if pulse.On {
		hz = pulse.Hz
	}
	var sound, light error
	if p.Beeper != nil {
		sound = p.Beeper.Tone(hz)
	}
	if p.Light != nil && p.Status != "" {
		light = p.Light.Set(p.Status, pulse.On)
	}
	return errors.Join(sound, light)
}
