package ports_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ports"
	"github.com/paperclip-nas/paperclip/internal/device/setting/settingtest"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

func write(t testing.TB, root, content string) {
	t.Helper()
	path := filepath.Join(root, ports.Path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

var networkScope = setting.Request{Mode: reset.Soft, Scope: reset.Network}

func TestContract(t *testing.T) {
	settingtest.Run(t, func(t testing.TB) settingtest.System {
		root := t.TempDir()
		fsys := opfs.Under(root, opfs.OS(nil))
		write(t, root, "http = 80 # mine\nforce_https = true\n")
		return settingtest.System{
			Adapter: ports.New(fsys, nil),
			Request: networkScope,
			Idle:    setting.Request{Mode: reset.Soft, Scope: reset.Credentials},
			Stored: func(t testing.TB) []byte {
				data, err := os.ReadFile(filepath.Join(root, ports.Path))
				if err != nil {
					t.Fatal(err)
				}
				return data
			},
			Meddle:  func(t testing.TB) { write(t, root, "http = 81\n") },
			Restart: func(testing.TB) setting.Adapter { return ports.New(fsys, nil) },
		}
	})
}

// E3: back to 5000 and 5001, and no forced redirect, whatever was there: also
// a file that cannot be read.
func TestResetAndActivation(t *testing.T) {
	for _, content := range []string{"http = 80\nhttps = 443\nforce_https = true\n", "http = = 1\n", "http = 99999\n"} {
		root := t.TempDir()
		fsys := opfs.Under(root, opfs.OS(nil))
		write(t, root, content)
		var active []nas.Ports
		a := ports.New(fsys, func(_ context.Context, p nas.Ports) error { active = append(active, p); return nil })
		steps, err := a.Prepare(t.Context(), networkScope)
		if err != nil || len(steps) != 1 {
			t.Fatalf("%q: %v, %v", content, steps, err)
		}
		if err := a.Persist(t.Context(), steps[0]); err != nil {
			t.Fatal(err)
		}
		if err := a.Activate(t.Context(), steps[0]); err != nil {
			t.Fatal(err)
		}
		if got, err := ports.Load(fsys); err != nil || got != nas.DefaultPorts() || len(active) != 1 || active[0] != got {
			t.Errorf("%q: ports %+v, %v; activated %v", content, got, err, active)
		}
		if again, err := a.Prepare(t.Context(), networkScope); err != nil || len(again) != 0 {
			t.Errorf("a second reset has steps: %v, %v", again, err)
		}
	}
}

func TestNoFileIsTheDefault(t *testing.T) {
	a := ports.New(opfs.Under(t.TempDir(), opfs.OS(nil)), nil)
	var s nas.Settings
	if err := a.Read(t.Context(), &s); err != nil || *s.Ports != nas.DefaultPorts() {
		t.Errorf("read %+v, %v", s.Ports, err)
	}
	if steps, err := a.Prepare(t.Context(), networkScope); err != nil || steps != nil {
		t.Errorf("steps %v, %v for what is the default already", steps, err)
	}
}

func TestBadFilesSayWhere(t *testing.T) {
	for content, want := range map[string]string{
		"http = 80\nhtps = 443\n":   "line 2, column 1",
		"http = = 1\n":              "line 1, column 8",
		"http = \"eighty\"\n":       "line 1, column 8",
		"http = 70000\n":            "70000 is not a port",
		"http = 5001\n":             "cannot both be 5001",
		"http = 0\nhttps = 5001":    "0 is not a port",
		"[table]\nhttp = 1\n":       "line 1, column 2",
		"force_https = \"yes\"\n\n": "line 1, column 15",
	} {
		_, err := ports.Parse([]byte(content))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: err = %v, want %q in it", content, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("http = 80\nhttps = 443\nforce_https = true\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ports.Parse(data)
		if err != nil {
			return
		}
		if again, err := ports.Parse([]byte(ports.Format(p))); err != nil || again != p {
			t.Fatalf("%+v became %+v, %v", p, again, err)
		}
	})
}

// R6: a file that says no ports is not put back.
func TestRestoreRefusesNoPorts(t *testing.T) {
	a := ports.New(opfs.Under(t.TempDir(), opfs.OS(nil)), nil)
	for _, file := range []string{"http = 0", "http = 5001", "more = 1", "="} {
		raw := []byte(`{"version":1,"adapter":"ports","value":{"exists":true,"file":"` + file + `"}}`)
		if steps, err := a.PrepareRestore(t.Context(), raw); !errors.Is(err, setting.ErrSaved) {
			t.Errorf("%s: %d steps, %v", file, len(steps), err)
		}
	}
}
