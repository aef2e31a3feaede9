// Package crash cuts the power of a device at every point of a reset: before,
// in the middle of and after every named operation on disk and every external
// command, from the first start through press, code, plan and acceptance to the
// receipt; and so of restores with every end of their trial, of administrators'
// changes of accounts, and of resets that need a second proof or a wait. The
// disk (package crashfs) then holds any part of what was not synced. The device
// is started again, and the oracle looks: all old or all new (promise 1), no
// door open, a way in for an administrator (X24), counters, proofs and identity
// as they were told, receipts whole and chained, and a further start changes
// nothing.
//
// It uses no real disk and no real power: test/vm does that, at random.
package crash

import (
	"flag"
	"math"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs/crashfs"
)

var (
	full   = flag.Bool("crash.full", false, "try everything, not a sample (minutes)")
	sample = flag.Bool("crash.sample", false, "try a larger sample (a minute without the race detector)")
)

// scenarios are every scope and a hard reset, forwards and back, on both kinds
// of NAS and disk, and every end of a restore; in the sample some of them, in the
// short run a few, with the race detector those of a Debian NAS.
func scenarios() []scenario {
	if !*full {
		few := []scenario{
			{kind: linux(), model: crashfs.Weak, acts: resets(reset.Credentials), ending: forward},
			{kind: linux(), model: crashfs.Ordered, acts: resets(reset.Network), ending: verify},
			{kind: virtual(), model: crashfs.Ordered, acts: resets(reset.Credentials), ending: forward},
			{kind: virtual(), model: crashfs.Weak, acts: resets(reset.Network), ending: persist},
		}
		switch { // with the race detector each costs eight times as much
		case *sample:
		case raceDetector:
			return few[:2]
		default:
			return few
		}
		return append(few, []scenario{
			{kind: ifupdowns(), model: crashfs.Weak, acts: resets(reset.Network), ending: verify},
			{kind: managers(), model: crashfs.Weak, acts: resets(reset.Network), ending: forward},
			{kind: taking(linux()), model: crashfs.Ordered, acts: resets(hardAnew), ending: forward},
			restores(keeping(), crashfs.Weak)[0],    // confirmed, of a snapshot
			restores(virtual(), crashfs.Ordered)[3], // taken back, of the bundle
			restores(keeping(), crashfs.Ordered)[7], // restarted, of the bundle
			accounts(linux(), crashfs.Weak)[0],
			accounts(virtual(), crashfs.Ordered)[1],
			proofsAndWaits(linux(), crashfs.Weak)[0],
			proofsAndWaits(virtual(), crashfs.Weak)[1],
		}...)
	}
	var all []scenario
	for _, k := range []kind{linux(), virtual()} {
		for _, m := range []crashfs.Model{crashfs.Weak, crashfs.Ordered} {
			for _, scope := range []reset.Scope{reset.Credentials, reset.Network, reset.All} {
				all = append(all, scenario{kind: k, model: m, acts: resets(scope), ending: forward})
			}
			all = append(all,
				scenario{kind: k, model: m, acts: resets(reset.Network, reset.Credentials), ending: forward},
				scenario{kind: k, model: m, acts: resets(hard), ending: forward},
				scenario{kind: taking(k), model: m, acts: resets(hardAnew), ending: forward},
				scenario{kind: taking(k), model: m, acts: resets(hardAnew), ending: verify}, // a hard one goes back as this one does
				scenario{kind: k, model: m, acts: resets(reset.All), ending: verify},
				scenario{kind: k, model: m, acts: resets(reset.All), ending: persist},
			)
		}
	}
	for _, k := range []kind{linux(), virtual()} {
		for _, m := range []crashfs.Model{crashfs.Weak, crashfs.Ordered} {
			all = slices.Concat(all, accounts(k, m), proofsAndWaits(k, m))
		}
	}
	for _, k := range []kind{keeping(), virtual()} {
		all = append(all, restores(k, crashfs.Weak)...)
		ordered := restores(k, crashfs.Ordered)
		all = append(all, ordered[1], ordered[7]) // of the bundle: confirmed, and restarted
	}
	for _, k := range []kind{ifupdowns(), managers()} {
		for _, m := range []crashfs.Model{crashfs.Weak, crashfs.Ordered} {
			for _, e := range []ending{forward, verify, persist} {
				all = append(all, scenario{kind: k, model: m, acts: resets(reset.Network), ending: e})
			}
		}
	}
	return all
}

// TestMain lets the collector wait: the disks share nearly everything.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

func TestEveryCrashPoint(t *testing.T) {
	e := effort{first: 1, damage: 8, ways: 1, second: 1}
	switch {
	case *full:
		e = effort{first: 12, damage: 6, ways: math.MaxInt, second: 4}
	case *sample:
		e = effort{first: 6, damage: 8, ways: 8, second: 3}
	}
	var mu sync.Mutex
	var sum tally
	failures := 0
	t.Run("scenarios", func(t *testing.T) {
		for _, s := range scenarios() {
			t.Run(s.String(), func(t *testing.T) {
				t.Parallel()
				c, err := inFakeTime(t, s, e)
				mu.Lock()
				defer mu.Unlock()
				sum.add(c)
				t.Logf("%s: %s", s, c)
				if err != nil {
					failures++
					t.Error(err)
				}
			})
		}
	})
	t.Logf("tried: %s; failures: %d", sum, failures)
	if sum.points < 1000 || sum.olds == 0 || sum.news == 0 {
		t.Error("too little was tried: this test could not fail")
	}
}

// Core alone is killed while it ends one reset, and the power is cut in the next
// one: what the first left unsynced is still open then.
func TestKilledThenCutInTheNextReset(t *testing.T) {
	s := scenario{kind: virtual(), model: crashfs.Weak, acts: resets(reset.Network), ending: forward}
	e := effort{first: 2}
	switch {
	case *full:
		e.first = 24
	case *sample:
		e.first = 6
	}
	synctest.Test(t, func(t *testing.T) {
		first := record(t, s)
		var sum tally
		for _, m := range first.moments {
			final := strings.HasPrefix(m.at.Op, "journal.committed.") || strings.HasPrefix(m.at.Op, "receipt.")
			if !final || m.at.At != crashfs.After || !*full && !strings.Contains(m.at.Op, ".open.") {
				continue
			}
			next := &run{scenario: s, looks: first.looks[:2]}
			next.acts = resets(reset.Credentials)
			next.carryOut(t, m.disk.Killed(), m.told)
			c, err := next.crash(t.Context(), e)
			sum.add(c)
			if err != nil {
				t.Fatalf("killed %s: %v", m.at, err)
			}
		}
		t.Log("tried: ", sum)
		if sum.cuts == 0 {
			t.Error("nothing was tried")
		}
	})
}
