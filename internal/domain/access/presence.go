package access

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Presence is what a person types to prove that they are with the NAS: the code
// that it says (Code), or the one on its label (LabelCode). Neither opens
// anything without a press of the button: only a claim takes it.
type Presence interface {
	// With names which of the two it is, for the NAS.
	With() PresenceKind
	// Password is what both ends of the PAKE use, at the NAS of this identity.
	Password(identity []byte) Secret
}

// PresenceKind is which code proves presence.
type PresenceKind string

// The kinds.
const (
	BySaidCode  PresenceKind = ""      // what the NAS says with beeper and light
	ByLabelCode PresenceKind = "label" // what is printed on its label
)

// With is BySaidCode.
func (Code) With() PresenceKind { return BySaidCode }

// Password is the code itself: it lives for one claim.
func (c Code) Password([]byte) Secret { return c.Secret() }

// LabelCode is the code on the label of a NAS: of the form of a recovery code,
// 65 bits, so that it can be written down and never be guessed. It is a way to
// say "I am with it" where no beep is heard. It is no second proof beside
// presence: who comes to the button comes to the label.
type LabelCode struct{ secret Secret }

// NewLabelCode wraps a code as ParseRecoveryCode and NewRecoveryCode give it.
func NewLabelCode(code Secret) LabelCode { return LabelCode{code} }

// Format prints [redacted].
func (LabelCode) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// With is ByLabelCode.
func (LabelCode) With() PresenceKind { return ByLabelCode }

// Password is a hash of the code, keyed with the identity of the NAS: what that
// NAS keeps, and what is of no use at another.
func (l LabelCode) Password(identity []byte) Secret {
	m := hmac.New(sha256.New, append([]byte("paperclip label code 1 "), identity...))
	_, _ = m.Write([]byte(l.secret.Reveal()))
	return NewSecret("label:" + hex.EncodeToString(m.Sum(nil)))
}

// ErrPresence says that a text is neither code.
var ErrPresence = errors.New("the code is four counts of 1 to 6, as in 3 1 6 2; or the 13 letters and digits on the label")

// ParsePresence reads either code as typed. None of the one has the form of the
// other.
func ParsePresence(s string) (Presence, error) {
	if c, err := ParseCode(s); err == nil {
		return c, nil
	}
	if l, err := ParseRecoveryCode(s); err == nil {
		return LabelCode{l}, nil
	}
	return nil, ErrPresence
}

// BeginsPresence tells whether s, as typed so far, can still become a code.
func BeginsPresence(s string) bool {
	for n := range recoveryLen + 1 {
		if _, err := ParsePresence(s + strings.Repeat("1", n)); err == nil { // 1 is of both alphabets
			return true
		}
	}
	return false
}
