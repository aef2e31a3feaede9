package hostname_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/hostname"
	"github.com/paperclip-nas/paperclip/internal/device/setting/settingtest"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

const hosts = "# the owner's\n127.0.0.1\tlocalhost\n127.0.1.1\tcellar.example.org cellar cellar2 # cellar\n192.168.1.9 attic\n"

// hostnamed stands in for systemd-hostnamed: it has a name, which is not a file.
type hostnamed struct{ name *string }

func (h hostnamed) Run(_ context.Context, _ string, c opfs.Command) (opfs.Output, error) {
	switch {
	case slices.Equal(c.Args, []string{"--transient", "hostname"}):
		return opfs.Output{Stdout: []byte(*h.name + "\n")}, nil
	case len(c.Args) == 3:
		*h.name = c.Args[2]
		return opfs.Output{}, nil
	}
	return opfs.Output{ExitCode: 1}, nil
}

type system struct {
	root, name string
}

func newSystem(t testing.TB) *system {
	s := &system{root: t.TempDir(), name: "cellar"}
	s.write(t, "hostname", "cellar\n")
	s.write(t, "hosts", hosts)
	return s
}

func (s *system) write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(s.root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.root, "etc", name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (s *system) read(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(s.root, "etc", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func (s *system) adapter() *hostname.Adapter {
	return hostname.New(hostname.Config{FS: opfs.Under(s.root, opfs.OS(nil)), Runner: hostnamed{&s.name}})
}

func request(name string) setting.Request {
	return setting.Request{Mode: reset.Hard, Administrator: "anna", Password: access.NewSecret("four words quite apart"), Wizard: reset.Wizard{Name: name}}
}

func TestContract(t *testing.T) {
	settingtest.Run(t, func(t testing.TB) settingtest.System {
		s := newSystem(t)
		return settingtest.System{
			Adapter: s.adapter(), Request: request("attic"), Idle: setting.Request{Mode: reset.Soft, Scope: reset.All, Administrator: "anna"},
			Stored:  func(t testing.TB) []byte { return []byte(s.read(t, "hostname") + s.read(t, "hosts")) },
			Meddle:  func(t testing.TB) { s.write(t, "hostname", "theirs\n"); s.write(t, "hosts", "127.0.1.1 theirs\n") },
			Restart: func(testing.TB) setting.Adapter { return s.adapter() },
		}
	})
}

// Only the name changes, wherever the machine's own line has it.
func TestOnlyTheName(t *testing.T) {
	s := newSystem(t)
	steps, err := s.adapter().Prepare(t.Context(), request("attic"))
	if err != nil || len(steps) != 2 {
		t.Fatal(steps, err)
	}
	for _, st := range steps {
		if err := s.adapter().Persist(t.Context(), st); err != nil {
			t.Fatal(err)
		}
		if err := s.adapter().Activate(t.Context(), st); err != nil {
			t.Fatal(err)
		}
	}
	want := strings.Replace(hosts, "cellar.example.org cellar cellar2", "attic.example.org attic cellar2", 1)
	if got := s.read(t, "hosts"); got != want && got != strings.Replace(want, "# cellar", "# attic", 1) {
		t.Errorf("hosts: %q", got)
	}
	if s.read(t, "hostname") != "attic\n" || s.name != "attic" {
		t.Errorf("%q, in force %q", s.read(t, "hostname"), s.name)
	}
	if again, err := s.adapter().Prepare(t.Context(), request("attic")); err != nil || len(again) != 0 {
		t.Errorf("the same name again: %v %v", again, err)
	}
	if same, err := s.adapter().Prepare(t.Context(), request("")); err != nil || len(same) != 0 {
		t.Errorf("no answer: %v %v", same, err)
	}
}

// A name that the owner fixed is not the system's to change, and a system
// without the file or the line still takes one.
func TestWhatIsThere(t *testing.T) {
	s := newSystem(t)
	fixed := hostname.New(hostname.Config{FS: opfs.Under(s.root, opfs.OS(nil)), Runner: hostnamed{&s.name}, Fixed: "it is in paperclip.toml"})
	if found, err := fixed.Detect(t.Context()); err != nil || found.Present || !strings.Contains(found.Why, "paperclip.toml") {
		t.Errorf("%+v %v", found, err)
	}
	for _, name := range []string{"hostname", "hosts"} {
		if err := os.Remove(filepath.Join(s.root, "etc", name)); err != nil {
			t.Fatal(err)
		}
	}
	var now nas.Settings
	if err := s.adapter().Read(t.Context(), &now); err != nil || now.Name != "cellar" {
		t.Errorf("%q %v", now.Name, err)
	}
	steps, err := s.adapter().Prepare(t.Context(), request("attic"))
	if err != nil || len(steps) != 1 {
		t.Fatal(steps, err)
	}
	for _, do := range []func(context.Context, reset.Step) error{s.adapter().Persist, s.adapter().Activate, s.adapter().Verify, s.adapter().Undo, s.adapter().Activate} {
		if err := do(t.Context(), steps[0]); err != nil {
			t.Fatal(err)
		}
	}
	if s.name != "cellar" {
		t.Errorf("back to %q", s.name)
	}
}

// Verify reads both: the file, and the name in force.
func TestVerifyReadsBoth(t *testing.T) {
	s := newSystem(t)
	steps, err := s.adapter().Prepare(t.Context(), request("attic"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.adapter().Persist(t.Context(), steps[0]); err != nil {
		t.Fatal(err)
	}
	if s.adapter().Verify(t.Context(), steps[0]) == nil {
		t.Error("the old name is in force, and it is content")
	}
	s.name = "attic"
	if err := s.adapter().Verify(t.Context(), steps[0]); err != nil {
		t.Error(err)
	}
	s.write(t, "hostname", "theirs\n")
	if s.adapter().Verify(t.Context(), steps[0]) == nil {
		t.Error("the file has another name, and it is content")
	}
}

// fails is a systemd-hostnamed that refuses.
type fails struct{}

func (fails) Run(context.Context, string, opfs.Command) (opfs.Output, error) {
	return opfs.Output{ExitCode: 1, Stderr: []byte("no")}, nil
}

// Where systemd-hostnamed fails, nothing is called here or done.
func TestHostnamedFails(t *testing.T) {
	s := newSystem(t)
	steps, err := s.adapter().Prepare(t.Context(), request("attic"))
	if err != nil {
		t.Fatal(err)
	}
	broken := hostname.New(hostname.Config{FS: opfs.Under(s.root, opfs.OS(nil)), Runner: fails{}})
	if found, err := broken.Detect(t.Context()); err != nil || found.Present {
		t.Errorf("%+v %v", found, err)
	}
	if broken.Activate(t.Context(), steps[0]) == nil || broken.Verify(t.Context(), steps[0]) == nil {
		t.Error("its failure is taken for done")
	}
}

// Only the machine's own name is a word to be replaced, and a comment is no name.
func TestWordsOfTheLine(t *testing.T) {
	s := newSystem(t)
	s.write(t, "hostname", "# ours\ncellar\n")
	s.write(t, "hosts", "127.0.1.1 wine-cellar cellar\n")
	steps, err := s.adapter().Prepare(t.Context(), request("attic"))
	if err != nil || len(steps) != 2 {
		t.Fatal(steps, err)
	}
	if err := s.adapter().Persist(t.Context(), steps[1]); err != nil || s.read(t, "hosts") != "127.0.1.1 wine-cellar attic\n" {
		t.Errorf("%v: %q", err, s.read(t, "hosts"))
	}
	soft := request("attic")
	soft.Mode, soft.Scope = reset.Soft, reset.All
	if steps, err := s.adapter().Prepare(t.Context(), soft); err != nil || len(steps) != 0 {
		t.Errorf("a soft reset renames: %v %v", steps, err)
	}
}

// R6: a snapshot puts a name and the machine's own line there, and nothing else.
func TestRestoreRefuses(t *testing.T) {
	s := newSystem(t)
	for name, value := range map[string]string{
		"no name":        `{"hostname":"#\n","hosts":null}`,
		"an option":      `{"hostname":"-x\n","hosts":null}`,
		"words":          `{"hostname":"a b\n","hosts":null}`,
		"a long name":    `{"hostname":"` + strings.Repeat("a", 254) + `\n","hosts":null}`,
		"a long file":    `{"hostname":"a\n` + strings.Repeat("#", 4096) + `","hosts":null}`,
		"a line more":    `{"hostname":"a\n","hosts":"127.0.1.1 a\n6.6.6.6 bank.example"}`,
		"another's line": `{"hostname":"a\n","hosts":"6.6.6.6 bank.example"}`,
	} {
		raw := []byte(`{"version":1,"adapter":"hostname","value":` + value + `}`)
		if steps, err := s.adapter().PrepareRestore(t.Context(), raw); !errors.Is(err, setting.ErrSaved) {
			t.Errorf("%s: %d steps, %v", name, len(steps), err)
		}
	}
}
