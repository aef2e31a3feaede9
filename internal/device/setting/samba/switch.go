package samba

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// prepareSwitch is the step that switches an SMB account off or on with the
// system's (R4). One without a password opens nothing and stays as it is.
func (a *Adapter) prepareSwitch(ctx context.Context, r setting.Request) ([]reset.Step, error) {
	old, err := a.lookUp(ctx, r.Administrator)
	switch {
	case errors.Is(err, opfs.ErrNoCommand) || errors.Is(err, errNoAccount):
		return nil, nil
	case err != nil:
		return nil, err
	}
	to := old
	to.Disabled = r.Scope == reset.SwitchOff
	if old.NT == "" || to == old {
		return nil, nil
	}
	if err := a.probe(ctx); err != nil {
		return nil, fmt.Errorf("%s has an SMB account that cannot be changed: %w", r.Administrator, err)
	}
	data, err := json.Marshal(change{User: r.Administrator, From: old, To: to})
	return []reset.Step{{Name: "account " + r.Administrator + " in Samba", Adapter: ID, Effects: a.Effects(), Data: data}}, err
}
