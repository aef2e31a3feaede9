// Package face is another vendor's NAS as far as the lab plays one: the box that
// starts and restarts, its button that acts at once, its own memory beside the
// settings, its pages' listeners, its sign-in rules. The vendors themselves are
// packages dsm and qts.
//
// This is what Paperclip's own device never does: a press acts at once and
// leaves a blank or a printed password. The code is the lab's, and no package of
// a real device can reach it (test/architecture).
//
// It imitates behaviour that has a source (vendors/synology.md, vendors/qnap.md;
// a section stands beside each). What no source documents is made up to have
// something to practise on, and named in [Inventions]: nothing may be concluded
// from it about a real device. It listens on loopback alone.
package face

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/panel"
	"github.com/paperclip-nas/paperclip/internal/device/panel/memory"
	store "github.com/paperclip-nas/paperclip/internal/device/setting/memory"
	"github.com/paperclip-nas/paperclip/internal/domain/button"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// Firmware is what runs on the box.
type Firmware struct {
	OS      string // "DSM", "QTS"
	Version string // "7.2", as the vendor writes it
	Build   string
	Update  string
}

// Places are where a box is, by how it gets its address. On loopback they stand
// for what they are called.
type Places struct {
	Static netip.Addr // the address that was set by hand
	Leased netip.Addr // what a DHCP server would give
	Alone  netip.Addr // what it takes by itself where there is none: 169.254/16
}

// Config is what a box is made of.
type Config struct {
	Identity nas.Identity
	Firmware Firmware
	CloudKey string // as on the label; QNAP
	Places   Places
	Scenario Scenario
	FS       opfs.FS
	File     string // its own memory
	Store    *store.Store
	Panel    *memory.Panel
	Clock    clock.Clock
	Log      *slog.Logger
}

// Vendor is what differs from one vendor to another.
type Vendor interface {
	// Profile is how its button is read.
	Profile() button.Profile
	// Act carries out what a press selected, on the settings and the box's own
	// memory, and says how the box goes on.
	Act(b *Box, m button.Mode) (Next, error)
	// Open starts what listens in this phase, at b.Place(), until ctx ends.
	Open(ctx context.Context, b *Box) error
	// Boot is how the box starts: its phases and how long each lasts.
	Boot() []Span
}

// Span is a phase and how long it lasts; the last has none.
type Span struct {
	Phase Phase
	For   time.Duration
}

// Next is how a box goes on after its button acted.
type Next struct {
	Wait    time.Duration // before it restarts: a second press may follow
	Restart bool          // through Boot; otherwise its network alone
}

// Box is one virtual NAS with a vendor's face. Make it with New, then Run it.
type Box struct {
	cfg    Config
	vendor Vendor
	rules  Rules

	calls chan func()
	ready chan struct{} // closed when it first listens
	once  sync.Once

	opened atomic.Bool  // what this phase has is open
	starts atomic.Int64 // phases begun

	mu       sync.Mutex
	phase    Phase
	entered  chan struct{} // closed and replaced when a phase begins
	memory   Memory
	place    netip.Addr
	ports    Ports
	seen     time.Duration // when the phase began
	sessions map[string]Session
	failures map[netip.Addr][]time.Duration
	found    found
	made     map[string]bool // what was made up, by its id
	reason   string

	// Below: Run's goroutine only.
	ctx     context.Context
	running sync.WaitGroup
	open    context.CancelFunc
	coming  []Span        // of the start that goes on
	due     time.Duration // when the next phase begins; 0: none
	restart time.Duration // when a reset restarts the box; 0: none
	next    Next
	player  sync.WaitGroup
}

// New makes a box that is switched off.
func New(cfg Config, v Vendor) (*Box, error) {
	m, err := openMemory(cfg.FS, cfg.File, cfg.Identity.Name)
	if err != nil {
		return nil, err
	}
	b := &Box{
		cfg: cfg, vendor: v, rules: DefaultRules(), memory: m,
		calls: make(chan func()), ready: make(chan struct{}), entered: make(chan struct{}), made: map[string]bool{"lab_ports": true},
		sessions: map[string]Session{}, failures: map[netip.Addr][]time.Duration{},
	}
	return b, b.prepare()
}

// Ready is closed when the box has listened for the first time.
func (b *Box) Ready() <-chan struct{} { return b.ready }

// Phase is how the box is, and for how long.
func (b *Box) Phase() (Phase, time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.phase, b.cfg.Clock.Monotonic() - b.seen
}

// Wait returns once the box is in that phase and has opened what it has then.
func (b *Box) Wait(ctx context.Context, p Phase) error {
	for {
		b.mu.Lock()
		now, next := b.phase, b.entered
		b.mu.Unlock()
		if now == p && b.opened.Load() {
			return nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Starts is how often the box has begun a phase.
func (b *Box) Starts() int64 { return b.starts.Load() }

// Place is where the box is now.
func (b *Box) Place() netip.Addr {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.place
}

// Identity is what the label says.
func (b *Box) Identity() nas.Identity { return b.cfg.Identity }

// Firmware is what runs on it.
func (b *Box) Firmware() Firmware { return b.cfg.Firmware }

// Scenario is what is wrong with it.
func (b *Box) Scenario() Scenario { return b.cfg.Scenario }

// CloudKey is on the label of newer QNAP.
func (b *Box) CloudKey() string { return b.cfg.CloudKey }

// Settings are what the running system uses.
func (b *Box) Settings() nas.Settings { return b.cfg.Store.Running().Settings }

// Store is where the settings are kept.
func (b *Box) Store() *store.Store { return b.cfg.Store }

// Clock is the box's.
func (b *Box) Clock() clock.Clock { return b.cfg.Clock }

// WhyNothing is why the last press selected nothing; empty where it did not.
func (b *Box) WhyNothing() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reason
}

// Run switches the box on and keeps it running until ctx ends.
func (b *Box) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer b.player.Wait()
	defer b.running.Wait()
	defer stop()
	b.ctx = ctx
	edges := make(chan panel.Edge)
	go func() { _ = b.cfg.Panel.Edges(ctx, edges) }()
	r := button.New(b.vendor.Profile())
	b.begin(b.firstStart())
	for {
		r.SetReady(b.is(Ready))
		select {
		case <-ctx.Done():
			return nil
		case f := <-b.calls:
			f()
		case e := <-edges:
			if e.Lost {
				b.signals(r.Resync(e.At, e.Down))
			} else {
				b.signals(r.Edge(e.At, e.Down))
			}
		case <-b.wake(r):
			b.signals(r.Tick(b.cfg.Panel.Now()))
		}
		b.passTime()
	}
}

// wake is when something happens by itself.
func (b *Box) wake(r *button.Recogniser) <-chan time.Time {
	var soonest time.Duration
	sooner := func(d time.Duration) {
		if soonest == 0 || d < soonest {
			soonest = max(d, 1)
		}
	}
	now := b.cfg.Clock.Monotonic()
	if at, ok := r.Deadline(); ok {
		sooner(at - b.cfg.Panel.Now())
	}
	if b.due > 0 {
		sooner(b.due - now)
	}
	if b.restart > 0 {
		sooner(b.restart - now)
	}
	if soonest == 0 {
		return nil
	}
	return b.cfg.Clock.After(soonest)
}

func (b *Box) passTime() {
	now := b.cfg.Clock.Monotonic()
	if b.restart > 0 && now >= b.restart {
		b.restart = 0
		if b.next.Restart {
			b.begin(b.vendor.Boot())
		} else {
			b.enter(b.phaseNow()) // the network alone starts again
		}
	}
	for b.due > 0 && now >= b.due {
		b.step(b.due)
	}
}

// signals carries out what the button says: at once, as vendors do.
func (b *Box) signals(all []button.Signal) {
	for _, s := range all {
		switch s := s.(type) {
		case button.Beep:
			b.beep(s.Count)
		case button.Act:
			b.act(s.Mode)
		case button.Ignored:
			b.mu.Lock()
			b.reason = s.Reason.String()
			b.mu.Unlock()
			b.cfg.Log.Info("a press selected nothing", "reason", s.Reason.String(), "held", s.Held.String())
		}
	}
}

func (b *Box) act(m button.Mode) {
	b.mu.Lock()
	b.reason = ""
	b.mu.Unlock()
	next, err := b.vendor.Act(b, m)
	if err != nil {
		b.cfg.Log.Error("the reset failed", "mode", m.String(), "error", err)
		return
	}
	b.cfg.Log.Info("the button reset the box", "mode", m.String())
	b.next = next
	b.restart = b.cfg.Clock.Monotonic() + max(next.Wait, 1)
}

// beepFor is how long a short beep of these boxes is, and the pause after it.
const (
	beepFor   = 200 * time.Millisecond
	beepPause = 200 * time.Millisecond
	beepHz    = 2000
)

func (b *Box) beep(n int) {
	var pulses []panel.Pulse
	for range n {
		pulses = append(pulses, panel.Pulse{On: true, For: beepFor, Hz: beepHz}, panel.Pulse{For: beepPause})
	}
	b.player.Go(func() { _ = b.cfg.Panel.Ports().Play(b.ctx, pulses) })
}

// ErrOff is what asks something of a box that does not run.
var ErrOff = errors.New("the box does not run")

// do runs f on the box's own goroutine.
func (b *Box) do(f func()) error {
	select {
	case b.calls <- f:
		return nil
	case <-b.ctx.Done():
		return ErrOff
	}
}

// Reboot starts the box again.
func (b *Box) Reboot() error {
	return b.do(func() { b.next, b.restart = Next{Restart: true}, b.cfg.Clock.Monotonic()+1 })
}

// Move takes the box to where its settings put it now, as saving them does.
func (b *Box) Move() error { return b.do(func() { b.enter(b.phaseNow()) }) }

// Beep is heard in front of the box: "find me".
func (b *Box) Beep(n int) error { return b.do(func() { b.beep(n) }) }
