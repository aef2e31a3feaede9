package core

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/bundle"
	"github.com/paperclip-nas/paperclip/internal/device/journal"
	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
)

// A restore puts saved settings back (R6): the same transaction as a reset,
// whose steps every setting.Keeper prepares from its own section, and on trial.
// What no adapter keeps it cannot reach: identity, owner keys, counters, spent
// codes, the button's policy lie in core's own files and in no section.

// defaultTrial is how long a restore has to be confirmed.
const defaultTrial = 5 * time.Minute

// savedSettings is what is put back.
type savedSettings struct {
	bundle.Bundle
	digest string
	from   string // for the reader
}

// savedOf reads what the owner sent, or the bundle of the last hard reset.
func (c *Core) savedOf(ownBundle bool, sent []byte) (savedSettings, error) {
	s := savedSettings{from: "the snapshot"}
	raw := sent
	if ownBundle {
		shelf := Bundles(c.cfg.FS, c.cfg.Dir)
		names, err := shelf.Names()
		if err != nil {
			return s, err
		}
		if len(names) == 0 {
			return s, catalog.New("bundle_none")
		}
		kept, err := shelf.Load(names[len(names)-1])
		if err != nil {
			return s, catalog.New("snapshot_unusable", err.Error()).Because(err)
		}
		if raw, err = bundle.Encode(kept); err != nil {
			return s, err
		}
		s.from = "the settings kept before the last hard reset"
	}
	var err error
	if s.Bundle, err = bundle.Parse(raw); err != nil {
		return s, catalog.New("snapshot_unusable", err.Error()).Because(err)
	}
	if s.KeyID != c.KeyID() {
		return s, catalog.New("snapshot_of_another", s.Name)
	}
	sum := sha256.Sum256(raw)
	s.digest = hex.EncodeToString(sum[:])
	s.from += " of " + s.MadeAt.UTC().Format("2 January 2006 15:04 UTC")
	return s, nil
}

// prepareRestore has every adapter that is chosen and keeps its setting prepare
// it. It has no side effect: a drill is this and no more.
func (c *Core) prepareRestore(ctx context.Context, s savedSettings, effects []nas.Effect) (steps []reset.Step, notCovered []string, err error) {
	left := map[string]bool{}
	for id := range s.Sections {
		left[id] = true
	}
	for _, a := range c.cfg.Adapters {
		section, there := s.Sections[a.ID()]
		delete(left, a.ID())
		if !slices.ContainsFunc(a.Effects(), func(e nas.Effect) bool { return slices.Contains(effects, e) }) {
			continue
		}
		found, err := a.Detect(ctx)
		if err != nil {
			return nil, nil, preflight(a.ID(), err)
		}
		k, keeps := a.(setting.Keeper)
		switch {
		case !there && found.Present:
			notCovered = append(notCovered, a.ID()+": not among what was saved; it stays as it is")
		case !there:
		case !keeps:
			notCovered = append(notCovered, a.ID()+": this program cannot put it back")
		case !found.Present:
			notCovered = append(notCovered, a.ID()+": not on this NAS now: "+found.Why)
		default:
			more, err := k.PrepareRestore(ctx, section)
			if err != nil {
				return nil, nil, unfit(a.ID(), err)
			}
			steps = append(steps, more...)
		}
	}
	for id := range left {
		notCovered = append(notCovered, id+": nothing of the kind is managed on this NAS")
	}
	slices.Sort(notCovered)
	return steps, notCovered, nil
}

func unfit(id string, err error) error {
	if p, ok := errors.AsType[catalog.Problem](err); ok {
		return p
	}
	if errors.Is(err, setting.ErrSaved) {
		return catalog.New("restore_unfit", id, err).Because(err)
	}
	return catalog.New("preflight_failed", "the part "+id+" cannot be prepared").Because(err)
}

// restorePlan works out what a restore would do, and its steps.
func (c *Core) restorePlan(ctx context.Context, ownBundle bool, sent []byte, only []string) (deviceapi.RestorePlanReply, []reset.Step, error) {
	var none deviceapi.RestorePlanReply
	effects, err := reset.EffectsOf(only)
	if err != nil {
		return none, nil, catalog.New("usage", err.Error())
	}
	s, err := c.savedOf(ownBundle, sent)
	if err != nil {
		return none, nil, err
	}
	steps, notCovered, err := c.prepareRestore(ctx, s, effects)
	if err != nil {
		return none, nil, err
	}
	now, err := surveyed(ctx, c.cfg.Adapters)
	if err != nil {
		return none, nil, err
	}
	then := nas.Settings{}
	if s.Settings != nil {
		then = *s.Settings
	}
	differences := reset.Differences(then, now.settings, effects)
	if s.Settings == nil {
		differences = []reset.Difference{}
	}
	plan := reset.BuildPutBack(reset.PutBackRequest{
		Device: c.name(), From: s.from, Digest: s.digest, Differences: differences, Steps: steps,
		NotCovered: notCovered, Trial: spoken(c.trialTime()),
	})
	return deviceapi.RestorePlanReply{
		Plan: plan, Hash: plan.Hash(), MadeAt: s.MadeAt, Differences: differences,
		NotRestorable: append([]string{}, notCovered...), ConfirmSeconds: int(c.trialTime().Seconds()),
	}, steps, nil
}

func (c *Core) trialTime() time.Duration {
	if c.cfg.Trial > 0 {
		return c.cfg.Trial
	}
	return defaultTrial
}

func spoken(d time.Duration) string {
	if d%time.Minute == 0 {
		return fmt.Sprintf("%d minutes", d/time.Minute)
	}
	return fmt.Sprintf("%d seconds", int(d.Seconds()))
}

func (c *Core) ownerRestorePlan(ctx context.Context, t *conversation, q deviceapi.RestorePlanCall) (any, error) {
	reply, _, err := c.restorePlan(ctx, q.Bundle, t.in, q.Only)
	return reply, err
}

// ownerRestore accepts the plan that was shown.
func (c *Core) ownerRestore(ctx context.Context, t *conversation, q deviceapi.RestoreCall) (any, error) {
	reply, steps, err := c.restorePlan(ctx, q.Bundle, t.in, q.Only)
	if err != nil {
		return nil, err
	}
	if reply.Hash != q.Hash {
		return nil, catalog.New("plan_changed")
	}
	done, err := c.acceptRestore(ctx, t, reply.Plan, steps)
	if err != nil {
		return nil, err
	}
	c.cfg.Log.Info("a restore is begun", "transaction", done.id, "by", t.caller.account, "source", t.source.String())
	return deviceapi.CommitReply{Transaction: done.id}, nil
}

// acceptRestore writes the record of a restore, its undo images and its trial
// with it, and begins. t is the conversation that asks; nil is root at the console.
func (c *Core) acceptRestore(ctx context.Context, t *conversation, plan reset.Plan, steps []reset.Step) (*transaction, error) {
	if len(steps) == 0 {
		return nil, catalog.New("preflight_failed", "there is nothing to put back: everything is so already")
	}
	start, _, err := c.cfg.Boot.Up()
	if err != nil {
		return nil, catalog.New("preflight_failed", "it cannot be told when this NAS was started").Because(err)
	}
	raw, err := json.Marshal(plan)
	if err != nil {
		return nil, err
	}
	before := c.snapshotBefore(ctx)
	return in(ctx, c, func() (*transaction, error) {
		if err := c.goesOn(t); err != nil {
			return nil, err
		}
		return c.record(journal.Record{
			Mode: plan.Mode, Plan: raw, PlanHash: plan.Hash(), Steps: steps,
			Trial: &journal.Trial{For: c.trialTime(), Start: start},
		}, before, func(string) error { return nil })
	})
}

// trial is a restore that is in force and waits to be confirmed.
type trial struct {
	record *journal.Record
	t      *transaction
	began  time.Duration // on the clock of conversations
}

// left is how long the trial has still to go.
func (c *Core) trialLeft() time.Duration {
	start, since, err := c.cfg.Boot.Up()
	if err != nil || start != c.trial.record.Trial.Start {
		return 0
	}
	return max(0, c.trial.record.Trial.Ends-since)
}

// beginTrial notes that a record waits. Run's goroutine only, or before it.
func (c *Core) beginTrial(t *transaction, record *journal.Record) {
	t.state = string(journal.OnTrial)
	close(t.onTrial)
	c.current, c.trial = t, &trial{record: record, t: t, began: c.cfg.Clock.Monotonic()}
	c.cfg.Log.Info("a restore is in force and waits to be confirmed", "transaction", record.ID, "for", c.trialLeft().String())
	c.publish() // its owner comes to the ports that were put back
}

// endTrial ends it, and the transaction with it. Run's goroutine only.
func (c *Core) endTrial(confirmed bool, why string) error {
	now := c.trial
	if err := c.journal.Decide(now.record, confirmed, why); err != nil {
		return err
	}
	c.trial, now.t.state = nil, string(now.record.State) // it waits no more
	go c.carryOut(now.t, now.record)
	return nil
}

// passTrial ends a trial whose time is over.
func (c *Core) passTrial() {
	if c.trial == nil || c.trialLeft() > 0 {
		return
	}
	if err := c.endTrial(false, "nobody confirmed it in time"); err != nil {
		c.cfg.Log.Error("a restore that nobody confirmed could not be taken back; it is tried again", "error", err)
		now := c.trial
		c.trial = nil
		go c.carryOut(now.t, now.record) // the journal itself sends back what is overdue
	}
}

// ownerRestoreConfirm takes the owner's word on a trial.
func (c *Core) ownerRestoreConfirm(ctx context.Context, t *conversation, q deviceapi.RestoreConfirmCall) (any, error) {
	return in(ctx, c, func() (deviceapi.RestoreConfirmReply, error) {
		reply := deviceapi.RestoreConfirmReply{}
		if err := c.goesOn(t); err != nil {
			return reply, err
		}
		switch {
		case c.trial == nil:
			return reply, catalog.New("no_trial")
		case !q.Undo && t.begun <= c.trial.began:
			return reply, catalog.New("confirm_anew")
		}
		reply.Transaction = c.trial.record.ID
		c.cfg.Log.Info("the trial of a restore is ended", "transaction", reply.Transaction, "confirmed", !q.Undo, "by", t.caller.account)
		return reply, c.endTrial(!q.Undo, "the owner took it back")
	})
}

// ownerPlan is what a claim would do, for an owner who wants to know (R6).
func (c *Core) ownerPlan(ctx context.Context, _ *conversation, q deviceapi.PlanCall) (any, error) {
	r := reset.Request{Device: c.name(), Mode: q.Mode, Scope: q.Scope, Administrator: q.Administrator}
	if q.Wizard != nil {
		r.Wizard = *q.Wizard
	}
	plan, err := MakePlan(ctx, c.cfg.Adapters, r)
	return deviceapi.PlanReply{Plan: plan, Hash: plan.Hash()}, err
}

// saveSettings adds what is read of the adapters' settings to a bundle, to be
// shown beside what is put back.
func saveSettings(ctx context.Context, adapters []setting.Adapter, b *bundle.Bundle) error {
	s, err := surveyed(ctx, adapters)
	b.Settings = &s.settings
	return err
}

// afterRestore notes that a restore which was to follow a hard reset is done.
func (c *Core) afterRestore(r *journal.Record) {
	if r.Mode != reset.PutBack || r.State != journal.Committed {
		return
	}
	if err := c.setUp.done(); err != nil {
		c.cfg.Log.Error("that nothing is left to set up could not be written", "error", err)
	}
}
