package core_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
)

// mute is a system that at times cannot tell how long ago it was started.
type mute struct {
	upSince
	now atomic.Bool
}

func (m *mute) Up() (string, time.Duration, error) {
	if m.now.Load() {
		return "", 0, errors.New("no clock")
	}
	return m.upSince.Up()
}

// D11: where the time that has passed cannot be measured nothing gets ripe,
// nothing that waits is begun or carried out, and nobody's wait is lost.
func TestWaitWithoutAClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		clock := &mute{upSince: upSince{time.Now()}}
		d.up = clock
		d.reboot("wait 2h")
		key := newKey(t)
		first, err := d.present().ask(ofAnna(), key, "")
		must(t, err)
		time.Sleep(time.Hour)
		synctest.Wait()
		clock.now.Store(true)
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		raw, err := os.ReadFile(filepath.Join(d.dir, "state", "requests.json"))
		must(t, err)
		var kept struct {
			Requests []struct{ State access.RequestState }
		}
		_ = json.Unmarshal(raw, &kept)
		if len(kept.Requests) != 1 || kept.Requests[0].State != access.RequestWaiting {
			t.Errorf("it does not wait any more: %+v", kept)
		}
		if _, _, err := d.resumeWith(key, first.Request, newPassword); err == nil || !d.accepts("anna", oldPassword) {
			t.Error("it is carried out")
		}
		if _, err := d.present().ask(ofAnna(), newKey(t), ""); problem(err) != "preflight_failed" {
			t.Errorf("the next one: %v", err)
		}
		clock.now.Store(false)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if s := d.requests()[0].State; s != access.RequestRipe {
			t.Errorf("with a clock again, hours later, it is %s", s)
		}
	})
}

// R6: a trial whose time cannot be told is over: it goes back, and nobody confirms
// it. Without a clock none is begun.
func TestTrialWithoutAClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		clock := &mute{upSince: upSince{time.Now()}}
		d.up = clock
		d.stop()
		d.boot(nil)
		o := d.anna(oldPassword)
		content := o.fetch(deviceapi.SnapshotCall{}, o.recoveryKey())
		d.resetNetwork()
		now := d.words()
		id := d.anna(newPassword).putBack(content)
		clock.now.Store(true)
		if err := d.anna(newPassword).call(deviceapi.OwnerRestoreConfirm, deviceapi.RestoreConfirmCall{}, &deviceapi.RestoreConfirmReply{}); err == nil {
			t.Error("it is confirmed")
		}
		synctest.Wait()
		if p := d.anna(newPassword).until(id, "done"); p.State != "undone" || d.words() != now {
			t.Errorf("it did not go back: %s", p.State)
		}
		o = d.anna(newPassword)
		o.put(content)
		var plan deviceapi.RestorePlanReply
		must(t, o.call(deviceapi.OwnerRestorePlan, deviceapi.RestorePlanCall{}, &plan))
		if err := o.call(deviceapi.OwnerRestore, deviceapi.RestoreCall{Hash: plan.Hash}, &deviceapi.CommitReply{}); problem(err) != "preflight_failed" {
			t.Errorf("the next one: %v", err)
		}
	})
}
