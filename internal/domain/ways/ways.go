// Package ways lists the ways back into a vendor's NAS, the one that changes
// least first: what each changes, keeps and loses, how long it takes, what it
// needs, and how sure that is (requirements C3).
//
// It is a table over the catalogue: every sentence about a vendor's behaviour
// rests on facts that are named. It goes no way itself, and it never leaves
// out that something is not known.
package ways

import (
	"slices"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/triage"
)

// ID names a way. It never changes once released.
type ID string

// The ways, in no order; For orders them.
const (
	SavedPassword      ID = "saved_password"
	OwnName            ID = "own_name" // the right name or account with the password that is known
	AnotherAddress     ID = "another_address"
	RightPort          ID = "right_port"
	Wait               ID = "wait"
	BrowserChange      ID = "change_in_browser"
	EmergencyCode      ID = "emergency_code"
	OtherAdministrator ID = "other_administrator"
	Approval           ID = "approval"
	ForgotMail         ID = "forgot_mail"
	SSH                ID = "ssh_root"
	CheckDrives        ID = "check_drives"
	DefaultSignIn      ID = "default_sign_in" // after a reset that has been done
	Reset1             ID = "reset_1"         // Mode 1, 3 seconds
	Reset2             ID = "reset_2"         // Mode 2, 10 seconds
	Reinstall          ID = "reinstall"       // the installer of a NAS whose settings are gone
)

// Doer is who does it.
type Doer string

// Who does it.
const (
	ByPerson  Doer = "person"  // told, and left to them
	Guided    Doer = "guided"  // step by step, watched
	Automatic Doer = "program" // by the device's API, after a yes
)

// Way is one way back in.
type Way struct {
	ID      ID           `json:"id"`
	Text    string       `json:"text"`
	Changes []string     `json:"changes"`
	Keeps   []string     `json:"keeps"`
	Lost    []string     `json:"lost"`
	Takes   string       `json:"takes"`
	Needs   []string     `json:"needs"`
	By      Doer         `json:"by"`
	Steps   []string     `json:"steps,omitempty"`
	Warning string       `json:"warning,omitempty"`
	Facts   []catalog.ID `json:"facts"`
	Sure    string       `json:"sure"` // the weakest confidence among the facts
	// Useless is why it cannot help here, where that is known beforehand; such a
	// way is listed last, so that nobody goes looking for it.
	Useless string `json:"useless,omitempty"`
}

// Situation is where somebody stands.
type Situation struct {
	Model   catalog.Model
	Version string // of the firmware, as catalog.DSMVersion writes it; empty where unknown
	Cause   triage.CauseID
	Known   Known
}

// Known is what was seen of the NAS. A nil part was not.
type Known struct {
	KeepPassword *bool     `json:"keep_password,omitempty"` // the owner's option by which Mode 1 keeps the password
	MailReset    *bool     `json:"mail_reset,omitempty"`    // whether the forgot-password mail can work
	OtherAdmins  *int      `json:"other_admins,omitempty"`  // administrators that could still get in, but for the one locked out
	MachineKeys  *bool     `json:"machine_keys,omitempty"`  // whether an encrypted folder's key is kept with the machine key
	Settings     Knowledge `json:"settings"`
}

// Knowledge is what the NAS's settings are known from.
type Knowledge string

// The kinds, best first.
const (
	FromDevice   Knowledge = "device"   // read now
	FromSnapshot Knowledge = "snapshot" // read then
	FromSighting Knowledge = "sighting" // what was seen on the network
	FromNowhere  Knowledge = ""
)

// For lists the ways for a situation, the one that changes least first; those
// that are known to be useless come last.
func For(s Situation) []Way {
	var out, useless []Way
	for _, r := range rows() {
		if !r.fits(s) {
			continue
		}
		w := r.way(s)
		if w.Useless = r.uselessIn(s); w.Useless != "" {
			useless = append(useless, w)
		} else {
			out = append(out, w)
		}
	}
	return append(out, useless...)
}

// Named returns one way of a situation.
func Named(s Situation, id ID) (Way, bool) {
	all := For(s)
	i := slices.IndexFunc(all, func(w Way) bool { return w.ID == id })
	if i < 0 {
		return Way{}, false
	}
	return all[i], true
}

// Beforehand says, before a press, what cannot be known about this NAS, and how
// to save it first while any door is still open. It is empty where the settings
// are known.
func Beforehand(s Situation) []string {
	synology := s.Model.Vendor == string(triage.Synology)
	var out []string
	switch s.Known.Settings {
	case FromDevice, FromSnapshot:
		return nil
	case FromSighting:
		out = append(out, "Its address, gateway and name were seen on the network and are kept. What follows was not seen and cannot be known from outside:")
	default:
		out = append(out, "Nothing of its settings is known here. What follows cannot be known from outside:")
	}
	out = append(out, "- which firewall rules there are, and whether auto block is on: a reset turns both off")
	if synology {
		out = append(out, "- whether an encrypted folder's key is kept on the NAS with the machine key: Mode 1 deletes it, and the passphrase is needed then")
	} else {
		out = append(out, "- whether there are encrypted volumes: what a reset does to them is not documented; have the key at hand")
	}
	save := "If any door is still open (another administrator, a mounted share, SSH), save this first: "
	if synology {
		save += "Control Panel, Update & Restore, Configuration Backup; and the .key file of each encrypted folder."
	} else {
		save += "Control Panel, System, Backup/Restore; and write down the names of the shared folders."
	}
	return append(out, save)
}

// row is one way as the table has it.
type row struct {
	Way
	vendor triage.Vendor // empty: both
	causes []triage.CauseID
	// useless says why it cannot help, by what is known; nil: it always may.
	useless func(Situation) string
}

func (r row) fits(s Situation) bool {
	if r.vendor != "" && string(r.vendor) != s.Model.Vendor {
		return false
	}
	return slices.Contains(r.causes, s.Cause)
}

func (r row) uselessIn(s Situation) string {
	if r.useless == nil {
		return ""
	}
	return r.useless(s)
}

// way fills in what the facts say of this firmware and how sure they are.
func (r row) way(s Situation) Way {
	w := r.Way
	w.Facts = nil
	worst := 0
	order := []catalog.Confidence{catalog.A, catalog.B, catalog.Inference, catalog.C, catalog.Sought}
	for _, id := range r.Facts {
		f, ok := catalog.FactNamed(id)
		if !ok || f.Vendor != s.Model.Vendor || !f.Applies(s.Version) {
			continue
		}
		w.Facts = append(w.Facts, id)
		worst = max(worst, slices.Index(order, f.Confidence))
	}
	w.Sure = string(order[worst])
	if len(w.Facts) == 0 {
		w.Facts, w.Sure = []catalog.ID{}, ""
	}
	for _, l := range []*[]string{&w.Changes, &w.Keeps, &w.Lost, &w.Needs} {
		if *l == nil {
			*l = []string{}
		}
	}
	return w
}
