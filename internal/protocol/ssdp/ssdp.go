// Package ssdp is as much of UPnP discovery as finds a NAS: the search, its
// answers, the announcements that devices make by themselves, and the device
// description that an answer points to (vendors/synology.md §2, vendors/qnap.md
// §2.2).
//
// It is a codec: it opens no socket and fetches nothing. What is heard is a
// hint from anyone on the LAN, and so is where a description is said to be:
// [Message.DescriptionURL] gives it only where it lies with the sender itself,
// so that no answer sends this program to a third place.
package ssdp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

// Port is where devices listen, on the group GroupV4, and by IPv6 on those of the
// link and of the site.
const (
	Port      = 1900
	GroupV4   = "239.255.255.250"
	GroupLink = "ff02::c"
	GroupSite = "ff05::c"
)

// Bounds on what is read.
const (
	MaxMessage = 4096 // bytes; real answers have 300 to 500
	maxHeaders = 64
)

// TargetRoot asks for one answer from each device.
const TargetRoot = "upnp:rootdevice"

// Errors of Parse and DescriptionURL; test with errors.Is.
var (
	ErrNotSSDP   = errors.New("ssdp: neither an answer nor an announcement")
	ErrTooLarge  = fmt.Errorf("ssdp: more than %d bytes or %d headers", MaxMessage, maxHeaders)
	ErrElsewhere = errors.New("ssdp: the description is not at the device that answered")
)

// Header is one header, its name as sent.
type Header struct {
	Name, Value string
}

// Message is an answer to a search, or an announcement.
type Message struct {
	Announcement bool // NOTIFY; otherwise an answer
	Headers      []Header
}

// Search is the question for devices of that target; they answer within wait
// seconds, 1 to 5.
func Search(target string, wait int) []byte { return SearchAt(GroupV4, target, wait) }

// SearchAt is the question as it is sent to that group.
func SearchAt(group, target string, wait int) []byte {
	if strings.Contains(group, ":") {
		group = "[" + group + "]"
	}
	return fmt.Appendf(nil, "M-SEARCH * HTTP/1.1\r\nHOST: %s:%d\r\nMAN: \"ssdp:discover\"\r\nMX: %d\r\nST: %s\r\n\r\n", group, Port, min(max(wait, 1), 5), target)
}

// IsSearch reports whether a device of that target would answer b.
func IsSearch(b []byte, target string) bool {
	if !bytes.HasPrefix(b, []byte("M-SEARCH * HTTP/1.1\r\n")) || len(b) > MaxMessage {
		return false
	}
	h, err := headers(b)
	if err != nil {
		return false
	}
	m := Message{Headers: h}
	return m.Get("MAN") == `"ssdp:discover"` && slices.Contains([]string{target, "ssdp:all"}, m.Get("ST"))
}

// Parse reads an answer or an announcement.
func Parse(b []byte) (Message, error) {
	if len(b) > MaxMessage {
		return Message{}, ErrTooLarge
	}
	m := Message{}
	switch {
	case bytes.HasPrefix(b, []byte("HTTP/1.1 200 ")), bytes.HasPrefix(b, []byte("HTTP/1.0 200 ")):
	case bytes.HasPrefix(b, []byte("NOTIFY * HTTP/1.1")):
		m.Announcement = true
	default:
		return Message{}, ErrNotSSDP
	}
	h, err := headers(b)
	if err != nil {
		return Message{}, err
	}
	m.Headers = h
	return m, nil
}

// headers reads the lines behind the first, up to an empty one or the end.
func headers(b []byte) ([]Header, error) {
	var out []Header
	lines := textproto.NewReader(bufio.NewReader(bytes.NewReader(b)))
	_, _ = lines.ReadLine()
	for {
		line, err := lines.ReadLine()
		if err != nil || line == "" {
			return out, nil // some devices leave out the empty line
		}
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || name == "" || strings.Contains(line, "\r") {
			return nil, fmt.Errorf("%w: the line %q is no header", ErrNotSSDP, printable.Clean(line))
		}
		if len(out) == maxHeaders {
			return nil, ErrTooLarge
		}
		out = append(out, Header{name, strings.TrimSpace(value)})
	}
}

// Append appends the message to dst. A header with a line break in it is left
// out.
func (m Message) Append(dst []byte) []byte {
	if m.Announcement {
		dst = append(dst, "NOTIFY * HTTP/1.1\r\n"...)
	} else {
		dst = append(dst, "HTTP/1.1 200 OK\r\n"...)
	}
	for _, h := range m.Headers {
		if strings.ContainsAny(h.Name+h.Value, "\r\n") {
			continue
		}
		dst = append(dst, h.Name+": "+h.Value+"\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// Get is the value of the first header of that name, in whatever case.
func (m Message) Get(name string) string {
	i := slices.IndexFunc(m.Headers, func(h Header) bool { return strings.EqualFold(h.Name, name) })
	if i < 0 {
		return ""
	}
	return m.Headers[i].Value
}

// Goodbye reports whether the device says that it leaves.
func (m Message) Goodbye() bool { return m.Announcement && m.Get("NTS") == "ssdp:byebye" }

// Server is the header SERVER, safe to print: "Synology/DSM/192.0.2.20".
func (m Message) Server() string { return printable.Clean(m.Get("SERVER")) }

// Synology reports whether the device says that it is one of Synology's, and
// whether it says that it waits in its installer: the SERVER there names the
// platform and the version in place of "DSM" (vendors/synology.md §2).
func (m Message) Synology() (ok, installer bool) {
	rest, ok := strings.CutPrefix(m.Get("SERVER"), "Synology/")
	return ok, ok && !strings.HasPrefix(rest, "DSM/")
}

// MAC is the address that the last twelve digits of the device's unique name
// are, with the makers that are known here; empty where they are none.
func (m Message) MAC() string {
	id, ok := strings.CutPrefix(m.Get("USN"), "uuid:")
	if !ok {
		return ""
	}
	id, _, _ = strings.Cut(id, "::")
	if len(id) < 13 || id[len(id)-13] != '-' {
		return ""
	}
	mac, ok := nas.NormalMAC(id[len(id)-12:])
	if !ok {
		return ""
	}
	return mac
}

// DescriptionURL is where the device's description is. It must be plain HTTP to
// an address, and that address the one the message came from; a name, another
// scheme or another address is ErrElsewhere.
func (m Message) DescriptionURL(from netip.Addr) (string, error) {
	u, err := url.Parse(m.Get("LOCATION"))
	if err != nil || u.Scheme != "http" || u.User != nil || u.Opaque != "" {
		return "", ErrElsewhere
	}
	host, err := netip.ParseAddr(u.Hostname())
	if err != nil || host.Unmap().WithZone("") != from.Unmap().WithZone("") {
		return "", ErrElsewhere
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return "", ErrElsewhere
		}
	}
	u.Fragment = ""
	if z := from.Zone(); z != "" { // a link-local address works only with its link
		port := u.Port()
		u.Host = "[" + from.String() + "]"
		if port != "" {
			u.Host += ":" + port
		}
	}
	return u.String(), nil
}
