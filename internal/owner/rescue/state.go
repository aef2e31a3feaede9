package rescue

import (
	"crypto/ed25519"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/strictjson"
)

const (
	stateVersion = 1
	stateFile    = "state.json"
	receiptFile  = "receipt.json"
	maxState     = 1 << 20
	idLetters    = "abcdefghijkmnpqrstuvwxyz23456789"
	idLength     = 8
)

// State is a rescue as it is written down after every step. It has no field
// for a password, a code or a session key.
type State struct {
	Version int       `json:"version"`
	ID      string    `json:"id"`
	Step    Name      `json:"step"` // where it goes on
	Started time.Time `json:"started"`

	Target        string            `json:"target"`
	Device        string            `json:"device"` // its name
	PublicKey     ed25519.PublicKey `json:"public_key"`
	KeyID         string            `json:"key_id"`
	MACs          []string          `json:"macs"`
	AddressBefore string            `json:"address_before"`
	AddressAfter  string            `json:"address_after"`

	Way           WayID       `json:"way"`
	Mode          reset.Mode  `json:"mode"`
	Scope         reset.Scope `json:"scope"` // of a soft reset
	Administrator string      `json:"administrator"`
	// NewAdministrator: that account is one that the reset makes.
	NewAdministrator bool          `json:"new_administrator,omitempty"`
	SecondFactor     bool          `json:"second_factor,omitempty"` // is taken away too (E13)
	Wizard           *reset.Wizard `json:"wizard,omitempty"`        // the answers for a hard reset
	Plan             *reset.Plan   `json:"plan"`
	PlanHash         string        `json:"plan_hash"`

	// Handed is set before the plan is handed over: from then on the NAS may
	// have accepted it. Transaction is its word that it has, Committed that it
	// is done.
	Handed      bool   `json:"handed"`
	Transaction string `json:"transaction"`
	// Waits is set where the NAS's owner asks for a wait: Request is then what
	// waits on the NAS, and Redeemed that it was carried out.
	Waits      bool   `json:"waits,omitempty"`
	Request    string `json:"request,omitempty"`
	Redeemed   bool   `json:"redeemed,omitempty"`
	Committed  bool   `json:"committed"`
	HasReceipt bool   `json:"has_receipt"`

	SignedIn bool     `json:"signed_in"`
	Evidence Evidence `json:"evidence"`
	Timeline []Entry  `json:"timeline"`
	NotDone  []string `json:"not_done"`
}

// Entry is one step in the timeline.
type Entry struct {
	Step     Name      `json:"step"`
	Started  time.Time `json:"started"`
	MS       int64     `json:"ms"`
	Verified bool      `json:"verified"`
}

// store keeps states and receipts, one folder for each rescue.
type store struct {
	fsys opfs.FS
	dir  string
}

func newID(rand io.Reader) (string, error) {
	b := make([]byte, 5)
	if _, err := io.ReadFull(rand, b); err != nil {
		return "", fmt.Errorf("rescue: no randomness: %w", err)
	}
	return base32.NewEncoding(idLetters).EncodeToString(b), nil
}

// ValidID reports whether an id is one that a rescue can have.
func ValidID(id string) bool { return len(id) == idLength && strings.Trim(id, idLetters) == "" }

func (s store) path(id, name string) string { return filepath.Join(s.dir, id, name) }

func (s store) save(st State) error {
	data, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return err
	}
	return s.write("rescue.state", st.ID, stateFile, append(data, '\n'))
}

func (s store) saveReceipt(id string, file []byte) error {
	return s.write("rescue.receipt", id, receiptFile, file)
}

func (s store) readReceipt(id string) ([]byte, error) {
	return s.fsys.ReadFile(s.path(id, receiptFile))
}

func (s store) write(op, id, name string, data []byte) error {
	if err := s.fsys.MkdirAll("rescue.mkdir", filepath.Join(s.dir, id), 0o700); err != nil {
		return notKept(err)
	}
	if err := atomicfile.Replace(s.fsys, op, s.path(id, name), data, atomicfile.Options{Mode: 0o600, Enforce: true}); err != nil {
		return notKept(err)
	}
	return nil
}

func notKept(err error) error { return catalog.New("rescue_not_kept", err).Because(err) }

// load reads a state. One that is missing or cannot be read is the problem
// resume_unknown.
func (s store) load(id string) (State, error) {
	var st State
	if !ValidID(id) {
		return st, catalog.New("resume_unknown", fmt.Sprintf("%.20q", id))
	}
	data, err := s.fsys.ReadFile(s.path(id, stateFile))
	if err != nil {
		return st, catalog.New("resume_unknown", id).Because(err)
	}
	if len(data) > maxState {
		return st, catalog.New("file_unusable", stateFile+" is too large")
	}
	if err := strictjson.Unmarshal(data, &st); err != nil {
		return st, catalog.New("file_unusable", stateFile+": "+err.Error()).Because(err)
	}
	if err := st.check(id); err != nil {
		return st, catalog.New("file_unusable", stateFile+": "+err.Error())
	}
	return st, nil
}

func (st State) check(id string) error {
	_, known := row(st.Step)
	switch {
	case st.Version != stateVersion:
		return fmt.Errorf("version %d; this program reads version %d", st.Version, stateVersion)
	case st.ID != id:
		return fmt.Errorf("it is of another rescue")
	case !known && st.Step != Ended:
		return fmt.Errorf("its step is not known")
	case len(st.PublicKey) != 0 && len(st.PublicKey) != ed25519.PublicKeySize:
		return fmt.Errorf("its device's key cannot be read")
	}
	return nil
}
