package guest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ownfile"
	"github.com/paperclip-nas/paperclip/internal/device/setting/saved"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// assignment is one of smb.conf that a reset may change; no value is none.
type assignment struct {
	Section string          `json:"section"`
	Key     string          `json:"key"`
	Value   ownfile.Content `json:"value"`
}

// kept is what a snapshot holds.
type kept struct {
	Account ownfile.Content `json:"account"` // its field in the shadow file; nil where there is none
	Samba   []assignment    `json:"samba"`
}

// Save is the guests' account and the assignments of smb.conf that say who is
// no guest.
func (a *Adapter) Save(context.Context) (json.RawMessage, error) {
	st, err := a.state()
	if err != nil {
		return nil, err
	}
	return saved.Encode(ID, st.kept())
}

func (st state) kept() kept {
	k := kept{Samba: []assignment{}}
	if st.account {
		k.Account = ownfile.Text(st.hash)
	}
	if !st.samba || st.why != "" {
		return k
	}
	at := func(section, key string) {
		k.Samba = append(k.Samba, assignment{section, key, parameter(section, key).Get(st.conf)})
	}
	at(global, "map to guest")
	spans, _ := scan(st.conf)
	for _, s := range sections(spans) {
		at(s, "invalid users")
	}
	return k
}

// PrepareRestore gives one step for each entry that is another one. An account
// of guests that had no password at all stays locked.
func (a *Adapter) PrepareRestore(_ context.Context, raw json.RawMessage) ([]reset.Step, error) {
	var k kept
	if err := saved.Decode(raw, ID, &k); err != nil {
		return nil, err
	}
	if k.Samba == nil {
		return nil, saved.Refuse("it holds no value")
	}
	st, err := a.state()
	if err != nil {
		return nil, err
	}
	if st.why != "" && len(k.Samba) > 0 {
		return nil, saved.Refuse("%s", st.why)
	}
	var all []change
	if k.Account != nil && *k.Account != "" && st.account && *k.Account != st.hash {
		if !saved.PlainHash(*k.Account) {
			return nil, saved.Refuse("the line of the account %s is malformed", Account)
		}
		all = append(all, change{Shadow: &lock{ownfile.Text(st.hash), k.Account}, Back: true})
	}
	for _, x := range k.Samba {
		c, err := st.back(x)
		if err != nil {
			return nil, err
		}
		if c != nil && slices.ContainsFunc(all, func(o change) bool { return o.name() == c.name() }) {
			return nil, saved.Refuse("%s stands there twice", c.name())
		}
		if c != nil {
			all = append(all, *c)
		}
	}
	var steps []reset.Step
	for _, c := range all {
		step, err := saved.Step(a, c.name(), c)
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
	}
	return steps, nil
}

// back is the change to an assignment as it was saved: nil where it is so, or
// where its section is gone.
func (st state) back(x assignment) (*change, error) {
	if !slices.Contains([]string{"map to guest", "invalid users"}, x.Key) {
		return nil, saved.Refuse("%.40q is no setting of guests", x.Key)
	}
	e := parameter(x.Section, x.Key)
	now := e.Get(st.conf)
	_, headers := scan(st.conf)
	here := slices.ContainsFunc(headers, func(h header) bool { return h.section == x.Section })
	if ownfile.Equal(now, x.Value) || !st.samba || !here && x.Section != global {
		return nil, nil
	}
	text := e.Set(st.conf, x.Value)
	if !ownfile.Equal(e.Get(text), x.Value) || e.Set(text, now) != st.conf && x.Value != nil {
		return nil, fmt.Errorf("%w: %s is written in a way that %q cannot be changed in [%.40s]", setting.ErrSaved, smbConf, x.Key, x.Section)
	}
	return &change{Samba: &edit{x.Section, x.Key, now, x.Value}, Back: true}, nil
}
