package netplan_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/netplan"
	"github.com/paperclip-nas/paperclip/internal/device/setting/netstack"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// Generated configuration is recognised, and refused with the reason.
func TestGeneratedIsRefused(t *testing.T) {
	root := t.TempDir()
	write := func(path, content string) {
		full := filepath.Join(root, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	a := netplan.New(netstack.System{FS: opfs.Under(root, opfs.OS(nil))})
	detect := func() string {
		t.Helper()
		found, err := a.Detect(t.Context())
		if err != nil || found.Present {
			t.Fatalf("found %+v, %v", found, err)
		}
		return found.Why
	}
	if why := detect(); !strings.Contains(why, "network interfaces") {
		t.Errorf("without /sys: %s", why)
	}
	for name, text := range map[string]string{"type": "1", "ifindex": "2", "address": "52:54:00:12:34:56", "device/vendor": ""} {
		write("/sys/class/net/eth0/"+name, text)
	}
	if why := detect(); !strings.Contains(why, "no wired interface") {
		t.Errorf("without netplan: %s", why)
	}
	write("/etc/netplan/50-cloud-init.yaml", "network: {}\n")
	write("/etc/netplan/README", "")
	write("/run/systemd/netif/state", "")
	write("/run/systemd/netif/links/2", "ADMIN_STATE=configured\nNETWORK_FILE=/run/systemd/network/10-netplan-eth0.network\n")
	want := "netplan writes these files: /run/systemd/network/10-netplan-eth0.network; a change there would be lost, so the network has to be set in /etc/netplan, and by \"netplan apply\" (it reads /etc/netplan/50-cloud-init.yaml)"
	if why := detect(); why != want {
		t.Errorf("why %s\nwant %s", why, want)
	}
	var s nas.Settings
	steps, err := a.Prepare(t.Context(), setting.Request{Mode: reset.Soft, Scope: reset.All})
	if err := errors.Join(err, a.Read(t.Context(), &s)); err != nil || len(steps) > 0 || len(s.Interfaces) > 0 {
		t.Errorf("steps %v, settings %+v, %v", steps, s, err)
	}
	for _, err := range []error{
		a.Persist(t.Context(), reset.Step{}), a.Activate(t.Context(), reset.Step{}), a.Verify(t.Context(), reset.Step{}), a.Undo(t.Context(), reset.Step{}),
	} {
		if !errors.Is(err, setting.ErrPermanent) {
			t.Errorf("err = %v", err)
		}
	}
}
