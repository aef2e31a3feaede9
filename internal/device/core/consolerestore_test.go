package core_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// afterHard is a NAS that was reset hard, whose owner chose that the settings of
// before follow.
func afterHard(t *testing.T) *device {
	t.Helper()
	d := start(t, nil)
	must(t, d.core.RecordBaseline(t.Context()))
	q := hard(t)
	q.Wizard.Restore = reset.RestoreBundle
	if p, err := d.presentHard().reset(q, newPassword); err != nil || p.State != "committed" {
		t.Fatalf("%v %+v", err, p)
	}
	time.Sleep(10 * time.Minute)
	return d
}

func (d *device) rootRestores(q corewire.RestoreRequest) (corewire.RestoreReply, error) {
	return d.console().Restore(context.Background(), q)
}

// A6 R6: root at the console puts back what was kept before a hard reset, on
// trial; it stays once root confirms it, and nothing is to follow any more.
func TestRootRestoresTheBundle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := afterHard(t)
		was := d.everything()
		plan, err := d.rootRestores(corewire.RestoreRequest{Do: corewire.RestorePlan})
		if err != nil || len(plan.Plan.Plan.Changes) == 0 {
			t.Fatalf("%v %+v", err, plan)
		}
		same(t, "a plan", was, d.everything())
		if _, err := d.rootRestores(corewire.RestoreRequest{Do: corewire.RestoreAccept, Hash: "another"}); problem(err) != "plan_changed" {
			t.Errorf("a plan that nobody was shown: %v", err)
		}
		begun, err := d.rootRestores(corewire.RestoreRequest{Do: corewire.RestoreAccept, Hash: plan.Plan.Hash})
		if err != nil || begun.Progress.State != "trial" || begun.Progress.ConfirmSeconds < 250 {
			t.Fatalf("%v %+v", err, begun)
		}
		if d.store.Running().Settings.Name != "cellar" {
			t.Error("what was put back is not in force")
		}
		end, err := d.rootRestores(corewire.RestoreRequest{Do: corewire.RestoreConfirm})
		if err != nil || end.Progress.State != "committed" || end.Transaction != begun.Transaction {
			t.Errorf("%v %+v", err, end)
		}
		time.Sleep(time.Hour)
		if s := d.store.Running().Settings; s.Name != "cellar" || s.Interfaces[0].Method != nas.Static || d.about().Status == "configuration_lost" {
			t.Errorf("it did not stay: %+v, %s", s, d.about().Status)
		}
		if !d.accepts("anna", newPassword) {
			t.Error("a restore brought another password back")
		}
		if _, err := d.rootRestores(corewire.RestoreRequest{Do: corewire.RestoreConfirm}); problem(err) != "no_trial" {
			t.Errorf("confirmed twice: %v", err)
		}
	})
}

// What root does not confirm goes back, at once or after its time.
func TestRootsRestoreGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := afterHard(t)
		for _, undo := range []bool{true, false} {
			before := d.words()
			plan, err := d.rootRestores(corewire.RestoreRequest{Do: corewire.RestorePlan, Only: []string{"name"}})
			must(t, err)
			_, err = d.rootRestores(corewire.RestoreRequest{Do: corewire.RestoreAccept, Hash: plan.Plan.Hash, Only: []string{"name"}})
			must(t, err)
			if undo {
				end, err := d.rootRestores(corewire.RestoreRequest{Do: corewire.RestoreUndo})
				if err != nil || end.Progress.State != "undone" {
					t.Errorf("%v %+v", err, end)
				}
			}
			time.Sleep(10 * time.Minute)
			if now := d.words(); now != before {
				t.Errorf("it did not go back:\n%s\nwas\n%s", now, before)
			}
		}
	})
}

// A file that root hands over: the bundle of this NAS alone, whole.
func TestRootRestoresAFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := afterHard(t)
		state := filepath.Join(d.dir, "state")
		shelf := core.Bundles(opfs.OS(nil), state)
		names, err := shelf.Names()
		must(t, err)
		whole, err := os.ReadFile(filepath.Join(shelf.Dir, names[0]))
		must(t, err)
		before := d.words()
		for _, c := range []struct{ text, want string }{
			{"", "snapshot_unusable"}, {string(whole[:len(whole)/2]), "snapshot_unusable"}, {string(whole), ""},
		} {
			must(t, os.WriteFile(core.RestoreFile(state), []byte(c.text), 0o600))
			if _, err := d.rootRestores(corewire.RestoreRequest{Do: corewire.RestorePlan, File: true}); string(problem(err)) != c.want {
				t.Errorf("%d bytes: %v", len(c.text), err)
			}
		}
		must(t, os.Remove(core.RestoreFile(state)))
		if _, err := d.rootRestores(corewire.RestoreRequest{Do: corewire.RestorePlan, File: true}); problem(err) != "snapshot_unusable" {
			t.Errorf("no file: %v", err)
		}
		if d.words() != before {
			t.Error("a plan changed something")
		}
		if _, err := d.front.Restore(context.Background(), corewire.RestoreRequest{Do: corewire.RestorePlan}); err == nil {
			t.Error("a front may restore")
		}
	})
}

// D4: "configuration lost" ends when its owner, or root, says that the NAS is set
// up as new; what was kept stays, and so it is after a restart.
func TestARestoreIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := afterHard(t)
		if d.about().Status != "configuration_lost" {
			t.Fatal(d.about().Status)
		}
		o := d.anna(newPassword)
		must(t, o.call(deviceapi.OwnerRestoreGiveUp, deviceapi.Empty{}, &deviceapi.Empty{}))
		if d.about().Status != "ready" {
			t.Errorf("it shows %s", d.about().Status)
		}
		if _, err := d.rootRestores(corewire.RestoreRequest{Do: corewire.RestoreGiveUp}); problem(err) != "nothing_to_give_up" {
			t.Errorf("given up twice: %v", err)
		}
		d.stop()
		d.boot(nil)
		if d.about().Status != "ready" {
			t.Errorf("after a restart it shows %s", d.about().Status)
		}
		if plan, err := d.rootRestores(corewire.RestoreRequest{Do: corewire.RestorePlan}); err != nil || len(plan.Plan.Plan.Changes) == 0 {
			t.Errorf("what was kept is gone: %v", err)
		}
	})
}
