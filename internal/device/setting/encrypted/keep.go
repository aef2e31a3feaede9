package encrypted

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/paperclip-nas/paperclip/internal/device/setting/saved"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// held is what a snapshot holds of a folder: never its key.
type held struct {
	Name   string `json:"name"`
	Starts bool   `json:"starts"`
	Open   bool   `json:"open"`
	Key    bool   `json:"key"` // a file on the NAS, in /etc
}

// kept is what a snapshot holds.
type kept struct {
	Folders []held `json:"folders"`
}

func (f folder) held() held {
	return held{f.String(), f.starts(), f.open || len(f.mounted) > 0, len(f.keys) > 0}
}

// Save is which folders are opened at start, and are open.
func (a *Adapter) Save(context.Context) (json.RawMessage, error) {
	st, err := a.load()
	if err != nil {
		return nil, err
	}
	k := kept{Folders: []held{}}
	for _, f := range st.folders {
		k.Folders = append(k.Folders, f.held())
	}
	return saved.Encode(ID, k)
}

// PrepareRestore gives one step for the folders that are to be opened at start
// again, or not any more. A folder whose key is gone is refused: a system that
// asks for it when it starts would not start.
func (a *Adapter) PrepareRestore(_ context.Context, raw json.RawMessage) ([]reset.Step, error) {
	var k kept
	if err := saved.Decode(raw, ID, &k); err != nil {
		return nil, err
	}
	if k.Folders == nil {
		return nil, saved.Refuse("it holds no value")
	}
	st, err := a.load()
	if err != nil {
		return nil, err
	}
	c := change{Back: true}
	for i, then := range k.Folders {
		j := slices.IndexFunc(st.folders, func(f folder) bool { return f.String() == then.Name })
		twice := slices.ContainsFunc(k.Folders[:i], func(h held) bool { return h.Name == then.Name })
		if j < 0 && then.Open && !then.Starts && !twice {
			continue // opened by hand then, and closed since
		}
		if j < 0 || twice {
			return nil, saved.Refuse("there is no encrypted folder %.80q here, or it stands there twice", then.Name)
		}
		f := st.folders[j]
		switch now := f.held(); {
		case now.Starts == then.Starts:
		case !then.Starts:
			c.toggle(f, func(r row) bool { return r.starts() }, asleep)
		case then.Key && !now.Key:
			return nil, saved.Refuse("the key of %s is not on the NAS any more: put it back first", f)
		default:
			c.toggle(f, func(r row) bool { return !r.starts() }, awake)
			if then.Open && !now.Open && then.Key {
				c.Open = append(c.Open, f.opens()...)
			}
		}
	}
	return a.step(st, c)
}

// opens are the units that open a folder by its key.
func (f folder) opens() []string {
	var all []string
	if f.mapping != "" {
		all = append(all, cryptUnit(f.mapping))
	}
	for _, t := range f.tabs {
		all = append(all, mountUnit(unescape(t.field(fsPoint))))
	}
	return all
}
