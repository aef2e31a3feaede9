package access

import (
	"fmt"
	"slices"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// ButtonPolicy is the owner's choice of what a press of the button may lead to
// (D9, D11). A press only ever opens a claim; the policy narrows what that
// claim may do. A hard reset does not clear it.
type ButtonPolicy string

// The choices.
const (
	ButtonFull        ButtonPolicy = "full"         // all that a claim can do
	ButtonNetworkOnly ButtonPolicy = "network-only" // D9: never a password
	ButtonSecondProof ButtonPolicy = "second proof" // D11: a recovery code beside presence
	ButtonWait        ButtonPolicy = "wait 24h"     // D11: after a day, with notices
)

// ButtonPolicies lists the choices.
func ButtonPolicies() []ButtonPolicy {
	return []ButtonPolicy{ButtonFull, ButtonNetworkOnly, ButtonSecondProof, ButtonWait}
}

// ParseButtonPolicy reads a choice; empty is full.
func ParseButtonPolicy(s string) (ButtonPolicy, error) {
	if s == "" {
		return ButtonFull, nil
	}
	if p := ButtonPolicy(s); slices.Contains(ButtonPolicies(), p) {
		return p, nil
	}
	return "", fmt.Errorf("button policy %q is not known: full, network-only, second proof or wait 24h", s)
}

// Demand is what a claim must have beside presence to carry something out.
type Demand string

// The demands.
const (
	PresenceIsEnough Demand = "presence"
	SecondProof      Demand = "second proof"
	WaitADay         Demand = "wait 24h"
	Never            Demand = "never"
)

// Asks is what the policy demands for a reset that has these effects. The
// network alone never needs more than presence: it opens nothing.
func (p ButtonPolicy) Asks(effects []nas.Effect) Demand {
	network := []nas.Effect{nas.E3, nas.E4, nas.E5, nas.E6, nas.E7}
	more := slices.ContainsFunc(effects, func(e nas.Effect) bool { return !slices.Contains(network, e) })
	switch {
	case !more || p == ButtonFull || p == "":
		return PresenceIsEnough
	case p == ButtonNetworkOnly:
		return Never
	case p == ButtonSecondProof:
		return SecondProof
	default:
		return WaitADay
	}
}

// Costs says beforehand what the choice costs its owner (D9).
func (p ButtonPolicy) Costs() string {
	switch p {
	case ButtonNetworkOnly:
		return "The button no longer helps against a forgotten password. Keep a second administrator, or recovery codes with a root shell."
	case ButtonSecondProof:
		return "The button helps against a forgotten password only together with a recovery code. Print them (`paperclipd codes`) and keep them away from the NAS."
	case ButtonWait:
		return "The button helps against a forgotten password only after 24 hours, in which every administrator is told and can say no."
	default:
		return "Whoever can press the button and hear its beeps can set an administrator's password."
	}
}
