package unit

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/paperclip-nas/paperclip/internal/device/setting/saved"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// keptUnits is the saved form of a setting that is units.
type keptUnits struct {
	Units []Kept `json:"units"`
}

// SaveUnits is the saved form of those of the units that are here.
func (s System) SaveUnits(ctx context.Context, id string, names ...string) (json.RawMessage, error) {
	all := keptUnits{Units: []Kept{}}
	for _, name := range names {
		k, err := s.Kept(ctx, id, name)
		if errors.Is(err, ErrNoSystemd) {
			break
		}
		if err != nil {
			return nil, err
		}
		if k != nil {
			all.Units = append(all.Units, *k)
		}
	}
	return saved.Encode(id, all)
}

// RestoreUnits are the changes to a saved form that may be of those units only.
func (s System) RestoreUnits(ctx context.Context, id string, raw json.RawMessage, names ...string) ([]Change, error) {
	var all keptUnits
	if err := saved.Decode(raw, id, &all); err != nil {
		return nil, err
	}
	if all.Units == nil {
		return nil, saved.Refuse("it holds no value")
	}
	var changes []Change
	seen := make(map[string]bool)
	for _, name := range names {
		seen[name] = false
	}
	for _, k := range all.Units {
		if twice, known := seen[k.Unit]; !known || twice {
			return nil, saved.Refuse("%.80q is not a unit of this setting", k.Unit)
		}
		seen[k.Unit] = true
		c, err := s.Restore(ctx, id, k)
		if err != nil {
			return nil, err
		}
		if c != nil {
			changes = append(changes, *c)
		}
	}
	return changes, nil
}

// Save is the unit: whether it is masked, and by what it was replaced.
func (s Switch) Save(ctx context.Context) (json.RawMessage, error) {
	return s.SaveUnits(ctx, s.Name, s.Unit)
}

// PrepareRestore gives the one step, where the unit is not as it was saved.
func (s Switch) PrepareRestore(ctx context.Context, raw json.RawMessage) ([]reset.Step, error) {
	changes, err := s.RestoreUnits(ctx, s.Name, raw, s.Unit)
	var steps []reset.Step
	for _, c := range changes {
		data, err := json.Marshal(c)
		if err != nil {
			return nil, err
		}
		steps = append(steps, reset.Step{Name: s.Step, Adapter: s.Name, Effects: s.Effects(), Data: data})
	}
	return steps, err
}
