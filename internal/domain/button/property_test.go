package button

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// reader compares recogniser and oracle; change makes a mutant.
type reader struct {
	oracle   oracle
	change   func(*Recogniser)
	profiles map[string]Profile
	heard    []heard
}

func newReader(change func(*Recogniser)) *reader {
	r := &reader{oracle: oracle{book: rulebook()}, change: change, profiles: map[string]Profile{}}
	for _, name := range profileNames() {
		r.profiles[name] = profileOf(name)
	}
	return r
}

// misread returns how the recogniser reads the trace otherwise than the oracle;
// "" is agreement.
func (c *reader) misread(t trace, m manner) string {
	facts := c.oracle.judge(t)
	if m == never && !c.oracle.smooth {
		m = asGiven // without its ticks it would be another trace
	}
	var options []Option
	if t.held {
		options = []Option{HeldAtStart(t.start)}
	}
	r := New(c.profiles[t.profile], options...)
	if c.change != nil {
		c.change(r)
	}
	c.heard = play(r, t, m, c.heard[:0])
	if len(facts) != len(c.heard) {
		return c.tell(t, m, facts, "another number of signals")
	}
	for i, fact := range facts {
		got := c.heard[i]
		switch {
		case got.signal != fact.signal:
			return c.tell(t, m, facts, fmt.Sprintf("signal %d", i))
		case got.at < fact.known:
			return c.tell(t, m, facts, fmt.Sprintf("signal %d is early", i))
		case m == onTime && c.oracle.smooth && got.at != fact.known:
			return c.tell(t, m, facts, fmt.Sprintf("signal %d is late", i))
		}
	}
	return ""
}

func (c *reader) tell(t trace, m manner, facts []fact, what string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s, manner %d, held at start %v since %v)\n", what, t.profile, m, t.held, t.start)
	for i, e := range t.events {
		fmt.Fprintf(&b, "  event %d: %+v\n", i, e)
	}
	for _, f := range facts {
		fmt.Fprintf(&b, "  want %T%+v at %v, known %v\n", f.signal, f.signal, f.at, f.known)
	}
	for _, h := range c.heard {
		fmt.Fprintf(&b, "  got  %T%+v at %v\n", h.signal, h.signal, h.at)
	}
	return b.String()
}

// property is the promise: whatever the trace, and whenever Tick is called, the
// recogniser reads what the oracle reads with hindsight; no signal is early, and
// with timely ticks none is late.
func property(change func(*Recogniser)) func(*rapid.T) {
	return func(t *rapid.T) {
		c := newReader(change)
		names := profileNames()
		g := generator{source: drawn{t}}
		trace := g.trace(names[g.below(len(names))])
		for m := range manner(manners) {
			if wrong := c.misread(trace, m); wrong != "" {
				t.Fatal(wrong)
			}
		}
	}
}

// D2, D3, D7, D8, D10.
func TestReadsWhatThePersonDid(t *testing.T) { rapid.Check(t, property(nil)) }

// The facts of the oracle come in the order of time; a slip in the oracle
// would make the comparison above worthless.
func TestOracleIsInOrder(t *testing.T) {
	c := newReader(nil)
	g := generator{source: random{rand.New(rand.NewPCG(1, 1))}}
	for range 5000 {
		tr := g.trace("paperclip")
		facts := c.oracle.judge(tr)
		if c.oracle.smooth && !sorted(facts) {
			t.Fatal(c.tell(tr, asGiven, facts, "out of order"))
		}
	}
}

// mutants are recognisers with one thing wrong each.
func mutants() map[string]func(*Recogniser) {
	row := func(s state, e event, to row) func(*Recogniser) {
		return func(r *Recogniser) {
			changed := *r.table
			changed[s][e] = to
			r.table = &changed
		}
	}
	stage := func(r *Recogniser, change func(*Stage)) {
		r.profile.First = append([]Stage(nil), r.profile.First...)
		change(&r.profile.First[1])
	}
	return map[string]func(*Recogniser){
		"a hold of exactly the time is too short":       func(r *Recogniser) { stage(r, func(s *Stage) { s.From++ }) },
		"a contact kept for exactly the time is bounce": func(r *Recogniser) { r.profile.Debounce++ },
		"the window is a nanosecond longer":             func(r *Recogniser) { r.profile.Window++ },
		"a button that sticks selects":                  row(armed, stuckDue, goes(choose, stuck)),
		"the window survives a short press":             row(pressed, release, goes(choose, again)),
		"ready is not asked":                            row(rest, pressUnready, goes(begin, pressed)),
		"a press goes on over lost events":              row(pressed, lostDown, goes(sayLost, pressed)),
	}
}

// goes is a row.
func goes(a action, s state) row { return row{a, s} }

// failure is a rapid.TB that notes a failure instead of failing.
type failure struct {
	testing.TB
	failed bool
}

func (f *failure) Helper()               {}
func (f *failure) Name() string          { return "mutant" }
func (f *failure) Logf(string, ...any)   {}
func (f *failure) Log(...any)            {}
func (f *failure) Errorf(string, ...any) { f.failed = true }
func (f *failure) Error(...any)          { f.failed = true }
func (f *failure) Fail()                 { f.failed = true }
func (f *failure) Failed() bool          { return f.failed }
func (f *failure) FailNow()              { f.failed = true; runtime.Goexit() }
func (f *failure) Fatalf(string, ...any) { f.FailNow() }
func (f *failure) Fatal(...any)          { f.FailNow() }

func fails(prop func(*rapid.T)) bool {
	f := &failure{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		rapid.Check(f, prop)
	}()
	<-done
	return f.failed
}

// The property can fail: the same one, on recognisers that are wrong.
func TestPropertyCatchesMutants(t *testing.T) {
	for name, value := range map[string]string{"rapid.nofailfile": "true", "rapid.shrinktime": "0s"} {
		before := flag.Lookup(name).Value.String()
		t.Cleanup(func() { flag.Set(name, before) })
		flag.Set(name, value)
	}
	if fails(property(nil)) {
		t.Fatal("the property fails for the recogniser itself")
	}
	for name, change := range mutants() {
		t.Run(name, func(t *testing.T) {
			for range 100 {
				if fails(property(change)) {
					return
				}
			}
			t.Error("the property holds for this mutant")
		})
	}
}
