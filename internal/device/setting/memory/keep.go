package memory

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/saved"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/strictjson"
)

var _ setting.Keeper = adapter{}

// kept is what a snapshot holds of one row.
type kept struct {
	Settings json.RawMessage   `json:"settings"`         // the row's part; null where there is none
	Hashes   map[string]string `json:"hashes,omitempty"` // E1: of those who are no administrators
}

// Save returns the row's part as it is stored.
func (a adapter) Save(context.Context) (json.RawMessage, error) {
	s, err := a.store.stored()
	if err != nil {
		return nil, err
	}
	k, err := a.keep(s)
	if err != nil {
		return nil, err
	}
	return saved.Encode(a.ID(), struct {
		Kept kept `json:"kept"`
	}{k})
}

func (a adapter) keep(s State) (kept, error) {
	if a.effect != nas.E1 {
		raw, err := project(a.effect, s.Settings)
		return kept{Settings: raw}, err
	}
	k := kept{Hashes: map[string]string{}}
	people := slices.DeleteFunc(slices.Clone(s.Settings.Accounts), func(x nas.Account) bool { return x.Administrator || x.BuiltIn })
	for i, p := range people {
		people[i].PasswordChanges = 0 // it counts, and counters never go back
		k.Hashes[p.Name] = s.Hashes[p.Name]
	}
	var err error
	k.Settings, err = json.Marshal(people)
	return k, err
}

// PrepareRestore gives the row's part back. Of the accounts, those that still
// exist and neither were nor are an administrator's.
func (a adapter) PrepareRestore(_ context.Context, raw json.RawMessage) ([]reset.Step, error) {
	var form struct {
		Kept kept `json:"kept"`
	}
	if err := saved.Decode(raw, a.ID(), &form); err != nil {
		return nil, err
	}
	if form.Kept.Settings == nil {
		return nil, saved.Refuse("it holds no value")
	}
	stored, err := a.store.stored()
	if err != nil {
		return nil, err
	}
	if a.effect == nas.E1 {
		return a.restoreAccounts(stored, form.Kept)
	}
	if err := a.fits(stored, form.Kept.Settings); err != nil {
		return nil, err
	}
	next := stored.clone()
	if err := inject(a.effect, &next.Settings, form.Kept.Settings); err != nil {
		return nil, saved.Refuse("it is damaged: %w", err)
	}
	step, err := a.step(a.ID(), "", stored, next)
	return slices.DeleteFunc([]reset.Step{step}, func(s reset.Step) bool { return s.Name == "" }), err
}

// step is the way from one state to another; without a name where there is none.
func (a adapter) step(name, account string, from, to State) (reset.Step, error) {
	before, err1 := a.partOf(from, account)
	after, err2 := a.partOf(to, account)
	if err := errors.Join(err1, err2); err != nil || before.equal(after) {
		return reset.Step{}, err
	}
	return saved.Step(a, name, data{Administrator: account, Old: before, New: after})
}

// fits refuses a part that is not of this NAS: other cards or folders than it
// has, or the part of a NAS that has what this one has not.
func (a adapter) fits(s State, raw json.RawMessage) error {
	have, err := project(a.effect, s.Settings)
	if err != nil {
		return err
	}
	null := []byte("null")
	if bytes.Equal(have, null) != bytes.Equal(bytes.TrimSpace(raw), null) {
		return saved.Refuse("this NAS has other parts than the one that was saved")
	}
	var then nas.Settings
	// Settings are one object; strictly read, as all that comes from outside.
	whole, _ := json.Marshal(map[string]json.RawMessage{field(a.effect): raw})
	if err := strictjson.Unmarshal(whole, &then); err != nil {
		return saved.Refuse("it is damaged: %w", err)
	}
	if !sameNames(then.Interfaces, s.Settings.Interfaces, func(in nas.Interface) string { return in.Name }) && (a.effect == nas.E4 || a.effect == nas.E5) {
		return saved.Refuse("it is of other network cards than are here")
	}
	if !sameNames(then.EncryptedFolders, s.Settings.EncryptedFolders, func(f nas.EncryptedFolder) string { return f.Name }) && a.effect == nas.E12 {
		return saved.Refuse("it is of other encrypted folders than are here")
	}
	return nil
}

func sameNames[T any](a, b []T, name func(T) string) bool {
	return slices.EqualFunc(a, b, func(x, y T) bool { return name(x) == name(y) })
}

// field is the name of an effect's part in the settings' JSON.
func field(e nas.Effect) string {
	return map[nas.Effect]string{
		nas.E1: "accounts", nas.E2: "guest", nas.E3: "ports", nas.E4: "interfaces", nas.E5: "interfaces", nas.E6: "pppoe",
		nas.E7: "bonds", nas.E8: "auto_block", nas.E9: "firewall", nas.E10: "high_availability", nas.E11: "virtual_machines",
		nas.E12: "encrypted_folders", nas.H1: "name", nas.H2: "shares",
	}[e]
}

func (a adapter) restoreAccounts(stored State, k kept) ([]reset.Step, error) {
	whole, _ := json.Marshal(map[string]json.RawMessage{field(a.effect): k.Settings})
	var then nas.Settings
	if err := strictjson.Unmarshal(whole, &then); err != nil {
		return nil, saved.Refuse("it is damaged: %w", err)
	}
	var steps []reset.Step
	for _, p := range then.Accounts {
		now, here := stored.Settings.Account(p.Name)
		if !here || now.Administrator || now.BuiltIn || p.Administrator || p.BuiltIn {
			continue
		}
		if k.Hashes[p.Name] == "" || !strings.HasPrefix(k.Hashes[p.Name], "argon2id$") {
			return nil, saved.Refuse("the password of %.40q is not kept as a hash", p.Name)
		}
		next := stored.clone()
		next.Hashes[p.Name] = k.Hashes[p.Name]
		for i := range next.Settings.Accounts {
			if x := &next.Settings.Accounts[i]; x.Name == p.Name {
				x.Enabled = p.Enabled
			}
		}
		step, err := a.step(a.ID()+"."+p.Name, p.Name, stored, next)
		if err != nil {
			return nil, err
		}
		if step.Name != "" {
			steps = append(steps, step)
		}
	}
	return steps, nil
}
