package rescue

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
)

const (
	defaultPoll     = 500 * time.Millisecond
	defaultPatience = 10 * time.Minute

	// maxTurns bounds how often steps may lead back to earlier ones.
	maxTurns = 500
	// farewell is how long an interrupted rescue may take to say good-bye.
	farewell = 3 * time.Second
)

// run is one rescue under way: the state that is written down, and what is
// only ever in memory.
type run struct {
	cfg   Config
	req   Request
	store store
	state State

	goOn        Name // after identify, when resumed
	nas         NAS
	device      Device
	seenAt      []netip.AddrPort // where a later look found it
	code        access.Presence  // that was typed; nil: none is
	wrong       int              // wrong codes so far
	misheard    bool             // the last code was one
	refused     string           // why the NAS would not have the network that was asked for
	refusedName string           // why it would not make the account
	proved      bool
	options     optionsSeen
	accepted    string // hash of the plan that the person accepted
	password    access.Secret
	// recoveryCode is the second proof, where one is demanded; never kept.
	recoveryCode access.Secret
	asked        bool // the plan was handed over in this very run
}

// Start begins a rescue and goes through all its steps. The Result says what
// was reached, whatever the error; its ID is for Resume. With an error of the
// catalogue's exit status 5 the reset was carried out.
func Start(ctx context.Context, cfg Config, req Request) (Result, error) {
	r := newRun(cfg, req)
	id, err := newID(cfg.Rand)
	if err != nil {
		return Result{}, err
	}
	r.state = State{
		Version: stateVersion, ID: id, Step: Find, Started: cfg.Clock.Now().UTC(), Target: req.Target,
		Mode: req.Mode, Scope: req.Scope, Administrator: req.Administrator, SecondFactor: req.SecondFactor, Timeline: []Entry{}, NotDone: []string{}, MACs: []string{},
	}
	return r.goThrough(ctx)
}

// Resume goes on with a rescue that was interrupted. One that has ended gives
// its result again.
func Resume(ctx context.Context, cfg Config, id string, req Request) (Result, error) {
	r := newRun(cfg, req)
	st, err := r.store.load(id)
	if err != nil {
		return Result{}, err
	}
	r.state = st
	if st.Step == Ended {
		return st.result(r.store.path(id, receiptFile)), st.judge()
	}
	r.goOn = st.goesOn()
	r.state.Step = Find
	return r.goThrough(ctx)
}

// goesOn is where a rescue goes on once its NAS was identified again; empty is
// where the table goes by itself. What was never handed over is not followed.
func (st State) goesOn() Name {
	s, ok := row(st.Step)
	switch {
	case !ok || len(st.PublicKey) == 0 || s.resume == Find || s.resume == Identify:
		return ""
	case !st.Handed && slices.Index(Steps(), s.resume) > slices.Index(Steps(), PressIt):
		return PressIt
	}
	return s.resume
}

func newRun(cfg Config, req Request) *run {
	if cfg.Poll == 0 {
		cfg.Poll = defaultPoll
	}
	if cfg.Patience == 0 {
		cfg.Patience = defaultPatience
	}
	return &run{cfg: cfg, req: req, store: store{cfg.FS, cfg.Dir}}
}

// elsewhere says that the NAS that was found is none of this flow's.
type elsewhere struct{ nas NAS }

func (elsewhere) Error() string { return "a NAS of another maker" }

// goThrough runs the table to its end and judges what was reached.
func (r *run) goThrough(ctx context.Context) (Result, error) {
	at := r.state.Step
	err := r.loop(ctx, &at)
	if e, ok := errors.AsType[elsewhere](err); ok {
		return r.cfg.Elsewhere(ctx, r.state.ID, e.nas)
	}
	if err != nil {
		err = r.inPart(ctx, r.stopped(ctx, err))
	} else {
		r.farewell(ctx)
		err = r.state.judge()
	}
	res := r.state.result(r.store.path(r.state.ID, receiptFile))
	if p, ok := errors.AsType[catalog.Problem](err); ok {
		res.Problem = &p
	}
	return res, err
}

func (r *run) loop(ctx context.Context, at *Name) error {
	for range maxTurns {
		if *at == Ended {
			return nil
		}
		s, ok := row(*at)
		if !ok {
			return catalog.New("internal").Because(errors.New("no such step: " + string(*at)))
		}
		next, err := r.step(ctx, s)
		if err != nil {
			return err
		}
		if s.name == Identify && r.goOn != "" {
			next, r.goOn = r.goOn, ""
		}
		*at = next
		r.note(next)
		if err := r.store.save(r.state); err != nil {
			return err
		}
	}
	return catalog.New("gave_up")
}

// note writes down where to go on. While a resumed rescue is still finding its
// NAS again, that is where it had stopped, not the beginning.
func (r *run) note(next Name) {
	r.state.Step = next
	if r.goOn != "" {
		r.state.Step = r.goOn
	}
}

// step goes through one row and returns where it leads.
func (r *run) step(ctx context.Context, s step) (Name, error) {
	if s.skip != nil && s.skip(r) {
		return s.next, nil
	}
	if s.before != nil {
		if err := s.before(r); err != nil {
			return "", err
		}
	}
	begun, wall := r.cfg.Clock.Monotonic(), r.cfg.Clock.Now().UTC()
	r.cfg.Person.Tell(Event{Kind: StepStarted, Step: s.name, Text: s.text})
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	err := s.do(ctx, r)
	verified := false
	if err == nil {
		verified, err = s.verify(ctx, r)
	}
	if err != nil && ctx.Err() != nil {
		return "", ctx.Err()
	}
	took := r.cfg.Clock.Monotonic() - begun
	r.state.Timeline = append(r.state.Timeline, Entry{Step: s.name, Started: wall, MS: took.Milliseconds(), Verified: verified && err == nil})
	if err == nil {
		r.cfg.Person.Tell(Event{Kind: StepDone, Step: s.name, Text: s.text, Verified: verified, Elapsed: took})
		return s.next, nil
	}
	p := catalog.AsProblem(err)
	to, goesOn := s.on[p.ID]
	said := p.Error()
	if !goesOn && !r.state.Committed {
		said = "not done" // why is said at the end, once
	}
	r.cfg.Person.Tell(Event{Kind: StepFailed, Step: s.name, Text: said, Elapsed: took})
	if goesOn {
		return to, nil
	}
	return "", err
}

// stopped ends a rescue before its end: politely towards the NAS, and with a
// word on how to go on.
func (r *run) stopped(ctx context.Context, err error) error {
	interrupted := ctx.Err() != nil
	r.farewell(ctx)
	if saveErr := r.store.save(r.state); saveErr != nil {
		err = errors.Join(err, saveErr)
	}
	if interrupted {
		p := catalog.Interrupted(!r.state.Handed && !r.state.Committed && r.state.Request == "")
		p.WhatToDo = "Go on with: " + r.again() + " " + r.state.ID
		return p.Because(err)
	}
	return err
}

// again is the command that resumes, before the id.
func (r *run) again() string { return cmp.Or(r.cfg.Again, "paperclip rescue --resume") }

// inPart makes an error after the reset was carried out one that says so.
func (r *run) inPart(ctx context.Context, err error) error {
	if !r.state.Committed || ctx.Err() != nil || catalog.ExitOf(err) == catalog.InPart {
		return err
	}
	return catalog.New("not_verified", strings.TrimRight(catalog.AsProblem(err).Text, ".")).Because(err)
}

// farewell takes leave of the NAS. Before acceptance that closes the claim, so
// that nobody else meets it open; after it, it fetches a receipt that is ready.
func (r *run) farewell(ctx context.Context) {
	if r.device == nil || !r.proved {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	if r.state.Transaction != "" && !r.state.HasReceipt {
		if reply, err := r.device.Progress(ctx, r.state.Transaction); err == nil && reply.Done {
			_ = r.keepReceipt(reply)
		}
	}
	if err := r.device.Leave(ctx); err == nil {
		r.proved = false
	}
}

// pause waits for the poll interval, or ctx.
func (r *run) pause(ctx context.Context) error {
	select {
	case <-r.cfg.Clock.After(r.cfg.Poll):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// overdue tells whether waiting since begun has used up the patience.
func (r *run) overdue(begun time.Duration) bool {
	return r.cfg.Clock.Monotonic()-begun > r.cfg.Patience
}

func (r *run) tell(s Name, text string) {
	r.cfg.Person.Tell(Event{Kind: Note, Step: s, Text: text})
}
