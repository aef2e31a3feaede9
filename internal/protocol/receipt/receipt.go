// Package receipt is what a device says it did: a small signed file that the
// owner keeps, and that anybody can check without the device.
//
// A receipt is one line of JSON. The statement is kept inside as a string, and
// the signature is over exactly that string, so that no two programs can
// disagree about what was signed. There is one way to write a receipt, and
// Parse refuses every other: whichever byte of a file is changed, it is no
// longer a receipt.
//
// No type here has a field for a password, a code or a key other than the
// device's public one: a receipt may be mailed and printed. Verify says which
// key signed; whether that is the owner's device is for the caller to know.
package receipt

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/paperclip-nas/paperclip/internal/protocol/identity"
	"github.com/paperclip-nas/paperclip/internal/x/strictjson"
)

const (
	// Format names this version of the file.
	Format = "paperclip-receipt/1"
	// MaxSize is the largest receipt file, in bytes: what still fits, in base64,
	// into one sealed message.
	MaxSize = 24 << 10

	// domain keeps a signature on a receipt from being one on anything else
	// that the identity key signs.
	domain = Format + "\x00"
)

// Why a file is not accepted.
var (
	ErrFormat    = errors.New("not a Paperclip receipt")
	ErrSignature = errors.New("the receipt's signature does not fit: it was changed, or another device made it")
)

// Result is how a transaction ended.
type Result string

// The ways a transaction can end: all of it done, or all of it undone.
const (
	Committed Result = "committed"
	Undone    Result = "undone"
)

// Device is who signs.
type Device struct {
	KeyID     string            `json:"key_id"`
	PublicKey ed25519.PublicKey `json:"public_key"` // 32 bytes, in base64
	Name      string            `json:"name"`
}

// Change is one setting that was changed, in the words of the plan.
type Change struct {
	ID      string `json:"id"`
	Setting string `json:"setting"`
	From    string `json:"from"`
	To      string `json:"to"`
}

// Statement is what a receipt says.
type Statement struct {
	Format        string    `json:"format"`
	Device        Device    `json:"device"`
	Transaction   string    `json:"transaction"`
	Claim         string    `json:"claim"`
	Mode          string    `json:"mode"`
	Scope         string    `json:"scope"`
	Administrator string    `json:"administrator"`
	PlanHash      string    `json:"plan_hash"` // of the plan that was shown
	Changes       []Change  `json:"changes"`
	NotCovered    []string  `json:"not_covered"`
	AcceptedAt    time.Time `json:"accepted_at"`  // by the device's clock, UTC, whole seconds
	CommittedAt   time.Time `json:"committed_at"` // the same; when it was undone, for Undone
	Result        Result    `json:"result"`
	Previous      string    `json:"previous"` // Hash of the device's last receipt; empty for its first
}

// envelope is the file.
type envelope struct {
	Format    string `json:"format"`
	Payload   string `json:"payload"`
	Signature string `json:"signature"`
}

// Sign makes the file. It fills in Format, the device's key and key id, and
// writes the times in UTC and whole seconds.
func Sign(priv ed25519.PrivateKey, s Statement) ([]byte, error) {
	pub := priv.Public().(ed25519.PublicKey)
	s.Format = Format
	s.Device.PublicKey, s.Device.KeyID = pub, identity.KeyID(pub)
	s.AcceptedAt = s.AcceptedAt.UTC().Truncate(time.Second)
	s.CommittedAt = s.CommittedAt.UTC().Truncate(time.Second)
	if s.Changes == nil {
		s.Changes = []Change{}
	}
	if s.NotCovered == nil {
		s.NotCovered = []string{}
	}
	if err := check(s); err != nil {
		return nil, err
	}
	payload, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	file, err := write(envelope{
		Format:    Format,
		Payload:   string(payload),
		Signature: base64.StdEncoding.EncodeToString(ed25519.Sign(priv, signed(string(payload)))),
	})
	if err == nil && len(file) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, more than %d", ErrFormat, len(file), MaxSize)
	}
	return file, err
}

func signed(payload string) []byte { return []byte(domain + payload) }

func write(e envelope) ([]byte, error) {
	line, err := json.Marshal(e)
	return append(line, '\n'), err
}

// Parse reads a receipt without believing it: use Verify to know who made it.
func Parse(file []byte) (Statement, error) {
	e, err := parseEnvelope(file)
	if err != nil {
		return Statement{}, err
	}
	return parsePayload(e.Payload)
}

// Verify reads a receipt and checks that the key it names has signed every
// byte of it. The key id is KeyID of that key; a caller that knows its device
// compares the two. The error is ErrFormat or ErrSignature.
func Verify(file []byte) (keyID string, s Statement, err error) {
	e, err := parseEnvelope(file)
	if err != nil {
		return "", Statement{}, err
	}
	if s, err = parsePayload(e.Payload); err != nil {
		return "", Statement{}, err
	}
	signature, err := base64.StdEncoding.DecodeString(e.Signature)
	if err != nil || base64.StdEncoding.EncodeToString(signature) != e.Signature {
		return "", Statement{}, ErrSignature // base64 can be written in several ways
	}
	if !ed25519.Verify(s.Device.PublicKey, signed(e.Payload), signature) {
		return "", Statement{}, ErrSignature
	}
	return s.Device.KeyID, s, nil
}

// Hash is how the next receipt refers to this one: the SHA-256 of the file, in
// lower-case hex.
func Hash(file []byte) string {
	sum := sha256.Sum256(file)
	return hex.EncodeToString(sum[:])
}

func parseEnvelope(file []byte) (envelope, error) {
	var e envelope
	if len(file) > MaxSize {
		return e, fmt.Errorf("%w: larger than %d bytes", ErrFormat, MaxSize)
	}
	if err := strictjson.Unmarshal(file, &e); err != nil {
		return e, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if e.Format != Format {
		return e, fmt.Errorf("%w of the version that this program reads (%s)", ErrFormat, Format)
	}
	if again, err := write(e); err != nil || !bytes.Equal(again, file) {
		return e, fmt.Errorf("%w as a device writes it: it was edited", ErrFormat)
	}
	return e, nil
}

func parsePayload(payload string) (Statement, error) {
	var s Statement
	if err := strictjson.Unmarshal([]byte(payload), &s); err != nil {
		return Statement{}, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if err := check(s); err != nil {
		return Statement{}, err
	}
	return s, nil
}

// check holds what every receipt must have.
func check(s Statement) error {
	switch {
	case s.Format != Format:
		return fmt.Errorf("%w: the statement is of another version", ErrFormat)
	case len(s.Device.PublicKey) != ed25519.PublicKeySize:
		return fmt.Errorf("%w: no public key", ErrFormat)
	case s.Device.KeyID != identity.KeyID(s.Device.PublicKey):
		return fmt.Errorf("%w: the key id is not that of the public key", ErrFormat)
	case s.Transaction == "":
		return fmt.Errorf("%w: no transaction", ErrFormat)
	case s.Result != Committed && s.Result != Undone:
		return fmt.Errorf("%w: no result", ErrFormat)
	case s.Previous != "" && !isHash(s.Previous):
		return fmt.Errorf("%w: the hash of the previous receipt cannot be read", ErrFormat)
	}
	return nil
}

func isHash(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size && s == hex.EncodeToString(b)
}
