package check

import (
	"fmt"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// The checks that only a vendor's NAS has.
const (
	ForgotMail ID = "forgot_mail" // the vendor's own mail for a forgotten password
	Met        ID = "met"         // whether this computer would know the NAS again
)

// VendorFacts are what is known of a Synology or QNAP. A nil part was not found
// out.
type VendorFacts struct {
	Vendor       string
	Settings     nas.Settings
	KeepPassword *bool // the owner's option by which the button leaves the password alone
	MailReset    *bool
	Met          bool   // its certificate was known before this check
	As           string // who has just signed in
}

// JudgeVendor makes every check that the facts of a vendor's NAS allow.
func JudgeVendor(device string, f VendorFacts) Report {
	source, confidence := "read now by DSM's API (vendors/synology.md §4.2)", catalog.B
	if f.Vendor == "QNAP" {
		source, confidence = "read now by QTS's CGI (vendors/qnap.md §3.4)", catalog.C
	}
	return judge(device, vendorRows(), f, source, confidence)
}

// vendorRows are the checks: first whether the owner gets in, then whether nobody
// else does.
func vendorRows() []row[VendorFacts] {
	return []row[VendorFacts]{
		{SecondAdministrator, 25, vendorSecond},
		{Button, 25, vendorButton},
		{ForgotMail, 10, vendorMail},
		{Met, 5, vendorMet},
		{BuiltInOff, 10, vendorBuiltIn},
		{SecondFactor, 5, vendorFactor},
		{GuestOff, 5, func(f VendorFacts) (answer, bool) { return guestOff(Facts{Guest: f.Settings.Guest}) }},
		{AutoBlock, 10, func(f VendorFacts) (answer, bool) { return autoBlock(Facts{AutoBlock: f.Settings.AutoBlock}) }},
		{Firewall, 5, func(f VendorFacts) (answer, bool) { return firewall(Facts{Firewall: f.Settings.Firewall}) }},
	}
}

func (f VendorFacts) enabled() (out []nas.Account) {
	for _, a := range f.Settings.Administrators() {
		if a.Enabled {
			out = append(out, a)
		}
	}
	return out
}

func vendorSecond(f VendorFacts) (answer, bool) {
	if f.Settings.Accounts == nil {
		return answer{}, false
	}
	if n := len(f.enabled()); n < 2 {
		return answer{why: fmt.Sprintf("%d administrator can sign in. If that password is lost, only the button is left.", n), whatToDo: "Make a second administrator, for somebody you trust, and have them sign in once."}, true
	}
	return answer{ok: true, why: fmt.Sprintf("%d administrators can sign in; only %s has just shown it.", len(f.enabled()), f.As)}, true
}

func vendorButton(f VendorFacts) (answer, bool) {
	if f.KeepPassword == nil {
		return answer{}, false
	}
	if *f.KeepPassword {
		return answer{why: "The reset button keeps the password: it does not help against a forgotten one [synology.keep_password].", whatToDo: "Control Panel, Update & Restore, Reset: untick \"Keep current admin password unchanged\", unless people who are not trusted come near the box."}, true
	}
	return answer{ok: true, why: "The reset button sets the password back [synology.button.mode1]. So does anybody's paper clip."}, true
}

func vendorMail(f VendorFacts) (answer, bool) {
	if f.MailReset == nil {
		return answer{}, false
	}
	if !*f.MailReset {
		return answer{why: "The mail for a forgotten password is off [synology.forgot_mail].", whatToDo: "Control Panel, User & Group, Advanced: allow it, with mail set up under Notification."}, true
	}
	return answer{ok: true, why: "A forgotten password can be set by mail, as long as the mail arrives."}, true
}

func vendorMet(f VendorFacts) (answer, bool) {
	if !f.Met {
		return answer{why: "This computer had not met the NAS before.", whatToDo: "Now it has: its certificate is remembered, and after a reset it will be known again."}, true
	}
	return answer{ok: true, why: "This computer knows the NAS's certificate, and would know it again after a reset."}, true
}

func vendorBuiltIn(f VendorFacts) (answer, bool) {
	if f.Settings.Accounts == nil {
		return answer{}, false
	}
	for _, a := range f.enabled() {
		if a.BuiltIn {
			return answer{why: "The built-in " + a.Name + " can sign in: its name is the first that is tried.", whatToDo: "When another administrator has signed in: disable it, under Users."}, true
		}
	}
	return answer{ok: true, why: "The built-in administrator is disabled."}, true
}

// vendorFactor: QTS does not tell who has a second step.
func vendorFactor(f VendorFacts) (answer, bool) {
	if f.Settings.Accounts == nil || f.Vendor == "QNAP" {
		return answer{}, false
	}
	var without []string
	for _, a := range f.enabled() {
		if !a.SecondFactor {
			without = append(without, a.Name)
		}
	}
	if len(without) > 0 {
		return answer{why: "Without a second step: " + strings.Join(without, ", ") + ". A password that leaks is enough.", whatToDo: "Set one up, with the emergency mail tried once."}, true
	}
	return answer{ok: true, why: "Every administrator has a second step."}, true
}
