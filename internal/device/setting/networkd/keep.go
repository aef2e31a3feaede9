package networkd

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting/netstack"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ownfile"
	"github.com/paperclip-nas/paperclip/internal/device/setting/saved"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
)

// Bounds of what is put back: more is a mistake or an attack.
const (
	maxFiles      = 256
	maxInterfaces = 64
)

// source is the file by which an interface is configured.
type source struct {
	Interface string `json:"interface"`
	File      string `json:"file"`
}

// text is a file, whole.
type text struct {
	Path string `json:"path"`
	Text string `json:"text"`
}

// snapshot is what one holds: the files in force that are the owner's or
// ours. What the distribution brings is only named.
type snapshot struct {
	Interfaces []source `json:"interfaces"`
	Files      []text   `json:"files"`
}

// back is a restore.
type back struct {
	Interfaces []source       `json:"interfaces"`    // as they are to be
	Was        []source       `json:"was,omitempty"` // as they were
	Files      []ownfile.File `json:"files"`
}

// editable reports whether a file is where the owner keeps those of networkd.
func editable(file string) bool {
	dir, name := path.Split(file)
	dir = path.Clean(dir)
	if path.Clean(file) != file || strings.HasPrefix(name, ".") {
		return false
	}
	return dir == Directory && path.Ext(name) == ".network" ||
		path.Dir(dir) == Directory && strings.HasSuffix(dir, ".network.d") && path.Ext(name) == ".conf"
}

func (b back) plain() bool {
	return len(b.Files) > 0 && !slices.ContainsFunc(b.Files, func(f ownfile.File) bool { return !editable(f.Path) }) &&
		!slices.ContainsFunc(slices.Concat(b.Interfaces, b.Was), func(s source) bool { return !netstack.PlainName(s.Interface) })
}

// Save is the .network files in force for the wired interfaces and for the
// members of their bonds, drop-ins among them.
func (a *Adapter) Save(ctx context.Context) (json.RawMessage, error) {
	k, err := a.kept(ctx)
	if err != nil {
		return nil, err
	}
	return saved.Encode(ID, k)
}

func (a *Adapter) kept(ctx context.Context) (snapshot, error) {
	k := snapshot{Interfaces: []source{}, Files: []text{}}
	links, _, err := a.links(ctx)
	if err != nil {
		return k, err
	}
	files := make(map[string]bool)
	for _, l := range links {
		for _, name := range append([]string{l.Name}, l.Members...) {
			in := l.Link
			if name != l.Name {
				if in, err = a.system.Link(name); err != nil {
					return k, err
				}
			}
			k.Interfaces = append(k.Interfaces, source{name, in.File})
			for _, f := range append([]string{in.File}, in.DropIns...) {
				files[f] = editable(f)
			}
			files[own(name)] = true
		}
	}
	slices.SortFunc(k.Interfaces, func(x, y source) int { return strings.Compare(x.Interface, y.Interface) })
	for f, held := range files {
		now, err := ownfile.Read(a.cfg.FS, f)
		if err != nil && held {
			return k, err
		}
		if held && now != nil {
			k.Files = append(k.Files, text{f, *now})
		}
	}
	slices.SortFunc(k.Files, func(x, y text) int { return strings.Compare(x.Path, y.Path) })
	return k, nil
}

// PrepareRestore gives one step for all files: a bond is spread over several.
// Files that have come into force since go; they are in the step's undo image.
func (a *Adapter) PrepareRestore(ctx context.Context, raw json.RawMessage) ([]reset.Step, error) {
	var k snapshot
	if err := saved.Decode(raw, ID, &k); err != nil {
		return nil, err
	}
	if k.Interfaces == nil || k.Files == nil || len(k.Interfaces) > maxInterfaces || len(k.Files) > maxFiles {
		return nil, saved.Refuse("it holds no value, or too much")
	}
	now, err := a.kept(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.fits(ctx, k); err != nil {
		return nil, err
	}
	b := back{Interfaces: k.Interfaces, Was: now.Interfaces, Files: []ownfile.File{}}
	for _, f := range slices.Concat(k.Files, now.Files) {
		if !editable(f.Path) {
			return nil, saved.Refuse("%.80q is no file of systemd-networkd's", f.Path)
		}
		file := ownfile.File{Path: f.Path, To: content(k.Files, f.Path)}
		if file.From, err = ownfile.Read(a.cfg.FS, f.Path); err != nil {
			return nil, err
		}
		known := slices.ContainsFunc(b.Files, func(g ownfile.File) bool { return g.Path == f.Path })
		if known || ownfile.Equal(file.From, file.To) {
			continue
		}
		if err := atomicfile.Check(a.cfg.FS, f.Path); err != nil {
			return nil, ownfile.Permanent(err)
		}
		b.Files = append(b.Files, file)
	}
	if len(b.Files) == 0 {
		return nil, nil
	}
	step, err := saved.Step(a, "files of systemd-networkd", change{Back: &b})
	return []reset.Step{step}, err
}

func content(files []text, file string) ownfile.Content {
	if i := slices.IndexFunc(files, func(t text) bool { return t.Path == file }); i >= 0 {
		return ownfile.Text(files[i].Text)
	}
	return nil
}

// fits refuses the settings of cards that are not here, or that something else
// configures now.
func (a *Adapter) fits(ctx context.Context, k snapshot) error {
	nics, err := a.system.Survey(ctx)
	if err != nil {
		return err
	}
	for _, s := range k.Interfaces {
		if !netstack.PlainName(s.Interface) {
			return saved.Refuse("%.40q is no interface", s.Interface)
		}
		l, err := a.system.Link(s.Interface)
		if err != nil {
			return err
		}
		if !l.Present {
			return saved.Refuse("there is no interface %s here", s.Interface)
		}
		for _, n := range nics {
			if n.Name == s.Interface && n.Decision.Stack != netstack.Networkd {
				return saved.Refuse("%s is configured by something else now: %s%s", s.Interface, n.Decision.Stack, n.Decision.Why)
			}
		}
	}
	return nil
}

// reconfigure takes those interfaces through their files that networkd has not
// by itself, a bond after its members. On the way back they are those of before.
func (a *Adapter) reconfigure(ctx context.Context, b back) error {
	forward, err := ownfile.Are(a.cfg.FS, b.Files)
	if err != nil {
		return err
	}
	to := b.Was
	if forward {
		to = b.Interfaces
	}
	var behind []string
	if _, err := a.until(ctx, func() (all bool, err error) {
		behind, err = a.behind(to)
		return len(behind) == 0, err
	}); err != nil {
		return err
	}
	for _, name := range behind {
		if err := a.networkctl(ctx, "networkd.activate.reconfigure", "reconfigure", name); err != nil {
			return err
		}
	}
	return nil
}

// behind are the interfaces that do not go by their files, bonds last.
func (a *Adapter) behind(sources []source) (names []string, err error) {
	var bonds []string
	for _, s := range sources {
		l, err := a.system.Link(s.Interface)
		switch {
		case err != nil:
			return nil, err
		case s.File == "" || by(s.Interface, l, s.File) == nil:
		case a.system.Attribute(s.Interface, "bonding/mode") != "":
			bonds = append(bonds, s.Interface)
		default:
			names = append(names, s.Interface)
		}
	}
	return append(names, bonds...), nil
}

// verifyBack reads back the files, and from networkd which it goes by.
func (a *Adapter) verifyBack(b back) error {
	switch are, err := ownfile.Are(a.cfg.FS, b.Files); {
	case err != nil:
		return err
	case !are:
		return fmt.Errorf("the files in %s do not hold what was written", Directory)
	}
	for _, s := range b.Interfaces {
		l, err := a.system.Link(s.Interface)
		if err != nil {
			return err
		}
		if err := by(s.Interface, l, s.File); err != nil {
			return err
		}
	}
	return nil
}

// by is nil for an interface that networkd has configured by a file, and for one
// that is gone.
func by(name string, l netstack.Link, file string) error {
	switch {
	case !l.Present:
		return nil
	case l.Failed:
		return fmt.Errorf("systemd-networkd cannot configure %s by %s: its journal says why", name, cmp.Or(l.File, "any file"))
	case l.File != file:
		return fmt.Errorf("systemd-networkd configures %s by %s, not by %s", name, cmp.Or(l.File, "no file"), cmp.Or(file, "none"))
	}
	return nil
}
