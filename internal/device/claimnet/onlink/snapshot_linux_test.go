package onlink

import (
	"os"
	"path/filepath"
	"testing"
)

// What leads to the room is known by what is below it in sysfs.
func TestLeadsOut(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{
		"eth0/device", "wlan0/device", "wlan0/wireless",
		"bond0/lower_eth0", "br0/lower_bond0", "eth0.10/lower_eth0", "pclip2/lower_eth0",
		"docker0/lower_veth1", "veth1", "wg0", "empty0",
		"tap0/tun_flags", "tap0/device", "vmbr0/lower_tap0",
		"loop1/lower_loop2", "loop2/lower_loop1",
	} {
		if err := os.MkdirAll(filepath.Join(dir, path), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]bool{
		"eth0": true, "wlan0": true, "bond0": true, "br0": true, "eth0.10": true, "pclip2": true,
		"docker0": false, "veth1": false, "wg0": false, "empty0": false, "tap0": false, "vmbr0": false,
		"loop1": false, "gone0": false,
	} {
		if got := leadsOut(dir, name, false, depth); got != want {
			t.Errorf("%s leads out: %v, want %v", name, got, want)
		}
	}
}

func TestSnapshotOfThisMachine(t *testing.T) {
	n, err := Snapshot(false)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range n.Interfaces {
		if i.Name == "lo" && (i.Room || len(i.Prefixes) == 0) {
			t.Errorf("loopback is %+v", i)
		}
	}
}
