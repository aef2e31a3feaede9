package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/snapshot"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
)

// The owner's recovery key is made here, on the owner's computer, shown once or
// written to a file of the owner's choice, and kept nowhere else. The NAS is
// told its public half alone.

// giveRecoveryKey makes a recovery key for a NAS and hands it over: into a file
// if one is named, else on the screen of the person at the terminal. The NAS is
// told only after that, so that it never seals to a key that nobody has.
func (a *app) giveRecoveryKey(ctx context.Context, who owned, file string, replace, json bool) (string, error) {
	tty, person := a.tty()
	if file == "" && !person {
		return "", catalog.New("no_terminal", "Give --recovery-key-out FILE: the recovery key is shown once, or written there.")
	}
	key, recipient, err := snapshot.NewRecoveryKey()
	if err != nil {
		return "", err
	}
	if file != "" {
		err = a.writeNew(file, []byte(fmt.Sprintf("# Recovery key of %s: opens its snapshots. Keep it away from the NAS.\n# %s\n%s\n", who.name(), recipient, key.Reveal())), false)
	} else {
		_, err = fmt.Fprintf(a.screen(json, tty), "\nThe recovery key of %s. It opens the snapshots of its settings, and nothing else does.\nIt is shown this once: write it down or print it, and keep it away from the NAS.\n\n  %s\n\n", who.name(), key.Reveal())
	}
	if err != nil {
		return "", err
	}
	var r deviceapi.RecoveryKeyReply
	if err := who.Call(ctx, deviceapi.OwnerRecoveryKey, deviceapi.RecoveryKeyCall{Recipient: recipient, Replace: replace}, &r); err != nil {
		return "", err
	}
	if r.Recipient != recipient {
		return "", catalog.New("bad_message", "the NAS took another recovery key")
	}
	return recipient, nil
}

// writeNew writes a file for its owner alone, whole or not at all. One that is
// there is replaced only by force.
func (a *app) writeNew(name string, data []byte, force bool) error {
	path, err := filepath.Abs(name)
	if err != nil {
		return catalog.New("file_unusable", reason(err)).Because(err)
	}
	if err := a.freeName(path, force); err != nil {
		return err
	}
	if err := atomicfile.Replace(a.fsys, "file.write", path, data, atomicfile.Options{Mode: 0o600, Enforce: true}); err != nil {
		return catalog.New("file_unusable", reason(err)).Because(err)
	}
	return nil
}

func (a *app) freeName(path string, force bool) error {
	if _, err := a.fsys.Lstat(path); err == nil && !force {
		return catalog.New("file_there", path)
	}
	return nil
}

// recoveryKey reads the recovery key from a file, or asks for it.
func (a *app) recoveryKey(ctx context.Context, file string, json bool) (access.Secret, error) {
	if file != "" {
		data, err := readBounded(file, 4096)
		if err != nil {
			return access.Secret{}, catalog.New("file_unusable", reason(err)).Because(err)
		}
		return access.NewSecret(string(data)), nil
	}
	person, err := a.atTerminal(json, "Give --recovery-key-file FILE.")
	if err != nil {
		return access.Secret{}, err
	}
	answer, err := person.Choose(ctx, rescue.Question{ID: rescue.AskPassword, Text: "The recovery key (AGE-SECRET-KEY-…)."})
	return answer.Password, err
}

// offerRecoveryKey follows a rescue: a NAS that has no recovery key gets one,
// where somebody is there to take it; else it is said how.
func (a *app) offerRecoveryKey(ctx context.Context, l *lan, o rescueOptions, target string) error {
	who, err := a.asOwner(ctx, l, target, ownerFlags{wait: o.wait}, o.json)
	if err != nil {
		return ignoreRefusal(err)
	}
	var r deviceapi.RecoveryKeyReply
	if err := who.Call(ctx, deviceapi.OwnerRecoveryKey, deviceapi.RecoveryKeyCall{}, &r); err != nil {
		return ignoreRefusal(err)
	}
	_, person := a.tty()
	switch {
	case r.Recipient != "":
		return nil
	case o.recoveryKeyOut == "" && (!person || o.yes):
		fmt.Fprintf(a.env.Stderr, "This NAS has no recovery key yet, so it cannot keep a sealed copy of its settings: `paperclip snapshot %s -o FILE` makes one.\n", who.name())
		return nil
	}
	_, err = a.giveRecoveryKey(ctx, who, o.recoveryKeyOut, false, o.json)
	return err
}

// ignoreRefusal passes over that the NAS takes this computer for less than an
// owner, as after a reset that set no password.
func ignoreRefusal(err error) error {
	if p, ok := errors.AsType[catalog.Problem](err); ok && (p.Exit == catalog.Refused || p.ID == "not_yet") {
		return nil
	}
	return err
}
