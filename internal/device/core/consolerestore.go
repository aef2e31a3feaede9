package core

import (
	"context"
	"path"

	"github.com/paperclip-nas/paperclip/internal/device/bundle"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
)

// RestoreFile is where root's command lays the bundle that is to be put back,
// in the state directory dir.
func RestoreFile(dir string) string { return path.Join(dir, "restore.json") }

// Restore puts saved settings back for root at the console: the same plan, the
// same transaction and the same trial as for an owner.
func (h console) Restore(ctx context.Context, q corewire.RestoreRequest) (corewire.RestoreReply, error) {
	c := h.core
	switch q.Do {
	case corewire.RestorePlan:
		plan, _, err := c.consoleRestorePlan(ctx, q)
		return corewire.RestoreReply{Plan: &plan}, err
	case corewire.RestoreAccept:
		return c.consoleRestore(ctx, q)
	case corewire.RestoreConfirm, corewire.RestoreUndo:
		return c.consoleEndTrial(ctx, q.Do == corewire.RestoreConfirm)
	case corewire.RestoreGiveUp:
		return corewire.RestoreReply{}, c.do(ctx, c.giveUpRestore)
	}
	return corewire.RestoreReply{}, catalog.New("bad_message", "what is to be done with the restore")
}

func (c *Core) consoleRestorePlan(ctx context.Context, q corewire.RestoreRequest) (deviceapi.RestorePlanReply, []reset.Step, error) {
	var raw []byte
	if q.File {
		var err error
		if raw, err = c.laidDown(); err != nil {
			return deviceapi.RestorePlanReply{}, nil, err
		}
	}
	return c.restorePlan(ctx, !q.File, raw, q.Only)
}

// laidDown is the bundle that root's command left for core.
func (c *Core) laidDown() ([]byte, error) {
	file := RestoreFile(c.cfg.Dir)
	info, err := c.cfg.FS.Lstat(file)
	switch {
	case err != nil:
		return nil, catalog.New("snapshot_unusable", "no file was handed over").Because(err)
	case !info.Mode().IsRegular() || info.Size() > bundle.MaxSize:
		return nil, catalog.New("snapshot_unusable", "it is no file, or too large")
	}
	return c.cfg.FS.ReadFile(file)
}

func (c *Core) consoleRestore(ctx context.Context, q corewire.RestoreRequest) (corewire.RestoreReply, error) {
	none := corewire.RestoreReply{}
	plan, steps, err := c.consoleRestorePlan(ctx, q)
	switch {
	case err != nil:
		return none, err
	case plan.Hash != q.Hash:
		return none, catalog.New("plan_changed")
	}
	t, err := c.acceptRestore(ctx, nil, plan.Plan, steps)
	if err != nil {
		return none, err
	}
	c.cfg.Log.Info("a restore is begun", "transaction", t.id, "by", "root at the console")
	select {
	case <-t.onTrial:
	case <-t.end:
	case <-ctx.Done(): // it goes on by itself
		return none, ctx.Err()
	}
	return in(ctx, c, func() (corewire.RestoreReply, error) { return c.standing(t), nil })
}

// standing is how a restore stands, for root.
func (c *Core) standing(t *transaction) corewire.RestoreReply {
	p := t.progress()
	if c.trial != nil && c.trial.t == t {
		p.ConfirmSeconds = int(c.trialLeft().Seconds())
	}
	return corewire.RestoreReply{Transaction: t.id, Progress: &p}
}

func (c *Core) consoleEndTrial(ctx context.Context, confirmed bool) (corewire.RestoreReply, error) {
	t, err := in(ctx, c, func() (*transaction, error) {
		if c.trial == nil {
			return nil, catalog.New("no_trial")
		}
		t := c.trial.t
		c.cfg.Log.Info("the trial of a restore is ended", "transaction", t.id, "confirmed", confirmed, "by", "root at the console")
		return t, c.endTrial(confirmed, "root took it back")
	})
	if err != nil {
		return corewire.RestoreReply{}, err
	}
	select {
	case <-t.end:
	case <-ctx.Done():
		return corewire.RestoreReply{}, ctx.Err()
	}
	return in(ctx, c, func() (corewire.RestoreReply, error) { return c.standing(t), nil })
}

// giveUpRestore says that nothing is to follow the last hard reset: the NAS is
// set up as new, and shows that no more (D4). What was kept of before stays.
// Run's goroutine only.
func (c *Core) giveUpRestore() error {
	switch {
	case c.busy():
		return catalog.New("busy")
	case c.setUp.kept.Restore == reset.RestoreNone:
		return catalog.New("nothing_to_give_up")
	}
	if err := c.setUp.done(); err != nil {
		return err
	}
	c.cfg.Log.Info("the restore that was to follow a hard reset is given up")
	c.publish()
	return nil
}

// ownerRestoreGiveUp is giveUpRestore for an owner.
func (c *Core) ownerRestoreGiveUp(ctx context.Context, _ *conversation, _ deviceapi.Empty) (deviceapi.Empty, error) {
	return deviceapi.Empty{}, c.do(ctx, c.giveUpRestore)
}
