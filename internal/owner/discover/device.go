package discover

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// Verified says whether a device proved to be the one that it was known as.
type Verified string

// The verdicts.
const (
	VerifiedUnknown  Verified = "unknown"
	VerifiedMatch    Verified = "match"
	VerifiedMismatch Verified = "mismatch"
)

// Trust says how much a fact is worth.
type Trust string

// The degrees of trust.
const (
	Hint     Trust = "hint"     // somebody on the LAN said so
	Inferred Trust = "inferred" // nobody said so; it follows from how they answered
	Proved   Trust = "proved"   // over a connection that proved the device's key
)

// Device is one NAS as far as is known. Its JSON is what `find --json` prints;
// the names there are a contract, and lists are never null.
type Device struct {
	Name       string       `json:"name"`
	Vendor     string       `json:"vendor"`
	Model      string       `json:"model"`
	Serial     string       `json:"serial"`
	MACs       []string     `json:"macs"`
	Addresses  []netip.Addr `json:"addresses"` // the best to use first
	Status     string       `json:"status"`    // a nas.Status id
	StatusText string       `json:"status_text"`
	Version    string       `json:"version"`
	Build      string       `json:"build"`
	Update     string       `json:"update"`
	HTTPPort   int          `json:"http_port"` // 0 where not known
	HTTPSPort  int          `json:"https_port"`
	DHCP       *bool        `json:"dhcp"`
	Netmask    string       `json:"netmask"`
	Gateway    string       `json:"gateway"`
	DNS        []string     `json:"dns"`
	FoundBy    []string     `json:"found_by"`
	Verified   Verified     `json:"verified"`
	Was        *Was         `json:"was"`
	Facts      []Fact       `json:"facts"`

	KeyID string `json:"-"` // as announced; a hint until Verified
	Claim *bool  `json:"-"` // whether a claim is open, as announced

	Leaf   []byte       `json:"-"` // the TLS key with which it proved its key: one running NAS's
	Copies []netip.Addr `json:"-"` // where somebody else proved to hold the same identity key
}

// Was is what the device was when this computer last met it.
type Was struct {
	Name       string       `json:"name"`
	Addresses  []netip.Addr `json:"addresses"`
	Status     string       `json:"status,omitempty"`
	StatusText string       `json:"status_text,omitempty"`
	Seen       *time.Time   `json:"seen,omitempty"`
}

// Fact is one value, who gave it, and what that is worth. Field is the name
// that the value has in the JSON of a device, or key_id or claim.
type Fact struct {
	Field  string `json:"field"`
	Value  string `json:"value"`
	Source string `json:"source"`
	Trust  Trust  `json:"trust"`
}

// Native reports whether the device runs Paperclip, as far as it says so.
func (d Device) Native() bool { return d.KeyID != "" }

// API is where the device's API answers: the best address and the HTTPS port.
// It is not valid where one of the two is unknown.
func (d Device) API() netip.AddrPort {
	if len(d.Addresses) == 0 || d.HTTPSPort == 0 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(d.Addresses[0], uint16(d.HTTPSPort))
}

// Identity is who the device says it is.
func (d Device) Identity() nas.Identity {
	return nas.Identity{Name: d.Name, Vendor: d.Vendor, Model: d.Model, Serial: d.Serial, MACs: slices.Clone(d.MACs), KeyID: d.KeyID}
}

// Sighting is one answer of one device to one source. Text in it is safe to
// show; nothing in it is proved.
type Sighting struct {
	Source    string
	From      netip.Addr // where the datagram came from
	Name      string
	Vendor    string
	Model     string
	Serial    string
	MACs      []string // as nas.NormalMAC writes them
	KeyID     string
	Claim     *bool
	Addresses []netip.Addr // the best to use first
	Status    nas.Status
	Guessed   bool // the status was inferred
	Version   string
	Build     string
	Update    string
	HTTPPort  int
	HTTPSPort int
	DHCP      *bool
	Netmask   string
	Gateway   string
	DNS       []string

	// Listed is what a list says of a device, such as a router's leases, and not
	// the device: it may be older than where the device is now.
	Listed bool
	// Clue is a listed sighting that is worth telling only of a device that is
	// known in another way.
	Clue bool

	part string // of what the source is told in several parts: they add up
}

// facts lists what the sighting says, field by field.
func (s Sighting) facts() []Fact {
	var out []Fact
	add := func(field, value string) {
		if value != "" {
			out = append(out, Fact{Field: field, Value: value, Source: s.Source, Trust: Hint})
		}
	}
	flag := func(field string, b *bool) {
		if b != nil {
			add(field, strconv.FormatBool(*b))
		}
	}
	number := func(field string, n int) {
		if n != 0 {
			add(field, strconv.Itoa(n))
		}
	}
	add("name", s.Name)
	add("vendor", s.Vendor)
	if s.Vendor != "" && s.Listed {
		out[len(out)-1].Trust = Inferred // from the MAC
	}
	add("model", s.Model)
	add("serial", s.Serial)
	add("macs", strings.Join(s.MACs, " "))
	add("key_id", s.KeyID)
	flag("claim", s.Claim)
	for _, a := range s.Addresses {
		add("addresses", a.String())
	}
	if s.Status != nas.Unknown {
		add("status", s.Status.ID())
		if s.Guessed {
			out[len(out)-1].Trust = Inferred
		}
	}
	add("version", s.Version)
	add("build", s.Build)
	add("update", s.Update)
	number("http_port", s.HTTPPort)
	number("https_port", s.HTTPSPort)
	flag("dhcp", s.DHCP)
	add("netmask", s.Netmask)
	add("gateway", s.Gateway)
	add("dns", strings.Join(s.DNS, " "))
	return out
}
