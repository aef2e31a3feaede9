package core_test

import (
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// full is a disk that has no room for some of what core writes.
type full struct {
	mu      sync.Mutex
	names   []string // beginnings of operations' names
	refused int
}

func (f *full) hook(op string, when opfs.When) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, beginning := range f.names {
		if when == opfs.Before && strings.HasPrefix(op, beginning) {
			f.refused++
			return syscall.ENOSPC
		}
	}
	return nil
}

// of makes it full for operations of these names, and no others any more.
func (f *full) of(beginnings ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.names, f.refused = beginnings, 0
}

func (f *full) times() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.refused
}

// startOn runs a device on a disk that can be full.
func startOn(t *testing.T) (*device, *full) {
	t.Helper()
	d, disk := start(t, nil), &full{}
	d.hook = disk.hook
	d.stop()
	d.boot(nil)
	return d, disk
}

// committing asks for anna's new password, and leaves it at that.
func (a *assistant) committing() (deviceapi.CommitReply, error) {
	a.d.t.Helper()
	return a.ask(ofAnna(), nil, newPassword)
}

// D3: a reset that is under way goes on when its disk has room again, wherever
// that was missing, without anybody starting the NAS anew.
func TestFullDiskIsWaitedOut(t *testing.T) {
	for _, moment := range []string{"journal.persisted", "journal.activated", "journal.verified", "journal.committed"} {
		synctest.Test(t, func(t *testing.T) {
			d, disk := startOn(t)
			a := d.present()
			disk.of(moment)
			accepted, err := a.committing()
			must(t, err)
			time.Sleep(10 * time.Minute)
			var p deviceapi.ProgressReply
			must(t, a.call(deviceapi.KindProgress, deviceapi.ProgressCall{Transaction: accepted.Transaction}, &p))
			if p.Done || d.about().Ready {
				t.Errorf("%s: without room it says that it has ended: %+v", moment, p)
			}
			if n := strings.Count(d.log.String(), "a change cannot go on"); n != 1 {
				t.Errorf("%s: it was logged %d times", moment, n)
			}
			disk.of()
			time.Sleep(time.Minute)
			must(t, a.call(deviceapi.KindProgress, deviceapi.ProgressCall{Transaction: accepted.Transaction}, &p))
			if !p.Done || p.State != "committed" || len(p.Receipt) == 0 || !d.accepts("anna", newPassword) {
				t.Errorf("%s: with room again: %+v", moment, p)
			}
		})
	}
}

// D8: a press that opens no claim, since nothing can be counted, says so to root.
func TestPressOnAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, disk := startOn(t)
		disk.of("attempts")
		d.press(4200 * time.Millisecond)
		var status core.Status
		must(t, d.console().Read(t.Context(), corewire.ReadStatus, &status))
		if status.Device.Claim.Open || !strings.Contains(status.LastIgnored, "no space left") {
			t.Errorf("%+v", status)
		}
		disk.of()
		if d.press(4200 * time.Millisecond); !d.about().Claim.Open {
			t.Error("with room again no claim opens")
		}
	})
}

// Promise 4: what could neither be written whole nor be withdrawn is carried out,
// and nobody is told that nothing was changed.
func TestAcceptedWhereItCannotBeWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, disk := startOn(t)
		a := d.present()
		disk.of("journal.accept.open", "journal.withdraw", "journal.repair")
		accepted, err := a.committing()
		if err != nil || accepted.Transaction == "" {
			t.Fatalf("%v %+v", err, accepted)
		}
		disk.of()
		time.Sleep(time.Minute)
		synctest.Wait()
		if !d.accepts("anna", newPassword) || len(d.receiptFiles()) != 1 {
			t.Error("it is not carried out")
		}
	})
}

// R6: a restore that nobody confirmed goes back as soon as that can be written.
func TestTrialGoesBackOnAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, disk := startOn(t)
		o := d.anna(oldPassword)
		content := o.fetch(deviceapi.SnapshotCall{}, o.recoveryKey())
		d.resetNetwork()
		now := d.words()
		id := d.anna(newPassword).putBack(content)
		disk.of("journal.undoing")
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		disk.of()
		time.Sleep(time.Minute)
		synctest.Wait()
		if d.words() != now {
			t.Error("nobody confirmed it, and it stays")
		}
		d.anna(newPassword).until(id, "done")
		if d.press(4200 * time.Millisecond); !d.about().Claim.Open {
			t.Error("the button opens no claim any more")
		}
	})
}

// A receipt that could not be written is there before the next change is accepted,
// and no reason for core not to start.
func TestReceiptIsWrittenLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, disk := startOn(t)
		disk.of("receipt")
		d.resetAs(newKey(t), ofAnna(), newPassword)
		d.stop()
		d.boot(nil)
		if a := d.present(); !d.about().Ready {
			t.Error("core is not ready")
		} else if _, err := a.reset(ofAnna(), oldPassword); problem(err) != "preflight_failed" || !d.accepts("anna", newPassword) {
			t.Errorf("the next change with the receipt missing: %v", err)
		}
		disk.of()
		d.stop()
		d.boot(nil)
		d.about()
		d.resetAs(newKey(t), ofAnna(), oldPassword)
		disk.of("receipt")
		d.resetAs(newKey(t), ofAnna(), newPassword)
		disk.of()
		d.resetAs(newKey(t), ofAnna(), oldPassword)
		list, err := d.core.Receipts()
		if err != nil || len(list.Receipts) != 4 {
			t.Fatalf("%v, %d receipts of 4 changes", err, len(list.Receipts))
		}
		for _, r := range list.Receipts {
			if !r.Valid {
				t.Errorf("%s does not fit to the one before", r.Name)
			}
		}
	})
}

// X15: the keys of before open nothing, also while the list of keys cannot be
// written, and once it was.
func TestKeysOfBeforeEndOnAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, disk := startOn(t)
		key := newKey(t)
		d.resetAs(key, ofAnna(), newPassword)
		sets := func(password string) {
			t.Helper()
			if _, err := d.as("root", "another one for root 7").change("anna", reset.SetPassword, password); err != nil {
				t.Fatal(err)
			}
		}
		_, err := d.as("anna", newPassword).change("root", reset.SetPassword, "another one for root 7")
		must(t, err)
		disk.of("owners.enrol")
		sets(oldPassword)
		if _, err := d.converse().byKey(key); problem(err) != "owner_unknown" {
			t.Errorf("the key of before: %v", err)
		}
		disk.of()
		sets(newPassword)
		d.stop()
		d.boot(nil)
		if _, err := d.converse().byKey(key); problem(err) != "owner_unknown" {
			t.Errorf("the key of before, after a restart: %v", err)
		}
	})
}

// What cannot be written of a wait is tried again now and then, not with every
// call of anybody.
func TestWaitOnAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, disk := startOn(t)
		d.reboot("wait 2h")
		_, err := d.present().ask(ofAnna(), newKey(t), "")
		must(t, err)
		disk.of("requests.ripe.create")
		time.Sleep(2*time.Hour + 10*time.Minute)
		for range 100 {
			d.about()
		}
		if n := disk.times(); n < 5 || n > 15 {
			t.Errorf("it was tried %d times in ten minutes", n)
		}
		disk.of()
		time.Sleep(2 * time.Minute)
		if s := d.requests()[0].State; s != access.RequestRipe {
			t.Errorf("with room again it is %s", s)
		}
	})
}
