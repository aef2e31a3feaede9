// Package paneltest is the contract of the panel's ports, as tests that every
// adapter runs: the memory panel, evdev and sysled alike. It is used by tests
// only, and contains no adapter.
package paneltest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/panel"
)

// Button tests a panel.Button. open makes one whose button is down at start or
// not, and returns it with the finger that moves it.
func Button(t *testing.T, open func(t *testing.T, held bool) (b panel.Button, finger func(down bool))) {
	t.Run("edges come in order, stamped by the button's clock", func(t *testing.T) {
		b, finger := open(t, false)
		ctx, out, stop := listen(t, b)
		before := b.Now()
		want := []bool{true, false, true, false}
		for _, down := range want {
			finger(down)
		}
		last := before
		for i, down := range want {
			e := next(t, ctx, out)
			if e.Down != down || e.Lost {
				t.Errorf("edge %d is %+v, want Down %v", i, e, down)
			}
			if now := b.Now(); e.At < last || e.At > now {
				t.Errorf("edge %d is stamped %v, want between %v and %v", i, e.At, last, now)
			}
			last = e.At
		}
		stop()
	})
	t.Run("a button held at start says so, and its release is an edge", func(t *testing.T) {
		b, finger := open(t, true)
		if !b.HeldAtStart() {
			t.Error("HeldAtStart is false")
		}
		ctx, out, stop := listen(t, b)
		finger(false)
		if e := next(t, ctx, out); e.Down {
			t.Errorf("the first edge is %+v, want a release", e)
		}
		stop()
	})
	t.Run("reading ends when it is told to, and can start again", func(t *testing.T) {
		b, finger := open(t, false)
		if b.HeldAtStart() {
			t.Error("HeldAtStart is true")
		}
		for range 2 {
			ctx, out, stop := listen(t, b)
			finger(true)
			next(t, ctx, out)
			finger(false)
			next(t, ctx, out)
			stop()
		}
	})
}

// listen runs Edges; stop ends it and checks how it ended.
func listen(t *testing.T, b panel.Button) (context.Context, <-chan panel.Edge, func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out := make(chan panel.Edge)
	ended := make(chan error, 1)
	go func() { ended <- b.Edges(ctx, out) }()
	return ctx, out, func() {
		t.Helper()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Edges ended with %v, want context.Canceled", err)
		}
	}
}

func next(t *testing.T, ctx context.Context, out <-chan panel.Edge) panel.Edge {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	select {
	case e := <-out:
		return e
	case <-ctx.Done():
		t.Fatal("no edge came")
		return panel.Edge{}
	}
}

// Beeper tests a panel.Beeper. heard returns every change of pitch so far.
func Beeper(t *testing.T, b panel.Beeper, heard func() []int) {
	for _, hz := range []int{1000, 2000, 0} {
		if err := b.Tone(hz); err != nil {
			t.Fatalf("Tone(%d): %v", hz, err)
		}
	}
	if got, want := heard(), []int{1000, 2000, 0}; !slices.Equal(got, want) {
		t.Errorf("heard %v, want %v", got, want)
	}
}

// Light tests a panel.Light that has a light of that name; lit looks at it.
func Light(t *testing.T, l panel.Light, name string, lit func() bool) {
	for _, on := range []bool{true, false, true, true, false} {
		if err := l.Set(name, on); err != nil {
			t.Fatalf("Set(%q, %v): %v", name, on, err)
		}
		if lit() != on {
			t.Errorf("after Set(%q, %v) the light is %v", name, on, lit())
		}
	}
}
