package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/identity"
	"github.com/paperclip-nas/paperclip/internal/protocol/snapshot"
)

type snapshotOptions struct {
	lab            labFlags
	owner          ownerFlags
	json           bool
	out            string
	force          bool
	kept           int
	recoveryKeyOut string
	newKey         bool
}

// snapshot takes a sealed copy of a NAS's settings.
func (a *app) snapshot() *cobra.Command {
	var o snapshotOptions
	c := &cobra.Command{
		Use:   "snapshot TARGET -o FILE",
		Short: "Take a sealed copy of a NAS's settings",
		Long: `Snapshot has a NAS write down how it is set up, sealed to the owner's recovery
key: neither the NAS nor a thief with its disk opens it. The key is made with
the first snapshot (or at the end of a rescue) and shown once, or written to
--recovery-key-out FILE.

Of a Synology or QNAP it takes what its API shows to --as NAME, an
administrator: users, network, ports, protection; no password, no firewall rule,
no permission, so nothing is sealed. It says what is not in it, and how the
maker's own backup is made, which holds more.

With --kept 1 it takes the latest of the copies that the NAS made by itself
before a change; 2 is the one before that. Files on the volumes are no settings:
this is no backup of them.`,
		Args: arguments(1, 1),
		RunE: run(func(ctx context.Context, args []string) error { return a.runSnapshot(ctx, o, args[0]) }),
	}
	o.owner.add(c.Flags())
	f := c.Flags()
	f.BoolVar(&o.json, "json", false, "print one JSON document")
	f.StringVarP(&o.out, "output", "o", "", "write the snapshot to this `FILE`")
	f.BoolVar(&o.force, "force", false, "replace that file if it is there")
	f.IntVar(&o.kept, "kept", 0, "take the `N`th latest copy that the NAS made before a change")
	f.StringVar(&o.recoveryKeyOut, "recovery-key-out", "", "write a new recovery key to this `FILE`, and do not show it")
	f.BoolVar(&o.newKey, "new-recovery-key", false, "make a new recovery key, because the old one is lost")
	o.lab.add(c.Flags())
	return c
}

// taken is what `snapshot --json` prints.
type taken struct {
	Device    string    `json:"device"`
	File      string    `json:"file"`
	MadeAt    time.Time `json:"made_at"`
	Bytes     int       `json:"bytes"`
	Recipient string    `json:"recipient"`
	NewKey    bool      `json:"new_recovery_key"`
	NotHeld   []string  `json:"not_held"`
}

func (a *app) runSnapshot(ctx context.Context, o snapshotOptions, target string) error {
	if o.out == "" {
		return catalog.New("usage", "Give -o FILE: where the snapshot goes.")
	}
	if o.kept < 0 {
		return catalog.New("usage", "--kept is 1 for the latest copy.")
	}
	if err := o.owner.check(); err != nil {
		return err
	}
	for name, force := range map[string]bool{o.out: o.force, o.recoveryKeyOut: false} {
		path, err := filepath.Abs(name)
		if name == "" || err != nil {
			continue
		}
		if err := a.freeName(path, force); err != nil {
			return err
		}
	}
	l, err := a.open(ctx, o.lab, 0)
	if err != nil {
		return err
	}
	defer l.close()
	who, err := a.asOwner(ctx, l, target, o.owner, o.json)
	if other, ok := errors.AsType[foreign](err); ok {
		return a.snapshotVendor(ctx, l, other.nas, o)
	}
	if err != nil {
		return err
	}
	t, file, err := a.take(ctx, o, who)
	if err != nil {
		return err
	}
	if err := a.writeNew(o.out, file, o.force); err != nil {
		return err
	}
	if o.json {
		return a.print(t)
	}
	fmt.Fprintf(a.env.Stdout, "The settings of %s, as of %s, are in %s (%s), sealed.\n", t.Device, t.MadeAt.UTC().Format(secondsUTC), t.File, size(int64(t.Bytes)))
	for _, n := range t.NotHeld {
		fmt.Fprintf(a.env.Stdout, "Not in it: %s.\n", n)
	}
	return nil
}

// take has the snapshot made and fetches it, verified.
func (a *app) take(ctx context.Context, o snapshotOptions, who owned) (taken, []byte, error) {
	t := taken{Device: who.name(), File: o.out, NotHeld: []string{}}
	var to deviceapi.RecoveryKeyReply
	if err := who.Call(ctx, deviceapi.OwnerRecoveryKey, deviceapi.RecoveryKeyCall{}, &to); err != nil {
		return t, nil, err
	}
	if o.newKey || to.Recipient == "" && o.kept == 0 {
		if _, err := a.giveRecoveryKey(ctx, who, o.recoveryKeyOut, o.newKey, o.json); err != nil {
			return t, nil, err
		}
		t.NewKey = true
	}
	var made deviceapi.SnapshotReply
	if err := who.Call(ctx, deviceapi.OwnerSnapshot, deviceapi.SnapshotCall{Kept: o.kept}, &made); err != nil {
		return t, nil, err
	}
	file, err := who.Get(ctx)
	if err != nil {
		return t, nil, err
	}
	h, err := snapshot.Check(file)
	if err != nil {
		return t, nil, unusableSnapshot(err)
	}
	if h.KeyID != identity.KeyID(who.device.PublicKey()) {
		return t, nil, catalog.New("bad_message", "the snapshot is of another NAS")
	}
	t.MadeAt, t.Bytes, t.Recipient = h.MadeAt, len(file), h.Recipient
	t.NotHeld = append(t.NotHeld, made.NotHeld...)
	return t, file, nil
}

// unusableSnapshot is the problem of a file that cannot be used as a snapshot.
func unusableSnapshot(err error) error {
	switch {
	case errors.Is(err, snapshot.ErrNewer):
		return catalog.New("snapshot_newer").Because(err)
	case errors.Is(err, snapshot.ErrKey), errors.Is(err, snapshot.ErrRecoveryKey):
		return catalog.New("recovery_key_wrong", err.Error()).Because(err)
	default:
		return catalog.New("snapshot_unusable", err.Error()).Because(err)
	}
}
