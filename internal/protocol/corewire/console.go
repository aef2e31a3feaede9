package corewire

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/x/strictjson"
)

// KindReset asks for a transaction without a claim. Only root on the device may
// send it: whoever has a root shell has proved more than a claim asks for (A6).
const KindReset Kind = "reset"

// KindCodes asks for recovery codes, which only root on the device is given.
const KindCodes Kind = "codes"

// KindForgetOwner has an enrolled owner key forgotten.
const KindForgetOwner Kind = "forget_owner"

// KindRefuse refuses a request that waits.
const KindRefuse Kind = "refuse"

// Console is what a Handler offers to root on the device besides. A Handler
// that is no Console closes the connection of whoever asks for it.
type Console interface {
	// Reset carries a plan out as it is now and returns when it has ended.
	Reset(context.Context, ResetRequest) (deviceapi.ProgressReply, error)
	// GiveCodes gives an administrator new recovery codes.
	GiveCodes(context.Context, CodesRequest) (CodesReply, error)
	// ForgetOwner removes an owner key from the list.
	ForgetOwner(context.Context, ForgetOwnerRequest) (deviceapi.Empty, error)
	// SetLabel reads or changes the code on the label.
	SetLabel(context.Context, LabelRequest) (LabelReply, error)
	// Restore puts saved settings back, on trial.
	Restore(context.Context, RestoreRequest) (RestoreReply, error)
	// Refuse ends a request that waits.
	Refuse(context.Context, RefuseRequest) (deviceapi.Empty, error)
}

// ForgetOwnerRequest names the key.
type ForgetOwnerRequest struct {
	ID string `json:"id"`
}

// RefuseRequest names the request; the empty id is the only one that is pending.
type RefuseRequest struct {
	ID string `json:"id"`
}

// Refuse ends a request that waits.
func (c *Client) Refuse(ctx context.Context, q RefuseRequest) error {
	return c.call(ctx, KindRefuse, q, &deviceapi.Empty{})
}

// CodesRequest asks for recovery codes.
type CodesRequest struct {
	Administrator string `json:"administrator"`
}

// CodesReply is the codes, as they are to be printed. It goes to root on the
// device and is kept nowhere.
type CodesReply struct {
	Codes []string `json:"codes"`
}

// Format prints how many there are.
func (r CodesReply) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "%d codes", len(r.Codes)) }

// ResetRequest says what is to be set back. It marshals with the password as
// [redacted]; only Client writes it.
type ResetRequest struct {
	Scope         reset.Scope
	Administrator string
	Password      access.Secret // empty where the scope sets none
}

type resetWire struct {
	Scope         reset.Scope `json:"scope"`
	Administrator string      `json:"administrator"`
	Password      string      `json:"password"`
}

// MarshalJSON writes [redacted] for the password.
func (r ResetRequest) MarshalJSON() ([]byte, error) {
	return json.Marshal(resetWire{r.Scope, r.Administrator, r.Password.String()})
}

// UnmarshalJSON reads what Client writes.
func (r *ResetRequest) UnmarshalJSON(data []byte) error {
	var w resetWire
	if err := strictjson.Unmarshal(data, &w); err != nil {
		return err
	}
	*r = ResetRequest{w.Scope, w.Administrator, access.NewSecret(w.Password)}
	return nil
}

// GiveCodes asks for new recovery codes.
func (c *Client) GiveCodes(ctx context.Context, q CodesRequest) (r CodesReply, err error) {
	err = c.call(ctx, KindCodes, q, &r)
	return r, err
}

// ForgetOwner removes an owner key from the list.
func (c *Client) ForgetOwner(ctx context.Context, q ForgetOwnerRequest) error {
	return c.call(ctx, KindForgetOwner, q, &deviceapi.Empty{})
}

// Reset asks for a transaction without a claim and waits until it has ended.
func (c *Client) Reset(ctx context.Context, q ResetRequest) (r deviceapi.ProgressReply, err error) {
	body, err := json.Marshal(resetWire{q.Scope, q.Administrator, q.Password.Reveal()})
	if err != nil {
		return r, err
	}
	err = c.call(ctx, KindReset, json.RawMessage(body), &r)
	return r, err
}
