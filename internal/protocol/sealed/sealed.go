// Package sealed is the channel between a claimant's assistant and the device's
// core, under the key of the claim's PAKE: what passes through front, or through
// anyone else between them, can be neither read nor changed, repeated, reordered
// or left out without the other side noticing.
//
// Each direction has a key of its own (HKDF-SHA-256 of the PAKE's key, with
// the claim, the session and the direction) for AES-256-GCM, and counts its
// messages: the count is the nonce and part of what is authenticated. A message
// is accepted if it is exactly the next one, and no other.
//
// Messages go in pairs, a request and its reply. A reply that gets lost on the
// way (the plan may have changed the device's address) is had again by sending
// the same box again: Responder answers a repeated box with the very reply of
// before, and does nothing twice.
//
// A box that does not open changes nothing, so that nobody who only knows a
// session's name can end it. The package never tells why a box did not open, and
// holds no key longer than its values live.
package sealed

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

const (
	// MaxPlain is the longest message, in bytes.
	MaxPlain = 40 << 10
	// Overhead is how much longer a box is than its message.
	Overhead = 8 + 16 // the count and GCM's tag

	version = "paperclip-sealed/1"
)

// Why a message is refused.
var (
	ErrOpen  = errors.New("sealed: a message that was changed or repeated, came out of order, or is of another session")
	ErrSize  = errors.New("sealed: a message that is too long")
	ErrSpent = errors.New("sealed: the channel has counted all its messages")
)

// Context is what a channel belongs to. Both sides must have the same.
type Context struct{ Claim, Session string }

// Channel is one end. It is not safe for concurrent use.
type Channel struct {
	context Context
	out, in direction
}

// direction is one of the two ways.
type direction struct {
	name string
	aead cipher.AEAD
	next uint64 // count of the next message
}

const (
	toDevice    = "assistant to device"
	toAssistant = "device to assistant"
)

// Assistant is the claimant's end. key is what the PAKE gave.
func Assistant(key []byte, c Context) (*Channel, error) { return open(key, c, toDevice, toAssistant) }

// Device is core's end.
func Device(key []byte, c Context) (*Channel, error) { return open(key, c, toAssistant, toDevice) }

func open(key []byte, c Context, out, in string) (*Channel, error) {
	o, err := newDirection(key, c, out)
	if err != nil {
		return nil, err
	}
	i, err := newDirection(key, c, in)
	if err != nil {
		return nil, err
	}
	return &Channel{context: c, out: o, in: i}, nil
}

func newDirection(key []byte, c Context, name string) (direction, error) {
	if len(key) < 16 {
		return direction{}, errors.New("sealed: a key that is too short")
	}
	derived, err := hkdf.Key(sha256.New, key, []byte(version), string(associated(c, name)), 32)
	if err != nil {
		return direction{}, err
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return direction{}, err
	}
	aead, err := cipher.NewGCM(block)
	return direction{name: name, aead: aead}, err
}

// associated is the data that every message of a direction is bound to, each
// part behind its length.
func associated(c Context, name string) []byte {
	var b []byte
	for _, part := range []string{version, c.Claim, c.Session, name} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(part)))
		b = append(b, part...)
	}
	return b
}

func nonce(count uint64) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 4, 12), count)
}

// Seal closes the next message into a box.
func (c *Channel) Seal(plain []byte) ([]byte, error) {
	if len(plain) > MaxPlain {
		return nil, ErrSize
	}
	d := &c.out
	if d.next == math.MaxUint64 {
		return nil, ErrSpent
	}
	box := binary.BigEndian.AppendUint64(make([]byte, 0, len(plain)+Overhead), d.next)
	box = d.aead.Seal(box, nonce(d.next), plain, associated(c.context, d.name))
	d.next++
	return box, nil
}

// Open opens the next box of the other side. After ErrOpen the channel is as it
// was, and the right box still opens.
func (c *Channel) Open(box []byte) ([]byte, error) {
	d := &c.in
	if len(box) < Overhead || len(box) > MaxPlain+Overhead || binary.BigEndian.Uint64(box) != d.next {
		return nil, ErrOpen
	}
	plain, err := d.aead.Open(nil, nonce(d.next), box[8:], associated(c.context, d.name))
	if err != nil {
		return nil, ErrOpen
	}
	d.next++
	return plain, nil
}

// Format prints nothing of the keys.
func (c *Channel) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[sealed channel]") }

// Responder answers requests, each once. It is not safe for concurrent use.
type Responder struct {
	channel             *Channel
	lastBox, lastAnswer []byte
}

// NewResponder answers on c, which nothing else may use then.
func NewResponder(c *Channel) *Responder { return &Responder{channel: c} }

// Answer opens a request, has it carried out and seals the reply. A box that is
// the one of before, byte for byte, gets the reply of before, and do is not
// called. Any other box that is not the next is ErrOpen. A reply longer than
// MaxPlain is ErrSize and lost, so do keeps its replies shorter.
func (r *Responder) Answer(box []byte, do func(request []byte) (reply []byte)) ([]byte, error) {
	if r.lastBox != nil && bytes.Equal(box, r.lastBox) {
		return r.lastAnswer, nil
	}
	request, err := r.channel.Open(box)
	if err != nil {
		return nil, err
	}
	answer, err := r.channel.Seal(do(request))
	if err != nil {
		return nil, err
	}
	r.lastBox, r.lastAnswer = bytes.Clone(box), answer
	return answer, nil
}
