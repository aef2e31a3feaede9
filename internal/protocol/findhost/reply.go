package findhost

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

// Reply is what a device says of itself, its fields read by their meaning
// (§1.4). A field that is absent, or that has not the length its meaning asks
// for, leaves the zero value: a device of tomorrow is still found.
type Reply struct {
	Type   Type
	Status *uint32 // field a7 as sent; nil where it is missing. See [Reply.State]

	Name        string
	Model       string // "DS1522+"
	Platform    string // "synology_r1000_1522+"
	OSName      string // "DSM", "SRM", "BSM"
	Version     string // "7.2"
	Build       uint32 // 64570; 0 where it is missing
	Update      uint32 // 3 for "Update 3"
	Progress    uint32 // hundredths of a percent, while something runs
	Serial      string // up to 32 characters, where the device sends it
	ShortSerial string // 10 characters

	Address  netip.Addr // what the device thinks that it has; prefer where the datagram came from
	Netmask  netip.Addr
	Gateway  netip.Addr
	DNS      []netip.Addr
	Querier  netip.Addr // who asked, as the device saw it
	DHCP     *bool      // nil where the device does not say
	MAC      string     // of the interface that answered; lower case, with colons
	FirstMAC string

	HTTPPort  uint16
	HTTPSPort uint16

	// Other holds every field that is none of the above, in its order: unknown
	// ids, ids seen again, and values of unexpected length.
	Other []Field
}

// ParseReply reads a datagram that came from a device. Queries (our own come
// back to us on a broadcast), control packets and encrypted datagrams are
// errors.
func ParseReply(b []byte) (Reply, error) {
	p, err := Parse(b)
	if err != nil {
		return Reply{}, err
	}
	return p.Reply()
}

// Reply reads p as what a device says of itself.
func (p Packet) Reply() (Reply, error) {
	if !p.Type().IsReply() {
		return Reply{}, ErrNotReply
	}
	r := Reply{Type: p.Type()}
	var seen [256]bool
	for _, f := range p.Fields {
		if seen[f.ID] || !r.read(f) {
			r.Other = append(r.Other, Field{f.ID, slices.Clone(f.Value)})
			continue
		}
		seen[f.ID] = true
	}
	return r, nil
}

// read takes one field in; false where it has no place in r.
func (r *Reply) read(f Field) bool {
	switch f.ID {
	case FieldType, FieldFormatVersion:
		return len(f.Value) == 4
	case FieldName:
		return readText(f.Value, &r.Name)
	case FieldModel:
		return readText(f.Value, &r.Model)
	case FieldPlatform:
		return readText(f.Value, &r.Platform)
	case FieldOSName:
		return readText(f.Value, &r.OSName)
	case FieldVersion:
		return readText(f.Value, &r.Version)
	case FieldSerial:
		return readText(f.Value, &r.Serial)
	case FieldShortSerial:
		return readText(f.Value, &r.ShortSerial)
	case FieldMAC:
		return readMAC(f.Value, &r.MAC)
	case FieldFirstMAC:
		return readMAC(f.Value, &r.FirstMAC)
	case FieldAddress:
		return readAddr(f.Value, &r.Address)
	case FieldNetmask:
		return readAddr(f.Value, &r.Netmask)
	case FieldGateway:
		return readAddr(f.Value, &r.Gateway)
	case FieldQuerier:
		return readAddr(f.Value, &r.Querier)
	case FieldDNS1, FieldDNS2:
		var a netip.Addr
		if !readAddr(f.Value, &a) {
			return false
		}
		r.DNS = append(r.DNS, a)
		return true
	}
	return r.readNumber(f)
}

func (r *Reply) readNumber(f Field) bool {
	if len(f.Value) != 4 {
		return false
	}
	n := binary.LittleEndian.Uint32(f.Value)
	switch f.ID {
	case FieldStatus:
		r.Status = &n
	case FieldBuild:
		r.Build = n
	case FieldUpdate:
		r.Update = n
	case FieldProgress:
		r.Progress = n
	case FieldDHCP:
		on := n == 1
		if n > 1 {
			return false
		}
		r.DHCP = &on
	case FieldHTTPPort:
		return readPort(n, &r.HTTPPort)
	case FieldHTTPSPort:
		return readPort(n, &r.HTTPSPort)
	default:
		return false
	}
	return true
}

// State is the device's status by field a7 (§3.1). Without that field it is
// inferred from the type of the reply, and inferred is true. A device in its
// installer that does not say why is called not installed, since the advice for
// that state, check the drives before anything, is never the wrong one.
func (r Reply) State() (status nas.Status, inferred bool) {
	if r.Status != nil {
		return nas.StatusFromFindhost(*r.Status), false
	}
	switch r.Type {
	case TypeResponse, TypeResponseV2:
		return nas.Ready, true
	case TypeInstaller, TypeInstallerReplyV2:
		return nas.NotInstalled, true
	case TypeRecoverable:
		return nas.Recoverable, true
	}
	return nas.Unknown, true
}

// DisplayVersion is how the vendor writes a version: "7.2-64570 Update 3".
func (r Reply) DisplayVersion() string {
	var b strings.Builder
	b.WriteString(r.Version)
	if r.Build != 0 {
		b.WriteString("-" + strconv.FormatUint(uint64(r.Build), 10))
	}
	if r.Update != 0 {
		b.WriteString(" Update " + strconv.FormatUint(uint64(r.Update), 10))
	}
	return b.String()
}

// Identity is what tells devices apart: the serial, else the first interface's
// MAC, else the answering one's (§1.4). Anyone can send any.
func (r Reply) Identity() string {
	for _, id := range []string{r.Serial, r.FirstMAC, r.MAC} {
		if id != "" {
			return id
		}
	}
	return ""
}

// Packet is r as a datagram's fields, in the order of a real reply. It is for
// the lab's virtual devices and for tests.
func (r Reply) Packet() Packet {
	var p Packet
	add := func(id byte, v []byte) {
		if len(v) > 0 {
			p.Fields = append(p.Fields, Field{id, v})
		}
	}
	add(FieldMAC, []byte(r.MAC))
	add(FieldAddress, addr(r.Address))
	if r.DHCP != nil {
		add(FieldDHCP, number(map[bool]uint32{false: 0, true: 1}[*r.DHCP]))
	}
	add(FieldNetmask, addr(r.Netmask))
	for i, a := range r.DNS[:min(len(r.DNS), 2)] {
		add(FieldDNS1+byte(i), addr(a))
	}
	add(FieldGateway, addr(r.Gateway))
	add(FieldType, number(uint32(r.Type)))
	add(FieldName, []byte(r.Name))
	add(FieldQuerier, addr(r.Querier))
	add(FieldFirstMAC, []byte(r.FirstMAC))
	add(FieldSerial, []byte(r.Serial))
	add(FieldShortSerial, []byte(r.ShortSerial))
	add(FieldFormatVersion, number(formatVersion))
	if r.Status != nil {
		add(FieldStatus, number(*r.Status))
	}
	add(FieldBuild, nonZero(r.Build))
	add(FieldVersion, []byte(r.Version))
	add(FieldUpdate, nonZero(r.Update))
	add(FieldProgress, nonZero(r.Progress))
	add(FieldModel, []byte(r.Model))
	add(FieldPlatform, []byte(r.Platform))
	add(FieldOSName, []byte(r.OSName))
	add(FieldHTTPPort, nonZero(uint32(r.HTTPPort)))
	add(FieldHTTPSPort, nonZero(uint32(r.HTTPSPort)))
	p.Fields = append(p.Fields, r.Other...)
	return p
}

// readText takes text that is safe to print: no escape sequence of a stranger
// reaches a terminal.
func readText(v []byte, into *string) bool {
	*into = printable.Clean(string(v))
	return true
}

func readMAC(v []byte, into *string) bool {
	mac, ok := nas.NormalMAC(string(v))
	if !ok || len(v) != len(mac) {
		return false
	}
	*into = mac
	return true
}

func readAddr(v []byte, into *netip.Addr) bool {
	if len(v) != 4 {
		return false
	}
	*into = netip.AddrFrom4([4]byte(v))
	return true
}

func readPort(n uint32, into *uint16) bool {
	if n > 65535 {
		return false
	}
	*into = uint16(n)
	return true
}

func addr(a netip.Addr) []byte {
	if !a.Is4() {
		return nil
	}
	return a.AsSlice()
}

func nonZero(n uint32) []byte {
	if n == 0 {
		return nil
	}
	return number(n)
}
