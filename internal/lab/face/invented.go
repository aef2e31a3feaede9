package face

import (
	"maps"
	"net/http"
	"slices"
)

// Invention is something that the lab does because it has to do something, and
// of which no source says what a real device does.
type Invention struct {
	ID   string `json:"id"`
	What string `json:"what"`
}

// Inventions lists all of them. Nothing may be concluded from one about a real
// device.
func Inventions() []Invention {
	return []Invention{
		{"dsm_reset_page", "The form behind \"Reset the password for your account\" of DSM 6.2.4 and newer: its address and its fields. Only its look is documented (vendors/synology.md §5.1, §8)."},
		{"dsm_blank_over_api", "DSM 6.2.4 and newer answer a sign-in over the API as admin with a blank password, while the reset page waits, with 410 (vendors/synology.md §3.4: not verified)."},
		{"dsm_restart", "A DSM restarts after mode 1, and how long its start takes (source G says that it does, Synology's own page is silent)."},
		{"dsm_block_list", "The names of the fields in an entry of the block list (vendors/synology.md §4.2 gives ip_info[] alone)."},
		{"dsm_smart_block", "The parameter by which an account is pardoned, and the fields of the list of locked ones (vendors/synology.md §4.2 names the methods alone)."},
		{"dsm_settings_backup", "The answers of the settings backup's API; its start refuses every parameter (vendors/synology.md §4.2, §8: not sourced)."},
		{"dsm_installer", "How long the installer takes, and that it answers an install with JSON (vendors/synology.md §3.3)."},
		{"qts_restart", "A QTS keeps running after 3 s and restarts after 10 s (vendors/qnap.md §4.1 is silent)."},
		{"qts_share_list", "The elements of the list of shared folders (vendors/qnap.md §3.4 names the call alone)."},
		{"qts_5_qfinder", "QTS 5 answers Qfinder as the captured QTS of 2013 does (vendors/qnap.md §1.3: unverified)."},
		{"lab_ports", "The ports are those that this computer had free, before a reset and after it."},
	}
}

// Header marks an answer that is made up; its value is the invention's id.
const Header = "X-Lab-Invented"

// Mark marks an answer as made up, and notes that it was given.
func (b *Box) Mark(rw http.ResponseWriter, id string) {
	rw.Header().Set(Header, id)
	b.Made(id)
}

// Made notes that something made up was done.
func (b *Box) Made(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.made[id] = true
}

// Invented are the ids of what was made up since the lab's start, sorted.
func (b *Box) Invented() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.made))
}
