// Package memory is a front panel without hardware: for tests and for the
// lab's virtual NAS. A test or the lab's robot presses its button and listens
// to its beeper; the device code over it is the same as over a real panel.
//
// It has no clock of its own: edges, tones and lights are stamped by the clock
// it is given. It never presses itself.
package memory

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/panel"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
)

// Status is the name of the panel's one light.
const Status = "status"

// history is how many tones and light changes are kept, newest last. A code
// of four counts, said once, makes at most 48 tone changes.
const history = 4096

// ErrMissed tells a listener that it listened too slowly and that changes
// were dropped in between. The next call continues with the oldest one kept.
var ErrMissed = errors.New("memory panel: the listener was too slow and missed some tones")

// Tone is one change of the beeper.
type Tone struct {
	At time.Duration // on the panel's clock
	Hz int           // 0: it fell silent
}

// LightChange is one change of a light.
type LightChange struct {
	At   time.Duration
	Name string
	On   bool
}

// Panel is a button, a beeper and lights in memory. Make one with New. It is
// safe for concurrent use.
type Panel struct {
	clock clock.Clock
	edges chan panel.Edge
	press sync.Mutex // one finger

	mu      sync.Mutex
	held    bool // the button was down when the panel was made
	hz      int
	tones   []Tone
	dropped int           // how many tones are gone from the front of tones
	changed chan struct{} // closed and replaced at every new tone
	lit     map[string]bool
	lights  []LightChange
}

// New returns a panel on which nothing has happened.
func New(c clock.Clock) *Panel {
	return &Panel{
		clock:   c,
		edges:   make(chan panel.Edge, 256),
		changed: make(chan struct{}),
		lit:     make(map[string]bool),
	}
}

// Ports returns the panel as the device sees it.
func (p *Panel) Ports() panel.Panel {
	return panel.Panel{Button: p, Beeper: p, Light: p, Status: Status, Clock: p.clock}
}

// HoldAtStart makes the button one that was already down when the device
// started. Call it before the device does; Release lets go.
func (p *Panel) HoldAtStart() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = true
}

// HeldAtStart implements panel.Button.
func (p *Panel) HeldAtStart() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held
}

// Now implements panel.Button.
func (p *Panel) Now() time.Duration { return p.clock.Monotonic() }

// Edges implements panel.Button. Edges made before the call are sent too.
func (p *Panel) Edges(ctx context.Context, out chan<- panel.Edge) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e := <-p.edges:
			select {
			case <-ctx.Done():
				return ctx.Err()
			case out <- e:
			}
		}
	}
}

// Press pushes the button, holds it for d and lets go. It lets go at once when
// ctx is done, and then returns ctx's error.
func (p *Panel) Press(ctx context.Context, d time.Duration) error {
	return p.hold(ctx, func() <-chan time.Time { return p.clock.After(d) })
}

// PressUntil pushes the button and holds it until something is received from
// letGo (a person who lets go at the beep), or ctx is done.
func (p *Panel) PressUntil(ctx context.Context, letGo <-chan time.Time) error {
	return p.hold(ctx, func() <-chan time.Time { return letGo })
}

// hold starts the clock of a hold only once the button is down: another press
// may have to end first.
func (p *Panel) hold(ctx context.Context, start func() <-chan time.Time) error {
	p.press.Lock()
	defer p.press.Unlock()
	if err := p.Inject(ctx, panel.Edge{At: p.Now(), Down: true}); err != nil {
		return err
	}
	var cancelled error
	select {
	case <-start():
	case <-ctx.Done():
		cancelled = ctx.Err()
	}
	// Whatever happens, no button stays down that nobody holds.
	err := p.Inject(context.WithoutCancel(ctx), panel.Edge{At: p.Now(), Down: false})
	return errors.Join(cancelled, err)
}

// Release lets go of a button held since HoldAtStart.
func (p *Panel) Release(ctx context.Context) error {
	return p.Inject(ctx, panel.Edge{At: p.Now(), Down: false})
}

// Inject sends any edge as it is, for bounce, lost edges and clocks that jump.
// It waits while 256 edges are unread.
func (p *Panel) Inject(ctx context.Context, e panel.Edge) error {
	select {
	case p.edges <- e:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Tone implements panel.Beeper. A tone that already sounds is no change.
func (p *Panel) Tone(hz int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if hz == p.hz {
		return nil
	}
	p.hz = hz
	p.tones = append(p.tones, Tone{At: p.Now(), Hz: hz})
	if len(p.tones) > history {
		p.tones = p.tones[1:]
		p.dropped++
	}
	close(p.changed)
	p.changed = make(chan struct{})
	return nil
}

// Tones returns the tone changes so far, oldest first (the last 4096).
func (p *Panel) Tones() []Tone {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Tone(nil), p.tones...)
}

// Set implements panel.Light. Any name is a light here.
func (p *Panel) Set(name string, on bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lit[name] == on {
		return nil
	}
	p.lit[name] = on
	p.lights = append(p.lights, LightChange{At: p.Now(), Name: name, On: on})
	if len(p.lights) > history {
		p.lights = p.lights[1:]
	}
	return nil
}

// Lit tells whether a light is on.
func (p *Panel) Lit(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lit[name]
}

// Lights returns the light changes so far, oldest first (the last 4096).
func (p *Panel) Lights() []LightChange {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]LightChange(nil), p.lights...)
}

// Listen returns an ear that hears every tone change from now on.
func (p *Panel) Listen() *Listener {
	p.mu.Lock()
	defer p.mu.Unlock()
	return &Listener{panel: p, next: p.dropped + len(p.tones)}
}

// Listener hears the panel's tone changes one by one. It is for one goroutine.
type Listener struct {
	panel *Panel
	next  int // index since the panel was made
}

// Next waits for the next change and returns it. It returns ctx's error when
// ctx is done first, and ErrMissed when changes were dropped in between.
func (l *Listener) Next(ctx context.Context) (Tone, error) {
	for {
		tone, ok, changed, err := l.take()
		if ok || err != nil {
			return tone, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Tone{}, ctx.Err()
		}
	}
}

func (l *Listener) take() (Tone, bool, <-chan struct{}, error) {
	p := l.panel
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.next < p.dropped {
		l.next = p.dropped
		return Tone{}, false, nil, ErrMissed
	}
	if i := l.next - p.dropped; i < len(p.tones) {
		l.next++
		return p.tones[i], true, nil, nil
	}
	return Tone{}, false, p.changed, nil
}
