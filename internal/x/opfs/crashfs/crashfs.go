// Package crashfs is a file system in memory that forgets, at a power cut, what
// no fsync has made durable: the tests' worst disk. It knows for every file and
// every directory what a running program sees and what is safe, and lists the
// file systems that may be found after a cut ([Disk.Cuts]), or after the
// program alone was killed ([Disk.Killed]).
//
// Two models. [Weak] promises no more than POSIX: everything since the last
// fsync of that very file or directory may or may not have reached the disk, in
// any combination, and a write may be torn at any sector. [Ordered] is ext4 with
// data=ordered: names and attributes reach the disk in their order and all of
// them with any fsync, but file contents lag behind.
//
// A rename is one step in both. The package never touches a real disk, and never
// makes durable what was not synced: a program that passes here has asked for
// every guarantee that it relies on.
package crashfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// Model is what the disk promises.
type Model int

// The models.
const (
	Weak Model = iota
	Ordered
)

// String is "weak" or "ordered".
func (m Model) String() string { return [...]string{"weak", "ordered"}[m] }

// Moment is where in an operation something happens.
type Moment int

// The moments. Inside is in the middle of a write.
const (
	Before Moment = iota
	Inside
	After
)

// String is "before", "inside" or "after".
func (m Moment) String() string { return [...]string{"before", "inside", "after"}[m] }

// Point is one moment of the nth time (from 1) that the operation op is done.
type Point struct {
	Op  string
	Nth int
	At  Moment
}

// String is like "before shadow.persist.rename#1".
func (p Point) String() string { return fmt.Sprintf("%s %s#%d", p.At, p.Op, p.Nth) }

// Disk is a file system. It is safe for concurrent use, but a Point belongs to
// one operation at a time.
type Disk struct {
	model Model

	mu      sync.Mutex
	now     tree     // what programs see
	safe    tree     // what survives for certain
	pending []effect // what leads from safe to now, in order
	locks   map[string]chan struct{}
	begun   map[string]int
	watch   func(Point)
	ignored map[string]bool
	synced  map[string]bool // the names of all syncs so far
}

// tree is all nodes, by number; the root is node 1. A node that no directory
// leads to is a file that was removed, or never named durably.
type tree []*node

// node is never changed once a tree has it, so that copies of a disk share it.
type node struct {
	entries map[string]int // nil for a file
	data    []byte
	attr    opfs.Attributes

	names func() []string // of the entries, in order
	sum   func() [32]byte // of all but the entries
}

func newNode(entries map[string]int, data []byte, attr opfs.Attributes) *node {
	n := &node{entries: entries, data: data, attr: attr}
	n.names = sync.OnceValue(func() []string { return slices.Sorted(maps.Keys(n.entries)) })
	n.sum = sync.OnceValue(n.digest)
	return n
}

const root = 1

// effect is one step from safe to now.
type effect struct {
	node  int // the file written, or the directory changed
	names []name
	attr  *opfs.Attributes
	at    int
	data  []byte
	write bool
}

// name is an entry of a directory: what it leads to from now on, 0 for nothing.
type name struct {
	dir  int
	name string
	node int
}

// metadata reports whether it is names or attributes that change.
func (e effect) metadata() bool { return !e.write }

// New is an empty file system.
func New(m Model) *Disk {
	top := newNode(map[string]int{}, nil, opfs.Attributes{Mode: 0o755})
	return &Disk{
		model: m, now: tree{root: top}, safe: tree{root: top},
		locks: map[string]chan struct{}{}, begun: map[string]int{}, ignored: map[string]bool{}, synced: map[string]bool{},
	}
}

var _ opfs.FS = (*Disk)(nil)

// Watch has f called at every point of every operation; nil ends that. f may
// use the disk, but not change it.
func (d *Disk) Watch(f func(Point)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watch, d.begun = f, map[string]int{}
}

// Ignore makes every Sync and SyncDir of that name do nothing: a program that
// forgot one fsync. Copies of the disk ignore it too.
func (d *Disk) Ignore(op string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ignored[op] = true
}

// Syncs are the names of the Sync and SyncDir operations so far, in order of the
// alphabet: what can be ignored.
func (d *Disk) Syncs() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.synced))
}

// Around runs do as the operation op: for effects that are not of this file
// system, as external commands are.
func (d *Disk) Around(op string, do func() error) error {
	nth := d.begin(op)
	if err := do(); err != nil {
		return err
	}
	d.tell(Point{op, nth, After})
	return nil
}

func (d *Disk) begin(op string) (nth int) {
	d.mu.Lock()
	d.begun[op]++
	nth = d.begun[op]
	d.mu.Unlock()
	d.tell(Point{op, nth, Before})
	return nth
}

func (d *Disk) tell(p Point) {
	d.mu.Lock()
	f := d.watch
	d.mu.Unlock()
	if f != nil {
		f(p)
	}
}

// do is Around with the disk locked.
func (d *Disk) do(op string, f func() error) error {
	return d.Around(op, func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		return f()
	})
}

// change applies an effect to what programs see, and keeps it as pending.
func (d *Disk) change(e effect) {
	d.now.apply(e)
	d.pending = append(d.pending, e)
}

func (t tree) apply(e effect) {
	switch n := t[e.node]; {
	case e.write:
		data := make([]byte, max(len(n.data), e.at+len(e.data)))
		copy(data, n.data)
		copy(data[e.at:], e.data)
		t[e.node] = newNode(nil, data, n.attr)
	case e.attr != nil:
		t[e.node] = newNode(n.entries, n.data, *e.attr)
	}
	for _, c := range e.names {
		t.enter(c)
	}
}

// enter changes one entry of a directory.
func (t tree) enter(c name) {
	dir := t[c.dir]
	entries := maps.Clone(dir.entries)
	if c.node == 0 {
		delete(entries, c.name)
	} else {
		entries[c.name] = c.node
	}
	t[c.dir] = newNode(entries, nil, dir.attr)
}

// settle makes all pending effects durable that fit.
func (d *Disk) settle(fits func(effect) bool) {
	var rest []effect
	for _, e := range d.pending {
		if fits(e) {
			d.safe.apply(e)
		} else {
			rest = append(rest, e)
		}
	}
	d.pending = rest
}

func (d *Disk) sync(op string, id int) {
	d.synced[op] = true
	if d.ignored[op] {
		return
	}
	d.settle(func(e effect) bool {
		if e.node == id || slices.ContainsFunc(e.names, func(n name) bool { return n.dir == id }) {
			return true
		}
		return d.model == Ordered && e.metadata()
	})
}

// find follows a path.
func (t tree) find(p string) (id int, ok bool) {
	id = root
	for part := range strings.SplitSeq(strings.Trim(path.Clean("/"+p), "/"), "/") {
		if part == "" {
			continue
		}
		if id, ok = t[id].entries[part]; !ok {
			return 0, false
		}
	}
	return id, true
}

func (d *Disk) lookUp(op, p string) (int, *node, error) {
	id, ok := d.now.find(p)
	if !ok {
		return 0, nil, &fs.PathError{Op: op, Path: p, Err: fs.ErrNotExist}
	}
	return id, d.now[id], nil
}

// parent is the directory that a path is in.
func (d *Disk) parent(op, p string) (dir int, base string, err error) {
	dir, n, err := d.lookUp(op, path.Dir(path.Clean(p)))
	if err == nil && n.entries == nil {
		err = &fs.PathError{Op: op, Path: p, Err: errors.New("not a directory")}
	}
	return dir, path.Base(p), err
}

// make adds a node to both trees; only a name makes it reachable.
func (d *Disk) make(dir bool, mode fs.FileMode) int {
	var entries map[string]int
	if dir {
		entries = map[string]int{}
	}
	n := newNode(entries, nil, opfs.Attributes{Mode: mode})
	d.now, d.safe = append(d.now, n), append(d.safe, n)
	return len(d.now) - 1
}

// ReadFile implements opfs.FS.
func (d *Disk) ReadFile(p string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, n, err := d.lookUp("open", p)
	if err != nil {
		return nil, err
	}
	if n.entries != nil {
		return nil, &fs.PathError{Op: "read", Path: p, Err: errors.New("is a directory")}
	}
	return slices.Clone(n.data), nil
}

// Lstat implements opfs.FS. There are no symbolic links here.
func (d *Disk) Lstat(p string) (fs.FileInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, n, err := d.lookUp("stat", p)
	if err != nil {
		return nil, err
	}
	return n.info(path.Base(p)), nil
}

// Stat implements opfs.FS.
func (d *Disk) Stat(p string) (fs.FileInfo, error) { return d.Lstat(p) }

// ReadDir implements opfs.FS.
func (d *Disk) ReadDir(p string) ([]fs.DirEntry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, n, err := d.lookUp("open", p)
	if err != nil {
		return nil, err
	}
	var all []fs.DirEntry
	for _, base := range n.names() {
		all = append(all, fs.FileInfoToDirEntry(d.now[n.entries[base]].info(base)))
	}
	return all, nil
}

// Attributes implements opfs.FS.
func (d *Disk) Attributes(p string) (opfs.Attributes, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, n, err := d.lookUp("stat", p)
	if err != nil {
		return opfs.Attributes{}, err
	}
	a := n.attr
	a.Xattrs = maps.Clone(a.Xattrs)
	return a, nil
}

// CreateExclusive implements opfs.FS.
func (d *Disk) CreateExclusive(op, p string, perm fs.FileMode) (opfs.File, error) {
	f := &file{disk: d}
	return f, d.do(op, func() error {
		dir, base, err := d.parent("create", p)
		if err != nil {
			return err
		}
		if _, exists := d.now[dir].entries[base]; exists {
			return &fs.PathError{Op: "create", Path: p, Err: fs.ErrExist}
		}
		f.node = d.make(false, perm)
		d.change(effect{node: dir, names: []name{{dir, base, f.node}}})
		return nil
	})
}

// Rename implements opfs.FS.
func (d *Disk) Rename(op, from, to string) error {
	return d.do(op, func() error {
		id, _, err := d.lookUp("rename", from)
		if err != nil {
			return err
		}
		dir1, base1, err1 := d.parent("rename", from)
		dir2, base2, err2 := d.parent("rename", to)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		d.change(effect{node: dir2, names: []name{{dir1, base1, 0}, {dir2, base2, id}}})
		return nil
	})
}

// Remove implements opfs.FS.
func (d *Disk) Remove(op, p string) error {
	return d.do(op, func() error {
		_, n, err := d.lookUp("remove", p)
		if err != nil {
			return err
		}
		if len(n.entries) > 0 {
			return &fs.PathError{Op: "remove", Path: p, Err: errors.New("directory not empty")}
		}
		dir, base, err := d.parent("remove", p)
		if err == nil {
			d.change(effect{node: dir, names: []name{{dir, base, 0}}})
		}
		return err
	})
}

// MkdirAll implements opfs.FS: each directory is an effect of its own.
func (d *Disk) MkdirAll(op, p string, perm fs.FileMode) error {
	return d.do(op, func() error {
		at := root
		for part := range strings.SplitSeq(strings.Trim(path.Clean("/"+p), "/"), "/") {
			next, exists := d.now[at].entries[part]
			if !exists {
				next = d.make(true, perm)
				d.change(effect{node: at, names: []name{{at, part, next}}})
			}
			if d.now[next].entries == nil {
				return &fs.PathError{Op: "mkdir", Path: p, Err: errors.New("not a directory")}
			}
			at = next
		}
		return nil
	})
}

// Chown implements opfs.FS.
func (d *Disk) Chown(op, p string, uid, gid int) error {
	return d.do(op, func() error {
		id, n, err := d.lookUp("chown", p)
		if err == nil {
			attr := n.attr
			attr.UID, attr.GID = uid, gid
			d.change(effect{node: id, attr: &attr})
		}
		return err
	})
}

// SyncDir implements opfs.FS.
func (d *Disk) SyncDir(op, p string) error {
	return d.do(op, func() error {
		id, _, err := d.lookUp("sync", p)
		if err == nil {
			d.sync(op, id)
		}
		return err
	})
}

// Lock implements opfs.FS.
func (d *Disk) Lock(ctx context.Context, op, p string) (release func(), err error) {
	err = d.Around(op, func() error {
		for {
			d.mu.Lock()
			held, taken := d.locks[p]
			if !taken {
				mine := make(chan struct{})
				d.locks[p] = mine
				release = sync.OnceFunc(func() {
					d.mu.Lock()
					defer d.mu.Unlock()
					delete(d.locks, p)
					close(mine)
				})
				if _, exists := d.now.find(p); !exists {
					if dir, base, err := d.parent("lock", p); err == nil {
						d.change(effect{node: dir, names: []name{{dir, base, d.make(false, 0o600)}}})
					}
				}
				d.mu.Unlock()
				return nil
			}
			d.mu.Unlock()
			select {
			case <-held:
			case <-ctx.Done():
				return fmt.Errorf("%s is locked by another program: %w", p, ctx.Err())
			}
		}
	})
	return release, err
}

// file is a new file being written.
type file struct {
	disk *Disk
	node int
	at   int
}

// Write is half done at the moment Inside.
func (f *file) Write(op string, p []byte) (int, error) {
	d := f.disk
	nth := d.begin(op)
	half := len(p) / 2
	d.mu.Lock()
	e := effect{node: f.node, write: true, at: f.at, data: slices.Clone(p[:half])}
	d.change(e)
	d.mu.Unlock()
	d.tell(Point{op, nth, Inside})
	d.mu.Lock()
	e.data = slices.Clone(p)
	d.now.apply(e)
	d.pending[len(d.pending)-1] = e
	d.mu.Unlock()
	f.at += len(p)
	d.tell(Point{op, nth, After})
	return len(p), nil
}

func (f *file) Sync(op string) error {
	return f.disk.do(op, func() error { f.disk.sync(op, f.node); return nil })
}

func (f *file) attribute(op string, change func(*opfs.Attributes)) error {
	return f.disk.do(op, func() error {
		a := f.disk.now[f.node].attr
		a.Xattrs = maps.Clone(a.Xattrs)
		change(&a)
		f.disk.change(effect{node: f.node, attr: &a})
		return nil
	})
}

func (f *file) Chown(op string, uid, gid int) error {
	return f.attribute(op, func(a *opfs.Attributes) { a.UID, a.GID = uid, gid })
}

func (f *file) Chmod(op string, mode fs.FileMode) error {
	return f.attribute(op, func(a *opfs.Attributes) { a.Mode = mode })
}

func (f *file) SetXattr(op, name string, value []byte) error {
	return f.attribute(op, func(a *opfs.Attributes) {
		if a.Xattrs == nil {
			a.Xattrs = map[string][]byte{}
		}
		a.Xattrs[name] = slices.Clone(value)
	})
}

func (f *file) Close() error { return nil }

// info is what Lstat says of a node.
type info struct {
	name string
	n    *node
	mode fs.FileMode
	size int64
}

func (n *node) info(name string) fs.FileInfo {
	i := info{name: name, n: n, mode: n.attr.Mode, size: int64(len(n.data))}
	if n.entries != nil {
		i.mode |= fs.ModeDir
	}
	return i
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.mode.IsDir() }
func (i info) Sys() any           { return nil }
