package ifupdown

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/blockedit"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ifupdown/interfaces"
	"github.com/paperclip-nas/paperclip/internal/device/setting/netstack"
	"github.com/paperclip-nas/paperclip/internal/device/setting/saved"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
)

// Bounds of what is put back: more is a mistake or an attack.
const (
	maxFiles  = 64
	maxBlocks = 10_000
)

// file is one file as a snapshot holds it: its blocks, without those that have
// a secret.
type file struct {
	Path   string           `json:"path"`
	Blocks []blockedit.Held `json:"blocks"`
}

// kept is what a snapshot holds.
type kept struct {
	Files []file `json:"files"`
}

// Save is the files that ifup reads.
func (a *Adapter) Save(context.Context) (json.RawMessage, error) {
	k := kept{Files: []file{}}
	config, err := interfaces.Load(a.cfg.FS)
	if err != nil {
		return nil, err
	}
	for _, p := range config.Paths() {
		data, err := a.cfg.FS.ReadFile(p)
		if err != nil {
			return nil, err
		}
		k.Files = append(k.Files, file{p, blockedit.Hold(string(data), interfaces.Split, interfaces.Secret)})
	}
	return saved.Encode(ID, k)
}

// PrepareRestore gives one step for all files. A file that is gone, or that has
// come since, is refused: which of them ifup reads is for its owner to say.
func (a *Adapter) PrepareRestore(ctx context.Context, raw json.RawMessage) ([]reset.Step, error) {
	var k kept
	if err := saved.Decode(raw, ID, &k); err != nil {
		return nil, err
	}
	if k.Files == nil || len(k.Files) > maxFiles {
		return nil, saved.Refuse("it holds no value, or too much")
	}
	before, err := interfaces.Load(a.cfg.FS)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, f := range k.Files {
		paths = append(paths, f.Path)
	}
	if !slices.Equal(slices.Sorted(slices.Values(paths)), slices.Sorted(slices.Values(before.Paths()))) {
		return nil, saved.Refuse("ifup now reads other files: %s", strings.Join(before.Paths(), ", "))
	}
	c := change{Back: true}
	for _, f := range k.Files {
		edits, err := a.edits(f)
		if err != nil {
			return nil, err
		}
		c.Edits = append(c.Edits, edits...)
	}
	if len(c.Edits) == 0 {
		return nil, nil
	}
	if before.Obstacle != "" {
		return nil, fmt.Errorf("%s: %w", before.Obstacle, setting.ErrPermanent)
	}
	if err := a.order(&c, before); err != nil {
		return nil, err
	}
	step, err := saved.Step(a, "interfaces of ifupdown", c)
	return []reset.Step{step}, err
}

// edits take one file back.
func (a *Adapter) edits(f file) ([]blockedit.Edit, error) {
	if len(f.Blocks) > maxBlocks {
		return nil, saved.Refuse("a file of %d parts", len(f.Blocks))
	}
	for _, b := range f.Blocks {
		if _, out := interfaces.Secret(b.Text); out || b.Key != "" && b.Text != "" {
			return nil, saved.Refuse("%s holds what no snapshot does", f.Path)
		}
	}
	data, err := a.cfg.FS.ReadFile(f.Path)
	if err != nil {
		return nil, err
	}
	if err := atomicfile.Check(a.cfg.FS, f.Path); err != nil {
		return nil, fmt.Errorf("%w: %w", err, setting.ErrPermanent)
	}
	then := blockedit.Then(f.Blocks, string(data), interfaces.Split, interfaces.Secret)
	return blockedit.Between(f.Path, string(data), then, interfaces.Split)
}

// order works out which interfaces go down by the old text, and which come up
// by the new one.
func (a *Adapter) order(c *change, before interfaces.Config) error {
	after, err := a.on(blockedit.New, *c)
	if err != nil {
		return err
	}
	if after.Obstacle != "" {
		return saved.Refuse("%s", after.Obstacle)
	}
	for _, name := range before.Changed(after) {
		if !netstack.PlainName(name) {
			return saved.Refuse("%.40q is no interface", name)
		}
		if slices.Contains(before.Names(), name) {
			c.Down = append(c.Down, name)
		}
		if slices.Contains(after.Names(), name) && after.Starts(name) {
			c.Up = append(c.Up, name)
		}
		now, _ := strconv.Atoi(a.system.Attribute(name, "mtu"))
		if slices.Contains(after.Names(), name) && after.Interface(name).MTU <= standardMTU && now > standardMTU && before.Interface(name).MTU > standardMTU {
			c.Jumbo = append(c.Jumbo, name)
		}
	}
	return nil
}
