package nftables_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/nftables"
	"github.com/paperclip-nas/paperclip/internal/device/setting/settingtest"
	"github.com/paperclip-nas/paperclip/internal/device/setting/unit"
	"github.com/paperclip-nas/paperclip/internal/device/setting/unit/unittest"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

const service = "nftables.service"

const rules = `#!/usr/sbin/nft -f
flush ruleset
table inet filter {
	chain input {
		type filter hook input priority 0; policy drop;
		tcp dport { 22, 445 } accept
	}
}
`

var everything = setting.Request{Mode: reset.Soft, Scope: reset.All}

// system loads the table when the service starts. Stopping the service does
// nothing in the kernel, as when systemd has read the mask before.
func system(t testing.TB, flushes bool) *unittest.Systemd {
	s := unittest.New(t, map[string]*unittest.Unit{service: {Boots: true, Active: true}})
	s.Write(t, nftables.Configuration, rules)
	loaded := true
	s.Changed = func(_ string, active bool) { loaded = loaded || active }
	s.Tools = func(_ string, c opfs.Command) (opfs.Output, error) {
		switch strings.Join(c.Args, " ") {
		case "flush ruleset":
			loaded = loaded && !flushes
		case "list tables":
			if loaded {
				return opfs.Output{Stdout: []byte("table inet filter\n")}, nil
			}
		}
		return opfs.Output{}, nil
	}
	return s
}

func TestContract(t *testing.T) {
	settingtest.Run(t, func(t testing.TB) settingtest.System {
		s := system(t, true)
		return settingtest.System{
			Adapter: nftables.New(s.System()),
			Request: everything,
			Idle:    setting.Request{Mode: reset.Soft, Scope: reset.Network},
			Stored:  s.Stored,
			Meddle:  func(t testing.TB) { s.Write(t, unit.File(service), "[Service]\n") },
			Restart: func(testing.TB) setting.Adapter { return nftables.New(s.System()) },
		}
	})
}

// E9: off, and the rules' file as it was.
func TestOffWithRulesKept(t *testing.T) {
	s := system(t, true)
	a := nftables.New(s.System())
	var before, after nas.Settings
	if err := a.Read(t.Context(), &before); err != nil || *before.Firewall != (nas.Firewall{Enabled: true, Rules: 1}) {
		t.Errorf("before: %+v, %v", before.Firewall, err)
	}
	steps, err := a.Prepare(t.Context(), everything)
	if err != nil || len(steps) != 1 {
		t.Fatal(steps, err)
	}
	if err := errors.Join(a.Persist(t.Context(), steps[0]), a.Activate(t.Context(), steps[0]), a.Verify(t.Context(), steps[0])); err != nil {
		t.Fatal(err)
	}
	if err := a.Read(t.Context(), &after); err != nil || *after.Firewall != (nas.Firewall{Rules: 1}) {
		t.Errorf("after: %+v, %v", after.Firewall, err)
	}
	if text, err := s.FS().ReadFile(nftables.Configuration); err != nil || string(text) != rules {
		t.Errorf("the rules are %q, %v", text, err)
	}
	// Before the service is stopped, so that a power cut between them is mended.
	if flush, stop := slices.Index(s.Ops, "nftables.activate.flush"), slices.Index(s.Ops, "nftables.activate.stop"); flush < 0 || flush > stop {
		t.Errorf("ran %q", s.Ops)
	}
}

func TestVerifySeesRulesInTheKernel(t *testing.T) {
	a := nftables.New(system(t, false).System())
	steps, err := a.Prepare(t.Context(), everything)
	if err != nil || len(steps) != 1 {
		t.Fatal(steps, err)
	}
	if err := errors.Join(a.Persist(t.Context(), steps[0]), a.Activate(t.Context(), steps[0])); err != nil {
		t.Fatal(err)
	}
	if a.Verify(t.Context(), steps[0]) == nil {
		t.Error("verify is content while the rules are in force")
	}
}

// A program that fails is not taken for done, nor for an answer.
func TestNftFails(t *testing.T) {
	s := system(t, true)
	a := nftables.New(s.System())
	steps, err := a.Prepare(t.Context(), everything)
	if err != nil || len(steps) != 1 {
		t.Fatal(steps, err)
	}
	works := s.Tools
	s.Tools = func(string, opfs.Command) (opfs.Output, error) { return opfs.Output{ExitCode: 1}, nil }
	if err := a.Persist(t.Context(), steps[0]); err != nil || a.Activate(t.Context(), steps[0]) == nil {
		t.Errorf("a flush that fails is taken for done: %v", err)
	}
	s.Tools = works
	if err := errors.Join(a.Activate(t.Context(), steps[0]), a.Verify(t.Context(), steps[0])); err != nil {
		t.Fatal(err)
	}
	s.Tools = func(string, opfs.Command) (opfs.Output, error) { return opfs.Output{ExitCode: 1}, nil }
	if a.Verify(t.Context(), steps[0]) == nil {
		t.Error("a list that fails is taken for an empty one")
	}
}

// R6: on again is with the rules in force.
func TestVerifySeesThatRulesAreMissing(t *testing.T) {
	s := system(t, true)
	a := nftables.New(s.System())
	saved, err := a.Save(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	steps, err := a.Prepare(t.Context(), everything)
	if err != nil || len(steps) != 1 {
		t.Fatal(steps, err)
	}
	if err := errors.Join(a.Persist(t.Context(), steps[0]), a.Activate(t.Context(), steps[0])); err != nil {
		t.Fatal(err)
	}
	back, err := a.PrepareRestore(t.Context(), saved)
	if err != nil || len(back) != 1 {
		t.Fatal(back, err)
	}
	s.Changed = nil // the service starts, and loads nothing
	if err := errors.Join(a.Persist(t.Context(), back[0]), a.Activate(t.Context(), back[0])); err != nil {
		t.Fatal(err)
	}
	if a.Verify(t.Context(), back[0]) == nil {
		t.Error("verify is content without the rules")
	}
}
