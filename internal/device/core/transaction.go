package core

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/journal"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
)

// transaction is what core remembers of the reset that is, or was last, under
// way in this claim. Run's goroutine only.
type transaction struct {
	id       string
	state    string
	steps    []deviceapi.StepState
	hard     bool
	finished bool
	end      chan struct{} // closed when finished
	onTrial  chan struct{} // closed when it waits to be confirmed
	problem  *catalog.Problem
	receipt  []byte
}

// linger is how long a finished claim stays for its claimant to see the end
// and sign in, before it closes by itself.
const linger = 2 * time.Minute

// record gives a transaction its id, keeps the snapshot of before and whatever
// else is to be kept for it, writes its record and begins. Run's goroutine only.
func (c *Core) record(record journal.Record, snapshot []byte, keep func(id string) error) (*transaction, error) {
	switch {
	case c.halfState:
		return nil, catalog.New("half_state")
	case c.busy():
		return nil, catalog.New("busy")
	}
	if err := c.settleLast(); err != nil {
		return nil, catalog.New("preflight_failed", "what followed the change before could not be written").Because(err)
	}
	id, err := randomID(c.cfg.Rand)
	if err != nil {
		return nil, err
	}
	record.ID, record.AcceptedAt = id, c.cfg.Clock.Now()
	if err := keep(id); err != nil {
		return nil, err
	}
	c.keepSnapshot(snapshot, id)
	if err := c.journal.Accept(record); err != nil && !c.stands(id) {
		return nil, catalog.New("preflight_failed", "its journal could not be written").Because(err)
	}
	c.cfg.Log.Info("a plan is accepted", "claim", record.Claim, "transaction", id, "mode", string(record.Mode), "scope", string(record.Scope), "administrator", record.Administrator)
	return c.begin(record), nil
}

// stands tells whether a record that could not be accepted could not be withdrawn
// either: then it is carried out sooner or later, and nobody is told otherwise.
func (c *Core) stands(id string) bool {
	open, err := c.journal.Open()
	return err == nil && open != nil && open.ID == id
}

// busy tells whether a transaction is under way, or waits to be confirmed. Run's
// goroutine only.
func (c *Core) busy() bool { return c.current != nil && !c.current.finished }

// begin carries the record out in a goroutine of its own. Run's goroutine only.
func (c *Core) begin(record journal.Record) *transaction {
	t := newTransaction(&record)
	c.current = t
	c.turns++
	c.publish()
	go c.carryOut(t, &record)
	return t
}

func newTransaction(record *journal.Record) *transaction {
	t := &transaction{id: record.ID, state: string(journal.Accepted), hard: record.Mode == reset.Hard, end: make(chan struct{}), onTrial: make(chan struct{})}
	for _, s := range record.Steps {
		t.steps = append(t.steps, deviceapi.StepState{Name: s.Name, State: "waiting"})
	}
	return t
}

// goOnAgain is how soon a transaction is gone on with that could not be written
// down.
const goOnAgain = 10 * time.Second

// carryOut goes on with a record, to its end or to where it waits on trial. What
// keeps the journal from being written, such as a full disk, may pass: until then
// it is under way, as it would be for the next start.
func (c *Core) carryOut(t *transaction, record *journal.Record) {
	for told := false; ; told = true {
		result, err := c.journal.Run(c.ctx, record, participants(c.cfg.Adapters), func(e journal.Event) {
			_ = c.do(c.ctx, func() error { t.note(e); return nil })
		})
		switch {
		case err == nil && result.State == journal.OnTrial:
			_ = c.do(c.ctx, func() error { c.beginTrial(t, record); return nil })
			return
		case err == nil || c.ctx.Err() != nil || !mayPass(err):
			c.ended(t, record, result, err)
			return
		case !told:
			c.cfg.Log.Error("a change cannot go on; it is tried again and again", "transaction", t.id, "error", err)
		}
		select {
		case <-c.ctx.Done():
		case <-c.cfg.Clock.After(goOnAgain):
		}
	}
}

// mayPass tells whether another try can bring a transaction on that ended early.
func mayPass(err error) bool {
	for _, final := range []error{journal.ErrHalfState, journal.ErrInvalid, journal.ErrVersion} {
		if errors.Is(err, final) {
			return false
		}
	}
	return true
}

func (t *transaction) note(e journal.Event) {
	if e.Step == "" {
		if e.State != journal.OnTrial { // that it waits is known once it can be confirmed
			t.state = string(e.State)
		}
		return
	}
	for i := range t.steps {
		if t.steps[i].Name == e.Step {
			t.steps[i].State = string(e.Action)
			if e.Err != nil {
				t.steps[i].State += " failed"
			}
		}
	}
}

// ended cuts the sessions of before, writes the receipt and tells the claimant.
func (c *Core) ended(t *transaction, record *journal.Record, result journal.Result, err error) {
	var problem *catalog.Problem
	var file []byte
	switch {
	case err != nil:
		p := catalog.AsProblem(journalProblem(err))
		problem = &p
		c.cfg.Log.Error("a reset could not be brought to its end", "transaction", record.ID, "error", err)
	default:
		// First the sessions: nobody stays inside for as long as a receipt takes, and
		// while that is missing, the next start cuts them again.
		if result.State == journal.Committed {
			c.cutSessions(record)
		}
		if file, err = in(c.ctx, c, func() ([]byte, error) { return c.settle(record) }); err != nil {
			c.cfg.Log.Error("the receipt could not be written; it will be before the next change or at the next start", "transaction", record.ID, "error", err)
		}
		if result.State != journal.Committed {
			p := takenBack(record)
			problem = &p
		}
		c.cfg.Log.Info("a reset has ended", "transaction", record.ID, "result", string(result.State), "failure", result.Failure, "left_alone", strings.Join(result.LeftAlone, " "))
	}
	_ = c.do(c.ctx, func() error {
		if record.State == journal.Committed && endsSessions(record.Mode, record.Scope) {
			c.endConversations(record)
		}
		if record.State.Final() {
			c.afterHard(record)
			c.afterRestore(record)
		}
		t.finished, t.problem, t.receipt = true, problem, file
		c.halfState = errors.Is(err, journal.ErrHalfState) // until somebody has mended it, and core starts anew
		c.turns++
		c.sayEnd(result.State)
		close(t.end)
		if result.State != "" {
			t.state = string(result.State)
		}
		if c.claim.State() == access.Accepted {
			c.lingerEnds = c.cfg.Clock.Monotonic() + linger
			if movedNetwork(record) {
				c.network.want(true) // anew, on the cards and ports of now
			}
		}
		c.publish()
		return nil
	})
}

// takenBack is the problem of what was accepted and then undone. What somebody else
// has set meanwhile was left, and what a part of the system would not take up again
// is so only on disk: neither is called as before.
func takenBack(r *journal.Record) catalog.Problem {
	if len(r.LeftAlone) > 0 {
		return catalog.New("third_value", settingsOf(r, r.LeftAlone))
	}
	p := catalog.New("step_failed", r.Failure)
	if r.Mode == reset.PutBack {
		p = catalog.New("restore_undone", r.Failure)
	}
	if len(r.NotActive) > 0 {
		p.Meaning = "Every file is as it was before. The NAS could not be made to use that at once for: " + settingsOf(r, r.NotActive) + "."
		p.WhatToDo = strings.TrimSpace("Restart the NAS: then it does. " + p.WhatToDo)
	}
	return p
}

// settingsOf is what some of a record's steps are about, for people.
func settingsOf(r *journal.Record, steps []string) string {
	var words []string
	for _, s := range r.Steps {
		for _, e := range s.Effects {
			if slices.Contains(steps, s.Name) && !slices.Contains(words, e.Setting()) {
				words = append(words, e.Setting())
			}
		}
	}
	return strings.Join(words, ", ")
}

// endConversations ends what was begun here as that administrator before a change
// of the account, whoever had the old password or an old key (X15). The one that
// asked for the change goes on, and so does the key that it enrolled.
func (c *Core) endConversations(record *journal.Record) {
	c.passwordsSet++
	for id, t := range c.conversations {
		mine := t.changes == record.ID || len(record.OwnerKey) > 0 && t.caller != nil && t.caller.key.Equal(record.OwnerKey)
		if t.caller != nil && t.caller.account == record.Administrator && !mine {
			delete(c.conversations, id)
			c.cfg.Log.Info("an owner's conversation of before is ended", "account", t.caller.account, "source", t.source.String(), "transaction", record.ID)
		}
	}
}

// movedNetwork tells whether a transaction changed what the claim's own network
// hangs on: a bond that was taken apart carries it no more, and a firewall lets
// in the ports of before.
func movedNetwork(record *journal.Record) bool {
	return slices.ContainsFunc(record.Steps, func(s reset.Step) bool {
		return slices.ContainsFunc(s.Effects, func(e nas.Effect) bool {
			return slices.Contains([]nas.Effect{nas.E3, nas.E4, nas.E5, nas.E7, nas.E9}, e)
		})
	})
}

// concluded tells of a transaction's end, and its request if it had one.
func (c *Core) concluded(record *journal.Record) {
	event := access.Undone
	if record.State == journal.Committed {
		event = access.Committed
		switch record.Mode {
		case reset.Account:
			c.tell("notice_account")
		case reset.PutBack:
			c.tell("notice_restored")
		default:
			c.tell("notice_reset")
		}
	}
	if i := c.requests.index(record.Claim); i >= 0 && c.requests.kept.Requests[i].State == access.RequestCarried {
		c.requestEvent(record.Claim, event)
	}
}

func (c *Core) cutSessions(record *journal.Record) {
	if c.cfg.Sessions == nil || !endsSessions(record.Mode, record.Scope) {
		return
	}
	if err := c.cfg.Sessions.End(c.ctx, record.Administrator); err != nil {
		c.cfg.Log.Error("sessions of before could not all be ended", "administrator", record.Administrator, "error", err)
	}
	if record.Mode == reset.Hard {
		c.cutAll(record.Administrator)
	}
}

func (c *Core) progress(id string) (deviceapi.ProgressReply, error) {
	t := c.current
	if t == nil || t.id != id {
		return deviceapi.ProgressReply{}, catalog.New("no_such_session")
	}
	return t.progress(), nil
}

func (t *transaction) progress() deviceapi.ProgressReply {
	return deviceapi.ProgressReply{
		State: t.state, Steps: slices.Clone(t.steps), Done: t.finished, Problem: t.problem, Receipt: t.receipt,
	}
}

// finishOpen brings a reset that was interrupted to its end, before anything
// else, and writes a receipt that a power cut prevented.
func (c *Core) finishOpen(ctx context.Context) error {
	// Where core alone was killed, no recovery unit has run: what is left of a
	// finished reset (undo images in one copy) goes here.
	if err := c.journal.RecoverFiles(ctx, participants(c.cfg.Adapters)); err != nil {
		return journalProblem(err)
	}
	record, err := c.journal.Open()
	if err != nil {
		return journalProblem(err)
	}
	if record != nil {
		c.cfg.Log.Info("a reset was interrupted and goes on", "transaction", record.ID, "state", string(record.State))
		result, err := c.journal.Run(ctx, record, participants(c.cfg.Adapters), nil)
		if err != nil {
			return journalProblem(err)
		}
		c.cfg.Log.Info("what was interrupted went on", "transaction", record.ID, "state", string(result.State), "failure", result.Failure)
		if result.State == journal.OnTrial {
			c.beginTrial(newTransaction(record), record)
			return nil
		}
	}
	last, err := c.journal.Last()
	if err == nil {
		c.mendRequests(last)
	}
	if err != nil || last == nil {
		return journalProblem(err)
	}
	if last.State == journal.Committed && !c.settled(last) {
		c.cutSessions(last)
	}
	c.afterHard(last)
	c.afterRestore(last)
	// Without its receipt the NAS still lets its owner in, and nothing new is
	// accepted before it was written.
	if _, err := c.settle(last); err != nil {
		c.cfg.Log.Error("the receipt of the last change could not be written", "transaction", last.ID, "error", err)
	}
	return nil
}

// settleLast does what was to follow the last transaction and could not be
// written then, before its record makes room for the next. Run's goroutine only.
func (c *Core) settleLast() error {
	last, err := c.journal.Last()
	if err != nil || last == nil || c.settled(last) {
		return err
	}
	_, err = c.settle(last)
	return err
}

// settled tells whether all that follows a transaction's end was done: its
// receipt is written last.
func (c *Core) settled(record *journal.Record) bool {
	_, err := c.receiptOf(record.ID)
	return !errors.Is(err, catalog.New("no_receipt"))
}

// settle does what follows a transaction's end, once: the claimant's key is
// enrolled, the administrators are told, then the receipt is written. A power
// cut between the two does both again; after the receipt neither is.
func (c *Core) settle(record *journal.Record) ([]byte, error) {
	if !c.settled(record) {
		if err := c.enrol(record); err != nil {
			return nil, err
		}
		c.concluded(record)
	}
	return c.writeReceipt(record)
}
