package qfinder

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

// Tags whose meaning is known or likely (vendors/qnap.md §1.3); the rest is
// carried along unread.
const (
	tagName          = 0x01
	tagAddress       = 0x05
	tagGateway       = 0x06
	tagNetmask       = 0x07
	tagDHCP          = 0x08 // confidence I
	tagWorkgroup     = 0x09 // confidence I
	tagAdministrator = 0x0b // confidence I
	tagMAC1          = 0x0c
	tagMAC2          = 0x1b
	tagModel         = 0x28
	tagBuild         = 0x2d
	tagHTTPPort      = 0x35
	tagDisplayModel  = 0x49 // confidence I
	tagEnd           = 0xff

	extHTTPSPort = 0x107
	extClient    = 0x1c6
	extDNS1      = 0x1e1 // confidence I
	extDNS2      = 0x1e2 // confidence I
	extMail      = 0x22b
)

// Reply is what a device says of itself, its fields read by their meaning. A
// field that is absent, or has not the form that its meaning asks for, leaves
// the zero value.
type Reply struct {
	Kind    Kind
	Address string // MAC of the header; lower case, with colons

	Name          string
	Model         string // as it is sold
	InternalModel string
	Workgroup     string
	Administrator string // the account's name; who asks is told it by every device
	Build         string // "20130726"
	MailServer    string // "smtp.gmail.com:465": forgot-password mail may work
	MACs          []string
	HTTPPort      uint16
	HTTPSPort     uint16

	IP      netip.Addr // what the device thinks that it has; detail only
	Netmask netip.Addr
	Gateway netip.Addr
	DNS     []netip.Addr
	DHCP    *bool      // nil where the device does not say
	Client  netip.Addr // who asked, as the device saw it
}

// ParseReply reads a datagram that came from a device. Our own question, which
// comes back to us on a broadcast, is ErrNotReply.
func ParseReply(b []byte) (Reply, error) {
	p, err := Parse(b)
	if err != nil {
		return Reply{}, err
	}
	return p.Reply()
}

// Reply reads p as what a device says of itself.
func (p Packet) Reply() (Reply, error) {
	if !p.Server {
		return Reply{}, ErrNotReply
	}
	r := Reply{Kind: p.Kind, Address: mac(p.Address[:])}
	for _, m := range []string{r.Address, p.mac(tagMAC1), p.mac(tagMAC2)} {
		if m != "" && !slices.Contains(r.MACs, m) {
			r.MACs = append(r.MACs, m)
		}
	}
	r.Name, r.Workgroup, r.Administrator = p.text(tagName), p.text(tagWorkgroup), p.text(tagAdministrator)
	r.Model, r.InternalModel = p.text(tagDisplayModel), p.text(tagModel)
	if r.Model == "" {
		r.Model = r.InternalModel
	}
	r.Build = p.text(tagBuild)
	v, _ := p.ExtendedValue(extMail)
	r.MailServer = text(v)
	v, _ = p.Value(tagHTTPPort)
	r.HTTPPort = port(v)
	v, _ = p.ExtendedValue(extHTTPSPort)
	r.HTTPSPort = port(v)
	r.IP, r.Netmask, r.Gateway = p.addr(tagAddress), p.addr(tagNetmask), p.addr(tagGateway)
	for _, tag := range []uint32{extDNS1, extDNS2} {
		if v, _ := p.ExtendedValue(tag); len(v) == 4 && [4]byte(v) != [4]byte{} {
			r.DNS = append(r.DNS, netip.AddrFrom4([4]byte(v)))
		}
	}
	if v, ok := p.Value(tagDHCP); ok && (len(v) == 1 || len(v) == 4) && v[0] <= 1 {
		on := v[0] == 1
		r.DHCP = &on
	}
	if v, ok := p.ExtendedValue(extClient); ok {
		if a, err := netip.ParseAddr(text(v)); err == nil && a.Is4() {
			r.Client = a
		}
	}
	return r, nil
}

// Packet is r as a device's datagram. It is for the lab's virtual devices and
// for tests.
func (r Reply) Packet() Packet {
	p := Packet{Server: true, Role: roleServer, Kind: r.Kind, Version: formatVersion}
	p.Address, _ = address(r.Address)
	add := func(ext bool, tag uint32, v []byte) {
		if len(v) > 0 {
			p.Fields = append(p.Fields, Field{ext, tag, v})
		}
	}
	if r.Client.Is4() {
		add(true, extClient, zeroEnded(r.Client.String()))
	}
	add(false, tagName, zeroEnded(r.Name))
	add(false, tagWorkgroup, zeroEnded(r.Workgroup))
	add(false, tagModel, zeroEnded(r.InternalModel))
	add(false, tagDisplayModel, zeroEnded(r.Model))
	add(false, tagBuild, []byte(r.Build))
	add(false, tagAdministrator, []byte(r.Administrator))
	add(false, tagHTTPPort, number(r.HTTPPort))
	add(true, extHTTPSPort, number(r.HTTPSPort))
	add(true, extMail, []byte(r.MailServer))
	add(false, tagAddress, addr(r.IP))
	add(false, tagGateway, addr(r.Gateway))
	add(false, tagNetmask, addr(r.Netmask))
	if r.DHCP != nil {
		add(false, tagDHCP, []byte{map[bool]byte{true: 1}[*r.DHCP]})
	}
	for i, a := range r.DNS[:min(len(r.DNS), 2)] {
		add(true, extDNS1+uint32(i), addr(a))
	}
	for i, m := range r.MACs[:min(len(r.MACs), 2)] {
		a, _ := address(m)
		add(false, []uint32{tagMAC1, tagMAC2}[i], a[:])
	}
	add(false, tagEnd, make([]byte, 4))
	return p
}

func (p Packet) text(tag uint32) string {
	v, _ := p.Value(tag)
	return text(v)
}

// text takes text up to the zero byte that some fields end with, safe to print.
func text(v []byte) string {
	s, _, _ := strings.Cut(string(v), "\x00")
	return printable.Clean(s)
}

func (p Packet) mac(tag uint32) string {
	v, _ := p.Value(tag)
	return mac(v)
}

// mac is empty where v is no address of a network card.
func mac(v []byte) string {
	if len(v) != 6 || [6]byte(v) == [6]byte{} {
		return ""
	}
	m, _ := nas.NormalMAC(fmt.Sprintf("%x", v))
	return m
}

func (p Packet) addr(tag uint32) netip.Addr {
	v, _ := p.Value(tag)
	if len(v) != 4 || [4]byte(v) == [4]byte{} {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte(v))
}

func port(v []byte) uint16 {
	if len(v) != 4 || v[2] != 0 || v[3] != 0 {
		return 0
	}
	return binary.LittleEndian.Uint16(v)
}

func number(n uint16) []byte {
	if n == 0 {
		return nil
	}
	return binary.LittleEndian.AppendUint32(nil, uint32(n))
}

func zeroEnded(s string) []byte {
	if s == "" {
		return nil
	}
	return append([]byte(s), 0)
}

func addr(a netip.Addr) []byte {
	if !a.Is4() {
		return nil
	}
	b := a.As4()
	return b[:]
}
