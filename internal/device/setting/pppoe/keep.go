package pppoe

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/paperclip-nas/paperclip/internal/device/setting/ownfile"
	"github.com/paperclip-nas/paperclip/internal/device/setting/saved"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// state is what a snapshot holds of one connection: of its file, only whether
// our line stands in it.
type state struct {
	Name   string `json:"name"`
	Off    bool   `json:"off"`    // it has our line
	Dialed bool   `json:"dialed"` // pppd ran for it
}

// kept is what a snapshot holds.
type kept struct {
	Connections []state `json:"connections"`
}

// Save is which connections dial.
func (a *Adapter) Save(context.Context) (json.RawMessage, error) {
	k, err := a.kept()
	if err != nil {
		return nil, err
	}
	return saved.Encode(ID, k)
}

func (a *Adapter) kept() (kept, error) {
	k := kept{Connections: []state{}}
	all, err := a.connections()
	if err != nil {
		return k, err
	}
	for _, c := range all {
		now, err := file(c.name).Read(a.fsys)
		if err != nil {
			return k, err
		}
		dialed, err := a.dialed(c.name)
		if err != nil {
			return k, err
		}
		off := ownfile.Equal(now, ownfile.Text(line))
		k.Connections = append(k.Connections, state{c.name, off, dialed && !off})
	}
	return k, nil
}

// PrepareRestore gives one step for each connection that dials and did not, or
// the other way round. One that its owner switched off stays off; one that was
// removed since is refused: its password is in no snapshot.
func (a *Adapter) PrepareRestore(_ context.Context, raw json.RawMessage) ([]reset.Step, error) {
	var k kept
	if err := saved.Decode(raw, ID, &k); err != nil {
		return nil, err
	}
	if k.Connections == nil {
		return nil, saved.Refuse("it holds no value")
	}
	now, err := a.kept()
	if err != nil {
		return nil, err
	}
	var steps []reset.Step
	seen := make(map[string]bool)
	for _, then := range k.Connections {
		i := slices.IndexFunc(now.Connections, func(s state) bool { return s.Name == then.Name })
		if seen[then.Name] || !plain(then.Name) || i < 0 {
			return nil, saved.Refuse("there is no PPPoE connection %.40q here, or it stands there twice", then.Name)
		}
		seen[then.Name] = true
		is := now.Connections[i]
		content, err := file(then.Name).Read(a.fsys)
		if err != nil {
			return nil, err
		}
		if is.Off == then.Off || !is.Off && content != nil {
			continue
		}
		step, err := saved.Step(a, "PPPoE connection "+then.Name, change{Name: then.Name, Dialed: then.Dialed || is.Dialed, Back: is.Off})
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
	}
	return steps, nil
}
