package face

import (
	"context"
	"net/netip"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// Phase is how a box is.
type Phase int

// The phases.
const (
	Dark       Phase = iota // switched on, and nothing answers yet
	Booting                 // its kernel is up
	Starting                // its services start
	Ready                   // up and usable
	Lost                    // its installer: the configuration is lost
	Empty                   // its installer: no drive is seen
	Installing              // its installer installs
)

// Status is what the phase is called on the LAN (vendors/synology.md §3.1).
func (p Phase) Status() nas.Status {
	return map[Phase]nas.Status{
		Dark: nas.Unknown, Booting: nas.Booting, Starting: nas.StartingServices, Ready: nas.Ready,
		Lost: nas.ConfigurationLost, Empty: nas.NotInstalled, Installing: nas.Installing,
	}[p]
}

// Installer reports whether the box has no system of its own running.
func (p Phase) Installer() bool { return p == Lost || p == Empty || p == Installing }

func (b *Box) is(p Phase) bool {
	now, _ := b.Phase()
	return now == p
}

func (b *Box) phaseNow() Phase {
	p, _ := b.Phase()
	return p
}

// firstStart is the start of the lab: nobody waits for a boot there, but where
// the scenario is one.
func (b *Box) firstStart() []Span {
	if b.cfg.Scenario.Has(NotReady) {
		return b.vendor.Boot()
	}
	return []Span{{Phase: b.settled()}}
}

// settled is the phase in which a start ends.
func (b *Box) settled() Phase {
	switch m := b.Memory(); {
	case m.Lost:
		return Lost
	case b.cfg.Scenario.Has(NoDrives):
		return Empty
	}
	return Ready
}

// begin starts the box.
func (b *Box) begin(spans []Span) {
	b.coming = spans
	if b.cfg.Scenario.Has(NeverBack) && len(spans) > 1 {
		b.coming = []Span{{Phase: Dark}}
	}
	b.step(b.cfg.Clock.Monotonic())
}

// step enters the next phase of a start.
func (b *Box) step(at time.Duration) {
	s := b.coming[0]
	b.coming = b.coming[1:]
	if len(b.coming) == 0 && s.Phase == Ready {
		s.Phase = b.settled()
	}
	for (s.Phase == Booting || s.Phase == Starting) && b.settled() != Ready && len(b.coming) > 0 {
		s, b.coming = b.coming[0], b.coming[1:] // an installer has no services to start
		if len(b.coming) == 0 {
			s.Phase = b.settled()
		}
	}
	if s.Phase == Dark && b.cfg.Scenario.Has(SlowBoot) {
		s.For = 10 * time.Minute
	}
	b.due = 0
	if len(b.coming) > 0 {
		b.due = at + s.For
	}
	b.enter(s.Phase)
}

// enter closes what listens and opens what this phase has.
func (b *Box) enter(p Phase) {
	b.opened.Store(false)
	if b.open != nil {
		b.open()
		b.running.Wait()
	}
	b.mu.Lock()
	b.phase, b.seen, b.found = p, b.cfg.Clock.Monotonic(), found{}
	b.place = b.address()
	if p != Ready {
		clear(b.sessions)
	}
	b.mu.Unlock()
	b.cfg.Log.Info("the box is "+p.Status().ID(), "at", b.place.String())
	var ctx context.Context
	ctx, b.open = context.WithCancel(b.ctx)
	if p != Dark {
		if err := b.vendor.Open(ctx, b); err != nil {
			b.cfg.Log.Error("the box cannot listen", "error", err)
		}
	}
	b.opened.Store(true)
	b.starts.Add(1)
	b.mu.Lock()
	close(b.entered)
	b.entered = make(chan struct{})
	b.mu.Unlock()
	b.once.Do(func() { close(b.ready) })
}

// address is where the settings put the box: the first interface decides.
func (b *Box) address() netip.Addr {
	p := b.cfg.Places
	if b.memory.Lost { // an installer asks for an address
		return b.leased()
	}
	if all := b.cfg.Store.Running().Settings.Interfaces; len(all) > 0 && all[0].Method == nas.Static {
		return p.Static
	}
	return b.leased()
}

func (b *Box) leased() netip.Addr {
	if b.cfg.Scenario.Has(NoDHCP) {
		return b.cfg.Places.Alone
	}
	return b.cfg.Places.Leased
}

// Go runs f until the phase ends; f ends with ctx.
func (b *Box) Go(f func()) { b.running.Go(f) }
