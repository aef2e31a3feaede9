package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// The generator does nothing without its word, and with it goes to the target,
// with the enabled networks and firewalls and no other unit (A7).
func TestSafeModeGenerator(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("needs sh")
	}
	root := t.TempDir()
	units := filepath.Join(root, "usr/lib/systemd/system")
	wants := filepath.Join(root, "etc/systemd/system/multi-user.target.wants")
	for _, dir := range []string{units, wants} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, unit := range []string{"systemd-networkd.service", "nftables.service", "ssh.service", "smbd.service", "NetworkManager.service"} {
		if err := os.WriteFile(filepath.Join(units, unit), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if unit == "NetworkManager.service" { // there, and not enabled
			continue
		}
		if err := os.Symlink("/usr/lib/systemd/system/"+unit, filepath.Join(wants, unit)); err != nil {
			t.Fatal(err)
		}
	}
	for line, want := range map[string][]string{
		"root=/dev/sda1 quiet\n":                    nil,
		"root=/dev/sda1 paperclip.safely x\n":       nil,
		"root=/dev/sda1 paperclip.safe quiet\n":     {"default.target", "nftables.service", "systemd-networkd.service"},
		"paperclip.safe\n":                          {"default.target", "nftables.service", "systemd-networkd.service"},
		"root=/dev/sda1 quiet foo=paperclip.safe\n": nil,
	} {
		out := t.TempDir()
		cmdline := filepath.Join(out, "cmdline")
		if err := os.WriteFile(cmdline, []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
		early := filepath.Join(out, "early")
		if err := os.Mkdir(early, 0o755); err != nil {
			t.Fatal(err)
		}
		c := exec.Command("sh", "../../packaging/systemd-generators/paperclip-safe", out, early, out)
		c.Env = append(os.Environ(), "PAPERCLIP_CMDLINE="+cmdline, "PAPERCLIP_ROOT="+root)
		if said, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v: %s", line, err, said)
		}
		var got []string
		if err := filepath.WalkDir(early, func(path string, d os.DirEntry, err error) error {
			if d.Type()&os.ModeSymlink != 0 {
				got = append(got, d.Name())
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%q: links %q, want %q", line, got, want)
		}
	}
}
