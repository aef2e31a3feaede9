// Package hostname is what the NAS is called (H1): the set-up wizard's answer
// in a hard reset, in /etc/hostname and in the line of /etc/hosts in which
// Debian keeps the machine's own name.
//
// It replaces the one file, changes the one line, and has systemd-hostnamed put
// the name in force. Every other line of /etc/hosts stays, and a name that the
// owner set in paperclip.toml is not touched: then there is nothing of the kind
// here.
package hostname

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
	"github.com/paperclip-nas/paperclip/internal/device/setting/ownfile"
	"github.com/paperclip-nas/paperclip/internal/device/setting/saved"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// ID is the adapter's name in steps and operations.
const ID = "hostname"

const (
	nameFile  = "/etc/hostname"
	hostsFile = "/etc/hosts"
	ownLine   = "127.0.1.1" // Debian's address of the machine's own name
)

// Config is what an Adapter is built from. FS and Runner are required.
type Config struct {
	FS          opfs.FS
	Runner      opfs.Runner
	Hostnamectl string // "hostnamectl" when empty
	// Fixed says why the name is not the system's to change; empty: it is.
	Fixed string
}

// Adapter is the system's host name.
type Adapter struct{ cfg Config }

var _ setting.Keeper = (*Adapter)(nil)

// New is the adapter of the system below cfg.FS. It has no side effect.
func New(cfg Config) *Adapter {
	if cfg.Hostnamectl == "" {
		cfg.Hostnamectl = "hostnamectl"
	}
	return &Adapter{cfg}
}

// Load is the name in /etc/hostname; empty where there is none.
func Load(fsys opfs.FS) string {
	data, err := fsys.ReadFile(nameFile)
	if err != nil {
		return ""
	}
	return first(string(data))
}

// first is the name in the text of /etc/hostname: the first line that is no
// comment (hostname(5)).
func first(text string) string {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			return line
		}
	}
	return ""
}

// ID is "hostname".
func (a *Adapter) ID() string { return ID }

// Effects is H1.
func (a *Adapter) Effects() []nas.Effect { return []nas.Effect{nas.H1} }

// Detect says whether the name can be changed here.
func (a *Adapter) Detect(ctx context.Context) (reset.Found, error) {
	found := reset.Found{What: nameFile, Why: a.cfg.Fixed}
	if found.Why == "" {
		if err := atomicfile.Check(a.cfg.FS, nameFile); err != nil {
			found.Why = err.Error()
		} else if _, err := a.inForce(ctx); err != nil {
			found.Why = "systemd-hostnamed does not answer: " + err.Error()
		}
	}
	found.Present = found.Why == ""
	return found, nil
}

// inForce is the name that the running system has. The kernel's own word is not
// asked: a service may be shown another one (ProtectHostname).
func (a *Adapter) inForce(ctx context.Context) (string, error) {
	out, err := a.cfg.Runner.Run(ctx, ID+".read.get", opfs.Command{Path: a.cfg.Hostnamectl, Args: []string{"--transient", "hostname"}})
	if err != nil {
		return "", err
	}
	if out.ExitCode != 0 {
		return "", fmt.Errorf("hostnamectl ended with status %d: %.200s", out.ExitCode, out.Stderr)
	}
	return strings.TrimSpace(string(out.Stdout)), nil
}

// Read fills the name.
func (a *Adapter) Read(ctx context.Context, s *nas.Settings) error {
	if s.Name = Load(a.cfg.FS); s.Name != "" {
		return nil
	}
	var err error
	s.Name, err = a.inForce(ctx)
	return err
}

// change is what a step's Data holds: one of the two.
type change struct {
	File  string          `json:"file"`
	Name  string          `json:"name"` // in force afterwards; in the step of /etc/hostname
	Old   string          `json:"old"`  // in force before
	From  ownfile.Content `json:"from"`
	To    ownfile.Content `json:"to"`
	Hosts bool            `json:"hosts"` // the line of /etc/hosts
}

// Prepare gives the steps to the wizard's name.
func (a *Adapter) Prepare(ctx context.Context, r setting.Request) ([]reset.Step, error) {
	if !slices.Contains(reset.Effects(r.Mode, r.Scope), nas.H1) || r.Wizard.Name == "" {
		return nil, nil
	}
	now, err := ownfile.Read(a.cfg.FS, nameFile)
	if err != nil {
		return nil, err
	}
	if now != nil && first(*now) == r.Wizard.Name {
		return nil, nil
	}
	line, err := a.hosts()
	if err != nil {
		return nil, err
	}
	renamed := line
	if now != nil && line != nil {
		renamed = ownfile.Text(rename(*line, first(*now), r.Wizard.Name))
	}
	return a.steps(ctx, now, ownfile.Text(r.Wizard.Name+"\n"), line, renamed)
}

func (a *Adapter) steps(ctx context.Context, now, to, line, renamed ownfile.Content) ([]reset.Step, error) {
	var all []change
	if !ownfile.Equal(now, to) && to != nil {
		old, err := a.inForce(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, change{File: nameFile, Name: first(*to), Old: old, From: now, To: to})
	}
	if line != nil && renamed != nil && !ownfile.Equal(line, renamed) {
		all = append(all, change{File: hostsFile, From: line, To: renamed, Hosts: true})
	}
	var steps []reset.Step
	for _, c := range all {
		s, err := saved.Step(a, "the NAS's name in "+c.File, c)
		if err != nil {
			return nil, err
		}
		steps = append(steps, s)
	}
	return steps, nil
}

// rename replaces a name in a line of /etc/hosts, with a domain or without.
func rename(line, old, name string) string {
	label, _, _ := strings.Cut(old, ".")
	words := strings.FieldsFunc(line, func(c rune) bool { return c == ' ' || c == '\t' })
	for _, w := range words[min(1, len(words)):] {
		if host, domain, dotted := strings.Cut(w, "."); host == label && label != "" {
			to := name
			if dotted {
				to += "." + domain
			}
			line = replaceWord(line, w, to)
		}
	}
	return line
}

// replaceWord replaces the first whole word old.
func replaceWord(line, old, word string) string {
	for at := 0; ; {
		i := strings.Index(line[at:], old)
		if i < 0 {
			return line
		}
		i += at
		end := i + len(old)
		if (i == 0 || strings.ContainsRune(" \t", rune(line[i-1]))) && (end == len(line) || strings.ContainsRune(" \t", rune(line[end]))) {
			return line[:i] + word + line[end:]
		}
		at = end
	}
}

// hosts is the machine's own line; nil where there is none.
func (a *Adapter) hosts() (ownfile.Content, error) {
	line, err := own().Read(a.cfg.FS)
	if errors.Is(err, fs.ErrNotExist) || atomicfile.Check(a.cfg.FS, hostsFile) != nil {
		return nil, nil
	}
	return line, err
}

// own is the first line of /etc/hosts with the machine's own address.
func own() entry.Entry {
	return entry.Span(hostsFile, func(text string) (from, to int, ok bool) {
		for line := range strings.Lines(text) {
			plain := strings.TrimRight(line, "\r\n")
			if f := strings.Fields(plain); len(f) > 1 && f[0] == ownLine {
				return from, from + len(plain), true
			}
			from += len(line)
		}
		return 0, 0, false
	})
}

func read(s reset.Step) (change, error) {
	var c change
	err := json.Unmarshal(s.Data, &c)
	if err != nil || c.To == nil || c.Hosts != (c.File == hostsFile) || !c.Hosts && (c.File != nameFile || c.Name == "") || c.Hosts && c.From == nil {
		return change{}, fmt.Errorf("the step %q is not one of the host name's: %w", s.Name, setting.ErrPermanent)
	}
	return c, nil
}

func (a *Adapter) move(op string, c change, from, to ownfile.Content) error {
	if c.Hosts {
		return own().Move(a.cfg.FS, op, from, to)
	}
	return ownfile.Move(a.cfg.FS, op, nameFile, from, to)
}

// Persist writes the new name.
func (a *Adapter) Persist(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	return a.move(ID+".persist", c, c.From, c.To)
}

// Undo writes the old name again.
func (a *Adapter) Undo(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	return a.move(ID+".undo", c, c.To, c.From)
}

// Activate puts the name on disk in force.
func (a *Adapter) Activate(ctx context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil || c.Hosts {
		return err
	}
	name := Load(a.cfg.FS)
	if name == "" { // there was no file: the name came from elsewhere
		name = c.Old
	}
	if now, err := a.inForce(ctx); err != nil || now == name {
		return err
	}
	out, err := a.cfg.Runner.Run(ctx, ID+".activate.set", opfs.Command{Path: a.cfg.Hostnamectl, Args: []string{"--transient", "hostname", name}})
	if err != nil {
		return err
	}
	if out.ExitCode != 0 {
		return fmt.Errorf("hostnamectl ended with status %d: %.200s", out.ExitCode, out.Stderr)
	}
	return nil
}

// Verify reads the file, and from systemd-hostnamed the name in force.
func (a *Adapter) Verify(ctx context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	var now ownfile.Content
	if c.Hosts {
		now, err = own().Read(a.cfg.FS)
	} else {
		now, err = ownfile.Read(a.cfg.FS, nameFile)
	}
	if err != nil {
		return err
	}
	if !ownfile.Equal(now, c.To) {
		return fmt.Errorf("%s does not hold what was written", c.File)
	}
	if c.Hosts {
		return nil
	}
	name, err := a.inForce(ctx)
	if err == nil && name != c.Name {
		err = fmt.Errorf("the system calls itself %.80q, not %s", name, c.Name)
	}
	return err
}

// kept is what a snapshot holds.
type kept struct {
	Hostname ownfile.Content `json:"hostname"`
	Hosts    ownfile.Content `json:"hosts"`
}

// Save is the file and the line.
func (a *Adapter) Save(context.Context) (json.RawMessage, error) {
	name, err := ownfile.Read(a.cfg.FS, nameFile)
	if err != nil {
		return nil, err
	}
	line, err := a.hosts()
	if err != nil {
		return nil, err
	}
	return saved.Encode(ID, kept{name, line})
}

// PrepareRestore gives back the name, and the line where there still is one.
func (a *Adapter) PrepareRestore(ctx context.Context, raw json.RawMessage) ([]reset.Step, error) {
	var k kept
	if err := saved.Decode(raw, ID, &k); err != nil {
		return nil, err
	}
	if k.Hostname == nil || !plausible(first(*k.Hostname)) || len(*k.Hostname) > 4096 {
		return nil, saved.Refuse("it holds no host name")
	}
	if k.Hosts != nil && (strings.ContainsAny(*k.Hosts, "\r\n") || !strings.HasPrefix(strings.TrimSpace(*k.Hosts), ownLine)) {
		return nil, saved.Refuse("its line of %s is malformed", hostsFile)
	}
	now, err := ownfile.Read(a.cfg.FS, nameFile)
	if err != nil {
		return nil, err
	}
	line, err := a.hosts()
	if err != nil {
		return nil, err
	}
	return a.steps(ctx, now, k.Hostname, line, k.Hosts)
}

// plausible takes what can be a host name (hostname(5)), with a domain or not.
func plausible(name string) bool {
	return name != "" && len(name) <= 253 && name[0] != '-' && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") == ""
}
