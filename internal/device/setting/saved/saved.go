// Package saved is the form in which an adapter hands its setting to a snapshot
// (R6): a version, the adapter's name and its value, and nothing else.
//
// It never says what a value means. What it cannot read, or what another
// adapter or a newer version wrote, is setting.ErrSaved.
package saved

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/strictjson"
)

// Version is the one that is written.
const Version = 1

// Max bounds the form of one setting, in bytes.
const Max = 8 << 20

type form struct {
	Version int             `json:"version"`
	Adapter string          `json:"adapter"`
	Value   json.RawMessage `json:"value"`
}

// Encode is the form of a value, which has to be a JSON object.
func Encode(adapter string, value any) (json.RawMessage, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	whole, err := json.Marshal(form{Version, adapter, raw})
	if err == nil {
		err = exact(whole)
	}
	if err == nil && len(whole) > Max {
		err = fmt.Errorf("the setting takes %d bytes, more than the %d that a snapshot holds", len(whole), Max)
	}
	return whole, err
}

// Decode reads a form of this adapter, strictly. Its error is setting.ErrSaved.
func Decode(raw json.RawMessage, adapter string, value any) error {
	if len(raw) > Max {
		return Refuse("it has %d bytes, more than %d", len(raw), Max)
	}
	var version struct {
		Version int `json:"version"`
	}
	if json.Unmarshal(raw, &version) == nil && version.Version > Version {
		return Refuse("it is of version %d, newer than %d, the newest known here", version.Version, Version)
	}
	var f form
	if err := strictjson.Unmarshal(raw, &f); err != nil {
		return Refuse("it is damaged: %w", err)
	}
	switch {
	case f.Version != Version:
		return Refuse("there is no version %d of it", f.Version)
	case f.Adapter != adapter:
		return Refuse("it is %.40q's", f.Adapter)
	case bytes.Equal(bytes.TrimSpace(f.Value), []byte("null")):
		return Refuse("it holds no value")
	}
	if err := strictjson.Unmarshal(f.Value, value); err != nil {
		return Refuse("it is damaged: %w", err)
	}
	return nil
}

// exact refuses text that is no UTF-8: encoding/json writes it as this escape,
// and it would not come back as it was.
func exact(raw []byte) error {
	plain := bytes.ReplaceAll(raw, []byte(`\\`), nil)
	if bytes.Contains(plain, []byte(`\ufffd`)) {
		return errors.New("a file of the setting is no text in UTF-8, which a snapshot cannot hold")
	}
	return nil
}

// maxHash bounds a hash of a snapshot, in bytes; crypt(3) makes at most 384.
const maxHash = 1000

// PlainHash tells whether a hash can stand in the shadow file: crypt(5), printable,
// no space, no colon, and never blank.
func PlainHash(hash string) bool {
	return hash != "" && len(hash) <= maxHash && !strings.ContainsFunc(hash, func(r rune) bool { return r <= ' ' || r == ':' || r > '~' })
}

// Refuse is setting.ErrSaved with the reason.
func Refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %w", setting.ErrSaved, fmt.Errorf(format, args...))
}

// Step is a step of the adapter whose data is change, as JSON.
func Step(a setting.Adapter, name string, change any) (reset.Step, error) {
	data, err := json.Marshal(change)
	return reset.Step{Name: name, Adapter: a.ID(), Effects: a.Effects(), Data: data}, err
}
