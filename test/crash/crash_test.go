// Package crash cuts the power of a device at every point of a reset: before,
// in the middle of and after every named operation on disk and every external
// command, from the first start through press, code, plan and acceptance to the
// receipt. The disk (package crashfs) then holds any part of what was not
// synced. The device is started again, and the oracle looks: all old or all new
// (promise 1), no door open, counters and identity as they were told, receipts
// whole and chained, and a further start changes nothing.
//
// It uses no real disk and no real power: test/vm does that, at random.
package crash

import (
	"flag"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs/crashfs"
)

var full = flag.Bool("crash.full", false, "try everything, not a sample (minutes)")

func scenarios() []scenario {
	var all []scenario
	for _, k := range []kind{linux(), virtual()} {
		for _, m := range []crashfs.Model{crashfs.Weak, crashfs.Ordered} {
			for _, scope := range []reset.Scope{reset.Credentials, reset.Network, reset.All} {
				all = append(all, scenario{kind: k, model: m, scopes: []reset.Scope{scope}, ending: forward})
			}
			all = append(all,
				scenario{kind: k, model: m, scopes: []reset.Scope{reset.Network, reset.Credentials}, ending: forward},
				scenario{kind: k, model: m, scopes: []reset.Scope{reset.All}, ending: verify},
				scenario{kind: k, model: m, scopes: []reset.Scope{reset.All}, ending: persist},
			)
		}
	}
	return all
}

func TestEveryCrashPoint(t *testing.T) {
	e := effort{first: 16, damage: 5, again: 200, second: 4}
	if *full {
		e = effort{first: 128, damage: 1, again: 10, second: 16}
	}
	var sum tally
	failures := 0
	for _, s := range scenarios() {
		t.Run(s.String(), func(t *testing.T) {
			c, err := inFakeTime(t, s, e)
			sum.add(c)
			t.Log(c)
			if err != nil {
				failures++
				t.Error(err)
			}
		})
	}
	t.Logf("tried: %s; failures: %d", sum, failures)
	if sum.points < 1000 || sum.olds == 0 || sum.news == 0 {
		t.Error("too little was tried: this test could not fail")
	}
}
