package announce

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

// Vendor is what a vendor's device says of itself in its text record. What it
// does not say is empty.
type Vendor struct {
	Vendor    string // "Synology", "QNAP"
	Model     string
	Serial    string
	Version   string // "6.2"
	Build     string // "25556"
	MACs      []string
	HTTPPort  uint16
	HTTPSPort uint16
}

// ParseVendor reads the announcement of a QNAP device (vendors/qnap.md §2.1) or
// of a Synology one (vendors/synology.md §2). Anything else, such as a
// printer's web page, is not ok.
func ParseVendor(i Instance) (v Vendor, ok bool) {
	switch strings.ToLower(i.Service) {
	case ServiceQNAP:
		return parseQNAP(i)
	case ServiceWeb:
		return parseSynology(i)
	}
	return Vendor{}, false
}

// QNAP is the announcement of a QNAP device as QTS makes it: every key in one
// string. It is for the lab's virtual device.
func QNAP(name string, v Vendor, addresses ...netip.Addr) Instance {
	access, port := "http", v.HTTPPort
	if v.HTTPSPort != 0 {
		access, port = "https", v.HTTPSPort
	}
	text := []string{
		"accessType=" + access, "accessPort=" + strconv.Itoa(int(port)),
		"model=" + v.Model, "displayModel=" + v.Model, "fwVer=" + v.Version, "fwBuildNum=" + v.Build,
	}
	if v.Serial != "" {
		text = append(text, "serialNum="+v.Serial)
	}
	return Instance{
		Service: ServiceQNAP, Name: label(name, maxLabel), Host: hostLabel(name, maxLabel),
		Port: v.HTTPPort, Text: []string{strings.Join(text, ",")}, Addresses: addresses,
	}
}

// parseQNAP takes all keys in one string, as QTS sends them, and one key a
// string, as a rewritten announcement has them. The SRV port is the plain web
// port even where the access type is https.
func parseQNAP(i Instance) (Vendor, bool) {
	var pairs []string
	for _, s := range i.Text {
		pairs = append(pairs, strings.Split(s, ",")...)
	}
	text := keys(pairs)
	v := Vendor{
		Vendor: "QNAP", Model: text["displayModel"], Serial: text["serialNum"],
		Version: unset(text["fwVer"]), Build: unset(text["fwBuildNum"]), HTTPPort: i.Port,
	}
	if v.Model == "" {
		v.Model = text["model"]
	}
	switch text["accessType"] {
	case "http":
		v.HTTPPort = port(text["accessPort"])
	case "https":
		v.HTTPSPort = port(text["accessPort"])
	}
	return v, true
}

func parseSynology(i Instance) (Vendor, bool) {
	text := keys(i.Text)
	if text["vendor"] != "Synology" {
		return Vendor{}, false
	}
	v := Vendor{
		Vendor: "Synology", Model: text["model"], Serial: text["serial"],
		Version: text["version_major"], Build: text["version_build"],
		HTTPPort: port(text["admin_port"]), HTTPSPort: port(text["secure_admin_port"]),
	}
	if minor := text["version_minor"]; minor != "" {
		v.Version += "." + minor
	}
	if strings.Contains(v.Serial, " ") { // "No Support mtd Serial" is no serial
		v.Serial = ""
	}
	for s := range strings.SplitSeq(text["mac_address"], "|") {
		if mac, ok := nas.NormalMAC(s); ok {
			v.MACs = append(v.MACs, mac)
		}
	}
	return v, true
}

// keys reads "key=value" strings; the first of a key counts (RFC 6763 §6.4).
func keys(pairs []string) map[string]string {
	values := make(map[string]string, len(pairs))
	for _, s := range pairs {
		key, value, _ := strings.Cut(s, "=")
		if _, seen := values[key]; !seen {
			values[key] = printable.Clean(value)
		}
	}
	return values
}

func unset(s string) string {
	if s == "--" {
		return ""
	}
	return s
}

func port(s string) uint16 {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}
