package shadow

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting/saved"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// guest is an account that package guest answers for.
const guest = "guest"

// account is what a snapshot holds of one person: the hash, and with it whether
// it is locked; the days of change and expiry.
type account struct {
	Name string `json:"name"`
	value
}

// kept is what a snapshot holds.
type kept struct {
	Accounts []account `json:"accounts"`
}

// Ordinary tells the accounts that a snapshot holds and a restore may touch:
// those of people who are no administrators. Never root's.
func (a *Adapter) Ordinary(context.Context) (func(name string) bool, error) {
	accounts, err := a.accounts()
	return func(name string) bool {
		i := slices.IndexFunc(accounts, func(x nas.Account) bool { return x.Name == name })
		return i >= 0 && ordinary(accounts[i])
	}, err
}

func ordinary(a nas.Account) bool { return !a.Administrator && !a.BuiltIn && a.Name != guest }

// Save is the lines of people who are no administrators.
func (a *Adapter) Save(context.Context) (json.RawMessage, error) {
	accounts, err := a.accounts()
	if err != nil {
		return nil, err
	}
	f, err := a.load()
	if err != nil {
		return nil, err
	}
	k := kept{Accounts: []account{}}
	for _, x := range accounts {
		if !ordinary(x) {
			continue
		}
		v, err := f.value(x.Name)
		if err != nil {
			return nil, err
		}
		k.Accounts = append(k.Accounts, account{x.Name, v})
	}
	return saved.Encode(ID, k)
}

// plainDay tells whether a date can stand in the shadow file: days since 1970, or nothing.
func plainDay(s string) bool {
	s = strings.TrimPrefix(s, "-")
	return len(s) <= 8 && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// PrepareRestore gives one step for each account that is still here, that
// neither was nor is an administrator's, and whose line is another one. A blank
// password that somebody had is not given back.
func (a *Adapter) PrepareRestore(_ context.Context, raw json.RawMessage) ([]reset.Step, error) {
	var k kept
	if err := saved.Decode(raw, ID, &k); err != nil {
		return nil, err
	}
	if k.Accounts == nil {
		return nil, saved.Refuse("it holds no value")
	}
	accounts, err := a.accounts()
	if err != nil {
		return nil, err
	}
	f, err := a.load()
	if err != nil {
		return nil, err
	}
	var steps []reset.Step
	seen := make(map[string]bool)
	for _, x := range k.Accounts {
		if seen[x.Name] {
			return nil, saved.Refuse("an account stands there twice")
		}
		seen[x.Name] = true
		now, here := nas.Settings{Accounts: accounts}.Account(x.Name)
		if !here || !ordinary(now) || x.Hash == "" {
			continue
		}
		if !saved.PlainHash(x.Hash) || !plainDay(x.Changed) || !plainDay(x.Expires) {
			return nil, saved.Refuse("the line of %.40q is malformed", x.Name)
		}
		old, err := f.value(x.Name)
		if err != nil {
			return nil, err
		}
		if old == x.value {
			continue
		}
		step, err := saved.Step(a, "account of "+x.Name+" in the shadow file", change{User: x.Name, From: old, To: x.value})
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
	}
	return steps, nil
}
