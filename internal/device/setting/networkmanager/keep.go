package networkmanager

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting/blockedit"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ini"
	"github.com/paperclip-nas/paperclip/internal/device/setting/saved"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// Bounds of what is put back: more is a mistake or an attack.
const (
	maxProfiles = 256
	maxBlocks   = 1000
)

// heldProfile is what a snapshot holds of a profile: the sections that a reset
// changes, and the places of the others, which may hold secrets.
type heldProfile struct {
	UUID   string           `json:"uuid"`
	Blocks []blockedit.Held `json:"blocks"`
}

// kept is what a snapshot holds.
type kept struct {
	Profiles []heldProfile `json:"profiles"`
}

// goal is what is to hold of a profile after a restore.
type goal struct {
	UUID   string `json:"uuid"`
	Method string `json:"method,omitempty"` // of IPv4; "" for the port of a bond
	Starts bool   `json:"starts"`           // by itself
	Start  bool   `json:"start,omitempty"`  // it is not in use now and is to be
}

// key is which sections a snapshot leaves out.
func key(block string) (string, bool) {
	name := ""
	for _, s := range ini.Sections(block) {
		name = s.Name
	}
	return "[" + name + "]", !slices.Contains([]string{"", "connection", "ipv4", "ipv6", "ethernet", "802-3-ethernet"}, name)
}

// held are the profiles that a restore may change: by cable, and by dialling.
func (n network) held() []profile {
	all := slices.DeleteFunc(slices.Clone(n.profiles), func(p profile) bool {
		return p.err != nil || !slices.Contains([]string{ethernet, "bond", "bridge", "pppoe"}, p.kind)
	})
	slices.SortFunc(all, func(a, b profile) int { return strings.Compare(a.uuid, b.uuid) })
	return all
}

// Save is the sections of the profiles that a reset changes.
func (a *Adapter) Save(ctx context.Context) (json.RawMessage, error) {
	n, err := a.load(ctx)
	if err != nil {
		return nil, err
	}
	k := kept{Profiles: []heldProfile{}}
	for _, p := range n.held() {
		k.Profiles = append(k.Profiles, heldProfile{p.uuid, blockedit.Hold(p.keyfile.text(), ini.Split, key)})
	}
	return saved.Encode(ID, k)
}

func (k keyfile) text() string {
	text := ""
	for _, s := range k {
		text += s.Text()
	}
	return text
}

// PrepareRestore gives one step for all profiles. A profile that is gone is
// refused: its secrets are in no snapshot. New ones stay as they are.
func (a *Adapter) PrepareRestore(ctx context.Context, raw json.RawMessage) ([]reset.Step, error) {
	var k kept
	if err := saved.Decode(raw, ID, &k); err != nil {
		return nil, err
	}
	if k.Profiles == nil || len(k.Profiles) > maxProfiles {
		return nil, saved.Refuse("it holds no value, or too much")
	}
	n, err := a.load(ctx)
	if err != nil {
		return nil, err
	}
	var c change
	seen := make(map[string]bool)
	for _, h := range k.Profiles {
		i := slices.IndexFunc(n.held(), func(p profile) bool { return p.uuid == h.UUID })
		if i < 0 || seen[h.UUID] {
			return nil, saved.Refuse("there is no connection %.40q here that can be edited, or it stands there twice", h.UUID)
		}
		seen[h.UUID] = true
		if err := c.restore(n.held()[i], h); err != nil {
			return nil, err
		}
	}
	if len(c.Edits) == 0 {
		return nil, nil
	}
	step, err := saved.Step(a, "connections of NetworkManager", c)
	return []reset.Step{step}, err
}

// restore adds what takes one profile back.
func (c *change) restore(p profile, h heldProfile) error {
	if len(h.Blocks) > maxBlocks {
		return saved.Refuse("a connection of %d parts", len(h.Blocks))
	}
	for _, b := range h.Blocks {
		if _, out := key(b.Text); b.Key == "" && (out || len(ini.Sections(b.Text)) != 1) || b.Key != "" && b.Text != "" {
			return saved.Refuse("the connection %s holds what no snapshot does", p.uuid)
		}
	}
	now := p.keyfile.text()
	text := blockedit.Then(h.Blocks, now, ini.Split, key)
	then := keyfile(ini.Sections(text))
	for _, name := range []string{"uuid", "type"} {
		if then.get(name, "connection") != p.keyfile.get(name, "connection") || then.twice() != "" {
			return saved.Refuse("the connection %s is another one", p.uuid)
		}
	}
	edits, err := blockedit.Between(p.path, now, text, ini.Split)
	if err != nil || len(edits) == 0 {
		return err
	}
	c.Edits = append(c.Edits, edits...)
	g := goal{UUID: p.uuid, Starts: then.starts()}
	if then.master() == "" {
		if g.Method = then.get("method", "ipv4"); g.Method == "" {
			g.Method = "auto"
		}
	}
	switch {
	case p.device != "" && !g.Starts:
		c.Off, c.Up = append(c.Off, p.uuid), append(c.Up, p.uuid)
	case p.device != "":
		c.Up = append(c.Up, p.uuid)
	default:
		g.Start = g.Starts
	}
	c.Back = append(c.Back, g)
	return nil
}
