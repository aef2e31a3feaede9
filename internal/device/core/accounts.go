package core

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// Marker is an Accounts that can tell one password of an account from the next.
type Marker interface {
	// Mark is a name for the password that the account has now. It changes with
	// the password, whoever sets it, and says nothing of it.
	Mark(ctx context.Context, user string) (string, error)
}

// witnesses are the administrators who have really signed in to this device, and
// with which password: what an account may be switched off on (X24). It is on
// disk, and holds marks, no passwords.
type witnesses struct {
	fsys opfs.FS
	file string
	kept witnessFile
}

type witnessFile struct {
	Version int                `json:"version"`
	Users   map[string]witness `json:"users"`
}

type witness struct {
	Mark string    `json:"mark"`
	At   time.Time `json:"at"`
}

// witnessesKept bounds the list; who signed in longest ago goes.
const witnessesKept = 64

func loadWitnesses(fsys opfs.FS, dir string) (*witnesses, error) {
	w := &witnesses{fsys: fsys, file: path.Join(dir, "signed-in.json"), kept: witnessFile{Version: 1}}
	if err := readState(fsys, w.file, &w.kept); err != nil {
		return nil, err
	}
	if w.kept.Version != 1 {
		return nil, fmt.Errorf("%s is of version %d, not 1", w.file, w.kept.Version)
	}
	return w, nil
}

// note takes down that an administrator has signed in. One that is known with
// the same password is not written again.
func (w *witnesses) note(user, mark string, at time.Time) error {
	if w.kept.Users[user].Mark == mark {
		return nil
	}
	next := witnessFile{Version: 1, Users: maps.Clone(w.kept.Users)}
	if next.Users == nil {
		next.Users = map[string]witness{}
	}
	next.Users[user] = witness{mark, at.UTC().Truncate(time.Second)}
	for len(next.Users) > witnessesKept {
		oldest := slices.MinFunc(slices.Collect(maps.Keys(next.Users)), func(a, b string) int { return next.Users[a].At.Compare(next.Users[b].At) })
		delete(next.Users, oldest)
	}
	if err := writeState(w.fsys, "signed_in", w.file, next); err != nil {
		return err
	}
	w.kept = next
	return nil
}

// mark is the mark of an account's password now; empty where nobody can tell.
func (c *Core) mark(ctx context.Context, user string) string {
	m, ok := c.cfg.Accounts.(Marker)
	if !ok {
		return ""
	}
	mark, err := m.Mark(ctx, user)
	if err != nil {
		return ""
	}
	return mark
}

// witnessed takes a sign-in of an administrator down. That it cannot keeps
// nobody from signing in.
func (c *Core) witnessed(user, mark string) {
	if mark == "" {
		return
	}
	if err := c.witnesses.note(user, mark, c.cfg.Clock.Now()); err != nil {
		c.cfg.Log.Error("a sign-in could not be taken down", "administrator", user, "error", err)
	}
}

// provedToSignIn are the administrators who have really signed in with the
// password that they have now.
func (c *Core) provedToSignIn(ctx context.Context, s nas.Settings) ([]string, error) {
	var known map[string]witness
	if err := c.do(ctx, func() error { known = maps.Clone(c.witnesses.kept.Users); return nil }); err != nil {
		return nil, err
	}
	var out []string
	for _, a := range s.Administrators() {
		if w, ok := known[a.Name]; ok && w.Mark == c.mark(ctx, a.Name) {
			out = append(out, a.Name)
		}
	}
	return out, nil
}

// ownerAccounts lists the administrators for one of them.
func (c *Core) ownerAccounts(ctx context.Context, t *conversation, _ deviceapi.Empty) (deviceapi.AccountsReply, error) {
	reply := deviceapi.AccountsReply{Accounts: []deviceapi.AccountInfo{}}
	var s nas.Settings
	if err := c.readSettings(ctx, &s); err != nil {
		return reply, err
	}
	proved, err := c.provedToSignIn(ctx, s)
	if err != nil {
		return reply, err
	}
	return in(ctx, c, func() (deviceapi.AccountsReply, error) {
		for _, a := range s.Administrators() {
			reply.Accounts = append(reply.Accounts, deviceapi.AccountInfo{
				Name: a.Name, BuiltIn: a.BuiltIn, Enabled: a.Enabled, SecondFactor: a.SecondFactor,
				SignedIn: slices.Contains(proved, a.Name), Codes: c.codes.left(a.Name), You: a.Name == t.caller.account,
			})
		}
		return reply, nil
	})
}

// ownerAccount changes an administrator's account at the wish of one of them: by
// the same transaction as a reset, with a receipt, and never so that nobody is
// left who can sign in (R3 R4 X24).
func (c *Core) ownerAccount(ctx context.Context, t *conversation, q deviceapi.AccountCall) (deviceapi.AccountReply, error) {
	none := deviceapi.AccountReply{}
	if !slices.Contains(reset.AccountActions(), q.Action) {
		return none, catalog.New("bad_message", "its action is not known")
	}
	ctx = opfs.KeepAnswers(ctx)
	before, err := in(ctx, c, func() (uint64, error) { return c.turns, nil })
	if err != nil {
		return none, err
	}
	s, err := surveyed(ctx, c.cfg.Adapters)
	if err != nil {
		return none, err
	}
	if err := c.mayAct(ctx, s.settings, q); err != nil {
		return none, err
	}
	plan := reset.BuildAccount(c.name(), q.Action, q.Account, s.settings)
	by := authority{conversation: t}
	if q.Action == reset.SetPassword {
		if err := c.judge(s, plan, q.NewPassword); err != nil {
			return none, err
		}
		if q.Account == t.caller.account { // the keys of before go, but for the one that asks
			by.ownerKey = t.caller.key
		}
	}
	began, err := c.accept(ctx, plan, q.NewPassword, by, func() error {
		if c.turns != before { // who is left to sign in was judged by the settings of before
			return catalog.New("plan_changed")
		}
		return nil
	})
	if err != nil {
		return none, err
	}
	c.cfg.Log.Info("an administrator changes an account", "administrator", t.caller.account, "account", q.Account, "action", string(q.Action), "transaction", began.id)
	return deviceapi.AccountReply{Transaction: began.id, Plan: plan}, nil
}

// mayAct refuses what would do nothing, or leave nobody who can sign in.
func (c *Core) mayAct(ctx context.Context, s nas.Settings, q deviceapi.AccountCall) error {
	a, ok := s.Account(q.Account)
	if !ok || !a.Administrator {
		return catalog.New("unknown_administrator", q.Account)
	}
	if q.Action != reset.SetPassword && !q.NewPassword.Empty() {
		return catalog.New("bad_message", "a password that nothing uses")
	}
	if q.Action == reset.SwitchOff && !a.Enabled || q.Action == reset.SwitchOn && a.Enabled {
		return catalog.New("account_is_so", a.Name)
	}
	proved, err := c.provedToSignIn(ctx, s)
	if err != nil {
		return err
	}
	if !reset.MayAct(q.Action, s, q.Account, proved) {
		return catalog.New("no_proved_way_in")
	}
	return nil
}

// endsSessions reports whether what the account had open goes with a record.
func endsSessions(m reset.Mode, s reset.Scope) bool {
	return reset.SetsPassword(m, s) || m == reset.Account && s == reset.SwitchOff
}
