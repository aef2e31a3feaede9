// Package ports keeps the device's management ports (E3) in a file of its own,
// /etc/paperclip/ports.toml: where the pages listen, and whether plain HTTP is
// always sent on to HTTPS.
//
// A reset puts back 5000 and 5001 and lifts the redirect. The package never
// listens on a port itself, and a file that cannot be read never keeps anybody
// out: then the defaults hold.
package ports

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/pelletier/go-toml/v2"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ownfile"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// ID is the adapter's name in steps and operations.
const ID = "ports"

// Path is the file.
const Path = "/etc/paperclip/ports.toml"

// Activator makes the running device listen on those ports. Asking for the
// ports that are in use already changes nothing.
type Activator func(context.Context, nas.Ports) error

// Adapter is the file of management ports.
type Adapter struct {
	fsys     opfs.FS
	activate Activator
}

// New is the adapter of the system below fsys. activate may be nil where
// nothing listens yet: the recovery unit, for one.
func New(fsys opfs.FS, activate Activator) *Adapter { return &Adapter{fsys, activate} }

// file is ports.toml.
type file struct {
	HTTP       int  `toml:"http"`
	HTTPS      int  `toml:"https"`
	ForceHTTPS bool `toml:"force_https"`
}

// Load reads the ports in force. With an error, which names line and column,
// it returns the defaults: they hold then.
func Load(fsys opfs.FS) (nas.Ports, error) {
	data, err := fsys.ReadFile(Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nas.DefaultPorts(), nil
	}
	if err != nil {
		return nas.DefaultPorts(), err
	}
	p, err := Parse(data)
	if err != nil {
		return nas.DefaultPorts(), fmt.Errorf("%s: %w", Path, err)
	}
	return p, nil
}

// Parse reads the content of a ports file. A key that is missing has its
// default; a key that is not known is an error.
func Parse(data []byte) (nas.Ports, error) {
	f := file(nas.DefaultPorts())
	err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(&f)
	if err != nil {
		return nas.Ports{}, explain(err)
	}
	for _, p := range []int{f.HTTP, f.HTTPS} {
		if p < 1 || p > 65535 {
			return nas.Ports{}, fmt.Errorf("%d is not a port: 1 to 65535", p)
		}
	}
	if f.HTTP == f.HTTPS {
		return nas.Ports{}, fmt.Errorf("http and https cannot both be %d", f.HTTP)
	}
	return nas.Ports(f), nil
}

// explain adds line and column, which the library keeps apart.
func explain(err error) error {
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok && len(strict.Errors) > 0 {
		row, column := strict.Errors[0].Position()
		return fmt.Errorf("line %d, column %d: there is no such key", row, column)
	}
	if decode, ok := errors.AsType[*toml.DecodeError](err); ok {
		row, column := decode.Position()
		return fmt.Errorf("line %d, column %d: %w", row, column, err)
	}
	return err
}

// Format is the content of a ports file.
func Format(p nas.Ports) string {
	return fmt.Sprintf("# Where this NAS's management pages listen.\nhttp = %d\nhttps = %d\n"+
		"# Send plain HTTP always on to HTTPS.\nforce_https = %t\n", p.HTTP, p.HTTPS, p.ForceHTTPS)
}

// ID is "ports".
func (a *Adapter) ID() string { return ID }

// Effects is E3.
func (a *Adapter) Effects() []nas.Effect { return []nas.Effect{nas.E3} }

// Detect says whether the file can be written.
func (a *Adapter) Detect(context.Context) (reset.Found, error) {
	found := reset.Found{Present: true, What: "this device's own pages"}
	if err := atomicfile.Check(a.fsys, Path); err != nil {
		found.Present, found.Why = false, err.Error()
	}
	return found, nil
}

// Read fills the ports in force.
func (a *Adapter) Read(_ context.Context, s *nas.Settings) error {
	p, err := Load(a.fsys)
	if err != nil && errors.Is(err, fs.ErrPermission) {
		return err
	}
	s.Ports = &p
	return nil
}

// change is what a step's Data holds: whole contents.
type change struct {
	From ownfile.Content `json:"from"`
	To   ownfile.Content `json:"to"`
	Back bool            `json:"back,omitempty"`
}

// Prepare goes back to the defaults, where something else holds.
func (a *Adapter) Prepare(_ context.Context, r setting.Request) ([]reset.Step, error) {
	if !slices.Contains(reset.Effects(r.Mode, r.Scope), nas.E3) {
		return nil, nil
	}
	p, err := Load(a.fsys)
	if err == nil && p == nas.DefaultPorts() {
		return nil, nil
	}
	now, err := ownfile.Read(a.fsys, Path)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(change{From: now, To: ownfile.Text(Format(nas.DefaultPorts()))})
	if err != nil {
		return nil, err
	}
	return []reset.Step{{Name: "management ports", Adapter: ID, Effects: a.Effects(), Data: data}}, nil
}

func read(s reset.Step) (change, error) {
	var c change
	if err := json.Unmarshal(s.Data, &c); err != nil || c.To == nil && !c.Back {
		return change{}, fmt.Errorf("the step %q is not one of the management ports': %w", s.Name, setting.ErrPermanent)
	}
	return c, nil
}

// Persist writes the defaults.
func (a *Adapter) Persist(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	return ownfile.Move(a.fsys, "ports.persist", Path, c.From, c.To)
}

// Undo writes the old content again, or removes the file.
func (a *Adapter) Undo(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	return ownfile.Move(a.fsys, "ports.undo", Path, c.To, c.From)
}

// Activate listens where the file says.
func (a *Adapter) Activate(ctx context.Context, _ reset.Step) error {
	if a.activate == nil {
		return nil
	}
	p, _ := Load(a.fsys) // with an error, the defaults hold
	return a.activate(ctx, p)
}

// Verify reads the file again.
func (a *Adapter) Verify(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	now, err := ownfile.Read(a.fsys, Path)
	if err != nil {
		return err
	}
	if !ownfile.Equal(now, c.To) {
		return fmt.Errorf("%s does not hold the ports that were written", Path)
	}
	return nil
}
