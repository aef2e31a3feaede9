package shadow

import (
	"encoding/json"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// expired is a day that has passed: the second one that there was. Day 0 is
// read differently by different programs (shadow(5)).
const expired = "1"

// locked is v such that nobody signs in with the account: no password opens it,
// and it has expired, which also refuses an SSH key. What was there stays behind
// the mark, so that the account can be opened again.
func (v value) locked() value {
	if !strings.HasPrefix(v.Hash, "!") && !strings.HasPrefix(v.Hash, "*") {
		v.Hash = "!" + v.Hash
	}
	v.Expires = expired
	return v
}

// locks are the steps that lock every person's account but the administrator's
// and root's (H3). The guests' account is package guest's.
func (a *Adapter) locks(f *file, accounts []nas.Account, administrator string) ([]reset.Step, error) {
	var steps []reset.Step
	for _, x := range accounts {
		if !reset.Locked(x.Name, administrator) || x.Name == guest {
			continue
		}
		old, err := f.value(x.Name)
		if err != nil {
			return nil, err
		}
		c := change{User: x.Name, From: old, To: old.locked()}
		if c.From == c.To {
			continue
		}
		data, err := json.Marshal(c)
		if err != nil {
			return nil, err
		}
		steps = append(steps, reset.Step{Name: "account of " + x.Name + " in the shadow file", Adapter: ID, Effects: []nas.Effect{nas.H3}, Data: data})
	}
	return steps, nil
}
