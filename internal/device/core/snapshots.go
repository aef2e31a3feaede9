package core

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/bundle"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/snapshot"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// snapshotsKept is how many snapshots of before a change stay on the device.
const snapshotsKept = 5

// recovery is to whom snapshots are sealed: the public half of the owner's
// recovery key. The device never has the other.
type recovery struct {
	fsys opfs.FS
	file string
	kept recoveryFile
}

type recoveryFile struct {
	Version   int       `json:"version"`
	Recipient string    `json:"recipient"`
	SetBy     string    `json:"set_by"`
	SetAt     time.Time `json:"set_at"`
	// TakenAt is when the owner took the latest snapshot, by the wall clock.
	TakenAt *time.Time `json:"taken_at,omitempty"`
}

func loadRecovery(fsys opfs.FS, dir string) (*recovery, error) {
	r := &recovery{fsys: fsys, file: path.Join(dir, "recovery.json"), kept: recoveryFile{Version: 1}}
	if err := readState(fsys, r.file, &r.kept); err != nil {
		return nil, err
	}
	if r.kept.Version != 1 || r.kept.Recipient != "" && !snapshot.ValidRecipient(r.kept.Recipient) {
		return nil, fmt.Errorf("%s cannot be understood", r.file)
	}
	return r, nil
}

func (r *recovery) set(f recoveryFile) error {
	f.Version = 1
	if err := writeState(r.fsys, "recovery.set", r.file, f); err != nil {
		return err
	}
	r.kept = f
	return nil
}

// ownerRecoveryKey tells and sets to whom snapshots are sealed.
func (c *Core) ownerRecoveryKey(ctx context.Context, t *conversation, q deviceapi.RecoveryKeyCall) (any, error) {
	if q.Recipient != "" && !snapshot.ValidRecipient(q.Recipient) {
		return nil, catalog.New("bad_message", "the public half of a recovery key")
	}
	return in(ctx, c, func() (deviceapi.RecoveryKeyReply, error) {
		if err := c.goesOn(t); err != nil {
			return deviceapi.RecoveryKeyReply{}, err
		}
		have := c.recovery.kept.Recipient
		switch {
		case q.Recipient == "" || q.Recipient == have:
			return deviceapi.RecoveryKeyReply{Recipient: have}, nil
		case have != "" && !q.Replace:
			return deviceapi.RecoveryKeyReply{}, catalog.New("recovery_key_there")
		}
		if err := c.recovery.set(recoveryFile{Recipient: q.Recipient, SetBy: t.caller.account, SetAt: c.cfg.Clock.Now().UTC()}); err != nil {
			return deviceapi.RecoveryKeyReply{}, err
		}
		c.cfg.Log.Info("snapshots are sealed to a new recovery key", "by", t.caller.account)
		return deviceapi.RecoveryKeyReply{Recipient: q.Recipient}, nil
	})
}

// sealNow makes a snapshot of the settings as they are.
func (c *Core) sealNow(ctx context.Context, transaction string) (file []byte, notHeld []string, err error) {
	recipient, err := in(ctx, c, func() (string, error) { return c.recovery.kept.Recipient, nil })
	if err != nil {
		return nil, nil, err
	}
	if recipient == "" {
		return nil, nil, catalog.New("recovery_key_missing")
	}
	b, err := c.saved(ctx, c.cfg.Adapters, transaction)
	if err != nil {
		return nil, nil, catalog.New("snapshot_failed", err.Error()).Because(err)
	}
	content, err := bundle.Encode(b)
	if err == nil {
		file, err = snapshot.Seal(c.identity, recipient, snapshot.Header{Name: b.Name, MadeAt: b.MadeAt}, content)
	}
	if err != nil {
		return nil, nil, catalog.New("snapshot_failed", err.Error()).Because(err)
	}
	return file, b.NotHeld, nil
}

// ownerSnapshot makes a snapshot, or takes one that was kept, to be fetched.
func (c *Core) ownerSnapshot(ctx context.Context, t *conversation, q deviceapi.SnapshotCall) (any, error) {
	if q.Kept != 0 {
		file, err := c.keptSnapshot(q.Kept)
		t.out = file
		return deviceapi.SnapshotReply{Size: len(file), NotHeld: []string{}}, err
	}
	file, notHeld, err := c.sealNow(ctx, "")
	t.out = file
	if err == nil {
		c.noteTaken(ctx)
	}
	return deviceapi.SnapshotReply{Size: len(file), NotHeld: append([]string{}, notHeld...)}, err
}

// noteTaken takes down that the owner has a snapshot of now. That it cannot
// keeps the snapshot from nobody.
func (c *Core) noteTaken(ctx context.Context) {
	err := c.do(ctx, func() error {
		next, now := c.recovery.kept, c.cfg.Clock.Now().UTC().Truncate(time.Second)
		next.TakenAt = &now
		return c.recovery.set(next)
	})
	if err != nil {
		c.cfg.Log.Error("when the snapshot was taken could not be kept", "error", err)
	}
}

func (c *Core) snapshotsDir() string { return path.Join(c.cfg.Dir, "snapshots") }

// snapshotNames lists what was kept, the oldest first: 000001-<transaction>.snapshot.
func (c *Core) snapshotNames() ([]string, error) {
	return namesIn(c.cfg.FS, c.snapshotsDir(), ".snapshot")
}

func (c *Core) keptSnapshot(nth int) ([]byte, error) {
	names, err := c.snapshotNames()
	if err != nil {
		return nil, err
	}
	if nth < 1 || nth > len(names) {
		return nil, catalog.New("snapshot_none")
	}
	return c.cfg.FS.ReadFile(path.Join(c.snapshotsDir(), names[len(names)-nth]))
}

// snapshotBefore makes a snapshot before a change, where there is a recovery
// key. That it cannot is no reason to keep an owner out: it is logged.
func (c *Core) snapshotBefore(ctx context.Context) []byte {
	file, _, err := c.sealNow(ctx, "")
	if err != nil && !errors.Is(err, catalog.New("recovery_key_missing")) {
		c.cfg.Log.Error("no snapshot could be made before this change", "error", err, "cause", errors.Unwrap(err))
	}
	return file
}

// keepSnapshot keeps what snapshotBefore made, and the latest few of before.
// Run's goroutine only.
func (c *Core) keepSnapshot(file []byte, transaction string) {
	if file == nil {
		return
	}
	if err := c.putSnapshot(file, transaction); err != nil {
		c.cfg.Log.Error("the snapshot of before this change could not be kept", "transaction", transaction, "error", err)
	}
}

func (c *Core) putSnapshot(file []byte, transaction string) error {
	names, err := c.snapshotNames()
	if err != nil {
		return err
	}
	next := 1
	if len(names) > 0 {
		if _, err := fmt.Sscanf(names[len(names)-1], "%06d-", &next); err != nil {
			return err
		}
		next++
	}
	if err := atomicfile.MakeDir(c.cfg.FS, "snapshot", c.snapshotsDir(), 0o700); err != nil {
		return err
	}
	name := path.Join(c.snapshotsDir(), fmt.Sprintf("%06d-%s.snapshot", next, transaction))
	if err := atomicfile.Replace(c.cfg.FS, "snapshot.write", name, file, atomicfile.Options{Mode: 0o600, Enforce: true}); err != nil {
		return err
	}
	for _, old := range names[:max(0, len(names)+1-snapshotsKept)] {
		if err := c.cfg.FS.Remove("snapshot.prune", path.Join(c.snapshotsDir(), old)); err != nil {
			return err
		}
	}
	return nil
}
