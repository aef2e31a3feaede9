package seen_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/owner/discover"
	"github.com/paperclip-nas/paperclip/internal/owner/seen"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

func attic(address, name, status, text string) discover.Device {
	return discover.Device{
		Name: name, Vendor: "Synology", Serial: "2040SBRXYZ123", MACs: []string{"00:11:32:aa:bb:cc"},
		Addresses: []netip.Addr{netip.MustParseAddr(address)}, Status: status, StatusText: text,
	}
}

func open(t *testing.T, dir string) *seen.Memory {
	t.Helper()
	m, err := seen.Open(opfs.OS(nil), dir)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// F4, F6: what it was before the reset, on this network or on another.
func TestRemembers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "home")
	now := time.Date(2026, 11, 22, 7, 0, 0, 0, time.UTC)
	m := open(t, dir)
	m.Note("192.168.1.0/24", now, []discover.Device{attic("192.168.1.20", "attic", "ready", "Ready")})
	if err := m.Save(); err != nil {
		t.Fatal(err)
	}
	for _, network := range []string{"192.168.1.0/24", "10.0.0.0/8"} {
		after := []discover.Device{attic("192.168.1.57", "DiskStation", "configuration_lost", "Configuration lost")}
		m = open(t, dir)
		m.Recall(network, after)
		w := after[0].Was
		if w == nil || w.Name != "attic" || w.Addresses[0].String() != "192.168.1.20" || w.Status != "ready" || !w.Seen.Equal(now) {
			t.Errorf("%s: %+v", network, w)
		}
		if got := after[0].Change(); got != "This was attic, now DiskStation; 192.168.1.20 before, now 192.168.1.57; Ready before, now Configuration lost." {
			t.Error(got)
		}
	}
}

// A forged double changes nothing that is remembered.
func TestDoublesAreNotNoted(t *testing.T) {
	m := open(t, t.TempDir())
	now := time.Date(2026, 11, 22, 7, 0, 0, 0, time.UTC)
	real := attic("192.168.1.20", "attic", "ready", "Ready")
	m.Note("n", now, []discover.Device{real})
	m.Note("n", now.Add(time.Hour), []discover.Device{real, attic("192.168.1.66", "attic", "configuration_lost", "Configuration lost")})
	devices := []discover.Device{real}
	if m.Recall("n", devices); devices[0].Was.Addresses[0].String() != "192.168.1.20" || !devices[0].Was.Seen.Equal(now) || devices[0].Change() != "" {
		t.Errorf("%+v", devices[0].Was)
	}
}

// A damaged file is as none: it is a convenience.
func TestDamagedFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "seen.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	devices := []discover.Device{attic("192.168.1.20", "attic", "ready", "Ready")}
	m := open(t, dir)
	if m.Recall("n", devices); devices[0].Was != nil {
		t.Errorf("%+v", devices[0].Was)
	}
	m.Note("n", time.Now(), devices)
	if err := m.Save(); err != nil {
		t.Error(err)
	}
	if i, err := os.Stat(filepath.Join(dir, "seen.json")); err != nil || i.Mode().Perm()&0o077 != 0 && i.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", i, err)
	}
}

// Devices that come and go without end take bounded memory.
func TestIsBounded(t *testing.T) {
	dir := t.TempDir()
	m := open(t, dir)
	for n := range 40 {
		var devices []discover.Device
		for i := range 520 {
			d := attic("192.168.1.20", "attic", "ready", "Ready")
			d.Serial, d.MACs = string(rune('A'+n))+string(rune(0x4e00+i)), nil
			devices = append(devices, d)
		}
		m.Note(string(rune('A'+n)), time.Unix(int64(n), 0), devices)
	}
	if err := m.Save(); err != nil {
		t.Fatal(err)
	}
	if i, err := os.Stat(filepath.Join(dir, "seen.json")); err != nil || i.Size() > 8<<20 {
		t.Errorf("%v %v", i, err)
	}
}
