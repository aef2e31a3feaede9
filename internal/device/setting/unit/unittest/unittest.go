// Package unittest is a stand-in for systemd in adapters' tests: units that
// have names, run or not, and obey a mask once it was loaded. It never runs a
// program.
package unittest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/setting/unit"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// Unit is one unit.
type Unit struct {
	Boots  bool
	Active bool
	masked bool // as loaded
}

// Systemd is the systemd of the system below Root. It is an opfs.Runner that
// knows systemctl, and hands every other command to Tools.
type Systemd struct {
	Root  string
	Units map[string]*Unit
	Tools func(op string, c opfs.Command) (opfs.Output, error) // nil: there are no others
	// Changed is called when a unit was started or stopped. May be nil.
	Changed func(name string, active bool)
	// Asked is called with the units that systemctl is asked about. May be nil.
	Asked func(names []string)
	// Stuck makes units survive being stopped.
	Stuck bool
	Ops   []string // the operations run, in order
}

// New is a system in a temporary directory with those units.
func New(t testing.TB, units map[string]*Unit) *Systemd {
	s := &Systemd{Root: t.TempDir(), Units: units}
	if err := os.MkdirAll(filepath.Join(s.Root, unit.Directory), 0o755); err != nil {
		t.Fatal(err)
	}
	return s
}

// System is what an adapter is built from.
func (s *Systemd) System() unit.System { return unit.System{FS: s.FS(), Runner: s} }

// FS is the file system below Root.
func (s *Systemd) FS() opfs.FS { return opfs.Under(s.Root, opfs.OS(nil)) }

// Write makes a file below Root.
func (s *Systemd) Write(t testing.TB, path, content string) {
	t.Helper()
	full := filepath.Join(s.Root, path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// Stored is every file below Root with its mode, as one string of bytes.
func (s *Systemd) Stored(t testing.TB) []byte {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(s.Root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		fmt.Fprintf(&all, "%s %s\n%s\n", strings.TrimPrefix(path, s.Root), info.Mode(), data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return []byte(all.String())
}

// Run is systemctl.
func (s *Systemd) Run(_ context.Context, op string, c opfs.Command) (opfs.Output, error) {
	s.Ops = append(s.Ops, op)
	if c.Path != "systemctl" {
		if s.Tools == nil {
			return opfs.Output{}, fmt.Errorf("%s: %w", c.Path, opfs.ErrNoCommand)
		}
		return s.Tools(op, c)
	}
	verb, name := c.Args[0], c.Args[len(c.Args)-1]
	if verb == "daemon-reload" {
		for name, u := range s.Units {
			data, err := os.ReadFile(filepath.Join(s.Root, unit.File(name)))
			u.masked = err == nil && len(data) == 0
		}
		return opfs.Output{}, nil
	}
	u := s.Units[name]
	switch {
	case verb == "show":
		if s.Asked != nil {
			s.Asked(c.Args[2:])
		}
		var all []string
		for _, name := range c.Args[2:] { // show --property=… NAME …
			all = append(all, s.Units[name].show())
		}
		return opfs.Output{Stdout: []byte(strings.Join(all, "\n"))}, nil
	case u == nil:
		return opfs.Output{ExitCode: 5, Stderr: []byte("Unit not loaded.")}, nil
	case verb == "start" && u.masked:
		return opfs.Output{ExitCode: 1, Stderr: []byte("Unit is masked.")}, nil
	case verb == "start":
		s.set(name, true)
	case verb == "stop" && !s.Stuck:
		s.set(name, false)
	}
	return opfs.Output{}, nil
}

func (s *Systemd) set(name string, active bool) {
	s.Units[name].Active = active
	if s.Changed != nil {
		s.Changed(name, active)
	}
}

func (u *Unit) show() string {
	if u == nil {
		return "LoadState=not-found\nUnitFileState=\nActiveState=inactive\n"
	}
	load, file, active := "loaded", "disabled", "inactive"
	if u.Boots {
		file = "enabled"
	}
	if u.masked {
		load, file = "masked", "masked"
	}
	if u.Active {
		active = "active"
	}
	return fmt.Sprintf("LoadState=%s\nUnitFileState=%s\nActiveState=%s\n", load, file, active)
}
