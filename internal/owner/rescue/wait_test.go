package rescue

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// D11: where the owner asks for a wait, a rescue leaves a request, chooses and
// sends no password, and is resumed when the wait is over. It presses once,
// whatever gets lost on the way.
func TestRescueThatWaits(t *testing.T) {
	for name, lose := range map[string][2]bool{"nothing is lost": {}, "the answer to the request": {true, false}, "the answer to the resumption": {false, true}} {
		t.Run(name, func(t *testing.T) {
			sc := newScene(t)
			sc.box.demands = map[reset.Scope]access.Demand{reset.Credentials: access.AfterWait}
			sc.box.loseCommit = lose[0]
			var told []string
			sc.person.tell = func(e Event) { told = append(told, e.Text) }
			res, err := Start(t.Context(), sc.cfg, Request{})
			if !errors.Is(err, catalog.New("wait_begun")) || catalog.ExitOf(err) != catalog.InPart || res.Request != "r1" || !strings.Contains(err.Error(), res.ID) {
				t.Fatalf("%v %+v", err, res)
			}
			if slices.Contains(sc.person.asked, AskNewPassword) || sc.box.password["anna"] != oldPassword {
				t.Error("a password is chosen, or set, before the wait is over")
			}
			if _, err := Resume(t.Context(), sc.cfg, res.ID, Request{}); !errors.Is(err, catalog.New("wait_not_over")) || catalog.ExitOf(err) != catalog.Refused {
				t.Errorf("too early: %v", err)
			}
			sc.box.waiting.State, sc.box.waiting.WaitSeconds, sc.box.loseCommit = access.RequestRipe, 0, lose[1]
			res, err = Resume(t.Context(), sc.cfg, res.ID, Request{})
			if lose[1] {
				if !errors.Is(err, catalog.New("unreachable")) {
					t.Fatalf("%v", err)
				}
				res, err = Resume(t.Context(), sc.cfg, res.ID, Request{})
			}
			if err != nil || !res.SignedIn || res.Receipt == "" || sc.box.password["anna"] == oldPassword {
				t.Errorf("%v %+v", err, res)
			}
			if sc.box.commits != 1 || sc.box.presses != 1 {
				t.Errorf("%d requests, %d presses", sc.box.commits, sc.box.presses)
			}
		})
	}
}

// D11: a request that was carried out and undone waits no more: it is carried out
// again, after another press.
func TestRescueThatWaitsAndIsUndone(t *testing.T) {
	sc := newScene(t)
	sc.box.demands = map[reset.Scope]access.Demand{reset.Credentials: access.AfterWait}
	res, err := Start(t.Context(), sc.cfg, Request{})
	if !errors.Is(err, catalog.New("wait_begun")) {
		t.Fatal(err)
	}
	sc.box.waiting.State, sc.box.waiting.WaitSeconds, sc.box.undo = access.RequestRipe, 0, true
	res, err = Resume(t.Context(), sc.cfg, res.ID, Request{})
	if err != nil || !res.SignedIn || sc.box.password["anna"] == oldPassword {
		t.Errorf("%v, signed in: %v", err, res.SignedIn)
	}
	if sc.box.presses != 2 {
		t.Errorf("%d presses", sc.box.presses)
	}
}

// D11: an owner's no ends it, with the reason.
func TestRescueThatIsRefused(t *testing.T) {
	sc := newScene(t)
	sc.box.demands = map[reset.Scope]access.Demand{reset.Credentials: access.AfterWait}
	res, err := Start(t.Context(), sc.cfg, Request{})
	if !errors.Is(err, catalog.New("wait_begun")) {
		t.Fatal(err)
	}
	sc.box.waiting.State = access.RequestRefused
	if _, err := Resume(t.Context(), sc.cfg, res.ID, Request{}); !errors.Is(err, catalog.New("request_over")) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("%v", err)
	}
	if sc.box.password["anna"] != oldPassword {
		t.Error("it was set all the same")
	}
}
