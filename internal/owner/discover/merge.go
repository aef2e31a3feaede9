package discover

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// maxSightings bounds what a flood of forged answers can take of memory, and
// maxPlace what comes from one place. A NAS says two or three things of itself.
const (
	maxSightings = 4096
	maxPlace     = 64
	maxElsewhere = 1024
)

// book collects sightings. An answer that differs from another in who it claims
// to be stands beside it. Only in a flood does one give way to another: then
// among those of the place that said the most, so that somebody who sends
// thousands of forged answers pushes out his own and not a real device's.
type book struct {
	seen     []seen
	index    map[string]int       // what a sighting repeats → where it stands
	places   map[netip.Addr][]int // where those from each place stand, in the order in which they came
	count    int                  // of what was new
	overflow bool
	onLink   func(netip.Addr) bool // nil: everywhere
}

// seen is the latest of equal sightings, and what the earlier ones said
// differently.
type seen struct {
	Sighting
	key     string
	when    int // the count at which it came
	earlier []Fact
}

const maxEarlier = 16

// add notes s; false where it says nothing new.
func (b *book) add(s Sighting) bool {
	if b.index == nil {
		b.index, b.places = map[string]int{}, map[netip.Addr][]int{}
	}
	key := s.key()
	i, known := b.index[key]
	if !known && s.Clue && len(b.seen) >= maxSightings/2 {
		return false // a long list of leases is no flood
	}
	if !known {
		i = b.room(s)
		b.count++
		b.index[key] = i
		b.places[b.place(s)] = append(b.places[b.place(s)], i)
		b.seen[i] = seen{Sighting: s, key: key, when: b.count}
		return true
	}
	old := b.seen[i]
	if reflect.DeepEqual(old.Sighting, s) {
		return false
	}
	said := s.facts()
	for _, f := range old.facts() {
		if len(old.earlier) < maxEarlier && !slices.Contains(old.earlier, f) && !slices.Contains(said, f) {
			old.earlier = append(old.earlier, f)
		}
	}
	b.count++
	b.seen[i] = seen{s, key, b.count, old.earlier}
	return true
}

// place is where s came from. All that lies beyond our own networks is one
// place, and so are all link-local IPv6 addresses: a forger has as many of
// those as he likes.
func (b *book) place(s Sighting) netip.Addr {
	switch from := s.From.WithZone(""); {
	case s.Listed:
		return from
	case from.Is6() && from.IsLinkLocalUnicast(), b.onLink != nil && !b.onLink(from):
		return netip.Addr{}
	default:
		return from
	}
}

// room is where a new sighting can stand: behind the others, or in the place of
// one that gives way. That is always the latest of its place: what a device said
// before a flood stays, and what it says after it is the latest itself.
func (b *book) room(s Sighting) int {
	place := b.place(s)
	limit := maxPlace
	if !place.IsValid() {
		limit = maxElsewhere
	}
	full := len(b.places[place]) >= limit
	if !full && len(b.seen) < maxSightings {
		b.seen = append(b.seen, seen{})
		return len(b.seen) - 1
	}
	b.overflow = true
	if !full {
		place = b.fullest()
	}
	there := b.places[place]
	gone := there[len(there)-1]
	b.places[place] = there[:len(there)-1]
	delete(b.index, b.seen[gone].key)
	return gone
}

// fullest is the place with the most sightings of a few that are drawn: every
// place is as likely as it is full.
func (b *book) fullest() netip.Addr {
	const drawn = 16
	var best netip.Addr
	for i := range drawn {
		place := b.place(b.seen[rand.IntN(len(b.seen))].Sighting)
		if i == 0 || len(b.places[place]) > len(b.places[best]) {
			best = place
		}
	}
	return best
}

// key is equal for the same device that says the same way again who it is: what
// it says of its state may have changed meanwhile.
func (s Sighting) key() string {
	return strings.Join(append([]string{s.Source, s.part, s.From.String(), s.Name, s.Vendor, s.Model, s.Serial, s.KeyID}, s.MACs...), "\x00")
}

// maxCandidates bounds how many devices with a mark in common a sighting is
// compared with.
const maxCandidates = 64

// devices groups the sightings, each group a device, in the order of names.
func (b *book) devices() []Device {
	var groups [][]seen
	marked := map[string][]int{} // mark → groups with a sighting that has it
	join := func(i int, s seen) {
		groups[i] = append(groups[i], s)
		for _, m := range s.marks() {
			if g := marked[m]; len(g) < maxCandidates && !slices.Contains(g, i) {
				marked[m] = append(g, i)
			}
		}
	}
	place := func(s seen) {
		var candidates []int
		for _, m := range s.marks() {
			candidates = append(candidates, marked[m]...)
		}
		slices.Sort(candidates)
		for _, i := range slices.Compact(candidates) {
			if belongs(groups[i], s.Sighting) {
				join(i, s)
				return
			}
		}
		groups = append(groups, nil)
		join(len(groups)-1, s)
	}
	for _, listed := range []bool{false, true} { // what a list says comes after what devices say
		for _, s := range b.seen {
			if s.Listed == listed {
				place(s)
			}
		}
	}
	groups = rejoin(groups, marked)
	out := make([]Device, 0, len(groups))
	for _, g := range groups {
		if len(g) > 0 && !g[0].Clue {
			out = append(out, describe(g))
		}
	}
	slices.SortStableFunc(out, func(a, b Device) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), slices.CompareFunc(a.Addresses, b.Addresses, netip.Addr.Compare))
	})
	return out
}

// rejoin joins groups that turned out to be one device: what came first, of one
// place and of the other, had nothing in common yet.
func rejoin(groups [][]seen, marked map[string][]int) [][]seen {
	tried := map[[2]int]bool{}
	for i := range groups {
		for _, s := range groups[i] {
			for _, m := range s.marks() {
				for _, j := range marked[m] {
					if pair := [2]int{i, j}; j > i && !tried[pair] {
						tried[pair] = true
						if len(groups[j]) > 0 && one(groups[i], groups[j]) {
							groups[i] = append(groups[i], groups[j]...)
							groups[j] = nil
						}
					}
				}
			}
		}
	}
	return groups
}

// one reports whether two groups are of one device, as belongs does of a
// sighting.
func one(a, b []seen) bool {
	linked, near := false, false
	for _, x := range a {
		for _, y := range b {
			if contradict(x.Sighting, y.Sighting) {
				return false
			}
			linked = linked || link(x.Sighting, y.Sighting)
			near = near || sharesAddress(x.Sighting, y.Sighting) || twins(x.Sighting, y.Sighting)
		}
	}
	return linked && near
}

// marks are what two sightings of one device have at least one of in common.
func (s Sighting) marks() []string {
	var out []string
	if s.Serial != "" {
		out = append(out, "serial "+strings.ToLower(s.Serial))
	}
	if s.KeyID != "" {
		out = append(out, "key "+strings.ToLower(s.KeyID))
	}
	for _, m := range s.MACs {
		out = append(out, "mac "+m)
	}
	if s.Name != "" {
		for _, a := range union([]netip.Addr{s.From}, s.Addresses) {
			out = append(out, "at "+a.String()+" "+strings.ToLower(s.Name))
		}
	}
	return out
}

// belongs reports whether s is of the same device as g: a mark of identity links
// it to one of g, it contradicts none, and it comes from a place of one of g or
// says what one of g says, word for word. So a forged answer that borrows a
// serial or a MAC makes a device of its own, whichever came first.
func belongs(g []seen, s Sighting) bool {
	linked, near := false, s.Listed // a list may be older than where the device is now
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
		!a.Listed && !b.Listed && differ(a.Name, b.Name) || differ(a.Model, b.Model) || differ(a.Build, b.Build) ||
		// One protocol says 7.2 where another says 7.2.1.
		!strings.HasPrefix(a.Version, b.Version) && !strings.HasPrefix(b.Version, a.Version) ||
		a.told() && b.told() && a.Status != b.Status ||
		ports(a.HTTPPort, b.HTTPPort) || ports(a.HTTPSPort, b.HTTPSPort)
}

// told reports whether the device itself said in which state it is.
func (s Sighting) told() bool { return s.Status != nas.Unknown && !s.Guessed }

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
		if !s.Listed || len(d.Addresses) == 0 {
			d.Addresses = union(d.Addresses, s.Addresses)
		}
		d.FoundBy = union(d.FoundBy, []string{s.Source})
		d.Facts = union(d.Facts, append(s.facts(), s.earlier...))
	}
	slices.SortStableFunc(d.Addresses, func(a, b netip.Addr) int { return cmp.Compare(use(a), use(b)) })
	state, told := nas.Unknown, false
	for _, s := range slices.SortedFunc(slices.Values(g), func(a, b seen) int { return b.when - a.when }) {
		first(&d.Claim, s.Claim)
		if state == nas.Unknown || !told && s.told() {
			state, told = s.Status, s.told()
		}
	}
	d.Status, d.StatusText = state.ID(), state.String()
	return d
}

// use orders addresses by how easily they are used: those of networks before
// those of one link alone.
func use(a netip.Addr) int {
	switch {
	case !a.IsLinkLocalUnicast():
		return 0
	case a.Is4():
		return 1
	}
	return 2
}

// first sets a value that is not set yet.
func first[T comparable](into *T, v T) {
	var none T
	if *into == none {
		*into = v
	}
}

// maxPairs bounds how many look-alikes are told of: a flood has any number.
const maxPairs = 8

// lookAlikes are pairs of devices that share a serial, a MAC or a key id and yet
// cannot be one: one of them may be pretending.
func lookAlikes(devices []Device) [][]string {
	var out [][]string
	holder := map[string]int{}
	paired := map[[2]int]bool{}
	for i, d := range devices {
		for _, m := range (Sighting{Serial: d.Serial, KeyID: d.KeyID, MACs: d.MACs}).marks() {
			j, taken := holder[m]
			if !taken {
				holder[m] = i
				continue
			}
			if pair := [2]int{j, i}; j != i && !paired[pair] && len(out) < maxPairs {
				paired[pair] = true
				out = append(out, []string{devices[j].label(), d.label()})
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
