// Package guest disables guest access (E2): the system's account of that name,
// and Samba's guests.
//
// The account is locked in the shadow file as "passwd -l" does, with its
// password kept behind the mark. In smb.conf two things change, as entries: who
// fails to sign in is no guest any more, and the account that guests would use
// is refused on every share. Which shares admit guests stays as it is set, for
// the day they are wanted again. Every other byte of both files stays.
//
// It never removes an account or a share, and changes no smb.conf that another
// program generates. A guest who is connected already stays until his session
// ends.
package guest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/entry"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ownfile"
	"github.com/paperclip-nas/paperclip/internal/device/setting/unit"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// ID is the adapter's name in steps and operations.
const ID = "guest"

// Account is the system account that is the guests'.
const Account = "guest"

const (
	shadowFile = "/etc/shadow"
	lockFile   = "/etc/.pwd.lock"
	smbConf    = "/etc/samba/smb.conf"
	smbd       = "smbd.service"
)

// lockWait is how long to wait for another program's lock, as lckpwdf does.
const lockWait = 15 * time.Second

// Adapter is the guests.
type Adapter struct{ system unit.System }

// New is the adapter of that system. It has no side effect.
func New(s unit.System) *Adapter { return &Adapter{s} }

// ID is "guest".
func (a *Adapter) ID() string { return ID }

// Effects is E2.
func (a *Adapter) Effects() []nas.Effect { return []nas.Effect{nas.E2} }

// state is what there is now.
type state struct {
	account bool   // there is a system account of guests
	hash    string // its field in the shadow file
	samba   bool   // there is an smb.conf
	conf    string // its text
	why     string // why smb.conf is not changed
}

func (a *Adapter) state() (state, error) {
	var st state
	data, err := a.system.FS.ReadFile(shadowFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return st, err
	}
	if hash := password(Account).Get(string(data)); hash != nil {
		st.account, st.hash = true, *hash
	}
	data, err = a.system.FS.ReadFile(smbConf)
	if errors.Is(err, fs.ErrNotExist) {
		return st, nil
	}
	if err != nil {
		return st, err
	}
	st.samba, st.conf, st.why = true, string(data), elsewhere(string(data))
	return st, nil
}

// Detect says whether there are guests at all.
func (a *Adapter) Detect(context.Context) (reset.Found, error) {
	st, err := a.state()
	if err != nil {
		return reset.Found{}, err
	}
	var what, files []string
	if st.account {
		what, files = append(what, "the account "+Account), append(files, shadowFile)
	}
	if st.samba {
		what, files = append(what, "Samba's guests"), append(files, smbConf)
	}
	found := reset.Found{What: strings.Join(what, " and "), Why: st.why}
	for _, file := range files {
		if err := atomicfile.Check(a.system.FS, file); err != nil {
			found.Why = err.Error()
		}
	}
	if len(what) == 0 {
		found.Why = "there is neither an account named " + Account + " nor Samba"
	}
	found.Present = found.Why == ""
	found.Blocked = !found.Present && len(what) > 0
	return found, nil
}

// Read fills whether guests get in: whether anything would have to change for
// them not to.
func (a *Adapter) Read(_ context.Context, s *nas.Settings) error {
	st, err := a.state()
	if err != nil {
		return err
	}
	s.Guest = &nas.Guest{Enabled: len(st.changes()) > 0}
	return nil
}

// usable reports whether a password, or none, opens the account.
func usable(hash string) bool { return !strings.HasPrefix(hash, "!") && !strings.HasPrefix(hash, "*") }

// change is what a step's Data holds: one of the two; Back is one of a restore.
type change struct {
	Shadow *lock `json:"shadow,omitempty"`
	Samba  *edit `json:"samba,omitempty"`
	Back   bool  `json:"back,omitempty"`
}

// lock is the account's field in the shadow file.
type lock struct {
	From ownfile.Content `json:"from"`
	To   ownfile.Content `json:"to"`
}

// changes are what shuts guests out of st.
func (st state) changes() []change {
	var all []change
	if st.account && usable(st.hash) {
		all = append(all, change{Shadow: &lock{ownfile.Text(st.hash), ownfile.Text("!" + st.hash)}})
	}
	if !st.samba {
		return all
	}
	var extra []string
	if st.account {
		extra = []string{Account} // Samba has a password of its own for it
	}
	for _, e := range edits(st.conf, extra) {
		all = append(all, change{Samba: &e})
	}
	return all
}

// Prepare gives one step for each entry that has to change.
func (a *Adapter) Prepare(_ context.Context, r setting.Request) ([]reset.Step, error) {
	if !slices.Contains(reset.Effects(r.Mode, r.Scope), nas.E2) {
		return nil, nil
	}
	st, err := a.state()
	if err != nil {
		return nil, err
	}
	if st.why != "" {
		return nil, fmt.Errorf("%s: %w", st.why, setting.ErrPermanent)
	}
	var steps []reset.Step
	for _, c := range st.changes() {
		if r.Mode == reset.Hard && c.Samba != nil && c.Samba.Section != global {
			continue // package shares writes the shares, by Closed
		}
		if e, _, to := c.entry(); c.Samba != nil && !ownfile.Equal(e.Get(e.Set(st.conf, to)), to) {
			return nil, fmt.Errorf("%s is written in a way that %q cannot be changed in [%s]: %w", smbConf, c.Samba.Key, c.Samba.Section, setting.ErrPermanent)
		}
		data, err := json.Marshal(c)
		if err != nil {
			return nil, err
		}
		steps = append(steps, reset.Step{Name: c.name(), Adapter: ID, Effects: a.Effects(), Data: data})
	}
	return steps, nil
}

func (c change) name() string {
	if c.Samba != nil {
		return fmt.Sprintf("Samba's guests: %s in [%s]", c.Samba.Key, c.Samba.Section)
	}
	return "the account " + Account
}

func read(s reset.Step) (change, error) {
	var c change
	err := json.Unmarshal(s.Data, &c)
	shadow := c.Shadow != nil && c.Shadow.From != nil && c.Shadow.To != nil
	smb := c.Samba != nil && (c.Samba.To != nil || c.Back && c.Samba.From != nil) && slices.Contains([]string{"map to guest", "invalid users"}, c.Samba.Key)
	if err != nil || shadow == smb {
		return change{}, fmt.Errorf("the step %q is not one of the guests': %w", s.Name, setting.ErrPermanent)
	}
	return c, nil
}

// entry is what the change is of, with its old value and its new one.
func (c change) entry() (e entry.Entry, from, to ownfile.Content) {
	if c.Samba != nil {
		return parameter(c.Samba.Section, c.Samba.Key), c.Samba.From, c.Samba.To
	}
	return password(Account), c.Shadow.From, c.Shadow.To
}

// Persist writes the new value.
func (a *Adapter) Persist(ctx context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	e, from, to := c.entry()
	return a.move(ctx, ID+".persist", e, from, to)
}

// Undo writes the old value again.
func (a *Adapter) Undo(ctx context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	e, from, to := c.entry()
	return a.move(ctx, ID+".undo", e, to, from)
}

// move takes the system's lock where the file is the accounts'.
func (a *Adapter) move(ctx context.Context, op string, e entry.Entry, from, to ownfile.Content) error {
	if e.Path == shadowFile {
		ctx, cancel := context.WithTimeout(ctx, lockWait)
		defer cancel()
		release, err := a.system.FS.Lock(ctx, op+".lock", lockFile)
		if err != nil {
			return fmt.Errorf("the accounts are being changed by another program: %w", err)
		}
		defer release()
	}
	return e.Move(a.system.FS, op, from, to)
}

// Activate has Samba read its file again, if it runs. The shadow file is read
// at each sign-in.
func (a *Adapter) Activate(ctx context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil || c.Samba == nil {
		return err
	}
	return a.system.Reload(ctx, ID, smbd)
}

// Verify reads back the value: from Samba's own reading of its file, where that
// can be had.
func (a *Adapter) Verify(ctx context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	e, _, to := c.entry()
	now, err := e.Read(a.system.FS)
	if err != nil {
		return err
	}
	if !ownfile.Equal(now, to) {
		return fmt.Errorf("%s does not hold what was written: %s", e.Path, c.name())
	}
	if c.Samba == nil || c.Samba.To == nil { // a default of Samba's is for Samba to say
		return nil
	}
	return a.verifySamba(ctx, *c.Samba)
}

func (a *Adapter) verifySamba(ctx context.Context, e edit) error {
	out, err := a.system.Runner.Run(ctx, ID+".verify.testparm", opfs.Command{
		Path: "testparm", Args: []string{"-s", "--section-name=" + e.Section, "--parameter-name=" + e.Key},
	})
	if errors.Is(err, opfs.ErrNoCommand) {
		return nil
	}
	if err != nil {
		return err
	}
	got := strings.TrimSpace(string(out.Stdout))
	if out.ExitCode != 0 || !slices.EqualFunc(list(got), list(join(*e.To)), strings.EqualFold) {
		return fmt.Errorf("Samba reads %q as %s in [%s]", got, e.Key, e.Section)
	}
	return nil
}
