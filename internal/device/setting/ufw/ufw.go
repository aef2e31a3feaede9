// Package ufw switches the firewall of ufw off (E9), and on again.
//
// In its file /etc/ufw/ufw.conf one entry changes, ENABLED; the rest of the
// file, and the rules in /etc/ufw, stay to the byte. The kernel's rules are
// taken down and put up by ufw itself.
package ufw

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/entry"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ownfile"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// ID is the adapter's name in steps and operations.
const ID = "ufw"

// Configuration is the file that says whether ufw is on.
const Configuration = "/etc/ufw/ufw.conf"

var off = ownfile.Text("no")

var enabled = entry.Span(Configuration, find)

// Adapter is ufw.
type Adapter struct {
	fsys   opfs.FS
	runner opfs.Runner
}

// New is the adapter of that system. It has no side effect.
func New(fsys opfs.FS, runner opfs.Runner) *Adapter { return &Adapter{fsys, runner} }

// ID is "ufw".
func (a *Adapter) ID() string { return ID }

// Effects is E9.
func (a *Adapter) Effects() []nas.Effect { return []nas.Effect{nas.E9} }

// Detect says whether ufw is here and can be switched.
func (a *Adapter) Detect(ctx context.Context) (reset.Found, error) {
	found := reset.Found{What: "ufw"}
	if _, err := a.fsys.Lstat(Configuration); errors.Is(err, fs.ErrNotExist) {
		found.Why = "ufw is not installed"
		return found, nil
	}
	if err := atomicfile.Check(a.fsys, Configuration); err != nil {
		found.Why, found.Blocked = err.Error(), true
		return found, nil
	}
	if _, err := a.active(ctx, ID+".detect.status"); err != nil {
		found.Why, found.Blocked = err.Error(), true
		return found, nil
	}
	found.Present = true
	return found, nil
}

// Read adds ufw to the firewall.
func (a *Adapter) Read(ctx context.Context, s *nas.Settings) error {
	value, err := enabled.Read(a.fsys)
	if err != nil {
		return err
	}
	active, err := a.active(ctx, ID+".read.status")
	if err != nil {
		return err
	}
	if s.Firewall == nil {
		s.Firewall = &nas.Firewall{}
	}
	s.Firewall.Enabled = s.Firewall.Enabled || active || yes(value)
	s.Firewall.Rules += a.rules()
	return nil
}

// rules counts the owner's. A file that cannot be read counts as none.
func (a *Adapter) rules() int {
	n := 0
	for _, f := range []string{"/etc/ufw/user.rules", "/etc/ufw/user6.rules"} {
		if data, err := a.fsys.ReadFile(f); err == nil {
			n += strings.Count("\n"+string(data), "\n### tuple ###")
		}
	}
	return n
}

// change is what a step's Data holds.
type change struct {
	From   ownfile.Content `json:"from"`
	To     ownfile.Content `json:"to"`
	Active bool            `json:"active"` // its rules are in force while it is on
	Back   bool            `json:"back,omitempty"`
}

// Prepare gives the one step, where ufw is on.
func (a *Adapter) Prepare(ctx context.Context, r setting.Request) ([]reset.Step, error) {
	if !slices.Contains(reset.Effects(r.Mode, r.Scope), nas.E9) {
		return nil, nil
	}
	value, err := enabled.Read(a.fsys)
	if err != nil {
		return nil, err
	}
	active, err := a.active(ctx, ID+".read.status")
	if err != nil || !yes(value) && !active {
		return nil, err
	}
	c := change{From: value, To: value, Active: active}
	if yes(value) {
		c.To = off
	}
	data, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	return []reset.Step{{Name: "firewall (ufw)", Adapter: ID, Effects: a.Effects(), Data: data}}, nil
}

func read(s reset.Step) (change, error) {
	var c change
	err := json.Unmarshal(s.Data, &c)
	if err != nil || !c.Back && (yes(c.To) || c.From == nil && !c.Active) || c.Back && (c.From == nil || c.To == nil) {
		return change{}, fmt.Errorf("the step %q is not one of ufw's: %w", s.Name, setting.ErrPermanent)
	}
	return c, nil
}

// Persist writes ENABLED=no.
func (a *Adapter) Persist(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	return enabled.Move(a.fsys, ID+".persist", c.From, c.To)
}

// Undo writes the old entry again.
func (a *Adapter) Undo(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	return enabled.Move(a.fsys, ID+".undo", c.To, c.From)
}

// patience is for ufw, which loads its rules one program at a time.
const patience = 90 * time.Second

// Activate has ufw take its rules down, or put them up where they were.
func (a *Adapter) Activate(ctx context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	value, err := enabled.Read(a.fsys)
	if err != nil {
		return err
	}
	active, err := a.active(ctx, ID+".activate.status")
	switch {
	case err != nil:
		return err
	case !yes(value) && active:
		return a.ufw(ctx, ID+".activate.disable", "disable")
	case yes(value) && !active && c.Active:
		return a.ufw(ctx, ID+".activate.enable", "--force", "enable")
	}
	return nil
}

func (a *Adapter) ufw(ctx context.Context, op string, args ...string) error {
	out, err := a.runner.Run(ctx, op, opfs.Command{Path: "ufw", Args: args, Timeout: patience})
	if err == nil && out.ExitCode != 0 {
		err = fmt.Errorf("ufw %s ended with status %d: %.200s", strings.Join(args, " "), out.ExitCode, out.Stderr)
	}
	return err
}

// active asks ufw whether its rules are in force.
func (a *Adapter) active(ctx context.Context, op string) (bool, error) {
	out, err := a.runner.Run(ctx, op, opfs.Command{Path: "ufw", Args: []string{"status"}, Timeout: patience})
	switch {
	case err != nil:
		return false, err
	case strings.HasPrefix(string(out.Stdout), "Status: active"):
		return true, nil
	case strings.HasPrefix(string(out.Stdout), "Status: inactive"):
		return false, nil
	}
	return false, fmt.Errorf("ufw status ended with status %d: %.200s", out.ExitCode, out.Stderr)
}

// Verify reads back the entry, and from ufw whether its rules are in force.
func (a *Adapter) Verify(ctx context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	value, err := enabled.Read(a.fsys)
	if err != nil {
		return err
	}
	if !ownfile.Equal(value, c.To) {
		return fmt.Errorf("%s does not hold what was written", Configuration)
	}
	active, err := a.active(ctx, ID+".verify.status")
	switch {
	case err != nil:
		return err
	case active && !yes(c.To):
		return errors.New("the rules of ufw are still in force")
	case !active && yes(c.To) && c.Active:
		return errors.New("the rules of ufw are not in force again")
	}
	return nil
}
