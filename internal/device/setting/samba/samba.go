// Package samba replaces an administrator's password in Samba's own account
// database (E1), which SMB sign-ins use instead of the shadow file.
//
// It changes one account: its hash, the time of the last change, and the marks
// that say disabled, locked out or no password needed. All else of the account
// and every other account stays. It starts only from the recorded hash, which
// the writing program compares once more.
//
// # How a hash is written
//
// An NT hash is as good as the password: who has it signs in. So it must not
// be an argument, which every local user can read:
//
//   - "pdbedit --set-nt-hash=HASH" is one, and has no other way in.
//   - "pdbedit -i smbpasswd:FILE" keeps it out of sight, but replaces the whole
//     account: its SID and full name are lost (seen with Samba 4.17).
//   - "pdbedit -i tdbsam:FILE" into a tdbsam database does nothing: one process
//     opens one tdbsam (seen with 4.17).
//   - "smbpasswd -s" wants the password itself, which is gone after a power cut.
//
// Left are Samba's own Python bindings, which Debian's samba package depends
// on: a short script of ours gets the request on its standard input, changes
// the one account through Samba's library, and so within Samba's own lock and
// transaction. Reading back is pdbedit's, another program.
//
// Where a hard reset makes a new administrator's account, that one gets an SMB
// account too, which an undo takes away again; it is the only one that the
// package ever makes or deletes. It never sets a blank password, and never
// touches a database that is not on this machine (LDAP, a domain controller's).
package samba

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// ID is the adapter's name in steps and operations.
const ID = "samba"

// script is the program that changes one account.
//
//go:embed set.py
var script string

// Exit statuses of the script.
const (
	exitDone    = 0
	exitThird   = 3
	exitMissing = 4
	exitNoTool  = 5
)

// Config is what an Adapter is built from. Runner and Clock are required; the
// rest is for tests.
type Config struct {
	Runner     opfs.Runner
	Clock      clock.Clock
	ConfigFile string // "/etc/samba/smb.conf" when empty
	Pdbedit    string // "pdbedit" when empty
	Python     string // "/usr/bin/python3" when empty: the one that has the bindings
	// Ordinary tells the accounts of people who are no administrators: those
	// that a snapshot holds. Nil: it holds none.
	Ordinary func(context.Context) (func(name string) bool, error)
}

// Adapter is Samba's account database.
type Adapter struct{ cfg Config }

// New is the adapter of this system's Samba. It has no side effect.
func New(cfg Config) *Adapter {
	for _, d := range []struct {
		field *string
		value string
	}{
		{&cfg.ConfigFile, "/etc/samba/smb.conf"},
		{&cfg.Pdbedit, "pdbedit"},
		{&cfg.Python, "/usr/bin/python3"},
	} {
		if *d.field == "" {
			*d.field = d.value
		}
	}
	return &Adapter{cfg}
}

// ID is "samba".
func (a *Adapter) ID() string { return ID }

// Effects are E1, and in a hard reset H3.
func (a *Adapter) Effects() []nas.Effect { return []nas.Effect{nas.E1, nas.H3} }

// Detect says whether Samba is here with a database that can be changed.
func (a *Adapter) Detect(ctx context.Context) (reset.Found, error) {
	found := reset.Found{What: "Samba's account database"}
	if err := a.probe(ctx); err != nil {
		found.Why, found.Blocked = err.Error(), true
		if _, err := a.lookUp(ctx, "root"); errors.Is(err, opfs.ErrNoCommand) {
			found.Why, found.Blocked = "Samba is not installed", false
		}
		return found, nil
	}
	found.Present = true
	return found, nil
}

// Read adds nothing: the accounts are the system's, which package shadow reads.
func (a *Adapter) Read(context.Context, *nas.Settings) error { return nil }

// value is what a reset replaces of an account.
type value struct {
	NT         string `json:"nt"` // hex, upper case; "" where there is none
	Disabled   bool   `json:"disabled"`
	NoPassword bool   `json:"no_password"`
	Changed    int64  `json:"changed"` // Unix seconds
}

// change is what a step's Data holds.
type change struct {
	User string `json:"user"`
	From value  `json:"from"`
	To   value  `json:"to"`
	New  bool   `json:"new,omitempty"` // there is no account before
}

// Prepare hashes the new password, where the administrator has an SMB account
// with a password. Where there is one that cannot be changed, it is an error: the old password
// would go on opening the shares.
func (a *Adapter) Prepare(ctx context.Context, r setting.Request) ([]reset.Step, error) {
	if r.Mode == reset.Account && r.Scope != reset.SetPassword {
		return a.prepareSwitch(ctx, r)
	}
	if !reset.SetsPassword(r.Mode, r.Scope) {
		return nil, nil
	}
	if r.Password.Empty() {
		return nil, errors.New("a blank password is never set")
	}
	prepare := a.password
	if r.Mode == reset.Hard && r.Wizard.NewAdministrator {
		prepare = a.account
	}
	steps, err := prepare(ctx, r)
	if err != nil || !slices.Contains(reset.Effects(r.Mode, r.Scope), nas.H3) {
		return steps, err
	}
	locks, err := a.locks(ctx, r.Administrator)
	return append(steps, locks...), err
}

// locks are the steps that disable every other account that a password opens
// (H3), root's too: over SMB it is nobody at the console.
func (a *Adapter) locks(ctx context.Context, administrator string) ([]reset.Step, error) {
	names, all, err := a.list(ctx)
	if err != nil {
		return nil, err
	}
	var steps []reset.Step
	for _, name := range names {
		old := all[name]
		if name == administrator || strings.HasSuffix(name, "$") || old.NT == "" || old.Disabled && !old.NoPassword {
			continue
		}
		locked := old
		locked.Disabled, locked.NoPassword = true, false
		data, err := json.Marshal(change{User: name, From: old, To: locked})
		if err != nil {
			return nil, err
		}
		steps = append(steps, reset.Step{Name: "account of " + name + " in Samba", Adapter: ID, Effects: []nas.Effect{nas.H3}, Data: data})
	}
	if len(steps) == 0 {
		return nil, nil
	}
	if err := a.probe(ctx); err != nil { // now, and not when half of it is done
		return nil, fmt.Errorf("accounts for SMB (%d) cannot be locked: %w", len(steps), err)
	}
	return steps, nil
}

// password is the step of the administrator, where there is one.
func (a *Adapter) password(ctx context.Context, r setting.Request) ([]reset.Step, error) {
	old, err := a.lookUp(ctx, r.Administrator)
	if errors.Is(err, opfs.ErrNoCommand) || errors.Is(err, errNoAccount) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if old.NT == "" {
		return nil, nil // no password opens this account, so none is to be replaced
	}
	if err := a.probe(ctx); err != nil {
		return nil, fmt.Errorf("%s has a password for SMB that cannot be replaced: %w", r.Administrator, err)
	}
	return a.renewed(r, change{User: r.Administrator, From: old})
}

// renewed is the step that gives an account the new password.
func (a *Adapter) renewed(r setting.Request, c change) ([]reset.Step, error) {
	hash, err := ntHash(r.Password.Reveal())
	if err != nil {
		return nil, err
	}
	// A time of 0 would force another change; a clock that lost its time must
	// not set one before the last.
	c.To = value{NT: hash, Changed: max(a.cfg.Clock.Now().Unix(), c.From.Changed, 1)}
	data, err := json.Marshal(c)
	return []reset.Step{{Name: "password of " + c.User + " in Samba", Adapter: ID, Effects: []nas.Effect{nas.E1}, Data: data}}, err
}

// account is the step that makes an SMB account for a new administrator. Where
// Samba's database cannot be changed there is none, as the plan says.
func (a *Adapter) account(ctx context.Context, r setting.Request) ([]reset.Step, error) {
	_, err := a.lookUp(ctx, r.Administrator)
	switch {
	case err == nil: // whose password opens it is not known
		return nil, catalog.New("account_name", "Samba has an account "+r.Administrator+" already")
	case errors.Is(err, opfs.ErrNoCommand):
		return nil, nil
	case !errors.Is(err, errNoAccount):
		return nil, err
	case a.probe(ctx) != nil:
		return nil, nil
	}
	return a.renewed(r, change{User: r.Administrator, New: true})
}

// Persist writes the new hash.
func (a *Adapter) Persist(ctx context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	return a.set(ctx, "samba.persist.set", request{Action: c.action("make"), User: c.User, From: c.From, To: c.To})
}

// Undo writes the old hash again.
func (a *Adapter) Undo(ctx context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	return a.set(ctx, "samba.undo.set", request{Action: c.action("unmake"), User: c.User, From: c.To, To: c.From})
}

// action is what the script does: set, but for an account that is made.
func (c change) action(made string) string {
	if c.New {
		return made
	}
	return "set"
}

// Activate has nothing to do: every new SMB session reads the database.
func (a *Adapter) Activate(context.Context, reset.Step) error { return nil }

// Verify reads the account back with pdbedit.
func (a *Adapter) Verify(ctx context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	now, err := a.lookUp(ctx, c.User)
	if err != nil {
		return err
	}
	if now != c.To {
		return fmt.Errorf("Samba's database does not hold what was written for %s", c.User)
	}
	return nil
}

func read(s reset.Step) (change, error) {
	var c change
	if err := json.Unmarshal(s.Data, &c); err != nil || c.User == "" || (c.From.NT == "") != c.New || c.To.NT == "" {
		return change{}, fmt.Errorf("the step %q is not one of Samba's: %w", s.Name, setting.ErrPermanent)
	}
	return c, nil
}

// request is what the script reads.
type request struct {
	Action  string `json:"action"`
	Config  string `json:"config"`
	Pdbedit string `json:"pdbedit"`
	User    string `json:"user,omitempty"`
	From    value  `json:"from"`
	To      value  `json:"to"`
}

func (a *Adapter) run(ctx context.Context, op string, r request) (opfs.Output, error) {
	r.Config, r.Pdbedit = a.cfg.ConfigFile, a.cfg.Pdbedit
	stdin, err := json.Marshal(r)
	if err != nil {
		return opfs.Output{}, err
	}
	return a.cfg.Runner.Run(ctx, op, opfs.Command{Path: a.cfg.Python, Args: []string{"-I", "-c", script}, Stdin: stdin})
}

// set takes one account from one value to another. The script itself finds out
// whether that is done already.
func (a *Adapter) set(ctx context.Context, op string, r request) error {
	out, err := a.run(ctx, op, r)
	if err != nil {
		return err
	}
	switch out.ExitCode {
	case exitDone:
		return nil
	case exitThird:
		return fmt.Errorf("%s's password in Samba: %w", r.User, setting.ErrThirdValue)
	case exitMissing:
		return fmt.Errorf("%s has no account in Samba any more: %w", r.User, setting.ErrThirdValue)
	}
	return fmt.Errorf("Samba's database was not changed (status %d)", out.ExitCode)
}

// probe asks, in one program, which database Samba uses and whether pdbedit is
// there, which also shows that the bindings are.
func (a *Adapter) probe(ctx context.Context) error {
	out, err := a.run(ctx, "samba.detect.bindings", request{Action: "probe"})
	if err == nil && out.ExitCode == exitNoTool {
		return fmt.Errorf("Samba's tool pdbedit (Debian: samba-common-bin) is not here: %w", setting.ErrPermanent)
	}
	if err != nil || out.ExitCode != exitDone {
		return fmt.Errorf("Samba's Python bindings (Debian: python3-samba) do not work here: %w", setting.ErrPermanent)
	}
	backend, _, _ := strings.Cut(strings.TrimSpace(string(out.Stdout)), ":")
	if backend != "tdbsam" && backend != "smbpasswd" {
		return fmt.Errorf("Samba keeps its accounts in %q, not in a database of this machine: %w", backend, setting.ErrPermanent)
	}
	return nil
}
