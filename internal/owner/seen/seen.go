// Package seen remembers which NAS this computer found on which network, with
// their addresses and states, so that after a reset it can be said what a
// device was before (rows F4 and F6).
//
// It is a convenience and no proof: who a device is, package keys remembers. It
// never holds a password, a code or a key, and a file that cannot be read is as
// none.
package seen

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/owner/discover"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/recordfile"
)

// Bounds on what is kept; the oldest goes first.
const (
	maxNetworks = 32
	maxDevices  = 512
	maxSize     = 8 << 20
)

// entry is one device as it was last found.
type entry struct {
	Name      string       `json:"name"`
	Vendor    string       `json:"vendor"`
	Serial    string       `json:"serial,omitempty"`
	MACs      []string     `json:"macs,omitempty"`
	KeyID     string       `json:"key_id,omitempty"`
	Addresses []netip.Addr `json:"addresses"`
	Status    string       `json:"status"`
	Text      string       `json:"status_text"`
	Seen      time.Time    `json:"seen"`
}

// networkEntry is one network with its devices.
type networkEntry struct {
	ID      string    `json:"id"`
	Seen    time.Time `json:"seen"`
	Devices []entry   `json:"devices"`
}

// Memory is what was found. It is not safe for concurrent use.
type Memory struct {
	fsys     opfs.FS
	dir      string
	networks []networkEntry
}

func format() recordfile.Format[networkEntry] {
	return recordfile.Format[networkEntry]{
		Name: "seen.json", List: "networks", Version: 1, Op: "seen", MaxSize: maxSize, Most: maxNetworks, Check: networkEntry.check,
	}
}

func (n networkEntry) check() error {
	if len(n.Devices) > maxDevices {
		return fmt.Errorf("%d devices; at most %d", len(n.Devices), maxDevices)
	}
	return nil
}

// Open reads the memory in folder dir.
func Open(fsys opfs.FS, dir string) (*Memory, error) {
	networks, err := format().Read(fsys, dir)
	if err != nil && !errors.Is(err, recordfile.ErrContent) {
		return nil, err
	}
	return &Memory{fsys, dir, networks}, nil
}

// Recall sets what each device was when it was last found: on this network, or
// else on another one.
func (m *Memory) Recall(network string, devices []discover.Device) {
	ordered := slices.Clone(m.networks)
	slices.SortStableFunc(ordered, func(a, b networkEntry) int {
		return cmp.Or(cmp.Compare(rank(a.ID, network), rank(b.ID, network)), b.Seen.Compare(a.Seen))
	})
	for i, d := range devices {
		for _, n := range ordered {
			if j := n.find(d); j >= 0 {
				e := n.Devices[j]
				was := discover.Was{Name: e.Name, Addresses: slices.Concat([]netip.Addr{}, e.Addresses), Status: e.Status, StatusText: e.Text, Seen: &e.Seen}
				if d.Was != nil { // whoever knows its key has said what it was
					was.Name, was.Addresses = d.Was.Name, d.Was.Addresses
				}
				devices[i].Was = &was
				break
			}
		}
	}
}

func rank(id, network string) int {
	if id == network {
		return 0
	}
	return 1
}

// Note takes over what the devices are now. A device that shares a mark with
// another, so that one of the two may be forged, stays as it was remembered.
func (m *Memory) Note(network string, now time.Time, devices []discover.Device) {
	i := slices.IndexFunc(m.networks, func(n networkEntry) bool { return n.ID == network })
	if i < 0 {
		m.networks = append(m.networks, networkEntry{ID: network})
		i = len(m.networks) - 1
	}
	n := &m.networks[i]
	n.Seen = now
	holders := map[string]int{}
	for _, d := range devices {
		for _, m := range marks(d) {
			holders[m]++
		}
	}
	for _, d := range devices {
		own := marks(d)
		if len(own) == 0 || slices.ContainsFunc(own, func(m string) bool { return holders[m] > 1 }) {
			continue
		}
		e := entry{
			Name: d.Name, Vendor: d.Vendor, Serial: d.Serial, MACs: d.MACs, KeyID: d.KeyID, Addresses: d.Addresses,
			Status: d.Status, Text: d.StatusText, Seen: now,
		}
		if j := n.find(d); j >= 0 {
			n.Devices[j] = e
		} else {
			n.Devices = append(n.Devices, e)
		}
	}
	slices.SortStableFunc(n.Devices, func(a, b entry) int { return b.Seen.Compare(a.Seen) })
	n.Devices = n.Devices[:min(len(n.Devices), maxDevices)]
	slices.SortStableFunc(m.networks, func(a, b networkEntry) int { return b.Seen.Compare(a.Seen) })
	m.networks = m.networks[:min(len(m.networks), maxNetworks)]
}

// Save writes the memory.
func (m *Memory) Save() error { return format().Write(m.fsys, m.dir, m.networks) }

// find is the device by its key first, then by its serial, then by a MAC.
func (n networkEntry) find(d discover.Device) int {
	for _, same := range []func(entry) bool{
		func(e entry) bool { return d.KeyID != "" && e.KeyID == d.KeyID },
		func(e entry) bool { return d.Serial != "" && strings.EqualFold(e.Serial, d.Serial) },
		func(e entry) bool { return shareMAC(e.MACs, d.MACs) },
	} {
		if i := slices.IndexFunc(n.Devices, same); i >= 0 {
			return i
		}
	}
	return -1
}

// marks are what tells d from others.
func marks(d discover.Device) []string {
	out := slices.Clone(d.MACs)
	if d.Serial != "" {
		out = append(out, "serial "+strings.ToLower(d.Serial))
	}
	if d.KeyID != "" {
		out = append(out, "key "+d.KeyID)
	}
	return out
}

func shareMAC(a, b []string) bool {
	return slices.ContainsFunc(a, func(m string) bool { return slices.Contains(b, m) })
}
