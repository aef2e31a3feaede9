// Package button reads what a person does with a reset button: edges of the
// contact go in, beeps, lights and the selected action come out.
//
// A [Recogniser] is a deterministic state machine over timestamps. It has no
// clock and no timer of its own: [Recogniser.Deadline] says when it wants to be
// called again, [Recogniser.Tick] calls it, and what it decides depends on the
// timestamps alone. A real clock, a fake one, a recorded trace and ten million
// generated ones are therefore the same to it. What the gestures are is data, a
// [Profile]; what follows what is one table (table.go, drawn in docs/button.md).
//
// It never acts. It opens no claim, resets nothing and drives no beeper: it
// returns signals, and the caller carries them out. It never selects more
// because a timer ran late, an event was lost or a clock was set: whatever is
// not certain selects nothing and says so ([Ignored]).
//
// # Time
//
// Timestamps are durations since any fixed epoch, not negative, of a monotonic
// clock: the one that stamps the edges. Every limit is reached at its instant:
// a hold of exactly 4 s is a hold of 4 s, a second press exactly 10 s after the
// first was let go comes too late, a press of exactly 10 s is a press of 10 s.
// An edge at the instant of a limit comes after the limit.
//
// # Debounce
//
// A level counts once the contact has kept it for Profile.Debounce (exactly
// that long is long enough), and it counts from the moment since which it was
// kept. Anything shorter is bounce: within a press it is as if it had not been,
// and the press is as long as without it. When a contact bounced and no press
// came of it, that is said (bounce). A limit that falls into a possible release
// waits until the contact has settled: no beep for a press that ended before it.
//
// # Letting go
//
// Selection is on release, by how long the contact was held, however late the
// beep was: a release 0 ms after the hold time selects what the beep would have
// announced, and so does one at any time before the next limit. Only what makes
// things safer, closing a claim or giving up, happens while the button is held.
// A button that sticks thus never selects anything. After the first selection
// the window for the second runs from the release to the moment at which the
// second press begins; the next press uses the window up, whatever it is.
//
// # Late, lost, backwards
//
// Tick may be called late, or never between two edges: the signals are the
// same, only later. A timestamp up to Profile.Lateness before the latest one
// seen (an edge that was read after a Tick that it preceded) counts as the
// latest: a beep that was heard is not taken back. One that is older means
// that the clock went backwards: a press under way selects nothing (says so),
// the window is closed, and time goes on from the new timestamp. A jump forwards
// cannot be told from a long hold, and is taken as one.
//
// An edge that repeats the level (down, down or up, up) means that an edge
// between was lost: the press under way selects nothing, a button that is down
// is ignored until it is let go, the window is closed. [Recogniser.Resync] is
// the same for an adapter that knows it (SYN_DROPPED).
package button

import (
	"math"
	"time"
)

// ClaimState is what the caller tells about the claim, since the same press
// means another thing while one is open.
type ClaimState uint8

// The states of a claim, as far as the button cares.
const (
	ClaimClosed ClaimState = iota
	ClaimSoft
	ClaimHard
)

// Recogniser turns the edges of one button into signals. It is not safe for
// concurrent use. The zero value is not usable: see [New].
type Recogniser struct {
	profile Profile
	table   *table

	now     time.Duration // the latest timestamp
	raw     bool          // the contact, as last heard; true is down
	settled bool          // the contact, debounced
	since   time.Duration // if raw differs from settled: since when
	bounced bool          // the contact touched and came to no press
	quiet   time.Duration // if bounced: since when it is quiet

	claim ClaimState
	ready bool
	given circumstances // when the contact last went down

	state  state
	start  time.Duration // of the press
	stages []Stage       // what the press may select
	stage  int           // the one reached
	until  time.Duration // end of the window for a second press

	out []Signal
}

type circumstances struct {
	claim ClaimState
	ready bool
}

// An Option changes how a Recogniser starts.
type Option func(*Recogniser)

// HeldAtStart says that the button was already down when the program started,
// at the given time: it is ignored until it is let go. The first call to Tick
// or Edge returns that this was so.
func HeldAtStart(at time.Duration) Option {
	return func(r *Recogniser) {
		r.now = bounded(at)
		r.raw, r.settled = true, true
		r.start = r.now
		r.say(Ignored{Reason: ReasonHeldAtStart})
		r.enter(spent)
	}
}

// New returns a Recogniser for a button that is up, a device that is ready and
// a claim that is closed. The profile must be valid ([Profile.Validate]).
func New(p Profile, options ...Option) *Recogniser {
	r := &Recogniser{profile: p, table: &transitions, now: math.MinInt64, ready: true}
	for _, option := range options {
		option(r)
	}
	return r
}

// SetClaim tells what the claim is now. The recogniser supposes that what it
// signals comes true (after [OpenClaim] it takes the claim as open); the caller
// corrects it when a claim was refused, lapsed, or opened otherwise. It counts
// for presses that begin afterwards. Call Tick first, so that what is due
// before is decided before.
func (r *Recogniser) SetClaim(c ClaimState) { r.claim = c }

// SetReady tells whether the device is ready (D1). A press that begins while it
// is not selects nothing. Call Tick first, as for SetClaim.
func (r *Recogniser) SetReady(ready bool) { r.ready = ready }

// Tick tells that time has come to at, and returns what follows from it.
func (r *Recogniser) Tick(at time.Duration) []Signal {
	r.advance(r.clock(at))
	return r.taken()
}

// Edge tells that the contact closed (down) or opened at the given time, and
// returns what follows from it.
func (r *Recogniser) Edge(at time.Duration, down bool) []Signal {
	r.edge(at, down)
	return r.taken()
}

// Resync tells that events may have been lost before the given time, and what
// the level is now. An edge that repeats the level does the same.
func (r *Recogniser) Resync(at time.Duration, down bool) []Signal {
	r.advance(r.clock(at))
	r.lost(down)
	return r.taken()
}

// Deadline returns when Tick is wanted next; false means not before an edge. It
// is a time already past when something is due that was not returned yet.
func (r *Recogniser) Deadline() (time.Duration, bool) {
	if len(r.out) > 0 {
		return r.now, true
	}
	due, ok := r.next()
	return due.at, ok
}

func (r *Recogniser) edge(at time.Duration, down bool) {
	now := r.clock(at)
	r.advance(now)
	if down == r.raw {
		r.lost(down)
		return
	}
	r.raw = down
	if down != r.settled {
		r.since = now
		if down {
			r.given = circumstances{r.claim, r.ready}
		}
		return
	}
	// Back at the settled level before the other one counted: bounce.
	if !down {
		r.bounced, r.quiet = true, now
	}
	r.advance(now) // limits that waited for the contact to settle
}

// due is something that will happen by the passing of time.
type due struct {
	at    time.Duration
	event event
	level bool // not an event of its own: the contact has settled
}

// next returns what happens next if no edge comes.
func (r *Recogniser) next() (due, bool) {
	limit, ok := r.limit()
	moving := r.raw != r.settled
	if ok && (!moving || limit.at <= r.since) {
		return limit, true
	}
	if moving {
		return due{at: r.since + r.profile.Debounce, level: true}, true
	}
	return due{}, false
}

// limit returns the next limit of the present state.
func (r *Recogniser) limit() (due, bool) {
	switch r.state {
	case pressed, armed:
		if r.stage+1 < len(r.stages) {
			next := r.stages[r.stage+1]
			return due{at: r.start + next.From, event: next.event()}, true
		}
		return due{at: r.start + r.profile.Stuck, event: stuckDue}, true
	case spent:
		return due{at: r.start + r.profile.Stuck, event: stuckDue}, true
	case stuck:
		return due{}, false
	}
	settling := due{at: r.quiet + r.profile.Debounce, event: bounceOver}
	if r.state == again && !(r.bounced && settling.at < r.until) {
		return due{at: r.until, event: windowOver}, true
	}
	return settling, r.bounced
}

func (r *Recogniser) advance(now time.Duration) {
	for {
		next, ok := r.next()
		if !ok || next.at > now {
			return
		}
		if next.level {
			r.settle()
			continue
		}
		r.step(next.event, next.at)
	}
}

// settle takes the level that the contact has kept as the one that counts.
func (r *Recogniser) settle() {
	r.settled = r.raw
	r.bounced = false
	switch {
	case !r.settled && r.state == armed && r.stages[r.stage].Again:
		r.step(releaseAgain, r.since)
	case !r.settled:
		r.step(release, r.since)
	case r.given.ready:
		r.step(press, r.since)
	default:
		r.step(pressUnready, r.since)
	}
}

// clock takes a timestamp and returns the time that it is.
func (r *Recogniser) clock(at time.Duration) time.Duration {
	at = bounded(at)
	switch {
	case at >= r.now:
		r.now = at
	case r.now-at > r.profile.Lateness:
		if r.bounced && !r.raw {
			r.step(bounceOver, r.now)
		}
		r.now = at
		r.restart(clockUp, clockDown)
	}
	return r.now
}

// lost gives up what was under way, since edges are missing.
func (r *Recogniser) lost(down bool) {
	r.raw = down
	r.restart(lostUp, lostDown)
}

// restart goes on from the present level without what was before.
func (r *Recogniser) restart(up, down event) {
	r.settled, r.bounced = r.raw, false
	if r.raw {
		r.step(down, r.now)
		return
	}
	r.step(up, r.now)
}

// taken hands the signals over.
func (r *Recogniser) taken() []Signal {
	out := r.out
	r.out = nil
	return out
}

// bounded keeps sums with timestamps from overflowing; 146 years are enough.
func bounded(at time.Duration) time.Duration {
	return min(max(at, 0), math.MaxInt64/2)
}
