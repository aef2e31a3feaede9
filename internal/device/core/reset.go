package core

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/paperclip-nas/paperclip/internal/device/bundle"
	"github.com/paperclip-nas/paperclip/internal/device/journal"
	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// answer carries out one call of a claimant who has proved presence, and
// returns the reply to be sealed.
func (c *Core) answer(ctx context.Context, v *visit, message []byte) []byte {
	body, err := c.call(ctx, v, message)
	if err == nil {
		var reply []byte
		if reply, err = deviceapi.EncodeReply(body); err == nil {
			return reply
		}
	}
	p := catalog.AsProblem(err)
	c.cfg.Log.Info("a call of the claimant was refused", "claim", c.claimIDNow(), "problem", string(p.ID), "cause", errors.Unwrap(p))
	reply, err := deviceapi.EncodeProblem(p)
	if err != nil {
		return nil
	}
	return reply
}

func (c *Core) claimIDNow() (id string) {
	_ = c.do(c.ctx, func() error { id = c.claimID; return nil })
	return id
}

func (c *Core) call(ctx context.Context, v *visit, message []byte) (any, error) {
	call, err := deviceapi.ParseCall(message)
	if err != nil {
		return nil, catalog.New("bad_message", "its kind is not known").Because(err)
	}
	switch call.Kind {
	case deviceapi.KindOptions:
		s, err := c.look(ctx)
		if err != nil {
			return nil, err
		}
		v.seen = &s
		return c.options(ctx, s.settings)
	case deviceapi.KindPlan:
		var q deviceapi.PlanCall
		if err := call.Decode(&q); err != nil {
			return nil, bad(err)
		}
		s, err := c.planSurvey(ctx, v)
		if err != nil {
			return nil, err
		}
		plan, err := c.claimPlan(ctx, s, q)
		if err != nil {
			return nil, err
		}
		return deviceapi.PlanReply{Plan: plan, Hash: plan.Hash()}, nil
	case deviceapi.KindCommit:
		var q deviceapi.CommitCall
		if err := call.Decode(&q); err != nil {
			return nil, bad(err)
		}
		return c.commit(ctx, v, q)
	case deviceapi.KindProgress:
		var q deviceapi.ProgressCall
		if err := call.Decode(&q); err != nil {
			return nil, bad(err)
		}
		return in(ctx, c, func() (deviceapi.ProgressReply, error) { return c.progress(q.Transaction) })
	case deviceapi.KindClose:
		return deviceapi.Empty{}, c.leave(ctx)
	default:
		return nil, catalog.New("bad_message", "its kind is not known")
	}
}

// leave ends the claim at the claimant's wish: at once where nothing was
// accepted, else when the transaction has ended.
func (c *Core) leave(ctx context.Context) error {
	return c.do(ctx, func() error {
		if c.claim.State() != access.Accepted {
			c.endClaim(access.Leave, "the claimant left")
		} else if c.current != nil && c.current.finished {
			c.endClaim(access.Finish, "the claimant is done")
		}
		return nil
	})
}

// readSettings reads every part that is present on this system.
func (c *Core) readSettings(ctx context.Context, into *nas.Settings) error {
	s, err := surveyed(ctx, c.cfg.Adapters)
	*into = s.settings
	return err
}

func preflight(id string, err error) error {
	return catalog.New("preflight_failed", "the part "+id+" cannot be read").Because(err)
}

// options is the first thing that a claimant is shown after the proof.
func (c *Core) options(ctx context.Context, s nas.Settings) (deviceapi.OptionsReply, error) {
	modes, err := c.modes(ctx)
	if err != nil {
		return deviceapi.OptionsReply{}, err
	}
	reply := deviceapi.OptionsReply{
		Device:         nas.Identity{Name: c.name(), Vendor: "Paperclip", Model: c.cfg.Model, KeyID: c.KeyID()},
		Administrators: []deviceapi.Administrator{},
		Settings:       shown(s),
		Modes:          modes,
		Scopes:         []reset.Scope{},
		Demands:        map[reset.Scope]access.Demand{},
		SecondFactor:   c.cfg.Policy.Asks([]nas.Effect{nas.E13}),
		Policy:         cmp.Or(c.cfg.Policy, access.ButtonFull),
		Costs:          c.cfg.Policy.Costs(),
	}
	for _, scope := range []reset.Scope{reset.Credentials, reset.Network, reset.All} {
		demand := c.cfg.Policy.Asks(reset.Effects(reset.Soft, scope))
		if demand != access.Never {
			reply.Scopes = append(reply.Scopes, scope)
		}
		reply.Demands[scope] = demand
	}
	if slices.Contains(modes, reset.Hard) {
		reply.HardDemand = c.hardDemand()
	}
	for _, a := range s.Administrators() {
		reply.Administrators = append(reply.Administrators, deviceapi.Administrator{Name: a.Name, BuiltIn: a.BuiltIn, SecondFactor: a.SecondFactor})
	}
	return reply, nil
}

// shownBlocked is how many blocked addresses a claimant is sent.
const shownBlocked = 100

// shown is what a claimant needs of the settings: of the accounts only the
// administrators, and no list so long that the message would not fit.
func shown(s nas.Settings) nas.Settings {
	s = s.Clone()
	s.Accounts = s.Administrators()
	if s.AutoBlock != nil && len(s.AutoBlock.Blocked) > shownBlocked {
		s.AutoBlock.Blocked = s.AutoBlock.Blocked[:shownBlocked]
	}
	return s
}

// plan works out what a reset would do, or why nobody may ask for it.
func (s survey) plan(r reset.Request) (reset.Plan, error) {
	if _, err := reset.ParseMode(string(r.Mode)); err != nil {
		return reset.Plan{}, catalog.New("usage", err.Error())
	}
	if _, err := reset.ParseScope(string(r.Scope)); err != nil {
		return reset.Plan{}, catalog.New("usage", err.Error())
	}
	if a, ok := s.settings.Account(r.Administrator); r.Administrator != "" && (!ok || !a.Administrator) && !r.Wizard.NewAdministrator {
		return reset.Plan{}, catalog.New("unknown_administrator", r.Administrator)
	}
	if a, ok := s.settings.Account(r.Administrator); r.SecondFactor && (!ok || !a.SecondFactor || !reset.SetsPassword(r.Mode, r.Scope)) {
		return reset.Plan{}, catalog.New("no_second_factor", r.Administrator)
	}
	return reset.Build(r, s.settings, s.covered), nil
}

// claimPlan is policyPlan for whom the claim of now is for.
func (c *Core) claimPlan(ctx context.Context, s survey, q deviceapi.PlanCall) (reset.Plan, error) {
	if err := c.do(ctx, func() error { return c.mayBeHard(q.Mode) }); err != nil {
		return reset.Plan{}, err
	}
	return c.policyPlan(ctx, s, q)
}

// policyPlan is plan with what the owner's policy asks for in it.
func (c *Core) policyPlan(ctx context.Context, s survey, q deviceapi.PlanCall) (reset.Plan, error) {
	r := reset.Request{Device: c.name(), Mode: q.Mode, Scope: q.Scope, Administrator: q.Administrator, SecondFactor: q.SecondFactor}
	switch c.cfg.Policy.Asks(r.Effects()) {
	case access.Never:
		return reset.Plan{}, catalog.New("policy_network_only")
	case access.SecondProof:
		r.Needs = []string{"a recovery code of this administrator, as the owner chose"}
		if c.cfg.Policy != access.ButtonSecondProof {
			r.Needs = []string{"a recovery code of this administrator, since a second factor is taken away"}
		}
	case access.AfterWait:
		length, _ := c.cfg.Policy.Wait()
		r.Needs = []string{fmt.Sprintf("a wait of %d hours, as the owner chose, in which every administrator is told and can say no; then come back with this computer", int(length.Hours()))}
	}
	if err := c.hardRequest(ctx, s, &r, q.Wizard); err != nil {
		return reset.Plan{}, err
	}
	return s.plan(r)
}

// MakePlan works out what a reset of a system with these adapters would do. The
// administrator may be empty in a plan that only informs.
func MakePlan(ctx context.Context, adapters []setting.Adapter, r reset.Request) (reset.Plan, error) {
	s, err := surveyed(ctx, adapters)
	if err != nil {
		return reset.Plan{}, err
	}
	return s.plan(r)
}

// commit accepts a plan: the one that was shown, with the settings as they are
// now. After it returns without error the plan is on disk and will be carried
// out, or undone, whatever happens.
func (c *Core) commit(ctx context.Context, v *visit, q deviceapi.CommitCall) (deviceapi.CommitReply, error) {
	ctx = opfs.KeepAnswers(ctx) // from looking to the record the adapters only ask
	plan, err := c.accepted(ctx, q)
	if err != nil {
		return deviceapi.CommitReply{}, err
	}
	if c.cfg.Policy.Asks(plan.Request().Effects()) == access.AfterWait {
		return in(ctx, c, func() (deviceapi.CommitReply, error) {
			if err := refuse(c.claim.Holds(c.cfg.Clock.Monotonic(), v.id)); err != nil {
				return deviceapi.CommitReply{}, err
			}
			if err := c.mayBeHard(plan.Mode); err != nil {
				return deviceapi.CommitReply{}, err
			}
			return c.leaveRequest(plan, q.OwnerKey, q.OwnerLabel)
		})
	}
	t, err := c.accept(ctx, plan, q.NewPassword, authority{claimant: true, ownerKey: q.OwnerKey, ownerLabel: q.OwnerLabel}, func() error {
		if err := refuse(c.claim.Holds(c.cfg.Clock.Monotonic(), v.id)); err != nil {
			return err
		}
		if err := c.mayBeHard(plan.Mode); err != nil {
			return err
		}
		return c.secondProof(plan, q.RecoveryCode)
	})
	if err != nil {
		return deviceapi.CommitReply{}, err
	}
	return deviceapi.CommitReply{Transaction: t.id}, nil
}

// secondProof uses up a recovery code where the owner's policy demands one. It
// is the last thing before the record, so that a plan that cannot be accepted
// for another reason costs nobody a code. The try is counted first.
func (c *Core) secondProof(plan reset.Plan, typed access.Secret) error {
	if c.cfg.Policy.Asks(plan.Request().Effects()) != access.SecondProof {
		return nil
	}
	if typed.Empty() {
		return catalog.New("second_proof_needed")
	}
	if err := c.attempts.code(); err != nil {
		return err
	}
	code, err := access.ParseRecoveryCode(typed.Reveal())
	if err != nil {
		return catalog.New("second_proof_wrong")
	}
	if err := c.codes.spend(plan.Administrator, code); err != nil {
		return err
	}
	c.tell("notice_code_spent")
	return nil
}

// authority is by what right a plan is accepted: a claimant's, or that of a
// request whose wait is over. Root at the console has neither.
type authority struct {
	claimant bool   // the claim that is open now
	claim    string // else the request's id; the record keeps either
	// The key that is enrolled with the commit, and what its computer calls itself.
	ownerKey   ed25519.PublicKey
	ownerLabel string
	// The owner's conversation that asks, which outlives its own change; may be nil.
	conversation *conversation
}

// accept prepares a plan's steps, asks once more whether it may, writes the
// record and begins. may runs in Run's goroutine, right before the record.
func (c *Core) accept(ctx context.Context, plan reset.Plan, password access.Secret, by authority, may func() error) (*transaction, error) {
	steps, err := c.prepare(ctx, plan, password)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(plan)
	if err != nil {
		return nil, err
	}
	snapshot := c.snapshotBefore(ctx)
	var before bundle.Bundle
	if plan.Mode == reset.Hard {
		if before, err = c.saved(ctx, c.cfg.Adapters, ""); err != nil {
			return nil, catalog.New("preflight_failed", "the settings of now could not be saved").Because(err)
		}
	}
	return in(ctx, c, func() (*transaction, error) {
		if err := c.goesOn(by.conversation); err != nil {
			return nil, err
		}
		if c.busy() { // what may uses up would be lost: a recovery code, a request's turn
			return nil, catalog.New("busy")
		}
		if err := may(); err != nil {
			return nil, err
		}
		record := journal.Record{
			Mode: plan.Mode, Scope: plan.Scope, Administrator: plan.Administrator, Plan: raw, PlanHash: plan.Hash(), Steps: steps,
			Claim: by.claim, OwnerKey: by.ownerKey, OwnerLabel: by.ownerLabel,
		}
		if by.claimant {
			record.Claim = c.claimID
		}
		t, err := c.record(record, snapshot, func(id string) error {
			if by.conversation != nil {
				by.conversation.changes = id
			}
			if plan.Mode != reset.Hard {
				return nil
			}
			return c.keepBundle(before, id)
		})
		if err == nil && by.claimant {
			c.claim.Handle(access.Accept, c.cfg.Clock.Monotonic())
		}
		return t, err
	})
}

// accepted rebuilds the plan that a commit names and holds it against what was
// shown, and judges the new password.
func (c *Core) accepted(ctx context.Context, q deviceapi.CommitCall) (reset.Plan, error) {
	s, err := surveyed(ctx, c.cfg.Adapters)
	if err != nil {
		return reset.Plan{}, err
	}
	plan, err := c.planOfHash(ctx, s, q)
	if err != nil {
		return reset.Plan{}, err
	}
	if c.cfg.Policy.Asks(plan.Request().Effects()) == access.AfterWait {
		if !q.NewPassword.Empty() { // it comes when the wait is over: none is ever kept
			return reset.Plan{}, catalog.New("bad_message", "a password that nobody keeps")
		}
		return plan, nil
	}
	return plan, c.judge(s, plan, q.NewPassword)
}

// judge refuses a new password that will not do, where the plan sets one.
func (c *Core) judge(s survey, plan reset.Plan, password access.Secret) error {
	if !reset.SetsPassword(plan.Mode, plan.Scope) {
		return nil
	}
	a, ok := s.settings.Account(plan.Administrator)
	if !ok && !plan.Request().Wizard.NewAdministrator {
		return catalog.New("unknown_administrator", plan.Administrator)
	}
	if r := access.CheckPassword(password, a.SecondFactor, plan.Administrator, c.name()); r != access.PasswordFits {
		return catalog.New(catalog.ID(r))
	}
	return nil
}

// planOfHash finds which of the few plans that a claim can have is meant. None
// means that the settings changed since it was shown.
func (c *Core) planOfHash(ctx context.Context, s survey, q deviceapi.CommitCall) (reset.Plan, error) {
	if q.Wizard != nil {
		return c.hardPlanOf(ctx, s, q)
	}
	for _, scope := range []reset.Scope{reset.Credentials, reset.Network, reset.All} {
		if c.cfg.Policy.Asks(reset.Effects(reset.Soft, scope)) == access.Never {
			continue
		}
		for _, factor := range []bool{false, true} {
			plan, err := c.claimPlan(ctx, s, deviceapi.PlanCall{Mode: reset.Soft, Scope: scope, Administrator: q.Administrator, SecondFactor: factor})
			switch {
			case errors.Is(err, catalog.New("no_second_factor")):
			case err != nil:
				return reset.Plan{}, err
			case plan.Hash() == q.PlanHash:
				return plan, nil
			}
		}
	}
	return reset.Plan{}, catalog.New("plan_changed")
}

// prepare asks every adapter that the plan needs for its steps.
func (c *Core) prepare(ctx context.Context, plan reset.Plan, password access.Secret) ([]reset.Step, error) {
	request := setting.Request{Mode: plan.Mode, Scope: plan.Scope, Administrator: plan.Administrator, Password: password, SecondFactor: plan.SecondFactor}
	if plan.Wizard != nil {
		request.Wizard = *plan.Wizard
	}
	steps, err := prepareAll(ctx, c.cfg.Adapters, request)
	if err == nil && len(steps) == 0 {
		err = catalog.New("preflight_failed", "there is nothing to change: everything is so already")
	}
	return steps, err
}

func prepareAll(ctx context.Context, adapters []setting.Adapter, request setting.Request) ([]reset.Step, error) {
	ctx = opfs.KeepAnswers(ctx)
	wanted := reset.Request{Mode: request.Mode, Scope: request.Scope, SecondFactor: request.SecondFactor}.Effects()
	var steps []reset.Step
	for _, a := range adapters {
		if !slices.ContainsFunc(a.Effects(), func(e nas.Effect) bool { return slices.Contains(wanted, e) }) {
			continue
		}
		found, err := a.Detect(ctx)
		if err != nil {
			return nil, preflight(a.ID(), err)
		}
		// Where a password cannot be replaced, the adapter says whether it has one of
		// that administrator's: the old one must not quietly go on opening a door.
		password := found.Blocked && slices.Contains(a.Effects(), nas.E1)
		if !found.Present && !password {
			continue
		}
		s, err := a.Prepare(ctx, request)
		if p, ok := errors.AsType[catalog.Problem](err); ok {
			return nil, p
		}
		if err != nil {
			return nil, catalog.New("preflight_failed", "the part "+a.ID()+" cannot be prepared").Because(err)
		}
		steps = append(steps, s...)
	}
	return steps, nil
}
