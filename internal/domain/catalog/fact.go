package catalog

import "strings"

// Confidence is how sure a fact is, as the vendors' files grade it.
type Confidence string

// The grades (vendors/*.md). No row may claim hardware: nothing was tested on
// a vendor's device yet.
const (
	A         Confidence = "A" // two independent sources, the vendor's own document, or real bytes
	B         Confidence = "B" // one good source
	C         Confidence = "C" // weak
	Inference Confidence = "I" // concluded from A or B
)

// Fact is one thing that is known about a device, with where it is from.
type Fact struct {
	ID         ID         `json:"id"`
	Vendor     string     `json:"vendor"`
	Models     string     `json:"model"`    // a model, a family, or "all"
	Firmware   string     `json:"firmware"` // a range in words, or "all"
	Text       string     `json:"text"`
	Value      string     `json:"value,omitempty"` // for programs: seconds, counts, names
	Source     string     `json:"source"`
	Confidence Confidence `json:"confidence"`
}

// FactsFor lists what is known for a vendor, case-insensitively.
func FactsFor(vendor string) []Fact {
	var out []Fact
	for _, f := range Facts() {
		if strings.EqualFold(f.Vendor, vendor) {
			out = append(out, f)
		}
	}
	return out
}

// Facts lists the first entries; vendors' models follow with their drivers.
func Facts() []Fact {
	const (
		syn  = "vendors/synology.md"
		qnap = "vendors/qnap.md"
	)
	return []Fact{
		{ID: "paperclip.button.soft", Vendor: "Paperclip", Models: "all", Firmware: "all", Text: "Hold the reset button about 4 seconds; at the one beep, let go. A soft claim opens; nothing is changed by that.", Value: "4 s, 1 beep", Source: "design.md, The gesture recogniser", Confidence: A},
		{ID: "paperclip.button.hard", Vendor: "Paperclip", Models: "all", Firmware: "all", Text: "Within 10 seconds of the first beep hold again about 4 seconds, until three beeps: the claim becomes a hard one.", Value: "4 s, 3 beeps", Source: "design.md, The gesture recogniser", Confidence: A},
		{ID: "paperclip.button.close", Vendor: "Paperclip", Models: "all", Firmware: "all", Text: "Held longer than 10 seconds, an open claim closes and everything is as it was.", Value: "10 s", Source: "design.md, The gesture recogniser", Confidence: A},
		{ID: "paperclip.button.code", Vendor: "Paperclip", Models: "all", Firmware: "all", Text: "A short press while a claim is open says a fresh code.", Source: "design.md, The gesture recogniser", Confidence: A},
		{ID: "synology.button.mode1", Vendor: "Synology", Models: "all with a reset button", Firmware: "all", Text: "Hold RESET about 4 seconds; at the beep, let go at once: the administrator's password and the network go back to defaults.", Value: "4 s, 1 beep", Source: syn + " §5.1", Confidence: A},
		{ID: "synology.button.mode2", Vendor: "Synology", Models: "all with a reset button", Firmware: "all", Text: "Within 10 seconds hold again about 4 seconds, until three more beeps: every system setting is gone, and the operating system must be installed anew. Files stay.", Value: "4 s, 3 beeps", Source: syn + " §5.1", Confidence: A},
		{ID: "synology.mode1.password", Vendor: "Synology", Models: "all", Firmware: "6.2.3 and earlier", Text: "After Mode 1 the name is admin and the password is blank; it only opens the page that sets a new one.", Value: "admin, blank", Source: syn + " §5.1", Confidence: A},
		{ID: "synology.mode1.encrypted", Vendor: "Synology", Models: "all", Firmware: "6.2.3 and earlier", Text: "Mode 1 closes encrypted folders and deletes a key that was kept on the NAS with the machine key: the passphrase is then needed.", Source: syn + " §5.2", Confidence: A},
		{ID: "synology.keep_password", Vendor: "Synology", Models: "all", Firmware: "all", Text: "Where the owner ticked \"Keep current admin password unchanged\", Mode 1 resets only the network and does not help against a forgotten password.", Source: syn + " §5.3", Confidence: B},
		{ID: "synology.status.lost", Vendor: "Synology", Models: "all", Firmware: "all", Text: "After Mode 2 the NAS shows the status Configuration lost.", Value: "4", Source: syn + " §3.1", Confidence: B},
		{ID: "qnap.button.basic", Vendor: "QNAP", Models: "all with a reset button", Firmware: "all", Text: "Hold RESET 3 seconds and let go at the first beep: the administrator's password and the network go back to defaults; users, shares and files stay.", Value: "3 s, 1 beep", Source: qnap + " §4.1", Confidence: A},
		{ID: "qnap.button.advanced", Vendor: "QNAP", Models: "all with a reset button", Firmware: "all", Text: "Held 10 seconds, to the second beep, it also deletes users, groups and the definitions of shared folders. Let go at the first beep.", Value: "10 s, 2 beeps", Source: qnap + " §4.1", Confidence: A},
		{ID: "qnap.default.cloudkey", Vendor: "QNAP", Models: "all", Firmware: "5.2.0 and later", Text: "After a reset the name is admin and the password is the Cloud Key from the sticker, in upper case without the dash.", Value: "Cloud Key", Source: qnap + " §4.2", Confidence: A},
		{ID: "qnap.default.mac", Vendor: "QNAP", Models: "all", Firmware: "4.4.2 to 5.1.x", Text: "After a reset the name is admin and the password is the MAC address of the first network port, in upper case without separators.", Value: "first MAC", Source: qnap + " §4.2", Confidence: Inference},
		{ID: "qnap.remote.none", Vendor: "QNAP", Models: "all", Firmware: "all", Text: "No document or captured protocol shows a way to reset a QNAP over the network.", Source: qnap + " §0 row 4", Confidence: A},
	}
}
