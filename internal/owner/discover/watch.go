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

// See takes what a search has found so far.
func (w *Watch) See(devices []Device) []Change {
	var out []Change
	taken := map[int]bool{}
	for _, d := range devices {
		i := slices.IndexFunc(w.known, func(k watched) bool { return k.sameAs(d) })
		if i >= 0 && taken[i] { // a look-alike of one that is there
			i = -1
			for j, k := range w.known {
				if !taken[j] && k.sameAs(d) {
					i = j
					break
				}
			}
		}
		if i < 0 {
			w.known = append(w.known, watched{Device: d, seen: true})
			taken[len(w.known)-1] = true
			out = append(out, Change{"appeared", d})
			continue
		}
		taken[i] = true
		old := w.known[i]
		if changed := old.differs(d); changed {
			d.Was = &Was{Name: old.Name, Addresses: old.Addresses, Status: old.Status, StatusText: old.StatusText}
			out = append(out, Change{"changed", d})
		} else {
			if d.Was == nil {
				d.Was = old.Was
			}
			d = fuller(d, old.Device)
		}
		w.known[i] = watched{Device: d, seen: true}
	}
	return out
}

// Over ends one search: what was missing for long enough is gone.
func (w *Watch) Over() []Change {
	var out []Change
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
