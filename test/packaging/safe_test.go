package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
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

// The boot entry is the newest kernel, as versions count, with its initrd, the
// word, and what GRUB itself takes; without a kernel there is none (A7). That
// grub-mkconfig gives the script what is given here was seen on Debian 12 and 13.
func TestGrubEntry(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("needs sh")
	}
	lib := t.TempDir()
	put := func(path, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(filepath.Join(lib, "grub-mkconfig_lib"), "make_system_path_relative_to_its_root() { echo \"${1#\"$PAPERCLIP_ROOT\"}\"; }\nprepare_grub_to_access_device() { echo 'set root=hd0,msdos1'; }\n")
	run := func(root string) string {
		c := exec.Command("sh", "../../packaging/grub.d/45_paperclip_safe")
		c.Env = append(os.Environ(), "pkgdatadir="+lib, "PAPERCLIP_ROOT="+root, "GRUB_DEVICE=/dev/sda1", "GRUB_DEVICE_BOOT=/dev/sda1", "GRUB_DEVICE_UUID=0123-4567", "GRUB_CMDLINE_LINUX=nosmt")
		out, err := c.Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	if got := run(t.TempDir()); got != "" {
		t.Errorf("an entry without a kernel:\n%s", got)
	}
	root := t.TempDir()
	for _, f := range []string{"vmlinuz-6.1.0-9-amd64", "vmlinuz-6.12.0-1-amd64", "initrd.img-6.12.0-1-amd64", "vmlinuz-6.9.0-3-amd64"} {
		put(filepath.Join(root, "boot", f), "")
	}
	entry := run(root)
	for _, want := range []string{
		"menuentry 'Paperclip safe mode", "\tset root=hd0,msdos1\n",
		"\tlinux /boot/vmlinuz-6.12.0-1-amd64 root=UUID=0123-4567 ro nosmt paperclip.safe\n", "\tinitrd /boot/initrd.img-6.12.0-1-amd64\n}\n",
	} {
		if !strings.Contains(entry, want) {
			t.Errorf("no %q in\n%s", want, entry)
		}
	}
	tool, err := exec.LookPath("grub-script-check")
	if err != nil {
		t.Log("not checked by GRUB: grub-script-check (Debian package grub-common) is not here")
		return
	}
	c := exec.Command(tool)
	c.Stdin = strings.NewReader(entry)
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
