//go:build linux

package vm

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/button"
	"github.com/paperclip-nas/paperclip/internal/x/qmp"
)

// The PC speaker sounds while timer 2 drives it: both bits of the port are set then.
const (
	speakerPort  = 0x61
	speakerBits  = 0x03
	pollInterval = 4 * time.Millisecond
)

// Ear listens to a machine's speaker from outside of it, by polling the port.
type Ear struct {
	stop  context.CancelFunc
	start time.Time
	ended chan struct{}

	mu      sync.Mutex
	sounds  []button.Sound
	changed chan struct{} // closed and made anew at each sound
	err     error
}

// Listen begins to listen; one ear at a time.
func (m *Machine) Listen(ctx context.Context) *Ear {
	ctx, stop := context.WithCancel(ctx)
	e := &Ear{stop: stop, ended: make(chan struct{}), changed: make(chan struct{}), start: time.Now()}
	go e.listen(ctx, m.ear)
	return e
}

func (e *Ear) listen(ctx context.Context, c *qmp.Client) {
	defer close(e.ended)
	on := false
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for ctx.Err() == nil {
		// A call cut short would leave the connection of no use: it is never bound to our own end.
		b, err := c.Port(context.WithoutCancel(ctx), speakerPort)
		if err != nil {
			e.record(nil, err)
			return
		}
		if now := b&speakerBits == speakerBits; now != on {
			on = now
			e.record(&button.Sound{At: time.Since(e.start), On: on}, nil)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

func (e *Ear) record(s *button.Sound, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s != nil {
		e.sounds = append(e.sounds, *s)
	}
	e.err = err
	close(e.changed)
	e.changed = make(chan struct{})
}

// Code waits for a whole code to be said.
func (e *Ear) Code(ctx context.Context) (code [4]int, err error) {
	err = e.Wait(ctx, "a code", func(heard []button.Sound) (ok bool) {
		code, ok = button.ParseCode(heard, time.Since(e.start))
		return ok
	})
	return code, err
}

// Heard is all that was heard so far.
func (e *Ear) Heard() []button.Sound {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]button.Sound(nil), e.sounds...)
}

// Wait waits until what was heard satisfies the listener.
func (e *Ear) Wait(ctx context.Context, what string, satisfied func([]button.Sound) bool) error {
	for {
		e.mu.Lock()
		heard, changed, err := append([]button.Sound(nil), e.sounds...), e.changed, e.err
		e.mu.Unlock()
		if satisfied(heard) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("listening for %s: %w", what, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s was not heard (%d sounds were): %w", what, len(heard), ctx.Err())
		case <-changed:
		case <-time.After(100 * time.Millisecond): // silence means something too
		}
	}
}

// Close stops listening.
func (e *Ear) Close() {
	e.stop()
	<-e.ended
}
