// Package bundle is the settings of one NAS as its adapters saved them, in one
// versioned document: what the device keeps of itself before a hard reset, the
// baseline that it went out with, and what a snapshot holds before it is sealed.
//
// A section is one adapter's, under the adapter's id, in a form that only that
// adapter reads. It holds hashes where it must, so a bundle is for root alone
// (0600) and leaves the device sealed or not at all. The package never puts
// anything back: that is a transaction of core.
package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/x/strictjson"
)

const (
	// Version is the format that this package writes.
	Version = 1
	// MaxSize is the largest bundle, in bytes.
	MaxSize = 8 << 20

	maxSections = 200
)

var (
	// ErrDamaged says that what was read is no bundle.
	ErrDamaged = errors.New("these saved settings cannot be read")
	// ErrNewer says that a newer version of this program wrote it.
	ErrNewer = errors.New("these settings were saved by a newer version of this program")
	// ErrTooLarge says that there is more to save than a bundle holds.
	ErrTooLarge = errors.New("there is more to save than fits")
)

// Bundle is the settings of one NAS at one time.
type Bundle struct {
	Version     int                        `json:"version"`
	MadeAt      time.Time                  `json:"made_at"`
	KeyID       string                     `json:"key_id"`                // of the device's identity
	Name        string                     `json:"name"`                  // of the device
	Transaction string                     `json:"transaction,omitempty"` // before which it was made
	Settings    *nas.Settings              `json:"settings,omitempty"`    // to be shown; nothing is restored from it
	Sections    map[string]json.RawMessage `json:"sections"`              // by adapter
	NotHeld     []string                   `json:"not_held,omitempty"`    // adapters that keep nothing
}

// Save has every adapter that is a Keeper, and whose setting this system has,
// save it. notHeld names those that are present and keep nothing. An adapter
// that cannot save fails the whole: half a bundle is none.
func Save(ctx context.Context, adapters []setting.Adapter) (sections map[string]json.RawMessage, notHeld []string, err error) {
	sections = map[string]json.RawMessage{}
	for _, a := range adapters {
		found, err := a.Detect(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("saving %s: %w", a.ID(), err)
		}
		if !found.Present {
			continue
		}
		k, ok := a.(setting.Keeper)
		if !ok {
			notHeld = append(notHeld, a.ID())
			continue
		}
		saved, err := k.Save(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("saving %s: %w", a.ID(), err)
		}
		sections[a.ID()] = saved
	}
	return sections, notHeld, nil
}

// Encode writes a bundle, or ErrTooLarge.
func Encode(b Bundle) ([]byte, error) {
	b.Version = Version
	if b.Sections == nil {
		b.Sections = map[string]json.RawMessage{}
	}
	raw, err := json.Marshal(b)
	switch {
	case err != nil:
		return nil, fmt.Errorf("bundle: %w", err)
	case len(raw) > MaxSize || len(b.Sections) > maxSections:
		return nil, ErrTooLarge
	}
	return raw, nil
}

// Parse reads what Encode wrote. The error is ErrNewer for a later version and
// ErrDamaged for all else.
func Parse(raw []byte) (Bundle, error) {
	if len(raw) > MaxSize {
		return Bundle{}, fmt.Errorf("%w: more than %d bytes", ErrDamaged, MaxSize)
	}
	// The version first: a later one may have fields that are not known here.
	var v struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(raw, &v); err == nil && v.Version > Version {
		return Bundle{}, fmt.Errorf("%w: version %d, not %d", ErrNewer, v.Version, Version)
	}
	var b Bundle
	if err := strictjson.Unmarshal(raw, &b); err != nil {
		return Bundle{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	switch {
	case b.Version != Version:
		return Bundle{}, fmt.Errorf("%w: version %d", ErrDamaged, b.Version)
	case b.Sections == nil || len(b.Sections) > maxSections:
		return Bundle{}, fmt.Errorf("%w: %d sections", ErrDamaged, len(b.Sections))
	}
	return b, nil
}
