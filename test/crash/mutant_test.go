package crash

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs/crashfs"
)

// needless are the fsyncs that could be left out one at a time without anybody
// being worse off, and why they are there all the same.
func needless() map[string]string {
	return map[string]string{}
}

// A program that forgets one fsync is found out: for every one that a reset
// does, forwards and back, but those that are explained above.
func TestEveryFsyncIsNeeded(t *testing.T) {
	if !*full {
		t.Skip("minutes: with -crash.full")
	}
	e := effort{first: 32, damage: 1, again: 50, second: 8}
	base := []scenario{
		{kind: linux(), scopes: []reset.Scope{reset.All}, ending: forward},
		{kind: linux(), scopes: []reset.Scope{reset.All}, ending: verify},
		{kind: linux(), scopes: []reset.Scope{reset.Network, reset.Credentials}, ending: forward},
	}
	tried := map[string]bool{}
	for _, s := range base {
		var syncs []string
		synctest.Test(t, func(t *testing.T) { syncs = record(t, s).syncs })
		for _, op := range syncs {
			if tried[op] {
				continue
			}
			tried[op] = true
			t.Run(op, func(t *testing.T) {
				noticed := ""
				for _, s := range base {
					s.mutant = op
					c, err := inFakeTime(t, s, e)
					if err != nil {
						noticed = err.Error()
						t.Logf("noticed after %d recoveries: %.300s", c.recoveries, noticed)
						break
					}
				}
				why, known := needless()[op]
				switch {
				case noticed == "" && !known:
					t.Error("nothing is worse without it")
				case noticed != "" && known:
					t.Errorf("it is needed, against what is said: %s", why)
				}
			})
		}
	}
	for op := range needless() {
		if !tried[op] {
			t.Errorf("no run has an fsync %s", op)
		}
	}
	_ = slices.Sorted[string]
	_ = crashfs.Weak
}
