package core

import (
	"context"

	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
)

// console is a handler for root on the device itself.
type console struct{ handler }

var _ corewire.Console = console{}

// Reset carries a plan out without a claim (A6): a root shell is more than
// presence. It is the same transaction, with the same rules for the password,
// the same receipt, and the same end for the sessions of before.
func (h console) Reset(ctx context.Context, q corewire.ResetRequest) (deviceapi.ProgressReply, error) {
	c := h.core
	plan, err := c.plan(ctx, deviceapi.PlanCall{Mode: reset.Soft, Scope: q.Scope, Administrator: q.Administrator})
	if err != nil {
		return deviceapi.ProgressReply{}, err
	}
	if err := c.judge(ctx, plan, q.Password); err != nil {
		return deviceapi.ProgressReply{}, err
	}
	t, err := c.accept(ctx, plan, q.Password, false, func() error { return nil })
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
