package ufw_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/settingtest"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ufw"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

const on = "# /etc/ufw/ufw.conf\n\nENABLED=yes\n\nLOGLEVEL=low # mine\n"

var everything = setting.Request{Mode: reset.Soft, Scope: reset.All}

// system is ufw with its files below root.
type system struct {
	root   string
	active bool
	broken bool
	ops    []string
}

func newSystem(t testing.TB, config string, active bool) *system {
	s := &system{root: t.TempDir(), active: active}
	s.write(t, ufw.Configuration, config)
	s.write(t, "/etc/ufw/user.rules", "*filter\n### RULES ###\n### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in\n-A x\n### tuple ### deny any any 0.0.0.0/0 any 192.0.2.1 in\n")
	return s
}

func (s *system) write(t testing.TB, path, content string) {
	t.Helper()
	full := filepath.Join(s.root, path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(content), 0o640)); err != nil {
		t.Fatal(err)
	}
}

func (s *system) read(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(s.root, ufw.Configuration))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (s *system) Run(_ context.Context, op string, c opfs.Command) (opfs.Output, error) {
	s.ops = append(s.ops, op)
	switch strings.Join(c.Args, " ") {
	case "status":
		switch {
		case s.broken:
			return opfs.Output{ExitCode: 1, Stderr: []byte("ERROR: problem running iptables")}, nil
		case s.active:
			return opfs.Output{Stdout: []byte("Status: active\n\nTo Action From\n")}, nil
		}
		return opfs.Output{Stdout: []byte("Status: inactive\n")}, nil
	case "disable":
		s.active = false
	case "--force enable":
		s.active = true
	}
	return opfs.Output{}, nil
}

func (s *system) adapter() *ufw.Adapter { return ufw.New(opfs.Under(s.root, opfs.OS(nil)), s) }

func TestContract(t *testing.T) {
	settingtest.Run(t, func(t testing.TB) settingtest.System {
		s := newSystem(t, on, true)
		return settingtest.System{
			Adapter: s.adapter(),
			Request: everything,
			Idle:    setting.Request{Mode: reset.Soft, Scope: reset.Network},
			Stored:  s.read,
			Meddle:  func(t testing.TB) { s.write(t, ufw.Configuration, "ENABLED=maybe\n") },
			Restart: func(testing.TB) setting.Adapter { return s.adapter() },
		}
	})
}

// E9: off with the rules kept, and back on.
func TestOffAndOnAgain(t *testing.T) {
	s := newSystem(t, on, true)
	a := s.adapter()
	firewall := func() nas.Firewall {
		t.Helper()
		var all nas.Settings
		if err := a.Read(t.Context(), &all); err != nil {
			t.Fatal(err)
		}
		return *all.Firewall
	}
	if got := firewall(); got != (nas.Firewall{Enabled: true, Rules: 2}) {
		t.Errorf("before: %+v", got)
	}
	steps, err := a.Prepare(t.Context(), everything)
	if err != nil || len(steps) != 1 {
		t.Fatal(steps, err)
	}
	if err := errors.Join(a.Persist(t.Context(), steps[0]), a.Activate(t.Context(), steps[0]), a.Verify(t.Context(), steps[0])); err != nil {
		t.Fatal(err)
	}
	if got := firewall(); got != (nas.Firewall{Rules: 2}) || s.active {
		t.Errorf("after: %+v", got)
	}
	if got, want := string(s.read(t)), strings.Replace(on, "yes", "no", 1); got != want {
		t.Errorf("the file is %q", got)
	}
	if err := errors.Join(a.Undo(t.Context(), steps[0]), a.Activate(t.Context(), steps[0])); err != nil {
		t.Fatal(err)
	}
	if got := firewall(); got != (nas.Firewall{Enabled: true, Rules: 2}) || !s.active || string(s.read(t)) != on {
		t.Errorf("undone: %+v, %q", got, s.read(t))
	}
	if slices.Contains(s.ops, "ufw.persist.disable") {
		t.Error("a command ran while only files may change")
	}
}

// What is on at the next start only is switched off too, and not put up by the
// way back.
func TestEnabledButNotActive(t *testing.T) {
	s := newSystem(t, on, false)
	a := s.adapter()
	steps, err := a.Prepare(t.Context(), everything)
	if err != nil || len(steps) != 1 {
		t.Fatal(steps, err)
	}
	for _, err := range []error{
		a.Persist(t.Context(), steps[0]), a.Activate(t.Context(), steps[0]), a.Verify(t.Context(), steps[0]),
		a.Undo(t.Context(), steps[0]), a.Activate(t.Context(), steps[0]),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if s.active || string(s.read(t)) != on {
		t.Errorf("active %t, %q", s.active, s.read(t))
	}
}

func TestOffIsLeftAlone(t *testing.T) {
	a := newSystem(t, "ENABLED=no\n", false).adapter()
	if steps, err := a.Prepare(t.Context(), everything); err != nil || steps != nil {
		t.Errorf("%v, %v", steps, err)
	}
}

func TestNotPresent(t *testing.T) {
	s := newSystem(t, on, true)
	s.broken = true
	if found, err := s.adapter().Detect(t.Context()); err != nil || found.Present || !strings.Contains(found.Why, "iptables") {
		t.Errorf("%+v, %v", found, err)
	}
	s.root = t.TempDir()
	if found, err := s.adapter().Detect(t.Context()); err != nil || found.Present || found.Why != "ufw is not installed" {
		t.Errorf("%+v, %v", found, err)
	}
}

// refusing is a ufw that only tells.
type refusing struct{ *system }

func (r refusing) Run(ctx context.Context, op string, c opfs.Command) (opfs.Output, error) {
	if c.Args[0] != "status" {
		return opfs.Output{ExitCode: 1, Stderr: []byte("ERROR")}, nil
	}
	return r.system.Run(ctx, op, c)
}

// Verify reads both, the entry and what is in force, on either way.
func TestVerifyReadsBoth(t *testing.T) {
	s := newSystem(t, on, true)
	a := s.adapter()
	saved, err := a.Save(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	steps, err := a.Prepare(t.Context(), everything)
	if err != nil || len(steps) != 1 {
		t.Fatal(steps, err)
	}
	if err := a.Persist(t.Context(), steps[0]); err != nil || a.Verify(t.Context(), steps[0]) == nil {
		t.Errorf("the rules are in force, and it is content: %v", err)
	}
	if ufw.New(opfs.Under(s.root, opfs.OS(nil)), refusing{s}).Activate(t.Context(), steps[0]) == nil {
		t.Error("a ufw that fails is taken for done")
	}
	s.active = false
	if err := a.Verify(t.Context(), steps[0]); err != nil {
		t.Error(err)
	}
	s.write(t, ufw.Configuration, on)
	if a.Verify(t.Context(), steps[0]) == nil {
		t.Error("it starts with the system, and it is content")
	}
	s.write(t, ufw.Configuration, strings.Replace(on, "yes", "no", 1))
	back, err := a.PrepareRestore(t.Context(), saved)
	if err != nil || len(back) != 1 {
		t.Fatal(back, err)
	}
	if err := a.Persist(t.Context(), back[0]); err != nil || a.Verify(t.Context(), back[0]) == nil {
		t.Errorf("the rules are not in force again, and it is content: %v", err)
	}
}

// R6: a shell reads the entry, so nothing else is put there.
func TestRestoreRefusesWords(t *testing.T) {
	s := newSystem(t, on, true)
	for _, value := range []string{`"$(reboot)"`, `"no; reboot"`, `"no\nX=y"`, `null`} {
		raw := []byte(`{"version":1,"adapter":"ufw","value":{"enabled":` + value + `,"active":true}}`)
		if steps, err := s.adapter().PrepareRestore(t.Context(), raw); !errors.Is(err, setting.ErrSaved) {
			t.Errorf("%s: %d steps, %v", value, len(steps), err)
		}
	}
}
