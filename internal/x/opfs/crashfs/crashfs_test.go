package crashfs_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/opfs/crashfs"
)

func models() []crashfs.Model { return []crashfs.Model{crashfs.Weak, crashfs.Ordered} }

func disk(m crashfs.Model) *crashfs.Disk {
	d := crashfs.New(m)
	d.Put("/d/old", crashfs.File{Data: []byte("old"), Attributes: opfs.Attributes{Mode: 0o600}})
	return d
}

// found is the contents that a file may have after a cut; "none" is no file.
func found(d *crashfs.Disk, path string) []string {
	var all []string
	for c := range d.Cuts(10_000) {
		text := "none"
		if data, err := c.ReadFile(path); err == nil {
			text = string(data)
		}
		if !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	slices.Sort(all)
	return all
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, d *crashfs.Disk, path, content string) opfs.File {
	t.Helper()
	f, err := d.CreateExclusive("create", path, 0o600)
	must(t, err)
	_, err = f.Write("write", []byte(content))
	must(t, err)
	return f
}

func check(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// What is not synced is there or not, short, empty, or of the right length with
// something else in it.
func TestUnsyncedWriteIsAnything(t *testing.T) {
	for _, m := range models() {
		d := disk(m)
		f := create(t, d, "/d/f", "new")
		check(t, m.String()+" unsynced", found(d, "/d/f"), "none", "", "new", "\x00\x00\x00", "\xa5\xa5\xa5")
		must(t, f.Sync("sync"))
		if m == crashfs.Weak {
			check(t, "weak: a name is the directory's", found(d, "/d/f"), "none", "new")
		} else {
			check(t, "ordered: any fsync takes all names along", found(d, "/d/f"), "new")
		}
		must(t, d.SyncDir("syncdir", "/d"))
		check(t, m.String()+" synced", found(d, "/d/f"), "new")
	}
}

// A long write is torn at sectors.
func TestTornAtSectors(t *testing.T) {
	d := disk(crashfs.Weak)
	text := strings.Repeat("x", 2000)
	create(t, d, "/d/f", text)
	must(t, d.SyncDir("syncdir", "/d"))
	lengths := map[int]bool{}
	for _, s := range found(d, "/d/f") {
		lengths[len(s)] = true
		if strings.Contains(s, "\x00x") != strings.Contains(s, "\x00\x00x") {
			t.Error("torn inside a sector")
		}
	}
	for _, n := range []int{0, 512, 1536, 2000} {
		if !lengths[n] {
			t.Errorf("never found with %d bytes: %v", n, lengths)
		}
	}
}

// A rename is one step, and before its directory is synced it may be lost; on
// the weak disk it may overtake the removal before it.
func TestRenameIsLostOrWhole(t *testing.T) {
	for _, m := range models() {
		d := disk(m)
		d.Put("/d/other", crashfs.File{Data: []byte("other")})
		f := create(t, d, "/d/new", "new")
		must(t, f.Sync("sync"), d.SyncDir("syncdir", "/d"))
		must(t, d.Remove("remove", "/d/other"), d.Rename("rename", "/d/new", "/d/old"))
		check(t, m.String(), found(d, "/d/old"), "old", "new")
		overtaken := false
		for c := range d.Cuts(100) {
			_, err1 := c.Lstat("/d/other")
			data, err2 := c.ReadFile("/d/old")
			if err2 != nil {
				t.Error("a rename lost both files")
			}
			overtaken = overtaken || err1 == nil && string(data) == "new"
		}
		if overtaken != (m == crashfs.Weak) {
			t.Errorf("%s: the rename overtook the removal: %t", m, overtaken)
		}
	}
}

// A file renamed before it is synced: the classic empty file.
func TestRenameBeforeSync(t *testing.T) {
	for _, m := range models() {
		d := disk(m)
		create(t, d, "/d/new", "new")
		must(t, d.Rename("rename", "/d/new", "/d/old"), d.SyncDir("syncdir", "/d"))
		if !slices.Contains(found(d, "/d/old"), "") {
			t.Errorf("%s: the renamed file is never empty", m)
		}
	}
}

// Package atomicfile keeps its promise at every point on both disks, and each of
// its fsyncs is needed on the weak one.
func TestReplaceIsAtomic(t *testing.T) {
	for _, m := range models() {
		for _, mutant := range []string{"", "t.sync", "t.syncdir"} {
			d := disk(m)
			d.Ignore(mutant)
			var bad []string
			d.Watch(func(p crashfs.Point) {
				for _, text := range found(d, "/d/old") {
					if text != "old" && text != "new" {
						bad = append(bad, p.String()+": "+text)
					}
				}
			})
			must(t, atomicfile.Replace(d, "t", "/d/old", []byte("new"), atomicfile.Options{}))
			d.Watch(nil)
			after := found(d, "/d/old")
			noticed := len(bad) > 0 || !slices.Equal(after, []string{"new"})
			if mutant == "" && noticed {
				t.Errorf("%s: %v, then %q", m, bad, after)
			}
			if mutant != "" && !noticed {
				t.Errorf("%s: nothing is worse without %s", m, mutant)
			}
		}
	}
}

// After a kill all is there, and what was open is still open.
func TestKilledLosesNothingAndSecuresNothing(t *testing.T) {
	d := disk(crashfs.Weak)
	create(t, d, "/d/f", "new")
	k := d.Killed()
	data, err := k.ReadFile("/d/f")
	if must(t, err); string(data) != "new" {
		t.Errorf("%q", data)
	}
	if got := found(k, "/d/f"); !slices.Contains(got, "none") {
		t.Errorf("a kill has made it durable: %q", got)
	}
	must(t, d.Remove("remove", "/d/f"))
	if _, err := k.Lstat("/d/f"); err != nil {
		t.Error("the copy is not a copy:", err)
	}
}

func TestPointsAreBeforeInsideAndAfter(t *testing.T) {
	d := disk(crashfs.Weak)
	var points []string
	d.Watch(func(p crashfs.Point) {
		data, _ := d.ReadFile("/d/f")
		points = append(points, p.String()+" "+string(data))
	})
	create(t, d, "/d/f", "abcd")
	want := []string{"before create#1 ", "after create#1 ", "before write#1 ", "inside write#1 ab", "after write#1 abcd"}
	if !slices.Equal(points, want) {
		t.Errorf("%q", points)
	}
	must(t, d.SyncDir("x.syncdir", "/d"))
	if got := d.Syncs(); !slices.Equal(got, []string{"x.syncdir"}) {
		t.Errorf("syncs: %q", got)
	}
}

// A sample holds nothing more, everything, and is the same each time.
func TestManyCutsAreSampled(t *testing.T) {
	d := disk(crashfs.Weak)
	for _, name := range strings.Split("abcdefghijklmnop", "") {
		create(t, d, "/d/"+name, name)
	}
	sums := func() (all [][32]byte, most, least int) {
		least = 1000
		for c := range d.Cuts(50) {
			all = append(all, c.Sum())
			entries, _ := c.ReadDir("/d")
			most, least = max(most, len(entries)), min(least, len(entries))
		}
		return all, most, least
	}
	first, most, least := sums()
	if again, _, _ := sums(); !slices.Equal(first, again) {
		t.Error("not the same sample twice")
	}
	if len(first) < 40 || len(first) > 50 || most != 17 || least != 1 {
		t.Errorf("%d disks with %d to %d files", len(first), least, most)
	}
}

func TestLockWaits(t *testing.T) {
	d := disk(crashfs.Weak)
	release, err := d.Lock(t.Context(), "lock", "/d/lock")
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := d.Lock(ctx, "lock", "/d/lock"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a lock that is held: %v", err)
	}
	release()
	if _, err := d.Lock(t.Context(), "lock", "/d/lock"); err != nil {
		t.Error(err)
	}
}

// It fails as a file system does.
func TestErrors(t *testing.T) {
	d := disk(crashfs.Ordered)
	_, missing := d.ReadFile("/none")
	_, exclusive := d.CreateExclusive("c", "/d/old", 0o600)
	_, nowhere := d.CreateExclusive("c", "/none/f", 0o600)
	for name, c := range map[string]struct{ got, want error }{
		"read":   {missing, fs.ErrNotExist},
		"create": {exclusive, fs.ErrExist},
		"in":     {nowhere, fs.ErrNotExist},
		"rename": {d.Rename("r", "/none", "/d/x"), fs.ErrNotExist},
		"remove": {d.Remove("r", "/none"), fs.ErrNotExist},
		"sync":   {d.SyncDir("s", "/none"), fs.ErrNotExist},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: %v, want %v", name, c.got, c.want)
		}
	}
	if d.Remove("r", "/d") == nil || d.MkdirAll("m", "/d/old/x", 0o700) == nil {
		t.Error("a full directory was removed, or one made in a file")
	}
	must(t, d.MkdirAll("m", "/a/b", 0o700))
	if entries, err := d.ReadDir("/a"); err != nil || len(entries) != 1 || !entries[0].IsDir() {
		t.Errorf("%v, %v", entries, err)
	}
}
