// Package cockpit sets the socket of Cockpit, the web console, back to the port
// that it comes with (E3, 9090): it takes the ListenStream entries out of the
// owner's files for cockpit.socket, so that the distribution's holds.
//
// Only those entries change, in /etc/systemd/system; every other setting of the
// socket, and all of Cockpit's own configuration, stays. A file elsewhere is
// another program's and is never touched. The package neither enables Cockpit
// nor starts it where it does not run.
package cockpit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/blockedit"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ini"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ownfile"
	"github.com/paperclip-nas/paperclip/internal/device/setting/unit"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// ID is the adapter's name in steps and operations.
const ID = "cockpit"

const (
	socket  = "cockpit.socket"
	service = "cockpit.service"
)

// directories are where systemd looks for units, the first that has one wins
// (systemd.unit(5)).
func directories() []string {
	return []string{unit.Directory, "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}
}

// Adapter is Cockpit's socket.
type Adapter struct {
	fsys    opfs.FS
	runner  opfs.Runner
	systemd unit.System
}

// New is the adapter of that system. It has no side effect.
func New(fsys opfs.FS, runner opfs.Runner) *Adapter {
	return &Adapter{fsys, runner, unit.System{FS: fsys, Runner: runner}}
}

// ID is "cockpit".
func (a *Adapter) ID() string { return ID }

// Effects is E3.
func (a *Adapter) Effects() []nas.Effect { return []nas.Effect{nas.E3} }

var (
	errNotInstalled = errors.New("Cockpit is not installed")
	errMasked       = errors.New("Cockpit's socket is masked: it cannot be reached on any port")
)

// part is one file of the socket: the unit itself, which comes first, or a
// drop-in.
type part struct {
	path     string
	sections []ini.Section
}

// parts are the unit and its drop-ins in the order in which systemd reads them.
func (a *Adapter) parts() ([]part, error) {
	var files []string
	for _, dir := range directories() {
		if _, err := a.fsys.Lstat(path.Join(dir, socket)); err == nil {
			files = append(files, path.Join(dir, socket))
			break
		}
	}
	if len(files) == 0 {
		return nil, errNotInstalled
	}
	dropIns := make(map[string]string) // by name
	for _, dir := range directories() {
		entries, err := a.fsys.ReadDir(path.Join(dir, socket+".d"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			if dropIns[e.Name()] == "" && path.Ext(e.Name()) == ".conf" {
				dropIns[e.Name()] = path.Join(dir, socket+".d", e.Name())
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(dropIns)) {
		files = append(files, dropIns[name])
	}
	var parts []part
	for _, f := range files {
		data, err := a.fsys.ReadFile(f)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part{f, ini.Sections(string(data))})
	}
	if len(parts[0].sections) == 0 {
		return nil, errMasked
	}
	return parts, nil
}

// listens are where the socket listens; an empty entry clears those before it.
func listens(parts []part) []string {
	all := []string{}
	for _, p := range parts {
		for _, s := range p.sections {
			for _, line := range s.Lines {
				key, value, ok := ini.Entry(line)
				switch {
				case !ok || s.Name != "Socket" || key != "ListenStream":
				case value == "":
					all = []string{}
				default:
					all = append(all, value)
				}
			}
		}
	}
	return all
}

// edits take the owner's ListenStream entries out; in a copy of the whole unit
// the first becomes the default.
func edits(parts []part) ([]blockedit.Edit, error) {
	var all []blockedit.Edit
	for i, p := range parts {
		replaced := i > 0
		for _, s := range p.sections {
			if s.Name != "Socket" || i == 0 && path.Dir(p.path) != unit.Directory {
				continue
			}
			out := ini.Section{Name: s.Name}
			for _, line := range s.Lines {
				switch key, _, ok := ini.Entry(line); {
				case !ok || key != "ListenStream":
					out.Lines = append(out.Lines, line)
				case strings.HasSuffix(strings.TrimSpace(line), `\`):
					return nil, fmt.Errorf("%s continues a ListenStream entry on the next line: %w", p.path, setting.ErrPermanent)
				case !replaced:
					replaced = true
					out.Lines = append(out.Lines, "ListenStream="+nas.DefaultCockpit().Listen[0]+ini.End(line))
				}
			}
			if out.Text() != s.Text() {
				all = append(all, blockedit.Edit{Path: p.path, Old: s.Text(), New: out.Text()})
			}
		}
	}
	return all, nil
}

// plan works out the edits, or why there can be none; nothing where the socket
// listens as it comes.
func (a *Adapter) plan() ([]blockedit.Edit, error) {
	parts, err := a.parts()
	if err != nil || slices.Equal(listens(parts), nas.DefaultCockpit().Listen) {
		return nil, err
	}
	if own := listens(parts[:1]); path.Dir(parts[0].path) != unit.Directory && !slices.Equal(own, nas.DefaultCockpit().Listen) {
		return nil, fmt.Errorf("%s itself has another port: %s: %w", parts[0].path, strings.Join(own, ", "), setting.ErrPermanent)
	}
	all, err := edits(parts)
	if err != nil {
		return nil, err
	}
	for _, p := range blockedit.Paths(all) {
		if !strings.HasPrefix(p, unit.Directory+"/") {
			return nil, fmt.Errorf("%s is written by another program, which would undo a change: %w", p, setting.ErrPermanent)
		}
		if err := atomicfile.Check(a.fsys, p); err != nil {
			return nil, fmt.Errorf("%w: %w", err, setting.ErrPermanent)
		}
		data, err := a.fsys.ReadFile(p)
		if err != nil {
			return nil, err
		}
		if err := blockedit.Check(string(data), blockedit.In(all, p), ini.Split); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Detect says whether Cockpit is here, with files that can be edited.
func (a *Adapter) Detect(context.Context) (reset.Found, error) {
	found := reset.Found{What: "Cockpit"}
	if _, err := a.plan(); err != nil {
		found.Why, found.Blocked = err.Error(), !errors.Is(err, errNotInstalled) && !errors.Is(err, errMasked)
		return found, nil
	}
	found.Present = true
	return found, nil
}

// Read fills where Cockpit listens.
func (a *Adapter) Read(_ context.Context, s *nas.Settings) error {
	parts, err := a.parts()
	if err != nil {
		return err
	}
	s.Cockpit = &nas.Cockpit{Listen: listens(parts)}
	return nil
}

// change is what the step's Data holds.
type change struct {
	Edits  []blockedit.Edit `json:"edits,omitempty"`
	Files  []ownfile.File   `json:"files,omitempty"` // whole, of a restore
	Active bool             `json:"active"`          // the socket listened
}

// Prepare gives one step where the owner has set another port.
func (a *Adapter) Prepare(ctx context.Context, r setting.Request) ([]reset.Step, error) {
	if !slices.Contains(reset.Effects(r.Mode, r.Scope), nas.E3) {
		return nil, nil
	}
	all, err := a.plan()
	if err != nil || len(all) == 0 {
		return nil, err
	}
	state, err := a.systemd.State(ctx, "cockpit.prepare.show", socket)
	if err != nil && !errors.Is(err, unit.ErrNoSystemd) {
		return nil, err
	}
	data, err := json.Marshal(change{Edits: all, Active: state.Active})
	if err != nil {
		return nil, err
	}
	return []reset.Step{{Name: "port of Cockpit", Adapter: ID, Effects: a.Effects(), Data: data}}, nil
}

func read(s reset.Step) (change, error) {
	var c change
	if err := json.Unmarshal(s.Data, &c); err != nil || len(c.Edits)+len(c.Files) == 0 || !managed(c.Files) {
		return change{}, fmt.Errorf("the step %q is not one of Cockpit's: %w", s.Name, setting.ErrPermanent)
	}
	return c, nil
}

// Persist takes the entries out.
func (a *Adapter) Persist(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	if len(c.Files) > 0 {
		return ownfile.MoveAll(a.fsys, "cockpit.persist", c.Files, false)
	}
	return blockedit.Move(a.fsys, "cockpit.persist", c.Edits, ini.Split, blockedit.New)
}

// Undo puts them back.
func (a *Adapter) Undo(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	if len(c.Files) > 0 {
		return ownfile.MoveAll(a.fsys, "cockpit.undo", c.Files, true)
	}
	return blockedit.Move(a.fsys, "cockpit.undo", c.Edits, ini.Split, blockedit.Old)
}

// Activate has systemd read the files again, and the socket, if it listened,
// listen where they say. Who is signed in to Cockpit is cut off: its service
// keeps the old socket while it runs.
func (a *Adapter) Activate(ctx context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	if err := a.systemd.Do(ctx, "cockpit.activate.reload", "daemon-reload"); err != nil || !c.Active {
		return err
	}
	if err := a.systemd.Do(ctx, "cockpit.activate.stop", "stop", service); err != nil {
		return err
	}
	return a.systemd.Do(ctx, "cockpit.activate.restart", "restart", socket)
}

// missing are the ports at which the files have the socket listen and nothing
// does. The kernel is asked: systemd says where a socket is to listen, not
// where it does.
func (a *Adapter) missing(ctx context.Context) ([]string, error) {
	parts, err := a.parts()
	if err != nil {
		return nil, err
	}
	out, err := a.runner.Run(ctx, "cockpit.verify.listen", opfs.Command{Path: "ss", Args: []string{"--no-header", "--listening", "--tcp", "--numeric"}})
	if err != nil {
		return nil, err
	}
	if out.ExitCode != 0 {
		return nil, fmt.Errorf("ss ended with status %d", out.ExitCode)
	}
	const local = 3 // the field with the address listened at
	return slices.DeleteFunc(listens(parts), func(l string) bool {
		port := ":" + l[strings.LastIndex(l, ":")+1:]
		for line := range strings.Lines(string(out.Stdout)) {
			if f := strings.Fields(line); len(f) > local && strings.HasSuffix(f[local], port) {
				return true
			}
		}
		return false
	}), nil
}

// Verify reads back the files, and from the kernel where somebody listens.
func (a *Adapter) Verify(ctx context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	files, err := ownfile.Are(a.fsys, c.Files)
	if err != nil {
		return err
	}
	switch isNew, err := blockedit.At(a.fsys, c.Edits, ini.Split, blockedit.New); {
	case err != nil:
		return err
	case !isNew || !files:
		return errors.New("the files of Cockpit's socket do not hold what was written")
	}
	if !c.Active {
		return nil
	}
	missing, err := a.missing(ctx)
	if err == nil && len(missing) > 0 {
		err = fmt.Errorf("nothing listens at Cockpit's port %s", strings.Join(missing, ", "))
	}
	return err
}
