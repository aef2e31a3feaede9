package journal_test

import (
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/paperclip-nas/paperclip/internal/device/journal"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// What was activated may take half a minute to stand, as a bond does on a slow
// NAS: only then it counts as one that does not.
func TestWhatTakesAMomentToStand(t *testing.T) {
	for name, want := range map[string]struct {
		failing int
		state   journal.State
	}{"in time": {25, journal.Committed}, "too late": {35, journal.Undone}} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			synctest.Test(t, func(t *testing.T) {
				c := b.cell(nil)
				c.flaky = map[journal.Action]int{journal.Verify: want.failing}
				j := journal.New(opfs.OS(nil), filepath.Join(b.dir, "state"))
				if err := j.Accept(b.rec); err != nil {
					t.Fatal(err)
				}
				r, err := j.Open()
				if err != nil {
					t.Fatal(err)
				}
				res, err := j.Run(t.Context(), r, []journal.Participant{c}, nil)
				if err != nil || res.State != want.state {
					t.Errorf("%+v, %v", res, err)
				}
			})
		})
	}
}
