// Package shadow replaces an administrator's password in the system's shadow
// file (E1), checks passwords against it, and in a hard reset locks every other
// person's account (H3).
//
// It changes three fields of one line (the hash, the day of the last change,
// and an expiry day that has passed), under the lock that the system's own
// tools take (/etc/.pwd.lock, as lckpwdf does), and only from the value that
// was recorded when the step was prepared. Every other byte of the file stays:
// other accounts, comments, order, lines it cannot read. The new hash is of a
// style that the file already uses, because an old system's crypt(3) may not
// know a newer one.
//
// Where the set-up wizard of a hard reset asks for a new administrator it makes
// that account: lines in the passwd, group, gshadow and shadow files and an empty
// home folder below [Homes], with a name and a number that nothing has. Only so
// does it add an account, and only that one does it take away, in an undo.
//
// It never writes a blank password, never accepts one, and never puts a password
// on disk: a step holds hashes.
package shadow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// ID is the adapter's name in steps and operations.
const ID = "shadow"

// Config is what an Adapter is built from. FS, Clock and Rand are required.
type Config struct {
	FS    opfs.FS
	Clock clock.Clock
	Rand  io.Reader // for salts: a cryptographic source
	// AdminGroup is the group whose human members are administrators: "sudo"
	// when empty. root always is one.
	AdminGroup string
	// LockWait is how long to wait for another program's lock: 15 s when zero,
	// as lckpwdf does.
	LockWait time.Duration
}

// Adapter is the shadow file.
type Adapter struct{ cfg Config }

// New is the adapter of the system below cfg.FS. It has no side effect.
func New(cfg Config) *Adapter {
	if cfg.AdminGroup == "" {
		cfg.AdminGroup = "sudo"
	}
	if cfg.LockWait == 0 {
		cfg.LockWait = 15 * time.Second
	}
	return &Adapter{cfg}
}

const (
	shadowFile = "/etc/shadow"
	lockFile   = "/etc/.pwd.lock"
)

// ID is "shadow".
func (a *Adapter) ID() string { return ID }

// Effects are E1, and in a hard reset H3.
func (a *Adapter) Effects() []nas.Effect { return []nas.Effect{nas.E1, nas.H3} }

// Detect says whether there is a shadow file with an administrator in it.
func (a *Adapter) Detect(context.Context) (reset.Found, error) {
	found := reset.Found{What: "shadow file"}
	if err := atomicfile.Check(a.cfg.FS, shadowFile); err != nil {
		found.Why, found.Blocked = "the shadow file cannot be replaced safely: "+err.Error(), true
		return found, nil
	}
	accounts, err := a.accounts()
	if err != nil {
		found.Why, found.Blocked = "the accounts cannot be read: "+err.Error(), true
		return found, nil
	}
	for _, acc := range accounts {
		if acc.Administrator {
			found.Present = true
			return found, nil
		}
	}
	found.Why = fmt.Sprintf("no account of group %s has a line in the shadow file", a.cfg.AdminGroup)
	return found, nil
}

// Read fills the accounts of people: root, and those with a user id from 1000
// on that have a line in the shadow file.
func (a *Adapter) Read(_ context.Context, s *nas.Settings) error {
	accounts, err := a.accounts()
	if err != nil {
		return err
	}
	s.Accounts = accounts
	return nil
}

// change is what a step's Data holds that is about a line of the shadow file.
type change struct {
	User string `json:"user"`
	From value  `json:"from"`
	To   value  `json:"to"`
	New  bool   `json:"new,omitempty"` // there is no line before
}

// Prepare hashes the new password for the chosen administrator, or switches that
// account off or on; in a hard reset it locks everybody else's account too.
func (a *Adapter) Prepare(_ context.Context, r setting.Request) ([]reset.Step, error) {
	if r.Mode == reset.Account && r.Scope != reset.SetPassword {
		return a.prepareSwitch(r)
	}
	if !reset.SetsPassword(r.Mode, r.Scope) {
		return nil, nil
	}
	if r.Password.Empty() {
		return nil, errors.New("a blank password is never set")
	}
	accounts, err := a.accounts()
	if err != nil {
		return nil, err
	}
	f, err := a.load()
	if err != nil {
		return nil, err
	}
	prepare := a.password
	if r.Mode == reset.Hard && r.Wizard.NewAdministrator {
		prepare = a.account
	}
	steps, err := prepare(r, f, accounts)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(reset.Effects(r.Mode, r.Scope), nas.H3) {
		return steps, nil
	}
	locks, err := a.locks(f, accounts, r.Administrator)
	return append(steps, locks...), err
}

// password is the step that gives an administrator another one.
func (a *Adapter) password(r setting.Request, f *file, accounts []nas.Account) ([]reset.Step, error) {
	known, _ := nas.Settings{Accounts: accounts}.Account(r.Administrator)
	if !known.Administrator {
		return nil, fmt.Errorf("%q is not an administrator's account in the shadow file: %w", r.Administrator, setting.ErrPermanent)
	}
	old, err := f.value(r.Administrator)
	if err != nil {
		return nil, err
	}
	hash, err := mint(a.cfg.Rand, r.Password.Reveal(), pickStyle(old.Hash, f.hashes()))
	if err != nil {
		return nil, err
	}
	step, err := change{User: r.Administrator, From: old, To: old.renewed(hash, a.today())}.step()
	return []reset.Step{step}, err
}

// account is the steps that make a new administrator's account: first the
// account, then its line in the shadow file, without which nobody signs in.
func (a *Adapter) account(r setting.Request, f *file, accounts []nas.Account) ([]reset.Step, error) {
	n, err := a.draft(r.Administrator, accounts)
	if err != nil {
		return nil, err
	}
	hash, err := mint(a.cfg.Rand, r.Password.Reveal(), pickStyle("", f.hashes()))
	if err != nil {
		return nil, err
	}
	account, err1 := n.step()
	day := strconv.FormatInt(max(a.today(), 1), 10)
	password, err2 := change{User: n.Name, New: true, To: value{Hash: hash, Changed: day}}.step()
	return []reset.Step{account, password}, errors.Join(err1, err2)
}

func (c change) step() (reset.Step, error) {
	data, err := json.Marshal(c)
	return reset.Step{Name: "password of " + c.User + " in the shadow file", Adapter: ID, Effects: []nas.Effect{nas.E1}, Data: data}, err
}

// Persist makes the account, or writes the new hash.
func (a *Adapter) Persist(ctx context.Context, s reset.Step) error {
	const op = "shadow.persist"
	if n, ok := readAccount(s); ok {
		return a.locked(ctx, op, func() error { return a.makeAccount(n) })
	}
	c, err := read(s)
	if err != nil {
		return err
	}
	return a.locked(ctx, op, func() error { return a.move(op, c.User, c.old(), &c.To) })
}

// Undo takes the account away again, or writes the old hash.
func (a *Adapter) Undo(ctx context.Context, s reset.Step) error {
	const op = "shadow.undo"
	if n, ok := readAccount(s); ok {
		return a.locked(ctx, op, func() error { return a.unmakeAccount(n) })
	}
	c, err := read(s)
	if err != nil {
		return err
	}
	return a.locked(ctx, op, func() error { return a.move(op, c.User, &c.To, c.old()) })
}

// old is the value before; nil where there was no line.
func (c change) old() *value {
	if c.New {
		return nil
	}
	return &c.From
}

// Activate has nothing to do: every sign-in reads the file anew.
func (a *Adapter) Activate(context.Context, reset.Step) error { return nil }

// Verify reads the file again.
func (a *Adapter) Verify(_ context.Context, s reset.Step) error {
	if n, ok := readAccount(s); ok {
		return a.verifyAccount(n)
	}
	c, err := read(s)
	if err != nil {
		return err
	}
	f, err := a.load()
	if err != nil {
		return err
	}
	now, err := f.value(c.User)
	if err != nil {
		return err
	}
	if now != c.To {
		return fmt.Errorf("the shadow file does not hold what was written for %s", c.User)
	}
	return nil
}

func read(s reset.Step) (change, error) {
	var c change
	if err := json.Unmarshal(s.Data, &c); err != nil || c.User == "" {
		return change{}, fmt.Errorf("the step %q is not one of the shadow file's: %w", s.Name, setting.ErrPermanent)
	}
	return c, nil
}

// locked does something under the lock of the system's own tools.
func (a *Adapter) locked(ctx context.Context, op string, do func() error) error {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.LockWait)
	defer cancel()
	release, err := a.cfg.FS.Lock(ctx, op+".lock", lockFile)
	if err != nil {
		return fmt.Errorf("the accounts are being changed by another program: %w", err)
	}
	defer release()
	return do()
}

// move takes one account's line from one value to another; nil is no line.
func (a *Adapter) move(op, user string, from, to *value) error {
	f, err := a.load()
	if err != nil {
		return err
	}
	now, err := f.value(user)
	there := &now
	if errors.Is(err, errNoEntry) && (from == nil || to == nil) {
		there, err = nil, nil
	}
	switch {
	case err != nil:
		return err
	case same(there, to):
		return atomicfile.Settle(a.cfg.FS, op, shadowFile)
	case !same(there, from):
		return fmt.Errorf("%s's line in the shadow file: %w", user, setting.ErrThirdValue)
	case to == nil:
		f.remove(user)
	case from == nil:
		f.add(user, *to)
	default:
		f.set(user, *to)
	}
	return permanent(atomicfile.Replace(a.cfg.FS, op, shadowFile, f.bytes(), atomicfile.Options{Mode: 0o640}))
}

func same(a, b *value) bool { return a == b || a != nil && b != nil && *a == *b }

func (a *Adapter) load() (*file, error) {
	data, err := a.cfg.FS.ReadFile(shadowFile)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path.Base(shadowFile), err)
	}
	return parse(data), nil
}

// today is the day as the shadow file counts: since 1 January 1970, in UTC.
func (a *Adapter) today() int64 { return a.cfg.Clock.Now().Unix() / (24 * 60 * 60) }
