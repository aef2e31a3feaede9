package faillock_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/faillock"
	"github.com/paperclip-nas/paperclip/internal/device/setting/settingtest"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

const counts = "\x01\x00\x00three failures"

var everything = setting.Request{Mode: reset.Soft, Scope: reset.All, Administrator: "anna"}

type system struct{ root string }

func newSystem(t testing.TB) system {
	s := system{t.TempDir()}
	s.write(t, "/etc/pam.d/common-auth", "# auth required pam_faillock.so\nauth\trequired\tpam_faillock.so preauth\n")
	s.write(t, "/run/faillock/anna", counts)
	s.write(t, "/run/faillock/ben", counts)
	return s
}

func (s system) write(t testing.TB, path, content string) {
	t.Helper()
	full := filepath.Join(s.root, path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(content), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func (s system) read(t testing.TB, user string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(s.root, "/run/faillock", user))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func (s system) adapter() *faillock.Adapter { return faillock.New(opfs.Under(s.root, opfs.OS(nil))) }

func TestContract(t *testing.T) {
	settingtest.Run(t, func(t testing.TB) settingtest.System {
		s := newSystem(t)
		return settingtest.System{
			Adapter: s.adapter(),
			Request: everything,
			Idle:    setting.Request{Mode: reset.Soft, Scope: reset.Network, Administrator: "anna"},
			Stored:  func(t testing.TB) []byte { return []byte(s.read(t, "anna") + "|" + s.read(t, "ben")) },
			Silent:  true,
		}
	})
}

func step(t *testing.T, a *faillock.Adapter) reset.Step {
	t.Helper()
	steps, err := a.Prepare(t.Context(), everything)
	if err != nil || len(steps) != 1 {
		t.Fatal(steps, err)
	}
	return steps[0]
}

// Who goes on trying passwords cannot hold up the reset; and the way back does
// not hide what was counted since.
func TestCountedMeanwhile(t *testing.T) {
	s := newSystem(t)
	a := s.adapter()
	st := step(t, a)
	s.write(t, "/run/faillock/anna", counts+counts)
	if err := errors.Join(a.Persist(t.Context(), st), a.Verify(t.Context(), st)); err != nil {
		t.Fatal(err)
	}
	if s.read(t, "anna") != "" || s.read(t, "ben") != counts {
		t.Errorf("anna %q, ben %q", s.read(t, "anna"), s.read(t, "ben"))
	}
	s.write(t, "/run/faillock/anna", "a new one")
	if err := a.Verify(t.Context(), st); err != nil {
		t.Error("a new failure is not the old count:", err)
	}
	if err := a.Undo(t.Context(), st); !errors.Is(err, setting.ErrThirdValue) || s.read(t, "anna") != "a new one" {
		t.Errorf("%v, %q", err, s.read(t, "anna"))
	}
}

// A start of the system clears the counts; nothing is put back then.
func TestAfterAStartOfTheSystem(t *testing.T) {
	s := newSystem(t)
	a := s.adapter()
	st := step(t, a)
	if err := os.RemoveAll(filepath.Join(s.root, "/run/faillock")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.Persist(t.Context(), st), a.Verify(t.Context(), st), a.Undo(t.Context(), st)); err != nil {
		t.Fatal(err)
	}
}

func TestAnotherDirectory(t *testing.T) {
	s := newSystem(t)
	s.write(t, "/etc/security/faillock.conf", "# dir = /nowhere\ndeny = 5\ndir = /var/lib/faillock\n")
	s.write(t, "/var/lib/faillock/anna", counts)
	a := s.adapter()
	if err := a.Persist(t.Context(), step(t, a)); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(s.root, "/var/lib/faillock/anna")); err != nil || len(data) != 0 {
		t.Errorf("%q, %v", data, err)
	}
}

func TestNothingToDo(t *testing.T) {
	s := newSystem(t)
	s.write(t, "/etc/shadow", "never to be cleared")
	for _, who := range []string{"", "..", "../../etc/shadow", "cara"} {
		r := everything
		r.Administrator = who
		if steps, err := s.adapter().Prepare(t.Context(), r); err != nil || steps != nil {
			t.Errorf("%q: %v, %v", who, steps, err)
		}
	}
	s.write(t, "/etc/pam.d/common-auth", "auth required pam_unix.so\n")
	if found, err := s.adapter().Detect(t.Context()); err != nil || found.Present || found.Why == "" {
		t.Errorf("%+v, %v", found, err)
	}
}

// A step clears the count of the account that it names, and no other file.
func TestNoOtherFile(t *testing.T) {
	s := newSystem(t)
	s.write(t, "/etc/shadow", counts)
	for _, data := range []string{
		`{"user":"anna","file":"/etc/shadow","from":"eA=="}`, `{"user":"../../etc/shadow","file":"/run/faillock/../../etc/shadow","from":"eA=="}`,
		`{"user":"anna","file":"run/faillock/anna","from":"eA=="}`, `{"user":"anna","file":"/run/faillock/anna","from":""}`,
	} {
		st := reset.Step{Name: "x", Adapter: faillock.ID, Data: []byte(data)}
		if err := s.adapter().Persist(t.Context(), st); !errors.Is(err, setting.ErrPermanent) {
			t.Errorf("%s: %v", data, err)
		}
	}
	s.write(t, "/run/faillock/anna", string(make([]byte, 2<<20)))
	if steps, err := s.adapter().Prepare(t.Context(), everything); !errors.Is(err, setting.ErrPermanent) {
		t.Errorf("a huge file: %d steps, %v", len(steps), err)
	}
}
