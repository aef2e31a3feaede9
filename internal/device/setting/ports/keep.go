package ports

import (
	"context"
	"encoding/json"

	"github.com/paperclip-nas/paperclip/internal/device/setting/ownfile"
	"github.com/paperclip-nas/paperclip/internal/device/setting/saved"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// kept is what a snapshot holds: the whole file, with the owner's comments.
type kept struct {
	Exists bool            `json:"exists"`
	File   ownfile.Content `json:"file"`
}

// Save is the file as it is.
func (a *Adapter) Save(context.Context) (json.RawMessage, error) {
	now, err := ownfile.Read(a.fsys, Path)
	if err != nil {
		return nil, err
	}
	return saved.Encode(ID, kept{now != nil, now})
}

// PrepareRestore gives the one step, where the file holds something else. A
// file that says no ports is refused.
func (a *Adapter) PrepareRestore(_ context.Context, raw json.RawMessage) ([]reset.Step, error) {
	k := kept{Exists: true}
	if err := saved.Decode(raw, ID, &k); err != nil {
		return nil, err
	}
	if k.Exists != (k.File != nil) {
		return nil, saved.Refuse("it holds no value")
	}
	if k.File != nil {
		if _, err := Parse([]byte(*k.File)); err != nil {
			return nil, saved.Refuse("%w", err)
		}
	}
	now, err := ownfile.Read(a.fsys, Path)
	if err != nil || ownfile.Equal(now, k.File) {
		return nil, err
	}
	step, err := saved.Step(a, "management ports", change{From: now, To: k.File, Back: true})
	return []reset.Step{step}, err
}
