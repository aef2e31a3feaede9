package deviceapi

import (
	"encoding/json"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/strictjson"
)

// RequestCall names a request that waits (D11). The empty id is the last one of
// the key that asks.
type RequestCall struct {
	Request string `json:"request"`
}

// RequestReply is where it stands. Plan is what was asked for.
type RequestReply struct {
	Request     string              `json:"request"`
	State       access.RequestState `json:"state"`
	Plan        reset.Plan          `json:"plan"`
	WaitSeconds int                 `json:"wait_seconds"` // until it can be resumed; 0 is now
}

// RequestsReply is what waits, for an administrator. The call is Empty.
type RequestsReply struct {
	Requests []RequestReply `json:"requests"`
}

// ResumeCall carries out a request whose wait is over. The new password is sent
// only now; it is empty where the plan replaces none.
type ResumeCall struct {
	Request     string
	NewPassword access.Secret
}

type resumeWire struct {
	Request     string `json:"request"`
	NewPassword string `json:"new_password"`
}

func (c ResumeCall) wire() any { return resumeWire{c.Request, c.NewPassword.Reveal()} }

// MarshalJSON writes [redacted] for the password: see Encode.
func (c ResumeCall) MarshalJSON() ([]byte, error) {
	return json.Marshal(resumeWire{c.Request, c.NewPassword.String()})
}

// UnmarshalJSON reads what Encode writes.
func (c *ResumeCall) UnmarshalJSON(data []byte) error {
	var w resumeWire
	if err := strictjson.Unmarshal(data, &w); err != nil {
		return err
	}
	password, err := readSecret(w.NewPassword)
	*c = ResumeCall{w.Request, password}
	return err
}

// ResumeReply says that it is accepted and durable, as a CommitReply does. Plan
// is the plan as it is now: it changes the same as the one that waited.
type ResumeReply struct {
	Transaction string     `json:"transaction"`
	Plan        reset.Plan `json:"plan"`
	Hash        string     `json:"hash"`
}

// Check holds the plan against its hash, and against what was asked for.
func (r ResumeReply) Check(asked reset.Plan) error {
	if r.Plan.Hash() != r.Hash || !r.Plan.SameChanges(asked) {
		return ErrPlanHash
	}
	return nil
}
