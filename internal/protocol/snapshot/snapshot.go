// Package snapshot is a NAS's settings in a file that only their owner opens:
// one line that says which NAS this is of, signed with the identity key, and
// behind it the settings, sealed with age (age-encryption.org/v1) to the
// owner's recovery key alone.
//
// The device has only the recipient, the public half of that key: neither it
// nor a thief with its disk opens what it sealed. Who has the key opens a
// snapshot with age itself too:
//
//	tail -n +2 FILE | age -d -i KEYFILE
//
// The line is what anybody may know who holds the file: name, key id, time. The
// signature covers it and every byte behind it, so that nobody can slip a
// device settings that are not its own. What is inside is bounded and is not
// understood here: package bundle of the device reads it.
package snapshot

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/protocol/identity"
	"github.com/paperclip-nas/paperclip/internal/x/strictjson"
)

const (
	// Version is the one that is written; a later one is refused.
	Version = 1
	// MaxFile is the largest file, in bytes.
	MaxFile = 2 << 20
	// MaxContent is the most that is sealed, in bytes.
	MaxContent = MaxFile - 16<<10

	format     = "paperclip-snapshot"
	maxLine    = 4 << 10
	maxText    = 255
	signDomain = "paperclip-snapshot/1\x00"
)

var (
	// ErrFormat says that what was read is no snapshot, or not a whole one.
	ErrFormat = errors.New("not a whole Paperclip snapshot")
	// ErrNewer says that a newer version of this program wrote it.
	ErrNewer = errors.New("this snapshot was made by a newer version of Paperclip")
	// ErrSignature says that it was changed, or another device made it.
	ErrSignature = errors.New("the snapshot's signature does not fit: it was changed after it was made")
	// ErrKey says that the recovery key is not the one it was sealed to.
	ErrKey = errors.New("this is not the recovery key that the snapshot was sealed to")
	// ErrRecoveryKey says that a text is no recovery key.
	ErrRecoveryKey = errors.New("this is not a recovery key")
	// ErrTooLarge says that there is more than a snapshot holds.
	ErrTooLarge = errors.New("there is more than fits into a snapshot")
)

// Header is the first line of the file.
type Header struct {
	Format    string            `json:"format"`
	Version   int               `json:"version"`
	Name      string            `json:"name"` // of the device
	KeyID     string            `json:"key_id"`
	PublicKey ed25519.PublicKey `json:"public_key"`
	MadeAt    time.Time         `json:"made_at"`   // by the device's clock, UTC, whole seconds
	Recipient string            `json:"recipient"` // to which it is sealed
	Digest    string            `json:"digest"`    // hex SHA-256 of what follows the line
	Signature string            `json:"signature"` // of the line with an empty signature; base64
}

// NewRecoveryKey makes an owner's recovery key: the secret half, to be printed
// once and kept away from the NAS, and the recipient, which the NAS is given.
func NewRecoveryKey() (key access.Secret, recipient string, err error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return access.Secret{}, "", err
	}
	return access.NewSecret(id.String()), id.Recipient().String(), nil
}

// ParseRecoveryKey reads a key as it was printed and returns its recipient.
// Lines that begin with # are passed over, as in a key file of age.
func ParseRecoveryKey(text access.Secret) (recipient string, err error) {
	id, err := parseKey(text)
	if err != nil {
		return "", err
	}
	return id.Recipient().String(), nil
}

func parseKey(text access.Secret) (*age.X25519Identity, error) {
	for line := range strings.Lines(text.Reveal()) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, err := age.ParseX25519Identity(line)
		if err != nil {
			return nil, ErrRecoveryKey // age's own error may repeat it
		}
		return id, nil
	}
	return nil, ErrRecoveryKey
}

// ValidRecipient tells whether s is the public half of a recovery key.
func ValidRecipient(s string) bool {
	if len(s) > 100 {
		return false
	}
	r, err := age.ParseX25519Recipient(s)
	return err == nil && r.String() == s
}

// Seal makes a snapshot. Of h it takes the name and the time.
func Seal(device ed25519.PrivateKey, recipient string, h Header, content []byte) ([]byte, error) {
	if len(content) > MaxContent {
		return nil, ErrTooLarge
	}
	r, err := age.ParseX25519Recipient(recipient)
	if err != nil {
		return nil, fmt.Errorf("snapshot: the recipient cannot be read: %w", err)
	}
	var body bytes.Buffer
	w, err := age.Encrypt(&body, r)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	pub := device.Public().(ed25519.PublicKey)
	h.Format, h.Version, h.Recipient, h.Digest = format, Version, recipient, digest(body.Bytes())
	h.PublicKey, h.KeyID, h.MadeAt = pub, identity.KeyID(pub), h.MadeAt.UTC().Truncate(time.Second)
	h.Signature = base64.StdEncoding.EncodeToString(ed25519.Sign(device, h.statement()))
	if err := h.check(); err != nil {
		return nil, err
	}
	line, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	return append(append(line, '\n'), body.Bytes()...), nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func (h Header) statement() []byte {
	h.Signature = ""
	line, err := json.Marshal(h)
	if err != nil { // texts and numbers all through
		panic(fmt.Sprintf("snapshot: header cannot be written: %v", err))
	}
	return append([]byte(signDomain), line...)
}

// Check reads a snapshot's line and verifies that the device which it names
// made the file as it is. It opens nothing.
func Check(file []byte) (Header, error) {
	h, _, err := split(file)
	return h, err
}

func split(file []byte) (Header, []byte, error) {
	var h Header
	line, body, ok := bytes.Cut(file[:min(len(file), MaxFile)], []byte("\n"))
	if !ok || len(line) > maxLine || len(file) > MaxFile {
		return h, nil, ErrFormat
	}
	// The version first: a later one may have fields that are not known here.
	var v struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	if err := json.Unmarshal(line, &v); err != nil || v.Format != format {
		return h, nil, ErrFormat
	}
	if v.Version > Version {
		return h, nil, fmt.Errorf("%w: version %d, and this program reads %d", ErrNewer, v.Version, Version)
	}
	if err := strictjson.Unmarshal(line, &h); err != nil {
		return h, nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if again, err := json.Marshal(h); err != nil || !bytes.Equal(again, line) {
		return h, nil, fmt.Errorf("%w: its first line was edited", ErrFormat)
	}
	if err := h.check(); err != nil {
		return h, nil, err
	}
	signature, err := base64.StdEncoding.DecodeString(h.Signature)
	if err != nil || base64.StdEncoding.EncodeToString(signature) != h.Signature || h.Digest != digest(body) || !ed25519.Verify(h.PublicKey, h.statement(), signature) {
		return h, nil, ErrSignature
	}
	return h, body, nil
}

func (h Header) check() error {
	switch {
	case h.Version != Version || h.Format != format:
		return ErrFormat
	case len(h.PublicKey) != ed25519.PublicKeySize || h.KeyID != identity.KeyID(h.PublicKey):
		return fmt.Errorf("%w: its device's key cannot be read", ErrFormat)
	case len(h.Name) > maxText || !ValidRecipient(h.Recipient):
		return fmt.Errorf("%w: its first line cannot be read", ErrFormat)
	}
	return nil
}

// Open verifies a snapshot and opens it with the owner's recovery key.
func Open(file []byte, key access.Secret) (Header, []byte, error) {
	h, body, err := split(file)
	if err != nil {
		return h, nil, err
	}
	id, err := parseKey(key)
	if err != nil {
		return h, nil, err
	}
	if id.Recipient().String() != h.Recipient {
		return h, nil, ErrKey
	}
	r, err := age.Decrypt(bytes.NewReader(body), id)
	if _, wrong := errors.AsType[*age.NoIdentityMatchError](err); wrong {
		return h, nil, ErrKey
	}
	if err != nil {
		return h, nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	content, err := io.ReadAll(io.LimitReader(r, MaxContent+1))
	switch {
	case err != nil:
		return h, nil, fmt.Errorf("%w: %w", ErrFormat, err)
	case len(content) > MaxContent:
		return h, nil, ErrTooLarge
	}
	return h, content, nil
}
