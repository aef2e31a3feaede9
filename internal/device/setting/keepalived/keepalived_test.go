package keepalived_test

import (
	"errors"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/keepalived"
	"github.com/paperclip-nas/paperclip/internal/device/setting/settingtest"
	"github.com/paperclip-nas/paperclip/internal/device/setting/unit"
	"github.com/paperclip-nas/paperclip/internal/device/setting/unit/unittest"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

const service = "keepalived.service"

const configuration = `! mine
global_defs {
	router_id cellar
}
vrrp_instance storage {
	interface eth0
	virtual_router_id 51 # shared
	virtual_ipaddress {
		192.168.77.50/24
	}
}
vrrp_instance backup{
	virtual_router_id 52
}
`

func system(t testing.TB) *unittest.Systemd {
	s := unittest.New(t, map[string]*unittest.Unit{service: {Boots: true, Active: true}})
	s.Write(t, keepalived.Configuration, configuration)
	return s
}

func TestContract(t *testing.T) {
	settingtest.Run(t, func(t testing.TB) settingtest.System {
		s := system(t)
		return settingtest.System{
			Adapter: keepalived.New(s.System()),
			Request: setting.Request{Mode: reset.Soft, Scope: reset.All},
			Idle:    setting.Request{Mode: reset.Soft, Scope: reset.Network},
			Stored:  s.Stored,
			Meddle:  func(t testing.TB) { s.Write(t, unit.File(service), "[Service]\n") },
			Restart: func(testing.TB) setting.Adapter { return keepalived.New(s.System()) },
		}
	})
}

// E10: no member any more, and the configuration as it was.
func TestLeavesTheCluster(t *testing.T) {
	s := system(t)
	a := keepalived.New(s.System())
	var before, after nas.Settings
	if err := a.Read(t.Context(), &before); err != nil {
		t.Fatal(err)
	}
	want := nas.Membership{Member: true, Cluster: "storage (virtual router 51), backup (virtual router 52)"}
	if *before.HighAvailability != want {
		t.Errorf("before: %+v", before.HighAvailability)
	}
	steps, err := a.Prepare(t.Context(), setting.Request{Mode: reset.Hard})
	if err != nil || len(steps) != 1 {
		t.Fatal(steps, err)
	}
	if err := errors.Join(a.Persist(t.Context(), steps[0]), a.Activate(t.Context(), steps[0]), a.Verify(t.Context(), steps[0])); err != nil {
		t.Fatal(err)
	}
	if err := a.Read(t.Context(), &after); err != nil || *after.HighAvailability != (nas.Membership{}) {
		t.Errorf("after: %+v, %v", after.HighAvailability, err)
	}
	if text, err := s.FS().ReadFile(keepalived.Configuration); err != nil || string(text) != configuration {
		t.Errorf("the configuration is %q, %v", text, err)
	}
}

func TestNotInstalled(t *testing.T) {
	found, err := keepalived.New(unittest.New(t, nil).System()).Detect(t.Context())
	if err != nil || found.Present || found.Why != "keepalived is not installed" {
		t.Errorf("%+v, %v", found, err)
	}
}
