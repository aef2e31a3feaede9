package face

import (
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"

	store "github.com/paperclip-nas/paperclip/internal/device/setting/memory"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// Fault is one thing that is wrong with a box, or with whoever stands before it.
type Fault string

// The faults. Their names are what --scenario takes.
const (
	OtherAdmin   Fault = "other-admin"       // a second administrator's password is known to somebody
	Blocked      Fault = "blocked-address"   // this computer's address is on the block list
	LostPhone    Fault = "lost-phone"        // the administrator's second factor is gone
	HasPhone     Fault = "second-factor"     // the administrator has one, and the phone is there
	Redirect     Fault = "redirect"          // HTTP leads to an HTTPS port where nothing answers
	Disabled     Fault = "disabled"          // the administrator's account is switched off
	Expired      Fault = "expired"           // the administrator's account has expired
	LockedOut    Fault = "account-locked"    // after wrong passwords from elsewhere
	Privilege    Fault = "privilege-removed" // the administrator may not use the desktop any more
	KeepPassword Fault = "keep-password"     // the reset button leaves the password alone
	NotReady     Fault = "not-ready"         // it has just been switched on
	NoDHCP       Fault = "no-dhcp"           // nobody gives addresses
	OtherSubnet  Fault = "other-subnet"      // its address is of a network that no broadcast reaches
	NoDrives     Fault = "no-drives"         // it sees no drive
	MachineKey   Fault = "machine-key"       // an encrypted folder's key is kept on the box alone
	SlowBoot     Fault = "slow-boot"         // it takes ten minutes to come back
	NeverBack    Fault = "never-back"        // it does not come back
	Imposter     Fault = "imposter"          // somebody else claims its MAC, serial and name
	ForgotMail   Fault = "forgot-mail"       // the vendor's forgot-password mail was set up
	ShortPress   Fault = "short-press"       // the person lets go too early, at first
	LongPress    Fault = "long-press"        // the person holds on too long, at first
	OlderSystem  Fault = "older-system"      // DSM 6.2.3, QTS 4.3
	NewerSystem  Fault = "newer-system"      // QTS 5.2
	ModeTwo      Fault = "mode-2"            // where Mode 1 does not help, the person goes on to Mode 2
	HasBackup    Fault = "settings-backup"   // the person has a settings backup of it
)

// Faults lists them all.
func Faults() []Fault {
	return []Fault{
		OtherAdmin, Blocked, LostPhone, HasPhone, Redirect, Disabled, Expired, LockedOut, Privilege, KeepPassword, NotReady, NoDHCP,
		OtherSubnet, NoDrives, MachineKey, SlowBoot, NeverBack, Imposter, ForgotMail, ShortPress, LongPress, OlderSystem, NewerSystem, ModeTwo, HasBackup,
	}
}

// Scenario is everything that is wrong; nil is nothing.
type Scenario []Fault

// Has reports whether f is among it.
func (s Scenario) Has(f Fault) bool { return slices.Contains(s, f) }

// ParseScenario reads faults with commas between them.
func ParseScenario(s string) (Scenario, error) {
	var out Scenario
	for _, one := range strings.Split(s, ",") {
		f := Fault(strings.TrimSpace(one))
		switch {
		case f == "":
		case !slices.Contains(Faults(), f):
			return nil, fmt.Errorf("there is no scenario %q", f)
		default:
			out = append(out, f)
		}
	}
	return out, nil
}

// The people of the lab's household.
const (
	Owner  = "anna" // who is locked out
	Second = "dora" // the second administrator, where there is one
)

// prepare makes the box one with its faults: each lab start anew, whatever an
// earlier rescue made of it.
func (b *Box) prepare() error {
	sc := b.cfg.Scenario
	err := b.cfg.Store.Edit("face.scenario", func(s *store.State) error {
		set := &s.Settings
		if i := slices.IndexFunc(set.Accounts, func(a nas.Account) bool { return a.Name == Owner }); i >= 0 {
			set.Accounts[i].Enabled = !sc.Has(Disabled)
			set.Accounts[i].SecondFactor = sc.Has(LostPhone) || sc.Has(HasPhone)
		}
		if _, there := set.Account(Second); sc.Has(OtherAdmin) && !there {
			set.Accounts = append(set.Accounts, nas.Account{Name: Second, Administrator: true, Enabled: true})
		}
		if set.AutoBlock != nil {
			set.AutoBlock.Blocked = slices.DeleteFunc(set.AutoBlock.Blocked, func(a string) bool { return a == here })
			if sc.Has(Blocked) {
				set.AutoBlock.Enabled, set.AutoBlock.Blocked = true, append(set.AutoBlock.Blocked, here)
			}
		}
		if set.Ports != nil {
			set.Ports.ForceHTTPS = sc.Has(Redirect)
		}
		if sc.Has(MachineKey) {
			for i := range set.EncryptedFolders {
				f := &set.EncryptedFolders[i]
				f.Mounted, f.MountOnStart, f.KeySealed, f.KeepKey = true, true, true, false
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return b.Remember(func(m *Memory) {
		m.Retain, m.ForgotMail = sc.Has(KeepPassword), sc.Has(ForgotMail)
		m.Locked, m.Unprivilege = nil, nil
		delete(m.Expires, Owner)
		delete(m.Secrets, Owner)
		if sc.Has(LockedOut) {
			m.Locked = []string{Owner}
		}
		if sc.Has(Privilege) {
			m.Unprivilege = []string{Owner}
		}
		if sc.Has(Expired) {
			m.Expires[Owner] = "2020/1/31"
		}
		if sc.Has(LostPhone) || sc.Has(HasPhone) {
			m.Secrets[Owner] = base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte(rand.Text())[:20])
		}
	})
}

// here is where the lab's person asks from.
const here = "127.0.0.1"
