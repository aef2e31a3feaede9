package access

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

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
	ButtonWait        ButtonPolicy = "wait 24h"     // D11: after a day, with notices; any whole hours from 1 to MaxWaitHours
)

// MaxWaitHours is the longest wait that an owner can choose: a week.
const MaxWaitHours = 168

// ButtonPolicies lists the choices, the wait with its usual length.
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
	if _, ok := ButtonPolicy(s).Wait(); ok {
		return ButtonPolicy(s), nil
	}
	return "", fmt.Errorf("button policy %q is not known: full, network-only, second proof or wait 24h (any whole hours from 1h to %dh)", s, MaxWaitHours)
}

// Wait is how long a claimant must wait; ok is false for every other choice.
func (p ButtonPolicy) Wait() (length time.Duration, ok bool) {
	text, isWait := strings.CutPrefix(string(p), "wait ")
	digits, inHours := strings.CutSuffix(text, "h")
	hours, err := strconv.Atoi(digits)
	if !isWait || !inHours || err != nil || hours < 1 || hours > MaxWaitHours || strconv.Itoa(hours) != digits {
		return 0, false
	}
	return time.Duration(hours) * time.Hour, true
}

// Demand is what a claim must have beside presence to carry something out.
type Demand string

// The demands.
const (
	PresenceIsEnough Demand = "presence"
	SecondProof      Demand = "second proof"
	AfterWait        Demand = "wait"
	Never            Demand = "never"
)

// Asks is what the policy demands for a reset that has these effects. The
// network alone never needs more than presence: it opens nothing. A second
// factor always needs more (promise 7): a second proof, or a wait where that is
// the owner's choice.
func (p ButtonPolicy) Asks(effects []nas.Effect) Demand {
	network := []nas.Effect{nas.E3, nas.E4, nas.E5, nas.E6, nas.E7}
	more := slices.ContainsFunc(effects, func(e nas.Effect) bool { return !slices.Contains(network, e) })
	_, waits := p.Wait()
	switch {
	case !more:
		return PresenceIsEnough
	case p == ButtonNetworkOnly:
		return Never
	case waits:
		return AfterWait
	case p == ButtonSecondProof || slices.Contains(effects, nas.E13):
		return SecondProof
	case p == ButtonFull || p == "":
		return PresenceIsEnough
	default: // not a choice there is: it opens nothing
		return Never
	}
}

// Costs says beforehand what the choice costs its owner (D9).
func (p ButtonPolicy) Costs() string {
	if length, ok := p.Wait(); ok {
		return fmt.Sprintf("The button helps against a forgotten password only after %d hours, in which every administrator is told and can say no.", int(length.Hours()))
	}
	switch p {
	case ButtonNetworkOnly:
		return "The button no longer helps against a forgotten password. Keep a second administrator, or recovery codes with a root shell."
	case ButtonSecondProof:
		return "The button helps against a forgotten password only together with a recovery code. Print them (`paperclipd codes`) and keep them away from the NAS."
	default:
		return "Whoever can press the button and hear its beeps can set an administrator's password."
	}
}
