package pppoe_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/pppoe"
	"github.com/paperclip-nas/paperclip/internal/device/setting/settingtest"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

const dsl = "# Configured by hand\nplugin pppoe.so\nnic-eth1\nuser \"anna@provider\"\npersist"

var networkScope = setting.Request{Mode: reset.Soft, Scope: reset.Network}

// system is a pppd that has dialled, with the files below root.
type system struct {
	t    testing.TB
	root string
	deaf bool // pppd does not hang up
}

func newSystem(t testing.TB) *system {
	s := &system{t: t, root: t.TempDir()}
	s.write("/etc/ppp/peers/dsl-provider", dsl)
	s.write("/etc/ppp/peers/provider", "connect \"/usr/sbin/chat -v\"\n/dev/modem\n")
	s.write("/proc/1/cmdline", "/sbin/init\x00")
	s.write("/proc/self/cmdline", "test\x00")
	s.dial(true)
	return s
}

func (s *system) write(path, content string) {
	s.t.Helper()
	full := filepath.Join(s.root, path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(content), 0o640)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *system) dial(up bool) {
	if up {
		s.write("/proc/77/cmdline", "/usr/sbin/pppd\x00call\x00dsl-provider\x00")
	} else if err := os.RemoveAll(filepath.Join(s.root, "/proc/77")); err != nil {
		s.t.Fatal(err)
	}
}

func (s *system) dialed() bool {
	_, err := os.Stat(filepath.Join(s.root, "/proc/77"))
	return err == nil
}

func (s *system) Run(_ context.Context, _ string, c opfs.Command) (opfs.Output, error) {
	switch {
	case c.Path == "poff" && c.Args[0] == "dsl-provider":
		if !s.deaf {
			s.dial(false)
		}
	case c.Path == "systemd-run" && strings.HasSuffix(strings.Join(c.Args, " "), "-- /usr/bin/pon dsl-provider"):
		s.dial(true)
	default:
		return opfs.Output{}, errors.New("unexpected: " + c.Path)
	}
	return opfs.Output{}, nil
}

func (s *system) adapter() *pppoe.Adapter { return pppoe.New(opfs.Under(s.root, opfs.OS(nil)), s) }

func (s *system) stored(t testing.TB) []byte {
	t.Helper()
	var all []byte
	for _, name := range []string{"dsl-provider", "provider"} {
		data, err := os.ReadFile(filepath.Join(s.root, pppoe.Directory, name))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	return all
}

func TestContract(t *testing.T) {
	settingtest.Run(t, func(t testing.TB) settingtest.System {
		s := newSystem(t)
		return settingtest.System{
			Adapter: s.adapter(),
			Request: networkScope,
			Idle:    setting.Request{Mode: reset.Soft, Scope: reset.Credentials},
			Stored:  s.stored,
			Meddle:  func(testing.TB) { s.write("/etc/ppp/peers/dsl-provider", dsl+"\ndryrun\n") },
			Restart: func(testing.TB) setting.Adapter { return s.adapter() },
		}
	})
}

// E6: hung up, not dialled again, and back as it was.
func TestOffAndOnAgain(t *testing.T) {
	s := newSystem(t)
	a := s.adapter()
	read := func() nas.PPPoE {
		t.Helper()
		var all nas.Settings
		if err := a.Read(t.Context(), &all); err != nil {
			t.Fatal(err)
		}
		return *all.PPPoE
	}
	if got := read(); got != (nas.PPPoE{Enabled: true, Interface: "eth1"}) {
		t.Errorf("before: %+v", got)
	}
	steps, err := a.Prepare(t.Context(), networkScope)
	if err != nil || len(steps) != 1 {
		t.Fatal(steps, err)
	}
	if err := errors.Join(a.Persist(t.Context(), steps[0]), a.Activate(t.Context(), steps[0]), a.Verify(t.Context(), steps[0])); err != nil {
		t.Fatal(err)
	}
	if got := read(); got != (nas.PPPoE{Interface: "eth1"}) || s.dialed() {
		t.Errorf("after: %+v, dialled %t", got, s.dialed())
	}
	if err := errors.Join(a.Undo(t.Context(), steps[0]), a.Activate(t.Context(), steps[0])); err != nil {
		t.Fatal(err)
	}
	if got := read(); !got.Enabled || !s.dialed() {
		t.Errorf("undone: %+v, dialled %t", got, s.dialed())
	}
}

func TestVerifySeesAPppdThatStays(t *testing.T) {
	s := newSystem(t)
	s.deaf = true
	a := s.adapter()
	steps, err := a.Prepare(t.Context(), networkScope)
	if err != nil || len(steps) != 1 {
		t.Fatal(steps, err)
	}
	if err := errors.Join(a.Persist(t.Context(), steps[0]), a.Activate(t.Context(), steps[0])); err != nil {
		t.Fatal(err)
	}
	if a.Verify(t.Context(), steps[0]) == nil {
		t.Error("verify is content while pppd runs")
	}
}

func TestNotPresent(t *testing.T) {
	s := newSystem(t)
	if err := os.Remove(filepath.Join(s.root, pppoe.Directory, "dsl-provider")); err != nil {
		t.Fatal(err)
	}
	found, err := s.adapter().Detect(t.Context())
	if err != nil || found.Present || found.Why != "pppd has no PPPoE connection" {
		t.Errorf("%+v, %v", found, err)
	}
}
