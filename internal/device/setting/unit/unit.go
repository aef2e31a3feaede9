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
	// Together are units that are asked about in one program, where answers are
	// kept ([opfs.KeepAnswers]) and any of them is asked about. May be empty.
	Together []string
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
	names := []string{name}
	if opfs.AnswersKept(ctx) && slices.Contains(s.Together, name) {
		names = s.Together
	}
	out, err := s.run(ctx, op, slices.Concat([]string{"show", "--property=LoadState,UnitFileState,ActiveState"}, names)...)
	if errors.Is(err, opfs.ErrNoCommand) {
		return State{}, ErrNoSystemd
	}
	if err != nil {
		return State{}, err
	}
	if out.ExitCode != 0 {
		return State{}, fmt.Errorf("%w: systemctl ended with status %d", ErrNoSystemd, out.ExitCode)
	}
	// One block a unit, in their order, with an empty line between.
	blocks := strings.Split(strings.TrimSpace(string(out.Stdout)), "\n\n")
	if len(blocks) != len(names) {
		return State{}, fmt.Errorf("systemctl told of %d units, and not of %d", len(blocks), len(names))
	}
	return parseState(blocks[slices.Index(names, name)]), nil
}

// parseState reads the properties of one unit, one a line.
func parseState(block string) (st State) {
	for line := range strings.Lines(block) {
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
	return st
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

// Change is one unit going off, or with Back one that is off going on again:
// what a step holds of it.
type Change struct {
	Unit   string          `json:"unit"`
	From   ownfile.Content `json:"from"`   // what stands in the place of the mask while it is on: normally no file
	Active bool            `json:"active"` // it runs while it is on
	Back   bool            `json:"back,omitempty"`
}

// sides are what stands in the place of the mask before and after.
func (c Change) sides() (from, to ownfile.Content) {
	if c.Back {
		return mask, c.From
	}
	return c.From, mask
}

var mask = ownfile.Text("")

// File is where the unit's mask goes.
func File(name string) string { return path.Join(Directory, name) }

// Reload has a service read its files again, if it runs.
func (s System) Reload(ctx context.Context, id, name string) error {
	st, err := s.State(ctx, id+".activate.show", name)
	if errors.Is(err, ErrNoSystemd) || err == nil && !st.Active {
		return nil
	}
	if err != nil {
		return err
	}
	return s.Do(ctx, id+".activate.reload", "reload", name)
}

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
	return &Change{Unit: name, From: now, Active: st.Active}, nil
}

// Valid reports whether c could have come from Off.
func (c Change) Valid() bool {
	return c.Unit != "" && path.Base(c.Unit) == c.Unit && strings.Contains(c.Unit, ".")
}

// Persist writes the mask, or takes it away.
func (s System) Persist(id string, c Change) error {
	from, to := c.sides()
	return ownfile.Move(s.FS, id+".persist", File(c.Unit), from, to)
}

// Undo goes back: what was in the place of the mask stands there again, or the
// mask does.
func (s System) Undo(id string, c Change) error {
	from, to := c.sides()
	return ownfile.Move(s.FS, id+".undo", File(c.Unit), to, from)
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
// could be started; or that it is on again.
func (s System) Verify(ctx context.Context, id string, c Change) error {
	now, err := ownfile.Read(s.FS, File(c.Unit))
	if err != nil {
		return err
	}
	if _, to := c.sides(); !ownfile.Equal(now, to) {
		return fmt.Errorf("%s does not hold what was written", File(c.Unit))
	}
	st, err := s.State(ctx, id+".verify.show", c.Unit)
	switch {
	case err != nil:
		return err
	case !c.Back && (st.Active || !st.Masked):
		return fmt.Errorf("%s is masked, but systemd still runs it or would start it", c.Unit)
	case c.Back && (st.Masked || c.Active && !st.Active):
		return fmt.Errorf("%s is not on again", c.Unit)
	}
	return nil
}

// Kept is what a snapshot holds of a unit (R6).
type Kept struct {
	Unit   string          `json:"unit"`
	File   ownfile.Content `json:"file"`   // what stands in the place of the mask, the mask among it
	Active bool            `json:"active"` // it ran
}

// Kept is the unit as it is now; nil where there is none.
func (s System) Kept(ctx context.Context, id, name string) (*Kept, error) {
	st, err := s.State(ctx, id+".save.show", name)
	if err != nil || !st.Installed {
		return nil, err
	}
	now, err := ownfile.Read(s.FS, File(name))
	return &Kept{name, now, st.Active && !masks(now)}, err
}

// Restore works out the change to what was saved: nil where it is so. A unit's
// own file that is neither the mask nor was replaced by it stays as it is.
func (s System) Restore(ctx context.Context, id string, k Kept) (*Change, error) {
	st, err := s.State(ctx, id+".restore.show", k.Unit)
	if err != nil {
		return nil, err
	}
	if !st.Installed {
		return nil, fmt.Errorf("%w: %s is not installed here", setting.ErrSaved, k.Unit)
	}
	now, err := ownfile.Read(s.FS, File(k.Unit))
	if err != nil {
		return nil, err
	}
	var c *Change
	switch {
	case masks(k.File) && !masks(now):
		c = &Change{Unit: k.Unit, From: now, Active: st.Active}
	case !masks(k.File) && masks(now):
		c = &Change{Unit: k.Unit, From: k.File, Active: k.Active, Back: true}
	default:
		return nil, nil
	}
	if err := atomicfile.Check(s.FS, File(k.Unit)); err != nil && !masks(now) {
		return nil, fmt.Errorf("%s cannot be changed: %w: %w", k.Unit, setting.ErrPermanent, err)
	}
	return c, nil
}

func masks(c ownfile.Content) bool { return ownfile.Equal(c, mask) }
