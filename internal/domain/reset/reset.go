// Package reset says what a reset does: which settings a mode and a scope
// change, what they keep, and what that costs, worked out from one NAS's real
// settings before anything happens.
//
// It changes nothing. Apply returns new settings, Build returns a Plan; the
// device's setting adapters do the work, one Step at a time, and the journal
// makes it all or nothing.
package reset

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// Mode is how far a reset goes (requirements D2, D3).
type Mode string

// The two modes.
const (
	Soft Mode = "soft"
	Hard Mode = "hard"
)

// Scope narrows a soft reset. A hard reset has none.
type Scope string

// The scopes, from the one that changes least (design.md, "Claim").
const (
	Credentials Scope = "credentials"
	Network     Scope = "network" // D13: another network, password untouched
	All         Scope = "all"     // Mode 1 as the vendors have it
)

// ParseMode reads a mode as typed.
func ParseMode(s string) (Mode, error) {
	if m := Mode(s); m == Soft || m == Hard {
		return m, nil
	}
	return "", fmt.Errorf("mode %q is not known: soft or hard", s)
}

// ParseScope reads a scope as typed; empty means credentials.
func ParseScope(s string) (Scope, error) {
	switch sc := Scope(s); sc {
	case "":
		return Credentials, nil
	case Credentials, Network, All:
		return sc, nil
	}
	return "", fmt.Errorf("scope %q is not known: credentials, network or all", s)
}

// Effects lists the rows that a mode and scope may change. E13, the second
// factor, is in none of them: it is asked for by itself (Request.SecondFactor)
// and takes a second proof or a wait.
func Effects(m Mode, s Scope) []nas.Effect {
	network := []nas.Effect{nas.E3, nas.E4, nas.E5, nas.E6, nas.E7}
	everything := slices.Concat([]nas.Effect{nas.E1, nas.E2}, network, []nas.Effect{nas.E8, nas.E9, nas.E10, nas.E11, nas.E12})
	switch {
	case m == Account:
		return []nas.Effect{nas.E1}
	case m == PutBack: // what a restore changes is what was saved
		return nil
	case m == Hard: // D5: all of Mode 1, and what makes it a new NAS
		return append(everything, nas.H1, nas.H2, nas.H3)
	case s == All:
		return everything
	case s == Network:
		return network
	default:
		return []nas.Effect{nas.E1}
	}
}

// SetsPassword reports whether a reset of this kind needs a new password.
func SetsPassword(m Mode, s Scope) bool {
	return slices.Contains(Effects(m, s), nas.E1) && (m != Account || s == SetPassword)
}

// Step is one change of one setting by one adapter, worked out before
// acceptance and safe to repeat. Data is the adapter's own: the old value,
// which is the undo image, and the new one. It holds hashes, never a password.
type Step struct {
	Name    string          `json:"name"`
	Adapter string          `json:"adapter"`
	Effects []nas.Effect    `json:"effects"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// Apply returns the settings as they are after effect e, and leaves s alone.
// administrator is the account that E1 and E13 are for, and that H3 spares.
// Applying the same effect twice changes nothing more, but for E1, which counts
// passwords. What the set-up wizard's answers add is [Wizard.Apply]'s.
func Apply(e nas.Effect, s nas.Settings, administrator string) nas.Settings {
	s = s.Clone()
	switch e {
	case nas.E1:
		onAccount(s, administrator, func(a *nas.Account) { a.Enabled = true; a.PasswordChanges++ })
	case nas.E2:
		if s.Guest != nil {
			s.Guest.Enabled = false
		}
	case nas.E3:
		if s.Ports != nil {
			*s.Ports = nas.DefaultPorts()
		}
		if s.Cockpit != nil {
			*s.Cockpit = nas.DefaultCockpit()
		}
	case nas.E4:
		for i := range s.Interfaces {
			in := &s.Interfaces[i]
			in.Method, in.Addresses, in.Gateway, in.DNS = nas.DHCP, nil, "", nil
		}
	case nas.E5:
		for i := range s.Interfaces {
			if s.Interfaces[i].MTU > standardMTU {
				s.Interfaces[i].MTU = standardMTU
			}
		}
	case nas.E6:
		if s.PPPoE != nil {
			s.PPPoE.Enabled = false
		}
	case nas.E7:
		for i := range s.Bonds {
			s.Bonds[i].Enabled = false
		}
	case nas.E8:
		if s.AutoBlock != nil {
			s.AutoBlock.Enabled = false
		}
	case nas.E9:
		if s.Firewall != nil {
			s.Firewall.Enabled = false
		}
	case nas.E10:
		if s.HighAvailability != nil {
			*s.HighAvailability = nas.Membership{}
		}
	case nas.E11:
		if s.VirtualMachines != nil {
			*s.VirtualMachines = nas.Membership{}
		}
	case nas.E12:
		for i := range s.EncryptedFolders {
			f := &s.EncryptedFolders[i]
			f.Mounted, f.MountOnStart = false, false
			f.KeySealed = f.KeySealed && f.KeepKey
		}
	case nas.E13:
		onAccount(s, administrator, func(a *nas.Account) { a.SecondFactor = false })
	case nas.H2:
		if s.Shares != nil {
			*s.Shares = nas.Shares{Defined: slices.Clone(s.Shares.Baseline), Baseline: s.Shares.Baseline}
		}
	case nas.H3:
		for i := range s.Accounts {
			if Locked(s.Accounts[i].Name, administrator) {
				s.Accounts[i].Enabled = false
			}
		}
	}
	return s
}

// Locked reports whether H3 locks an account: every person's but the
// administrator's who takes the NAS over, and root's. Root signs in at the
// console, which is nobody's who is not with the NAS, and is the last way in.
func Locked(account, administrator string) bool {
	return account != administrator && account != "root"
}

// standardMTU is the largest packet of plain Ethernet, in bytes.
const standardMTU = 1500

func onAccount(s nas.Settings, name string, change func(*nas.Account)) {
	for i := range s.Accounts {
		if s.Accounts[i].Name == name {
			change(&s.Accounts[i])
		}
	}
}
