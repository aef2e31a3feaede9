// Package authenticator takes the second factor of an administrator away (E13),
// where that is google-authenticator's PAM module, and gives it back.
//
// The factor is a file of secrets in the home directory. It is moved to a place
// that only root can read, and stays there, so that the owner can have it back;
// a step holds its checksum and never its content. Other accounts' are not
// touched.
//
// It acts only on a request that asks for it by name: no scope of a reset does,
// because taking a second factor away needs a second proof or a wait.
package authenticator

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ownfile"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// ID is the adapter's name in steps and operations.
const ID = "authenticator"

// Kept is where files are that were taken away, by account.
const Kept = "/var/lib/paperclip/second-factor"

// secrets is the file's name in a home directory.
const secrets = ".google_authenticator"

// maxFile is the largest file of secrets, in bytes; usual ones have under 200.
const maxFile = 64 << 10

// Adapter is google-authenticator's PAM module.
type Adapter struct {
	fsys   opfs.FS
	wanted func(setting.Request) bool
}

// New is the adapter of that system. It has no side effect. wanted says whether
// a request asks for E13; nil is by its SecondFactor.
func New(fsys opfs.FS, wanted func(setting.Request) bool) *Adapter {
	if wanted == nil {
		wanted = func(r setting.Request) bool { return r.SecondFactor }
	}
	return &Adapter{fsys, wanted}
}

// ID is "authenticator".
func (a *Adapter) ID() string { return ID }

// Effects is E13.
func (a *Adapter) Effects() []nas.Effect { return []nas.Effect{nas.E13} }

// Detect says whether a service asks for the module's codes.
func (a *Adapter) Detect(context.Context) (reset.Found, error) {
	found := reset.Found{What: "google-authenticator"}
	entries, err := a.fsys.ReadDir("/etc/pam.d")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return found, err
	}
	for _, e := range entries {
		data, err := a.fsys.ReadFile(path.Join("/etc/pam.d", e.Name()))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			line, _, _ = strings.Cut(line, "#")
			if !strings.Contains(line, "pam_google_authenticator.so") {
				continue
			}
			if strings.Contains(line, "secret=") {
				found.Present, found.Why = false, "/etc/pam.d/"+e.Name()+" keeps its secrets elsewhere than in home directories"
				return found, nil
			}
			found.Present = true
		}
	}
	if !found.Present {
		found.Why = "no service asks for google-authenticator's codes"
	}
	return found, nil
}

// Read marks the accounts, if another adapter has filled them before, that have
// a second factor.
func (a *Adapter) Read(_ context.Context, s *nas.Settings) error {
	for i := range s.Accounts {
		home, err := a.home(s.Accounts[i].Name)
		if err != nil {
			return err
		}
		if home == "" {
			continue
		}
		_, err = a.fsys.Lstat(path.Join(home, secrets))
		s.Accounts[i].SecondFactor = s.Accounts[i].SecondFactor || err == nil
	}
	return nil
}

// home is the account's directory; "" where there is no such account.
func (a *Adapter) home(user string) (string, error) {
	home, _, _, err := a.person(user)
	return home, err
}

// change is what a step's Data holds.
type change struct {
	User string      `json:"user"`
	File string      `json:"file"`
	Sum  string      `json:"sum"` // of the content: hex SHA-256
	Mode fs.FileMode `json:"mode"`
	UID  int         `json:"uid"`
	GID  int         `json:"gid"`
	Back bool        `json:"back,omitempty"` // of a restore: from where it is kept to the home directory
}

func (c change) kept() string { return path.Join(Kept, c.User) }

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

// Prepare gives the one step, where E13 is asked for and the administrator has
// a second factor.
func (a *Adapter) Prepare(_ context.Context, r setting.Request) ([]reset.Step, error) {
	if !a.wanted(r) || !plain(r.Administrator) {
		return nil, nil
	}
	home, err := a.home(r.Administrator)
	if err != nil || home == "" {
		return nil, err
	}
	c := change{User: r.Administrator, File: path.Join(home, secrets)}
	data, err := a.load(c.File)
	if err != nil || data == nil {
		return nil, err
	}
	old, err := a.fsys.Attributes(c.File)
	if err != nil {
		return nil, err
	}
	c.Sum, c.Mode, c.UID, c.GID = sum(data), old.Mode, old.UID, old.GID
	step, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	return []reset.Step{{Name: "second factor of " + c.User, Adapter: ID, Effects: a.Effects(), Data: step}}, nil
}

// plain keeps a name from leading elsewhere.
func plain(user string) bool {
	return user != "" && user[0] != '.' && !strings.ContainsAny(user, "/\x00")
}

// load is the content of a regular file; nil where there is none.
func (a *Adapter) load(file string) ([]byte, error) {
	if err := atomicfile.Check(a.fsys, file); err != nil {
		return nil, fmt.Errorf("%w: %w", setting.ErrPermanent, err)
	}
	data, err := a.fsys.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err == nil && len(data) > maxFile:
		return nil, fmt.Errorf("%s is too large for a file of secrets: %w", file, setting.ErrPermanent)
	case data == nil && err == nil:
		data = []byte{}
	}
	return data, err
}

func read(s reset.Step) (change, error) {
	var c change
	if err := json.Unmarshal(s.Data, &c); err != nil || !plain(c.User) || !path.IsAbs(c.File) || path.Base(c.File) != secrets || c.Sum == "" {
		return change{}, fmt.Errorf("the step %q is not one of google-authenticator's: %w", s.Name, setting.ErrPermanent)
	}
	return c, nil
}

// Persist copies the file to where it is kept, and then removes it; a restore
// does what undoes that.
func (a *Adapter) Persist(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	if c.Back {
		return a.give(c)
	}
	return a.take(c)
}

// Undo goes back.
func (a *Adapter) Undo(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	if c.Back {
		return a.take(c)
	}
	return a.give(c)
}

func (a *Adapter) take(c change) error {
	now, err := a.load(c.File)
	if err != nil {
		return err
	}
	if now == nil {
		kept, err := a.load(c.kept())
		if err == nil && (kept == nil || sum(kept) != c.Sum) {
			err = fmt.Errorf("%s is gone: %w", c.File, setting.ErrThirdValue)
		}
		if err != nil {
			return err
		}
		return atomicfile.Settle(a.fsys, ID+".persist", c.File)
	}
	if sum(now) != c.Sum {
		return fmt.Errorf("%s: %w", c.File, setting.ErrThirdValue)
	}
	if err := a.fsys.MkdirAll(ID+".persist.keep.mkdir", Kept, 0o700); err != nil {
		return err
	}
	if err := atomicfile.Replace(a.fsys, ID+".persist.keep", c.kept(), now, atomicfile.Options{Mode: 0o600, Enforce: true}); err != nil {
		return err
	}
	return atomicfile.Remove(a.fsys, ID+".persist", c.File)
}

// give puts the file back as it was, and then removes the one that was kept.
func (a *Adapter) give(c change) error {
	now, err := a.load(c.File)
	if err != nil {
		return err
	}
	switch {
	case now != nil && sum(now) != c.Sum:
		return fmt.Errorf("%s: %w", c.File, setting.ErrThirdValue)
	case now == nil:
		kept, err := a.load(c.kept())
		if err != nil {
			return err
		}
		if kept == nil || sum(kept) != c.Sum {
			return fmt.Errorf("%s is not what was kept: %w", c.kept(), setting.ErrThirdValue)
		}
		if err := ownfile.Make(a.fsys, ID+".undo", c.File, kept, c.Mode, c.UID, c.GID); err != nil {
			return err
		}
	default:
		if err := atomicfile.Settle(a.fsys, ID+".undo", c.File); err != nil {
			return err
		}
	}
	if kept, err := a.load(c.kept()); err != nil || kept == nil || sum(kept) != c.Sum {
		return err // one of another time
	}
	return atomicfile.Remove(a.fsys, ID+".undo.keep", c.kept())
}

// Activate has nothing to do: every sign-in looks for the file.
func (a *Adapter) Activate(context.Context, reset.Step) error { return nil }

// Verify reads back that the file is gone, and is kept; or that it is there
// again.
func (a *Adapter) Verify(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	if c.Back {
		now, err := a.load(c.File)
		if err == nil && (now == nil || sum(now) != c.Sum) {
			err = fmt.Errorf("%s does not hold what was kept", c.File)
		}
		return err
	}
	if _, err := a.fsys.Lstat(c.File); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is still there", c.File)
	}
	kept, err := a.load(c.kept())
	if err == nil && (kept == nil || sum(kept) != c.Sum) {
		err = fmt.Errorf("%s does not hold what was taken away", c.kept())
	}
	return err
}
