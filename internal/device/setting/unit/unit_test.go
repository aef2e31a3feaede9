package unit_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/unit"
	"github.com/paperclip-nas/paperclip/internal/device/setting/unit/unittest"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

const name = "door.service"

// A unit goes off and comes back as it was, whatever it was before.
func TestOffAndOnAgain(t *testing.T) {
	for _, before := range []unittest.Unit{
		{Boots: true, Active: true}, {Boots: true}, {Active: true},
	} {
		u := before
		s := unittest.New(t, map[string]*unittest.Unit{name: &u})
		sys := s.System()
		c, err := sys.Off(t.Context(), "door", name)
		if err != nil || c == nil || !c.Valid() {
			t.Fatalf("%+v: %v, %v", before, c, err)
		}
		for range 2 {
			if err := errors.Join(sys.Persist("door", *c), sys.Activate(t.Context(), "door", *c), sys.Verify(t.Context(), "door", *c)); err != nil {
				t.Fatalf("%+v: %v", before, err)
			}
		}
		if st, _ := sys.State(t.Context(), "x", name); st.On() || !st.Masked {
			t.Errorf("%+v: then %+v", before, st)
		}
		for range 2 {
			if err := errors.Join(sys.Undo("door", *c), sys.Activate(t.Context(), "door", *c)); err != nil {
				t.Fatalf("%+v: %v", before, err)
			}
		}
		if u != before {
			t.Errorf("%+v came back as %+v", before, u)
		}
	}
}

// Once systemd has read the mask it no longer knows how the unit is stopped.
func TestStoppedBeforeSystemdReadsTheMask(t *testing.T) {
	s := unittest.New(t, map[string]*unittest.Unit{name: {Active: true}})
	sys := s.System()
	c, err := sys.Off(t.Context(), "door", name)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(sys.Persist("door", *c), sys.Activate(t.Context(), "door", *c)); err != nil {
		t.Fatal(err)
	}
	want := []string{"door.read.show", "door.read.show", "door.activate.stop", "door.activate.reload"}
	if !slices.Equal(s.Ops, want) {
		t.Errorf("ran %q, want %q", s.Ops, want)
	}
}

func TestNothingToSwitchOff(t *testing.T) {
	s := unittest.New(t, map[string]*unittest.Unit{name: {}})
	for _, n := range []string{name, "missing.service"} {
		if c, err := s.System().Off(t.Context(), "door", n); c != nil || err != nil {
			t.Errorf("%s: %v, %v", n, c, err)
		}
	}
}

// A unit of the owner's own is put back to the byte.
func TestOwnersUnitFile(t *testing.T) {
	s := unittest.New(t, map[string]*unittest.Unit{name: {Active: true}})
	s.Write(t, unit.File(name), "# mine\n[Service]\nExecStart=/bin/true\n")
	before := string(s.Stored(t))
	sys := s.System()
	c, err := sys.Off(t.Context(), "door", name)
	if err != nil {
		t.Fatal(err)
	}
	if err := sys.Persist("door", *c); err != nil {
		t.Fatal(err)
	}
	if off, err := sys.Masked(*c); !off || err != nil {
		t.Error("not masked", err)
	}
	if err := sys.Undo("door", *c); err != nil {
		t.Fatal(err)
	}
	if after := string(s.Stored(t)); after != before {
		t.Errorf("before %q\nafter %q", before, after)
	}
}

// A link in the mask's place is somebody's arrangement, and is not replaced.
func TestLinkedUnitIsRefused(t *testing.T) {
	s := unittest.New(t, map[string]*unittest.Unit{name: {Active: true}})
	s.Write(t, "/opt/"+name, "[Service]\n")
	if err := os.Symlink(filepath.Join(s.Root, "opt", name), filepath.Join(s.Root, unit.File(name))); err != nil {
		t.Fatal(err)
	}
	if c, err := s.System().Off(t.Context(), "door", name); !errors.Is(err, setting.ErrPermanent) {
		t.Errorf("%v, %v", c, err)
	}
}

func TestVerifySeesAUnitThatDoesNotStop(t *testing.T) {
	s := unittest.New(t, map[string]*unittest.Unit{name: {Active: true}})
	s.Stuck = true
	sys := s.System()
	c, err := sys.Off(t.Context(), "door", name)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(sys.Persist("door", *c), sys.Activate(t.Context(), "door", *c)); err != nil {
		t.Fatal(err)
	}
	if sys.Verify(t.Context(), "door", *c) == nil {
		t.Error("verify is content with a unit that runs")
	}
}

// Units that are often asked about together are one program where answers are
// kept, each with its own answer, and one a unit where they are not.
func TestAskedTogether(t *testing.T) {
	const other, gone = "window.service", "missing.service"
	s := unittest.New(t, map[string]*unittest.Unit{name: {Active: true}, other: {Boots: true}})
	sys := s.System()
	sys.Together = []string{gone, other, name}
	for ctx, want := range map[context.Context]int{t.Context(): 1, opfs.KeepAnswers(t.Context()): 3} {
		for unitName, st := range map[string]unit.State{name: {Installed: true, Active: true}, other: {Installed: true, Boots: true}, gone: {}} {
			s.Asked = func(names []string) {
				if len(names) != want {
					t.Errorf("asked about %q", names)
				}
			}
			if got, err := sys.State(ctx, "x", unitName); got != st || err != nil {
				t.Errorf("%s: %+v, %v; want %+v", unitName, got, err, st)
			}
		}
	}
	s.Asked = func(names []string) {
		if !slices.Equal(names, []string{"alone.service"}) {
			t.Errorf("asked about %q", names)
		}
	}
	if _, err := sys.State(opfs.KeepAnswers(t.Context()), "x", "alone.service"); err != nil {
		t.Error(err)
	}
}

// curt is a systemctl that tells of one unit, whatever it is asked.
type curt struct{}

func (curt) Run(context.Context, string, opfs.Command) (opfs.Output, error) {
	return opfs.Output{Stdout: []byte("LoadState=loaded\n")}, nil
}

// An answer about fewer units than were asked about is no answer.
func TestAnAnswerOfFewer(t *testing.T) {
	sys := unit.System{Runner: curt{}, Together: []string{name, "window.service"}}
	if st, err := sys.State(opfs.KeepAnswers(t.Context()), "x", name); err == nil {
		t.Errorf("%+v", st)
	}
}

// Verify reads both back, the file and what systemd has loaded, on either way.
func TestVerifyReadsBoth(t *testing.T) {
	u := &unittest.Unit{Boots: true, Active: true}
	s := unittest.New(t, map[string]*unittest.Unit{name: u})
	sys := s.System()
	kept, err := sys.Kept(t.Context(), "door", name)
	if err != nil || kept == nil {
		t.Fatal(kept, err)
	}
	c, err := sys.Off(t.Context(), "door", name)
	if err != nil {
		t.Fatal(err)
	}
	content := func(what string, want bool, c unit.Change) {
		t.Helper()
		if err := sys.Verify(t.Context(), "door", c); (err == nil) != want {
			t.Errorf("%s: %v", what, err)
		}
	}
	do := func(errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	do(sys.Persist("door", *c))
	u.Active = false
	content("stopped, and systemd has not read the mask", false, *c)
	do(sys.Activate(t.Context(), "door", *c))
	content("off", true, *c)
	do(os.Remove(filepath.Join(s.Root, unit.File(name))))
	content("the mask is gone", false, *c)
	do(sys.Persist("door", *c))
	back, err := sys.Restore(t.Context(), "door", *kept)
	if err != nil || back == nil {
		t.Fatal(back, err)
	}
	do(sys.Persist("door", *back))
	content("the mask is still loaded", false, *back)
	do(sys.Activate(t.Context(), "door", *back))
	content("on again", true, *back)
	u.Active = false
	content("not started again", false, *back)
}

// silent is a machine without systemd: no such program, or one that fails.
type silent struct{ err error }

func (s silent) Run(context.Context, string, opfs.Command) (opfs.Output, error) {
	return opfs.Output{ExitCode: 1, Stdout: []byte("LoadState=loaded\n")}, s.err
}

func TestFailuresAreNotTakenForAnswers(t *testing.T) {
	for _, err := range []error{nil, opfs.ErrNoCommand} {
		sys := unit.System{Runner: silent{err}}
		if st, err := sys.State(t.Context(), "x", name); !errors.Is(err, unit.ErrNoSystemd) {
			t.Errorf("%+v, %v", st, err)
		}
		if sys.Do(t.Context(), "x", "stop", name) == nil {
			t.Error("a failed stop is taken for done")
		}
	}
}

// R6: a snapshot switches the setting's own units, each once, and no others.
func TestRestoreRefusesOtherUnits(t *testing.T) {
	s := unittest.New(t, map[string]*unittest.Unit{name: {Active: true}, "sshd.service": {Active: true}})
	for _, units := range []string{
		`{"unit":"sshd.service","file":"","active":false}`,
		`{"unit":"door.service","file":"","active":false},{"unit":"door.service","file":null,"active":true}`,
		`{"unit":"missing.service","file":"","active":false}`,
	} {
		raw := []byte(`{"version":1,"adapter":"door","value":{"units":[` + units + `]}}`)
		if all, err := s.System().RestoreUnits(t.Context(), "door", raw, name, "missing.service"); !errors.Is(err, setting.ErrSaved) {
			t.Errorf("%s: %+v, %v", units, all, err)
		}
	}
}
