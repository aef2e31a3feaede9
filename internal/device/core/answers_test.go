package core_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// watched tells in which calls of an adapter programs' answers are kept.
type watched struct {
	setting.Adapter
	mu    *sync.Mutex
	calls map[string][]bool
}

func (w watched) note(ctx context.Context, call string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[call] = append(w.calls[call], opfs.AnswersKept(ctx))
}

func (w watched) Detect(ctx context.Context) (reset.Found, error) {
	w.note(ctx, "ask")
	return w.Adapter.Detect(ctx)
}

func (w watched) Read(ctx context.Context, s *nas.Settings) error {
	w.note(ctx, "ask")
	return w.Adapter.Read(ctx, s)
}

func (w watched) Prepare(ctx context.Context, r setting.Request) ([]reset.Step, error) {
	w.note(ctx, "ask")
	return w.Adapter.Prepare(ctx, r)
}

func (w watched) Persist(ctx context.Context, s reset.Step) error {
	w.note(ctx, "persist")
	return w.Adapter.Persist(ctx, s)
}

func (w watched) Activate(ctx context.Context, s reset.Step) error {
	w.note(ctx, "activate")
	return w.Adapter.Activate(ctx, s)
}

func (w watched) Verify(ctx context.Context, s reset.Step) error {
	w.note(ctx, "verify")
	return w.Adapter.Verify(ctx, s)
}

// A look at the system starts each program once; what changes it, and above all
// what verifies the change, asks anew each time.
func TestAnswersAreKeptOnlyWhileLooking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls, mu := map[string][]bool{}, &sync.Mutex{}
		d := start(t, func(all []setting.Adapter) []setting.Adapter {
			for i, a := range all {
				all[i] = watched{a, mu, calls}
			}
			return all
		})
		a := d.present()
		mu.Lock()
		clear(calls) // what core's own start asked
		mu.Unlock()
		if err := a.call(deviceapi.KindOptions, deviceapi.Empty{}, &deviceapi.OptionsReply{}); err != nil {
			t.Fatal(err)
		}
		if _, err := a.reset(ofAnna(), newPassword); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // fake time: lets the transaction go on
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		for _, call := range []string{"ask", "persist", "activate", "verify"} {
			if len(calls[call]) == 0 {
				t.Errorf("no adapter was told to %s", call)
			}
			for _, kept := range calls[call] {
				if kept != (call == "ask") {
					t.Errorf("%s: answers kept is %t", call, kept)
				}
			}
		}
	})
}
