package rescue

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"slices"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/identity"
)

// Promise 4: a plan that is not the one that was asked for, or that its hash does
// not stand for, is not even shown: nobody accepts one thing and gets another.
func TestPlanThatWasNotAskedForIsNotShown(t *testing.T) {
	for name, lie := range map[string]func(*box){
		"another mode":         func(b *box) { b.lie = func(p *reset.Plan) { p.Mode = reset.Hard } },
		"another scope":        func(b *box) { b.lie = func(p *reset.Plan) { p.Scope = reset.All } },
		"another account":      func(b *box) { b.lie = func(p *reset.Plan) { p.Administrator = "admin" } },
		"a second factor goes": func(b *box) { b.lie = func(p *reset.Plan) { p.SecondFactor = true } },
		"answers nobody gave":  func(b *box) { b.lie = func(p *reset.Plan) { p.Wizard = &reset.Wizard{Name: "mine"} } },
		"another's hash":       func(b *box) { b.lieOfHash = true },
	} {
		sc := newScene(t)
		lie(sc.box)
		_, err := Start(t.Context(), sc.cfg, Request{})
		if !errors.Is(err, catalog.New("bad_message")) || slices.Contains(sc.person.asked, AskAccept) || sc.box.commits != 0 || sc.box.password["anna"] != oldPassword {
			t.Errorf("%s: %v, asked %v, %d commits", name, err, sc.person.asked, sc.box.commits)
		}
	}
}

// D11: nor is it called done what was not accepted before the wait.
func TestAnotherPlanAfterTheWait(t *testing.T) {
	sc := newScene(t)
	sc.box.demands = map[reset.Scope]access.Demand{reset.Credentials: access.AfterWait}
	res, err := Start(t.Context(), sc.cfg, Request{})
	if !errors.Is(err, catalog.New("wait_begun")) {
		t.Fatal(err)
	}
	sc.box.waiting.State, sc.box.waiting.WaitSeconds = access.RequestRipe, 0
	sc.box.lie = func(p *reset.Plan) { p.Administrator = "admin" }
	if res, err = Resume(t.Context(), sc.cfg, res.ID, Request{}); !errors.Is(err, catalog.New("bad_message")) || res.SignedIn {
		t.Errorf("%v %+v", err, res)
	}
}

// Promise 6: a rescue that is taken up again is of the same NAS, whatever stands
// in its place now, also where a person names the other's key.
func TestResumedOnAnotherNAS(t *testing.T) {
	sc := newScene(t)
	sc.person.yes = false
	res, err := Start(t.Context(), sc.cfg, Request{})
	if !errors.Is(err, catalog.New("declined")) {
		t.Fatal(err)
	}
	_, other, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sc.box.key, sc.person.yes = other, true
	presses := sc.box.presses
	for _, accept := range []string{"", identity.KeyID(sc.box.pub())} {
		if _, err := Resume(t.Context(), sc.cfg, res.ID, Request{AcceptKey: accept}); !errors.Is(err, catalog.New("identity_mismatch")) || sc.box.presses != presses || sc.box.commits != 0 {
			t.Errorf("accepting %q: %v, %d presses, %d commits", accept, err, sc.box.presses-presses, sc.box.commits)
		}
	}
}
