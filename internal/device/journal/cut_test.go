package journal_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/journal"
	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/opfs/crashfs"
)

// idle is a participant with nothing to do.
type idle struct{}

func (idle) ID() string                                 { return "idle" }
func (idle) Persist(context.Context, reset.Step) error  { return nil }
func (idle) Activate(context.Context, reset.Step) error { return nil }
func (idle) Verify(context.Context, reset.Step) error   { return nil }
func (idle) Undo(context.Context, reset.Step) error     { return nil }

// The process is killed as it ends one transaction, so that the removal of its
// marker is not durable, and the power is cut as the next one is accepted. The
// old marker may come back then, and must not stand beside the new record.
func TestOldMarkerDoesNotComeBackBesideANewRecord(t *testing.T) {
	record := func(id string) journal.Record {
		return journal.Record{ID: id, PlanHash: "00", Steps: []reset.Step{{Name: "step", Adapter: "idle"}}}
	}
	const dir = "/var/lib/paperclip"
	d := crashfs.New(crashfs.Weak)
	d.Put(dir+"/identity.key", crashfs.File{Attributes: opfs.Attributes{Mode: 0o600}})
	var killed *crashfs.Disk
	d.Watch(func(p crashfs.Point) {
		if p.Op == "journal.committed.open.remove" && p.At == crashfs.After {
			killed = d.Killed()
		}
	})
	j, first := journal.New(d, dir), record("first")
	if err := j.Accept(first); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Run(t.Context(), &first, []journal.Participant{idle{}}, nil); err != nil {
		t.Fatal(err)
	}
	tried := 0
	var failed error
	killed.Watch(func(p crashfs.Point) {
		for c := range killed.Cuts(200) {
			tried++
			if _, err := journal.New(c, dir).Open(); err != nil && failed == nil {
				failed = errors.Join(errors.New(p.String()), err)
			}
		}
	})
	if err := journal.New(killed, dir).Accept(record("second")); err != nil {
		t.Fatal(err)
	}
	killed.Watch(nil)
	if failed != nil {
		t.Error(failed)
	}
	if tried < 50 {
		t.Errorf("only %d disks were tried", tried)
	}
}

// The power is cut at any point of a record on trial, and again at any point of
// the start after it, which takes the record back: its two copies must never be
// of one generation and differ, as a copy is repaired that says why.
func TestTwoCutsOfATrial(t *testing.T) {
	const dir = "/var/lib/paperclip"
	at := func(d *crashfs.Disk, start string) *journal.Journal {
		j := journal.New(d, dir)
		j.Boot = &boot{start: start}
		return j
	}
	d := crashfs.New(crashfs.Weak)
	d.Put(dir+"/identity.key", crashfs.File{Attributes: opfs.Attributes{Mode: 0o600}})
	j, first := at(d, "first"), journal.Record{ID: "first", PlanHash: "00", Steps: []reset.Step{{Name: "step", Adapter: "idle"}}}
	if err := j.Accept(first); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Run(t.Context(), &first, []journal.Participant{idle{}}, nil); err != nil {
		t.Fatal(err)
	}
	tried, before := 0, map[[32]byte]bool{} // a disk is recovered once
	var failed error
	again := func(c *crashfs.Disk) {
		c.Watch(func(p crashfs.Point) {
			if p.At != crashfs.After || failed != nil {
				return
			}
			for c := range c.Cuts(3) {
				tried++
				sum := c.Sum()
				if before[sum] {
					continue
				}
				before[sum] = true
				if err := at(c, "third").RecoverFiles(t.Context(), []journal.Participant{idle{}}); err != nil && failed == nil {
					failed = errors.Join(errors.New(p.String()), err)
				}
			}
		})
		if err := at(c, "second").RecoverFiles(t.Context(), []journal.Participant{idle{}}); err != nil && failed == nil {
			failed = err
		}
	}
	d.Watch(func(p crashfs.Point) {
		if p.At != crashfs.After || !strings.Contains(p.Op, ".b.") { // one copy is written, the other perhaps
			return
		}
		for c := range d.Cuts(6) {
			again(c)
		}
	})
	trial := journal.Record{ID: "trial", PlanHash: "00", Steps: first.Steps, Trial: &journal.Trial{For: time.Minute, Start: "first"}}
	if err := j.Accept(trial); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Run(t.Context(), &trial, []journal.Participant{idle{}}, nil); err != nil || trial.State != journal.OnTrial {
		t.Fatal(trial.State, err)
	}
	if err := j.Decide(&trial, false, "taken back"); err != nil {
		t.Fatal(err)
	}
	d.Watch(nil)
	if failed != nil {
		t.Error(failed)
	}
	if tried < 1000 {
		t.Errorf("only %d disks were tried", tried)
	}
	t.Log(tried, "disks,", len(before), "different ones")
}

// witness looks, at every step that is carried out, whether a power cut now could
// leave another state in the journal than the one that is acted on.
type witness struct {
	disk   *crashfs.Disk
	dir    string
	verify error // what Verify says
	looked int
	failed error
}

func (*witness) ID() string { return "witness" }

func (w *witness) look() {
	acting, err := journal.New(w.disk, w.dir).Open()
	if err != nil || acting == nil {
		w.failed = errors.Join(w.failed, fmt.Errorf("it acts on %v (%v)", acting, err))
		return
	}
	for c := range w.disk.Cuts(50) {
		w.looked++
		left, err := journal.New(c, w.dir).Open()
		if (err != nil || left == nil || left.State != acting.State) && w.failed == nil {
			w.failed = fmt.Errorf("it acts on %q, and a power cut leaves %+v (%v)", acting.State, left, err)
		}
	}
}

func (w *witness) Persist(context.Context, reset.Step) error  { w.look(); return nil }
func (w *witness) Activate(context.Context, reset.Step) error { w.look(); return nil }
func (w *witness) Verify(context.Context, reset.Step) error   { w.look(); return w.verify }
func (w *witness) Undo(context.Context, reset.Step) error     { w.look(); return nil }

// The process is killed at any point of a record that goes forward or back, and
// another one goes on: in no step before the state that it acts on is durable. A
// journal that said "persisted" again after half of it was undone would open the
// doors on a mixture.
func TestNoStepInAStateThatAPowerCutTakesBack(t *testing.T) {
	const dir = "/var/lib/paperclip"
	for _, verify := range []error{nil, setting.ErrPermanent} {
		d := crashfs.New(crashfs.Weak)
		d.Put(dir+"/identity.key", crashfs.File{Attributes: opfs.Attributes{Mode: 0o600}})
		looked := 0
		goOn := func(at string, d *crashfs.Disk) {
			w := &witness{disk: d, dir: dir, verify: verify}
			r, err := journal.New(d, dir).Open()
			if err != nil || r == nil {
				return // before the acceptance, or after the end
			}
			if err := journal.New(d, dir).RecoverFiles(t.Context(), []journal.Participant{w}); err != nil {
				t.Errorf("%s: %v", at, err)
			}
			if r, err = journal.New(d, dir).Open(); err == nil && r != nil {
				_, err = journal.New(d, dir).Run(t.Context(), r, []journal.Participant{w}, nil)
			}
			if err = errors.Join(err, w.failed); err != nil {
				t.Errorf("killed %s: %v", at, err)
			}
			looked += w.looked
		}
		d.Watch(func(p crashfs.Point) { goOn(p.String(), d.Killed()) })
		j, r := journal.New(d, dir), journal.Record{ID: "first", PlanHash: "00", Steps: []reset.Step{{Name: "step", Adapter: "witness"}}}
		if err := j.Accept(r); err != nil {
			t.Fatal(err)
		}
		quiet := &witness{disk: d, dir: dir, verify: verify}
		if _, err := j.Run(t.Context(), &r, []journal.Participant{quiet}, nil); err != nil {
			t.Fatal(err)
		}
		d.Watch(nil)
		if looked < 200 {
			t.Errorf("only %d disks were looked at", looked)
		}
		t.Log(looked, "disks")
	}
}
