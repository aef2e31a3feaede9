package discover

import (
	"cmp"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// maxSightings bounds what a flood of forged answers can take of memory.
const maxSightings = 4096

// book collects sightings. Nothing that was seen is ever dropped from it in
// favour of something else: an answer that differs from another in who it
// claims to be stands beside it.
type book struct {
	seen     []seen
	count    int // of what was new
	overflow bool
}

// seen is the latest of equal sightings, and what the earlier ones said
// differently.
type seen struct {
	Sighting
	when    int // the count at which it came
	earlier []Fact
}

const maxEarlier = 16

// add notes s; false where it says nothing new.
func (b *book) add(s Sighting) bool {
	for i, old := range b.seen {
		if !old.repeats(s) {
			continue
		}
		if reflect.DeepEqual(old.Sighting, s) {
			return false
		}
		earlier := old.earlier
		for _, f := range old.facts() {
			if len(earlier) < maxEarlier && !slices.Contains(earlier, f) && !slices.Contains(s.facts(), f) {
				earlier = append(earlier, f)
			}
		}
		b.count++
		b.seen[i] = seen{s, b.count, earlier}
		return true
	}
	if len(b.seen) == maxSightings {
		b.overflow = true
		return false
	}
	b.count++
	b.seen = append(b.seen, seen{Sighting: s, when: b.count})
	return true
}

// repeats reports whether other is the same device that says the same way again
// who it is: what it says of its state may have changed meanwhile.
func (s Sighting) repeats(other Sighting) bool {
	return s.Source == other.Source && s.From == other.From && s.Name == other.Name && s.Vendor == other.Vendor &&
		s.Model == other.Model && s.Serial == other.Serial && s.KeyID == other.KeyID && slices.Equal(s.MACs, other.MACs)
}

// devices groups the sightings, each group a device, in the order of names.
func (b *book) devices() []Device {
	var groups [][]seen
	for _, s := range b.seen {
		i := slices.IndexFunc(groups, func(g []seen) bool { return belongs(g, s.Sighting) })
		if i < 0 {
			groups = append(groups, []seen{s})
			continue
		}
		groups[i] = append(groups[i], s)
	}
	out := make([]Device, 0, len(groups))
	for _, g := range groups {
		out = append(out, describe(g))
	}
	slices.SortStableFunc(out, func(a, b Device) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), slices.CompareFunc(a.Addresses, b.Addresses, netip.Addr.Compare))
	})
	return out
}

// belongs reports whether s is of the same device as g: a mark of identity links
// it to one of g, it contradicts none, and it comes from a place of one of g or
// says what one of g says, word for word. So a forged answer that borrows a
// serial or a MAC makes a device of its own, whichever came first.
func belongs(g []seen, s Sighting) bool {
	linked, near := false, false
	for _, m := range g {
		if contradict(m.Sighting, s) {
			return false
		}
		linked = linked || link(m.Sighting, s)
		near = near || sharesAddress(m.Sighting, s) || twins(m.Sighting, s)
	}
	return linked && near
}

// link reports whether a and b share a mark of identity: the serial, a MAC, the
// key id; or, where they have no such mark in common kinds, name and address.
func link(a, b Sighting) bool {
	if same(a.Serial, b.Serial) || same(a.KeyID, b.KeyID) || shareAny(a.MACs, b.MACs) {
		return true
	}
	comparable := a.Serial != "" && b.Serial != "" || len(a.MACs) > 0 && len(b.MACs) > 0 || a.KeyID != "" && b.KeyID != ""
	return !comparable && same(a.Name, b.Name) && sharesAddress(a, b)
}

// contradict reports whether a and b cannot both be true of one device: they
// differ in something that both say.
func contradict(a, b Sighting) bool {
	ports := func(x, y int) bool { return x != 0 && y != 0 && x != y }
	return differ(a.Serial, b.Serial) || differ(a.KeyID, b.KeyID) || differ(a.Vendor, b.Vendor) ||
		differ(a.Name, b.Name) || differ(a.Model, b.Model) || differ(a.Build, b.Build) ||
		// One protocol says 7.2 where another says 7.2.1.
		!strings.HasPrefix(a.Version, b.Version) && !strings.HasPrefix(b.Version, a.Version) ||
		a.Status != nas.Unknown && b.Status != nas.Unknown && a.Status != b.Status ||
		ports(a.HTTPPort, b.HTTPPort) || ports(a.HTTPSPort, b.HTTPSPort)
}

// twins reports whether a and b say the same in the same way of what is one for
// the whole device, from two places: a NAS on two networks does.
func twins(a, b Sighting) bool {
	common := func(s Sighting) Sighting {
		return Sighting{
			Source: s.Source, Name: s.Name, Vendor: s.Vendor, Model: s.Model, Serial: s.Serial, KeyID: s.KeyID, Status: s.Status,
			Version: s.Version, Build: s.Build, Update: s.Update, HTTPPort: s.HTTPPort, HTTPSPort: s.HTTPSPort,
		}
	}
	return reflect.DeepEqual(common(a), common(b))
}

func same(a, b string) bool   { return a != "" && strings.EqualFold(a, b) }
func differ(a, b string) bool { return a != "" && b != "" && !strings.EqualFold(a, b) }

func shareAny[T comparable](a, b []T) bool {
	return slices.ContainsFunc(a, func(v T) bool { return slices.Contains(b, v) })
}

// sharesAddress reports whether both came from, or name, one address.
func sharesAddress(a, b Sighting) bool {
	return shareAny(append(slices.Clone(a.Addresses), a.From), append(slices.Clone(b.Addresses), b.From))
}

// describe makes a device of a group. Where sightings differ, the value of the
// first that has one stands in the device, and for what changes from minute to
// minute that of the latest; the facts hold every one.
func describe(g []seen) Device {
	d := Device{
		MACs: []string{}, Addresses: []netip.Addr{}, DNS: []string{}, FoundBy: []string{}, Facts: []Fact{},
		Verified: VerifiedUnknown,
	}
	for _, s := range g {
		first(&d.Name, s.Name)
		first(&d.Vendor, s.Vendor)
		first(&d.Model, s.Model)
		first(&d.Serial, s.Serial)
		first(&d.KeyID, s.KeyID)
		first(&d.Version, s.Version)
		first(&d.Build, s.Build)
		first(&d.Update, s.Update)
		first(&d.HTTPPort, s.HTTPPort)
		first(&d.HTTPSPort, s.HTTPSPort)
		first(&d.DHCP, s.DHCP)
		first(&d.Netmask, s.Netmask)
		first(&d.Gateway, s.Gateway)
		if len(d.DNS) == 0 {
			d.DNS = append(d.DNS, s.DNS...)
		}
		d.MACs = union(d.MACs, s.MACs)
		d.Addresses = union(d.Addresses, s.Addresses)
		d.FoundBy = union(d.FoundBy, []string{s.Source})
		d.Facts = union(d.Facts, append(s.facts(), s.earlier...))
	}
	state := nas.Unknown
	for _, s := range slices.SortedFunc(slices.Values(g), func(a, b seen) int { return b.when - a.when }) {
		first(&d.Claim, s.Claim)
		if state == nas.Unknown {
			state = s.Status
		}
	}
	d.Status, d.StatusText = state.ID(), state.String()
	return d
}

// first sets a value that is not set yet.
func first[T comparable](into *T, v T) {
	var none T
	if *into == none {
		*into = v
	}
}

// lookAlikes are the pairs of devices that share a serial, a MAC or a key id
// and yet cannot be one: one of them may be pretending.
func lookAlikes(devices []Device) [][]string {
	var out [][]string
	for i, a := range devices {
		for _, b := range devices[i+1:] {
			shared := same(a.Serial, b.Serial) || same(a.KeyID, b.KeyID) || shareAny(a.MACs, b.MACs)
			if shared {
				out = append(out, []string{a.label(), b.label()})
			}
		}
	}
	return out
}

// label names a device for a person: its name, and where it is.
func (d Device) label() string {
	name := d.Name
	if name == "" {
		name = "a device without a name"
	}
	if len(d.Addresses) > 0 {
		name += " at " + d.Addresses[0].String()
	}
	return name
}
