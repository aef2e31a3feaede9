package core

import (
	"context"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// GiveCodes gives an administrator new recovery codes, shown once. Those of
// before are worth nothing then.
func (h console) GiveCodes(ctx context.Context, q corewire.CodesRequest) (corewire.CodesReply, error) {
	c := h.core
	var s nas.Settings
	if err := c.readSettings(ctx, &s); err != nil {
		return corewire.CodesReply{}, err
	}
	if a, ok := s.Account(q.Administrator); !ok || !a.Administrator {
		return corewire.CodesReply{}, catalog.New("unknown_administrator", q.Administrator)
	}
	return in(ctx, c, func() (corewire.CodesReply, error) {
		given, err := c.codes.make(q.Administrator, c.cfg.Rand)
		if err != nil {
			return corewire.CodesReply{}, err
		}
		var r corewire.CodesReply
		for _, code := range given {
			r.Codes = append(r.Codes, access.FormatRecoveryCode(code))
		}
		c.cfg.Log.Info("recovery codes were given out", "administrator", q.Administrator)
		return r, nil
	})
}

// ForgetOwner removes an owner key from the list.
func (h console) ForgetOwner(ctx context.Context, q corewire.ForgetOwnerRequest) (deviceapi.Empty, error) {
	c := h.core
	return deviceapi.Empty{}, c.do(ctx, func() error {
		if err := c.owners.remove(q.ID); err != nil {
			return err
		}
		clear(c.conversations) // whatever that key has begun ends with it
		c.cfg.Log.Info("an owner key is forgotten", "id", q.ID)
		return nil
	})
}

// Refuse ends a request that waits.
func (h console) Refuse(ctx context.Context, q corewire.RefuseRequest) (deviceapi.Empty, error) {
	return deviceapi.Empty{}, h.core.do(ctx, func() error { return h.core.refuseRequest(q.ID) })
}

// console is a handler for root on the device itself.
type console struct{ handler }

var _ corewire.Console = console{}

// Reset carries a plan out without a claim (A6): a root shell is more than
// presence. It is the same transaction, with the same rules for the password,
// the same receipt, and the same end for the sessions of before.
func (h console) Reset(ctx context.Context, q corewire.ResetRequest) (deviceapi.ProgressReply, error) {
	c := h.core
	ctx = opfs.KeepAnswers(ctx)
	s, err := surveyed(ctx, c.cfg.Adapters)
	if err != nil {
		return deviceapi.ProgressReply{}, err
	}
	plan, err := s.plan(reset.Request{Device: c.name(), Mode: reset.Soft, Scope: q.Scope, Administrator: q.Administrator})
	if err != nil {
		return deviceapi.ProgressReply{}, err
	}
	if err := c.judge(s, plan, q.Password); err != nil {
		return deviceapi.ProgressReply{}, err
	}
	t, err := c.accept(ctx, plan, q.Password, authority{}, func() error { return nil })
	if err != nil {
		return deviceapi.ProgressReply{}, err
	}
	select {
	case <-t.end:
	case <-ctx.Done(): // it goes on by itself
		return deviceapi.ProgressReply{}, ctx.Err()
	}
	return in(ctx, c, func() (deviceapi.ProgressReply, error) { return t.progress(), nil })
}
