package rescue

import (
	"errors"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
)

// R11, promise 7: who has a second factor is asked whether it is lost too. It
// stays unless they say so; it is never asked where it could not be taken away,
// or is none; and no --yes takes it.
func TestSecondFactorIsAsked(t *testing.T) {
	anna := deviceapi.Administrator{Name: "anna", SecondFactor: true}
	for name, c := range map[string]struct {
		admin  deviceapi.Administrator
		demand access.Demand
		mode   reset.Mode
		scope  reset.Scope
		answer string
		given  bool
		asked  bool
		taken  bool
		waits  bool
	}{
		"stays":            {admin: anna, demand: access.SecondProof, asked: true},
		"is lost":          {admin: anna, demand: access.SecondProof, answer: takeFactor, asked: true, taken: true},
		"lost, with wait":  {admin: anna, demand: access.AfterWait, answer: takeFactor, asked: true, taken: true, waits: true},
		"never taken":      {admin: anna, demand: access.Never, answer: takeFactor},
		"none":             {admin: deviceapi.Administrator{Name: "anna"}, demand: access.SecondProof, answer: takeFactor},
		"network":          {admin: anna, demand: access.SecondProof, scope: reset.Network, answer: takeFactor},
		"hard":             {admin: anna, demand: access.SecondProof, mode: reset.Hard, answer: takeFactor},
		"--yes keeps it":   {admin: anna, demand: access.SecondProof, given: true},
		"something else":   {admin: anna, demand: access.SecondProof, answer: "perhaps", asked: true},
		"all, and is lost": {admin: anna, demand: access.SecondProof, scope: reset.All, answer: takeFactor, asked: true, taken: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := &someone{factor: c.answer}
			r := &run{cfg: Config{Person: p}, options: deviceapi.OptionsReply{Administrators: []deviceapi.Administrator{c.admin}, SecondFactor: c.demand}}
			if c.given {
				r.cfg.Person = Given{Person: p, Yes: true}
			}
			r.state.Administrator, r.state.Mode, r.state.Scope = "anna", c.mode, c.scope
			if r.state.Scope == "" && c.mode != reset.Hard {
				r.state.Scope = reset.Credentials
			}
			if err := r.askSecondFactor(t.Context()); err != nil {
				t.Fatal(err)
			}
			if (len(p.asked) > 0) != c.asked || r.state.SecondFactor != c.taken || r.state.Waits != c.waits {
				t.Errorf("asked %v, taken %t, waits %t", p.asked, r.state.SecondFactor, r.state.Waits)
			}
		})
	}
	// Without a terminal nothing prompts: it says what to give.
	if _, err := (Unattended{}).Choose(t.Context(), Question{ID: AskSecondFactor}); !errors.Is(err, catalog.New("no_terminal")) {
		t.Error(err)
	}
}
