//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	rootLabelDevice = "/dev/vda"
	newRoot         = "/root"
	runtimeDir      = "/run/paperclip-vm" // tmpfs: gone with the machine
)

// initramfs is PID 1 before there is a root file system. With "paperclip.init=prepare" on the
// kernel's command line it makes the array on the two spare disks and powers off; else it hands
// over to the root's systemd.
func initramfs() error {
	for _, m := range []struct{ dir, kind string }{{"/proc", "proc"}, {"/sys", "sysfs"}, {"/dev", "devtmpfs"}} {
		if err := os.MkdirAll(m.dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.dir, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.dir, err)
		}
	}
	if err := loadModules("/modules"); err != nil {
		return err
	}
	if err := waitFor(rootLabelDevice, 20*time.Second); err != nil {
		return err
	}
	if err := os.MkdirAll(newRoot, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(rootLabelDevice, newRoot, "ext4", 0, ""); err != nil {
		return fmt.Errorf("mount the root: %w", err)
	}
	for _, d := range []string{"/proc", "/sys", "/dev"} {
		if err := unix.Mount(d, newRoot+d, "", unix.MS_MOVE, ""); err != nil {
			return fmt.Errorf("move %s: %w", d, err)
		}
	}
	if err := unix.Mount("tmpfs", newRoot+"/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return fmt.Errorf("mount /run: %w", err)
	}
	if err := leaveAgent(newRoot + runtimeDir); err != nil {
		return err
	}
	if err := switchRoot(); err != nil {
		return err
	}
	commandLine, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	if strings.Contains(string(commandLine), "paperclip.init=prepare") {
		return prepare()
	}
	program := "/lib/systemd/systemd"
	for word := range strings.FieldsSeq(string(commandLine)) {
		if named, ok := strings.CutPrefix(word, "init="); ok { // as every initramfs does: the way into a rescue shell
			program = named
		}
	}
	return unix.Exec(program, []string{program}, []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TERM=dumb"})
}

func loadModules(dir string) error {
	order, err := os.ReadFile(filepath.Join(dir, "order"))
	if err != nil {
		return err
	}
	for name := range strings.FieldsSeq(string(order)) {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(f.Fd()), "", 0)
		f.Close()
		if err != nil && err != unix.EEXIST {
			return fmt.Errorf("load %s: %w", name, err)
		}
	}
	return nil
}

// waitFor waits until the kernel has made the path: devices appear some milliseconds after their driver.
func waitFor(path string, limit time.Duration) error {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%s did not appear within %s", path, limit)
}

// leaveAgent copies this program and a unit for it to the runtime directory, which systemd finds as it is.
func leaveAgent(dir string) error {
	self, err := os.ReadFile("/init")
	if err != nil {
		return err
	}
	units := filepath.Join(filepath.Dir(dir), "systemd/system")
	wants := filepath.Join(units, "sysinit.target.wants")
	for _, d := range []string{dir, wants} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "guest"), self, 0o755); err != nil {
		return err
	}
	const name = "paperclip-vm-agent.service"
	unit := "[Unit]\nDescription=Test agent\nDefaultDependencies=no\n[Service]\nExecStart=" + runtimeDir + "/guest agent\nOOMScoreAdjust=-900\n"
	if err := os.WriteFile(filepath.Join(units, name), []byte(unit), 0o644); err != nil {
		return err
	}
	return os.Symlink("../"+name, filepath.Join(wants, name))
}

func switchRoot() error {
	if err := unix.Chdir(newRoot); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move the root: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	return unix.Chdir("/")
}

// prepare makes the RAID1 and the owner's files with the root's own tools.
func prepare() error {
	if err := os.Setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"); err != nil {
		return err
	}
	for _, argv := range [][]string{
		{"modprobe", "raid1"},
		{"mdadm", "--create", "/dev/md0", "--run", "--assume-clean", "--metadata=1.2", "--homehost=cellar", "--name=0", "--level=1", "--raid-devices=2", "/dev/vdb", "/dev/vdc"},
		{"mke2fs", "-q", "-t", "ext4", "-L", "srv", "/dev/md0"},
		{"mount", "-t", "ext4", "/dev/md0", "/srv"},
		{runtimeDir + "/guest", "populate", "/srv"},
		{"umount", "/srv"},
		{"mdadm", "--stop", "/dev/md0"},
	} {
		out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
		fmt.Printf("%s: %s\n", strings.Join(argv, " "), strings.TrimSpace(string(out)))
		if err != nil {
			return fmt.Errorf("%s: %w", argv[0], err)
		}
	}
	fmt.Println("PREPARED")
	return nil
}

// cutAfter takes the power away as soon as another file stands at path: nothing is synced or unmounted.
func cutAfter(path string) error {
	trigger, err := os.OpenFile("/proc/sysrq-trigger", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	before, err := os.Stat(path)
	if err != nil {
		return err
	}
	for {
		if now, err := os.Stat(path); err == nil && !os.SameFile(before, now) {
			_, err := trigger.WriteString("b") // a reboot at once, which ends QEMU
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

func powerOff() {
	unix.Sync()
	if err := unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		fmt.Println("remount read-only:", err)
	}
	fmt.Println("power off:", unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF))
	select {}
}
