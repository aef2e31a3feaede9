// Package findhost is the wire format with which Synology devices are found on
// a LAN: the datagrams of "Synology Assistant" and of findhostd, UDP port 9999
// (vendors/synology.md §1.2 to §1.5).
//
// It turns bytes into values and values into bytes, nothing else: it opens no
// socket and knows no clock. Everything that it reads comes from whoever is on
// the LAN, unauthenticated: a [Reply] says which device may be there, never
// that it is. Text is made safe to print; it is not made true.
//
// It never builds a control packet. The protocol has four with which anyone can
// reconfigure a device (types 3, 4, 11 and 12, with the administrator's
// password in a reversible encoding); [Packet.Append] builds a query or a
// reply and refuses everything else. It does not decrypt: a query without a
// public key, the only one that it builds, is answered in plain text.
package findhost

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Ports on which a device listens (§1.1). A device answers to port 9999,
// whatever port the query came from.
const (
	Port          = 9999
	FallbackPort1 = 9998
	FallbackPort2 = 9997
)

// Bounds on what Parse accepts. Real replies have 47 or 48 fields (§1.2); a device
// with more network cards and printers than those that were captured has more.
const (
	MaxFields = 256
	MaxSize   = 9000 // bytes

	headerSize = 8
)

const (
	plainMagic     = "\x12\x34\x56\x78SYNO"
	encryptedMagic = "\x12\x34\x55\x66SYNO"
)

// Type is the kind of a datagram: field 01 (§1.3).
type Type uint32

// The types that this package can build. The others that are known are
// recognised by [Type.String]; there is no name for them here, so that no code
// can send one by mistake.
const (
	TypeNone             Type = 0
	TypeQuery            Type = 1
	TypeResponse         Type = 2 // the operating system is running
	TypeInstaller        Type = 6 // not installed, or configuration lost
	TypeRecoverable      Type = 16
	TypeInfoAvailable    Type = 18
	TypeQueryV2          Type = 19
	TypeResponseV2       Type = 20
	TypeInstallerReplyV2 Type = 21
)

// IsReply reports whether a device sends t to say what it is.
func (t Type) IsReply() bool {
	switch t {
	case TypeResponse, TypeInstaller, TypeRecoverable, TypeInfoAvailable, TypeResponseV2, TypeInstallerReplyV2:
		return true
	}
	return false
}

// IsControl reports whether t makes a device change something (§1.3, marked
// there with an exclamation mark).
func (t Type) IsControl() bool {
	return t == 3 || t == 4 || t == 11 || t == 12
}

// String gives the name that the vendor's header has for t.
func (t Type) String() string {
	switch t {
	case TypeQuery:
		return "query"
	case TypeResponse:
		return "response"
	case TypeInstaller:
		return "junior response"
	case TypeRecoverable:
		return "recover response"
	case TypeInfoAvailable:
		return "info available"
	case TypeQueryV2:
		return "query v2"
	case TypeResponseV2:
		return "response v2"
	case TypeInstallerReplyV2:
		return "junior response v2"
	}
	if t.IsControl() {
		return fmt.Sprintf("control packet %d", uint32(t))
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// Field ids (§1.4). Integers are little-endian, addresses in network order,
// text is raw and ends with the field.
const (
	FieldType          = 0x01
	FieldDHCP          = 0x10
	FieldName          = 0x11
	FieldAddress       = 0x12
	FieldNetmask       = 0x13
	FieldGateway       = 0x14
	FieldDNS1          = 0x15
	FieldDNS2          = 0x16
	FieldMAC           = 0x19 // of the interface that answers
	FieldQuerier       = 0x1e // the querier's address, as the device saw it
	FieldModelKind     = 0x48 // an enumeration, 1 = DiskStation; not a state
	FieldBuild         = 0x49
	FieldPlatform      = 0x70
	FieldShortSerial   = 0x73
	FieldHTTPPort      = 0x75
	FieldHTTPSPort     = 0x76
	FieldVersion       = 0x77
	FieldModel         = 0x78
	FieldProgress      = 0x79 // hundredths of a percent
	FieldUpdate        = 0x90
	FieldFirstMAC      = 0xa2
	FieldFormatVersion = 0xa4
	FieldInfoTimeout   = 0xa6 // seconds
	FieldStatus        = 0xa7
	FieldSerial        = 0xc0
	FieldOSName        = 0xc1
)

// formatVersion is what a query must carry in field a4, and a reply does (§1.2).
const formatVersion uint32 = 0x01020000

// Errors of Parse and Append; test with errors.Is.
var (
	ErrNotFindhost = errors.New("findhost: not a findhost datagram")
	ErrEncrypted   = errors.New("findhost: encrypted datagram; only a query that carries a public key is answered so")
	ErrTooMany     = fmt.Errorf("findhost: more than %d fields or %d bytes", MaxFields, MaxSize)
	ErrOverrun     = errors.New("findhost: a field reaches beyond the end of the datagram")
	ErrNotReply    = errors.New("findhost: not a reply")
	ErrRefused     = errors.New("findhost: only queries and replies are built")
	ErrTooLong     = errors.New("findhost: a field holds at most 255 bytes")
)

// Field is one id and its value, at most 255 bytes.
type Field struct {
	ID    byte
	Value []byte
}

// Packet is a datagram as its fields, in the order in which they stand. An id
// may occur more than once, and ids that this package has no name for are kept.
type Packet struct {
	Fields []Field
	Tail   []byte // zero bytes behind the last field; empty in the captures
}

// Parse splits a datagram into its fields. It copies: b may be used again.
// It does not look at what the fields mean, so a control packet parses too;
// it cannot be built again.
func Parse(b []byte) (Packet, error) {
	switch {
	case len(b) < headerSize:
		return Packet{}, ErrNotFindhost
	case len(b) > MaxSize:
		return Packet{}, ErrTooMany
	case string(b[:headerSize]) == encryptedMagic:
		return Packet{}, ErrEncrypted
	case string(b[:headerSize]) != plainMagic:
		return Packet{}, ErrNotFindhost
	}
	var p Packet
	for rest := b[headerSize:]; len(rest) > 0; {
		if len(bytes.Trim(rest, "\x00")) == 0 {
			p.Tail = slices.Clone(rest)
			break
		}
		if len(p.Fields) == MaxFields {
			return Packet{}, ErrTooMany
		}
		if len(rest) < 2 || len(rest) < 2+int(rest[1]) {
			return Packet{}, fmt.Errorf("%w: field %02x, at byte %d of %d", ErrOverrun, rest[0], len(b)-len(rest), len(b))
		}
		end := 2 + int(rest[1])
		p.Fields = append(p.Fields, Field{ID: rest[0], Value: slices.Clone(rest[2:end])})
		rest = rest[end:]
	}
	return p, nil
}

// Append appends the datagram to dst. It refuses whatever is not a query or a
// reply, and whatever a lenient reader could take for something else: no type,
// a type of odd length, a type given twice.
func (p Packet) Append(dst []byte) ([]byte, error) {
	if len(p.Fields) > MaxFields {
		return dst, ErrTooMany
	}
	types := 0
	for _, f := range p.Fields {
		if len(f.Value) > 255 {
			return dst, fmt.Errorf("%w: field %02x", ErrTooLong, f.ID)
		}
		if f.ID == FieldType {
			types++
		}
	}
	if t := p.Type(); types != 1 || t != TypeQuery && !t.IsReply() {
		return dst, fmt.Errorf("%w: %v", ErrRefused, t)
	}
	dst = append(dst, plainMagic...)
	for _, f := range p.Fields {
		dst = append(dst, f.ID, byte(len(f.Value)))
		dst = append(dst, f.Value...)
	}
	return append(dst, p.Tail...), nil
}

// Type is the first field 01, or TypeNone where there is none of four bytes.
func (p Packet) Type() Type {
	n, _ := p.number(FieldType)
	return Type(n)
}

// Value is the value of the first field with that id.
func (p Packet) Value(id byte) ([]byte, bool) {
	for _, f := range p.Fields {
		if f.ID == id {
			return f.Value, true
		}
	}
	return nil, false
}

func (p Packet) number(id byte) (uint32, bool) {
	v, ok := p.Value(id)
	if !ok || len(v) != 4 {
		return 0, false
	}
	return binary.LittleEndian.Uint32(v), true
}

// Query is the smallest query that devices answer, in plain text: 20 bytes
// (§1.2). It names no sender and carries no key.
func Query() Packet {
	return Packet{Fields: []Field{
		{FieldType, number(uint32(TypeQuery))},
		{FieldFormatVersion, number(formatVersion)},
	}}
}

// IsQuery reports whether a device would answer p: a query needs its type and
// a format version (§1.2).
func (p Packet) IsQuery() bool {
	_, versioned := p.number(FieldFormatVersion)
	return p.Type() == TypeQuery && versioned
}

func number(n uint32) []byte {
	return binary.LittleEndian.AppendUint32(nil, n)
}
