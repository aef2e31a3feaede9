package crashfs

import (
	"crypto/sha256"
	"encoding/binary"
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
	c.now, c.safe, c.pending = slices.Clone(d.now), slices.Clone(d.safe), slices.Clone(d.pending)
	return c
}

// Settle makes everything durable, as a sync of the whole system does.
func (d *Disk) Settle() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.safe, d.pending = slices.Clone(d.now), nil
}

// empty is a disk with everything of d but its content.
func (d *Disk) empty() *Disk {
	c := New(d.model)
	c.ignored = maps.Clone(d.ignored)
	return c
}

// prune forgets the nodes that no directory leads to.
func (t tree) prune() {
	reached := make([]bool, len(t))
	var reach func(id int)
	reach = func(id int) {
		reached[id] = true
		for _, next := range t[id].entries {
			reach(next)
		}
	}
	reach(root)
	for id, is := range reached {
		if !is {
			t[id] = nil
		}
	}
}

// Cuts are the disks that may be found if the power is cut now: everything safe,
// and of the rest any part that the model allows. Each is durable as it is, and
// no two are the same. Where there are more than bound, they are a sample that
// holds the telling ones (nothing more, everything, each effect alone or alone
// missing, in every variant) and then any others, the same ones each time.
func (d *Disk) Cuts(bound int) iter.Seq[*Disk] {
	d.mu.Lock()
	base, pending := d.empty(), slices.Clone(d.pending)
	base.safe = slices.Clone(d.safe)
	d.mu.Unlock()
	return func(yield func(*Disk) bool) {
		seen := map[[32]byte]bool{}
		open := openings(d.model, pending)
		options := make([]int, len(open))
		for i, o := range open {
			options[i] = len(o)
		}
		for choice := range choices(options, bound) {
			now := slices.Clone(base.safe)
			for i, o := range open {
				for _, e := range o[choice[i]] {
					now.apply(e)
				}
			}
			now.prune()
			sum := now.sum()
			if seen[sum] {
				continue
			}
			seen[sum] = true
			c := base.empty()
			c.now, c.safe = now, slices.Clone(now)
			if !yield(c) || len(seen) == bound {
				return
			}
		}
	}
}

// opening is something that is open: the ways in which it may be found, each as
// the effects that have come true.
type opening [][]effect

// openings are all that are: in the weak model each effect is one; in the ordered
// one how many of the names and attributes there are (the first), and each write.
// Writes and the rest do not touch each other, so that their order is nothing.
func openings(m Model, pending []effect) []opening {
	var all []opening
	var metadata []effect
	for _, e := range pending {
		switch {
		case e.write:
			all = append(all, variants(e))
		case m == Ordered:
			metadata = append(metadata, e)
		default:
			all = append(all, opening{nil, {e}})
		}
	}
	if m == Weak {
		return all
	}
	var first opening
	for n := range len(metadata) + 1 {
		first = append(first, metadata[:n])
	}
	return slices.Insert(all, 0, first)
}

// variants are the ways in which a write may be found, the first being not at
// all and the last whole: cut short after a sector, its length without its
// content, old bytes of the disk in its place, the first or the last sector
// missing.
func variants(e effect) opening {
	part := func(change func(data []byte) []byte) []effect {
		f := e
		f.data = change(slices.Clone(e.data))
		return []effect{f}
	}
	all := opening{nil}
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
func (d *Disk) Sum() [32]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now.sum()
}

func (t tree) sum() [32]byte {
	return sha256.Sum256(t.describe(nil, root, map[int]int{}))
}

// State names all that a cut goes by: two disks with the same state have the same
// cuts.
func (d *Disk) State() [32]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	labels := map[int]int{}
	b := d.safe.describe(nil, root, labels)
	for _, e := range d.pending {
		b = d.safe.describe(b, e.node, labels)
		for _, n := range e.names {
			b = d.safe.describe(fmt.Appendf(b, "%q", n.name), n.dir, labels)
			if n.node != 0 {
				b = d.safe.describe(b, n.node, labels)
			}
		}
		if e.attr != nil {
			own := newNode(nil, nil, *e.attr).sum()
			b = append(b, own[:]...)
		}
		b = fmt.Appendf(b, "%t %d %d ", e.write, e.at, len(e.data))
		b = append(b, e.data...)
	}
	return sha256.Sum256(b)
}

// describe appends everything below a node to b, and which node it is by a label
// that depends on nothing but the order.
func (t tree) describe(b []byte, id int, labels map[int]int) []byte {
	label, known := labels[id]
	if known {
		return binary.BigEndian.AppendUint32(append(b, 'k'), uint32(label))
	}
	labels[id] = len(labels)
	own := t[id].sum()
	b = append(append(b, 'n'), own[:]...)
	for _, base := range t[id].names() {
		b = append(binary.BigEndian.AppendUint32(append(b, 'e'), uint32(len(base))), base...)
		b = t.describe(b, t[id].entries[base], labels)
	}
	return append(b, '.')
}

// digest is the sum of a node alone.
func (n *node) digest() (sum [32]byte) {
	h := sha256.New()
	fmt.Fprintln(h, uint32(n.attr.Mode), n.attr.UID, n.attr.GID, len(n.attr.Xattrs), n.entries != nil)
	for _, name := range slices.Sorted(maps.Keys(n.attr.Xattrs)) {
		fmt.Fprintf(h, "%q %q\n", name, n.attr.Xattrs[name])
	}
	h.Write(n.data)
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
	t := slices.Clone(d.now)
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
	for _, base := range n.names() {
		if !t.walk(strings.TrimSuffix(at, "/")+"/"+base, n.entries[base], yield) {
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
		for _, t := range []tree{d.now, d.safe} {
			t.enter(name{at, part, next})
		}
		at = next
	}
	d.now[at] = newNode(nil, slices.Clone(f.Data), f.Attributes)
	d.safe[at] = d.now[at]
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
			t[id] = newNode(map[string]int{}, nil, t[id].attr)
		} else if dir, ok := t.find(path.Dir(p)); ok {
			t.enter(name{dir: dir, name: path.Base(p)})
		}
	}
}
