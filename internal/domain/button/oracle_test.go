package button

import (
	"slices"
	"time"
)

// The oracle judges a whole trace at once, with hindsight: it cuts the trace
// where time or events were lost, keeps the pieces of contact that lasted, and
// classifies each press by rules written down here from design.md, not taken
// from the profiles. It knows no states, and shares nothing with the recogniser
// but the signals and the three times of debounce, lateness and sticking.

type kind uint8

const (
	edgeKind kind = iota
	tickKind
	claimKind // a Tick, then SetClaim
	readyKind // a Tick, then SetReady
	resyncKind
)

// happening is one call of the recogniser.
type happening struct {
	at    time.Duration
	kind  kind
	down  bool
	claim ClaimState
	ready bool
}

type trace struct {
	profile string
	held    bool // at start
	start   time.Duration
	events  []happening
}

const (
	oracleDebounce = 30 * time.Millisecond
	oracleLateness = 100 * time.Millisecond
	oracleStuck    = 60 * time.Second
	oracleWindow   = 10 * time.Second
	forever        = time.Duration(1 << 62)
)

// rule is one line of design.md's table: held from … to selects these.
type rule struct {
	from, to time.Duration
	beeps    int
	selects  []Signal
	atOnce   bool
	opens    bool // a second press counts
}

type situation struct {
	profile string
	claim   ClaimState
	second  bool
}

func rulebook() map[situation][]rule {
	const s = time.Second
	no := func(r Reason) []Signal { return []Signal{Ignored{Reason: r}} }
	freshCode := rule{0, 4 * s, 0, []Signal{FreshCode{}, GrantTries{}}, false, false}
	closes := rule{10 * s, forever, 0, []Signal{CloseClaim{}}, true, false}
	gives := rule{10 * s, forever, 0, no(ReasonTooLong), true, false}
	short := rule{0, 4 * s, 0, no(ReasonTooShort), false, false}
	act := func(m Mode) []Signal { return []Signal{Act{m}} }

	book := map[situation][]rule{}
	closed := []rule{short, {4 * s, 10 * s, 1, []Signal{OpenClaim{}}, false, true}, gives}
	book[situation{"paperclip", ClaimClosed, false}] = closed
	book[situation{"paperclip", ClaimClosed, true}] = closed
	book[situation{"paperclip", ClaimSoft, false}] = []rule{freshCode, {4 * s, 10 * s, 0, no(ReasonWindowPassed), false, false}, closes}
	book[situation{"paperclip", ClaimSoft, true}] = []rule{freshCode, {4 * s, 10 * s, 3, []Signal{HardenClaim{}}, false, false}, closes}
	hard := []rule{freshCode, {4 * s, 10 * s, 0, no(ReasonAlreadyHard), false, false}, closes}
	book[situation{"paperclip", ClaimHard, false}] = hard
	book[situation{"paperclip", ClaimHard, true}] = hard

	for _, c := range []ClaimState{ClaimClosed, ClaimSoft, ClaimHard} {
		for _, second := range []bool{false, true} {
			book[situation{"synology-legacy", c, second}] = []rule{
				short,
				{4 * s, 10 * s, 1, act(ModeSoft), false, false},
				{10 * s, 60 * s, 0, act(ModeRestore), false, false},
			}
			book[situation{"qnap", c, second}] = []rule{
				{0, 3 * s, 0, no(ReasonTooShort), false, false},
				{3 * s, 10 * s, 1, act(ModeBasic), false, false},
				{10 * s, 60 * s, 1, act(ModeAdvanced), false, false},
			}
			book[situation{"odd", c, second}] = []rule{{0, 60 * s, 0, no(ReasonTooShort), false, false}}
		}
		book[situation{"odd", c, false}] = []rule{short, {4 * s, forever, 0, no(ReasonTooLong), true, false}}
		book[situation{"synology", c, false}] = []rule{short, {4 * s, 10 * s, 1, act(ModeSoft), false, true}, gives}
		book[situation{"synology", c, true}] = []rule{short, {4 * s, 10 * s, 3, act(ModeHard), false, false}, gives}
	}
	// Whoever acts at once has no claims; the odd one waits in silence instead.
	book[situation{"odd", ClaimHard, false}] = []rule{{0, 60 * s, 0, no(ReasonTooShort), false, false}}
	book[situation{"odd", ClaimHard, true}] = book[situation{"odd", ClaimHard, false}]
	return book
}

// odd is a profile nobody has, for what the others cannot reach: selecting
// with the first stage while held, and sticking without any other stage.
func odd() Profile {
	p := base("odd")
	short := Stage{Select: []Signal{Ignored{Reason: ReasonTooShort}}}
	p.First = []Stage{short, {From: hold, AtOnce: true, Select: []Signal{Ignored{Reason: ReasonTooLong}}}}
	p.Hard = []Stage{short}
	return p
}

// fact is a signal, when it is earned, and when it can be known.
type fact struct {
	at, known time.Duration
	signal    Signal
}

// piece is a time of unchanged contact.
type piece struct {
	from, to time.Duration
	down     bool
	index    int // of the event that began it
}

// stretch is a part of the trace through which time and edges are complete.
type stretch struct {
	start, end time.Duration
	first      int // index of its first event
	down       bool
	mute       bool // down, and already said to stick
	pieces     []piece
}

type claimChange struct {
	index int
	claim ClaimState
}

type oracle struct {
	book    map[situation][]rule
	events  []happening
	times   []time.Duration // of the events, as they count
	profile string
	set     []claimChange // by SetClaim
	won     []claimChange // by the press itself
	unready []bool        // by event: is the device not ready before it
	facts   []fact
	pieces  []piece
	smooth  bool // no timestamp went backwards
}

// judge returns the facts of a trace, in order.
func (o *oracle) judge(t trace) []fact {
	o.events, o.profile = t.events, t.profile
	o.times, o.set, o.won, o.unready = o.times[:0], o.set[:0], o.won[:0], o.unready[:0]
	o.facts, o.smooth = o.facts[:0], true
	o.number()

	s := stretch{pieces: o.pieces[:0]}
	latest := time.Duration(-1)
	if t.held {
		s.start, s.down, latest = t.start, true, t.start
		known := min(t.start, t.events[0].at) // with the first call, whatever its time
		o.facts = append(o.facts, fact{t.start, known, Ignored{Reason: ReasonHeldAtStart}})
	}
	s.end = s.start
	s.pieces = append(s.pieces, piece{from: s.start, down: s.down, index: -1})
	for i, e := range t.events {
		at := e.at
		if at < latest {
			o.smooth = false
			if latest-at <= oracleLateness {
				at = latest
			} else {
				s.end = latest
				s = o.cutByClock(s, at, i)
			}
		}
		latest = at
		o.times = append(o.times, at)
		s.end = at
		level := s.pieces[len(s.pieces)-1].down
		switch {
		case e.kind == resyncKind, e.kind == edgeKind && e.down == level:
			s = o.cutByLoss(s, e.down, i)
		case e.kind == edgeKind:
			s.pieces = append(s.pieces, piece{from: at, down: e.down, index: i})
		}
	}
	o.judgeStretch(&s)
	o.pieces = s.pieces
	return o.facts
}

// number notes what SetClaim and SetReady said when.
func (o *oracle) number() {
	unready := false
	for i, e := range o.events {
		o.unready = append(o.unready, unready)
		switch e.kind {
		case claimKind:
			o.set = append(o.set, claimChange{i, e.claim})
		case readyKind:
			unready = !e.ready
		}
	}
}

func (o *oracle) cutByLoss(s stretch, down bool, i int) stretch {
	o.judgeStretch(&s)
	o.facts = append(o.facts, fact{s.end, s.end, Ignored{Reason: ReasonEventsLost}})
	return opened(s.pieces, s.end, down, i)
}

func (o *oracle) cutByClock(s stretch, at time.Duration, i int) stretch {
	end := o.judgeStretch(&s)
	switch end {
	case pressOpen:
		o.facts = append(o.facts, fact{at, at, Ignored{Reason: ReasonClockBackwards}})
	case bounceOpen:
		o.facts = append(o.facts, fact{at, at, Ignored{Reason: ReasonBounce}})
	}
	down := s.pieces[len(s.pieces)-1].down
	next := opened(s.pieces, at, down, i)
	next.mute = end == saidStuck
	return next
}

func opened(pieces []piece, at time.Duration, down bool, i int) stretch {
	return stretch{
		start: at, end: at, first: i, down: down,
		pieces: append(pieces[:0], piece{from: at, down: down, index: i}),
	}
}

// ending is what is open when a stretch ends.
type ending uint8

const (
	nothingOpen ending = iota
	pressOpen
	bounceOpen
	saidStuck
)

// judgeStretch classifies every press of a stretch, and says what stays open.
func (o *oracle) judgeStretch(s *stretch) ending {
	last := len(s.pieces) - 1
	for i := range s.pieces {
		s.pieces[i].to = s.end
		if i < last {
			s.pieces[i].to = s.pieces[i+1].from
		}
	}
	// lasting reports whether a piece is contact, not bounce.
	lasting := func(i int) bool { return i == 0 || s.pieces[i].to-s.pieces[i].from >= oracleDebounce }

	end := nothingOpen
	secondUntil := time.Duration(-1)
	for i := 0; i <= last; {
		// i begins a run of one level; it ends where the other level lasts.
		next := i + 1
		for next <= last && (s.pieces[next].down == s.pieces[i].down || !lasting(next)) {
			next++
		}
		if s.pieces[i].down {
			end = o.judgePress(s, i, next, &secondUntil)
		} else {
			end = o.judgePause(s, i, next, lasting)
		}
		i = next
	}
	return end
}

// judgePause finds the bounces while the button is up.
func (o *oracle) judgePause(s *stretch, i, next int, lasting func(int) bool) ending {
	for j := i + 1; j < next; j++ {
		if !s.pieces[j].down && lasting(j) {
			at := s.pieces[j].from + oracleDebounce
			o.facts = append(o.facts, fact{at, at, Ignored{Reason: ReasonBounce}})
		}
	}
	final := len(s.pieces) - 1
	switch {
	case next <= final || final == i || lasting(final) && !s.pieces[final].down:
		return nothingOpen
	case s.pieces[final].down:
		return pressOpen
	}
	return bounceOpen
}

// judgePress classifies the press whose pieces are from i until next.
func (o *oracle) judgePress(s *stretch, i, next int, secondUntil *time.Duration) ending {
	start := s.pieces[i].from
	released := next < len(s.pieces)
	stop := s.end // until when it is known to be held
	if final := s.pieces[len(s.pieces)-1]; released {
		stop = s.pieces[next].from
	} else if !final.down {
		stop = final.from
	}
	held := stop - start
	second := start < *secondUntil
	*secondUntil = -1

	// known returns when the button is known to be held at a time: a gap in
	// the contact must turn out to be bounce first.
	known := func(at time.Duration) (time.Duration, int) {
		for j := i + 1; j < next; j++ {
			if p := s.pieces[j]; !p.down && p.from < at && at <= p.to {
				return p.to, s.pieces[min(j+1, len(s.pieces)-1)].index
			}
		}
		return at, 0
	}
	earn := func(after time.Duration, signals []Signal) {
		at, from := known(start + after)
		o.earn(s, start+after, at, from, after, signals)
	}

	if i > 0 { // the piece that a stretch begins with was said before
		if o.unready[s.pieces[i].index] {
			o.facts = append(o.facts, fact{start, start + oracleDebounce, Ignored{Reason: ReasonNotReady}})
		} else if o.classify(s, situation{o.profile, o.claimAt(s.pieces[i].index), second}, start, stop, released, earn, secondUntil) {
			return pressOpen
		}
	}
	if held >= oracleStuck && !(i == 0 && s.mute) {
		earn(oracleStuck, []Signal{Ignored{Reason: ReasonStuck}})
	}
	if !released && held >= oracleStuck || i == 0 && s.mute && !released {
		return saidStuck
	}
	return nothingOpen
}

// classify applies the rules to a press, and reports whether it is still open.
func (o *oracle) classify(s *stretch, w situation, start, stop time.Duration, released bool,
	earn func(time.Duration, []Signal), secondUntil *time.Duration,
) bool {
	held := stop - start
	for _, rule := range o.book[w] {
		if held < rule.from {
			continue
		}
		if rule.beeps > 0 {
			earn(rule.from, []Signal{Beep{rule.beeps}})
		}
		if rule.atOnce {
			earn(rule.from, rule.selects)
			return false
		}
		if held < rule.to && !released {
			return held < oracleStuck
		}
		if held < rule.to && held < oracleStuck {
			o.earn(s, stop, stop+oracleDebounce, 0, held, rule.selects)
			if rule.opens {
				*secondUntil = stop + oracleWindow
			}
		}
	}
	return false
}

// earn notes signals, and what they make of the claim.
func (o *oracle) earn(s *stretch, at, known time.Duration, from int, held time.Duration, signals []Signal) {
	for _, signal := range signals {
		if ignored, ok := signal.(Ignored); ok {
			ignored.Held = held
			signal = ignored
		}
		o.facts = append(o.facts, fact{at, known, signal})
		var claim ClaimState
		switch signal.(type) {
		case OpenClaim:
			claim = ClaimSoft
		case HardenClaim:
			claim = ClaimHard
		case CloseClaim:
			claim = ClaimClosed
		default:
			continue
		}
		index := max(from, s.first)
		for index < len(o.times) && o.times[index] < known {
			index++
		}
		o.won = append(o.won, claimChange{index, claim})
	}
}

// claimAt returns the claim for a press that the event of that index began.
func (o *oracle) claimAt(index int) ClaimState {
	var latest claimChange
	latest.index = -1
	for _, won := range o.won {
		if won.index <= index {
			latest = won
		}
	}
	for _, set := range o.set {
		if set.index < index && set.index >= latest.index {
			latest = set
		}
	}
	return latest.claim
}

// sorted reports whether facts are in the order of being earned.
func sorted(facts []fact) bool {
	return slices.IsSortedFunc(facts, func(a, b fact) int { return int(a.at - b.at) })
}
