// Package announce is what devices say of themselves by multicast DNS service
// discovery (RFC 6762, RFC 6763): our own announcement, and as much of the
// vendors' as tells a Synology or a QNAP device from a printer.
//
// It is a codec: queries and answers as values and as bytes. It opens no
// socket and keeps no cache; device/announcer answers with it, owner/discover
// asks with it.
//
// Our announcement carries five things and no more (see [Native]): a version,
// the key id, a MAC address, whether a claim is open, and how the device is
// where that is anything but ready (F3). It never carries the
// serial number, a software version, a user's name or a setting, since whoever
// is on the LAN hears it. And what is heard is a hint: anyone can announce any
// key id. Who a device is is only known from a connection that proved its key.
package announce

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// The service types that this program asks for.
const (
	ServiceNative = "_paperclip._tcp"
	ServiceQNAP   = "_qdiscover._tcp" // vendors/qnap.md §2.1
	ServiceWeb    = "_http._tcp"      // a Synology device tells itself by its text (vendors/synology.md §2)
)

// Version is the value of the key v of our announcement.
const Version = "1"

// Lengths of a key id, and of the start of it that stands in names.
const (
	keyIDLength      = 26
	shortKeyIDLength = 8
	maxLabel         = 63 // bytes, RFC 1035 §2.3.4
)

// Errors of ParseNative; test with errors.Is.
var (
	ErrNotNative = errors.New("announce: not one of our announcements")
	ErrVersion   = errors.New("announce: an announcement of a version that this program does not know")
	ErrText      = errors.New("announce: malformed text record")
)

// Instance is one announced service on one link.
type Instance struct {
	Service   string       // "_paperclip._tcp"
	Name      string       // one label of at most 63 bytes, without a dot
	Host      string       // its host name, without ".local."
	Port      uint16       // 0 where no SRV record came with it
	Text      []string     // the TXT record's strings, at most 255 bytes each
	Addresses []netip.Addr // on the link where it is announced
}

// Native is what a Paperclip device announces, on one link.
type Native struct {
	Name  string // the device's own name
	KeyID string // the identity key's id: 26 characters of a to z, 2 to 7
	MAC   string // the network card's own, lower case with colons; never a claim interface's
	Claim bool   // a claim is open: somebody held the button
	// Status is how the device is, as nas.Status's id; empty is ready.
	Status string
}

// Instance is the announcement of n: the device API listens on port.
func (n Native) Instance(port uint16, addresses ...netip.Addr) (Instance, error) {
	mac, ok := nas.NormalMAC(n.MAC)
	if !ok {
		return Instance{}, fmt.Errorf("announce: %q is not a MAC address", n.MAC)
	}
	if !validKeyID(n.KeyID) {
		return Instance{}, fmt.Errorf("announce: %q is not a key id", n.KeyID)
	}
	claim := "0"
	if n.Claim {
		claim = "1"
	}
	text := []string{"v=" + Version, "id=" + n.KeyID, "mac=" + mac, "claim=" + claim}
	if n.Status != "" {
		if !knownStatus(n.Status) {
			return Instance{}, fmt.Errorf("announce: %q is not a status", n.Status)
		}
		text = append(text, "status="+n.Status)
	}
	suffix := "-" + n.KeyID[:shortKeyIDLength]
	return Instance{
		Service:   ServiceNative,
		Name:      label(n.Name, maxLabel-len(suffix)) + suffix,
		Host:      hostLabel(n.Name, maxLabel-len(suffix)) + suffix,
		Port:      port,
		Text:      text,
		Addresses: addresses,
	}, nil
}

// ParseNative reads one of our announcements. It is strict: the four keys, each
// once and well formed, the status where there is one, nothing else, and a name
// that ends in the key id's first eight characters. A version that is not ours is ErrVersion.
func ParseNative(i Instance) (Native, error) {
	if !strings.EqualFold(i.Service, ServiceNative) {
		return Native{}, ErrNotNative
	}
	values := map[string]string{}
	for _, s := range i.Text {
		key, value, _ := strings.Cut(s, "=")
		if _, twice := values[key]; twice {
			return Native{}, fmt.Errorf("%w: the key %q stands twice", ErrText, key)
		}
		values[key] = value
	}
	if v, ok := values["v"]; ok && v != Version {
		return Native{}, fmt.Errorf("%w: %q", ErrVersion, v)
	}
	for key := range values {
		if key != "v" && key != "id" && key != "mac" && key != "claim" && key != "status" {
			return Native{}, fmt.Errorf("%w: unknown key %q", ErrText, key)
		}
	}
	status, any := values["status"]
	delete(values, "status")
	if len(values) != 4 {
		return Native{}, fmt.Errorf("%w: %d of the 4 keys", ErrText, len(values))
	}
	if any && !knownStatus(status) {
		return Native{}, fmt.Errorf("%w: %q is not a status", ErrText, status)
	}
	mac, ok := nas.NormalMAC(values["mac"])
	if !ok || mac != values["mac"] {
		return Native{}, fmt.Errorf("%w: %q is not a MAC address", ErrText, values["mac"])
	}
	id, claim := values["id"], values["claim"]
	if !validKeyID(id) {
		return Native{}, fmt.Errorf("%w: %q is not a key id", ErrText, id)
	}
	if claim != "0" && claim != "1" {
		return Native{}, fmt.Errorf("%w: claim is %q", ErrText, claim)
	}
	name, ok := strings.CutSuffix(i.Name, "-"+id[:shortKeyIDLength])
	if !ok || name == "" {
		return Native{}, fmt.Errorf("%w: the name %q does not end in the key id", ErrText, i.Name)
	}
	return Native{Name: name, KeyID: id, MAC: mac, Claim: claim == "1", Status: status}, nil
}

// knownStatus takes the statuses that a device of ours can have.
func knownStatus(id string) bool {
	return slices.ContainsFunc(nas.Statuses(), func(s nas.Status) bool { return s.ID() == id && s != nas.Ready && s != nas.Other })
}

func validKeyID(id string) bool {
	return len(id) == keyIDLength && strings.Trim(id, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// label makes a name fit into one DNS label: at most size bytes, no dot (the
// message library takes none inside a label), nothing unprintable.
func label(name string, size int) string {
	name = strings.Map(func(c rune) rune {
		if c == '.' || c < ' ' || c == 0x7f || c == utf8.RuneError {
			return '-'
		}
		return c
	}, strings.ToValidUTF8(name, "-"))
	for len(name) > size {
		_, last := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-last]
	}
	if name == "" {
		return "nas"
	}
	return name
}

// hostLabel makes a host name (RFC 1123 §2.1) of a name.
func hostLabel(name string, size int) string {
	name = strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			return c
		case c >= 'A' && c <= 'Z':
			return c + 'a' - 'A'
		}
		return '-'
	}, name)
	name = strings.Trim(name[:min(len(name), size)], "-")
	if name == "" {
		return "nas"
	}
	return name
}
