package corewire

import (
	"context"

	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
)

// KindRestore is about putting saved settings back, as root on the device does.
const KindRestore Kind = "restore"

// RestoreAction is one step of that.
type RestoreAction string

// The actions.
const (
	RestorePlan    RestoreAction = "plan"
	RestoreAccept  RestoreAction = "accept"
	RestoreConfirm RestoreAction = "confirm"
	RestoreUndo    RestoreAction = "undo"
	RestoreGiveUp  RestoreAction = "give_up" // what was to follow a hard reset does not
)

// RestoreRequest is one action. What is put back is the bundle that the device
// kept before its last hard reset, or with File the one that root laid into the
// state directory under the name that core expects.
type RestoreRequest struct {
	Do   RestoreAction `json:"do"`
	File bool          `json:"file"`
	Only []string      `json:"only,omitempty"`
	Hash string        `json:"hash,omitempty"` // of the plan that was shown, with accept
}

// RestoreReply is the plan, or how the transaction stands: on trial, or ended.
type RestoreReply struct {
	Plan        *deviceapi.RestorePlanReply `json:"plan,omitempty"`
	Transaction string                      `json:"transaction,omitempty"`
	Progress    *deviceapi.ProgressReply    `json:"progress,omitempty"`
}

// Restore does one action. Accept returns when what is put back is on trial.
func (c *Client) Restore(ctx context.Context, q RestoreRequest) (r RestoreReply, err error) {
	err = c.call(ctx, KindRestore, q, &r)
	return r, err
}
