package firewalld_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/firewalld"
	"github.com/paperclip-nas/paperclip/internal/device/setting/settingtest"
	"github.com/paperclip-nas/paperclip/internal/device/setting/unit"
	"github.com/paperclip-nas/paperclip/internal/device/setting/unit/unittest"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

const service = "firewalld.service"

const zone = `<?xml version="1.0" encoding="utf-8"?>
<zone target="DROP">
  <short>Public</short>
  <service name="ssh"/>
  <port port="445" protocol="tcp"/>
  <rule family="ipv4"><source address="10.0.0.0/8"/><service name="http"/><accept/></rule>
</zone>
`

var everything = setting.Request{Mode: reset.Soft, Scope: reset.All}

// system runs firewalld; its table is in the kernel while it runs, and stays
// behind where cleanup is off.
func system(t testing.TB, cleanup bool) *unittest.Systemd {
	s := unittest.New(t, map[string]*unittest.Unit{service: {Boots: true, Active: true}})
	s.Write(t, "/etc/firewalld/zones/public.xml", zone)
	loaded := true
	s.Changed = func(_ string, active bool) { loaded = active || loaded && !cleanup }
	s.Tools = func(_ string, c opfs.Command) (opfs.Output, error) {
		tables := "table inet f2b-table\n"
		if loaded {
			tables += "table inet firewalld\n"
		}
		switch strings.Join(c.Args, " ") {
		case "list tables":
			return opfs.Output{Stdout: []byte(tables)}, nil
		case "delete table inet firewalld":
			loaded = false
			return opfs.Output{}, nil
		}
		return opfs.Output{}, errors.New("unexpected: " + c.Path + " " + strings.Join(c.Args, " "))
	}
	return s
}

func TestContract(t *testing.T) {
	for name, cleanup := range map[string]bool{"CleanupOnExit": true, "LeavesItsRules": false} {
		t.Run(name, func(t *testing.T) {
			settingtest.Run(t, func(t testing.TB) settingtest.System {
				s := system(t, cleanup)
				return settingtest.System{
					Adapter: firewalld.New(s.System()),
					Request: everything,
					Idle:    setting.Request{Mode: reset.Soft, Scope: reset.Network},
					Stored:  s.Stored,
					Meddle:  func(t testing.TB) { s.Write(t, unit.File(service), "[Service]\n") },
					Restart: func(testing.TB) setting.Adapter { return firewalld.New(s.System()) },
				}
			})
		})
	}
}

// E9: off, the rules kept.
func TestOffWithRulesKept(t *testing.T) {
	s := system(t, false)
	a := firewalld.New(s.System())
	read := func() nas.Firewall {
		t.Helper()
		var all nas.Settings
		if err := a.Read(t.Context(), &all); err != nil {
			t.Fatal(err)
		}
		return *all.Firewall
	}
	if got := read(); got != (nas.Firewall{Enabled: true, Rules: 3}) {
		t.Errorf("before: %+v", got)
	}
	steps, err := a.Prepare(t.Context(), everything)
	if err != nil || len(steps) != 1 {
		t.Fatal(steps, err)
	}
	if err := errors.Join(a.Persist(t.Context(), steps[0]), a.Activate(t.Context(), steps[0]), a.Verify(t.Context(), steps[0])); err != nil {
		t.Fatal(err)
	}
	if got := read(); got != (nas.Firewall{Rules: 3}) {
		t.Errorf("after: %+v", got)
	}
}

func TestNotInstalled(t *testing.T) {
	s := unittest.New(t, nil)
	found, err := firewalld.New(s.System()).Detect(t.Context())
	if err != nil || found.Present || found.Why != "firewalld is not installed" {
		t.Errorf("%+v, %v", found, err)
	}
}

// What is left in the kernel is seen, and a program that fails is not taken for
// done, nor for an empty answer.
func TestVerifySeesRulesInTheKernel(t *testing.T) {
	s := system(t, false)
	a := firewalld.New(s.System())
	steps, err := a.Prepare(t.Context(), everything)
	if err != nil || len(steps) != 1 {
		t.Fatal(steps, err)
	}
	if err := a.Persist(t.Context(), steps[0]); err != nil {
		t.Fatal(err)
	}
	tables, exit := "table inet firewalld\n", map[string]int{"delete": 1}
	s.Tools = func(_ string, c opfs.Command) (opfs.Output, error) {
		return opfs.Output{Stdout: []byte(tables), ExitCode: exit[c.Args[0]]}, nil
	}
	if a.Activate(t.Context(), steps[0]) == nil {
		t.Error("a table that cannot be deleted is taken for gone")
	}
	if a.Verify(t.Context(), steps[0]) == nil {
		t.Error("verify is content while the rules are in force")
	}
	tables = "table inet f2b-table\n"
	if err := a.Verify(t.Context(), steps[0]); err != nil {
		t.Error(err)
	}
	tables, exit["list"] = "", 1
	if a.Verify(t.Context(), steps[0]) == nil || a.Activate(t.Context(), steps[0]) == nil {
		t.Error("a list that fails is taken for an empty one")
	}
}
