// Package deviceapi is the language of a Paperclip device's HTTPS interface:
// the JSON bodies of its paths, the messages that travel sealed inside a claim,
// and what a claim's PAKE is bound to (Binding).
//
// A claim goes session → pake → confirm → sealed calls. Until confirm, a
// stranger has learnt the device's name and that a claim is open, nothing else;
// settings and account names exist only in sealed replies.
//
// The package opens no connection and decides nothing. Types that hold a
// password print and marshal as [redacted]; only Encode writes the password,
// and is to be used only for a device whose identity was verified.
package deviceapi

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/x/strictjson"
)

const (
	// Version is the version of this language.
	Version = 1
	// MaxBody is the largest HTTP body, request or response, in bytes.
	MaxBody = 60 << 10
	// ContentType is that of every body.
	ContentType = "application/json"
)

// The paths. GET for the device, POST for the others.
const (
	PathDevice       = "/api/v1/device"
	PathClaimSession = "/api/v1/claim/session"
	PathClaimPake    = "/api/v1/claim/pake"
	PathClaimConfirm = "/api/v1/claim/confirm"
	PathClaimSealed  = "/api/v1/claim/sealed"
	PathSignIn       = "/api/v1/sign-in"
)

// Device is what anybody on the LAN may know: the reply of GET PathDevice. It
// has no serial number, version or account.
type Device struct {
	Version int    `json:"version"`
	Name    string `json:"name"`
	Vendor  string `json:"vendor"`
	Model   string `json:"model"`
	KeyID   string `json:"key_id"`
	Ready   bool   `json:"ready"` // D1: up, and with no transaction under way
	// Status is nas.Status's id: "configuration_lost" while a hard reset is
	// carried out, and until what its owner wants back is restored (D4 F3).
	Status string `json:"status"`
	Claim  Claim  `json:"claim"`
	// Notices are what happened lately that its owners should know of (D11),
	// the oldest first.
	Notices []Notice `json:"notices,omitempty"`
}

// Notice is one of the catalogue's notices, and when.
type Notice struct {
	ID catalog.ID `json:"id"`
	At time.Time  `json:"at"` // by the device's clock, UTC
}

// State is the device's word on how it is. One that says nothing that is known
// here is ready or is starting.
func (d Device) State() nas.Status {
	switch s := nas.StatusOf(d.Status); {
	case s != nas.Other:
		return s
	case d.Ready:
		return nas.Ready
	default:
		return nas.StartingServices
	}
}

// Claim is what anybody may know of the device's claim.
type Claim struct {
	Open            bool   `json:"open"`
	ID              string `json:"id"` // empty when closed
	Hard            bool   `json:"hard"`
	ClosesInSeconds int    `json:"closes_in_seconds"`
	// CodeNeeded: presence is still to be proved, by the code that the device
	// says. False once a session has proved it.
	CodeNeeded bool `json:"code_needed"`
	// PressNeeded: the tries are used up; a short press on the device's button
	// grants more.
	PressNeeded bool `json:"press_needed"`
	// Label: the code on the label of the device is taken as well.
	Label bool `json:"label,omitempty"`
}

// SessionRequest asks for a place in the queue of those who want to prove that
// they are at the device.
type SessionRequest struct{}

// SessionReply is that place.
type SessionReply struct {
	Claim       string `json:"claim"`
	Session     string `json:"session"`
	TriesLeft   int    `json:"tries_left"`
	WaitSeconds int    `json:"wait_seconds"` // until it is this session's turn; 0 is now
}

// PakeRequest starts one try: the assistant's share, made from the code.
type PakeRequest struct {
	Session string `json:"session"`
	Share   []byte `json:"share"`
	// With is which code was typed; empty is the one that the device says.
	With access.PresenceKind `json:"with,omitempty"`
}

// PakeReply is the device's share. The try is counted before it is sent.
type PakeReply struct {
	Share     []byte `json:"share"`
	TriesLeft int    `json:"tries_left"`
}

// ConfirmRequest shows that the assistant's code was right.
type ConfirmRequest struct {
	Session string `json:"session"`
	Confirm []byte `json:"confirm"`
}

// ConfirmReply shows that the device knows the code too.
type ConfirmReply struct {
	Confirm []byte `json:"confirm"`
}

// SealedRequest carries a Call, sealed.
type SealedRequest struct {
	Session string `json:"session"`
	Box     []byte `json:"box"`
}

// SealedReply carries a Reply, sealed.
type SealedReply struct {
	Box []byte `json:"box"`
}

// SignInRequest asks whether a name and password open this device.
type SignInRequest struct {
	User     string
	Password access.Secret
}

// SignInReply says that they do. That they don't is a Problem, the same for an
// account that is missing, disabled or has another password.
type SignInReply struct {
	User          string `json:"user"`
	Administrator bool   `json:"administrator"`
}

type signInWire struct {
	User     string `json:"user"`
	Password string `json:"password"`
}

func (r SignInRequest) wire() any { return signInWire{r.User, r.Password.Reveal()} }

// MarshalJSON writes [redacted] for the password: see Encode.
func (r SignInRequest) MarshalJSON() ([]byte, error) {
	return json.Marshal(signInWire{r.User, r.Password.String()})
}

// UnmarshalJSON reads what Encode writes.
func (r *SignInRequest) UnmarshalJSON(data []byte) error {
	var w signInWire
	if err := strictjson.Unmarshal(data, &w); err != nil {
		return err
	}
	password, err := readSecret(w.Password)
	*r = SignInRequest{w.User, password}
	return err
}

// ErrorReply is the body of every HTTP status of 400 and above.
type ErrorReply struct {
	Problem catalog.Problem `json:"problem"`
}

// ParseError reads the body of an HTTP error. The problem in it is the device's
// word, made fit to be shown (see clean); a body that is none gives the problem
// bad_message.
func ParseError(r io.Reader) catalog.Problem {
	var e ErrorReply
	if err := DecodeStrict(r, MaxBody, &e); err != nil {
		return catalog.New("bad_message", "the device's error").Because(err)
	}
	return clean(e.Problem)
}

// maxText is the longest text of a problem that is shown, in bytes; those of
// the catalogue are below 400.
const maxText = 1000

// clean makes a problem that came over the wire fit for a terminal and an exit
// status: no control characters, bounded texts, and never the status Done.
func clean(p catalog.Problem) catalog.Problem {
	p.ID = catalog.ID(cleanText(string(p.ID)))
	p.Text, p.Meaning, p.WhatToDo = cleanText(p.Text), cleanText(p.Meaning), cleanText(p.WhatToDo)
	if p.Exit <= catalog.Done || p.Exit > catalog.InPart {
		p.Exit = catalog.Failed
	}
	return p
}

func cleanText(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, s)
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "")
	}
	return s
}

// ErrRedacted says that a message carries the word that stands for a hidden
// password: its sender used json.Marshal where Encode belongs. Without this,
// that word would become the new password.
var ErrRedacted = errors.New("a password was hidden before it was sent")

func readSecret(s string) (access.Secret, error) {
	secret := access.NewSecret(s)
	if s == secret.String() {
		return access.Secret{}, ErrRedacted
	}
	return secret, nil
}

// withSecret is a body that holds a password: json.Marshal writes [redacted].
type withSecret interface{ wire() any }

// Encode writes a body or an inner message for the wire, passwords included.
func Encode(v any) ([]byte, error) {
	if s, ok := v.(withSecret); ok {
		v = s.wire()
	}
	return json.Marshal(v)
}

// DecodeStrict reads one JSON object of at most max bytes into v, which is a
// pointer to one of the types here. Unknown and repeated fields, anything after
// the object and deep nesting are errors; see package strictjson.
func DecodeStrict(r io.Reader, max int, v any) error { return strictjson.Decode(r, max, v) }
