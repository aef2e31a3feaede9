// Package authenticator takes the second factor of an administrator away (E13),
// where that is google-authenticator's PAM module, and gives it back.
//
// The factor is a file of secrets in the home directory. It is moved to a place
// that only root can read, and stays there, so that the owner can have it back;
// a step holds its checksum and never its content. Other accounts' are not
// touched.
//
// What a power cut cannot lose is a mark of ours beside that place, which says
// that the factor is taken: it is what is persisted and undone. The home
// directory itself is changed on activation only, when it is there: where homes
// are on a volume, they are not when files are recovered at the start. A reset
// cut short between the two leaves the factor asked for, never left out. The
// sandbox of this process cannot write to a home, so the file there is removed
// and made by a command in a unit of systemd's own.
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
	"strconv"
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
	runner opfs.Runner
	wanted func(setting.Request) bool
}

// New is the adapter of that system. It has no side effect. wanted says whether
// a request asks for E13; nil is by its SecondFactor.
func New(fsys opfs.FS, runner opfs.Runner, wanted func(setting.Request) bool) *Adapter {
	if wanted == nil {
		wanted = func(r setting.Request) bool { return r.SecondFactor }
	}
	return &Adapter{fsys, runner, wanted}
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
	// Mark is what the mark said before: normally there is none.
	Mark ownfile.Content `json:"mark"`
	Back bool            `json:"back,omitempty"` // of a restore: from where it is kept to the home directory
}

func (c change) kept() string { return path.Join(Kept, c.User) }
func (c change) mark() string { return path.Join(Kept, "taken", c.User) }

// taken is what the mark says while this factor is taken.
func (c change) taken() ownfile.Content { return ownfile.Text(c.Sum + "\n") }

// sides are the mark before and after.
func (c change) sides() (from, to ownfile.Content) {
	if c.Back {
		return c.Mark, nil
	}
	return c.Mark, c.taken()
}

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
	if c.Mark, err = ownfile.Read(a.fsys, c.mark()); err != nil {
		return nil, err
	}
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

// Persist sets the mark, or with a restore takes it away.
func (a *Adapter) Persist(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	from, to := c.sides()
	return a.move(ID+".persist", c, from, to)
}

// Undo goes back.
func (a *Adapter) Undo(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	from, to := c.sides()
	return a.move(ID+".undo", c, to, from)
}

// move takes the mark from one value to another, unless the factor is another
// one by now. A home that cannot be seen just now has no say.
func (a *Adapter) move(op string, c change, from, to ownfile.Content) error {
	now, err := a.load(c.File)
	if err == nil && now != nil && sum(now) != c.Sum {
		return fmt.Errorf("%s: %w", c.File, setting.ErrThirdValue)
	}
	if from == nil { // so its directory may be missing
		if err := atomicfile.MakeDir(a.fsys, op, path.Dir(c.mark()), 0o700); err != nil {
			return err
		}
	}
	return ownfile.Move(a.fsys, op, c.mark(), from, to)
}

// Activate makes the home directory what the mark says.
func (a *Adapter) Activate(ctx context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	mark, err := ownfile.Read(a.fsys, c.mark())
	if err != nil {
		return err
	}
	now, err := a.load(c.File)
	switch taken := ownfile.Equal(mark, c.taken()); {
	case err != nil:
		return err
	case now != nil && sum(now) != c.Sum:
		return fmt.Errorf("%s: %w", c.File, setting.ErrThirdValue)
	case taken && now != nil:
		return a.take(ctx, c, now)
	case !taken && now == nil:
		return a.give(ctx, c)
	}
	return nil
}

// take keeps a copy, and only then removes the file.
func (a *Adapter) take(ctx context.Context, c change, now []byte) error {
	if err := atomicfile.Replace(a.fsys, ID+".activate.keep", c.kept(), now, atomicfile.Options{Mode: 0o600, Enforce: true}); err != nil {
		return err
	}
	return a.outside(ctx, ID+".activate.take", "/usr/bin/rm", "-f", "--", c.File)
}

// put makes a file from another with mode, user and group, in one step.
const put = `set -e
install -T -m "$3" -o "$4" -g "$5" -- "$1" "$2.paperclip"
sync -- "$2.paperclip"
mv -T -- "$2.paperclip" "$2"
`

// give makes the file from what was kept, if that is it.
func (a *Adapter) give(ctx context.Context, c change) error {
	kept, err := a.load(c.kept())
	if err != nil {
		return err
	}
	if _, err := a.fsys.Stat(path.Dir(c.File)); errors.Is(err, fs.ErrNotExist) || kept == nil || sum(kept) != c.Sum {
		return nil // nothing was taken, or there is no home any more
	}
	if err := a.outside(ctx, ID+".activate.give", "/bin/sh", "-c", put, "sh", c.kept(), c.File,
		fmt.Sprintf("%o", c.Mode.Perm()), strconv.Itoa(c.UID), strconv.Itoa(c.GID)); err != nil {
		return err
	}
	return a.fsys.SyncDir(ID+".activate.syncdir", path.Dir(c.File))
}

// outside runs a program in a unit of its own, which may write to homes.
func (a *Adapter) outside(ctx context.Context, op string, program ...string) error {
	args := append([]string{"--quiet", "--collect", "--wait", "--"}, program...)
	out, err := a.runner.Run(ctx, op, opfs.Command{Path: "systemd-run", Args: args})
	if err == nil && out.ExitCode != 0 {
		err = fmt.Errorf("%s ended with status %d: %.200s", program[0], out.ExitCode, out.Stderr)
	}
	return err
}

// Verify reads back that the file is gone, and is kept; or that it is there
// again.
func (a *Adapter) Verify(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	mark, err1 := ownfile.Read(a.fsys, c.mark())
	now, err2 := a.load(c.File)
	kept, err3 := a.load(c.kept())
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	_, to := c.sides()
	switch {
	case !ownfile.Equal(mark, to):
		return fmt.Errorf("%s does not hold what was written", c.mark())
	case c.Back && (now == nil || sum(now) != c.Sum):
		return fmt.Errorf("%s does not hold what was kept", c.File)
	case !c.Back && now != nil:
		return fmt.Errorf("%s is still there", c.File)
	case !c.Back && (kept == nil || sum(kept) != c.Sum):
		return fmt.Errorf("%s does not hold what was taken away", c.kept())
	}
	return nil
}
