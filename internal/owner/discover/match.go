package discover

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

// Match is the device that a person means by target: a name, an address, a MAC
// in any notation, or a serial. No device is the problem target_unknown (exit
// status 3), more than one is target_ambiguous (2), and two that claim one label
// are look_alikes (4). What matches is what the
// person means; it is not thereby who it says it is.
func Match(devices []Device, target string) (Device, error) {
	var fitting []Device
	for _, d := range devices {
		if d.fits(target) {
			fitting = append(fitting, d)
		}
	}
	switch len(fitting) {
	case 0:
		return Device{}, catalog.New("target_unknown", printable.Clean(target))
	case 1:
		return fitting[0], nil
	}
	if one, other := fitting[0], fitting[1]; oneLabel(one, other) {
		return Device{}, catalog.New("look_alikes", printable.Clean(where(one)+" and "+where(other)))
	}
	return Device{}, catalog.New("target_ambiguous", printable.Clean(target))
}

// oneLabel reports whether both say that they are the same box: each serial and
// MAC stands on one label in the world.
func oneLabel(a, b Device) bool {
	return a.Serial != "" && strings.EqualFold(a.Serial, b.Serial) || slices.ContainsFunc(a.MACs, func(m string) bool { return slices.Contains(b.MACs, m) })
}

func where(d Device) string {
	if len(d.Addresses) == 0 {
		return d.Name
	}
	return d.Name + " at " + d.Addresses[0].String()
}

func (d Device) fits(target string) bool {
	target = strings.TrimSpace(target)
	if target == "" {
		return false
	}
	name := strings.TrimSuffix(strings.TrimSuffix(target, "."), ".local")
	if strings.EqualFold(d.Name, target) || strings.EqualFold(d.Name, name) || d.Serial != "" && strings.EqualFold(d.Serial, target) {
		return true
	}
	if d.KeyID != "" && strings.EqualFold(name, d.Name+"-"+d.KeyID[:min(8, len(d.KeyID))]) { // as announced
		return true
	}
	if mac, ok := nas.NormalMAC(target); ok && slices.Contains(d.MACs, mac) {
		return true
	}
	a, err := netip.ParseAddr(strings.Trim(target, "[]"))
	return err == nil && slices.ContainsFunc(d.Addresses, func(x netip.Addr) bool {
		return x == a || x.WithZone("") == a
	})
}
