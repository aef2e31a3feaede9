package discover

import (
	"slices"
	"strings"
)

// Change is one line of `find --watch`: a device, and what happened to it.
type Change struct {
	Kind string `json:"change"` // "appeared", "changed" or "gone"
	Device
}

// missedRounds is in how many searches on end a device must be missing before
// it is said to be gone: datagrams get lost.
const missedRounds = 2

// Watch tells over several searches what changes. A search knows little of a
// device at first and more at its end: that is no change.
type Watch struct {
	known []watched
}

type watched struct {
	Device
	missed int
	seen   bool // in the search that goes on
}

// Devices are those that are there.
func (w *Watch) Devices() []Device {
	out := make([]Device, len(w.known))
	for i, k := range w.known {
		out[i] = k.Device
	}
	return out
}

// See takes what a search has found so far; nothing in it is verified yet.
func (w *Watch) See(devices []Device) []Change { return w.see(devices, false) }

// Over ends one search: devices are its result, verified, and what was missing
// for long enough is gone.
func (w *Watch) Over(devices []Device) []Change {
	out := w.see(devices, true)
	for i := range w.known {
		k := &w.known[i]
		if k.missed++; k.seen {
			k.missed = 0
		}
		k.seen = false
		if k.missed >= missedRounds {
			out = append(out, Change{"gone", k.Device})
		}
	}
	w.known = slices.DeleteFunc(w.known, func(k watched) bool { return k.missed >= missedRounds })
	return out
}

func (w *Watch) see(devices []Device, verified bool) []Change {
	var out []Change
	taken := map[int]bool{}
	for _, d := range devices {
		i := w.find(d, taken)
		if i < 0 {
			w.known = append(w.known, watched{Device: d, seen: true})
			taken[len(w.known)-1] = true
			out = append(out, Change{"appeared", d})
			continue
		}
		taken[i] = true
		old := w.known[i]
		next := old.next(d, verified)
		w.known[i] = watched{Device: next, seen: true}
		switch {
		case old.differs(d):
			out = append(out, Change{"changed", next})
		case verified && next.Verified != old.Verified:
			out = append(out, Change{"verified", next})
		}
	}
	return out
}

// find is which known device d is, and not one that another is already: a
// look-alike of it; -1 where it is none.
func (w *Watch) find(d Device, taken map[int]bool) int {
	for i, k := range w.known {
		if !taken[i] && k.sameAs(d) {
			return i
		}
	}
	return -1
}

// next is what is known once d was seen. What a search has not verified yet has
// the verdict of the search before, at the addresses where the key was proved
// and nowhere else; a verdict of its own stands, whichever it is.
func (k watched) next(d Device, verified bool) Device {
	out := d
	if k.differs(d) {
		out.Was = &Was{Name: k.Name, Addresses: k.Addresses, Status: k.Status, StatusText: k.StatusText}
	} else {
		if out.Was == nil {
			out.Was = k.Was
		}
		out = fuller(out, k.Device)
	}
	proved := k.Verified == VerifiedMatch && same(k.KeyID, d.KeyID) && shareAny(k.Addresses, d.Addresses)
	switch {
	case verified:
		out.Verified = d.Verified
	case proved:
		out.Verified, out.Addresses = k.Verified, k.Addresses
	default:
		out.Verified = VerifiedUnknown
	}
	return out
}

func (k watched) sameAs(d Device) bool {
	return same(k.KeyID, d.KeyID) || same(k.Serial, d.Serial) || shareAny(k.MACs, d.MACs) ||
		k.Name != "" && strings.EqualFold(k.Name, d.Name) && shareAny(k.Addresses, d.Addresses)
}

// differs reports whether d says something else than before of what a person
// watches for. What it does not say yet is no difference.
func (k watched) differs(d Device) bool {
	moved := len(k.Addresses) > 0 && len(d.Addresses) > 0 && !shareAny(k.Addresses, d.Addresses)
	claim := k.Claim != nil && d.Claim != nil && *k.Claim != *d.Claim
	status := d.Status != "unknown" && k.Status != "unknown" && k.Status != d.Status
	return moved || claim || status || differ(k.Name, d.Name) || differ(k.Version, d.Version) || differ(k.Build, d.Build)
}

// fuller is the one of the two that says more.
func fuller(d, old Device) Device {
	if len(d.Facts) >= len(old.Facts) {
		return d
	}
	return old
}
