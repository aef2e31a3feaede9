package button

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"
)

// player calls a recogniser and keeps what the last calls returned.
type player struct {
	*Recogniser
	at  time.Duration
	got []Signal
}

func (p *player) wait(d time.Duration) { p.at += d; p.got = append(p.got, p.Tick(p.at)...) }
func (p *player) touch(down bool)      { p.got = append(p.got, p.Edge(p.at, down)...) }
func (p *player) keep(down bool)       { p.touch(down); p.wait(debounce) }

// inState brings a recogniser into a state, by calls alone.
func inState(s state, profile Profile) *player {
	p := &player{Recogniser: New(profile), at: time.Hour}
	p.wait(0)
	switch s {
	case again:
		p.keep(true)
		p.wait(4 * time.Second)
		p.keep(false)
	case pressed:
		p.keep(true)
	case armed:
		p.keep(true)
		p.wait(4 * time.Second)
	case spent:
		p.SetReady(false)
		p.keep(true)
	case stuck:
		p.SetReady(false)
		p.keep(true)
		p.wait(time.Minute)
	}
	p.SetReady(true)
	p.got = nil
	return p
}

// happen makes an event come, by calls alone.
func (p *player) happen(e event) {
	down := p.settled
	switch e {
	case pressUnready:
		p.SetReady(false)
		p.keep(true)
	case press:
		p.keep(true)
	case release, releaseAgain:
		p.keep(false)
	case reachedBeep, reachedSilent, reachedAtOnce, stuckDue, windowOver:
		due, _ := p.Deadline()
		p.wait(due - p.at)
	case bounceOver:
		p.touch(true)
		p.wait(time.Millisecond)
		p.keep(false)
	case lostUp, lostDown:
		p.got = append(p.got, p.Resync(p.at, e == lostDown)...)
	case clockUp, clockDown:
		if down != (e == clockDown) {
			p.touch(!down)
		}
		p.wait(-time.Minute)
	}
}

// The table, row by row: what every event does in every state, seen from
// outside. What is not here cannot happen, and the table says so too.
func TestTable(t *testing.T) {
	pc, qnap, legacy := Paperclip(), QNAP(), SynologyLegacy()
	silent := odd()
	silent.First = odd().Hard
	twice := odd() // reaches a silent stage
	twice.First = []Stage{silent.First[0], {From: hold, Select: []Signal{Ignored{Reason: ReasonTooLong}}}}
	sticky := qnap
	sticky.First = qnap.First[:2]
	light := func(p Pattern) Signal { return Light{p} }
	ignored := func(r Reason, held time.Duration) Signal { return Ignored{Reason: r, Held: held} }
	const s, D = time.Second, debounce
	rows := []struct {
		from    state
		event   event
		profile Profile
		to      state
		want    []Signal
	}{
		{rest, press, pc, pressed, []Signal{light(PatternHeld)}},
		{rest, pressUnready, pc, spent, []Signal{ignored(ReasonNotReady, 0), light(PatternSpent)}},
		{rest, bounceOver, pc, rest, []Signal{ignored(ReasonBounce, 0)}},
		{rest, lostUp, pc, rest, []Signal{ignored(ReasonEventsLost, 0)}},
		{rest, lostDown, pc, spent, []Signal{ignored(ReasonEventsLost, 0), light(PatternSpent)}},
		{rest, clockUp, pc, rest, nil},
		{rest, clockDown, pc, spent, []Signal{ignored(ReasonClockBackwards, 0), light(PatternSpent)}},

		{again, press, pc, pressed, []Signal{light(PatternHeld)}},
		{again, pressUnready, pc, spent, []Signal{ignored(ReasonNotReady, 0), light(PatternSpent)}},
		{again, windowOver, pc, rest, []Signal{light(PatternRest)}},
		{again, bounceOver, pc, again, []Signal{ignored(ReasonBounce, 0)}},
		{again, lostUp, pc, rest, []Signal{ignored(ReasonEventsLost, 0), light(PatternRest)}},
		{again, lostDown, pc, spent, []Signal{ignored(ReasonEventsLost, 0), light(PatternSpent)}},
		{again, clockUp, pc, rest, []Signal{light(PatternRest)}},
		{again, clockDown, pc, spent, []Signal{ignored(ReasonClockBackwards, 0), light(PatternSpent)}},

		{pressed, release, pc, rest, []Signal{ignored(ReasonTooShort, D), light(PatternRest)}},
		{pressed, reachedBeep, pc, armed, []Signal{Beep{1}, light(PatternLetGo)}},
		{pressed, reachedSilent, twice, pressed, nil},
		{pressed, reachedAtOnce, odd(), spent, []Signal{ignored(ReasonTooLong, 4*s), light(PatternSpent)}},
		{pressed, stuckDue, silent, stuck, []Signal{ignored(ReasonStuck, 60*s), light(PatternStuck)}},
		{pressed, lostUp, pc, rest, []Signal{ignored(ReasonEventsLost, 0), light(PatternRest)}},
		{pressed, lostDown, pc, spent, []Signal{ignored(ReasonEventsLost, 0), light(PatternSpent)}},
		{pressed, clockUp, pc, rest, []Signal{ignored(ReasonClockBackwards, 0), light(PatternRest)}},
		{pressed, clockDown, pc, spent, []Signal{ignored(ReasonClockBackwards, 0), light(PatternSpent)}},

		{armed, release, qnap, rest, []Signal{Act{ModeBasic}, light(PatternRest)}},
		{armed, releaseAgain, pc, again, []Signal{OpenClaim{}, light(PatternAgain)}},
		{armed, reachedBeep, qnap, armed, []Signal{Beep{1}}},
		{armed, reachedSilent, legacy, armed, nil},
		{armed, reachedAtOnce, pc, spent, []Signal{ignored(ReasonTooLong, 10*s), light(PatternSpent)}},
		{armed, stuckDue, sticky, stuck, []Signal{ignored(ReasonStuck, 60*s), light(PatternStuck)}},
		{armed, lostUp, pc, rest, []Signal{ignored(ReasonEventsLost, 0), light(PatternRest)}},
		{armed, lostDown, pc, spent, []Signal{ignored(ReasonEventsLost, 0), light(PatternSpent)}},
		{armed, clockUp, pc, rest, []Signal{ignored(ReasonClockBackwards, 0), light(PatternRest)}},
		{armed, clockDown, pc, spent, []Signal{ignored(ReasonClockBackwards, 0), light(PatternSpent)}},

		{spent, release, pc, rest, []Signal{light(PatternRest)}},
		{spent, stuckDue, pc, stuck, []Signal{ignored(ReasonStuck, 60*s), light(PatternStuck)}},
		{spent, lostUp, pc, rest, []Signal{ignored(ReasonEventsLost, 0), light(PatternRest)}},
		{spent, lostDown, pc, spent, []Signal{ignored(ReasonEventsLost, 0)}},
		{spent, clockUp, pc, rest, []Signal{light(PatternRest)}},
		{spent, clockDown, pc, spent, nil},

		{stuck, release, pc, rest, []Signal{light(PatternRest)}},
		{stuck, lostUp, pc, rest, []Signal{ignored(ReasonEventsLost, 0), light(PatternRest)}},
		{stuck, lostDown, pc, spent, []Signal{ignored(ReasonEventsLost, 0), light(PatternSpent)}},
		{stuck, clockUp, pc, rest, []Signal{light(PatternRest)}},
		{stuck, clockDown, pc, stuck, nil},
	}
	var listed [states][events]bool
	for _, row := range rows {
		t.Run(fmt.Sprintf("%v, %v", row.from, row.event), func(t *testing.T) {
			listed[row.from][row.event] = true
			run := func(poisoned bool) (state, []Signal) {
				p := inState(row.from, row.profile)
				if p.state != row.from {
					t.Fatalf("reached %v", p.state)
				}
				if poisoned {
					changed := transitions
					changed[row.from][row.event] = goes(sayBounce, stuck)
					p.table = &changed
				}
				p.happen(row.event)
				return p.state, p.got
			}
			to, got := run(false)
			if to != row.to || !reflect.DeepEqual(got, row.want) {
				t.Errorf("went to %v and said %v, want %v and %v", to, got, row.to, row.want)
			}
			// It was this row: with another in its place it is otherwise.
			if otherTo, other := run(true); otherTo == to && reflect.DeepEqual(other, got) {
				t.Error("the row does not matter: this test does not reach it")
			}
		})
	}
	for s := range transitions {
		for e, row := range transitions[s] {
			if possible := row.do != impossible; possible != listed[s][e] {
				t.Errorf("%v, %v: possible %v, tested %v", state(s), event(e), possible, listed[s][e])
			}
		}
	}
}

// Each row that can happen matters to the property, and the others never
// happen: a mutant with another row in its place is caught; the one with another
// in every place that cannot be is the same.
func TestEveryRowIsReadRight(t *testing.T) {
	names := profileNames()
	type place struct {
		s state
		e event
	}
	without := func(rows ...place) func(*Recogniser) {
		changed := transitions
		for _, at := range rows {
			changed[at.s][at.e] = goes(sayBounce, stuck)
		}
		return func(r *Recogniser) { r.table = &changed }
	}
	var never []place
	for s := range transitions {
		for e, row := range transitions[s] {
			at := place{state(s), event(e)}
			if row.do == impossible {
				never = append(never, at)
				continue
			}
			misread := 0
			for seed := uint64(0); seed < 200 && misread == 0; seed++ {
				misread = soak(seed, 400, names, without(at)).misread
			}
			if misread == 0 {
				t.Errorf("%v, %v: no trace is misread without the row", at.s, at.e)
			}
		}
	}
	if len(never) == 0 {
		t.Fatal("every row can happen: half of this test is nothing")
	}
	for seed := range uint64(5) {
		if y := soak(seed, 4000, names, without(never...)); y.misread > 0 {
			t.Errorf("a row that cannot happen did: %s", y.first)
		}
	}
}

func TestEverythingHasAName(t *testing.T) {
	var names []string
	for s := range state(states) {
		names = append(names, "state "+s.String())
	}
	for e := range event(events) {
		names = append(names, "event "+e.String())
	}
	for a := impossible; a <= beginAnew; a++ {
		names = append(names, "action "+a.String())
	}
	for _, r := range Reasons() {
		names = append(names, "reason "+r.String())
	}
	for p := PatternRest; p <= PatternStuck; p++ {
		names = append(names, "pattern "+p.String())
	}
	for m := ModeSoft; m <= ModeAdvanced; m++ {
		names = append(names, "mode "+m.String())
	}
	slices.Sort(names)
	for i, n := range names {
		if i > 0 && n == names[i-1] {
			t.Errorf("%q twice", n)
		}
	}
	if beginAnew.String() == "unknown" || state(states-1).String() == "unknown" || Reason(reasonsCount).String() != "unknown" {
		t.Error("names and values do not match")
	}
}

func TestProfiles(t *testing.T) {
	for _, name := range profileNames() {
		p := profileOf(name)
		if err := p.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, stages := range [][]Stage{p.First, p.Again, p.Soft, p.SoftAgain, p.Hard} {
			for _, s := range stages {
				for _, signal := range s.Select {
					if _, acts := signal.(Act); acts && !p.ActsAtOnce {
						t.Errorf("%s acts at once and does not say so", name)
					}
				}
			}
		}
	}
	if p, ok := ProfileNamed("nobody"); ok {
		t.Errorf("there is a profile %q", p.Name)
	}
	if Profiles()[0].ActsAtOnce || Profiles()[0].Name != "paperclip" {
		t.Error("the default is not ours")
	}
	bad := map[string]func(*Profile){
		"no debounce":      func(p *Profile) { p.Debounce = 0 },
		"no gesture":       func(p *Profile) { p.First = nil },
		"out of order":     func(p *Profile) { p.First[1], p.First[2] = p.First[2], p.First[1] },
		"beep at 0":        func(p *Profile) { p.First[0].Beeps = 1 },
		"window of 0":      func(p *Profile) { p.Window = 0 },
		"sticks too early": func(p *Profile) { p.Stuck = 5 * time.Second },
		"says nothing":     func(p *Profile) { p.First[1].Select = nil },
		"beeps and acts":   func(p *Profile) { p.First[2].Beeps = 1 },
	}
	for name, spoil := range bad {
		p := Paperclip()
		spoil(&p)
		if p.Validate() == nil {
			t.Errorf("%s: valid", name)
		}
	}
}
