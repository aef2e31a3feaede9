package catalog

// MakerOf is the NAS maker to whom the first half of a MAC address belongs, and
// empty where it belongs to nobody that is known here. mac is in lower case with
// colons. The list is what captures and announcements showed (vendors/synology.md
// §2, vendors/qnap.md §2.2): not every address of these makers is in it.
func MakerOf(mac string) string {
	if len(mac) != 17 {
		return ""
	}
	switch mac[:8] {
	case "00:11:32", "90:09:d0":
		return "Synology"
	case "00:08:9b", "24:5e:be":
		return "QNAP"
	}
	return ""
}
