package cockpit_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/cockpit"
	"github.com/paperclip-nas/paperclip/internal/device/setting/settingtest"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

var networkScope = setting.Request{Mode: reset.Soft, Scope: reset.Network}

const (
	shipped = "[Unit]\nDescription=Cockpit Web Service Socket\n\n[Socket]\nListenStream=9090\nExecStartPost=-/bin/true\n\n[Install]\nWantedBy=sockets.target\n"
	base    = "/usr/lib/systemd/system/cockpit.socket"
	dropIn  = "/etc/systemd/system/cockpit.socket.d/listen.conf"
	listen  = "# closer to the web\n[Socket]\nListenStream=\n# TLS\nListenStream=443\nListenStream=192.0.2.1:8443\nFreeBind=yes\n"
)

// system is a root directory and systemd.
type system struct {
	t      testing.TB
	root   string
	listen []string // where the running socket listens
	idle   bool     // the socket is not active
	deaf   bool     // a restart changes nothing
	ran    []string
}

func newSystem(t testing.TB, files map[string]string) *system {
	s := &system{t: t, root: t.TempDir(), listen: []string{"[::]:443", "192.0.2.1:8443"}}
	for path, text := range files {
		s.write(path, text)
	}
	return s
}

func (s *system) path(p string) string { return filepath.Join(s.root, p) }

func (s *system) write(path, content string) {
	s.t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(s.path(path)), 0o755), os.WriteFile(s.path(path), []byte(content), 0o644)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *system) read(path string) string {
	s.t.Helper()
	data, err := os.ReadFile(s.path(path))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(data)
}

// Run is systemctl.
func (s *system) Run(ctx context.Context, op string, c opfs.Command) (opfs.Output, error) {
	s.ran = append(s.ran, op)
	var out strings.Builder
	switch strings.Join(c.Args[:min(2, len(c.Args))], " ") {
	case "show --property=LoadState,UnitFileState,ActiveState":
		fmt.Fprintf(&out, "LoadState=loaded\nUnitFileState=enabled\nActiveState=%s\n", map[bool]string{true: "inactive", false: "active"}[s.idle])
	case "--no-header --listening": // ss
		for _, l := range s.listen {
			fmt.Fprintf(&out, "LISTEN 0      4096      %s      *:*\n", l)
		}
	case "restart cockpit.socket":
		var now nas.Settings
		if err := s.adapter().Read(ctx, &now); err != nil {
			return opfs.Output{}, err
		}
		if s.deaf {
			break
		}
		s.listen = nil
		for _, l := range now.Cockpit.Listen {
			if !strings.Contains(l, ":") {
				l = "[::]:" + l
			}
			s.listen = append(s.listen, l)
		}
	}
	return opfs.Output{Stdout: []byte(out.String())}, nil
}

func (s *system) adapter() *cockpit.Adapter {
	return cockpit.New(opfs.Under(s.root, opfs.OS(nil)), s)
}

func (s *system) stored(t testing.TB) []byte {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(s.root, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			fmt.Fprintf(&all, "%s\n%s", p[len(s.root):], s.read(p[len(s.root):]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return []byte(all.String())
}

func TestContract(t *testing.T) {
	settingtest.Run(t, func(t testing.TB) settingtest.System {
		s := newSystem(t, map[string]string{base: shipped, dropIn: listen})
		return settingtest.System{
			Adapter: s.adapter(), Request: networkScope, Idle: setting.Request{Mode: reset.Soft, Scope: reset.Credentials}, Stored: s.stored,
			Meddle:  func(testing.TB) { s.write(dropIn, strings.Replace(listen, "443\n", "444\n", 1)) },
			Restart: func(testing.TB) setting.Adapter { return s.adapter() },
		}
	})
}

// E3: back to 9090 by taking the entries out; the rest of the files stays.
func TestDefaultPort(t *testing.T) {
	for name, test := range map[string]struct {
		files, after map[string]string
	}{
		"drop-in": {
			map[string]string{base: shipped, dropIn: listen},
			map[string]string{base: shipped, dropIn: "# closer to the web\n[Socket]\n# TLS\nFreeBind=yes\n"},
		},
		"whole unit": {
			map[string]string{base: shipped, "/etc/systemd/system/cockpit.socket": "[Socket]\nListenStream=80\nListenStream=443"},
			map[string]string{"/etc/systemd/system/cockpit.socket": "[Socket]\nListenStream=9090\n"},
		},
		"one more port": {
			map[string]string{base: shipped, dropIn: "[Socket]\nListenStream=443\n"},
			map[string]string{dropIn: "[Socket]\n"},
		},
		"only the default": {
			map[string]string{base: shipped, dropIn: "[Socket]\nFreeBind=yes\n"}, map[string]string{dropIn: "[Socket]\nFreeBind=yes\n"},
		},
	} {
		s := newSystem(t, test.files)
		steps := settingtest.CarryOut(t, s.adapter(), networkScope)
		if want := map[bool]int{true: 0, false: 1}[name == "only the default"]; len(steps) != want {
			t.Errorf("%s: steps %v", name, steps)
		}
		for path, want := range test.after {
			if got := s.read(path); got != want {
				t.Errorf("%s: %s is %q, want %q", name, path, got, want)
			}
		}
		var after nas.Settings
		if err := s.adapter().Read(t.Context(), &after); err != nil || !slices.Equal(after.Cockpit.Listen, []string{"9090"}) {
			t.Errorf("%s: %+v, %v", name, after.Cockpit, err)
		}
		if len(steps) > 0 && !slices.Equal(s.listen, []string{"[::]:9090"}) {
			t.Errorf("%s: listens at %v", name, s.listen)
		}
	}
}

func TestNotHere(t *testing.T) {
	for why, files := range map[string]map[string]string{
		"not installed":              {},
		"masked":                     {base: shipped, "/etc/systemd/system/cockpit.socket": ""},
		"written by another program": {base: shipped, "/run/systemd/system/cockpit.socket.d/x.conf": "[Socket]\nListenStream=443\n"},
		"itself has another port":    {base: "[Socket]\nListenStream=1\n"},
		"continues":                  {base: shipped, dropIn: "[Socket]\nListenStream=4\\\n43\n"},
		"more than once":             {base: shipped, dropIn: "[Socket]\nListenStream=1\n[Socket]\nListenStream=1\n"},
	} {
		s := newSystem(t, files)
		found, err := s.adapter().Detect(t.Context())
		if err != nil || found.Present || !strings.Contains(found.Why, why) {
			t.Errorf("found %+v, %v; want %q", found, err, why)
		}
		if steps, err := s.adapter().Prepare(t.Context(), networkScope); err == nil || len(steps) > 0 {
			t.Errorf("%s: steps %v, %v", why, steps, err)
		}
	}
}

// A drop-in in /etc hides one of the same name elsewhere.
func TestHiddenDropIn(t *testing.T) {
	s := newSystem(t, map[string]string{base: shipped, dropIn: listen, "/usr/lib/systemd/system/cockpit.socket.d/listen.conf": "[Socket]\nListenStream=1\n"})
	if steps := settingtest.CarryOut(t, s.adapter(), networkScope); len(steps) != 1 {
		t.Errorf("steps %v", steps)
	}
}

// Nothing is started where the socket was not active.
func TestIdleSocketStaysIdle(t *testing.T) {
	s := newSystem(t, map[string]string{base: shipped, dropIn: listen})
	s.idle = true
	settingtest.CarryOut(t, s.adapter(), networkScope)
	if slices.Contains(s.ran, "cockpit.activate.restart") {
		t.Errorf("ran %v", s.ran)
	}
}

// systemd does as told, and the socket listens where it did.
func TestRestartThatDidNothing(t *testing.T) {
	s := newSystem(t, map[string]string{base: shipped, dropIn: listen})
	s.deaf = true
	a := s.adapter()
	steps, err := a.Prepare(t.Context(), networkScope)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.Persist(t.Context(), steps[0]), a.Activate(t.Context(), steps[0])); err != nil {
		t.Fatal(err)
	}
	if err := a.Verify(t.Context(), steps[0]); err == nil {
		t.Error("verified although the socket listens elsewhere")
	}
}

// R6: a snapshot puts files of the owner's about the socket there, and no others.
func TestRestoreRefusesOtherFiles(t *testing.T) {
	s := newSystem(t, map[string]string{base: shipped})
	for _, path := range []string{
		"/etc/passwd", "/etc/systemd/system/sshd.service", "/usr/lib/systemd/system/cockpit.socket", "/etc/systemd/system/cockpit.socket.d/x.txt",
		"/etc/systemd/system/cockpit.socket.d/.x.conf", "/etc/systemd/system/cockpit.socket.d/../cockpit.socket.d/x.conf", "/etc/cron.d/x.conf",
	} {
		raw := []byte(`{"version":1,"adapter":"cockpit","value":{"files":[{"path":"` + path + `","text":"[Socket]\n"}]}}`)
		if steps, err := s.adapter().PrepareRestore(t.Context(), raw); !errors.Is(err, setting.ErrSaved) {
			t.Errorf("%s: %d steps, %v", path, len(steps), err)
		}
	}
	raw := []byte(`{"version":1,"adapter":"cockpit","value":{"files":[` + strings.Repeat(`{"path":"/etc/systemd/system/cockpit.socket","text":"[Socket]\n"},`, 64) + `{"path":"/etc/systemd/system/cockpit.socket","text":""}]}}`)
	if steps, err := s.adapter().PrepareRestore(t.Context(), raw); !errors.Is(err, setting.ErrSaved) {
		t.Errorf("65 files: %d steps, %v", len(steps), err)
	}
}

// R6: the socket listens again where the files that are back say.
func TestRestoreIsInForce(t *testing.T) {
	s := newSystem(t, map[string]string{base: shipped, dropIn: listen})
	a, before := s.adapter(), slices.Clone(s.listen)
	saved, err := a.Save(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.write(dropIn, "[Unit]\nListenStream=1\n[Socket]\n") // the default: in [Unit] it means nothing
	if err := os.WriteFile(s.path("/etc/systemd/system/cockpit.socket.d/note.txt"), []byte("[Socket]\nListenStream=2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.listen = []string{"[::]:9090"}
	if steps, err := a.Prepare(t.Context(), networkScope); err != nil || len(steps) != 0 {
		t.Errorf("nothing is to change: %v %v", steps, err)
	}
	steps, err := a.PrepareRestore(t.Context(), saved)
	if err != nil || len(steps) != 1 {
		t.Fatal(steps, err)
	}
	if err := errors.Join(a.Persist(t.Context(), steps[0]), a.Activate(t.Context(), steps[0]), a.Verify(t.Context(), steps[0])); err != nil || !slices.Equal(s.listen, before) {
		t.Errorf("%v: it listens at %v", err, s.listen)
	}
}
