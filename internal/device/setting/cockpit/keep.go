package cockpit

import (
	"context"
	"encoding/json"
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting/ownfile"
	"github.com/paperclip-nas/paperclip/internal/device/setting/saved"
	"github.com/paperclip-nas/paperclip/internal/device/setting/unit"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
)

// maxFiles bounds the drop-ins that are put back.
const maxFiles = 64

// owner is a file of the owner's about the socket, whole.
type owner struct {
	Path string `json:"path"`
	Text string `json:"text"`
}

// kept is what a snapshot holds.
type kept struct {
	Files []owner `json:"files"`
}

// ownPlace reports whether the owner keeps a file of the socket there: in
// /etc/systemd/system, the unit or a drop-in.
func ownPlace(file string) bool {
	dropIns := path.Join(unit.Directory, socket+".d")
	return file == path.Join(unit.Directory, socket) ||
		path.Dir(file) == dropIns && path.Ext(file) == ".conf" && path.Clean(file) == file && !strings.HasPrefix(path.Base(file), ".")
}

func managed(files []ownfile.File) bool {
	return !slices.ContainsFunc(files, func(f ownfile.File) bool { return !ownPlace(f.Path) })
}

// own are the owner's files, as they are.
func (a *Adapter) own() ([]owner, error) {
	all := []owner{}
	parts, err := a.parts()
	if errors.Is(err, errNotInstalled) {
		return all, nil
	}
	if err != nil && !errors.Is(err, errMasked) {
		return nil, err
	}
	for _, p := range parts {
		if !ownPlace(p.path) {
			continue
		}
		data, err := a.fsys.ReadFile(p.path)
		if err != nil {
			return nil, err
		}
		all = append(all, owner{p.path, string(data)})
	}
	return all, nil
}

// Save is the owner's files for the socket.
func (a *Adapter) Save(context.Context) (json.RawMessage, error) {
	files, err := a.own()
	if err != nil {
		return nil, err
	}
	return saved.Encode(ID, kept{files})
}

// PrepareRestore gives one step for all files: those that were there get their
// content, those that have come since go.
func (a *Adapter) PrepareRestore(ctx context.Context, raw json.RawMessage) ([]reset.Step, error) {
	var k kept
	if err := saved.Decode(raw, ID, &k); err != nil {
		return nil, err
	}
	if k.Files == nil || len(k.Files) > maxFiles {
		return nil, saved.Refuse("it holds no value, or too many files")
	}
	now, err := a.own()
	if err != nil {
		return nil, err
	}
	c := change{}
	text := func(in []owner, file string) ownfile.Content {
		if i := slices.IndexFunc(in, func(o owner) bool { return o.Path == file }); i >= 0 {
			return ownfile.Text(in[i].Text)
		}
		return nil
	}
	for _, o := range slices.Concat(k.Files, now) {
		if !ownPlace(o.Path) {
			return nil, saved.Refuse("%.80q is no file of Cockpit's socket", o.Path)
		}
		f := ownfile.File{Path: o.Path, From: text(now, o.Path), To: text(k.Files, o.Path)}
		known := slices.ContainsFunc(c.Files, func(g ownfile.File) bool { return g.Path == f.Path })
		if known || ownfile.Equal(f.From, f.To) {
			continue
		}
		if f.From == nil { // it may be there and not be read: masked, or hidden by another
			if f.From, err = ownfile.Read(a.fsys, f.Path); err != nil {
				return nil, err
			}
		}
		if err := atomicfile.Check(a.fsys, f.Path); err != nil {
			return nil, ownfile.Permanent(err)
		}
		c.Files = append(c.Files, f)
	}
	if len(c.Files) == 0 {
		return nil, nil
	}
	if _, err := a.parts(); err != nil {
		return nil, saved.Refuse("%w", err)
	}
	state, err := a.systemd.State(ctx, "cockpit.restore.show", socket)
	if err != nil && !errors.Is(err, unit.ErrNoSystemd) {
		return nil, err
	}
	c.Active = state.Active
	step, err := saved.Step(a, "port of Cockpit", c)
	return []reset.Step{step}, err
}
