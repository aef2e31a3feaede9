// Package pppoe switches PPPoE connections off (E6) that pppd dials, and on
// again.
//
// A connection is a file in /etc/ppp/peers. It may be dialled by ifupdown, by a
// unit of systemd, by a script or a person, and all of them go by that file; so
// it gets one line more, "dryrun", with which pppd reads it and then ends
// without dialling, whoever called it. Every other byte stays, the password
// files are never read, and connections that are not PPPoE are left alone.
package pppoe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/entry"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ownfile"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// ID is the adapter's name in steps and operations.
const ID = "pppoe"

// Directory is where the connections are.
const Directory = "/etc/ppp/peers"

// Adapter is pppd.
type Adapter struct {
	fsys   opfs.FS
	runner opfs.Runner
}

// New is the adapter of that system. It has no side effect.
func New(fsys opfs.FS, runner opfs.Runner) *Adapter { return &Adapter{fsys, runner} }

// ID is "pppoe".
func (a *Adapter) ID() string { return ID }

// Effects is E6.
func (a *Adapter) Effects() []nas.Effect { return []nas.Effect{nas.E6} }

// connection is one file of peers.
type connection struct {
	name string
	peer peer
}

// connections are those by PPPoE, in the order of their names.
func (a *Adapter) connections() ([]connection, error) {
	entries, err := a.fsys.ReadDir(Directory)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []connection
	for _, e := range entries {
		if !plain(e.Name()) || e.IsDir() {
			continue
		}
		data, err := a.fsys.ReadFile(path.Join(Directory, e.Name()))
		if err != nil {
			return nil, err
		}
		if p := parse(string(data)); p.pppoe {
			all = append(all, connection{e.Name(), p})
		}
	}
	return all, nil
}

// plain is a name that pppd, pon and systemd all take as it is; a temporary
// file begins with a dot and is none.
func plain(name string) bool {
	return name != "" && name[0] != '.' && name[0] != '-' && !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
	})
}

// Detect says whether there is a PPPoE connection.
func (a *Adapter) Detect(context.Context) (reset.Found, error) {
	found := reset.Found{What: "PPPoE by pppd"}
	all, err := a.connections()
	if err != nil {
		return found, err
	}
	for _, c := range all {
		if err := atomicfile.Check(a.fsys, path.Join(Directory, c.name)); err != nil {
			found.Why, found.Blocked = err.Error(), true
			return found, nil
		}
	}
	if found.Present = len(all) > 0; !found.Present {
		found.Why = "pppd has no PPPoE connection"
	}
	return found, nil
}

// Read fills whether a connection may be dialled, and over what; what another
// adapter found before stays where it is on.
func (a *Adapter) Read(_ context.Context, s *nas.Settings) error {
	all, err := a.connections()
	if err != nil || len(all) == 0 {
		return err
	}
	if s.PPPoE == nil {
		s.PPPoE = &nas.PPPoE{}
	}
	for _, c := range all {
		if s.PPPoE.Interface == "" || !c.peer.off && !s.PPPoE.Enabled {
			s.PPPoE.Interface = c.peer.nic
		}
		s.PPPoE.Enabled = s.PPPoE.Enabled || !c.peer.off
	}
	return nil
}

// change is what a step's Data holds.
type change struct {
	Name   string `json:"name"`
	Dialed bool   `json:"dialed"` // pppd runs for it while it is on
	Back   bool   `json:"back,omitempty"`
}

// sides are the line before and after.
func (c change) sides() (from, to ownfile.Content) {
	if c.Back {
		return ownfile.Text(line), nil
	}
	return nil, ownfile.Text(line)
}

func file(name string) entry.Entry {
	return entry.Entry{Path: path.Join(Directory, name), Get: get, Set: set}
}

// Prepare gives one step for each connection that may be dialled.
func (a *Adapter) Prepare(_ context.Context, r setting.Request) ([]reset.Step, error) {
	if !slices.Contains(reset.Effects(r.Mode, r.Scope), nas.E6) {
		return nil, nil
	}
	all, err := a.connections()
	if err != nil {
		return nil, err
	}
	var steps []reset.Step
	for _, c := range all {
		if c.peer.off {
			continue
		}
		dialed, err := a.dialed(c.name)
		if err != nil {
			return nil, err
		}
		data, err := json.Marshal(change{Name: c.name, Dialed: dialed})
		if err != nil {
			return nil, err
		}
		steps = append(steps, reset.Step{Name: "PPPoE connection " + c.name, Adapter: ID, Effects: a.Effects(), Data: data})
	}
	return steps, nil
}

// dialed looks through the processes for the connection's pppd.
func (a *Adapter) dialed(name string) (bool, error) {
	entries, err := a.fsys.ReadDir("/proc")
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		data, err := a.fsys.ReadFile(path.Join("/proc", e.Name(), "cmdline"))
		if err != nil {
			continue // it has ended
		}
		args := strings.Split(string(data), "\x00")
		if i := slices.Index(args, "call"); path.Base(args[0]) == "pppd" && i > 0 && i+1 < len(args) && args[i+1] == name {
			return true, nil
		}
	}
	return false, nil
}

func read(s reset.Step) (change, error) {
	var c change
	if err := json.Unmarshal(s.Data, &c); err != nil || !plain(c.Name) {
		return change{}, fmt.Errorf("the step %q is not one of pppd's: %w", s.Name, setting.ErrPermanent)
	}
	return c, nil
}

// Persist puts the line in, or takes it out.
func (a *Adapter) Persist(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	from, to := c.sides()
	return file(c.Name).Move(a.fsys, ID+".persist", from, to)
}

// Undo goes back.
func (a *Adapter) Undo(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	from, to := c.sides()
	return file(c.Name).Move(a.fsys, ID+".undo", to, from)
}

// Activate hangs up, or dials again where pppd ran before. It is dialled
// through systemd: pppd is to outlive this process, and needs devices that this
// one does not get.
func (a *Adapter) Activate(ctx context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	now, err := file(c.Name).Read(a.fsys)
	if err != nil {
		return err
	}
	dialed, err := a.dialed(c.Name)
	switch {
	case err != nil:
		return err
	case now != nil && dialed:
		return a.run(ctx, "pppoe.activate.hangup", "poff", c.Name)
	case now == nil && !dialed && c.Dialed:
		return a.run(ctx, "pppoe.activate.dial", "systemd-run", "--quiet", "--collect", "--property=Type=forking", "--", "/usr/bin/pon", c.Name)
	}
	return nil
}

func (a *Adapter) run(ctx context.Context, op, program string, args ...string) error {
	out, err := a.runner.Run(ctx, op, opfs.Command{Path: program, Args: args})
	if err == nil && out.ExitCode != 0 {
		err = fmt.Errorf("%s ended with status %d: %.200s", program, out.ExitCode, out.Stderr)
	}
	return err
}

// Verify reads back the file, and whether pppd runs for it. One that was dialled
// again may have ended: there may be no line.
func (a *Adapter) Verify(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	now, err := file(c.Name).Read(a.fsys)
	if err != nil {
		return err
	}
	if _, to := c.sides(); !ownfile.Equal(now, to) {
		return fmt.Errorf("the file of the connection %s does not hold what was written", c.Name)
	}
	if c.Back {
		return nil
	}
	dialed, err := a.dialed(c.Name)
	if err == nil && dialed {
		err = fmt.Errorf("pppd has not hung up %s", c.Name)
	}
	return err
}
