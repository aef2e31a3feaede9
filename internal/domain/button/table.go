package button

import "time"

// state is where a gesture stands, after debouncing.
type state uint8

const (
	rest    state = iota // up
	again                // up, and a second press counts
	pressed              // down, no beep yet
	armed                // down, and letting go selects what was beeped
	spent                // down, and nothing more comes of it
	stuck                // down, and has been said to stick
	states  = iota
)

func (s state) String() string {
	return name(int(s), "rest", "again", "pressed", "armed", "spent", "stuck")
}

// pattern is what the light shows in a state.
func (s state) pattern() Pattern {
	return [states]Pattern{PatternRest, PatternAgain, PatternHeld, PatternLetGo, PatternSpent, PatternStuck}[s]
}

// event is what can happen to a gesture, after debouncing.
type event uint8

const (
	press         event = iota // the button went down
	pressUnready               // the same while the device was not ready
	release                    // the button was let go
	releaseAgain               // the same in a stage that opens the window
	reachedBeep                // a stage was reached that beeps
	reachedSilent              // a stage was reached that does not
	reachedAtOnce              // a stage was reached that selects while held
	stuckDue                   // held for Profile.Stuck
	windowOver                 // the time for a second press is over
	bounceOver                 // the contact bounced and came to rest, no press
	lostUp                     // edges were lost; the button is up
	lostDown                   // edges were lost; the button is down
	clockUp                    // the clock went backwards; the button is up
	clockDown                  // the clock went backwards; the button is down
	events        = iota
)

func (e event) String() string {
	return name(int(e), "press", "press, not ready", "release", "release, window opens",
		"hold reached, beeps", "hold reached, silent", "hold reached, at once", "stuck",
		"window over", "bounce over", "events lost, up", "events lost, down",
		"clock back, up", "clock back, down")
}

// action is what is done on the way from one state to the next.
type action uint8

const (
	impossible  action = iota // cannot happen in that state
	nothing                   // go on silently
	begin                     // a press begins; what it may select is known
	refuse                    // a press begins that selects nothing: not ready
	choose                    // the stage reached is selected
	signal                    // the next stage is reached and beeps
	reach                     // the next stage is reached
	reachChoose               // the next stage is reached and selected
	sayStuck                  // say that it sticks
	sayBounce                 // say that it bounced
	sayLost                   // say that events were lost
	sayClock                  // say that the clock went backwards
	beginAnew                 // count the hold from now on, said before
)

func (a action) String() string {
	return name(int(a), "impossible", "nothing", "begin", "ignore: not-ready", "select",
		"beep", "go on", "select at once", "ignore: stuck", "ignore: bounce",
		"ignore: events-lost", "ignore: clock-backwards", "count anew")
}

// row is one cell of the table: what is done, and where it leads.
type row struct {
	do action
	to state
}

type table [states][events]row

// transitions is the machine. It is never written. What is not listed cannot
// happen, and would change nothing.
var transitions = table{
	rest: {
		press:        {begin, pressed},
		pressUnready: {refuse, spent},
		bounceOver:   {sayBounce, rest},
		lostUp:       {sayLost, rest},
		lostDown:     {sayLost, spent},
		clockUp:      {nothing, rest},
		clockDown:    {sayClock, spent}, // it had just touched
	},
	again: {
		press:        {begin, pressed},
		pressUnready: {refuse, spent},
		windowOver:   {nothing, rest},
		bounceOver:   {sayBounce, again},
		lostUp:       {sayLost, rest},
		lostDown:     {sayLost, spent},
		clockUp:      {nothing, rest},
		clockDown:    {sayClock, spent},
	},
	pressed: {
		release:       {choose, rest},
		reachedBeep:   {signal, armed},
		reachedSilent: {reach, pressed},
		reachedAtOnce: {reachChoose, spent},
		stuckDue:      {sayStuck, stuck},
		lostUp:        {sayLost, rest},
		lostDown:      {sayLost, spent},
		clockUp:       {sayClock, rest}, // it had just been let go
		clockDown:     {sayClock, spent},
	},
	armed: {
		release:       {choose, rest},
		releaseAgain:  {choose, again},
		reachedBeep:   {signal, armed},
		reachedSilent: {reach, armed},
		reachedAtOnce: {reachChoose, spent},
		stuckDue:      {sayStuck, stuck},
		lostUp:        {sayLost, rest},
		lostDown:      {sayLost, spent},
		clockUp:       {sayClock, rest},
		clockDown:     {sayClock, spent},
	},
	spent: {
		release:   {nothing, rest},
		stuckDue:  {sayStuck, stuck},
		lostUp:    {sayLost, rest},
		lostDown:  {sayLost, spent},
		clockUp:   {nothing, rest},
		clockDown: {beginAnew, spent},
	},
	stuck: {
		release:   {nothing, rest},
		lostUp:    {sayLost, rest},
		lostDown:  {sayLost, spent},
		clockUp:   {nothing, rest},
		clockDown: {nothing, stuck},
	},
}

// step looks an event up and does what the table says.
func (r *Recogniser) step(e event, at time.Duration) {
	row := r.table[r.state][e]
	if row.do == impossible {
		return
	}
	r.do(row.do, at)
	if e == releaseAgain {
		r.until = at + r.profile.Window
	}
	r.enter(row.to)
}

func (r *Recogniser) do(a action, at time.Duration) {
	switch a {
	case begin:
		r.start, r.stage = at, 0
		r.stages = r.profile.stages(r.given.claim, r.state == again)
	case refuse:
		r.start = at
		r.say(Ignored{Reason: ReasonNotReady})
	case choose:
		r.choose(at)
	case signal:
		r.stage++
		r.say(Beep{r.stages[r.stage].Beeps})
	case reach:
		r.stage++
	case reachChoose:
		r.stage++
		r.choose(at)
	case sayStuck:
		r.say(Ignored{Reason: ReasonStuck, Held: at - r.start})
	case sayBounce:
		r.bounced = false
		r.say(Ignored{Reason: ReasonBounce})
	case sayLost:
		r.start = at
		r.say(Ignored{Reason: ReasonEventsLost})
	case sayClock:
		r.start = at
		r.say(Ignored{Reason: ReasonClockBackwards})
	case beginAnew:
		r.start = at
	}
}

// choose says what the stage reached selects.
func (r *Recogniser) choose(at time.Duration) {
	for _, s := range r.stages[r.stage].Select {
		switch s := s.(type) {
		case Ignored:
			s.Held = at - r.start
			r.say(s)
			continue
		case OpenClaim:
			r.claim = ClaimSoft
			if s.Hard {
				r.claim = ClaimHard
			}
		case HardenClaim:
			r.claim = ClaimHard
		case CloseClaim:
			r.claim = ClaimClosed
		}
		r.say(s)
	}
}

func (r *Recogniser) say(s Signal) { r.out = append(r.out, s) }

// enter goes to a state, and shows it.
func (r *Recogniser) enter(s state) {
	if s.pattern() != r.state.pattern() {
		r.say(Light{s.pattern()})
	}
	r.state = s
}
