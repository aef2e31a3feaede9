package shadow

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// prepareSwitch is the step that switches an administrator's account off or on
// (R4).
func (a *Adapter) prepareSwitch(r setting.Request) ([]reset.Step, error) {
	accounts, err := a.accounts()
	if err != nil {
		return nil, err
	}
	if known, _ := (nas.Settings{Accounts: accounts}).Account(r.Administrator); !known.Administrator {
		return nil, fmt.Errorf("%q is not an administrator's account in the shadow file: %w", r.Administrator, setting.ErrPermanent)
	}
	f, err := a.load()
	if err != nil {
		return nil, err
	}
	old, err := f.value(r.Administrator)
	if err != nil {
		return nil, err
	}
	c := change{User: r.Administrator, From: old, To: old.off(r.Administrator == "root")}
	if r.Scope == reset.SwitchOn {
		to, ok := old.on(a.today())
		if !ok {
			return nil, fmt.Errorf("%s has no password that could be switched on: set one: %w", r.Administrator, setting.ErrPermanent)
		}
		c.To = to
	}
	if c.From == c.To {
		return nil, nil
	}
	data, err := json.Marshal(c)
	return []reset.Step{{Name: "account " + r.Administrator + " in the shadow file", Adapter: ID, Effects: a.Effects(), Data: data}}, err
}

// Mark is a name for the password that the account has now: it changes with the
// password, whoever sets it, and says nothing of it.
func (a *Adapter) Mark(_ context.Context, user string) (string, error) {
	f, err := a.load()
	if err != nil {
		return "", err
	}
	v, err := f.value(user)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte("paperclip password mark 1\x00" + user + "\x00" + v.Hash))
	return hex.EncodeToString(sum[:]), nil
}
