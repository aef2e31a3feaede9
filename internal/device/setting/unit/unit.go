// Package unit switches a systemd unit off so that it stays off, and on again
// just as it was.
//
// Off is systemd's own mask: an empty file of the unit's name in
// /etc/systemd/system, which hides the unit from everything that would start
// it. It is written before the unit is stopped. "systemctl disable" would not
// do: it takes away some of the ways in which a unit is started and not others
// (D-Bus, a socket, another unit, a person), what it removed cannot be put back
// exactly, and it leaves directories behind that may be lost in a power cut. A
// mask is one file of ours, there or not there, and the way back is the usual
// "systemctl unmask".
//
// The package never removes or edits a unit's own files or its links, and never
// touches a unit that it was not asked about.
package unit

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ownfile"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// Directory is where masks go: it wins over every other place but /run's
// transient units.
const Directory = "/etc/systemd/system"

// patience is for stopping and starting: a service may have much to put away.
const patience = 90 * time.Second

// ErrNoSystemd says that no systemd runs here that could be asked.
var ErrNoSystemd = errors.New("systemd does not run here")

// System is the systemd of one machine. FS and Runner are required.
type System struct {
	FS        opfs.FS
	Runner    opfs.Runner
	Systemctl string // "systemctl" when empty
}

// State is how a unit is doing.
type State struct {
	Installed bool // there is such a unit
	Masked    bool // as systemd has loaded it
	Boots     bool // it is started when the system starts
	Active    bool // it runs, or is on its way up or down
}

// On reports whether the unit runs, or will at the next start.
func (s State) On() bool { return s.Active || s.Boots }

// State asks systemd. The operation is op; it has no side effect.
func (s System) State(ctx context.Context, op, name string) (State, error) {
	out, err := s.run(ctx, op, "show", "--property=LoadState,UnitFileState,ActiveState", name)
	if errors.Is(err, opfs.ErrNoCommand) {
		return State{}, ErrNoSystemd
	}
	if err != nil {
		return State{}, err
	}
	if out.ExitCode != 0 {
		return State{}, fmt.Errorf("%w: systemctl ended with status %d", ErrNoSystemd, out.ExitCode)
	}
	var st State
	for line := range strings.Lines(string(out.Stdout)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "LoadState":
			st.Installed = value != "not-found" && value != ""
			st.Masked = value == "masked"
		case "UnitFileState":
			st.Boots = strings.HasPrefix(value, "enabled") || value == "generated"
		case "ActiveState":
			st.Active = !slices.Contains([]string{"inactive", "failed", ""}, value)
		}
	}
	return st, nil
}

func (s System) run(ctx context.Context, op string, args ...string) (opfs.Output, error) {
	systemctl := s.Systemctl
	if systemctl == "" {
		systemctl = "systemctl"
	}
	return s.Runner.Run(ctx, op, opfs.Command{Path: systemctl, Args: args, Timeout: patience})
}

// Do runs systemctl with that verb; a failure is an error with what it said.
func (s System) Do(ctx context.Context, op string, args ...string) error {
	out, err := s.run(ctx, op, args...)
	if err != nil {
		return err
	}
	if out.ExitCode != 0 {
		return fmt.Errorf("systemctl %s ended with status %d: %.200s", strings.Join(args, " "), out.ExitCode, out.Stderr)
	}
	return nil
}

// Change is one unit going off: what a step holds of it.
type Change struct {
	Unit   string          `json:"unit"`
	From   ownfile.Content `json:"from"`   // what stood in the place of the mask: normally no file
	Active bool            `json:"active"` // it ran
}

var mask = ownfile.Text("")

// File is where the unit's mask goes.
func File(name string) string { return path.Join(Directory, name) }

// Off works out how to switch a unit off: nil where it is off already, or not
// there. id begins the names of operations.
func (s System) Off(ctx context.Context, id, name string) (*Change, error) {
	st, err := s.State(ctx, id+".read.show", name)
	if err != nil || !st.On() {
		return nil, err
	}
	now, err := ownfile.Read(s.FS, File(name))
	if err != nil {
		return nil, err
	}
	if !ownfile.Equal(now, mask) {
		if err := atomicfile.Check(s.FS, File(name)); err != nil {
			return nil, fmt.Errorf("%s cannot be masked: %w: %w", name, setting.ErrPermanent, err)
		}
	}
	return &Change{name, now, st.Active}, nil
}

// Valid reports whether c could have come from Off.
func (c Change) Valid() bool {
	return c.Unit != "" && path.Base(c.Unit) == c.Unit && strings.Contains(c.Unit, ".")
}

// Persist writes the mask.
func (s System) Persist(id string, c Change) error {
	return ownfile.Move(s.FS, id+".persist", File(c.Unit), c.From, mask)
}

// Undo removes the mask, or puts back what was in its place.
func (s System) Undo(id string, c Change) error {
	return ownfile.Move(s.FS, id+".undo", File(c.Unit), mask, c.From)
}

// Masked reports whether the mask is on disk.
func (s System) Masked(c Change) (bool, error) {
	now, err := ownfile.Read(s.FS, File(c.Unit))
	return ownfile.Equal(now, mask), err
}

// Activate stops the unit where the mask is on disk, and starts it again where
// it is not and the unit ran before. Stopping comes before systemd reads the
// mask: it would forget how the unit wants to be stopped.
func (s System) Activate(ctx context.Context, id string, c Change) error {
	off, err := s.Masked(c)
	if err != nil {
		return err
	}
	st, err := s.State(ctx, id+".read.show", c.Unit)
	if err != nil {
		return err
	}
	if off && st.Active {
		if err := s.Do(ctx, id+".activate.stop", "stop", c.Unit); err != nil {
			return err
		}
	}
	if off != st.Masked {
		if err := s.Do(ctx, id+".activate.reload", "daemon-reload"); err != nil {
			return err
		}
	}
	if !off && c.Active && !st.Active {
		return s.Do(ctx, id+".activate.start", "start", c.Unit)
	}
	return nil
}

// Verify reads back the mask, and from systemd that the unit neither runs nor
// could be started.
func (s System) Verify(ctx context.Context, id string, c Change) error {
	off, err := s.Masked(c)
	if err != nil {
		return err
	}
	if !off {
		return fmt.Errorf("%s is not masked", c.Unit)
	}
	st, err := s.State(ctx, id+".verify.show", c.Unit)
	if err != nil {
		return err
	}
	if st.Active || !st.Masked {
		return fmt.Errorf("%s is masked, but systemd still runs it or would start it", c.Unit)
	}
	return nil
}
