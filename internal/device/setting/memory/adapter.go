package memory

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// adapter carries out one effect on a Store.
type adapter struct {
	store  *Store
	effect nas.Effect
}

// Adapters are the adapters of a virtual NAS, one for each effect that a reset
// can have.
func (st *Store) Adapters() []setting.Adapter {
	var all []setting.Adapter
	for _, e := range nas.Effects() {
		switch e {
		case nas.E13:
			all = append(all, factor{st})
		case nas.H3: // a snapshot has the accounts from E1's
			all = append(all, forgetful{adapter{st, e}})
		default:
			all = append(all, adapter{st, e})
		}
	}
	return all
}

// forgetful is an adapter that keeps nothing for a snapshot.
type forgetful struct{ setting.Adapter }

// part is the value that one effect is about; it is what a step records.
type part struct {
	Account  *nas.Account    `json:"account,omitempty"` // E1
	Hash     string          `json:"hash,omitempty"`    // E1
	Settings json.RawMessage `json:"settings,omitempty"`
}

// data is a step's: the undo image and the new value.
type data struct {
	Administrator string `json:"administrator,omitempty"`
	Old           part   `json:"old"`
	New           part   `json:"new"`
}

func (a adapter) ID() string            { return "memory." + strings.ToLower(string(a.effect)) }
func (a adapter) Effects() []nas.Effect { return []nas.Effect{a.effect} }

func (a adapter) Detect(context.Context) (reset.Found, error) {
	raw, err := project(a.effect, a.store.Running().Settings)
	if err != nil {
		return reset.Found{}, err
	}
	if bytes.Equal(raw, []byte("null")) {
		return reset.Found{Why: "this NAS has none"}, nil
	}
	return reset.Found{Present: true, What: "a virtual " + a.effect.Setting()}, nil
}

func (a adapter) Read(_ context.Context, s *nas.Settings) error {
	running := a.store.Running()
	raw, err := project(a.effect, running.Settings)
	if err != nil {
		return err
	}
	return inject(a.effect, s, raw)
}

// slot is the part of the settings that an effect is about. E4 and E5 share the
// interfaces: each keeps the other's half as it finds it.
func slot(e nas.Effect, s *nas.Settings) any {
	switch e {
	case nas.E1, nas.H3:
		return &s.Accounts
	case nas.H1:
		return &s.Name
	case nas.H2:
		return &s.Shares
	case nas.E2:
		return &s.Guest
	case nas.E3:
		return &s.Ports
	case nas.E6:
		return &s.PPPoE
	case nas.E7:
		return &s.Bonds
	case nas.E8:
		return &s.AutoBlock
	case nas.E9:
		return &s.Firewall
	case nas.E10:
		return &s.HighAvailability
	case nas.E11:
		return &s.VirtualMachines
	case nas.E12:
		return &s.EncryptedFolders
	default:
		return &s.Interfaces
	}
}

// project is one effect's part of the settings, as JSON; null is "not there".
func project(e nas.Effect, s nas.Settings) (json.RawMessage, error) {
	s = s.Clone()
	if e == nas.H1 && s.Name == "" {
		return json.RawMessage("null"), nil
	}
	for i := range s.Interfaces {
		in := &s.Interfaces[i]
		switch e {
		case nas.E4:
			in.MTU = 0
		case nas.E5:
			*in = nas.Interface{Name: in.Name, MTU: in.MTU}
		}
	}
	return json.Marshal(slot(e, &s))
}

// inject puts a part back into the settings and leaves every other as it is.
func inject(e nas.Effect, s *nas.Settings, raw json.RawMessage) error {
	if e != nas.E4 && e != nas.E5 {
		reflect.ValueOf(slot(e, s)).Elem().SetZero() // JSON leaves what it does not name
		return json.Unmarshal(raw, slot(e, s))
	}
	var part []nas.Interface
	if err := json.Unmarshal(raw, &part); err != nil {
		return err
	}
	for _, p := range part {
		known := false
		for i := range s.Interfaces {
			in := &s.Interfaces[i]
			if in.Name != p.Name {
				continue
			}
			known = true
			if e == nas.E5 {
				in.MTU = p.MTU
			} else {
				p.MTU = in.MTU
				*in = p
			}
		}
		if !known {
			s.Interfaces = append(s.Interfaces, p)
		}
	}
	return nil
}

// partOf is what a step records of a state.
func (a adapter) partOf(s State, administrator string) (part, error) {
	if a.effect == nas.E1 {
		account, ok := s.Settings.Account(administrator)
		if administrator == "" {
			return part{}, errors.New("the step names no account")
		}
		if !ok { // not yet, where the reset makes it
			return part{}, nil
		}
		account.SecondFactor = false // E13's alone
		return part{Account: &account, Hash: s.Hashes[administrator]}, nil
	}
	if a.effect == nas.H3 {
		raw, err := json.Marshal(slices.DeleteFunc(s.Settings.Clone().Accounts, func(x nas.Account) bool { return !reset.Locked(x.Name, administrator) }))
		return part{Settings: raw}, err
	}
	raw, err := project(a.effect, s.Settings)
	return part{Settings: raw}, err
}

func (a adapter) put(s *State, administrator string, p part) error {
	switch a.effect {
	case nas.E1:
	case nas.H3:
		return putOthers(s, p)
	default:
		return inject(a.effect, &s.Settings, p.Settings)
	}
	putAccount(s, administrator, p)
	return nil
}

// putAccount replaces one account, or makes it, or takes it away again.
func putAccount(s *State, name string, p part) {
	i := slices.IndexFunc(s.Settings.Accounts, func(a nas.Account) bool { return a.Name == name })
	switch {
	case p.Account == nil:
		s.Settings.Accounts = slices.DeleteFunc(s.Settings.Accounts, func(a nas.Account) bool { return a.Name == name })
		delete(s.Hashes, name)
		return
	case i < 0:
		s.Settings.Accounts = append(s.Settings.Accounts, *p.Account)
	default:
		factor := s.Settings.Accounts[i].SecondFactor
		s.Settings.Accounts[i] = *p.Account
		s.Settings.Accounts[i].SecondFactor = factor
	}
	s.Hashes[name] = p.Hash
}

// putOthers replaces the accounts that H3 is about, each by its name.
func putOthers(s *State, p part) error {
	var others []nas.Account
	if err := json.Unmarshal(p.Settings, &others); err != nil {
		return err
	}
	for _, o := range others {
		for i := range s.Settings.Accounts {
			if s.Settings.Accounts[i].Name == o.Name {
				s.Settings.Accounts[i] = o
			}
		}
	}
	return nil
}

func (p part) equal(q part) bool {
	a, errA := json.Marshal(p)
	b, errB := json.Marshal(q)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}

func (a adapter) Prepare(_ context.Context, q setting.Request) ([]reset.Step, error) {
	if !slices.Contains(reset.Effects(q.Mode, q.Scope), a.effect) {
		return nil, nil
	}
	stored, err := a.store.stored()
	if err != nil {
		return nil, err
	}
	next := stored.clone()
	next.Settings = q.Wizard.Apply(a.effect, stored.Settings, q.Administrator)
	if q.Mode == reset.Account {
		next.Settings = reset.ApplyAccount(q.Scope, stored.Settings, q.Administrator)
	}
	if a.effect == nas.E1 && reset.SetsPassword(q.Mode, q.Scope) {
		if q.Password.Empty() {
			return nil, errors.New("a new password is needed")
		}
		if next.Hashes[q.Administrator], err = Hash(randomness(), q.Password); err != nil {
			return nil, err
		}
	}
	old, err1 := a.partOf(stored, q.Administrator)
	renewed, err2 := a.partOf(next, q.Administrator)
	if err := errors.Join(err1, err2); err != nil || old.equal(renewed) {
		return nil, err
	}
	if a.effect == nas.E1 && (renewed.Account == nil || q.Wizard.NewAdministrator && old.Account != nil) {
		return nil, fmt.Errorf("an account %s is not as it was asked for: %w", q.Administrator, setting.ErrPermanent)
	}
	d := data{Old: old, New: renewed}
	if a.effect == nas.E1 || a.effect == nas.H3 {
		d.Administrator = q.Administrator
	}
	raw, err := json.Marshal(d)
	return []reset.Step{{Name: a.ID(), Adapter: a.ID(), Effects: a.Effects(), Data: raw}}, err
}

func (a adapter) Persist(_ context.Context, s reset.Step) error {
	return a.replace(".persist", s, func(d data) (from, to part) { return d.Old, d.New })
}

func (a adapter) Undo(_ context.Context, s reset.Step) error {
	return a.replace(".undo", s, func(d data) (from, to part) { return d.New, d.Old })
}

// replace changes the stored value from one to the other. A third value stays.
func (a adapter) replace(op string, s reset.Step, which func(data) (from, to part)) error {
	var d data
	if err := json.Unmarshal(s.Data, &d); err != nil {
		return errors.Join(setting.ErrPermanent, err)
	}
	from, to := which(d)
	a.store.mu.Lock()
	defer a.store.mu.Unlock()
	stored, err := a.store.load()
	if err != nil {
		return err
	}
	now, err := a.partOf(stored, d.Administrator)
	if err != nil {
		return errors.Join(setting.ErrPermanent, err)
	}
	switch {
	case now.equal(to):
		return a.store.settle(a.ID() + op)
	case !now.equal(from):
		return setting.ErrThirdValue
	}
	if err := a.put(&stored, d.Administrator, to); err != nil {
		return err
	}
	return a.store.save(a.ID()+op, stored)
}

// Activate makes the running system use what is on disk.
func (a adapter) Activate(_ context.Context, s reset.Step) error {
	var d data
	if err := json.Unmarshal(s.Data, &d); err != nil {
		return errors.Join(setting.ErrPermanent, err)
	}
	a.store.mu.Lock()
	defer a.store.mu.Unlock()
	stored, err := a.store.load()
	if err != nil {
		return err
	}
	p, err := a.partOf(stored, d.Administrator)
	if err != nil {
		return err
	}
	return a.put(&a.store.running, d.Administrator, p)
}

// Verify reads the running system and the disk.
func (a adapter) Verify(_ context.Context, s reset.Step) error {
	var d data
	if err := json.Unmarshal(s.Data, &d); err != nil {
		return errors.Join(setting.ErrPermanent, err)
	}
	stored, err := a.store.stored()
	if err != nil {
		return err
	}
	for where, state := range map[string]State{"on disk": stored, "in the running system": a.store.Running()} {
		p, err := a.partOf(state, d.Administrator)
		if err != nil {
			return err
		}
		if !p.equal(d.New) {
			return fmt.Errorf("%s is not the new one %s", a.effect.Setting(), where)
		}
	}
	return nil
}

func (st *Store) stored() (State, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.load()
}

// Silent is the adapter with its writes lost: it says that all went well and
// does nothing. It shows that a rescue notices (promise 5).
func Silent(a setting.Adapter) setting.Adapter { return silent{a} }

type silent struct{ setting.Adapter }

func (silent) Persist(context.Context, reset.Step) error  { return nil }
func (silent) Activate(context.Context, reset.Step) error { return nil }
func (silent) Verify(context.Context, reset.Step) error   { return nil }

// SetPassword replaces a password from outside the engine, as a person at a
// control panel does.
func (st *Store) SetPassword(user string, password access.Secret) error {
	hash, err := Hash(randomness(), password)
	if err != nil {
		return err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	s, err := st.load()
	if err != nil {
		return err
	}
	s.Hashes[user] = hash
	if err := st.save("memory.set_password", s); err != nil {
		return err
	}
	st.running.Hashes[user] = hash
	return nil
}
