package core_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/bundle"
	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/receipt"
	"github.com/paperclip-nas/paperclip/internal/protocol/snapshot"
)

// anna is a conversation that anna has proved by her password.
func (d *device) anna(password string) *owner {
	d.t.Helper()
	o := d.converse()
	if _, err := o.byPassword("anna", password); err != nil {
		d.t.Fatal(err)
	}
	return o
}

// recoveryKey has the device seal to a new key.
func (o *owner) recoveryKey() access.Secret {
	o.d.t.Helper()
	key, recipient, err := snapshot.NewRecoveryKey()
	must(o.d.t, err)
	must(o.d.t, o.call(deviceapi.OwnerRecoveryKey, deviceapi.RecoveryKeyCall{Recipient: recipient}, &deviceapi.RecoveryKeyReply{}))
	return key
}

// fetch takes the file of a snapshot and opens it.
func (o *owner) fetch(q deviceapi.SnapshotCall, key access.Secret) []byte {
	o.d.t.Helper()
	var made deviceapi.SnapshotReply
	must(o.d.t, o.call(deviceapi.OwnerSnapshot, q, &made))
	var file []byte
	for len(file) < made.Size {
		var piece deviceapi.OwnerGetReply
		must(o.d.t, o.call(deviceapi.OwnerGet, deviceapi.OwnerGetCall{Offset: len(file)}, &piece))
		file = append(file, piece.Data...)
	}
	h, content, err := snapshot.Open(file, key)
	must(o.d.t, err)
	if h.KeyID != o.d.core.KeyID() {
		o.d.t.Error("the snapshot is not signed by this device")
	}
	return content
}

func (o *owner) put(content []byte) {
	o.d.t.Helper()
	for at := 0; at < len(content); at += deviceapi.MaxChunk {
		piece := content[at:min(len(content), at+deviceapi.MaxChunk)]
		must(o.d.t, o.call(deviceapi.OwnerPut, deviceapi.OwnerPutCall{Offset: at, Data: piece}, &deviceapi.Empty{}))
	}
}

// putBack restores, until the restore is on trial.
func (o *owner) putBack(content []byte, only ...string) string {
	o.d.t.Helper()
	o.put(content)
	var plan deviceapi.RestorePlanReply
	must(o.d.t, o.call(deviceapi.OwnerRestorePlan, deviceapi.RestorePlanCall{Only: only}, &plan))
	var accepted deviceapi.CommitReply
	must(o.d.t, o.call(deviceapi.OwnerRestore, deviceapi.RestoreCall{Only: only, Hash: plan.Hash}, &accepted))
	if p := o.until(accepted.Transaction, "trial"); p.ConfirmSeconds < 250 {
		o.d.t.Errorf("%d seconds are left at the beginning", p.ConfirmSeconds)
	}
	time.Sleep(time.Millisecond) // fake time: who confirms comes later than the trial began
	return accepted.Transaction
}

func (o *owner) until(transaction, state string) deviceapi.ProgressReply {
	o.d.t.Helper()
	for range 1000 {
		var p deviceapi.ProgressReply
		must(o.d.t, o.call(deviceapi.OwnerProgress, deviceapi.ProgressCall{Transaction: transaction}, &p))
		if p.State == state || state == "done" && p.Done {
			return p
		}
		time.Sleep(10 * time.Millisecond) // fake time
	}
	o.d.t.Fatalf("it never gets to %s", state)
	return deviceapi.ProgressReply{}
}

// words is how the settings are, row by row.
func (d *device) words() string {
	d.t.Helper()
	s := d.store.Running().Settings
	var out []string
	for _, e := range nas.Effects()[1:] {
		out = append(out, string(e)+" "+reset.Describe(e, s, ""))
	}
	return strings.Join(out, "\n")
}

// resetNetwork changes what a snapshot then has another value of.
func (d *device) resetNetwork() {
	d.t.Helper()
	d.resetAs(newKey(d.t), deviceapi.PlanCall{Mode: reset.Soft, Scope: reset.All, Administrator: "anna"}, newPassword)
}

// R6: what a snapshot holds is put back, and stays once it is confirmed; the
// password that was set meanwhile stays too, and so do counters and owner keys.
func TestSnapshotIsRestoredAndConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		before := d.words()
		o := d.anna(oldPassword)
		key := o.recoveryKey()
		content := o.fetch(deviceapi.SnapshotCall{}, key)
		d.resetNetwork()
		after, owners := d.words(), d.owners(d.console())
		if after == before || len(owners) != 1 {
			t.Fatal("the reset changed nothing")
		}
		kept := d.anna(newPassword).fetch(deviceapi.SnapshotCall{Kept: 1}, key)
		if a, b := sectionsOf(t, kept), sectionsOf(t, content); a != b {
			t.Error("the snapshot that the device made before the reset is another")
		}
		o = d.anna(newPassword)
		id := o.putBack(content)
		if d.words() != before {
			t.Fatalf("in force: %s\nwant: %s", d.words(), before)
		}
		synctest.Wait()
		if ports := (<-d.front.States()).Ports; ports.HTTPS != 8443 { // else nobody gets in to confirm
			t.Errorf("front is told to listen on %d, and not on the port that was put back", ports.HTTPS)
		}
		if err := o.call(deviceapi.OwnerRestoreConfirm, deviceapi.RestoreConfirmCall{}, &struct{}{}); problem(err) != "confirm_anew" {
			t.Errorf("a confirmation in the conversation that began it: %v", err)
		}
		time.Sleep(4 * time.Minute)
		again := d.anna(newPassword)
		must(t, again.call(deviceapi.OwnerRestoreConfirm, deviceapi.RestoreConfirmCall{}, &deviceapi.RestoreConfirmReply{}))
		p := again.until(id, "done")
		_, s, err := receipt.Verify(p.Receipt)
		if err != nil || s.Result != receipt.Committed || s.Mode != "restore" || len(s.Changes) == 0 || p.Problem != nil {
			t.Errorf("%v %+v %v", err, s, p.Problem)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if d.words() != before || !d.accepts("anna", newPassword) || d.accepts("anna", oldPassword) {
			t.Error("an hour later it is not as restored, or the administrator's password went back")
		}
		if got := d.owners(d.console()); len(got) != 1 || got[0].ID != owners[0].ID {
			t.Error("the owner keys went back")
		}
	})
}

func sectionsOf(t *testing.T, content []byte) string {
	t.Helper()
	b, err := bundle.Parse(content)
	must(t, err)
	raw, err := json.Marshal(b.Sections)
	must(t, err)
	return string(raw)
}

// R6: a restore that nobody confirms goes back by itself: after five minutes,
// at a restart of the NAS, or at once when the owner says so.
func TestUnconfirmedRestoreGoesBack(t *testing.T) {
	for name, end := range map[string]func(*device){
		"five minutes": func(*device) { time.Sleep(5*time.Minute + time.Second) },
		"a restart":    func(d *device) { d.stop(); d.boot(nil) },
		"taken back": func(d *device) {
			must(d.t, d.anna(newPassword).call(deviceapi.OwnerRestoreConfirm, deviceapi.RestoreConfirmCall{Undo: true}, &deviceapi.RestoreConfirmReply{}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := start(t, nil)
				o := d.anna(oldPassword)
				content := o.fetch(deviceapi.SnapshotCall{}, o.recoveryKey())
				d.resetNetwork()
				now := d.words()
				id := d.anna(newPassword).putBack(content)
				if d.words() == now {
					t.Fatal("it is not in force")
				}
				end(d)
				synctest.Wait()
				o = d.anna(newPassword)
				p := o.until(id, "done")
				_, s, err := receipt.Verify(p.Receipt)
				if err != nil || s.Result != receipt.Undone || s.Transaction != id {
					t.Errorf("the receipt: %v %+v", err, s)
				}
				if p.State != "undone" || p.Problem == nil || p.Problem.ID != "restore_undone" {
					t.Errorf("%s: %+v", p.State, p.Problem)
				}
				if d.words() != now {
					t.Errorf("afterwards: %s\nwant: %s", d.words(), now)
				}
				if err := o.call(deviceapi.OwnerRestoreConfirm, deviceapi.RestoreConfirmCall{}, &struct{}{}); problem(err) != "no_trial" {
					t.Errorf("a confirmation that comes too late: %v", err)
				}
			})
		})
	}
}

// Core alone starting anew is no restart of the NAS: the trial goes on, and
// ends when its time is over.
func TestTrialGoesOnWhenCoreStartsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.up = upSince{time.Now()}
		d.stop()
		d.boot(nil)
		o := d.anna(oldPassword)
		content := o.fetch(deviceapi.SnapshotCall{}, o.recoveryKey())
		d.resetNetwork()
		now := d.words()
		id := d.anna(newPassword).putBack(content)
		time.Sleep(2 * time.Minute)
		d.stop()
		d.boot(nil)
		if p := d.anna(newPassword).until(id, "trial"); p.ConfirmSeconds > 181 || d.words() == now {
			t.Errorf("%d seconds are left", p.ConfirmSeconds)
		}
		time.Sleep(3*time.Minute + time.Second)
		synctest.Wait()
		d.anna(newPassword).until(id, "done")
		if d.words() != now {
			t.Error("nobody confirmed it, and it stays")
		}
		// However often core starts, it says how a transaction ended.
		confirmed := d.anna(newPassword).putBack(content)
		must(t, d.anna(newPassword).call(deviceapi.OwnerRestoreConfirm, deviceapi.RestoreConfirmCall{}, &deviceapi.RestoreConfirmReply{}))
		d.anna(newPassword).until(confirmed, "done")
		d.stop()
		d.boot(nil)
		if p := d.anna(newPassword).until(id, "undone"); !p.Done || p.Problem == nil || p.Problem.ID != "restore_undone" {
			t.Errorf("of one that lapsed it says %+v", p)
		}
		if p := d.anna(newPassword).until(confirmed, "committed"); !p.Done || p.Problem != nil {
			t.Errorf("of one that was confirmed it says %+v", p)
		}
	})
}

// upSince is a system that was started once.
type upSince struct{ at time.Time }

func (u upSince) Up() (string, time.Duration, error) { return "one start", time.Since(u.at), nil }

// R6: a part alone, and a plan that changes nothing.
func TestRestoreOfAPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		o := d.anna(oldPassword)
		content := o.fetch(deviceapi.SnapshotCall{}, o.recoveryKey())
		d.resetNetwork()
		o = d.anna(newPassword)
		o.put(content)
		files := d.everything()
		var plan deviceapi.RestorePlanReply
		must(t, o.call(deviceapi.OwnerRestorePlan, deviceapi.RestorePlanCall{}, &plan))
		differ := 0
		for _, x := range plan.Differences {
			if x.Differs {
				differ++
			}
		}
		if differ < 3 || len(plan.Plan.Changes) < 3 || plan.Plan.Mode != reset.PutBack || plan.ConfirmSeconds != 300 {
			t.Errorf("%+v", plan)
		}
		same(t, "a plan (a drill)", files, d.everything())
		was := d.store.Running().Settings
		o.putBack(content, "firewall")
		is := d.store.Running().Settings
		if !is.Firewall.Enabled || is.Interfaces[0].Method != was.Interfaces[0].Method || is.Ports.HTTP != was.Ports.HTTP {
			t.Errorf("firewall alone: %+v", is)
		}
		if err := o.call(deviceapi.OwnerRestorePlan, deviceapi.RestorePlanCall{Only: []string{"everything"}}, &struct{}{}); problem(err) != "usage" {
			t.Errorf("a part that is none: %v", err)
		}
		if err := o.call(deviceapi.OwnerRestore, deviceapi.RestoreCall{Hash: plan.Hash}, &struct{}{}); problem(err) != "plan_changed" {
			t.Errorf("an old plan: %v", err)
		}
	})
}

// Bad input: what is no snapshot of this NAS changes nothing.
func TestWhatCannotBeRestored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		o := d.anna(oldPassword)
		content := o.fetch(deviceapi.SnapshotCall{}, o.recoveryKey())
		files := d.everything()
		edit := func(change func(*bundle.Bundle)) []byte {
			b, err := bundle.Parse(content)
			must(t, err)
			change(&b)
			raw, err := bundle.Encode(b)
			must(t, err)
			return raw
		}
		for name, c := range map[string]struct {
			content []byte
			want    string
		}{
			"a newer version": {[]byte(strings.Replace(string(content), `"version":1`, `"version":9`, 1)), "snapshot_unusable"},
			"truncated":       {content[:len(content)-5], "snapshot_unusable"},
			"of another NAS":  {edit(func(b *bundle.Bundle) { b.KeyID, b.Name = "another", "attic" }), "snapshot_of_another"},
			"a damaged part":  {edit(func(b *bundle.Bundle) { b.Sections["memory.e9"] = json.RawMessage(`{"version":1}`) }), "restore_unfit"},
			"a newer part":    {edit(func(b *bundle.Bundle) { b.Sections["memory.e9"] = json.RawMessage(`{"version":99}`) }), "restore_unfit"},
			"nothing to do":   {content, "preflight_failed"},
		} {
			o := d.anna(oldPassword)
			o.put(c.content)
			var plan deviceapi.RestorePlanReply
			err := o.call(deviceapi.OwnerRestorePlan, deviceapi.RestorePlanCall{}, &plan)
			if c.want == "preflight_failed" {
				must(t, err)
				err = o.call(deviceapi.OwnerRestore, deviceapi.RestoreCall{Hash: plan.Hash}, &struct{}{})
			}
			if string(problem(err)) != c.want {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := o.call(deviceapi.OwnerRestorePlan, deviceapi.RestorePlanCall{Bundle: true}, &struct{}{}); problem(err) != "bundle_none" {
			t.Errorf("a bundle that is not there: %v", err)
		}
		same(t, "what cannot be restored", files, d.everything())
		raw := edit(func(b *bundle.Bundle) { b.Sections["zfs"] = json.RawMessage(`{}`); delete(b.Sections, "memory.e9") })
		o = d.anna(oldPassword)
		o.put(raw)
		var plan deviceapi.RestorePlanReply
		must(t, o.call(deviceapi.OwnerRestorePlan, deviceapi.RestorePlanCall{}, &plan))
		if all := strings.Join(plan.NotRestorable, "\n"); !strings.Contains(all, "zfs") || !strings.Contains(all, "memory.e9") {
			t.Errorf("not restorable: %q", plan.NotRestorable)
		}
	})
}

// A step that fails takes the whole restore back, at once.
func TestRestoreThatFailsGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		o := d.anna(oldPassword)
		content := o.fetch(deviceapi.SnapshotCall{}, o.recoveryKey())
		d.resetNetwork()
		d.stop()
		d.boot(func(all []setting.Adapter) []setting.Adapter {
			for i, a := range all {
				if a.ID() == "memory.e9" {
					all[i] = hopeless{a.(setting.Keeper)}
				}
			}
			return all
		})
		now := d.words()
		o = d.anna(newPassword)
		o.put(content)
		var plan deviceapi.RestorePlanReply
		must(t, o.call(deviceapi.OwnerRestorePlan, deviceapi.RestorePlanCall{}, &plan))
		var accepted deviceapi.CommitReply
		must(t, o.call(deviceapi.OwnerRestore, deviceapi.RestoreCall{Hash: plan.Hash}, &accepted))
		p := o.until(accepted.Transaction, "done")
		if p.State != "undone" || p.Problem == nil || d.words() != now {
			t.Errorf("%+v\n%s\nwant %s", p, d.words(), now)
		}
	})
}

type hopeless struct{ setting.Keeper }

func (hopeless) Verify(context.Context, reset.Step) error { return setting.ErrPermanent }

// The recovery key: one at a time, replaced only on purpose; without one the
// device seals to nobody, and a thief of its disk finds no key.
func TestRecoveryKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		o := d.anna(oldPassword)
		if err := o.call(deviceapi.OwnerSnapshot, deviceapi.SnapshotCall{}, &struct{}{}); problem(err) != "recovery_key_missing" {
			t.Errorf("without a key: %v", err)
		}
		var r deviceapi.RecoveryKeyReply
		must(t, o.call(deviceapi.OwnerRecoveryKey, deviceapi.RecoveryKeyCall{}, &r))
		if r.Recipient != "" {
			t.Errorf("%+v", r)
		}
		key := o.recoveryKey()
		_, other, err := snapshot.NewRecoveryKey()
		must(t, err)
		if err := o.call(deviceapi.OwnerRecoveryKey, deviceapi.RecoveryKeyCall{Recipient: other}, &r); problem(err) != "recovery_key_there" {
			t.Errorf("a second key: %v", err)
		}
		must(t, o.call(deviceapi.OwnerRecoveryKey, deviceapi.RecoveryKeyCall{Recipient: other, Replace: true}, &r))
		if err := o.call(deviceapi.OwnerRecoveryKey, deviceapi.RecoveryKeyCall{Recipient: "age1nobody"}, &r); problem(err) != "bad_message" {
			t.Errorf("no key at all: %v", err)
		}
		for range 7 {
			d.resetAs(newKey(t), ofAnna(), newPassword)
		}
		kept, err := filepath.Glob(filepath.Join(d.dir, "state", "snapshots", "*"))
		must(t, err)
		if len(kept) != 5 {
			t.Errorf("%d snapshots are kept: %q", len(kept), kept)
		}
		for _, name := range kept {
			raw, err := os.ReadFile(name)
			must(t, err)
			if _, _, err := snapshot.Open(raw, key); !errors.Is(err, snapshot.ErrKey) {
				t.Errorf("the replaced key: %v", err)
			}
		}
		for name, content := range d.everything() {
			if strings.Contains(content, key.Reveal()) || strings.Contains(content, "AGE-SECRET-KEY") {
				t.Errorf("%s holds a recovery key", name)
			}
		}
	})
}
