package authenticator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting/ownfile"
	"github.com/paperclip-nas/paperclip/internal/device/setting/saved"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// kept is what a snapshot holds: who has a second factor, and nothing of it.
type kept struct {
	Users []string `json:"users"`
}

// Save is the accounts with a second factor.
func (a *Adapter) Save(context.Context) (json.RawMessage, error) {
	data, err := a.fsys.ReadFile("/etc/passwd")
	if err != nil {
		return nil, fmt.Errorf("read the accounts: %w", err)
	}
	k := kept{Users: []string{}}
	for line := range strings.Lines(string(data)) {
		user, _, _ := strings.Cut(line, ":")
		home, err := a.home(user)
		if err != nil || home == "" || !plain(user) || slices.Contains(k.Users, user) {
			continue
		}
		switch _, err := a.fsys.Lstat(path.Join(home, secrets)); {
		case err == nil:
			k.Users = append(k.Users, user)
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission):
			return nil, err
		}
	}
	return saved.Encode(ID, k)
}

// PrepareRestore gives one step for each account that had a second factor, has
// none, and whose file is still kept on the device. It never takes one away.
func (a *Adapter) PrepareRestore(_ context.Context, raw json.RawMessage) ([]reset.Step, error) {
	var k kept
	if err := saved.Decode(raw, ID, &k); err != nil {
		return nil, err
	}
	if k.Users == nil {
		return nil, saved.Refuse("it holds no value")
	}
	var steps []reset.Step
	for i, user := range k.Users {
		if !plain(user) || slices.Contains(k.Users[:i], user) {
			return nil, saved.Refuse("%.40q is no account, or stands there twice", user)
		}
		c, err := a.back(user)
		if err != nil {
			return nil, err
		}
		if c == nil {
			continue
		}
		step, err := saved.Step(a, "second factor of "+user, *c)
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
	}
	return steps, nil
}

// back is the change that gives an account its factor back; nil where it has
// one, or where there is no such account any more.
func (a *Adapter) back(user string) (*change, error) {
	home, uid, gid, err := a.person(user)
	if err != nil || home == "" {
		return nil, err
	}
	const onlyOwner = 0o400 // as the module itself writes it
	c := change{User: user, File: path.Join(home, secrets), Mode: onlyOwner, UID: uid, GID: gid, Back: true}
	now, err := a.load(c.File)
	if err != nil || now != nil {
		return nil, err
	}
	data, err := a.load(c.kept())
	if err != nil {
		return nil, err
	}
	if data == nil {
		return nil, saved.Refuse("%s had a second factor, whose secret is kept nowhere: it has to be set up anew", user)
	}
	c.Sum = sum(data)
	c.Mark, err = ownfile.Read(a.fsys, c.mark())
	return &c, err
}

// person is an account's home directory, user and group; "" for none.
func (a *Adapter) person(user string) (home string, uid, gid int, err error) {
	data, err := a.fsys.ReadFile("/etc/passwd")
	if err != nil {
		return "", 0, 0, fmt.Errorf("read the accounts: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Split(strings.TrimRight(line, "\r\n"), ":")
		if len(f) != 7 || f[0] != user || !path.IsAbs(f[5]) {
			continue
		}
		uid, err1 := strconv.Atoi(f[2])
		gid, err2 := strconv.Atoi(f[3])
		return f[5], uid, gid, errors.Join(err1, err2)
	}
	return "", 0, 0, nil
}
