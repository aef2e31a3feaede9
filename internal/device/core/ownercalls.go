package core

import (
	"context"
	"crypto/ed25519"

	"github.com/paperclip-nas/paperclip/internal/device/journal"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/receipt"
)

// decoded makes a method of one that takes its call already read.
func decoded[Q, R any](do func(*Core, context.Context, *conversation, Q) (R, error)) func(*Core, context.Context, *conversation, deviceapi.Call) (any, error) {
	return func(c *Core, ctx context.Context, t *conversation, call deviceapi.Call) (any, error) {
		var q Q
		if err := call.Decode(&q); err != nil {
			return nil, bad(err)
		}
		return do(c, ctx, t, q)
	}
}

// claimantKey is the key that a request is looked up by: whoever comes with a
// password has none.
func (t *conversation) claimantKey() (ed25519.PublicKey, error) {
	if len(t.caller.key) == 0 {
		return nil, catalog.New("request_unknown")
	}
	return t.caller.key, nil
}

// ownerRequest says where the request of the key that asks stands.
func (c *Core) ownerRequest(ctx context.Context, t *conversation, q deviceapi.RequestCall) (deviceapi.RequestReply, error) {
	return in(ctx, c, func() (deviceapi.RequestReply, error) {
		key, err := t.claimantKey()
		if err != nil {
			return deviceapi.RequestReply{}, err
		}
		return c.requestReply(key, q.Request)
	})
}

// ownerResume carries it out.
func (c *Core) ownerResume(ctx context.Context, t *conversation, q deviceapi.ResumeCall) (deviceapi.ResumeReply, error) {
	key, err := t.claimantKey()
	if err != nil {
		return deviceapi.ResumeReply{}, err
	}
	reply, err := c.resume(ctx, key, q)
	if err == nil {
		t.transaction = reply.Transaction
	}
	return reply, err
}

// ownerWithdraw ends it.
func (c *Core) ownerWithdraw(ctx context.Context, t *conversation, q deviceapi.RequestCall) (deviceapi.Empty, error) {
	key, err := t.claimantKey()
	if err != nil {
		return deviceapi.Empty{}, err
	}
	return deviceapi.Empty{}, c.do(ctx, func() error { return c.withdraw(key, q.Request) })
}

// ownerRequests lists what waits, for an administrator.
func (c *Core) ownerRequests(ctx context.Context, _ *conversation, _ deviceapi.Empty) (deviceapi.RequestsReply, error) {
	return in(ctx, c, func() (deviceapi.RequestsReply, error) {
		reply := deviceapi.RequestsReply{Requests: []deviceapi.RequestReply{}}
		list, err := c.requestList()
		for _, q := range list.Requests {
			if q.State.Pending() {
				reply.Requests = append(reply.Requests, deviceapi.RequestReply{Request: q.ID, State: q.State, Plan: q.Plan, WaitSeconds: q.LeftSeconds})
			}
		}
		return reply, err
	})
}

// ownerRefuse is an administrator's no.
func (c *Core) ownerRefuse(ctx context.Context, t *conversation, q deviceapi.RequestCall) (deviceapi.Empty, error) {
	return deviceapi.Empty{}, c.do(ctx, func() error {
		c.cfg.Log.Info("an administrator refuses a request", "administrator", t.caller.account)
		return c.refuseRequest(q.Request)
	})
}

// ownerProgress says how far a transaction is; a narrow key, one that this
// conversation began.
func (c *Core) ownerProgress(ctx context.Context, t *conversation, q deviceapi.ProgressCall) (deviceapi.ProgressReply, error) {
	if t.caller.account == "" && q.Transaction != t.transaction {
		return deviceapi.ProgressReply{}, catalog.New("owner_narrow")
	}
	return in(ctx, c, func() (deviceapi.ProgressReply, error) {
		if c.current == nil || c.current.id != q.Transaction {
			return c.progressEnded(q.Transaction)
		}
		p := c.current.progress()
		if c.trial != nil {
			p.ConfirmSeconds = int(c.trialLeft().Seconds())
		}
		return p, nil
	})
}

// progressEnded is for a transaction of before core started: its receipt says how
// it ended, and the journal why, where it was the last one.
func (c *Core) progressEnded(transaction string) (deviceapi.ProgressReply, error) {
	file, err := c.receiptOf(transaction)
	if err != nil {
		return deviceapi.ProgressReply{}, err
	}
	s, err := receipt.Parse(file)
	if err != nil {
		return deviceapi.ProgressReply{}, err
	}
	p := deviceapi.ProgressReply{State: string(s.Result), Steps: []deviceapi.StepState{}, Done: true, Receipt: file}
	if s.Result == receipt.Committed {
		return p, nil
	}
	last, err := c.journal.Last()
	if err != nil {
		return deviceapi.ProgressReply{}, journalProblem(err)
	}
	of := &journal.Record{Mode: reset.Mode(s.Mode), Failure: "its receipt says so"}
	if last != nil && last.ID == transaction && last.Failure != "" {
		of = last
	}
	problem := takenBack(of)
	p.Problem = &problem
	return p, nil
}
