package samba

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting/saved"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// account is what a snapshot holds of one person's account for SMB.
type account struct {
	Name string `json:"name"`
	value
}

// kept is what a snapshot holds.
type kept struct {
	Accounts []account `json:"accounts"`
}

// list reads all accounts with pdbedit.
func (a *Adapter) list(ctx context.Context) (names []string, all map[string]value, err error) {
	out, err := a.cfg.Runner.Run(ctx, "samba.save.list", opfs.Command{
		Path: a.cfg.Pdbedit, Args: []string{"-s", a.cfg.ConfigFile, "-d", "0", "-L", "-w"},
	})
	if errors.Is(err, opfs.ErrNoCommand) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	if out.ExitCode != 0 {
		return nil, nil, fmt.Errorf("Samba's accounts cannot be read: pdbedit ended with status %d", out.ExitCode)
	}
	all = make(map[string]value)
	for line := range strings.Lines(string(out.Stdout)) {
		name, _, ok := strings.Cut(line, ":")
		v, err := parseEntry(strings.TrimRight(line, "\r\n"))
		if !ok || err != nil {
			continue // a machine's account, or a line that nobody can read
		}
		names, all[name] = append(names, name), v
	}
	return names, all, nil
}

func (a *Adapter) ordinary(ctx context.Context) (func(string) bool, error) {
	if a.cfg.Ordinary == nil {
		return func(string) bool { return false }, nil
	}
	return a.cfg.Ordinary(ctx)
}

// Save is the accounts with a password of people who are no administrators.
func (a *Adapter) Save(ctx context.Context) (json.RawMessage, error) {
	ordinary, err := a.ordinary(ctx)
	if err != nil {
		return nil, err
	}
	names, all, err := a.list(ctx)
	if err != nil {
		return nil, err
	}
	k := kept{Accounts: []account{}}
	for _, name := range names {
		if ordinary(name) && all[name].NT != "" {
			k.Accounts = append(k.Accounts, account{name, all[name]})
		}
	}
	return saved.Encode(ID, k)
}

var plainHash = regexp.MustCompile(`^[0-9A-F]{32}$`)

// PrepareRestore gives one step for each account that is still here with a
// password, is no administrator's, and is another one. The mark that an account
// needs no password is not given back.
func (a *Adapter) PrepareRestore(ctx context.Context, raw json.RawMessage) ([]reset.Step, error) {
	var k kept
	if err := saved.Decode(raw, ID, &k); err != nil {
		return nil, err
	}
	if k.Accounts == nil {
		return nil, saved.Refuse("it holds no value")
	}
	ordinary, err := a.ordinary(ctx)
	if err != nil {
		return nil, err
	}
	_, all, err := a.list(ctx)
	if err != nil {
		return nil, err
	}
	var steps []reset.Step
	seen := make(map[string]bool)
	for _, x := range k.Accounts {
		if seen[x.Name] || !plainHash.MatchString(x.NT) || x.Changed < 0 {
			return nil, saved.Refuse("the account %.40q is malformed, or stands there twice", x.Name)
		}
		seen[x.Name] = true
		now, here := all[x.Name]
		if x.NoPassword = x.NoPassword && now.NoPassword; !here || !ordinary(x.Name) || now.NT == "" || now == x.value {
			continue
		}
		step, err := saved.Step(a, "account of "+x.Name+" in Samba", change{User: x.Name, From: now, To: x.value})
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
	}
	if len(steps) == 0 {
		return nil, nil
	}
	return steps, a.probe(ctx)
}
