// Package shares is which folders the NAS shares, with whom and how (H2): the
// shares of smb.conf, and /etc/exports. A hard reset puts back what stood there
// when paperclipd was installed, to the byte.
//
// Of smb.conf it writes what stands behind [global], of which it touches
// nothing; no share that comes back lets guests in (E2). It never looks into a
// shared folder, and never makes a file that the baseline does not have.
package shares

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/entry"
	"github.com/paperclip-nas/paperclip/internal/device/setting/guest"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ownfile"
	"github.com/paperclip-nas/paperclip/internal/device/setting/saved"
	"github.com/paperclip-nas/paperclip/internal/device/setting/unit"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
)

// ID is the adapter's name in steps and operations.
const ID = "shares"

const (
	exportsFile = "/etc/exports"
	smbd        = "smbd.service"
	nfsd        = "nfs-server.service"
	maxFile     = 2 << 20 // bytes; a real one has kilobytes
)

// Baseline gives what Save gave when paperclipd was installed; nil where
// nothing was recorded.
type Baseline func() json.RawMessage

// Adapter is the definitions of shares.
type Adapter struct {
	system   unit.System
	baseline Baseline
}

var _ setting.Keeper = (*Adapter)(nil)

// New is the adapter of the system. baseline may be nil.
func New(system unit.System, baseline Baseline) *Adapter { return &Adapter{system, baseline} }

// ID is "shares".
func (a *Adapter) ID() string { return ID }

// Effects is H2.
func (a *Adapter) Effects() []nas.Effect { return []nas.Effect{nas.H2} }

// definitions are the two files; nil is one that is not there.
type definitions struct {
	Samba   ownfile.Content `json:"samba"` // what stands behind [global]
	Exports ownfile.Content `json:"exports"`
}

// names lists what is shared.
func (d definitions) names() []string {
	all := []string{}
	if d.Samba != nil {
		for _, n := range guest.Names(*d.Samba) {
			all = append(all, n+" (SMB)")
		}
	}
	if d.Exports != nil {
		for line := range strings.Lines(*d.Exports) {
			if f := strings.Fields(line); len(f) > 0 && !strings.HasPrefix(f[0], "#") {
				all = append(all, f[0]+" (NFS)")
			}
		}
	}
	return all
}

// now reads what is there.
func (a *Adapter) now() (d definitions, conf string, err error) {
	data, err := a.system.FS.ReadFile(guest.SambaConfig)
	switch {
	case err == nil:
		conf = string(data)
		_, shares := guest.Split(conf)
		d.Samba = ownfile.Text(shares)
	case !errors.Is(err, fs.ErrNotExist):
		return d, "", err
	}
	d.Exports, err = ownfile.Read(a.system.FS, exportsFile)
	return d, conf, err
}

// recorded is the baseline; false where there is none that can be read.
func (a *Adapter) recorded() (definitions, bool) {
	if a.baseline == nil {
		return definitions{}, false
	}
	raw := a.baseline()
	if raw == nil {
		return definitions{}, false
	}
	d, err := parse(raw)
	return d, err == nil
}

func parse(raw json.RawMessage) (definitions, error) {
	var d definitions
	if err := saved.Decode(raw, ID, &d); err != nil {
		return d, err
	}
	for _, text := range []ownfile.Content{d.Samba, d.Exports} {
		if text != nil && (len(*text) > maxFile || strings.ContainsRune(*text, 0)) {
			return d, saved.Refuse("it is no text of a file")
		}
	}
	if d.Samba != nil {
		if head, _ := guest.Split(*d.Samba); strings.TrimSpace(head) != "" {
			return d, saved.Refuse("its shares do not begin with one")
		}
	}
	if d.Samba == nil && d.Exports == nil {
		return d, saved.Refuse("it holds no value")
	}
	return d, nil
}

// Detect says whether anything can be shared here, and changed.
func (a *Adapter) Detect(context.Context) (reset.Found, error) {
	d, conf, err := a.now()
	if err != nil {
		return reset.Found{}, err
	}
	found := reset.Found{}
	var what []string
	for file, there := range map[string]bool{guest.SambaConfig: d.Samba != nil, exportsFile: d.Exports != nil} {
		if !there {
			continue
		}
		what = append(what, file)
		if err := atomicfile.Check(a.system.FS, file); err != nil {
			found.Why = err.Error()
		}
	}
	slices.Sort(what)
	found.What = strings.Join(what, " and ")
	switch {
	case len(what) == 0:
		found.Why = "neither Samba nor NFS shares anything"
	case d.Samba != nil && found.Why == "":
		found.Why = guest.Elsewhere(conf)
	}
	found.Present = found.Why == ""
	return found, nil
}

// Read fills what is shared now and what was at install. Without a baseline
// nothing is to be put back, so it is what there is.
func (a *Adapter) Read(_ context.Context, s *nas.Settings) error {
	d, _, err := a.now()
	if err != nil {
		return err
	}
	to, recorded := a.recorded()
	if !recorded {
		to = d
	}
	to = to.onto(d)
	s.Shares = &nas.Shares{
		Defined: d.names(), Baseline: to.names(),
		Changed: !ownfile.Equal(d.Samba, to.Samba) || !ownfile.Equal(d.Exports, to.Exports),
	}
	return nil
}

// onto is d as far as this system has the files: none is made or taken away.
func (d definitions) onto(now definitions) definitions {
	if d.Samba == nil || now.Samba == nil {
		d.Samba = now.Samba
	}
	if d.Exports == nil || now.Exports == nil {
		d.Exports = now.Exports
	}
	return d
}

// change is what a step's Data holds: one of the files.
type change struct {
	File string          `json:"file"`
	From ownfile.Content `json:"from"`
	To   ownfile.Content `json:"to"`
}

// Prepare gives the steps to the baseline.
func (a *Adapter) Prepare(_ context.Context, r setting.Request) ([]reset.Step, error) {
	if !slices.Contains(reset.Effects(r.Mode, r.Scope), nas.H2) {
		return nil, nil
	}
	now, conf, err := a.now()
	if err != nil {
		return nil, err
	}
	to, recorded := a.recorded()
	if !recorded {
		to = now
	}
	to = to.onto(now)
	if to.Samba != nil {
		head, _ := guest.Split(conf)
		_, closed := guest.Split(guest.Closed(join(head, *to.Samba)))
		to.Samba = ownfile.Text(closed)
	}
	return a.steps(now, to)
}

// join puts shares behind [global], on a line of their own.
func join(head, shares string) string {
	if shares != "" && head != "" && !strings.HasSuffix(head, "\n") {
		head += "\n"
	}
	return head + shares
}

func (a *Adapter) steps(now, to definitions) ([]reset.Step, error) {
	var steps []reset.Step
	for _, c := range []change{{guest.SambaConfig, now.Samba, to.Samba}, {exportsFile, now.Exports, to.Exports}} {
		if ownfile.Equal(c.From, c.To) {
			continue
		}
		s, err := saved.Step(a, "shares in "+c.File, c)
		if err != nil {
			return nil, err
		}
		steps = append(steps, s)
	}
	return steps, nil
}

func read(s reset.Step) (change, error) {
	var c change
	if err := json.Unmarshal(s.Data, &c); err != nil || c.From == nil || c.To == nil || c.File != guest.SambaConfig && c.File != exportsFile {
		return change{}, fmt.Errorf("the step %q is not one of the shares': %w", s.Name, setting.ErrPermanent)
	}
	return c, nil
}

// samba is what stands behind [global].
func samba() entry.Entry {
	return entry.Entry{
		Path: guest.SambaConfig,
		Get: func(text string) ownfile.Content {
			_, shares := guest.Split(text)
			return ownfile.Text(shares)
		},
		Set: func(text string, value ownfile.Content) string {
			head, _ := guest.Split(text)
			return join(head, *value)
		},
	}
}

func (a *Adapter) move(op string, c change, from, to ownfile.Content) error {
	if c.File == exportsFile {
		return ownfile.Move(a.system.FS, op, exportsFile, from, to)
	}
	return samba().Move(a.system.FS, op, from, to)
}

// Persist writes the definitions.
func (a *Adapter) Persist(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	return a.move(ID+".persist", c, c.From, c.To)
}

// Undo writes the old ones again.
func (a *Adapter) Undo(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	return a.move(ID+".undo", c, c.To, c.From)
}

// Activate has Samba or the NFS server read its file again, if it runs.
func (a *Adapter) Activate(ctx context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	service := smbd
	if c.File == exportsFile {
		service = nfsd
	}
	return a.system.Reload(ctx, ID, service)
}

// Verify reads the file again.
func (a *Adapter) Verify(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	d, _, err := a.now()
	if err != nil {
		return err
	}
	now := d.Samba
	if c.File == exportsFile {
		now = d.Exports
	}
	if !ownfile.Equal(now, c.To) {
		return fmt.Errorf("%s does not hold the shares that were written", c.File)
	}
	return nil
}

// Save is the definitions as they stand there.
func (a *Adapter) Save(context.Context) (json.RawMessage, error) {
	d, _, err := a.now()
	if err != nil {
		return nil, err
	}
	return saved.Encode(ID, d)
}

// PrepareRestore gives them back, as far as this system has the files.
func (a *Adapter) PrepareRestore(_ context.Context, raw json.RawMessage) ([]reset.Step, error) {
	d, err := parse(raw)
	if err != nil {
		return nil, err
	}
	now, conf, err := a.now()
	if err != nil {
		return nil, err
	}
	to := d.onto(now)
	if to.Samba != nil {
		if why := guest.Elsewhere(conf); why != "" {
			return nil, saved.Refuse("%s", why)
		}
	}
	return a.steps(now, to)
}
