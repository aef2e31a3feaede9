package core

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"

	"github.com/paperclip-nas/paperclip/internal/device/journal"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// setUp is what is still to be done after the last hard reset: the owner chose
// that settings are put back, and until that is done the device shows
// "Configuration lost" (D4 F3).
type setUp struct {
	fsys opfs.FS
	file string
	kept setUpFile
}

type setUpFile struct {
	Version     int           `json:"version"`
	Transaction string        `json:"transaction"` // the last hard reset that was committed
	Restore     reset.Restore `json:"restore"`     // what is to follow; empty: nothing, or it is done
}

func loadSetUp(fsys opfs.FS, dir string) (*setUp, error) {
	s := &setUp{fsys: fsys, file: path.Join(dir, "setup.json"), kept: setUpFile{Version: 1}}
	if err := readState(fsys, s.file, &s.kept); err != nil {
		return nil, err
	}
	if s.kept.Version != 1 {
		return nil, fmt.Errorf("%s is of version %d, not 1", s.file, s.kept.Version)
	}
	return s, nil
}

// note writes down what the owner chose to follow, once for each hard reset:
// noting it again after a restart brings back nothing that was done since.
func (s *setUp) note(r *journal.Record) error {
	if r.Mode != reset.Hard || r.State != journal.Committed || s.kept.Transaction == r.ID {
		return nil
	}
	var plan reset.Plan
	if err := json.Unmarshal(r.Plan, &plan); err != nil || plan.Wizard == nil {
		return fmt.Errorf("the plan in the journal cannot be read: %w", errors.Join(err))
	}
	return s.keep("setup.note", setUpFile{Version: 1, Transaction: r.ID, Restore: plan.Wizard.Restore})
}

// done says that nothing is to follow any more.
func (s *setUp) done() error {
	if s.kept.Restore == reset.RestoreNone {
		return nil
	}
	next := s.kept
	next.Restore = reset.RestoreNone
	return s.keep("setup.done", next)
}

func (s *setUp) keep(op string, next setUpFile) error {
	if err := writeState(s.fsys, op, s.file, next); err != nil {
		return err
	}
	s.kept = next
	return nil
}

// deviceStatus is how the device is. Run's goroutine only.
func (c *Core) deviceStatus() nas.Status {
	switch {
	case c.busy() && c.current.hard, c.setUp.kept.Restore != reset.RestoreNone:
		return nas.ConfigurationLost
	case c.busy(), !c.ready:
		return nas.StartingServices
	case c.cfg.SafeMode:
		return nas.SafeMode
	default:
		return nas.Ready
	}
}

// afterHard is what a hard reset that has ended leaves to do beside its receipt.
// Doing it again changes nothing.
func (c *Core) afterHard(r *journal.Record) {
	if r.Mode != reset.Hard {
		return
	}
	if err := c.setUp.note(r); err != nil {
		c.cfg.Log.Error("what is left to set up could not be written; it will be at the next start", "transaction", r.ID, "error", err)
	}
	if err := Bundles(c.cfg.FS, c.cfg.Dir).Prune(bundlesKept); err != nil {
		c.cfg.Log.Error("old restore bundles could not be removed", "error", err)
	}
}
