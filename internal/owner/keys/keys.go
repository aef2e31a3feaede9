// Package keys remembers which NAS are whose: the identity key of every device
// that this computer has met, and this computer's own owner key.
//
// A key is remembered at the first meeting, as SSH does, or, stronger, after a
// claim, whose PAKE has proved it. What a device announces (name, MAC, key id)
// is only used to find out which remembered device it pretends to be: Judge
// then compares keys. A device that goes by a remembered device's name and
// shows another key is a mismatch, and a mismatch stops everything.
//
// The package opens no connection. It never replaces a remembered key by
// another one, never sends anything, and never overwrites a file that it
// cannot read: forgetting a key is a person's decision.
package keys

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/protocol/identity"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/recordfile"
)

const (
	// KnownFile is the name of the file of remembered devices.
	KnownFile = "known.json"
	// OwnerFile is the name of the file of this computer's owner key.
	OwnerFile = "owner.key"
	// MaxDevices is how many devices are remembered at most.
	MaxDevices = 4096

	maxKnown    = 4 << 20
	maxText     = 255
	maxMACs     = 32
	ownerPrefix = "paperclip-owner-key/1 "
)

// How is how a device's key came to be remembered.
type How string

// The ways. Only a claim proves a key; a first meeting only fixes it.
const (
	Met     How = "first meeting"
	Claimed How = "claim"
)

// Verdict is what the memory says of a live key.
type Verdict string

// The verdicts, as `paperclip find --json` shows them.
const (
	Unknown  Verdict = "unknown"
	Match    Verdict = "match"
	Mismatch Verdict = "mismatch"
)

// Device is one remembered device.
type Device struct {
	KeyID     string            `json:"key_id"`
	PublicKey ed25519.PublicKey `json:"public_key"`
	Name      string            `json:"name"`
	MACs      []string          `json:"macs"`
	Address   string            `json:"address"` // where it was met last, as host:port
	FirstSeen time.Time         `json:"first_seen"`
	How       How               `json:"how"`
}

// Hints are what a device says of itself, or is asked for by. Anyone can
// forge them: they only tell which remembered device is meant.
type Hints struct {
	Name    string
	MACs    []string
	KeyID   string // as announced
	Address string // as a person typed it, or the address met
}

// Pin is the key that a device must show on every connection.
type Pin struct {
	Key ed25519.PublicKey // nil: any key, and no password is sent
	// Proved says that a claim has proved the key, now or earlier. Only then
	// may a password be sent.
	Proved bool
	// Leaf is the TLS key that a claim of this very run has proved (DER
	// SubjectPublicKeyInfo): with it the clocks of the two sides may disagree.
	Leaf []byte
}

// Pin is what is remembered of a key, as a pin.
func (s *Store) Pin(key ed25519.PublicKey) Pin {
	d, ok := s.Lookup(key)
	return Pin{Key: key, Proved: ok && d.How == Claimed}
}

// Store is the memory: a folder with two files. It is safe for concurrent use
// within one process; between processes the last writer wins per device file,
// whole.
type Store struct {
	fsys opfs.FS
	dir  string

	mu      sync.Mutex
	devices []Device
}

func format() recordfile.Format[Device] {
	return recordfile.Format[Device]{
		Name: KnownFile, List: "devices", Version: 1, Op: "keys", MaxSize: maxKnown, Most: MaxDevices, Check: check,
	}
}

// Open reads the memory in dir; a folder or file that is missing is an empty
// one. A file that cannot be read whole is the problem file_unusable: starting
// with an empty memory would take every device for an unknown one.
func Open(fsys opfs.FS, dir string) (*Store, error) {
	devices, err := format().Read(fsys, dir)
	if err != nil {
		return nil, unusable(err)
	}
	seen := map[string]bool{}
	for i, d := range devices {
		if seen[d.KeyID] {
			return nil, unusable(fmt.Errorf("%s: the key of device %d is there twice", KnownFile, i+1))
		}
		seen[d.KeyID] = true
	}
	return &Store{fsys: fsys, dir: dir, devices: devices}, nil
}

func unusable(err error) error { return catalog.New("file_unusable", err.Error()).Because(err) }

func (s *Store) path(name string) string { return filepath.Join(s.dir, name) }

func check(d Device) error {
	switch {
	case len(d.PublicKey) != ed25519.PublicKeySize:
		return errors.New("its key is not an Ed25519 key")
	case d.KeyID != identity.KeyID(d.PublicKey):
		return errors.New("its key id is not that of its key")
	case d.How != Met && d.How != Claimed:
		return errors.New("how it was met is not known here")
	case len(d.Name) > maxText || len(d.Address) > maxText || len(d.MACs) > maxMACs:
		return errors.New("a text or list in it is too long")
	}
	for _, m := range d.MACs {
		if n, ok := nas.NormalMAC(m); !ok || n != m {
			return errors.New("a MAC address in it cannot be read")
		}
	}
	return nil
}

// Judge compares the key that a device has just shown over TLS with what is
// remembered of the device that it says it is. It is a mismatch when the hints
// name remembered devices and none of them has this key.
func (s *Store) Judge(live ed25519.PublicKey, h Hints) Verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	named, match := false, false
	for _, d := range s.devices {
		same := d.PublicKey.Equal(live)
		if h.names(d) {
			named = true
			match = match || same
		}
	}
	switch {
	case match:
		return Match
	case named:
		return Mismatch
	case s.index(live) >= 0:
		return Match
	}
	return Unknown
}

// names reports whether the hints point at d.
func (h Hints) names(d Device) bool {
	switch {
	case h.Name != "" && strings.EqualFold(h.Name, d.Name),
		h.KeyID != "" && h.KeyID == d.KeyID,
		h.Address != "" && h.Address == d.Address:
		return true
	}
	return slices.ContainsFunc(h.MACs, func(m string) bool {
		n, ok := nas.NormalMAC(m)
		return ok && slices.Contains(d.MACs, n)
	})
}

// Lookup returns the device with that key.
func (s *Store) Lookup(live ed25519.PublicKey) (Device, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.index(live)
	if i < 0 {
		return Device{}, false
	}
	return s.devices[i], true
}

func (s *Store) index(live ed25519.PublicKey) int {
	return slices.IndexFunc(s.devices, func(d Device) bool { return d.PublicKey.Equal(live) })
}

// Devices lists what is remembered, oldest first.
func (s *Store) Devices() []Device {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.devices)
}

// Remember writes a device down, or brings its entry up to date. First-seen
// stays, and a key that a claim has proved stays proved. KeyID is filled in.
func (s *Store) Remember(d Device) error {
	d.KeyID = identity.KeyID(d.PublicKey)
	d.FirstSeen = d.FirstSeen.UTC().Truncate(time.Second)
	d.MACs = normal(d.MACs)
	if err := check(d); err != nil {
		return fmt.Errorf("keys: remember: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	devices := slices.Clone(s.devices)
	if i := s.index(d.PublicKey); i >= 0 {
		d.FirstSeen = devices[i].FirstSeen
		if devices[i].How == Claimed {
			d.How = Claimed
		}
		devices[i] = d
	} else {
		devices = append(devices, d)
	}
	return s.save(devices)
}

// Forget removes a device; it is no error when it is not there.
func (s *Store) Forget(keyID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.save(slices.DeleteFunc(slices.Clone(s.devices), func(d Device) bool { return d.KeyID == keyID }))
}

func normal(macs []string) []string {
	out := []string{}
	for _, m := range macs {
		if n, ok := nas.NormalMAC(m); ok && !slices.Contains(out, n) && len(out) < maxMACs {
			out = append(out, n)
		}
	}
	return out
}

func (s *Store) save(devices []Device) error {
	if err := format().Write(s.fsys, s.dir, devices); err != nil {
		return unusable(err)
	}
	s.devices = devices
	return nil
}

// OwnerKey returns this computer's owner key, which a NAS enrols at a claim.
// It is made from rand at the first call and kept in OwnerFile (0600).
func (s *Store) OwnerKey(rand io.Reader) (ed25519.PrivateKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, err := s.fsys.ReadFile(s.path(OwnerFile))
	if err == nil {
		return parseOwner(data)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, unusable(fmt.Errorf("%s: %w", OwnerFile, err))
	}
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(rand, seed); err != nil {
		return nil, fmt.Errorf("keys: no randomness for the owner key: %w", err)
	}
	if err := s.fsys.MkdirAll("keys.mkdir", s.dir, 0o700); err != nil {
		return nil, unusable(err)
	}
	text := fmt.Appendf(nil, "%s%x\n", ownerPrefix, seed)
	if err := atomicfile.Replace(s.fsys, "keys.owner", s.path(OwnerFile), text, atomicfile.Options{Mode: 0o600, Enforce: true}); err != nil {
		return nil, unusable(fmt.Errorf("%s: %w", OwnerFile, err))
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

func parseOwner(data []byte) (ed25519.PrivateKey, error) {
	bad := unusable(errors.New(OwnerFile + " does not hold an owner key"))
	hexSeed, ok := bytes.CutPrefix(bytes.TrimRight(data, "\r\n"), []byte(ownerPrefix))
	if !ok || len(hexSeed) != 2*ed25519.SeedSize {
		return nil, bad
	}
	seed, err := hex.DecodeString(string(hexSeed))
	if err != nil {
		return nil, bad
	}
	return ed25519.NewKeyFromSeed(seed), nil
}
