// Package qfinder is the wire format with which QNAP devices are found on a
// LAN: the datagrams of "Qfinder", UDP port 8097 (vendors/qnap.md §1).
//
// It turns bytes into values and values into bytes, nothing else: it opens no
// socket and knows no clock. It walks the fields and never counts on an offset:
// the first field is the asking client's own address as text, and its length
// moves everything behind it (§1.3). All that it reads comes from whoever is on
// the LAN: a [Reply] says which device may be there, never that it is.
//
// It never builds anything but the two questions and, for the lab and tests,
// the answers to them. No packet that changes a device is known, and none could
// be built here.
package qfinder

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// Port is where a device listens and, as the captures have it, where its answer
// goes to, as a broadcast: whoever asks must hold this port (§1.1).
const Port = 8097

// Bounds on what Parse accepts. Real replies have 31 and 47 fields, 334 and 577
// bytes.
const (
	MaxFields = 512
	MaxSize   = 9000

	headerSize = 16
	extended   = 0xca
	extHeader  = 5 // of an extended field: its tag and its length
)

// Kind is what a datagram asks for or answers: bytes 10 and 11.
type Kind uint16

// The kinds that were captured (§1.2).
const (
	Brief  Kind = 1
	Detail Kind = 5
)

// The two magics of bytes 6 and 7, and the roles of bytes 8 and 9 that go with
// them.
const (
	magicClient = "Cl"
	magicServer = "Se"

	roleAll    = 0 // a question to every device
	roleServer = 1
	roleOne    = 2 // a question to the device whose address stands in front

	formatVersion = 0x0425
)

// Errors of Parse and Append; test with errors.Is.
var (
	ErrNotQfinder = errors.New("qfinder: not a Qfinder datagram")
	ErrTooLarge   = fmt.Errorf("qfinder: more than %d bytes or %d fields", MaxSize, MaxFields)
	ErrOverrun    = errors.New("qfinder: a field reaches beyond the end of the datagram")
	ErrNotReply   = errors.New("qfinder: not a reply")
	ErrRefused    = errors.New("qfinder: only the two questions and their answers are built")
	ErrTooLong    = errors.New("qfinder: a field holds at most 255 bytes")
)

// Field is one tag and its value. The tag of an extended field is the one
// inside it (§1.2); its value is at most 250 bytes.
type Field struct {
	Extended bool
	Tag      uint32 // at most 255 where it is not extended
	Value    []byte
}

// Packet is a datagram as its header and its fields, in their order. A tag may
// occur more than once, and tags that this package has no name for are kept.
type Packet struct {
	Address [6]byte // the device's; zeros in a question to all
	Server  bool    // it comes from a device
	Role    uint16
	Kind    Kind
	Zero    uint16 // always 0 in the captures
	Version uint16 // always 0x0425 in the captures
	Fields  []Field
	Tail    []byte // what follows the end mark, or zero bytes without one; empty in the captures
}

// Parse splits a datagram into its fields. It copies: b may be used again.
func Parse(b []byte) (Packet, error) {
	if len(b) > MaxSize {
		return Packet{}, ErrTooLarge
	}
	if len(b) < headerSize || string(b[6:8]) != magicClient && string(b[6:8]) != magicServer {
		return Packet{}, ErrNotQfinder
	}
	b = slices.Clone(b)
	p := Packet{
		Address: [6]byte(b[:6]), Server: string(b[6:8]) == magicServer, Role: binary.LittleEndian.Uint16(b[8:]),
		Kind: Kind(binary.LittleEndian.Uint16(b[10:])), Zero: binary.LittleEndian.Uint16(b[12:]), Version: binary.LittleEndian.Uint16(b[14:]),
	}
	for rest := b[headerSize:]; len(rest) > 0; {
		if len(bytes.Trim(rest, "\x00")) == 0 {
			p.Tail = rest
			break
		}
		if len(p.Fields) == MaxFields {
			return Packet{}, ErrTooLarge
		}
		if len(rest) < 2 || len(rest) < 2+int(rest[1]) {
			return Packet{}, fmt.Errorf("%w: tag %02x, at byte %d of %d", ErrOverrun, rest[0], len(b)-len(rest), len(b))
		}
		end := 2 + int(rest[1])
		f := field(rest[0], rest[2:end:end])
		p.Fields = append(p.Fields, f)
		rest = rest[end:]
		if f.isEnd() {
			p.Tail = rest
			break
		}
	}
	return p, nil
}

// field reads one tag and value; an extended field that is not well formed
// within is kept as it stands.
func field(tag byte, v []byte) Field {
	if tag == extended && len(v) >= extHeader && int(v[4]) == len(v)-extHeader {
		return Field{Extended: true, Tag: binary.LittleEndian.Uint32(v), Value: v[extHeader:]}
	}
	return Field{Tag: uint32(tag), Value: v}
}

func (f Field) isEnd() bool { return !f.Extended && f.Tag == tagEnd }

// Append appends the datagram to dst. It refuses whatever is not one of the two
// questions, without a field, or a device's answer.
func (p Packet) Append(dst []byte) ([]byte, error) {
	if !p.buildable() {
		return dst, ErrRefused
	}
	if len(p.Fields) > MaxFields {
		return dst, ErrTooLarge
	}
	start := len(dst)
	magic := magicClient
	if p.Server {
		magic = magicServer
	}
	out := append(dst, p.Address[:]...)
	out = append(out, magic...)
	for _, n := range []uint16{p.Role, uint16(p.Kind), p.Zero, p.Version} {
		out = binary.LittleEndian.AppendUint16(out, n)
	}
	for i, f := range p.Fields {
		if f.isEnd() && i != len(p.Fields)-1 {
			return dst, fmt.Errorf("%w: a field follows the end mark", ErrRefused)
		}
		var err error
		if out, err = f.append(out); err != nil {
			return dst, err
		}
	}
	if out = append(out, p.Tail...); len(out)-start > MaxSize {
		return dst, ErrTooLarge
	}
	return out, nil
}

func (p Packet) buildable() bool {
	if p.Server {
		padded := len(bytes.Trim(p.Tail, "\x00")) == 0
		return padded || len(p.Fields) > 0 && p.Fields[len(p.Fields)-1].isEnd()
	}
	plain := len(p.Fields) == 0 && len(p.Tail) == 0 && p.Zero == 0
	return plain && (p.Kind == Brief && p.Role == roleAll || p.Kind == Detail && p.Role == roleOne)
}

func (f Field) append(dst []byte) ([]byte, error) {
	switch {
	case f.Extended && len(f.Value) > 255-extHeader, len(f.Value) > 255, !f.Extended && f.Tag > 255:
		return dst, fmt.Errorf("%w: tag %x", ErrTooLong, f.Tag)
	case f.Extended:
		dst = append(dst, extended, byte(len(f.Value)+extHeader))
		dst = binary.LittleEndian.AppendUint32(dst, f.Tag)
		dst = append(dst, byte(len(f.Value)))
	default:
		dst = append(dst, byte(f.Tag), byte(len(f.Value)))
	}
	return append(dst, f.Value...), nil
}

// Query is the question to every device: 16 bytes (§1.2).
func Query() Packet {
	return Packet{Kind: Brief, Role: roleAll, Version: formatVersion}
}

// DetailQuery is the question to the one device with that MAC address.
func DetailQuery(mac string) (Packet, error) {
	a, ok := address(mac)
	if !ok {
		return Packet{}, fmt.Errorf("%w: %q is not a MAC address", ErrRefused, mac)
	}
	return Packet{Address: a, Kind: Detail, Role: roleOne, Version: formatVersion}, nil
}

// IsQuery reports whether a device with that MAC address would answer p.
func (p Packet) IsQuery(mac string) bool {
	if p.Server {
		return false
	}
	a, ok := address(mac)
	return p.Kind == Brief || p.Kind == Detail && ok && a == p.Address
}

// Value is the value of the first plain field with that tag.
func (p Packet) Value(tag uint32) ([]byte, bool) { return p.find(false, tag) }

// ExtendedValue is the value of the first extended field with that tag.
func (p Packet) ExtendedValue(tag uint32) ([]byte, bool) { return p.find(true, tag) }

func (p Packet) find(ext bool, tag uint32) ([]byte, bool) {
	for _, f := range p.Fields {
		if f.Extended == ext && f.Tag == tag {
			return f.Value, true
		}
	}
	return nil, false
}

func address(mac string) (a [6]byte, ok bool) {
	mac, ok = nas.NormalMAC(mac)
	if !ok {
		return a, false
	}
	for i := range a {
		a[i] = digit(mac[3*i])<<4 | digit(mac[3*i+1])
	}
	return a, true
}

// digit is a lower-case hexadecimal digit's value.
func digit(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}
