package qts

import (
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
)

// Page is a page for a person's browser, and what to press there.
type Page struct {
	URL   string
	Press []string
	Fact  catalog.ID // why it is not done by program
}

// Task names what a person does in the browser.
type Task string

// The tasks (design.md, "Vendors": what is below B is guided).
const (
	Password     Task = "password"
	Network      Task = "network"
	Protection   Task = "protection"
	Backup       Task = "backup"
	TwoFactor    Task = "two_factor"
	DisableAdmin Task = "disable_admin"
	Shares       Task = "shares"
	SecondOff    Task = "second_step_off"
	NewAdmin     Task = "new_administrator"
	Ports        Task = "ports"
)

// Guide says how a person does a task.
func (d *Device) Guide(t Task) Page {
	page := func(fact catalog.ID, press ...string) Page { return Page{URL: d.URL("/"), Press: press, Fact: fact} }
	switch t {
	case Network:
		return page("qnap.network.set", "Control Panel, Network & File Services (or Network & Virtual Switch), Interfaces.", "The adapter's three dots, Configure, \"Use static IP address\"; type address, mask, gateway and DNS; Apply.")
	case Protection:
		return page("qnap.block", "Control Panel, System, Security, IP Access Protection: tick the services, Apply.", "Allow/Deny List: the 3 second reset set it to allow all.")
	case Backup:
		return page("qnap.backup", "Control Panel, System, Backup/Restore, Back up System Settings.", "Keep the .bin file somewhere else than on this NAS, and write down the names of the shared folders.")
	case TwoFactor:
		return page("qnap.basic.otp_other", "The person at the top, Login and Security, 2-step Verification.")
	case DisableAdmin:
		return page("qnap.basic.admin", "Control Panel, Privilege, Users, admin, the pencil, \"Disable this account\".")
	case SecondOff:
		return page("qnap.other_admin", "Control Panel, Privilege, Users, the user, Edit: turn 2-step Verification off, Apply.")
	case NewAdmin:
		return page("qnap.advanced.users", "Control Panel, Privilege, Users, Create: the name as before, the new password twice, and the group administrators.")
	case Ports:
		return page("qnap.basic.port", "Control Panel, System, General Settings, System Administration: the system port as before, Apply.")
	case Shares:
		return page("qnap.advanced.shares", "Control Panel, Privilege, Shared Folders, Create: give each exactly its old name, on the same volume; its files are back.")
	default:
		return page("qnap.write.checked", "Control Panel, Privilege, Users, choose the user, the key; type the new password twice, Apply.", "For your own: the person at the top, Login and Security, Password.")
	}
}

// DefaultPassword is what admin's password is after a reset on that firmware,
// where it follows from the MAC address of the first port; what is on the label
// it cleans up as QTS wants it (vendors/qnap.md §4.2).
func DefaultPassword(version, firstMAC, label string) (p access.Secret, ask bool, fact catalog.ID) {
	strip := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r == '-' || r == ':' || r == ' ' || r == '.' {
				return -1
			}
			return r
		}, strings.ToUpper(s))
	}
	for _, id := range []catalog.ID{"qnap.default.cloudkey", "qnap.default.mac", "qnap.default.admin"} {
		f, ok := catalog.FactNamed(id)
		if !ok || version == "" || !f.Applies(version) {
			continue
		}
		switch {
		case id == "qnap.default.admin":
			return access.NewSecret("admin"), false, id
		case label != "":
			return access.NewSecret(strip(label)), false, id
		case id == "qnap.default.mac" && firstMAC != "":
			return access.NewSecret(strip(firstMAC)), false, id
		}
		return access.Secret{}, true, id
	}
	if label != "" {
		return access.NewSecret(strip(label)), false, "qnap.default.running"
	}
	return access.Secret{}, true, "qnap.default.running"
}
