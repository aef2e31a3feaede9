package shares_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/guest"
	"github.com/paperclip-nas/paperclip/internal/device/setting/settingtest"
	"github.com/paperclip-nas/paperclip/internal/device/setting/shares"
	"github.com/paperclip-nas/paperclip/internal/device/setting/unit"
	"github.com/paperclip-nas/paperclip/internal/device/setting/unit/unittest"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/scratch"
)

const (
	installed = "# Debian's\n[global]\n   workgroup = WORKGROUP\n   map to guest = bad user\n\n#=== Shares\n[homes]\n   browseable = no\n   read only = yes\n"
	later     = "[photos]\n   path = /srv/photos\n   read only = no\n   guest ok = yes\n\n[Music Box]\n   path = /srv/music\n"
	exports   = "# /etc/exports: the access control list\n"
	exported  = exports + "/srv/photos 192.168.1.0/24(ro)\n"
)

type system struct {
	root     string
	baseline json.RawMessage
}

func (s *system) write(t testing.TB, name, text string) {
	t.Helper()
	file := filepath.Join(s.root, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (s *system) read(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(s.root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func (s *system) units() unit.System {
	fsys := opfs.Under(s.root, opfs.OS(nil))
	return unit.System{FS: fsys, Runner: &unittest.Systemd{Root: s.root, Units: map[string]*unittest.Unit{"smbd.service": {Boots: true, Active: true}}}}
}

func (s *system) adapter() *shares.Adapter {
	return shares.New(s.units(), func() json.RawMessage { return s.baseline })
}

// household is a NAS on which shares were made since paperclipd was installed.
func household(t testing.TB) *system {
	s := &system{root: scratch.Dir(t)}
	s.write(t, "etc/samba/smb.conf", installed)
	s.write(t, "etc/exports", exports)
	var err error
	if s.baseline, err = s.adapter().Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.write(t, "etc/samba/smb.conf", installed+later)
	s.write(t, "etc/exports", exported)
	return s
}

func hard() setting.Request {
	return setting.Request{Mode: reset.Hard, Administrator: "anna", Password: access.NewSecret("four words quite apart")}
}

func TestContract(t *testing.T) {
	settingtest.Run(t, func(t testing.TB) settingtest.System {
		s := household(t)
		return settingtest.System{
			Adapter: s.adapter(), Request: hard(), Idle: setting.Request{Mode: reset.Soft, Scope: reset.All, Administrator: "anna"},
			Stored: func(t testing.TB) []byte {
				return []byte(s.read(t, "etc/samba/smb.conf") + "\x00" + s.read(t, "etc/exports"))
			},
			Meddle: func(t testing.TB) {
				s.write(t, "etc/samba/smb.conf", installed+later+"[theirs]\n")
				s.write(t, "etc/exports", "/theirs\n")
			},
			Restart: func(testing.TB) setting.Adapter { return s.adapter() },
		}
	})
}

// H2: as at install to the byte, [global] as it is now, and told beforehand.
func TestBackToTheBaseline(t *testing.T) {
	s := household(t)
	s.write(t, "etc/samba/smb.conf", strings.Replace(installed+later, "WORKGROUP", "HOME", 1))
	var now nas.Settings
	if err := s.adapter().Read(t.Context(), &now); err != nil {
		t.Fatal(err)
	}
	if got := reset.Describe(nas.H2, now, ""); got != "homes (SMB), photos (SMB), musicbox (SMB), /srv/photos (NFS)" {
		t.Errorf("before: %s", got)
	}
	carryOut(t, s)
	if got := s.read(t, "etc/samba/smb.conf"); got != strings.Replace(installed, "WORKGROUP", "HOME", 1) {
		t.Errorf("smb.conf: %q", got)
	}
	if got := s.read(t, "etc/exports"); got != exports {
		t.Errorf("exports: %q", got)
	}
	now = nas.Settings{}
	if err := s.adapter().Read(t.Context(), &now); err != nil || now.Shares.Changed || reset.Describe(nas.H2, now, "") != "as at install: homes (SMB)" {
		t.Errorf("%v %+v", err, now.Shares)
	}
}

func carryOut(t *testing.T, s *system) {
	t.Helper()
	steps, err := s.adapter().Prepare(t.Context(), hard())
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range steps {
		if err := s.adapter().Persist(t.Context(), st); err != nil {
			t.Fatal(err)
		}
		if err := s.adapter().Verify(t.Context(), st); err != nil {
			t.Fatal(err)
		}
	}
}

// E2: package guest writes [global] and this one the shares, in either order,
// and no share of the baseline lets a guest in.
func TestNoGuestByAShareThatComesBack(t *testing.T) {
	for _, first := range []string{"guest", "shares"} {
		s := &system{root: scratch.Dir(t)}
		s.write(t, "etc/samba/smb.conf", installed+later+"[mixed]\n   invalid users = ben\n")
		var err error
		if s.baseline, err = s.adapter().Save(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.write(t, "etc/samba/smb.conf", installed+"[mixed]\n   invalid users = carla\n   guest ok = yes\n")
		g := guest.New(s.units())
		mine, err := s.adapter().Prepare(t.Context(), hard())
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := g.Prepare(t.Context(), hard())
		if err != nil {
			t.Fatal(err)
		}
		all := []struct {
			adapter setting.Adapter
			steps   []reset.Step
		}{{g, theirs}, {s.adapter(), mine}}
		if first == "shares" {
			all[0], all[1] = all[1], all[0]
		}
		before := s.read(t, "etc/samba/smb.conf")
		for _, one := range all {
			for _, st := range one.steps {
				if err := one.adapter.Persist(t.Context(), st); err != nil {
					t.Fatalf("%s first: %v", first, err)
				}
			}
		}
		text := s.read(t, "etc/samba/smb.conf")
		if guest.Closed(text) != text || !strings.Contains(text, "[photos]\n   invalid users = ") || !strings.Contains(text, "invalid users = ben nobody") || !strings.Contains(text, "map to guest = never") {
			t.Errorf("%s first: a guest gets in:\n%s", first, text)
		}
		for i := len(all) - 1; i >= 0; i-- {
			for j := len(all[i].steps) - 1; j >= 0; j-- {
				if err := all[i].adapter.Undo(t.Context(), all[i].steps[j]); err != nil {
					t.Fatal(err)
				}
			}
		}
		if s.read(t, "etc/samba/smb.conf") != before {
			t.Errorf("%s first: the way back is not exact", first)
		}
	}
}

// Without a baseline nothing is put back, but the shares are closed to guests;
// a file that the baseline has and the system has not is not made.
func TestWithoutABaseline(t *testing.T) {
	s := household(t)
	s.baseline = nil
	carryOut(t, s)
	if got := s.read(t, "etc/samba/smb.conf"); got != strings.Replace(installed+later, "[photos]\n", "[photos]\n   invalid users = nobody guest\n", 1) {
		t.Errorf("%q", got)
	}
	s = household(t)
	if err := os.Remove(filepath.Join(s.root, "etc/exports")); err != nil {
		t.Fatal(err)
	}
	carryOut(t, s)
	if _, err := os.Stat(filepath.Join(s.root, "etc/exports")); err == nil {
		t.Error("a file was made")
	}
}

// Files that are not where shares are defined are left alone, and say why.
func TestElsewhere(t *testing.T) {
	for text, want := range map[string]string{
		installed + "include = /etc/samba/more.conf\n": "takes in others",
		"# auto-generated\n" + installed:               "generated",
		installed + "[global]\n   x = y\n":             "[global] again",
	} {
		s := household(t)
		s.write(t, "etc/samba/smb.conf", text)
		if found, err := s.adapter().Detect(t.Context()); err != nil || found.Present || !strings.Contains(found.Why, want) {
			t.Errorf("%q: %+v %v", text, found, err)
		}
	}
	s := &system{root: scratch.Dir(t)}
	if found, err := s.adapter().Detect(t.Context()); err != nil || found.Present || found.Why == "" {
		t.Errorf("nothing: %+v %v", found, err)
	}
}

// The program that shares reads its file again; the other has no need to.
func TestReload(t *testing.T) {
	for i, service := range []string{"smbd.service", "nfs-server.service"} {
		s := household(t)
		systemd := &unittest.Systemd{Root: s.root, Units: map[string]*unittest.Unit{service: {Active: true}}}
		a := shares.New(systemd.System(), func() json.RawMessage { return s.baseline })
		steps, err := a.Prepare(t.Context(), hard())
		if err != nil || len(steps) != 2 {
			t.Fatal(steps, err)
		}
		for j, st := range steps {
			systemd.Ops = nil
			if err := a.Activate(t.Context(), st); err != nil || slices.Contains(systemd.Ops, "shares.activate.reload") != (i == j) {
				t.Errorf("%s, %s: %v %v", service, st.Name, systemd.Ops, err)
			}
		}
	}
}

// A baseline that lacks a file takes none away, and one that cannot be read is none.
func TestNoFileIsMadeOrTaken(t *testing.T) {
	for name, baseline := range map[string]string{
		"exports only": `{"version":1,"adapter":"shares","value":{"samba":null,"exports":"# none\n"}}`,
		"damaged":      `{"version":1,"adapter":"shares","value":{"samba":"workgroup = X\n[a]\n","exports":"x\u0000"}}`,
	} {
		s := household(t)
		s.write(t, "etc/samba/smb.conf", installed)
		s.baseline = json.RawMessage(baseline)
		steps, err := s.adapter().Prepare(t.Context(), hard())
		for _, st := range steps {
			if strings.Contains(st.Name, "smb.conf") || name == "damaged" {
				t.Errorf("%s: %s", name, st.Data)
			}
		}
		if err != nil {
			t.Error(name, err)
		}
	}
	s := household(t)
	if err := os.Remove(filepath.Join(s.root, "etc/samba/smb.conf")); err != nil {
		t.Fatal(err)
	}
	if steps, err := s.adapter().Prepare(t.Context(), hard()); err != nil || len(steps) != 1 {
		t.Errorf("without Samba: %v %v", steps, err)
	}
}

// R6: what a snapshot puts there is shares, in a file that is the owner's.
func TestRestoreRefuses(t *testing.T) {
	s := household(t)
	for name, value := range map[string]string{
		"global settings": `{"samba":"map to guest = bad user\n[a]\n","exports":null}`,
		"no text":         `{"samba":null,"exports":"a\u0000"}`,
	} {
		raw := json.RawMessage(`{"version":1,"adapter":"shares","value":` + value + `}`)
		if steps, err := s.adapter().PrepareRestore(t.Context(), raw); !errors.Is(err, setting.ErrSaved) {
			t.Errorf("%s: %d steps, %v", name, len(steps), err)
		}
	}
	s.write(t, "etc/samba/smb.conf", "# auto-generated\n"+installed)
	if steps, err := s.adapter().PrepareRestore(t.Context(), s.baseline); !errors.Is(err, setting.ErrSaved) {
		t.Errorf("a generated file: %d steps, %v", len(steps), err)
	}
}

// What cannot be read is not taken for not there; nor is a file without an end.
func TestUnreadable(t *testing.T) {
	s := &system{root: t.TempDir()}
	s.write(t, "etc/samba/smb.conf/inside", "")
	if found, err := s.adapter().Detect(t.Context()); err == nil {
		t.Errorf("%+v", found)
	}
	s = household(t)
	s.write(t, "etc/samba/smb.conf", "[global]")
	carryOut(t, s)
	if text := s.read(t, "etc/samba/smb.conf"); !strings.HasPrefix(text, "[global]\n[homes]\n") {
		t.Errorf("%q", text)
	}
}
