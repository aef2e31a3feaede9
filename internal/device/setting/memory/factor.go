package memory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// factor carries out E13: it takes one administrator's second factor away. Of
// the accounts it touches that mark alone, which E1 leaves as it is.
type factor struct{ store *Store }

var _ setting.Adapter = factor{}

// marks is a step's data: whose mark, and what it was and will be.
type marks struct {
	User string `json:"user"`
	Old  bool   `json:"old"`
	New  bool   `json:"new"`
}

func (factor) ID() string            { return "memory.e13" }
func (factor) Effects() []nas.Effect { return []nas.Effect{nas.E13} }

func (f factor) Detect(context.Context) (reset.Found, error) {
	if slices.ContainsFunc(f.store.Running().Settings.Accounts, func(a nas.Account) bool { return a.SecondFactor }) {
		return reset.Found{Present: true, What: "a virtual second factor"}, nil
	}
	return reset.Found{Why: "no account has a second factor"}, nil
}

// Read adds nothing: E1's adapter reads the accounts with their marks.
func (factor) Read(context.Context, *nas.Settings) error { return nil }

func (f factor) Prepare(_ context.Context, q setting.Request) ([]reset.Step, error) {
	if !q.SecondFactor {
		return nil, nil
	}
	stored, err := f.store.stored()
	if err != nil {
		return nil, err
	}
	if a, ok := stored.Settings.Account(q.Administrator); !ok || !a.SecondFactor {
		return nil, nil
	}
	raw, err := json.Marshal(marks{User: q.Administrator, Old: true, New: false})
	return []reset.Step{{Name: f.ID(), Adapter: f.ID(), Effects: f.Effects(), Data: raw}}, err
}

func readMarks(s reset.Step) (marks, error) {
	var m marks
	if err := json.Unmarshal(s.Data, &m); err != nil || m.User == "" {
		return m, errors.Join(setting.ErrPermanent, err)
	}
	return m, nil
}

func (f factor) Persist(_ context.Context, s reset.Step) error {
	m, err := readMarks(s)
	if err != nil {
		return err
	}
	return f.store.mark(f.ID()+".persist", m.User, m.Old, m.New)
}

func (f factor) Undo(_ context.Context, s reset.Step) error {
	m, err := readMarks(s)
	if err != nil {
		return err
	}
	return f.store.mark(f.ID()+".undo", m.User, m.New, m.Old)
}

// mark changes the stored mark of one account.
func (st *Store) mark(op, user string, from, to bool) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	s, err := st.load()
	if err != nil {
		return err
	}
	a := accountIn(&s, user)
	switch {
	case a == nil:
		return fmt.Errorf("%s: %w", user, setting.ErrThirdValue)
	case a.SecondFactor == to:
		return st.settle(op)
	}
	a.SecondFactor = to
	return st.save(op, s)
}

func accountIn(s *State, user string) *nas.Account {
	i := slices.IndexFunc(s.Settings.Accounts, func(a nas.Account) bool { return a.Name == user })
	if i < 0 {
		return nil
	}
	return &s.Settings.Accounts[i]
}

// Activate makes the running system use what is on disk.
func (f factor) Activate(_ context.Context, s reset.Step) error {
	m, err := readMarks(s)
	if err != nil {
		return err
	}
	f.store.mu.Lock()
	defer f.store.mu.Unlock()
	stored, err := f.store.load()
	if err != nil {
		return err
	}
	from, to := accountIn(&stored, m.User), accountIn(&f.store.running, m.User)
	if from == nil || to == nil {
		return fmt.Errorf("there is no account %s", m.User)
	}
	to.SecondFactor = from.SecondFactor
	return nil
}

// Verify reads the running system and the disk.
func (f factor) Verify(_ context.Context, s reset.Step) error {
	m, err := readMarks(s)
	if err != nil {
		return err
	}
	stored, err := f.store.stored()
	if err != nil {
		return err
	}
	for where, state := range map[string]State{"on disk": stored, "in the running system": f.store.Running()} {
		if a, ok := state.Settings.Account(m.User); !ok || a.SecondFactor != m.New {
			return fmt.Errorf("the second factor of %s is not gone %s", m.User, where)
		}
	}
	return nil
}
