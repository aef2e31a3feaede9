package core_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
)

// A plan builds on what its claimant was shown a moment before, once; a later
// one, and every commit, asks the system anew.
func TestPlanBuildsOnWhatWasShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		d := start(t, func(all []setting.Adapter) []setting.Adapter {
			all[0] = counted{all[0], &asked}
			return all
		})
		a := d.present()
		var plan deviceapi.PlanReply
		asks := func(what string, kind deviceapi.Kind, q, reply any, least, most int64) {
			t.Helper()
			before := asked.Load()
			if err := a.call(kind, q, reply); err != nil {
				t.Fatal(what, err)
			}
			if n := asked.Load() - before; n < least || n > most {
				t.Errorf("%s read the settings %d times, want %d to %d", what, n, least, most)
			}
		}
		q := deviceapi.PlanCall{Mode: reset.Soft, Scope: reset.Credentials, Administrator: "anna"}
		asks("the options", deviceapi.KindOptions, deviceapi.Empty{}, &deviceapi.OptionsReply{}, 1, 1)
		asks("a plan right after", deviceapi.KindPlan, q, &plan, 0, 0)
		asks("the next plan", deviceapi.KindPlan, q, &plan, 1, 1)
		asks("the options again", deviceapi.KindOptions, deviceapi.Empty{}, &deviceapi.OptionsReply{}, 1, 1)
		time.Sleep(time.Minute)
		asks("a plan a minute later", deviceapi.KindPlan, q, &plan, 1, 1)
		asks("the options, a third time", deviceapi.KindOptions, deviceapi.Empty{}, &deviceapi.OptionsReply{}, 1, 1)
		asks("the commit", deviceapi.KindCommit, deviceapi.CommitCall{PlanHash: plan.Hash, Administrator: "anna", NewPassword: access.NewSecret(newPassword)}, &deviceapi.CommitReply{}, 1, 9)
		synctest.Wait()
	})
}

// counted counts how often its settings are read.
type counted struct {
	setting.Adapter
	read *atomic.Int64
}

func (c counted) Read(ctx context.Context, into *nas.Settings) error {
	c.read.Add(1)
	return c.Adapter.Read(ctx, into)
}
