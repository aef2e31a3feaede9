package core_test

import (
	"context"
	"errors"
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
		asks("the options", deviceapi.KindOptions, deviceapi.Empty{}, &deviceapi.OptionsReply{}, 0, 0) // they were read since the press
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

// The settings are read while the code is said, once a claim: the options need
// not wait for it, and never show what is older than a minute.
func TestReadWhileTheCodeIsSaid(t *testing.T) {
	type call struct {
		wait time.Duration // since presence was proved
		want int64         // reads in all, the one since the press among them
	}
	for name, calls := range map[string][]call{
		"at once, and again": {{0, 1}, {0, 2}},
		"late":               {{time.Minute, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asked atomic.Int64
				d := start(t, func(all []setting.Adapter) []setting.Adapter {
					all[0] = counted{all[0], &asked}
					return all
				})
				before := asked.Load()
				a := d.present()
				for _, call := range calls {
					time.Sleep(call.wait)
					if err := a.call(deviceapi.KindOptions, deviceapi.Empty{}, &deviceapi.OptionsReply{}); err != nil {
						t.Fatal(err)
					}
					if n := asked.Load() - before; n != call.want {
						t.Errorf("the settings were read %d times, want %d", n, call.want)
					}
				}
			})
		})
	}
}

// Whoever is there before the settings are read waits for that, and does not
// begin anew; what could not be read is tried again.
func TestOptionsWaitForWhatIsBeingRead(t *testing.T) {
	for name, fails := range map[string]bool{"read": false, "not read": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asked atomic.Int64
				d := start(t, func(all []setting.Adapter) []setting.Adapter {
					all[0] = &firstSlow{Adapter: counted{all[0], &asked}, fails: fails}
					return all
				})
				begun := time.Now()
				if err := d.present().call(deviceapi.KindOptions, deviceapi.Empty{}, &deviceapi.OptionsReply{}); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(begun); took < 40*time.Second {
					t.Errorf("the options came after %s, before anything was read", took)
				}
				if n := asked.Load(); n != 1 {
					t.Errorf("the settings were read %d times, want once", n)
				}
			})
		})
	}
}

// firstSlow takes 40 s to be found for the first time, and may fail then.
type firstSlow struct {
	setting.Adapter
	fails bool
	found atomic.Bool
}

func (f *firstSlow) Detect(ctx context.Context) (reset.Found, error) {
	if !f.found.Swap(true) {
		time.Sleep(40 * time.Second) // fake time
		if f.fails {
			return reset.Found{}, errors.New("as wished")
		}
	}
	return f.Adapter.Detect(ctx)
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
