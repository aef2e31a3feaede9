// Package netplan recognises wired interfaces whose configuration netplan
// generates, for systemd-networkd or for NetworkManager, and says why a reset
// leaves them alone: netplan would write its files anew at the next start, so a
// change of them would not last, and its own YAML may be written by yet another
// program (cloud-init, a NAS's web interface).
//
// It never changes anything: it is never present, and so has no steps.
package netplan

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/netstack"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// ID is the adapter's name in steps and operations.
const ID = "netplan"

// directories are where netplan reads its YAML (netplan(5)).
func directories() []string { return []string{"/run/netplan", "/etc/netplan", "/lib/netplan"} }

// Adapter is netplan.
type Adapter struct{ system netstack.System }

// New is the adapter of that system. It has no side effect.
func New(system netstack.System) *Adapter { return &Adapter{system} }

// ID is "netplan".
func (a *Adapter) ID() string { return ID }

// Effects are those that are not carried out where netplan is in use.
func (a *Adapter) Effects() []nas.Effect { return []nas.Effect{nas.E4, nas.E5, nas.E7} }

// Detect is never present; it says which files netplan writes, and from what.
func (a *Adapter) Detect(ctx context.Context) (reset.Found, error) {
	found := reset.Found{What: "netplan"}
	nics, err := a.system.Survey(ctx)
	if err != nil {
		found.Why = err.Error()
		return found, nil
	}
	nics = netstack.Of(nics, netstack.Netplan)
	if len(nics) == 0 {
		found.Why = "netplan configures no wired interface here"
		return found, nil
	}
	found.Why, found.Blocked = netstack.Refused(nics), true
	if sources := a.sources(); len(sources) > 0 {
		found.Why += " (it reads " + strings.Join(sources, ", ") + ")"
	}
	return found, nil
}

// sources are the YAML files.
func (a *Adapter) sources() []string {
	var all []string
	for _, dir := range directories() {
		entries, err := a.system.FS.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if path.Ext(e.Name()) == ".yaml" {
				all = append(all, path.Join(dir, e.Name()))
			}
		}
	}
	return all
}

// Read fills nothing: what is not changed is not shown as if it were.
func (a *Adapter) Read(context.Context, *nas.Settings) error { return nil }

// Prepare has no steps.
func (a *Adapter) Prepare(context.Context, setting.Request) ([]reset.Step, error) { return nil, nil }

var errNoSteps = errors.New("netplan's files are never changed")

func refuse(s reset.Step) error {
	return fmt.Errorf("the step %q: %w: %w", s.Name, errNoSteps, setting.ErrPermanent)
}

// Persist refuses.
func (a *Adapter) Persist(_ context.Context, s reset.Step) error { return refuse(s) }

// Activate refuses.
func (a *Adapter) Activate(_ context.Context, s reset.Step) error { return refuse(s) }

// Verify refuses.
func (a *Adapter) Verify(_ context.Context, s reset.Step) error { return refuse(s) }

// Undo refuses.
func (a *Adapter) Undo(_ context.Context, s reset.Step) error { return refuse(s) }
