// Package access says who may do what to a NAS, and how that is proved: the
// claim that a press of the reset button opens, the code that proves presence,
// and the rules for a new password.
//
// It holds no clock and no randomness: times come in as durations on the
// caller's monotonic clock, codes are made from the reader it is given. It
// checks no password and opens no door; the device's core does, and asks here
// first. MAC addresses and serial numbers appear in no decision.
package access

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
)

// Secret is a text that must not be seen: a password or a code. However it is
// printed, formatted or marshalled it reads [redacted]; only Reveal gives it.
type Secret struct{ text string }

const redacted = "[redacted]"

// NewSecret wraps a text.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal returns the text. Call it only where it is used up: hashed, compared
// or sent over a connection whose other end was verified.
func (s Secret) Reveal() string { return s.text }

// Empty reports whether there is nothing in it.
func (s Secret) Empty() bool { return s.text == "" }

// Format prints [redacted] for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// String is [redacted].
func (Secret) String() string { return redacted }

// MarshalText is [redacted]: a secret goes onto a wire only by Reveal.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Interface is a network interface on which a claim can be reached.
type Interface struct {
	Name     string         `json:"name"`
	MAC      string         `json:"mac"` // the NIC's own, which is what announcements carry
	Prefixes []netip.Prefix `json:"prefixes"`
}

// Code is what the NAS beeps to prove that somebody is with it: four counts of
// 1 to 6, so one of 1,296. It is short because it can be heard; what makes it
// safe is that each guess needs a live exchange (a PAKE) and guesses are few.
type Code [4]int

// NewCode draws a code. r is a cryptographic source of randomness.
func NewCode(r io.Reader) (Code, error) {
	var c Code
	var b [1]byte
	for i := range c {
		for {
			if _, err := io.ReadFull(r, b[:]); err != nil {
				return Code{}, fmt.Errorf("no randomness for a code: %w", err)
			}
			if b[0] < 252 { // 252 is the largest multiple of 6 in a byte: no bias
				c[i] = int(b[0]%6) + 1
				break
			}
		}
	}
	return c, nil
}

// ErrCode says that a text is not a code.
var ErrCode = errors.New("a code is four counts of 1 to 6, as in 3 1 6 2")

// ParseCode reads a code as typed: four digits with or without separators.
func ParseCode(s string) (Code, error) {
	var c Code
	n := 0
	if len(s) > 64 {
		return Code{}, ErrCode
	}
	for _, r := range s {
		switch {
		case r >= '1' && r <= '6' && n < len(c):
			c[n] = int(r - '0')
			n++
		case strings.ContainsRune(" -,.\t\r\n", r):
		default:
			return Code{}, ErrCode
		}
	}
	if n != len(c) {
		return Code{}, ErrCode
	}
	return c, nil
}

// Secret is the code as both ends of the PAKE use it.
func (c Code) Secret() Secret {
	var b strings.Builder
	for _, n := range c {
		b.WriteByte(byte('0' + n))
	}
	return NewSecret(b.String())
}

// Format prints [redacted]: a code is a secret while it lasts.
func (Code) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }
