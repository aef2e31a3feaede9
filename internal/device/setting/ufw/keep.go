package ufw

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"regexp"

	"github.com/paperclip-nas/paperclip/internal/device/setting/ownfile"
	"github.com/paperclip-nas/paperclip/internal/device/setting/saved"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// kept is what a snapshot holds.
type kept struct {
	Enabled ownfile.Content `json:"enabled"` // nil where ufw is not here
	Active  bool            `json:"active"`
}

// Save is whether ufw is on. Its rules no reset touches.
func (a *Adapter) Save(ctx context.Context) (json.RawMessage, error) {
	value, err := enabled.Read(a.fsys)
	if errors.Is(err, fs.ErrNotExist) {
		return saved.Encode(ID, kept{})
	}
	if err != nil {
		return nil, err
	}
	active, err := a.active(ctx, ID+".save.status")
	if err != nil {
		return nil, err
	}
	return saved.Encode(ID, kept{value, active})
}

// plain is what ENABLED may be: the file is read by a shell.
var plain = regexp.MustCompile(`^["' ]?[A-Za-z]{0,8}["' ]?$`)

// PrepareRestore gives the one step, where ufw is on and was off, or the
// other way round.
func (a *Adapter) PrepareRestore(ctx context.Context, raw json.RawMessage) ([]reset.Step, error) {
	var k kept
	if err := saved.Decode(raw, ID, &k); err != nil {
		return nil, err
	}
	value, err := enabled.Read(a.fsys)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	switch {
	case k.Enabled == nil || value == nil:
		return nil, saved.Refuse("ufw is, or was, not here, or %s does not say whether it is on", Configuration)
	case !plain.MatchString(*k.Enabled):
		return nil, saved.Refuse("it says neither that ufw is on nor that it is off")
	}
	active, err := a.active(ctx, ID+".restore.status")
	if err != nil {
		return nil, err
	}
	if ownfile.Equal(value, k.Enabled) && (!yes(value) || active || !k.Active) {
		return nil, nil
	}
	c := change{From: value, To: k.Enabled, Active: active, Back: true}
	if yes(k.Enabled) {
		c.Active = k.Active
	}
	step, err := saved.Step(a, "firewall (ufw)", c)
	return []reset.Step{step}, err
}
