package journal_test

import (
	"context"
	"errors"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/journal"
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
