package check

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
)

// answer is what a row says.
type answer struct {
	ok       bool
	why      string
	whatToDo string
}

// row is one check of facts F. known is false where the facts do not reach.
type row[F any] struct {
	id     ID
	weight int
	look   func(F) (a answer, known bool)
}

const (
	fewCodes    = 3
	oldSnapshot = 30 * 24 * time.Hour
)

// rows are the checks: first whether the owner gets in, then whether nobody else
// does, then what happened lately.
func rows() []row[Facts] {
	return []row[Facts]{
		{SecondAdministrator, 20, secondAdministrator},
		{RecoveryCodes, 15, recoveryCodes},
		{Button, 20, button},
		{ButtonPolicy, 5, buttonPolicy},
		{Device, 5, device},
		{OwnerKey, 5, ownerKey},
		{RecoveryKey, 5, recoveryKey},
		{Snapshot, 5, snapshot},
		{EncryptedFolders, 10, encryptedFolders},
		{BuiltInOff, 5, builtInOff},
		{SecondFactor, 5, secondFactor},
		{GuestOff, 5, guestOff},
		{AutoBlock, 5, autoBlock},
		{Firewall, 5, firewall},
		{Notices, 5, notices},
		{Requests, 10, requests},
	}
}

func secondAdministrator(f Facts) (answer, bool) {
	if f.Administrators == nil {
		return answer{}, false
	}
	n := len(f.enabled())
	switch {
	case n == 0:
		return answer{why: "No administrator can sign in.", whatToDo: "Set a password with the reset button, or at the console."}, true
	case n == 1:
		return answer{why: "There is one administrator. If that password is lost, nobody can set another.", whatToDo: "Make a second administrator, for somebody you trust, and sign in as them once."}, true
	case f.proved() < 2:
		return answer{why: "There is more than one administrator, but fewer than two have really signed in here with the password of now.", whatToDo: "Have each sign in once: `paperclip account TARGET list --as NAME`."}, true
	}
	return answer{ok: true, why: fmt.Sprintf("%d administrators have really signed in with the password of now.", f.proved())}, true
}

func recoveryCodes(f Facts) (answer, bool) {
	if f.Administrators == nil {
		return answer{}, false
	}
	var without []string
	for _, a := range f.enabled() {
		if a.Codes < fewCodes && !a.BuiltIn {
			without = append(without, a.Name)
		}
	}
	if len(without) > 0 {
		return answer{why: "Fewer than three recovery codes are left for " + strings.Join(without, ", ") + ".", whatToDo: "On the NAS, as root: `paperclipd codes NAME`. Print them, and keep them away from it."}, true
	}
	return answer{ok: true, why: "Every administrator has recovery codes."}, true
}

// button looks for what keeps a press from helping.
func button(f Facts) (answer, bool) {
	if f.Findings == nil {
		return answer{}, false
	}
	for _, one := range f.Findings {
		if !one.OK && slices.Contains([]string{"button", "beeper", "code", "light", "logind", "password", "claim_network"}, one.ID) {
			return answer{why: "The reset button would not help as it should: " + one.Why, whatToDo: one.WhatToDo}, true
		}
	}
	return answer{ok: true, why: "The reset button, and what says its code, are ready."}, true
}

func device(f Facts) (answer, bool) {
	if f.Findings == nil {
		return answer{}, false
	}
	var bad []string
	for _, one := range f.Findings {
		if !one.OK {
			bad = append(bad, one.ID)
		}
	}
	if len(bad) > 0 {
		return answer{why: "The NAS's own check finds: " + strings.Join(bad, ", ") + ".", whatToDo: "On the NAS, as root: `paperclipd doctor`."}, true
	}
	return answer{ok: true, why: "The NAS's own check finds nothing wrong."}, true
}

// buttonPolicy looks whether there is another way where the button is narrowed.
func buttonPolicy(f Facts) (answer, bool) {
	if f.Policy == nil || f.Administrators == nil {
		return answer{}, false
	}
	codes := slices.ContainsFunc(f.enabled(), func(a Administrator) bool { return a.Codes > 0 })
	switch p := *f.Policy; {
	case p == access.ButtonSecondProof && !codes:
		return answer{why: "The button asks for a recovery code, and there is none.", whatToDo: "On the NAS, as root: `paperclipd codes NAME`."}, true
	case p == access.ButtonNetworkOnly && f.proved() < 2:
		return answer{why: "The button never sets a password, and fewer than two administrators are known to get in.", whatToDo: "Make a second administrator and sign in as them, or choose another [claim] allows."}, true
	default:
		return answer{ok: true, why: "What the button may do: " + string(p) + ". " + p.Costs()}, true
	}
}

func ownerKey(f Facts) (answer, bool) {
	if f.Here == nil {
		return answer{}, false
	}
	if !*f.Here {
		return answer{why: "This computer's owner key is not enrolled on the NAS.", whatToDo: "A rescue enrols it. Until then it needs an administrator's password."}, true
	}
	return answer{ok: true, why: "This computer's owner key is enrolled: it can fetch receipts and snapshots without a password."}, true
}

func recoveryKey(f Facts) (answer, bool) {
	if f.RecoveryKey == nil {
		return answer{}, false
	}
	if !*f.RecoveryKey {
		return answer{why: "There is no recovery key, so no snapshot is sealed for you.", whatToDo: "`paperclip snapshot TARGET -o FILE` makes one, and prints it once."}, true
	}
	return answer{ok: true, why: "Snapshots are sealed to your recovery key. Make sure that you still have it."}, true
}

func snapshot(f Facts) (answer, bool) {
	if f.RecoveryKey == nil || !*f.RecoveryKey {
		return answer{}, false
	}
	switch {
	case f.SnapshotAge == nil:
		return answer{why: "There is no snapshot of the settings.", whatToDo: "`paperclip snapshot TARGET -o FILE`, and keep the file elsewhere."}, true
	case *f.SnapshotAge > oldSnapshot:
		return answer{why: fmt.Sprintf("The latest snapshot is %d days old.", int(f.SnapshotAge.Hours()/24)), whatToDo: "`paperclip snapshot TARGET -o FILE`, and keep the file elsewhere."}, true
	}
	return answer{ok: true, why: "There is a recent snapshot of the settings."}, true
}

// encryptedFolders looks for keys that a reset would remove.
func encryptedFolders(f Facts) (answer, bool) {
	if len(f.EncryptedFolders) == 0 {
		return answer{}, false
	}
	var risk []string
	for _, one := range f.EncryptedFolders {
		if one.KeySealed && !one.KeepKey {
			risk = append(risk, one.Name)
		}
	}
	if len(risk) > 0 {
		return answer{
			why:      "The key of " + strings.Join(risk, ", ") + " is kept on the NAS, and a reset of everything removes it. Whoever has no passphrase then has lost the folder.",
			whatToDo: "Make sure today that you have each passphrase: close the folder, and open it with it.",
		}, true
	}
	return answer{ok: true, why: "No encrypted folder depends on a key that a reset removes."}, true
}

func builtInOff(f Facts) (answer, bool) {
	if f.Administrators == nil {
		return answer{}, false
	}
	for _, a := range f.enabled() {
		if a.BuiltIn {
			return answer{why: "The built-in administrator " + a.Name + " can sign in: its name is the first that is tried.", whatToDo: "When another administrator has signed in: `paperclip account TARGET disable " + a.Name + "`."}, true
		}
	}
	return answer{ok: true, why: "The built-in administrator is switched off."}, true
}

func secondFactor(f Facts) (answer, bool) {
	if f.Administrators == nil || len(f.enabled()) == 0 {
		return answer{}, false
	}
	for _, a := range f.enabled() {
		if !a.SecondFactor {
			return answer{why: "The administrator " + a.Name + " has no second factor: a password that leaks is enough.", whatToDo: "Set one up, with a second device or printed codes beside it."}, true
		}
	}
	return answer{ok: true, why: "Every administrator has a second factor."}, true
}

func guestOff(f Facts) (answer, bool) {
	if f.Guest == nil {
		return answer{}, false
	}
	return answer{!f.Guest.Enabled, onOff("The guest account", f.Guest.Enabled), "Switch it off unless you use it."}, true
}

func autoBlock(f Facts) (answer, bool) {
	if f.AutoBlock == nil {
		return answer{}, false
	}
	return answer{f.AutoBlock.Enabled, onOff("Auto block", f.AutoBlock.Enabled), "Switch it on again: a reset of everything switches it off."}, true
}

func firewall(f Facts) (answer, bool) {
	if f.Firewall == nil {
		return answer{}, false
	}
	return answer{f.Firewall.Enabled, onOff("The firewall", f.Firewall.Enabled), "Switch it on again: a reset of everything switches it off."}, true
}

func onOff(what string, on bool) string {
	if on {
		return what + " is on."
	}
	return what + " is off."
}

// notices looks whether something happened in the last week that an owner should
// have done.
func notices(f Facts) (answer, bool) {
	if f.Administrators == nil {
		return answer{}, false
	}
	var said []string
	for _, id := range f.Notices {
		if n, ok := catalog.NoticeOf(id); ok && !slices.Contains(said, n.Text) {
			said = append(said, n.Text)
		}
	}
	if len(said) == 0 {
		return answer{ok: true, why: "Nothing happened in the last week that you should know of."}, true
	}
	return answer{why: "In the last week: " + strings.Join(said, "; ") + ".", whatToDo: "If that was not one of you, look at the receipts, set every administrator's password, and see who can come near the box."}, true
}

func requests(f Facts) (answer, bool) {
	if f.Requests == nil {
		return answer{}, false
	}
	if *f.Requests > 0 {
		return answer{why: "Somebody's request for a reset waits on the NAS.", whatToDo: "If it is nobody's of you, on the NAS, as root: `paperclipd requests --refuse ID`."}, true
	}
	return answer{ok: true, why: "No request waits."}, true
}
