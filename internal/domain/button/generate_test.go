package button

import (
	"math/rand/v2"
	"time"

	"pgregory.net/rapid"
)

// source is what a generator draws from: a PRNG for speed, or rapid, which
// shrinks what it finds.
type source interface{ below(n int) int }

type random struct{ *rand.Rand }

func (r random) below(n int) int { return r.IntN(n) }

type drawn struct{ t *rapid.T }

var _ = source(drawn{})

func (d drawn) below(n int) int { return rapid.IntRange(0, n-1).Draw(d.t, "n") }

// profileNames are the profiles a trace may be for.
func profileNames() []string {
	return []string{"paperclip", "synology", "synology-legacy", "qnap", "odd"}
}

func profileOf(name string) Profile {
	if p, ok := ProfileNamed(name); ok {
		return p
	}
	return odd()
}

// generator makes traces of a person, a worn contact, and a machine that is
// busy, suspended, or just started.
type generator struct {
	source
	now    time.Duration
	down   bool
	events []happening
}

// one in n.
func (g *generator) one(n int) bool { return g.below(n) == 0 }

func (g *generator) upTo(d time.Duration) time.Duration {
	return time.Duration(g.below(int(d/time.Microsecond))) * time.Microsecond
}

// near returns d, or a little or just no longer d.
func (g *generator) near(d time.Duration) time.Duration {
	switch g.below(5) {
	case 0:
		return d - 1
	case 1:
		return d + 1
	case 2:
		return d - g.upTo(60*time.Millisecond)
	case 3:
		return d + g.upTo(60*time.Millisecond)
	}
	return d
}

// limit is a hold time at which something happens in some profile.
func (g *generator) limit() time.Duration {
	limits := [...]time.Duration{3 * time.Second, 4 * time.Second, 4 * time.Second, 10 * time.Second, 60 * time.Second}
	return limits[g.below(len(limits))]
}

// hold keeps the button down, at times with the contact bouncing just when a
// limit is due.
func (g *generator) hold() {
	if g.one(6) {
		g.pass(g.limit() - g.upTo(12*time.Millisecond))
		g.bounce()
	}
	g.pass(g.held())
}

// held is how long a press lasts.
func (g *generator) held() time.Duration {
	switch g.below(8) {
	case 0:
		return g.upTo(time.Second)
	case 1:
		return g.near(oracleDebounce)
	case 2, 3:
		return g.near(g.limit())
	case 4:
		return g.upTo(15 * time.Second)
	case 5:
		return 10*time.Second + g.upTo(60*time.Second)
	}
	return 4*time.Second + g.upTo(6*time.Second)
}

// paused is how long the button is up.
func (g *generator) paused() time.Duration {
	switch g.below(6) {
	case 0:
		return g.near(oracleWindow)
	case 1:
		return g.near(oracleDebounce)
	case 2:
		return g.upTo(25 * time.Second)
	}
	return g.upTo(9 * time.Second)
}

func (g *generator) add(h happening) {
	h.at = g.now
	g.events = append(g.events, h)
}

// edge lets the contact change, perhaps bouncing.
func (g *generator) edge(down bool) {
	g.down = down
	g.add(happening{kind: edgeKind, down: down})
	if !g.one(3) {
		return
	}
	for range 1 + g.below(4) {
		g.bounce()
	}
}

// bounce lets the contact leave its level for a moment.
func (g *generator) bounce() {
	for _, level := range [...]bool{!g.down, g.down} {
		step := g.upTo(8 * time.Millisecond)
		if g.one(8) {
			step = g.near(oracleDebounce)
		}
		g.now += step
		g.add(happening{kind: edgeKind, down: level})
	}
}

// pass lets time pass, in which things may happen.
func (g *generator) pass(d time.Duration) {
	end := g.now + d
	for range 4 {
		if !g.one(3) {
			break
		}
		left := end - g.now
		if left <= time.Microsecond {
			break
		}
		g.now += g.upTo(left)
		g.happen()
	}
	g.now = max(g.now, end)
}

// happen does one of the things that happen while time passes.
func (g *generator) happen() {
	switch g.below(16) {
	case 0:
		g.add(happening{kind: claimKind, claim: ClaimState(g.below(3))})
	case 1:
		g.add(happening{kind: readyKind, ready: g.one(2)})
	case 2:
		g.stepClock()
	case 3:
		g.add(happening{kind: resyncKind, down: g.down})
	case 4:
		g.add(happening{kind: resyncKind, down: !g.down})
	case 5: // an edge twice: one between was lost
		g.add(happening{kind: edgeKind, down: g.down})
	case 6, 7:
		g.bounce()
	case 8: // a tick that an edge then turns out to precede
		at := g.now
		g.now += g.near(oracleLateness)
		g.add(happening{kind: tickKind})
		g.now = at
		switch g.below(3) {
		case 0:
			g.add(happening{kind: tickKind})
		case 1:
			g.add(happening{kind: edgeKind, down: !g.down})
			g.now += g.upTo(8 * time.Millisecond)
			g.add(happening{kind: edgeKind, down: g.down})
		}
	default:
		g.add(happening{kind: tickKind})
	}
}

// stepClock sets the clock.
func (g *generator) stepClock() {
	step := g.upTo(20 * time.Second)
	switch {
	case g.one(3):
		step = g.near(oracleLateness)
	case g.one(2):
		g.now += step
		return
	}
	g.now = max(g.now-step, 0)
	if g.one(2) {
		g.add(happening{kind: tickKind})
	}
}

// trace makes a trace for a profile.
func (g *generator) trace(profile string) trace {
	g.events = g.events[:0]
	g.now = g.upTo(2000 * time.Second)
	t := trace{profile: profile, start: g.now, held: g.one(12)}
	g.down = t.held
	if g.one(12) {
		g.add(happening{kind: claimKind, claim: ClaimState(g.below(3))})
	}
	if g.one(24) {
		g.add(happening{kind: readyKind})
	}
	for range 1 + g.below(4) {
		if g.down {
			g.hold()
			g.edge(false)
		}
		g.pass(g.paused())
		g.edge(true)
		g.hold()
		g.edge(false)
		if g.one(30) { // this edge never comes
			g.events = g.events[:len(g.events)-1]
			g.down = len(g.events) > 0 && g.down
		}
	}
	if !g.one(4) {
		g.now += g.upTo(20 * time.Second)
	}
	g.add(happening{kind: tickKind})
	t.events = g.events
	return t
}

// manner is how the recogniser is called over a trace.
type manner uint8

const (
	asGiven manner = iota // ticks where the trace has them
	onTime                // and one at every deadline
	never                 // none but the last
	manners = iota
)

// heard is a signal and the time of the call that returned it.
type heard struct {
	at     time.Duration
	signal Signal
}

// play runs a trace through a recogniser and returns all but the lights.
func play(r *Recogniser, t trace, m manner, out []heard) []heard {
	collect := func() {
		for _, s := range r.out {
			if _, ok := s.(Light); !ok {
				out = append(out, heard{r.now, s})
			}
		}
		r.out = r.out[:0]
	}
	for i, e := range t.events {
		if m == never && e.kind == tickKind && i < len(t.events)-1 {
			continue
		}
		for m == onTime {
			at, ok := r.Deadline()
			if !ok || at >= e.at {
				break
			}
			r.advance(r.clock(at))
			collect()
		}
		switch e.kind {
		case edgeKind:
			r.edge(e.at, e.down)
		case resyncKind:
			r.advance(r.clock(e.at))
			r.lost(e.down)
		default:
			r.advance(r.clock(e.at))
		}
		collect()
		switch e.kind {
		case claimKind:
			r.SetClaim(e.claim)
		case readyKind:
			r.SetReady(e.ready)
		}
	}
	return out
}
