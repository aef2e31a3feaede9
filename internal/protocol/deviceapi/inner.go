package deviceapi

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/strictjson"
)

// Kind names a call inside a claim.
type Kind string

// The calls, in the order in which an assistant makes them.
const (
	KindOptions  Kind = "options"  // what can be done, on which settings
	KindPlan     Kind = "plan"     // what one choice will do
	KindCommit   Kind = "commit"   // do it
	KindProgress Kind = "progress" // how far it is
	KindClose    Kind = "close"    // end the session
)

// Kinds lists every call.
func Kinds() []Kind {
	return []Kind{KindOptions, KindPlan, KindCommit, KindProgress, KindClose}
}

// Empty is the body of a call or reply that needs none.
type Empty struct{}

// Administrator is an account whose password a claim may replace.
type Administrator struct {
	Name         string `json:"name"`
	BuiltIn      bool   `json:"built_in"`
	SecondFactor bool   `json:"second_factor"`
}

// OptionsReply answers KindOptions, whose call is Empty: the first message in
// which a proved claimant sees this NAS's settings.
type OptionsReply struct {
	Device         nas.Identity    `json:"device"`
	Administrators []Administrator `json:"administrators"`
	Settings       nas.Settings    `json:"settings"`
	Modes          []reset.Mode    `json:"modes"`
	Scopes         []reset.Scope   `json:"scopes"` // those that the owner's policy lets a claim do
	// Demands says for each scope what it takes beside presence.
	Demands map[reset.Scope]access.Demand `json:"demands"`
	// HardDemand is the same for a hard reset, where the claim is for one (the
	// second press); else empty.
	HardDemand access.Demand `json:"hard_demand,omitempty"`
	// SecondFactor is what it takes to have a second factor taken away too.
	SecondFactor access.Demand `json:"second_factor"`
	// Policy is the owner's choice of what the button may lead to, and Costs
	// what that choice costs, in words (D9 D11).
	Policy access.ButtonPolicy `json:"policy"`
	Costs  string              `json:"costs"`
}

// PlanCall asks what a choice will do. A hard reset has no scope, and the
// answers of the set-up wizard (D5).
type PlanCall struct {
	Mode          reset.Mode    `json:"mode"`
	Scope         reset.Scope   `json:"scope"`
	Administrator string        `json:"administrator"`
	Wizard        *reset.Wizard `json:"wizard,omitempty"`
	SecondFactor  bool          `json:"second_factor,omitempty"` // take it away too (E13)
}

// PlanReply says it. Hash names the plan in the commit.
type PlanReply struct {
	Plan reset.Plan `json:"plan"`
	Hash string     `json:"hash"`
}

// ErrPlanHash says that a plan and its name do not belong together.
var ErrPlanHash = errors.New("the plan's hash is not that of the plan that was sent")

// Check holds a plan against its hash: what is accepted is what was shown.
func (r PlanReply) Check() error {
	if r.Plan.Hash() != r.Hash {
		return ErrPlanHash
	}
	return nil
}

// CommitCall accepts a plan.
type CommitCall struct {
	PlanHash      string
	Administrator string
	NewPassword   access.Secret     // empty where the plan replaces none
	OwnerKey      ed25519.PublicKey // enrolled with the commit; may be empty
	OwnerLabel    string            // what the owner's computer calls itself; at most MaxLabel bytes
	RecoveryCode  access.Secret     // the second proof, where one is demanded
	Wizard        *reset.Wizard     // the answers that the plan of a hard reset was shown with; nil for a soft one
}

type commitWire struct {
	PlanHash      string            `json:"plan_hash"`
	Administrator string            `json:"administrator"`
	NewPassword   string            `json:"new_password"`
	OwnerKey      ed25519.PublicKey `json:"owner_key,omitempty"`
	OwnerLabel    string            `json:"owner_label,omitempty"`
	RecoveryCode  string            `json:"recovery_code,omitempty"`
	Wizard        *reset.Wizard     `json:"wizard,omitempty"`
}

func (c CommitCall) wire() any {
	return commitWire{c.PlanHash, c.Administrator, c.NewPassword.Reveal(), c.OwnerKey, c.OwnerLabel, c.RecoveryCode.Reveal(), c.Wizard}
}

// MarshalJSON writes [redacted] for the password: see Encode.
func (c CommitCall) MarshalJSON() ([]byte, error) {
	w := commitWire{c.PlanHash, c.Administrator, c.NewPassword.String(), c.OwnerKey, c.OwnerLabel, "", c.Wizard}
	if !c.RecoveryCode.Empty() {
		w.RecoveryCode = c.RecoveryCode.String()
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads what Encode writes.
func (c *CommitCall) UnmarshalJSON(data []byte) error {
	var w commitWire
	if err := strictjson.Unmarshal(data, &w); err != nil {
		return err
	}
	if len(w.OwnerKey) != 0 && len(w.OwnerKey) != ed25519.PublicKeySize {
		return fmt.Errorf("%w: owner_key", strictjson.ErrType)
	}
	if len(w.OwnerLabel) > MaxLabel {
		return fmt.Errorf("%w: owner_label", strictjson.ErrType)
	}
	password, err1 := readSecret(w.NewPassword)
	code, err2 := readSecret(w.RecoveryCode)
	*c = CommitCall{w.PlanHash, w.Administrator, password, w.OwnerKey, w.OwnerLabel, code, w.Wizard}
	return errors.Join(err1, err2)
}

// MaxLabel is the longest label of an owner's computer, in bytes.
const MaxLabel = 64

// CommitReply says that the plan is accepted and durable: it will be done, or
// undone, whatever happens now. Where the owner's policy asks for a wait it says
// instead that a request is pending: Request is its id, and WaitSeconds how long
// its key must wait before it can resume it.
type CommitReply struct {
	Transaction string `json:"transaction"`
	Request     string `json:"request,omitempty"`
	WaitSeconds int    `json:"wait_seconds,omitempty"`
}

// ProgressCall asks how far a transaction is.
type ProgressCall struct {
	Transaction string `json:"transaction"`
}

// StepState is one step of a transaction and the journal's state for it.
type StepState struct {
	Name  string `json:"name"`
	State string `json:"state"`
}

// ProgressReply says it. Receipt is the whole file of package receipt, there
// once Done; Problem says why a transaction was undone.
type ProgressReply struct {
	State   string           `json:"state"` // the journal's
	Steps   []StepState      `json:"steps"`
	Done    bool             `json:"done"`
	Problem *catalog.Problem `json:"problem,omitempty"`
	Receipt []byte           `json:"receipt,omitempty"`
	// ConfirmSeconds is how long a restore that is in force has still to be
	// confirmed (State "trial").
	ConfirmSeconds int `json:"confirm_seconds,omitempty"`
}

// Call is one message from the assistant, before sealing. A Reply answers it.
type Call struct {
	Kind Kind            `json:"kind"`
	Body json.RawMessage `json:"body"`
}

// ErrKind says that a call is of a kind that is not known here.
var ErrKind = errors.New("a call of a kind that is not known here")

// EncodeCall writes a call, passwords included.
func EncodeCall(k Kind, body any) ([]byte, error) {
	b, err := Encode(body)
	if err != nil {
		return nil, err
	}
	return json.Marshal(Call{Kind: k, Body: b})
}

// ParseCall reads a call; its Body is read by Decode, by kind.
func ParseCall(data []byte) (Call, error) {
	var c Call
	if err := strictjson.Unmarshal(data, &c); err != nil {
		return Call{}, err
	}
	for _, k := range Kinds() {
		if c.Kind == k {
			return c, nil
		}
	}
	return Call{}, ErrKind
}

// Decode reads the body into v.
func (c Call) Decode(v any) error { return strictjson.Unmarshal(c.Body, v) }

// Format prints the kind alone: the body may hold a password.
func (c Call) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "call %q", string(c.Kind)) }

// reply is the wire form of an answer: a body or a problem.
type reply struct {
	Body    json.RawMessage  `json:"body,omitempty"`
	Problem *catalog.Problem `json:"problem,omitempty"`
}

// EncodeReply writes the answer to a call.
func EncodeReply(body any) ([]byte, error) {
	b, err := Encode(body)
	if err != nil {
		return nil, err
	}
	return json.Marshal(reply{Body: b})
}

// EncodeProblem writes a refusal as the answer to a call.
func EncodeProblem(p catalog.Problem) ([]byte, error) { return json.Marshal(reply{Problem: &p}) }

// ParseReply reads an answer into v. A refusal is returned as a
// catalog.Problem, made fit to be shown.
func ParseReply(data []byte, v any) error {
	var r reply
	if err := strictjson.Unmarshal(data, &r); err != nil {
		return err
	}
	if r.Problem != nil {
		return clean(*r.Problem)
	}
	return strictjson.Unmarshal(r.Body, v)
}
