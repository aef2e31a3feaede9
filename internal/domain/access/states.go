package access

import (
	"fmt"
	"strings"
)

// ClaimState is where a claim stands.
type ClaimState string

// The states of a claim.
const (
	Closed     ClaimState = "closed"
	OpenSoft   ClaimState = "open soft"
	OpenHard   ClaimState = "open hard"
	ProvedSoft ClaimState = "proved soft"
	ProvedHard ClaimState = "proved hard"
	Accepted   ClaimState = "accepted" // the journal has it: forward to the end
)

// ClaimEvent is what can happen to a claim.
type ClaimEvent string

// The events of a claim's life.
const (
	PressSoft ClaimEvent = "press, 1 beep"
	PressHard ClaimEvent = "second press, 3 beeps"
	HoldOn    ClaimEvent = "held past 10 s"
	Prove     ClaimEvent = "presence proved"
	Accept    ClaimEvent = "plan accepted"
	Lapse     ClaimEvent = "window over"
	Finish    ClaimEvent = "committed or undone"
	Leave     ClaimEvent = "claimant leaves"
)

// ClaimStates lists the states.
func ClaimStates() []ClaimState {
	return []ClaimState{Closed, OpenSoft, OpenHard, ProvedSoft, ProvedHard, Accepted}
}

// ClaimEvents lists the events.
func ClaimEvents() []ClaimEvent {
	return []ClaimEvent{PressSoft, PressHard, HoldOn, Prove, Accept, Lapse, Finish, Leave}
}

// Proved reports whether a session has proved presence.
func (s ClaimState) Proved() bool { return s == ProvedSoft || s == ProvedHard || s == Accepted }

// Hard reports whether the claim is for a hard reset.
func (s ClaimState) Hard() bool { return s == OpenHard || s == ProvedHard }

// claimTable is the life of a claim. What is not in it does not happen: in
// particular nothing leads to accepted but proved, and nothing leads out of
// accepted but the end of the transaction. A hard press after presence was
// proved changes nothing: the claimant has already seen which reset it is.
func claimTable() map[ClaimState]map[ClaimEvent]ClaimState {
	ends := func(more map[ClaimEvent]ClaimState) map[ClaimEvent]ClaimState {
		more[HoldOn], more[Lapse], more[Leave] = Closed, Closed, Closed
		return more
	}
	return map[ClaimState]map[ClaimEvent]ClaimState{
		Closed:     {PressSoft: OpenSoft},
		OpenSoft:   ends(map[ClaimEvent]ClaimState{PressHard: OpenHard, Prove: ProvedSoft}),
		OpenHard:   ends(map[ClaimEvent]ClaimState{Prove: ProvedHard}),
		ProvedSoft: ends(map[ClaimEvent]ClaimState{Accept: Accepted}),
		ProvedHard: ends(map[ClaimEvent]ClaimState{Accept: Accepted}),
		Accepted:   {Finish: Closed},
	}
}

// Next looks a transition up. ok is false where there is none.
func Next(s ClaimState, e ClaimEvent) (next ClaimState, ok bool) {
	next, ok = claimTable()[s][e]
	return next, ok
}

// ClaimDiagram draws the table as a Mermaid state diagram.
func ClaimDiagram() string {
	var b strings.Builder
	b.WriteString("stateDiagram-v2\n    [*] --> closed\n")
	name := func(s ClaimState) string { return strings.ReplaceAll(string(s), " ", "_") }
	for _, s := range ClaimStates() {
		for _, e := range ClaimEvents() {
			if next, ok := Next(s, e); ok {
				fmt.Fprintf(&b, "    %s --> %s : %s\n", name(s), name(next), e)
			}
		}
	}
	return b.String()
}
