package unit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// Switch is all of an adapter but Read, for a setting that is one unit: on
// where the unit runs, off where it is masked. An adapter embeds it.
type Switch struct {
	System
	Name string     // the adapter's id, as in steps and operations
	Unit string     // "fail2ban.service"
	What string     // what people call it: "fail2ban"
	Step string     // the step's name
	Row  nas.Effect // which row it carries out
}

// ID is the adapter's name.
func (s Switch) ID() string { return s.Name }

// Effects is the one row.
func (s Switch) Effects() []nas.Effect { return []nas.Effect{s.Row} }

// Detect says whether there is such a unit, and whether it could be masked.
func (s Switch) Detect(ctx context.Context) (reset.Found, error) {
	found := reset.Found{What: s.What}
	switch st, err := s.State(ctx, s.Name+".detect.show", s.Unit); {
	case errors.Is(err, ErrNoSystemd):
		found.Why = err.Error()
		return found, nil
	case err != nil:
		return found, err
	case !st.Installed:
		found.Why = s.What + " is not installed"
		return found, nil
	}
	if _, err := s.Off(ctx, s.Name, s.Unit); err != nil {
		found.Why, found.Blocked = err.Error(), true
		return found, nil
	}
	found.Present = true
	return found, nil
}

// Prepare gives the one step, where the unit is on.
func (s Switch) Prepare(ctx context.Context, r setting.Request) ([]reset.Step, error) {
	if !slices.Contains(reset.Effects(r.Mode, r.Scope), s.Row) {
		return nil, nil
	}
	c, err := s.Off(ctx, s.Name, s.Unit)
	if err != nil || c == nil {
		return nil, err
	}
	data, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	return []reset.Step{{Name: s.Step, Adapter: s.Name, Effects: s.Effects(), Data: data}}, nil
}

// Change reads a step that Prepare made.
func (s Switch) Change(st reset.Step) (Change, error) {
	var c Change
	if err := json.Unmarshal(st.Data, &c); err != nil || c.Unit != s.Unit {
		return Change{}, fmt.Errorf("the step %q is not one of %s's: %w", st.Name, s.What, setting.ErrPermanent)
	}
	return c, nil
}

// Persist writes the mask.
func (s Switch) Persist(_ context.Context, st reset.Step) error {
	c, err := s.Change(st)
	if err != nil {
		return err
	}
	return s.System.Persist(s.Name, c)
}

// Undo removes the mask.
func (s Switch) Undo(_ context.Context, st reset.Step) error {
	c, err := s.Change(st)
	if err != nil {
		return err
	}
	return s.System.Undo(s.Name, c)
}

// Activate stops the unit, or starts it again.
func (s Switch) Activate(ctx context.Context, st reset.Step) error {
	c, err := s.Change(st)
	if err != nil {
		return err
	}
	return s.System.Activate(ctx, s.Name, c)
}

// Verify reads back that the unit is off.
func (s Switch) Verify(ctx context.Context, st reset.Step) error {
	c, err := s.Change(st)
	if err != nil {
		return err
	}
	return s.System.Verify(ctx, s.Name, c)
}
