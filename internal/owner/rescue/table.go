package rescue

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
)

// Name is the name of a step.
type Name string

// The steps, in their order. Ended is where a rescue is when no step is left.
const (
	Find      Name = "find"
	Identify  Name = "identify"
	ChooseWay Name = "choose_way"
	PressIt   Name = "press"
	HearIt    Name = "hear"
	Presence  Name = "presence"
	Choose    Name = "choose"
	SetUp     Name = "set_up"
	ShowPlan  Name = "plan"
	Password  Name = "password"
	Commit    Name = "commit"
	Waiting   Name = "wait"
	Redeem    Name = "redeem"
	Follow    Name = "progress"
	SignIn    Name = "sign_in"
	Witnessed Name = "witness"
	Receipt   Name = "receipt"
	Ended     Name = "ended"
)

// step is a row of the table: what must be so before it, what it does, how it
// is shown to have worked, and where it leads.
type step struct {
	name Name
	text string // for people, while it goes on

	// skip leaves the step out; nil means never.
	skip func(*run) bool
	// before is checked first: the step does not begin unless it holds.
	before func(*run) error
	// do does it.
	do func(context.Context, *run) error
	// verify looks again, from outside what do said.
	verify func(context.Context, *run) (bool, error)

	next Name
	// on is where a problem leads; one that is not in it ends the rescue.
	on map[catalog.ID]Name
	// resume is where a rescue goes on that stopped in this step, once the NAS
	// has been found and identified again. Before acceptance that is a press
	// (or a claim that is still open), after it never.
	resume Name
}

// table is the whole flow.
func table() []step {
	lost := map[catalog.ID]Name{"claim_closed": PressIt, "no_such_session": PressIt, "presence_not_shown": PressIt}
	with := func(more map[catalog.ID]Name) map[catalog.ID]Name {
		for id, to := range lost {
			if _, given := more[id]; !given {
				more[id] = to
			}
		}
		return more
	}
	return []step{
		{name: Find, text: "Looking for the NAS", do: doFind, verify: verifyFind, next: Identify, resume: Find},
		{name: Identify, text: "Making sure which NAS this is", before: needNAS, do: doIdentify, verify: verifyIdentify, next: ChooseWay, resume: Identify},
		{name: ChooseWay, text: "Choosing the way that changes least", before: needDevice, do: doChooseWay, verify: verifyWay, next: PressIt, resume: ChooseWay},
		{name: PressIt, text: "Opening a claim with the reset button", before: needWay, do: doPress, verify: verifyPress, next: HearIt, resume: PressIt},
		{
			name: HearIt, text: "Listening to the code", before: needWay, do: doHear, verify: verifyHear, next: Presence, resume: PressIt,
			on: map[catalog.ID]Name{"claim_closed": PressIt},
		},
		{
			name: Presence, text: "Proving that you are with the NAS, and the NAS that it is yours", before: needCode, do: doPresence, verify: verifyPresence, next: Choose, resume: PressIt,
			on: with(map[catalog.ID]Name{"wrong_code": HearIt, "session_spent": HearIt, "tries_spent": PressIt}),
		},
		{name: Choose, text: "Choosing what is set back", before: needPresence, do: doChoose, verify: verifyChoose, next: SetUp, resume: PressIt, on: with(map[catalog.ID]Name{"hard_press_needed": PressIt})},
		{name: SetUp, text: "Asking what the NAS needs to be set up anew", skip: notHard, before: needChoice, do: doWizard, verify: verifyWizard, next: ShowPlan, resume: PressIt, on: with(map[catalog.ID]Name{})},
		{
			name: ShowPlan, text: "Reading the plan", before: needChoice, do: doPlan, verify: verifyPlan, next: Password, resume: PressIt,
			on: with(map[catalog.ID]Name{"unknown_administrator": Choose, "hard_press_needed": PressIt, "address_in_use": SetUp, "account_name": Choose}),
		},
		{
			name: Password, text: "Choosing the new password", skip: noPasswordYet, before: needAccepted, do: doPassword, verify: verifyPassword, next: Commit, resume: PressIt,
			on: with(map[catalog.ID]Name{}),
		},
		{
			name: Commit, text: "Handing it over: from here on it goes to its end by itself", before: needPassword, do: doCommit, verify: verifyCommit, next: Waiting, resume: Waiting,
			on: with(map[catalog.ID]Name{
				"plan_changed": ShowPlan, "unknown_administrator": Choose, "account_name": Choose,
				"password_short": Password, "password_long": Password, "password_unusable": Password, "password_guessed": Password,
			}),
		},
		{
			name: Waiting, text: "Asking the NAS whether the wait that its owner chose is over", skip: notWaiting, before: needCommit, do: doWait, verify: verifyWait, next: Redeem, resume: Waiting,
			on: map[catalog.ID]Name{"request_unknown": PressIt, "owner_unknown": PressIt},
		},
		{name: Redeem, text: "Handing over what has waited: from here on it goes to its end by itself", skip: redeemed, before: needCommit, do: doRedeem, verify: verifyRedeem, next: Follow, resume: Waiting},
		{name: Follow, text: "The NAS changes its settings", before: needCommit, do: doFollow, verify: verifyFollow, next: SignIn, resume: Follow},
		{
			name: SignIn, text: "Signing in anew", before: needCommit, do: doSignIn, verify: verifySignIn, next: Witnessed, resume: SignIn,
			on: map[catalog.ID]Name{"commit_unknown": PressIt},
		},
		{name: Witnessed, text: "Comparing every file with before", skip: noWitness, before: needCommit, do: doWitness, verify: verifyWitness, next: Receipt, resume: Witnessed},
		{name: Receipt, text: "Checking and keeping the receipt", before: needCommit, do: doReceipt, verify: verifyReceipt, next: Ended, resume: Receipt},
	}
}

// Steps lists the names of the steps in their order.
func Steps() []Name {
	var out []Name
	for _, s := range table() {
		out = append(out, s.name)
	}
	return out
}

// row looks a step up; ok is false for Ended and for names that are none.
func row(n Name) (step, bool) {
	t := table()
	i := slices.IndexFunc(t, func(s step) bool { return s.name == n })
	if i < 0 {
		return step{}, false
	}
	return t[i], true
}

// Diagram draws the table as a Mermaid state diagram.
func Diagram() string {
	var b strings.Builder
	b.WriteString("stateDiagram-v2\n    [*] --> find\n")
	for _, s := range table() {
		to := string(s.next)
		if s.next == Ended {
			to = "[*]"
		}
		fmt.Fprintf(&b, "    %s --> %s\n", s.name, to)
		for _, way := range grouped(s.on) {
			fmt.Fprintf(&b, "    %s --> %s : %s\n", s.name, way.to, strings.Join(way.ids, ", "))
		}
	}
	return b.String()
}

type edge struct {
	to  Name
	ids []string
}

// grouped lists the edges of a row by where they lead, in a fixed order.
func grouped(on map[catalog.ID]Name) []edge {
	var out []edge
	for _, to := range Steps() {
		var ids []string
		for id, n := range on {
			if n == to {
				ids = append(ids, string(id))
			}
		}
		if len(ids) > 0 {
			slices.Sort(ids)
			out = append(out, edge{to, ids})
		}
	}
	return out
}
