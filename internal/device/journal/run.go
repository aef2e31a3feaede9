package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// Participant carries out the steps of one adapter: what the journal needs of
// a setting.Adapter. Each method may be called again for the same step, also
// by another process after a power cut, and then changes nothing more.
//
// An error that wraps setting.ErrPermanent or setting.ErrThirdValue says that
// trying again is useless. Undo returning ErrThirdValue says that somebody
// else has set a value since: it stays, and counts as undone.
type Participant interface {
	ID() string
	Persist(context.Context, reset.Step) error
	// Activate makes the running system use what is on disk, be it the new
	// value or, after Undo, the old one.
	Activate(context.Context, reset.Step) error
	Verify(context.Context, reset.Step) error
	Undo(context.Context, reset.Step) error
}

// Event is something that happened while a record was carried out: one attempt
// at a step, or (Step empty) a new state that is now on disk.
type Event struct {
	ID      string
	State   State // in which it happened; the new one where Step is empty
	Step    string
	Action  Action
	Attempt int // from 1
	Err     error
}

// Run carries an open record out to its end, from whatever state it is in, and
// brings r up to date. It returns early when ctx is done, when the journal
// cannot be written, or with ErrHalfState when it cannot go back; Run or
// RecoverFiles then go on from there. events may be nil.
func (j *Journal) Run(ctx context.Context, r *Record, ps []Participant, events func(Event)) (Result, error) {
	c, err := j.load()
	if err != nil {
		return Result{}, err
	}
	if c.best == nil || c.best.ID != r.ID {
		return Result{}, fmt.Errorf("%w: %s is not the one in the journal", ErrInvalid, r.ID)
	}
	if err = j.endTrial(c); err == nil {
		err = j.advance(ctx, c, ps, events, func(Transition) bool { return true })
	}
	*r = *c.best
	return r.result(), err
}

// RecoverFiles is for the start of the system, before network, SSH and file
// services: it persists or undoes the files of an open record, and leaves the
// rest to Run. Its error means that the doors must stay shut: ErrHalfState, or
// a journal that cannot be read or written.
func (j *Journal) RecoverFiles(ctx context.Context, ps []Participant) error {
	c, err := j.load()
	if err != nil {
		return err
	}
	if err := j.endTrial(c); err != nil {
		return err
	}
	return j.advance(ctx, c, ps, nil, func(t Transition) bool { return t.Files })
}

// up is which start of the system this is and for how long; "" where that
// cannot be told.
func (j *Journal) up() (string, time.Duration) {
	if j.Boot == nil {
		return "", 0
	}
	start, since, err := j.Boot.Up()
	if err != nil {
		return "", 0
	}
	return start, since
}

// endTrial sends a record on trial back that a restart of the system has
// overtaken, in whatever state it is, or whose time is over.
func (j *Journal) endTrial(c *copies) error {
	if c.best == nil || c.best.Trial == nil || c.best.State.backward() || c.best.State.Final() {
		return nil
	}
	start, since := j.up()
	switch t := c.best.Trial; {
	case start != t.Start:
		return j.turn(c, Undoing, "the system was restarted before it was confirmed")
	case c.best.State == OnTrial && since >= t.Ends:
		return j.turn(c, Undoing, "nobody confirmed it in time")
	}
	return nil
}

// Decide ends a trial: by committing what is in force, or by sending it back
// with a reason; Run then carries that out. A record that is not on trial any
// more is ErrInvalid, and so is confirming one whose time is over.
func (j *Journal) Decide(r *Record, confirmed bool, why string) error {
	c, err := j.load()
	if err != nil {
		return err
	}
	if c.best == nil || c.best.ID != r.ID || c.best.State != OnTrial {
		return fmt.Errorf("%w: %s is not on trial", ErrInvalid, r.ID)
	}
	if start, since := j.up(); confirmed && (start != c.best.Trial.Start || since >= c.best.Trial.Ends) {
		return fmt.Errorf("%w: the trial of %s is over", ErrInvalid, r.ID)
	}
	if confirmed {
		err = j.turn(c, Committed, "")
	} else {
		err = j.turn(c, Undoing, why)
	}
	*r = *c.best
	return err
}

// turn marks a new state that no work has led to. A copy is repaired with the
// record as it is in the other one, before anything in it changes: two copies of
// one generation that differ are a half state.
func (j *Journal) turn(c *copies, next State, failure string) error {
	if err := j.repair(c); err != nil {
		return err
	}
	c.best.Failure = failure
	c.generation++
	return j.mark(c, next)
}

// advance does one transition after the other, as long as may says so.
func (j *Journal) advance(ctx context.Context, c *copies, ps []Participant, events func(Event), may func(Transition) bool) error {
	if c.best == nil || c.best.State.Final() {
		return j.tidy(c)
	}
	if err := j.repair(c); err != nil {
		return err
	}
	w := &work{ctx: ctx, journal: j, record: c.best, participants: ps, events: events}
	if events == nil {
		w.events = func(Event) {}
	}
	for !c.best.State.Final() {
		t, _ := transition(c.best.State)
		if !may(t) || t.Waits {
			return nil
		}
		next, err := w.do(t)
		if err != nil {
			return err
		}
		if next == OnTrial {
			_, since := j.up()
			c.best.Trial.Ends = since + c.best.Trial.For
		}
		c.generation++
		if err := j.mark(c, next); err != nil {
			return err
		}
		w.events(Event{ID: c.best.ID, State: next})
	}
	return nil
}

// mark makes the new state durable in both copies. A final one has no undo
// images any more, and the marker goes.
func (j *Journal) mark(c *copies, next State) error {
	c.best.State = next
	if next.Final() {
		c.best.erase()
	}
	if err := j.write("journal."+string(next), c.generation, c.best); err != nil {
		return err
	}
	if next.Final() {
		return j.removeMarker("journal." + string(next) + ".open")
	}
	return nil
}

// work is one record being carried out.
type work struct {
	ctx          context.Context
	journal      *Journal
	record       *Record
	participants []Participant
	events       func(Event)
}

// do takes all steps through one transition and says what state follows.
func (w *work) do(t Transition) (State, error) {
	if t.Action == None {
		return w.done(t), nil
	}
	steps := slices.Clone(w.record.Steps)
	if t.Backward {
		slices.Reverse(steps)
	}
	for _, s := range steps {
		err := w.step(t, s)
		if w.ctx.Err() != nil {
			return "", w.ctx.Err()
		}
		switch {
		case err == nil:
		case t.Action == Undo && errors.Is(err, setting.ErrThirdValue):
			w.record.LeftAlone = add(w.record.LeftAlone, s.Name)
		case t.From == Reverted:
			w.record.NotActive = add(w.record.NotActive, s.Name)
		case t.Failed == "":
			return "", fmt.Errorf("%w: step %s: %w", ErrHalfState, s.Name, err)
		default:
			w.record.Failure = fmt.Sprintf("%s of %s: %v", t.Action, s.Name, err)
			return t.Failed, nil
		}
	}
	return w.done(t), nil
}

func (w *work) done(t Transition) State {
	if t.Trial != "" && w.record.Trial != nil {
		return t.Trial
	}
	return t.Done
}

func add(names []string, name string) []string {
	if slices.Contains(names, name) {
		return names
	}
	return append(names, name)
}

// step tries one step until it works, is known to be hopeless, or was tried
// often enough.
func (w *work) step(t Transition, s reset.Step) error {
	act, err := w.action(t.Action, s)
	if err != nil {
		return err
	}
	attempts := w.journal.Attempts
	if t.Action == Verify && w.journal.Pause > 0 {
		attempts = max(attempts, int(w.journal.Settle/w.journal.Pause))
	}
	for attempt := 1; ; attempt++ {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		err = act(w.ctx, s)
		w.events(Event{w.record.ID, t.From, s.Name, t.Action, attempt, err})
		if err == nil || hopeless(err) || attempt >= attempts {
			return err
		}
		select {
		case <-w.ctx.Done():
		case <-time.After(w.journal.Pause):
		}
	}
}

func hopeless(err error) bool {
	return errors.Is(err, setting.ErrPermanent) || errors.Is(err, setting.ErrThirdValue)
}

func (w *work) action(a Action, s reset.Step) (func(context.Context, reset.Step) error, error) {
	for _, p := range w.participants {
		if p.ID() != s.Adapter {
			continue
		}
		return map[Action]func(context.Context, reset.Step) error{
			Persist: p.Persist, Activate: p.Activate, Verify: p.Verify, Undo: p.Undo,
		}[a], nil
	}
	return nil, fmt.Errorf("no adapter %q: %w", s.Adapter, setting.ErrPermanent)
}
