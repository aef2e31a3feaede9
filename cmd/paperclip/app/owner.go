package app

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/owner/driver/native"
	"github.com/paperclip-nas/paperclip/internal/owner/keys"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
	"github.com/paperclip-nas/paperclip/internal/owner/terminal"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/identity"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

// ownerFlags say as whom a command speaks to a NAS: with this computer's owner
// key, which a claim has enrolled, or as an administrator with a password.
type ownerFlags struct {
	as           string
	passwordFile string
	acceptKey    string
	wait         time.Duration
}

func (f *ownerFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.as, "as", "", "speak as the administrator `NAME`, with a password, and not with this computer's owner key")
	fs.StringVar(&f.passwordFile, "password-file", "", "take that administrator's password from a `FILE`")
	fs.StringVar(&f.acceptKey, "accept-key", "", "take the NAS for yours that has this key: the `KEYID` that its console shows")
	fs.DurationVar(&f.wait, "wait", 0, "how much `TIME` to look for the NAS")
}

// check judges the flags before anything is looked for.
func (f ownerFlags) check() error {
	if f.passwordFile != "" && f.as == "" {
		return catalog.New("usage", "--password-file needs --as: whose password it is.")
	}
	return nil
}

// owned is a conversation of an owner with one NAS.
type owned struct {
	*native.Owner
	nas    rescue.NAS
	device *native.Device
}

// name is what the NAS is called, fit for a terminal.
func (o owned) name() string { return printable.Clean(o.nas.Name) }

// foreign is a NAS of another maker, where one with Paperclip was needed.
type foreign struct{ nas rescue.NAS }

func (f foreign) Error() string { return f.Unwrap().Error() }

func (foreign) Unwrap() error {
	return catalog.New("not_yet", "speaking to a NAS without Paperclip as its owner")
}

// asOwner finds the NAS, makes sure that it is the one that is known, and proves
// who asks. Nothing secret goes to a NAS whose key no claim has proved.
func (a *app) asOwner(ctx context.Context, l *lan, target string, f ownerFlags, json bool) (owned, error) {
	found, err := finder{lan: l, wait: f.wait}.Find(ctx, target)
	switch {
	case err != nil:
		return owned{}, err
	case len(found) == 0:
		return owned{}, catalog.New("target_unknown", target)
	case len(found) > 1:
		return owned{}, catalog.New("target_ambiguous", target)
	case !found[0].Native:
		return owned{}, foreign{found[0]}
	}
	n := found[0]
	met, err := l.meet(ctx, n.At, keys.Pin{})
	if err != nil {
		return owned{}, err
	}
	if l.keys.Judge(met.PublicKey(), keys.Hints{Name: n.Name, MACs: n.MACs, KeyID: n.KeyID}) == keys.Mismatch {
		return owned{}, catalog.New("identity_mismatch")
	}
	pin := l.keys.Pin(met.PublicKey())
	if f.acceptKey != "" {
		if identity.KeyID(met.PublicKey()) != strings.ReplaceAll(f.acceptKey, " ", "") {
			return owned{}, catalog.New("identity_mismatch")
		}
		pin.Proved = true // a person has compared it with the console's
	}
	device, err := l.meet(ctx, n.At, pin)
	if err != nil {
		return owned{}, err
	}
	o, err := a.prove(ctx, l, device, f, json)
	return owned{Owner: o, nas: n, device: device}, err
}

// prove speaks with the owner key, or as the administrator that was named; at a
// terminal it asks where the key is not known.
func (a *app) prove(ctx context.Context, l *lan, device *native.Device, f ownerFlags, json bool) (*native.Owner, error) {
	if f.as == "" {
		key, err := l.keys.OwnerKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		return device.Owner(ctx, native.Proof{Key: key})
	}
	password, err := a.passwordOf(ctx, f, json)
	if err != nil {
		return nil, err
	}
	return device.Owner(ctx, native.Proof{Account: f.as, Password: password})
}

func (a *app) passwordOf(ctx context.Context, f ownerFlags, json bool) (access.Secret, error) {
	if f.passwordFile != "" {
		return readPassword(f.passwordFile)
	}
	person, err := a.atTerminal(json, "Give --password-file FILE.")
	if err != nil {
		return access.Secret{}, err
	}
	answer, err := person.Choose(ctx, rescue.Question{ID: rescue.AskPassword, Account: f.as, Text: "The password of " + printable.Clean(f.as) + "."})
	if err == nil && answer.Password.Empty() {
		err = catalog.New("usage", "No password was given, so nothing was sent.")
	}
	return answer.Password, err
}

// atTerminal is the person at the terminal; without one it is the problem
// no_terminal, which says what to give instead.
func (a *app) atTerminal(json bool, instead string) (rescue.Person, error) {
	tty, ok := a.tty()
	if !ok {
		return nil, catalog.New("no_terminal", instead)
	}
	return terminal.New(tty, a.screen(json, tty), a.clock, nil, a.end), nil
}

const (
	followPause    = 250 * time.Millisecond
	followPatience = 2 * time.Minute
)

// follow waits for the end of a transaction that this conversation began.
func (a *app) follow(ctx context.Context, o owned, transaction string) (deviceapi.ProgressReply, error) {
	begun := a.clock.Monotonic()
	for {
		var p deviceapi.ProgressReply
		err := o.Call(ctx, deviceapi.OwnerProgress, deviceapi.ProgressCall{Transaction: transaction}, &p)
		switch {
		case err == nil && p.Done && p.Problem != nil:
			return p, *p.Problem
		case err == nil && p.Done:
			return p, nil
		case err != nil && !errors.Is(err, catalog.New("unreachable")), a.clock.Monotonic()-begun > followPatience:
			return p, catalog.New("not_verified", "how it ended could not be asked").Because(err)
		}
		select {
		case <-ctx.Done():
			return p, ctx.Err()
		case <-a.clock.After(followPause):
		}
	}
}
