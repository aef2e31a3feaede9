package corewire

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/x/strictjson"
)

// KindLabel asks about the code on the label, or for another one, which only
// root on the device may do.
const KindLabel Kind = "label"

// LabelAction is what is to be done with the code on the label.
type LabelAction string

// The actions.
const (
	LabelRead   LabelAction = "read"   // tell whether there is one
	LabelNew    LabelAction = "new"    // make one and tell it, once
	LabelGiven  LabelAction = "given"  // take the maker's
	LabelRemove LabelAction = "remove" // have none
)

// LabelRequest is one action. It marshals with the code as [redacted]; only
// Client writes it.
type LabelRequest struct {
	Do   LabelAction
	Code access.Secret // the maker's, with LabelGiven
}

type labelWire struct {
	Do   LabelAction `json:"do"`
	Code string      `json:"code,omitempty"`
}

// MarshalJSON writes [redacted] for the code.
func (r LabelRequest) MarshalJSON() ([]byte, error) {
	return json.Marshal(labelWire{r.Do, r.Code.String()})
}

// UnmarshalJSON reads what Client writes.
func (r *LabelRequest) UnmarshalJSON(data []byte) error {
	var w labelWire
	if err := strictjson.Unmarshal(data, &w); err != nil {
		return err
	}
	*r = LabelRequest{w.Do, access.NewSecret(w.Code)}
	return nil
}

// LabelReply says how it is now. The code goes to root on the device, where one
// was made, and is kept nowhere.
type LabelReply struct {
	There bool      `json:"there"`
	Given bool      `json:"given"` // it is the maker's
	At    time.Time `json:"at"`    // since when, UTC
	Code  string    `json:"code,omitempty"`
}

// Format leaves the code out.
func (r LabelReply) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{there:%t given:%t}", r.There, r.Given)
}

// Label does one action.
func (c *Client) Label(ctx context.Context, q LabelRequest) (r LabelReply, err error) {
	body, err := json.Marshal(labelWire{q.Do, q.Code.Reveal()})
	if err != nil {
		return r, err
	}
	err = c.call(ctx, KindLabel, json.RawMessage(body), &r)
	return r, err
}
