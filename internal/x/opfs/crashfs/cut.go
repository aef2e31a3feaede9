package crashfs

import (
	"crypto/sha256"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// sector is what a disk writes in one piece, in bytes.
const sector = 512

// Killed is a copy of the disk as it is after the program alone was killed:
// nothing is lost, but nothing more is safe either. Locks are free.
func (d *Disk) Killed() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.empty()
	c.now, c.safe, c.pending = d.now.clone(), d.safe.clone(), slices.Clone(d.pending)
	return c
}

// Settle makes everything durable, as a sync of the whole system does.
func (d *Disk) Settle() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.safe, d.pending = d.now.clone(), nil
}

// empty is a disk with everything of d but its content.
func (d *Disk) empty() *Disk {
	c := New(d.model)
	c.last, c.ignored = d.last, maps.Clone(d.ignored)
	return c
}

// clone shares the contents, which apply never changes in place.
func (t tree) clone() tree {
	c := make(tree, len(t))
	for id, n := range t {
		m := *n
		m.entries = maps.Clone(n.entries)
		c[id] = &m
	}
	return c
}

// prune forgets the nodes that no directory leads to.
func (t tree) prune() {
	reached := map[int]bool{}
	var reach func(id int)
	reach = func(id int) {
		reached[id] = true
		for _, next := range t[id].entries {
			reach(next)
		}
	}
	reach(root)
	maps.DeleteFunc(t, func(id int, _ *node) bool { return !reached[id] })
}

// Cuts are the disks that may be found if the power is cut now: everything safe,
// and of the rest any part that the model allows. Each is durable as it is, and
// no two are the same. Where there are more than bound, they are a sample that
// holds the telling ones (nothing more, everything, each effect alone or alone
// missing, in every variant) and then any others, the same ones each time.
func (d *Disk) Cuts(bound int) iter.Seq[*Disk] {
	d.mu.Lock()
	base, pending := d.empty(), slices.Clone(d.pending)
	base.safe = d.safe.clone()
	d.mu.Unlock()
	return func(yield func(*Disk) bool) {
		seen := map[[32]byte]bool{}
		for choice := range choices(options(d.model, pending), bound) {
			c := base.empty()
			c.now = base.safe.clone()
			for _, e := range chosen(d.model, pending, choice) {
				c.now.apply(e)
			}
			c.now.prune()
			c.safe = c.now.clone()
			if sum := c.Sum(); !seen[sum] {
				seen[sum] = true
				if !yield(c) || len(seen) == bound {
					return
				}
			}
		}
	}
}

// options is how many ways there are for each thing that is open: in the weak
// model every effect is; in the ordered one how many of the names and attributes
// there are (the first option), and each write.
func options(m Model, pending []effect) []int {
	var all []int
	if m == Ordered {
		all = append(all, 1)
	}
	for _, e := range pending {
		switch {
		case e.write:
			all = append(all, len(variants(e)))
		case m == Ordered:
			all[0]++
		default:
			all = append(all, 2)
		}
	}
	return all
}

// chosen are the effects that a choice lets through.
func chosen(m Model, pending []effect, choice []int) []effect {
	var all []effect
	metadata := len(pending)
	if m == Ordered {
		metadata, choice = choice[0], choice[1:]
	}
	for _, e := range pending {
		switch {
		case e.write:
			all = append(all, variants(e)[choice[0]]...)
			choice = choice[1:]
		case m == Ordered:
			if metadata > 0 {
				all = append(all, e)
			}
			metadata--
		default:
			if choice[0] > 0 {
				all = append(all, e)
			}
			choice = choice[1:]
		}
	}
	return all
}

// variants are the ways in which a write may be found, the first being not at
// all and the last whole: cut short after a sector, its length without its
// content, old bytes of the disk in its place, the first or the last sector
// missing.
func variants(e effect) [][]effect {
	part := func(change func(data []byte) []byte) []effect {
		f := e
		f.data = change(slices.Clone(e.data))
		return []effect{f}
	}
	all := [][]effect{nil}
	n := len(e.data)
	if n == 0 {
		return append(all, []effect{e})
	}
	for _, cut := range []int{sector, (n / 2) / sector * sector, (n - 1) / sector * sector} {
		if cut > 0 && cut < n {
			all = append(all, part(func(b []byte) []byte { return b[:cut] }))
		}
	}
	fill := func(from, to int, with byte) func([]byte) []byte {
		return func(b []byte) []byte {
			for i := from; i < to; i++ {
				b[i] = with
			}
			return b
		}
	}
	all = append(all, part(fill(0, n, 0)), part(fill(0, n, 0xA5)))
	if n > sector {
		all = append(all, part(fill(0, sector, 0)), part(fill((n-1)/sector*sector, n, 0)))
	}
	return append(all, []effect{e})
}

// alike is how many choices are drawn for each disk that is wanted, since many
// choices come to the same: the content of a file whose name is lost, say.
const alike = 3

// choices are all combinations, or a sample where there are more than bound.
func choices(options []int, bound int) iter.Seq[[]int] {
	total := 1
	for _, n := range options {
		if total *= n; total > bound {
			return sample(options, alike*bound)
		}
	}
	return func(yield func([]int) bool) {
		choice := make([]int, len(options))
		for {
			if !yield(slices.Clone(choice)) {
				return
			}
			i := 0
			for ; i < len(choice); i++ {
				if choice[i]++; choice[i] < options[i] {
					break
				}
				choice[i] = 0
			}
			if i == len(choice) {
				return
			}
		}
	}
}

func sample(options []int, bound int) iter.Seq[[]int] {
	none, all := make([]int, len(options)), make([]int, len(options))
	for i, n := range options {
		all[i] = n - 1
	}
	telling := [][]int{none, all}
	for i, n := range options {
		for v := range n {
			for _, base := range [][]int{none, all} {
				c := slices.Clone(base)
				c[i] = v
				telling = append(telling, c)
			}
		}
		telling = append(telling, slices.Concat(all[:i], none[i:]))
	}
	random := rand.New(rand.NewPCG(uint64(len(options)), uint64(bound)))
	if len(telling) > bound {
		random.Shuffle(len(telling)-2, func(i, j int) { telling[i+2], telling[j+2] = telling[j+2], telling[i+2] })
		telling = telling[:bound]
	}
	return func(yield func([]int) bool) {
		for _, c := range telling {
			if !yield(c) {
				return
			}
		}
		for range bound - len(telling) {
			c := make([]int, len(options))
			for i, n := range options {
				c[i] = random.IntN(n)
			}
			if !yield(c) {
				return
			}
		}
	}
}

// Sum names what programs see: two disks with the same sum hold the same files.
func (d *Disk) Sum() (sum [32]byte) {
	h := sha256.New()
	for p, f := range d.Files("/") {
		fmt.Fprintln(h, p, uint32(f.Mode), f.UID, f.GID, len(f.Xattrs), f.Data == nil, len(f.Data))
		for _, name := range slices.Sorted(maps.Keys(f.Xattrs)) {
			fmt.Fprintf(h, "%q %q\n", name, f.Xattrs[name])
		}
		h.Write(f.Data)
	}
	h.Sum(sum[:0])
	return sum
}

// File is a file or, with Data nil, a directory.
type File struct {
	opfs.Attributes
	Data []byte
}

// Files are all files and directories below a directory, in the order of their
// paths.
func (d *Disk) Files(below string) iter.Seq2[string, File] {
	d.mu.Lock()
	t := d.now.clone()
	d.mu.Unlock()
	return func(yield func(string, File) bool) {
		if id, ok := t.find(below); ok {
			t.walk(path.Clean(below), id, yield)
		}
	}
}

func (t tree) walk(at string, id int, yield func(string, File) bool) bool {
	n := t[id]
	f := File{Attributes: n.attr, Data: n.data}
	if n.entries == nil && f.Data == nil {
		f.Data = []byte{}
	}
	if !yield(at, f) {
		return false
	}
	for _, base := range slices.Sorted(maps.Keys(n.entries)) {
		if !t.walk(path.Join(at, base), n.entries[base], yield) {
			return false
		}
	}
	return true
}

// Put makes or replaces a file and the directories above it, all durable at
// once and without a name: what a test finds, not what it does.
func (d *Disk) Put(p string, f File) {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := root
	parts := strings.Split(strings.Trim(path.Clean("/"+p), "/"), "/")
	for i, part := range parts {
		next, exists := d.now[at].entries[part]
		if !exists {
			next = d.make(i < len(parts)-1, 0o755)
		}
		d.now[at].entries[part], d.safe[at].entries[part] = next, next
		at = next
	}
	for _, t := range []tree{d.now, d.safe} {
		t[at].data, t[at].attr = slices.Clone(f.Data), f.Attributes
	}
}

// Wipe removes a file, or everything below a directory, as a restart does with
// /run: at once and for good.
func (d *Disk) Wipe(p string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	id, ok := d.now.find(p)
	if !ok {
		return
	}
	d.pending = slices.DeleteFunc(d.pending, func(e effect) bool { return e.node == id })
	for _, t := range []tree{d.now, d.safe} {
		if t[id].entries != nil {
			t[id].entries = map[string]int{}
			continue
		}
		if dir, ok := t.find(path.Dir(p)); ok {
			delete(t[dir].entries, path.Base(p))
		}
	}
}
