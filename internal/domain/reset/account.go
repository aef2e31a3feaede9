package reset

import (
	"slices"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// Account is what an administrator does to an administrator's account without a
// reset (R3 R4). It is no mode that can be chosen for a reset: its scopes say
// what is done, and it is journalled, checked and receipted as a reset is.
const Account Mode = "account"

// What can be done to an account.
const (
	SetPassword Scope = "password"
	SwitchOff   Scope = "disable"
	SwitchOn    Scope = "enable"
)

// AccountActions lists them.
func AccountActions() []Scope { return []Scope{SetPassword, SwitchOff, SwitchOn} }

// ApplyAccount returns the settings as they are after an action on one account,
// and leaves s alone.
func ApplyAccount(action Scope, s nas.Settings, user string) nas.Settings {
	s = s.Clone()
	onAccount(s, user, func(a *nas.Account) {
		switch action {
		case SetPassword:
			a.Enabled = true
			a.PasswordChanges++
		case SwitchOff:
			a.Enabled = false
		case SwitchOn:
			a.Enabled = true
		}
	})
	return s
}

// MayAct reports whether an administrator has a way in after an action (X24).
// proved are the administrators who have really signed in with the password of
// now: switching an account off counts on nobody else.
func MayAct(action Scope, s nas.Settings, user string, proved []string) bool {
	if action != SwitchOff {
		return true
	}
	return slices.ContainsFunc(ApplyAccount(action, s, user).Administrators(), func(a nas.Account) bool {
		return a.Name != user && a.Enabled && slices.Contains(proved, a.Name)
	})
}

// BuildAccount is the plan of an action on one account.
func BuildAccount(device string, action Scope, user string, s nas.Settings) Plan {
	before, after := user+": can sign in", user+": switched off; its password is kept, and opens nothing until it is switched on again"
	if a, _ := s.Account(user); !a.Enabled {
		before = user + ": switched off"
	}
	switch action {
	case SetPassword:
		before, after = user+": the password of now", user+": the new password; the account can sign in"
	case SwitchOn:
		after = user + ": can sign in, with the password that it had"
	}
	p := Plan{
		Device: device, Mode: Account, Scope: action, Administrator: user,
		Changes: []Change{{ID: nas.E1, Setting: nas.E1.Setting(), From: before, To: after}},
		Keeps:   []string{"every file on every volume", "every other account and its password", "every other setting"},
		Losses:  []string{}, Interrupts: []string{}, NotCovered: []string{}, Needs: []string{}, Takes: "seconds; no restart",
	}
	if action != SwitchOn {
		p.Interrupts = interrupts(nas.E1)
	}
	return p
}
