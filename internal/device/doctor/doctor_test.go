package doctor

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/paperclip-nas/paperclip/internal/device/config"
	"github.com/paperclip-nas/paperclip/internal/device/sandbox"
	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

type files struct{ fstest.MapFS }

func (f files) ReadFile(p string) ([]byte, error)       { return f.MapFS.ReadFile(p[1:]) }
func (f files) Stat(p string) (fs.FileInfo, error)      { return f.MapFS.Stat(p[1:]) }
func (f files) ReadDir(p string) ([]fs.DirEntry, error) { return f.MapFS.ReadDir(p[1:]) }

type adapter struct {
	setting.Adapter
	id      string
	effects []nas.Effect
	found   reset.Found
	err     error
}

func (a adapter) ID() string                                  { return a.id }
func (a adapter) Effects() []nas.Effect                       { return a.effects }
func (a adapter) Detect(context.Context) (reset.Found, error) { return a.found, a.err }

// healthy is a machine on which all is well.
func healthy() (Machine, files) {
	f := files{fstest.MapFS{
		"etc/os-release":                     {Data: []byte("ID=debian\nVERSION_ID=\"12\"\n")},
		"run/systemd/system":                 {Mode: fs.ModeDir},
		"usr/lib/systemd/system/ssh.service": {},
		"etc/systemd/system/ssh.service.requires/paperclip-recovery.service": {},
		"usr/lib/systemd/logind.conf.d/50-paperclip.conf":                    {Data: []byte("[Login]\nHandleRebootKey=ignore\nHandleRebootKeyLongPress=ignore\n")},
		"sys/class/leds/nas:green:status/brightness":                         {},
	}}
	return Machine{
		Files:  f,
		Config: func() (config.Config, error) { return config.Default(), nil },
		User:   func() error { return nil },
		Adapters: func(config.Config) []setting.Adapter {
			return []setting.Adapter{
				adapter{id: "shadow", effects: []nas.Effect{nas.E1}, found: reset.Found{Present: true, What: "shadow file"}},
				adapter{id: "samba", effects: []nas.Effect{nas.E1}, found: reset.Found{Why: "no pdbedit"}},
			}
		},
		Button:   func(config.Config) (string, error) { return "/dev/input/event1", nil },
		Beeper:   func(config.Config) (string, error) { return "a beeper", nil },
		RealTime: func() error { return nil },
		Cards:    func(config.Config) ([]string, error) { return []string{"eth0"}, nil },
		Device:   func(path string) (uint64, error) { return uint64(len(path)), nil },
		Core:     func(context.Context) error { return nil },
		Sandbox: func() (sandbox.Report, error) {
			return sandbox.Report{Landlock: 2, Write: []string{"/etc"}, Volumes: []sandbox.Volume{{Path: "/srv", Refused: sandbox.ByMount}}, Devices: 3}, nil
		},
		Rules: func(config.Config) sandbox.Rules { return sandbox.Rules{Write: []string{"/etc", "/var/lib/samba"}} },
	}, f
}

func TestHealthy(t *testing.T) {
	m, _ := healthy()
	if checks := Look(t.Context(), m); !Healthy(checks) || len(checks) < 9 {
		t.Errorf("%+v", checks)
	}
}

// Each thing that can be wrong is said by its check, and by it alone.
func TestEachFaultIsFound(t *testing.T) {
	configured := func(text string) func(*Machine, files) {
		return func(m *Machine, _ files) {
			m.Config = func() (config.Config, error) { return config.Parse("paperclip.toml", []byte(text)) }
		}
	}
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		fault func(*Machine, files)
		id    string
		says  string
	}{
		"config":     {configured("[device]\nnmae = 1\n"), "config", "line 2"},
		"system":     {func(_ *Machine, f files) { delete(f.MapFS, "run/systemd/system") }, "system", "systemd"},
		"user":       {func(m *Machine, _ files) { m.User = func() error { return broken } }, "user", "broken"},
		"no drop-in": {func(_ *Machine, f files) { delete(f.MapFS, "usr/lib/systemd/logind.conf.d/50-paperclip.conf") }, "logind", "powers off"},
		"half drop-in": {func(_ *Machine, f files) {
			f.MapFS["etc/systemd/logind.conf.d/50-paperclip.conf"] = &fstest.MapFile{Data: []byte("[Login]\nHandleRebootKey=ignore\n")}
		}, "logind", "LongPress"},
		"not enabled": {func(_ *Machine, f files) {
			delete(f.MapFS, "etc/systemd/system/ssh.service.requires/paperclip-recovery.service")
		}, "recovery", "ssh.service"},
		"unreadable":  {func(m *Machine, _ files) { m.Adapters = with(m, adapter{id: "networkd", err: broken}) }, "setting.networkd", "broken"},
		"no password": {func(m *Machine, _ files) { m.Adapters = func(config.Config) []setting.Adapter { return nil } }, "password", "new password"},
		"no button": {func(m *Machine, _ files) {
			m.Button = func(config.Config) (string, error) { return "", catalog.New("no_button", "none") }
		}, "button", "none"},
		"button off":    {configured("[panel]\nbutton = \"none\"\n"), "button", "no button"},
		"late beeps":    {func(m *Machine, _ files) { m.RealTime = func() error { return broken } }, "beep_timing", "broken"},
		"no beeper":     {func(m *Machine, _ files) { m.Beeper = func(config.Config) (string, error) { return "", broken } }, "beeper", "broken"},
		"light":         {configured("[panel]\nlight = \"nas:red\"\n"), "light", "nas:red"},
		"mute and dark": {configured("[panel]\nbeeper = \"none\"\n"), "code", "nobody can be told"},
		"no card":       {func(m *Machine, _ files) { m.Cards = func(config.Config) ([]string, error) { return nil, nil } }, "claim_network", "No wired"},
		"volume on /": {func(m *Machine, f files) {
			configured("[device]\nvolumes = [\"/srv\"]\n")(m, f)
			m.Device = func(string) (uint64, error) { return 1, nil }
		}, "volume /srv", "system's own"},
		"sandbox not tried": {func(m *Machine, _ files) {
			m.Sandbox = func() (sandbox.Report, error) { return sandbox.Report{}, fs.ErrNotExist }
		}, "sandbox", "not said"},
		"sandbox open": {sandboxed(sandbox.Report{Open: []string{"/srv"}}), "sandbox", "does not run"},
		"one layer":    {sandboxed(sandbox.Report{Landlock: 2, Write: []string{"/etc"}, Volumes: []sandbox.Volume{{Path: "/srv", Refused: sandbox.ByRules}}}), "sandbox", "no truncation"},
		"samba came later": {func(_ *Machine, f files) {
			f.MapFS["var/lib/samba"] = &fstest.MapFile{Mode: fs.ModeDir}
		}, "sandbox.new", "/var/lib/samba"},
		"core": {func(m *Machine, _ files) {
			m.Core = func(context.Context) error { return catalog.New("core_unreachable") }
		}, "core", "does not answer"},
	} {
		m, f := healthy()
		c.fault(&m, f)
		var bad []Check
		for _, check := range Look(t.Context(), m) {
			if !check.OK {
				bad = append(bad, check)
			}
		}
		if len(bad) != 1 || bad[0].ID != c.id || !strings.Contains(bad[0].Why, c.says) {
			t.Errorf("%s: %+v", name, bad)
		}
	}
}

func sandboxed(r sandbox.Report) func(*Machine, files) {
	return func(m *Machine, _ files) { m.Sandbox = func() (sandbox.Report, error) { return r, nil } }
}

func with(m *Machine, a setting.Adapter) func(config.Config) []setting.Adapter {
	before := m.Adapters
	return func(c config.Config) []setting.Adapter { return append(before(c), a) }
}

// What is well although something is set: a light, switched-off network, a
// volume of its own.
func TestChosen(t *testing.T) {
	m, _ := healthy()
	m.Config = func() (config.Config, error) {
		return config.Parse("x", []byte("[device]\nvolumes = [\"/srv\"]\n[panel]\nbeeper = \"none\"\nlight = \"nas:green:status\"\n[network]\nclaim_network = false\n"))
	}
	if checks := Look(t.Context(), m); !Healthy(checks) {
		t.Errorf("%+v", checks)
	}
}

// Promise 1: a person knows what "data untouched" rests on: which shared folders
// and homes lie on the system's own file system.
func TestDataOnTheSystemsFileSystem(t *testing.T) {
	m, f := healthy()
	f.MapFS["etc/samba/smb.conf"] = &fstest.MapFile{Data: []byte("[global]\n; path = /commented\n[photos]\n  Path = /srv/photos\n[homes]\n path = /volume1/homes/%U\n[x]\n directory = \"/srv/with blank\"\n")}
	f.MapFS["etc/exports"] = &fstest.MapFile{Data: []byte("# /not\n/srv/nfs 10.0.0.0/8(rw)\n")}
	on := map[string]uint64{"/": 1, "/home": 1, "/srv/photos": 1, "/volume1/homes/": 2, "/srv/with blank": 1, "/srv/nfs": 1}
	m.Device = func(path string) (uint64, error) {
		if d, ok := on[path]; ok {
			return d, nil
		}
		return 0, fs.ErrNotExist
	}
	found := func() Check {
		for _, c := range Look(t.Context(), m) {
			if c.ID == "data_on_root" {
				return c
			}
		}
		return Check{}
	}
	c := found()
	for _, want := range []string{"/home,", "/srv/photos", "/srv/with blank", "/srv/nfs"} {
		if !strings.Contains(c.Why, want) {
			t.Errorf("%s is not named: %q", want, c.Why)
		}
	}
	if strings.Contains(c.Why, "volume1") || strings.Contains(c.Why, "commented") || !c.OK {
		t.Errorf("%+v", c)
	}
	for name := range on {
		if name != "/" {
			on[name] = 2
		}
	}
	if c := found(); !strings.Contains(c.Why, "No shared folder") {
		t.Errorf("with volumes of their own: %q", c.Why)
	}
}
