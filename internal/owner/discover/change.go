package discover

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

// Network names the networks that this computer is on, for what is remembered
// by network.
func (s Surroundings) Network() string {
	var all []string
	for _, i := range s.Interfaces {
		for _, p := range i.Prefixes {
			if a := p.Addr(); a.Is4() && !a.IsLinkLocalUnicast() {
				all = append(all, p.Masked().String())
			}
		}
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), " ")
}

// Change says what is other than when the device was last found; empty where
// nothing is, or where it never was.
func (d Device) Change() string {
	if d.Was == nil {
		return ""
	}
	var parts []string
	if d.Was.Name != "" && d.Name != "" && d.Was.Name != d.Name {
		parts = append(parts, "this was "+d.Was.Name+", now "+d.Name)
	}
	if len(d.Was.Addresses) > 0 && len(d.Addresses) > 0 && !slices.Contains(d.Addresses, d.Was.Addresses[0]) {
		parts = append(parts, d.Was.Addresses[0].String()+" before, now "+d.Addresses[0].String())
	}
	if d.Was.Status != "" && d.Was.Status != nas.Unknown.ID() && d.Status != nas.Unknown.ID() && d.Was.Status != d.Status {
		parts = append(parts, d.Was.StatusText+" before, now "+d.StatusText)
	}
	if len(parts) == 0 {
		return ""
	}
	text := strings.Join(parts, "; ") + "."
	return strings.ToUpper(text[:1]) + text[1:]
}

// ProvedAt says that the device proved its key at these addresses. Others that
// somebody named for it stay among the facts and are no addresses of it.
func (d *Device) ProvedAt(addresses ...netip.Addr) {
	d.Addresses = append([]netip.Addr{}, addresses...)
	for _, a := range addresses {
		d.Facts = append(d.Facts, Fact{Field: "addresses", Value: a.String(), Source: "native", Trust: Proved})
	}
}

// Identify says whether typed, the MAC address or the serial number from a
// device's label, is this device's, and by which of the two (row F7). Anyone on
// the LAN can read both: it says which box is meant, never who asks. Where it is
// neither, the error is label_differs.
func (d Device) Identify(typed string) (field string, err error) {
	if mac, ok := nas.NormalMAC(strings.Join(strings.Fields(typed), "")); ok && slices.Contains(d.MACs, mac) {
		return "mac", nil
	}
	if s := plain(typed); s != "" && s == plain(d.Serial) {
		return "serial", nil
	}
	return "", catalog.New("label_differs", printable.Clean(typed))
}

// plain is a serial number as people may type it: without blanks and dashes, in
// one case.
func plain(s string) string {
	return strings.ToUpper(strings.Map(func(c rune) rune {
		if c == ' ' || c == '-' || c == '\t' {
			return -1
		}
		return c
	}, s))
}

// Label is how a device is named wherever something is done with it: by what is
// on its label.
func (d Device) Label() string { return d.Identity().Label() }
