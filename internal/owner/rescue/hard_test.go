package rescue

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// D3 D5: two presses, the wizard's questions, the plan with its losses, and on
// to the new name and address.
func TestHardRescue(t *testing.T) {
	sc := newScene(t)
	sc.box.movesTo = netip.MustParseAddrPort("192.0.2.77:5001")
	sc.person.answers = map[QuestionID][]string{AskName: {"-bad-", "attic"}, AskNetwork: {"eth9=192.0.2.77/24", "eth0=192.0.2.77/24,gateway=192.0.2.1"}, AskRestore: {"bundle"}}
	var told strings.Builder
	sc.person.tell = func(e Event) { told.WriteString(e.Text + "\n") }
	res, err := Start(t.Context(), sc.cfg, Request{Mode: reset.Hard})
	if err != nil {
		t.Fatalf("%v (%v)", err, errors.Unwrap(err))
	}
	if res.Way != HardClaim || res.Cause != "start_over" || !res.SignedIn || res.Device != "attic" || res.AddressAfter != "192.0.2.77:5001" || len(res.Restored) != 0 {
		t.Errorf("%+v", res)
	}
	if res.Plan.Mode != reset.Hard || res.Plan.Wizard.Name != "attic" || res.Plan.Wizard.Network[0].String() != "eth0=192.0.2.77/24,gateway=192.0.2.1" {
		t.Errorf("the plan: %+v", res.Plan)
	}
	if sc.box.presses != 2 || sc.box.commits != 1 {
		t.Errorf("%d presses, %d commits", sc.box.presses, sc.box.commits)
	}
	if !slices.ContainsFunc(res.NotDone, func(n string) bool { return strings.Contains(n, "paperclip restore attic") }) {
		t.Errorf("what is left to do: %q", res.NotDone)
	}
	if text := told.String(); !strings.Contains(text, "For a forgotten password it is not needed") || !strings.Contains(text, "called attic now") {
		t.Errorf("told: %s", text)
	}
	if a := sc.person.advice; len(a) < 4 || !strings.Contains(strings.Join(a, "|"), "hyphen") || !strings.Contains(strings.Join(a, "|"), "no network interface") {
		t.Errorf("advice: %q", a)
	}
}

// Promise 3: nothing but --mode hard, or choosing it, leads to a hard reset, and
// the plain answers keep name and DHCP.
func TestHardIsNeverTheDefault(t *testing.T) {
	sc := newScene(t)
	res, err := Start(t.Context(), sc.cfg, Request{})
	if err != nil || res.Way != SoftClaimCredentials || sc.box.presses != 1 || slices.Contains(sc.person.asked, AskName) {
		t.Errorf("%v %+v, %d presses", err, res.Way, sc.box.presses)
	}
	sc = newScene(t)
	sc.cfg.Person = Given{Person: sc.person, Yes: true}
	res, err = Start(t.Context(), sc.cfg, Request{Mode: reset.Hard})
	if err != nil || res.Plan.Wizard.Name != "" || len(res.Plan.Wizard.Network) != 0 || res.Plan.Wizard.Restore != reset.RestoreNone || res.Device != "cellar" || len(res.NotDone) != 0 {
		t.Errorf("%v %+v", err, res)
	}
}

// A second press that comes too late, and a claim that was opened for less: it
// begins anew, and never goes on with the soft claim.
func TestSecondPressTooLate(t *testing.T) {
	sc := newScene(t)
	sc.box.late = 1
	sc.box.open = true // for a soft reset, by somebody
	if _, err := Start(t.Context(), sc.cfg, Request{Mode: reset.Hard}); err != nil {
		t.Fatal(err)
	}
	// close, first, late second, close, first, second
	if sc.box.presses != 6 || sc.box.commits != 1 {
		t.Errorf("%d presses, %d commits", sc.box.presses, sc.box.commits)
	}
}

// Answers given beforehand that cannot be right end it, with nothing changed.
func TestBadAnswersGivenBeforehand(t *testing.T) {
	for name, answers := range map[string]map[QuestionID]string{
		"name": {AskName: "Not A Name"}, "network": {AskNetwork: "eth0=192.0.2.77"}, "card": {AskNetwork: "eth9=192.0.2.77/24"}, "restore": {AskRestore: "everything"},
	} {
		sc := newScene(t)
		sc.cfg.Person = Given{Person: sc.person, Yes: true, Answers: answers}
		if _, err := Start(t.Context(), sc.cfg, Request{Mode: reset.Hard}); !errors.Is(err, catalog.New("wizard_answer")) || sc.box.commits != 0 || sc.box.open {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An address that another device has is told with whose it is, and the network
// is asked for again in the same claim; one given beforehand ends it.
func TestAddressInUse(t *testing.T) {
	sc := newScene(t)
	sc.box.inUse = map[string]string{"192.0.2.77": "02:00:00:00:00:09"}
	sc.person.answers = map[QuestionID][]string{AskNetwork: {"eth0=192.0.2.77/24", "eth0=192.0.2.78/24"}}
	res, err := Start(t.Context(), sc.cfg, Request{Mode: reset.Hard})
	if err != nil || res.Plan.Wizard.Network[0].Address.String() != "192.0.2.78/24" || sc.box.presses != 2 {
		t.Errorf("%v %+v, %d presses", err, res.Plan, sc.box.presses)
	}
	if a := strings.Join(sc.person.advice, "|"); !strings.Contains(a, "02:00:00:00:00:09") {
		t.Errorf("advice: %q", a)
	}
	sc = newScene(t)
	sc.box.inUse = map[string]string{"192.0.2.77": "02:00:00:00:00:09"}
	sc.cfg.Person = Given{Person: sc.person, Yes: true, Answers: map[QuestionID]string{AskNetwork: "eth0=192.0.2.77/24"}}
	if _, err := Start(t.Context(), sc.cfg, Request{Mode: reset.Hard}); !errors.Is(err, catalog.New("wizard_answer")) || !strings.Contains(err.Error(), "02:00:00:00:00:09") || sc.box.commits != 0 || sc.box.open {
		t.Errorf("given beforehand: %v", err)
	}
}

// H3, E1: the first administrator may be a new account. A name that cannot be
// right, or that the NAS would not have, is asked for again in the same claim.
func TestNewAdministrator(t *testing.T) {
	sc := newScene(t)
	sc.box.service = "backup"
	sc.person.answers = map[QuestionID][]string{AskAdministrator: {SomebodyNew}, AskNewAdministrator: {"Anna!", "anna", "backup", "carla"}}
	res, err := Start(t.Context(), sc.cfg, Request{Mode: reset.Hard})
	if err != nil || res.Administrator != "carla" || !res.Plan.Wizard.NewAdministrator || !res.SignedIn || sc.box.presses != 2 || sc.box.commits != 1 {
		t.Errorf("%v %+v, %d presses", err, res, sc.box.presses)
	}
	for _, says := range []string{"small letters", "an account anna already", "an account backup already"} {
		if !strings.Contains(strings.Join(sc.person.advice, "|"), says) {
			t.Errorf("nobody said %q: %q", says, sc.person.advice)
		}
	}
	for _, name := range []string{"anna", "backup"} {
		sc = newScene(t)
		sc.box.service = "backup"
		sc.cfg.Person = Given{Person: sc.person, Yes: true, Answers: map[QuestionID]string{AskAdministrator: SomebodyNew, AskNewAdministrator: name}}
		if _, err := Start(t.Context(), sc.cfg, Request{Mode: reset.Hard}); !errors.Is(err, catalog.New("wizard_answer")) || sc.box.commits != 0 || sc.box.open {
			t.Errorf("given beforehand, %s: %v", name, err)
		}
	}
}
