// Package faillock clears the failed sign-ins that pam_faillock has counted for
// the administrator of a claim (E8), so that the new password is not refused
// for the old one's sake.
//
// Nobody else's are touched, and counting goes on. A count is not a setting
// that somebody makes: whoever tries passwords raises it, and must not be able
// to hold up a reset by that. So it is cleared from whatever it is by then.
package faillock

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ownfile"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// ID is the adapter's name in steps and operations.
const ID = "faillock"

// Directory is where the counts are, unless faillock.conf says otherwise: one
// file for each account, gone at the next start.
const Directory = "/run/faillock"

// maxCount is the largest file of counts, in bytes; pam_faillock writes 64 for
// each failure.
const maxCount = 64 << 10

// Adapter is pam_faillock.
type Adapter struct{ fsys opfs.FS }

// New is the adapter of that system. It has no side effect.
func New(fsys opfs.FS) *Adapter { return &Adapter{fsys} }

// ID is "faillock".
func (a *Adapter) ID() string { return ID }

// Effects is E8.
func (a *Adapter) Effects() []nas.Effect { return []nas.Effect{nas.E8} }

// Detect says whether sign-ins are counted by pam_faillock.
func (a *Adapter) Detect(context.Context) (reset.Found, error) {
	found := reset.Found{What: "pam_faillock"}
	entries, err := a.fsys.ReadDir("/etc/pam.d")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return found, err
	}
	for _, e := range entries {
		data, err := a.fsys.ReadFile(path.Join("/etc/pam.d", e.Name()))
		if err == nil && uses(string(data)) {
			found.Present, found.Counts = true, true
			return found, nil
		}
	}
	found.Why = "no service counts failed sign-ins with pam_faillock"
	return found, nil
}

func uses(text string) bool {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		if strings.Contains(line, "pam_faillock.so") {
			return true
		}
	}
	return false
}

// Read adds nothing: counts are of accounts, and auto block is of addresses.
func (a *Adapter) Read(context.Context, *nas.Settings) error { return nil }

// file is where an account's failures are counted.
func (a *Adapter) file(user string) string {
	dir := Directory
	data, err := a.fsys.ReadFile("/etc/security/faillock.conf")
	if err != nil {
		return path.Join(dir, user)
	}
	for line := range strings.Lines(string(data)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if value = strings.TrimSpace(value); ok && strings.TrimSpace(key) == "dir" && path.IsAbs(value) {
			dir = value
		}
	}
	return path.Join(dir, user)
}

// change is what a step's Data holds.
type change struct {
	User string `json:"user"`
	File string `json:"file"`
	From []byte `json:"from"` // the counts, in pam_faillock's own form
}

// Prepare gives the one step, where failures of the administrator are counted.
func (a *Adapter) Prepare(_ context.Context, r setting.Request) ([]reset.Step, error) {
	if !slices.Contains(reset.Effects(r.Mode, r.Scope), nas.E8) || !plain(r.Administrator) {
		return nil, nil
	}
	file := a.file(r.Administrator)
	if err := atomicfile.Check(a.fsys, file); err != nil {
		return nil, fmt.Errorf("%w: %w", setting.ErrPermanent, err)
	}
	now, err := a.load(file)
	if err != nil || len(now) == 0 {
		return nil, err
	}
	data, err := json.Marshal(change{r.Administrator, file, now})
	if err != nil {
		return nil, err
	}
	return []reset.Step{{Name: "failed sign-ins of " + r.Administrator, Adapter: ID, Effects: a.Effects(), Data: data}}, nil
}

// plain keeps a name from leading elsewhere.
func plain(user string) bool {
	return user != "" && user != "." && user != ".." && !strings.ContainsAny(user, "/\x00")
}

// load is the counts now; none where there is no file.
func (a *Adapter) load(file string) ([]byte, error) {
	data, err := a.fsys.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && len(data) > maxCount {
		err = fmt.Errorf("%s is larger than pam_faillock would write: %w", file, setting.ErrPermanent)
	}
	return data, err
}

func read(s reset.Step) (change, error) {
	var c change
	if err := json.Unmarshal(s.Data, &c); err != nil || !plain(c.User) || path.Base(c.File) != c.User || !path.IsAbs(c.File) || len(c.From) == 0 {
		return change{}, fmt.Errorf("the step %q is not one of pam_faillock's: %w", s.Name, setting.ErrPermanent)
	}
	return c, nil
}

// Persist clears the count, however it stands by now.
func (a *Adapter) Persist(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	now, err := a.load(c.File)
	if err != nil {
		return err
	}
	if len(now) == 0 {
		return atomicfile.Settle(a.fsys, ID+".persist", c.File)
	}
	return ownfile.Permanent(atomicfile.Replace(a.fsys, ID+".persist", c.File, nil, atomicfile.Options{}))
}

// Undo puts the count back, where none was begun since and the system was not
// started anew, which clears it too.
func (a *Adapter) Undo(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	if _, err := a.fsys.Lstat(c.File); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	now, err := a.load(c.File)
	switch {
	case err != nil:
		return err
	case bytes.Equal(now, c.From):
		return atomicfile.Settle(a.fsys, ID+".undo", c.File)
	case len(now) > 0:
		return fmt.Errorf("failed sign-ins of %s were counted since: %w", c.User, setting.ErrThirdValue)
	}
	return ownfile.Permanent(atomicfile.Replace(a.fsys, ID+".undo", c.File, c.From, atomicfile.Options{}))
}

// Activate has nothing to do: every sign-in reads the count.
func (a *Adapter) Activate(context.Context, reset.Step) error { return nil }

// Verify reads back that the old count is gone.
func (a *Adapter) Verify(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	now, err := a.load(c.File)
	if err == nil && bytes.HasPrefix(now, c.From) {
		err = fmt.Errorf("the failed sign-ins of %s are still counted", c.User)
	}
	return err
}
