package access

import (
	"cmp"
	"slices"
	"time"
)

// Rules are the numbers of a claim (design.md, "Claim").
type Rules struct {
	Window       time.Duration // how long a claim stays open: 3 to 60 minutes
	Slot         time.Duration // how long one session may keep others waiting
	SessionTries int           // tries in one session
	Tries        int           // tries in one claim before a press must grant more
	Grant        int           // tries that a short press grants then
	Sessions     int           // sessions kept at once, waiting ones included
	PerSource    int           // of which from one address
}

// DefaultRules are design.md's.
func DefaultRules() Rules {
	return Rules{Window: 15 * time.Minute, Slot: 2 * time.Minute, SessionTries: 5, Tries: 20, Grant: 5, Sessions: 16, PerSource: 2}
}

// Refusal is why a session may not go on just now.
type Refusal string

// The refusals. An empty Refusal means: go on.
const (
	NoRefusal     Refusal = ""
	ClaimClosed   Refusal = "claim_closed"       // no claim is open
	NotYourTurn   Refusal = "not_your_turn"      // another session is proving: wait
	TooMany       Refusal = "too_many_sessions"  // no room for another session
	NoSession     Refusal = "no_such_session"    // ended, or never was
	SessionSpent  Refusal = "session_spent"      // its tries are used up
	TriesSpent    Refusal = "tries_spent"        // the claim's are: a short press grants more
	ClaimTaken    Refusal = "claim_taken"        // another session has proved presence
	NotProved     Refusal = "presence_not_shown" // asked for more than a stranger is shown
	AlreadyProved Refusal = "already_proved"
)

// Claim is the state of the one claim a NAS can have open: when it ends, who
// is proving presence, and how many tries are left. It is not safe for
// concurrent use; one goroutine owns it.
type Claim struct {
	rules    Rules
	state    ClaimState
	closes   time.Duration
	failures int // in this claim, counted before each check
	allowed  int // tries of this claim, grants included
	sessions []session
	turn     string // id of the session that is proving
	turnEnds time.Duration
	bySource map[string]int // failures in this claim, by source address
}

type session struct {
	id, source string
	failures   int
}

// NewClaim returns a closed claim.
func NewClaim(r Rules) *Claim { return &Claim{rules: r, state: Closed} }

// State is where the claim stands.
func (c *Claim) State() ClaimState { return c.state }

// Closes is when an open claim lapses, on the caller's monotonic clock.
func (c *Claim) Closes() (at time.Duration, open bool) { return c.closes, c.state != Closed }

// Handle lets an event of the life of a claim happen, at its time. ok is false
// where the state has no such transition; then nothing changes.
func (c *Claim) Handle(e ClaimEvent, at time.Duration) (ok bool) {
	next, ok := Next(c.state, e)
	if !ok {
		return false
	}
	if c.state == Closed {
		*c = Claim{rules: c.rules, allowed: c.rules.Tries, bySource: map[string]int{}, closes: at + c.rules.Window}
	}
	if e == Prove || e == PressHard {
		c.closes = at + c.rules.Window
	}
	c.state = next
	if next == Closed {
		*c = Claim{rules: c.rules, state: Closed}
	}
	return true
}

// Lapsed reports whether an open claim's window is over. A claim whose plan was
// accepted does not lapse: the transaction runs to its end.
func (c *Claim) Lapsed(at time.Duration) bool {
	return c.state != Closed && c.state != Accepted && at >= c.closes
}

// Enter adds a session for a visitor at source. id must be unguessable.
func (c *Claim) Enter(at time.Duration, id, source string) Refusal {
	switch {
	case c.state == Closed || c.Lapsed(at):
		return ClaimClosed
	case c.state.Proved():
		return ClaimTaken
	}
	mine := 0
	for _, s := range c.sessions {
		if s.source == source {
			mine++
		}
	}
	if mine >= c.rules.PerSource {
		c.dropOldestOf(source)
	}
	if len(c.sessions) >= c.rules.Sessions && !c.makeRoomFor(source) {
		return TooMany
	}
	c.sessions = append(c.sessions, session{id: id, source: source})
	return NoRefusal
}

// dropOldestOf ends the oldest session of a source that is not proving.
func (c *Claim) dropOldestOf(source string) {
	i := slices.IndexFunc(c.sessions, func(s session) bool { return s.source == source && s.id != c.turn })
	if i >= 0 {
		c.sessions = slices.Delete(c.sessions, i, i+1)
	}
}

// makeRoomFor ends the waiting session whose source failed most, if it failed
// more than this source: a flood from one neighbour never keeps the owner out.
func (c *Claim) makeRoomFor(source string) bool {
	worst := -1
	for i, s := range c.sessions {
		if s.id == c.turn {
			continue
		}
		if worst < 0 || c.bySource[s.source] > c.bySource[c.sessions[worst].source] {
			worst = i
		}
	}
	if worst < 0 || c.bySource[c.sessions[worst].source] <= c.bySource[source] {
		return false
	}
	c.sessions = slices.Delete(c.sessions, worst, worst+1)
	return true
}

// Turn says whether the session may prove presence now. Sessions take turns of
// one slot each; those whose source has failed least go first.
func (c *Claim) Turn(at time.Duration, id string) Refusal {
	switch {
	case c.state == Closed || c.Lapsed(at):
		return ClaimClosed
	case c.state.Proved():
		if c.turn == id {
			return AlreadyProved
		}
		return ClaimTaken
	case c.index(id) < 0:
		return NoSession
	case c.sessions[c.index(id)].failures >= c.rules.SessionTries:
		return SessionSpent
	case c.failures >= c.allowed:
		return TriesSpent
	}
	if c.index(c.turn) < 0 || at >= c.turnEnds {
		c.turn = c.nextInLine(c.turn)
		c.turnEnds = at + c.rules.Slot
	}
	if c.turn != id {
		return NotYourTurn
	}
	return NoRefusal
}

// nextInLine picks among the sessions that may still try; the one whose slot
// just ended comes last among equals.
func (c *Claim) nextInLine(last string) string {
	line := slices.Clone(c.sessions)
	line = slices.DeleteFunc(line, func(s session) bool { return s.failures >= c.rules.SessionTries })
	slices.SortStableFunc(line, func(a, b session) int {
		return cmp.Or(cmp.Compare(c.bySource[a.source], c.bySource[b.source]), boolCompare(a.id == last, b.id == last))
	})
	if len(line) == 0 {
		return ""
	}
	return line[0].id
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}

// Count takes one try of the session, before the try is checked (X19). The
// caller makes the count durable before it looks at the answer.
func (c *Claim) Count(at time.Duration, id string) Refusal {
	if r := c.Turn(at, id); r != NoRefusal {
		return r
	}
	s := &c.sessions[c.index(id)]
	s.failures++
	c.failures++
	c.bySource[s.source]++
	if s.failures >= c.rules.SessionTries {
		c.turnEnds = at // the last try gives the slot to the next session
	}
	return NoRefusal
}

// Succeed takes back the try that Count took and gives the claim to the
// session.
func (c *Claim) Succeed(at time.Duration, id string) Refusal {
	i := c.index(id)
	if i < 0 || c.state == Closed || c.Lapsed(at) {
		return ClaimClosed
	}
	if !c.Handle(Prove, at) {
		return ClaimTaken
	}
	c.failures--
	c.bySource[c.sessions[i].source]--
	c.turn = id
	return NoRefusal
}

// Holds says whether the session has proved presence and may go on.
func (c *Claim) Holds(at time.Duration, id string) Refusal {
	switch {
	case c.state == Closed || c.Lapsed(at):
		return ClaimClosed
	case !c.state.Proved():
		return NotProved
	case c.turn != id:
		return ClaimTaken
	}
	return NoRefusal
}

// GrantTries is a short press: where the claim's tries are used up it grants
// more, so that no neighbour can exhaust a claim. It reports whether it did.
func (c *Claim) GrantTries() bool {
	if c.state == Closed || c.failures < c.allowed {
		return false
	}
	c.allowed = c.failures + c.rules.Grant
	c.turn = "" // who failed least goes first with the new tries
	return true
}

// Exhausted reports whether the claim takes no more tries until a short press.
func (c *Claim) Exhausted() bool { return c.state != Closed && c.failures >= c.allowed }

// Has reports whether the session is one of the claim's.
func (c *Claim) Has(id string) bool { return c.index(id) >= 0 }

// TriesLeft is how many tries the session has left.
func (c *Claim) TriesLeft(id string) int {
	i := c.index(id)
	if i < 0 {
		return 0
	}
	return max(0, min(c.rules.SessionTries-c.sessions[i].failures, c.allowed-c.failures))
}

// TurnEnds is how long the slot of now lasts at most.
func (c *Claim) TurnEnds(at time.Duration) time.Duration { return max(0, c.turnEnds-at) }

// Failures is how many tries of this claim failed so far.
func (c *Claim) Failures() int { return c.failures }

func (c *Claim) index(id string) int {
	return slices.IndexFunc(c.sessions, func(s session) bool { return s.id == id })
}
