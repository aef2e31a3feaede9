package libvirt_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/libvirt"
	"github.com/paperclip-nas/paperclip/internal/device/setting/settingtest"
	"github.com/paperclip-nas/paperclip/internal/device/setting/unit"
	"github.com/paperclip-nas/paperclip/internal/device/setting/unit/unittest"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

const socket = "libvirtd-tcp.socket"

var everything = setting.Request{Mode: reset.Soft, Scope: reset.All}

func system(t testing.TB) *unittest.Systemd {
	s := unittest.New(t, map[string]*unittest.Unit{
		"libvirtd.service": {Boots: true, Active: true}, socket: {Boots: true, Active: true}, "libvirtd-tls.socket": {},
	})
	s.Write(t, "/etc/default/libvirtd", "# LIBVIRTD_ARGS=\"--listen\"\nLIBVIRTD_ARGS=\"--timeout 120\"\n")
	s.Write(t, "/etc/libvirt/qemu/autostart/mail.xml", "<domain/>")
	return s
}

func TestContract(t *testing.T) {
	settingtest.Run(t, func(t testing.TB) settingtest.System {
		s := system(t)
		return settingtest.System{
			Adapter: libvirt.New(s.System()),
			Request: everything,
			Idle:    setting.Request{Mode: reset.Soft, Scope: reset.Network},
			Stored:  s.Stored,
			Meddle:  func(t testing.TB) { s.Write(t, unit.File(socket), "[Socket]\n") },
			Restart: func(testing.TB) setting.Adapter { return libvirt.New(s.System()) },
		}
	})
}

// E11: closed to other hosts, while the service goes on for this one.
func TestClosedToOtherHosts(t *testing.T) {
	s := system(t)
	a := libvirt.New(s.System())
	var before, after, undone nas.Settings
	if err := a.Read(t.Context(), &before); err != nil || !before.VirtualMachines.Member || !strings.Contains(before.VirtualMachines.Cluster, "TCP") {
		t.Errorf("before: %+v, %v", before.VirtualMachines, err)
	}
	steps, err := a.Prepare(t.Context(), everything)
	if err != nil || len(steps) != 1 {
		t.Fatal(steps, err)
	}
	if err := errors.Join(a.Persist(t.Context(), steps[0]), a.Activate(t.Context(), steps[0]), a.Verify(t.Context(), steps[0])); err != nil {
		t.Fatal(err)
	}
	if err := a.Read(t.Context(), &after); err != nil || *after.VirtualMachines != (nas.Membership{}) {
		t.Errorf("after: %+v, %v", after.VirtualMachines, err)
	}
	if !s.Units["libvirtd.service"].Active {
		t.Error("libvirtd does not run any more")
	}
	s.Ops = nil
	if err := errors.Join(a.Undo(t.Context(), steps[0]), a.Activate(t.Context(), steps[0]), a.Read(t.Context(), &undone)); err != nil {
		t.Fatal(err)
	}
	if *undone.VirtualMachines != *before.VirtualMachines || !s.Units["libvirtd.service"].Active {
		t.Errorf("undone: %+v", undone.VirtualMachines)
	}
	// systemd does not open a socket whose service runs.
	stop, start := slices.Index(s.Ops, "libvirt.activate.service.stop"), slices.Index(s.Ops, "libvirt.activate.start")
	if stop < 0 || stop > start {
		t.Errorf("ran %q", s.Ops)
	}
}

func TestListeningByAnOptionIsLeftAlone(t *testing.T) {
	s := system(t)
	s.Write(t, "/etc/default/libvirtd", "LIBVIRTD_ARGS='--listen --timeout 120'\n")
	found, err := libvirt.New(s.System()).Detect(t.Context())
	if err != nil || found.Present || !strings.Contains(found.Why, "--listen in /etc/default/libvirtd") {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestNotInstalled(t *testing.T) {
	found, err := libvirt.New(unittest.New(t, nil).System()).Detect(t.Context())
	if err != nil || found.Present || found.Why != "libvirt is not installed" {
		t.Errorf("%+v, %v", found, err)
	}
}
