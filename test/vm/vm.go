//go:build linux

// Package vm runs a real Linux NAS: Debian's kernel and userland in QEMU, a LAN of network
// namespaces around it, a finger on its button and an ear at its speaker. The tests in it install
// paperclipd as an owner would and recover the NAS from another machine of that LAN.
//
// It never uses hardware virtualisation (what a kernel offers as /dev/kvm may be no use), never
// touches the host's own network, and leaves nothing behind but the cached image of image.sh.
package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/x/qmp"
)

// Config says what a machine is made of.
type Config struct {
	Image   string // folder made by image.sh
	Guest   string // the static guest program
	Payload string // a tar file the guest sees as its fourth disk, read-only
	Dir     string // where disks, sockets and logs of this machine go
	LAN     *LAN
}

// Machine is one virtual NAS. Its disks keep what was written until the Dir is removed; memory is
// lost with Cut and Close, and comes back with Load.
type Machine struct {
	Agent *Agent
	QMP   *qmp.Client

	ear     *qmp.Client
	config  Config
	storage storage
	kept    string // folder of what Suspend kept
	command *exec.Cmd
	ended   chan struct{} // closed when QEMU has ended
	endErr  error         // valid once ended is closed
}

// Create makes the machine's disks as overlays of the image, once, and switches it on.
func Create(ctx context.Context, c Config) (*Machine, error) {
	for _, name := range diskNames {
		base := filepath.Join(c.Image, name+".qcow2")
		if err := run(ctx, "qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, filepath.Join(c.Dir, name+".qcow2")); err != nil {
			return nil, err
		}
	}
	if err := writeInitramfs(ctx, c); err != nil {
		return nil, err
	}
	m := &Machine{config: c}
	return m, m.Boot(ctx)
}

// writeInitramfs joins the cached modules and today's guest program: the kernel unpacks archives that follow each other.
func writeInitramfs(ctx context.Context, c Config) error {
	modules, err := os.ReadFile(filepath.Join(c.Image, "modules.cpio.gz"))
	if err != nil {
		return err
	}
	program, err := os.ReadFile(c.Guest)
	if err != nil {
		return err
	}
	dir := filepath.Join(c.Dir, "init")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "init"), program, 0o755); err != nil {
		return err
	}
	pack := exec.CommandContext(ctx, "sh", "-c", "echo init | cpio -o -H newc --quiet | gzip -1")
	pack.Dir = dir
	out, err := pack.Output()
	if err != nil {
		return fmt.Errorf("pack the initramfs: %w", err)
	}
	return os.WriteFile(filepath.Join(c.Dir, "initramfs"), append(modules, out...), 0o644)
}

// kernelArguments switch off what costs seconds under emulation and is no part of a NAS under test. (The
// emulator translates code once for each address that it runs at: random ones cost a fifth.)
const kernelArguments = "console=ttyS0 panic=-1 quiet net.ifnames=0 mitigations=off audit=0 norandmaps"

// sockets are the ends at which QEMU listens: two monitors, so that the ear is never kept waiting, the
// agent's port and the serial console.
var sockets = [...]string{"qmp", "ear", "agent", "serial"}

// Boot switches the machine on with the disks as they are, and waits for its agent. What is given is added
// to the kernel's command line.
func (m *Machine) Boot(ctx context.Context, kernel ...string) error {
	return m.start(ctx, strings.Join(kernel, " "))
}

// BootShell switches it on with a shell on the serial console in place of the system: no agent runs.
func (m *Machine) BootShell(ctx context.Context) (*Console, error) {
	if err := m.power(ctx, "init=/bin/sh"); err != nil {
		return nil, err
	}
	m.Agent = nil
	if err := m.monitors(ctx); err != nil {
		return nil, errors.Join(err, m.Cut(), m.explain())
	}
	return dialConsole(ctx, m.path("serial"))
}

// Resume starts QEMU anew at a moment that was saved.
func (m *Machine) Resume(ctx context.Context, saved string) error {
	return m.start(ctx, "", "-loadvm", saved)
}

func (m *Machine) start(ctx context.Context, kernel string, more ...string) error {
	if err := m.power(ctx, kernel, more...); err != nil {
		return err
	}
	if err := m.connect(ctx); err != nil {
		return errors.Join(err, m.Cut(), m.explain())
	}
	return nil
}

// power starts QEMU.
func (m *Machine) power(ctx context.Context, kernel string, more ...string) error {
	path := m.path
	for _, socket := range sockets {
		if err := os.Remove(path(socket)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	argv := []string{
		"qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "Nehalem", "-m", "1024", "-machine", "pc",
		"-display", "none", "-nodefaults", "-no-reboot", "-rtc", "base=utc",
		"-kernel", filepath.Join(m.config.Image, "vmlinux"), "-initrd", path("initramfs"), "-append", kernelArguments + " " + kernel,
		"-chardev", "socket,id=serial,path=" + path("serial") + ",server=on,wait=off,logfile=" + path("console"), "-serial", "chardev:serial",
		"-qmp", "unix:" + path("qmp") + ",server=on,wait=off",
		"-qmp", "unix:" + path("ear") + ",server=on,wait=off",
		"-device", "virtio-serial-pci", "-chardev", "socket,id=agent,path=" + path("agent") + ",server=on,wait=off",
		"-device", "virtserialport,chardev=agent,name=agent",
		"-netdev", "tap,id=lan,ifname=" + tapName + ",script=no,downscript=no",
		"-device", "virtio-net-pci,netdev=lan,mac=" + guestMAC + ",romfile=",
		"-netdev", "tap,id=second,ifname=" + secondTap + ",script=no,downscript=no",
		"-device", "virtio-net-pci,netdev=second,mac=" + secondMAC + ",romfile=",
	}
	argv = append(argv, m.disks()...)
	argv = append(argv, more...)

	diagnostics, err := os.Create(path("qemu.log"))
	if err != nil {
		return err
	}
	defer diagnostics.Close()
	m.command = m.config.LAN.command(context.WithoutCancel(ctx), Switch, argv...)
	m.command.Stdout, m.command.Stderr = diagnostics, diagnostics
	ended := make(chan struct{})
	m.ended = ended
	return startChild(m.command, func(err error) {
		m.endErr = err
		close(ended)
	})
}

func (m *Machine) connect(ctx context.Context) error {
	if err := m.monitors(ctx); err != nil {
		return err
	}
	return m.meetAgent(ctx)
}

// meetAgent waits until the agent in the guest answers.
func (m *Machine) meetAgent(ctx context.Context) (err error) {
	if m.Agent, err = dialAgent(ctx, m.path("agent")); err != nil {
		return err
	}
	_, err = m.Agent.Run(ctx, "true")
	return err
}

func (m *Machine) monitors(ctx context.Context) error {
	var err error
	for _, socket := range sockets {
		if err := m.waitForSocket(ctx, m.path(socket)); err != nil {
			return err
		}
	}
	if m.QMP, err = qmp.Dial(ctx, m.path("qmp")); err != nil {
		return err
	}
	m.ear, err = qmp.Dial(ctx, m.path("ear"))
	return err
}

// waitForSocket waits for QEMU to listen at path.
func (m *Machine) waitForSocket(ctx context.Context, path string) error {
	for {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", path, ctx.Err())
		case <-m.ended:
			return fmt.Errorf("QEMU ended: %w", m.endErr)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// explain gathers how QEMU ended, if it did, and what it and the console said, for a failure's report.
func (m *Machine) explain() error {
	var said []string
	select {
	case <-m.ended:
		said = append(said, fmt.Sprintf("QEMU ended: %v", m.command.ProcessState))
	default:
	}
	for _, name := range []string{"qemu.log", "console"} {
		b, err := os.ReadFile(filepath.Join(m.config.Dir, name))
		if err != nil {
			continue
		}
		said = append(said, name+": "+strings.TrimSpace(string(b[max(0, len(b)-2000):])))
	}
	return errors.New(strings.Join(said, "\n"))
}

// Ended is closed when QEMU has ended: a reboot or a power-off of the guest does that too.
func (m *Machine) Ended() <-chan struct{} { return m.ended }

// Cut is a power cut: what the guest had not written is lost.
func (m *Machine) Cut() error {
	if m.Agent != nil {
		m.Agent.close()
	}
	for _, c := range []*qmp.Client{m.QMP, m.ear} {
		if c != nil {
			_ = c.Close() // the process behind it is about to be killed
		}
	}
	if err := m.command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-m.ended
	return nil
}

// Quit ends QEMU in order: what is on the disks, saved moments too, is whole in their files.
func (m *Machine) Quit(ctx context.Context) error {
	if err := m.QMP.Do(ctx, "quit", nil, nil); err != nil {
		return err
	}
	select {
	case <-m.ended:
		return m.Cut()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Clone starts a second machine from a saved moment of one that was ended with Quit, with disks and a
// LAN of its own.
func (m *Machine) Clone(ctx context.Context, c Config, saved string) (*Machine, error) {
	for _, name := range diskNames {
		if err := copyFile(ctx, filepath.Join(m.config.Dir, name+".qcow2"), filepath.Join(c.Dir, name+".qcow2")); err != nil {
			return nil, err
		}
	}
	if err := copyFile(ctx, filepath.Join(m.config.Dir, "initramfs"), filepath.Join(c.Dir, "initramfs")); err != nil {
		return nil, err
	}
	clone := &Machine{config: c}
	return clone, clone.Resume(ctx, saved)
}

// Save keeps memory and disks as they are now under a name.
func (m *Machine) Save(ctx context.Context, name string) error {
	return m.snapshot(ctx, "savevm "+name)
}

// Load brings memory and disks back as they were when saved; the guest's clock goes on from there.
func (m *Machine) Load(ctx context.Context, name string) error {
	if err := m.snapshot(ctx, "loadvm "+name); err != nil {
		return err
	}
	return m.QMP.Do(ctx, "cont", nil, nil)
}

func (m *Machine) snapshot(ctx context.Context, line string) error {
	printed, err := m.QMP.Monitor(ctx, line)
	if err == nil && strings.TrimSpace(printed) != "" {
		err = fmt.Errorf("%s: %s", line, printed)
	}
	return err
}

// Press holds the reset button down.
func (m *Machine) Press(ctx context.Context) error { return m.QMP.Key(ctx, resetKey, true) }

// Release lets the reset button go.
func (m *Machine) Release(ctx context.Context) error { return m.QMP.Key(ctx, resetKey, false) }

// Hold presses the button for a while.
func (m *Machine) Hold(ctx context.Context, d time.Duration) error {
	if err := m.Press(ctx); err != nil {
		return err
	}
	pause(ctx, d)
	return m.Release(ctx)
}

// resetKey is the key that the image's hwdb makes KEY_RESTART (customize.sh).
const resetKey = "f12"

// pause is how long a finger stays where it is: an input of the experiment, not a wait for a result.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func run(ctx context.Context, argv ...string) error {
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
