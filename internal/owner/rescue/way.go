package rescue

import (
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// WayID names a way in.
type WayID string

// The ways that this program refers to by name; Ways lists all.
const (
	SavedPassword        WayID = "saved_password"
	OtherAdministrator   WayID = "other_administrator"
	Console              WayID = "console"
	SoftClaimCredentials WayID = "soft_claim_credentials"
	SoftClaimNetwork     WayID = "soft_claim_network"
	SoftClaimAll         WayID = "soft_claim_all"
	HardClaim            WayID = "hard_claim"
)

// Way is one way back in: what it changes, what it keeps, how long it takes
// (requirements C3).
type Way struct {
	ID      WayID
	Text    string
	Changes string
	Keeps   string
	Takes   string
	// Built says that this version goes the way itself; the others it names.
	Built bool
	// Anyone can try it without Paperclip's help.
	Anyone bool
}

// Ways lists the ways in, the one that changes least first (design.md, "Ways
// in, in the order they are offered").
func Ways() []Way {
	const nothing, all = "nothing", "everything"
	return []Way{
		{ID: SavedPassword, Text: "Look for the password in your browser and password manager, on every computer and phone that was ever signed in", Changes: nothing, Keeps: all, Takes: "2 to 3 minutes", Anyone: true},
		{ID: OtherAdministrator, Text: "Ask another administrator of the NAS to set a new password for you", Changes: "one password", Keeps: all + " else", Takes: "2 to 3 minutes", Anyone: true},
		{ID: "approval", Text: "Approve the sign-in on an enrolled phone or key", Changes: nothing, Keeps: all, Takes: "1 minute"},
		{ID: "recovery_code", Text: "Use a printed recovery code", Changes: "one password", Keeps: all + " else", Takes: "2 to 3 minutes"},
		{ID: "email_link", Text: "Have a link sent to the registered address", Changes: "one password", Keeps: all + " else", Takes: "2 to 30 minutes"},
		{ID: "hub_grant", Text: "Ask the hub for a grant", Changes: "one password", Keeps: all + " else", Takes: "24 to 48 hours"},
		{ID: Console, Text: "Set a new password at the console of the NAS, as root", Changes: "one password", Keeps: all + " else", Takes: "5 to 10 minutes", Anyone: true},
		{ID: SoftClaimCredentials, Text: "Hold the reset button, and set a new password for one administrator", Changes: "one administrator's password", Keeps: "every file, every other account, the network", Takes: "2 to 5 minutes", Built: true},
		{ID: SoftClaimNetwork, Text: "Hold the reset button, and set the network back to automatic addresses (DHCP): for a NAS that cannot be reached", Changes: "network settings", Keeps: "every file and every password", Takes: "2 to 5 minutes", Built: true},
		{ID: "safe_mode", Text: "Start the NAS in safe mode", Changes: "one password", Keeps: all + " else", Takes: "10 minutes"},
		{ID: SoftClaimAll, Text: "Hold the reset button, and set back one password, the network and the protection: for when it is not known what is wrong", Changes: "one password, network, guest account, firewall, the block after failed sign-ins", Keeps: "every file and every other account", Takes: "2 to 5 minutes", Built: true},
		{ID: HardClaim, Text: "Hold the reset button twice, and set back everything but the files: not needed for a forgotten password", Changes: "every system setting", Keeps: "every file, and who it belongs to", Takes: "5 to 15 minutes", Built: true},
	}
}

func findWay(id WayID) (Way, bool) {
	ways := Ways()
	i := slices.IndexFunc(ways, func(w Way) bool { return w.ID == id })
	if i < 0 {
		return Way{}, false
	}
	return ways[i], true
}

// wayFor is the way that a mode and scope go.
func wayFor(m reset.Mode, s reset.Scope) WayID {
	switch {
	case m == reset.Hard:
		return HardClaim
	case s == reset.Network:
		return SoftClaimNetwork
	case s == reset.All:
		return SoftClaimAll
	default:
		return SoftClaimCredentials
	}
}

// causeOf is what a mode and scope are the remedy for.
func causeOf(m reset.Mode, s reset.Scope) string {
	switch {
	case m == reset.Hard:
		return "start_over"
	case s == reset.Network:
		return "network_settings"
	default:
		return "password_lost"
	}
}

// guided says what to press on a vendor's NAS, which this version does not
// reset by itself.
func guided(vendor string) string {
	var out []string
	for _, f := range catalog.FactsFor(vendor) {
		if strings.HasSuffix(string(f.ID), ".button.mode1") || strings.HasSuffix(string(f.ID), ".button.basic") {
			out = append(out, f.Text+" ("+f.Source+", confidence "+string(f.Confidence)+")")
		}
	}
	if len(out) == 0 {
		return ""
	}
	return strings.Join(out, " ")
}
