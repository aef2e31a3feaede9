// Package encrypted closes encrypted folders (E12): volumes of LUKS that stand
// in crypttab, and folders of gocryptfs.
//
// Their lines in /etc/crypttab and /etc/fstab get the option "noauto", so that
// they are not opened when the system starts; then they are unmounted and locked
// by systemd's own units for them. A file with their key, in /etc, is removed,
// unless the owner chose beforehand that a reset keeps it; until the reset is
// committed the journal holds it, and then it erases it. Whoever knows the
// passphrase opens them again.
//
// It never opens a block device, never writes a LUKS header, a key slot or a
// file on a volume. It leaves alone what the system itself runs from (root, swap,
// /usr, /var and the like), what something else is built on, and keys that are
// not in /etc: in a TPM, on a stick. fscrypt opens nothing at start, and is not
// touched.
package encrypted

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/blockedit"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ownfile"
	"github.com/paperclip-nas/paperclip/internal/device/setting/unit"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
)

// ID is the adapter's name in steps and operations.
const ID = "encrypted"

const (
	crypttab = "/etc/crypttab"
	fstab    = "/etc/fstab"

	// maxKey is the largest key file, in bytes: cryptsetup takes 8 MiB, usual
	// ones have under 4 KiB, and the journal has to hold it.
	maxKey = 64 << 10
)

// Adapter is the encrypted folders.
type Adapter struct {
	system  unit.System
	keepKey bool
}

// New is the adapter of that system. It has no side effect. keepKey is the
// owner's choice that a reset keeps the keys on the NAS.
func New(s unit.System, keepKey bool) *Adapter { return &Adapter{s, keepKey} }

// ID is "encrypted".
func (a *Adapter) ID() string { return ID }

// Effects is E12.
func (a *Adapter) Effects() []nas.Effect { return []nas.Effect{nas.E12} }

// Detect says whether there are encrypted folders, and which are left alone.
func (a *Adapter) Detect(context.Context) (reset.Found, error) {
	found := reset.Found{What: "encrypted folders (LUKS, gocryptfs)"}
	st, err := a.load()
	if err != nil {
		return found, err
	}
	found.Present = len(st.folders) > 0
	switch {
	case !found.Present && len(st.left) > 0:
		found.Why = "left alone: " + strings.Join(st.left, "; ")
	case !found.Present:
		found.Why = "there is no encrypted folder in " + crypttab + " or " + fstab
	}
	for _, file := range []string{crypttab, fstab} {
		if err := atomicfile.Check(a.system.FS, file); err != nil && found.Present {
			found.Present, found.Blocked, found.Why = false, true, err.Error()
		}
	}
	return found, nil
}

// Read fills the encrypted folders.
func (a *Adapter) Read(_ context.Context, s *nas.Settings) error {
	st, err := a.load()
	if err != nil {
		return err
	}
	for _, f := range st.folders {
		s.EncryptedFolders = append(s.EncryptedFolders, nas.EncryptedFolder{
			Name: f.String(), Mounted: len(f.mounted) > 0 || f.open, MountOnStart: f.starts(),
			KeySealed: len(f.keys) > 0 || f.kept != "", KeepKey: a.keepKey || f.kept != "",
		})
	}
	return nil
}

// key is a file with a key. The journal holds its content until commit.
type key struct {
	Path string      `json:"path"`
	Data []byte      `json:"data"`
	Mode fs.FileMode `json:"mode"`
	UID  int         `json:"uid"`
	GID  int         `json:"gid"`
}

// change is what the step's Data holds.
type change struct {
	Edits []blockedit.Edit `json:"edits"`
	Keys  []key            `json:"keys,omitempty"`
	Close []string         `json:"close,omitempty"` // units that ran, in the order in which they are stopped
	Open  []string         `json:"open,omitempty"`  // of a restore: units to start, in order
	Back  bool             `json:"back,omitempty"`
}

// Prepare gives one step for all folders: they share tables, and may share keys.
func (a *Adapter) Prepare(_ context.Context, r setting.Request) ([]reset.Step, error) {
	if !slices.Contains(reset.Effects(r.Mode, r.Scope), nas.E12) {
		return nil, nil
	}
	st, err := a.load()
	if err != nil {
		return nil, err
	}
	var c change
	for _, f := range st.folders {
		c.toggle(f, func(r row) bool { return r.starts() }, asleep)
		c.Close = append(c.Close, f.units()...)
		for _, file := range f.keys {
			if a.keepKey || slices.ContainsFunc(c.Keys, func(k key) bool { return k.Path == file }) {
				continue
			}
			k, err := a.take(file)
			if err != nil {
				return nil, err
			}
			c.Keys = append(c.Keys, k)
		}
	}
	return a.step(st, c)
}

// toggle adds an edit for each line of a folder that is to change.
func (c *change) toggle(f folder, wanted func(row) bool, to func(string) string) {
	add := func(file string, r row) {
		e := blockedit.Edit{Path: file, Old: r.line, New: to(r.line)}
		if wanted(r) && !slices.Contains(c.Edits, e) {
			c.Edits = append(c.Edits, e)
		}
	}
	if f.crypt != nil {
		add(crypttab, *f.crypt)
	}
	for _, r := range f.tabs {
		add(fstab, r)
	}
}

// units are those that run for a folder, what is mounted inside another first.
func (f folder) units() []string {
	var all []string
	for _, point := range slices.Backward(f.mounted) {
		all = append(all, mountUnit(point))
	}
	if f.open && f.mapping != "" {
		all = append(all, cryptUnit(f.mapping))
	}
	return all
}

func (a *Adapter) take(file string) (key, error) {
	data, err1 := a.system.FS.ReadFile(file)
	old, err2 := a.system.FS.Attributes(file)
	err := errors.Join(err1, err2, atomicfile.Check(a.system.FS, file))
	return key{file, data, old.Mode, old.UID, old.GID}, err
}

func (a *Adapter) step(st state, c change) ([]reset.Step, error) {
	for _, e := range c.Edits { // a step is JSON, which holds no other bytes
		if !utf8.ValidString(e.Old) {
			return nil, fmt.Errorf("a line of %s is not UTF-8 and could not be put back as it is", e.Path)
		}
	}
	if i := slices.IndexFunc(c.Close, func(name string) bool { return !utf8.ValidString(name) }); i >= 0 {
		return nil, fmt.Errorf("the name of the unit %q is not UTF-8", c.Close[i])
	}
	if len(c.Edits)+len(c.Keys)+len(c.Close)+len(c.Open) == 0 {
		return nil, nil
	}
	for file, text := range map[string]string{crypttab: st.crypttab, fstab: st.fstab} {
		if err := blockedit.Check(text, blockedit.In(c.Edits, file), lines); err != nil {
			return nil, err
		}
	}
	data, err := json.Marshal(c)
	return []reset.Step{{Name: "encrypted folders", Adapter: ID, Effects: a.Effects(), Data: data}}, err
}

func read(s reset.Step) (change, error) {
	var c change
	err := json.Unmarshal(s.Data, &c)
	for _, e := range c.Edits {
		if e.Path != crypttab && e.Path != fstab {
			err = errors.New("another file")
		}
	}
	for _, k := range c.Keys {
		if !strings.HasPrefix(k.Path, "/etc/") || path.Clean(k.Path) != k.Path {
			err = errors.New("another file")
		}
	}
	if err != nil || len(c.Edits)+len(c.Keys)+len(c.Close)+len(c.Open) == 0 {
		return change{}, fmt.Errorf("the step %q is not one of the encrypted folders': %w", s.Name, setting.ErrPermanent)
	}
	return c, nil
}

// Persist writes both tables, and then removes the keys.
func (a *Adapter) Persist(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	if err := a.unchanged(c.Keys); err != nil {
		return err
	}
	if err := blockedit.Move(a.system.FS, ID+".persist", c.Edits, lines, blockedit.New); err != nil {
		return err
	}
	for _, k := range c.Keys {
		if err := atomicfile.Remove(a.system.FS, ID+".persist.key", k.Path); err != nil {
			return ownfile.Permanent(err)
		}
	}
	return nil
}

// unchanged refuses where a key is another one than was taken.
func (a *Adapter) unchanged(keys []key) error {
	for _, k := range keys {
		now, err := a.system.FS.ReadFile(k.Path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if sum(now) != sum(k.Data) {
			return fmt.Errorf("%s: %w", k.Path, setting.ErrThirdValue)
		}
	}
	return nil
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

// Undo puts the keys back, and then both tables.
func (a *Adapter) Undo(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	if err := a.unchanged(c.Keys); err != nil {
		return err
	}
	for _, k := range c.Keys {
		_, err := a.system.FS.Lstat(k.Path)
		if err == nil {
			err = atomicfile.Settle(a.system.FS, ID+".undo.key", k.Path)
		} else if errors.Is(err, fs.ErrNotExist) {
			err = ownfile.Make(a.system.FS, ID+".undo.key", k.Path, k.Data, k.Mode, k.UID, k.GID)
		}
		if err != nil {
			return err
		}
	}
	return blockedit.Move(a.system.FS, ID+".undo", c.Edits, lines, blockedit.Old)
}

// smbd is the service that most often has a folder open.
const smbd = "smbd.service"

// Activate closes what was open, or opens it again by the units that ran. One
// that is in use is tried once more with Samba's sessions cut.
func (a *Adapter) Activate(ctx context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	isNew, err := blockedit.At(a.system.FS, c.Edits, lines, blockedit.New)
	if err != nil {
		return err
	}
	if len(c.Edits) == 0 { // only keys or units: by the keys
		isNew, err = a.gone(c.Keys)
		if err != nil {
			return err
		}
	}
	stop, start := c.Close, c.Open
	if !isNew {
		stop, start = reversed(c.Open), reversed(c.Close)
	}
	for _, u := range stop {
		if err := a.stop(ctx, u); err != nil {
			return err
		}
	}
	if err := a.system.Do(ctx, ID+".activate.reload", "daemon-reload"); err != nil {
		return err
	}
	for _, u := range start {
		if err := a.system.Do(ctx, ID+".activate.start", "start", u); err != nil {
			return err
		}
	}
	return nil
}

func reversed(units []string) []string {
	units = slices.Clone(units)
	slices.Reverse(units)
	return units
}

func (a *Adapter) gone(keys []key) (bool, error) {
	for _, k := range keys {
		if _, err := a.system.FS.Lstat(k.Path); !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	return true, nil
}

func (a *Adapter) stop(ctx context.Context, name string) error {
	st, err := a.system.State(ctx, ID+".activate.show", name)
	if err != nil || !st.Active {
		return err
	}
	err = a.system.Do(ctx, ID+".activate.stop", "stop", name)
	if st, again := a.system.State(ctx, ID+".activate.show", name); err == nil && again == nil && !st.Active {
		return nil
	}
	// In use: whoever has a file open on it by SMB is cut off.
	if err := a.system.Do(ctx, ID+".activate.samba", "try-restart", smbd); err != nil {
		return err
	}
	return a.system.Do(ctx, ID+".activate.stop", "stop", name)
}

// Verify reads back the tables and keys, and from the kernel what is open.
func (a *Adapter) Verify(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	isNew, err1 := blockedit.At(a.system.FS, c.Edits, lines, blockedit.New)
	gone, err2 := a.gone(c.Keys)
	st, err3 := a.load()
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	if !isNew {
		return fmt.Errorf("%s and %s do not hold what was written", crypttab, fstab)
	}
	if !gone {
		return errors.New("a key of an encrypted folder is still on the device")
	}
	var open []string
	for _, f := range st.folders {
		open = append(open, f.units()...)
	}
	for _, u := range c.Close {
		if slices.Contains(open, u) {
			return fmt.Errorf("an encrypted folder is still open: %s", u)
		}
	}
	for _, u := range c.Open {
		if !slices.Contains(open, u) {
			return fmt.Errorf("an encrypted folder is not open again: %s", u)
		}
	}
	return nil
}
