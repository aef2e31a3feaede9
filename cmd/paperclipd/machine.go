//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/config"
	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/device/service"
	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/authenticator"
	"github.com/paperclip-nas/paperclip/internal/device/setting/cockpit"
	"github.com/paperclip-nas/paperclip/internal/device/setting/encrypted"
	"github.com/paperclip-nas/paperclip/internal/device/setting/fail2ban"
	"github.com/paperclip-nas/paperclip/internal/device/setting/faillock"
	"github.com/paperclip-nas/paperclip/internal/device/setting/firewalld"
	"github.com/paperclip-nas/paperclip/internal/device/setting/guest"
	"github.com/paperclip-nas/paperclip/internal/device/setting/hostname"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ifupdown"
	"github.com/paperclip-nas/paperclip/internal/device/setting/keepalived"
	"github.com/paperclip-nas/paperclip/internal/device/setting/libvirt"
	"github.com/paperclip-nas/paperclip/internal/device/setting/netplan"
	"github.com/paperclip-nas/paperclip/internal/device/setting/netstack"
	"github.com/paperclip-nas/paperclip/internal/device/setting/networkd"
	"github.com/paperclip-nas/paperclip/internal/device/setting/networkmanager"
	"github.com/paperclip-nas/paperclip/internal/device/setting/nftables"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ports"
	"github.com/paperclip-nas/paperclip/internal/device/setting/pppoe"
	"github.com/paperclip-nas/paperclip/internal/device/setting/samba"
	"github.com/paperclip-nas/paperclip/internal/device/setting/shadow"
	"github.com/paperclip-nas/paperclip/internal/device/setting/shares"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ufw"
	"github.com/paperclip-nas/paperclip/internal/device/setting/unit"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// Where paperclipd keeps things.
const (
	stateDir   = "/var/lib/paperclip"
	socketPath = "/run/paperclip/core.sock"
	frontUser  = "paperclip"
)

// machine is the system that a command works on.
type machine struct {
	root   string // "" on the system itself
	fs     opfs.FS
	runner opfs.Runner
	hook   opfs.Hook
	clock  clock.Clock
	log    *slog.Logger
}

func newMachine(o *options, stderr io.Writer) *machine {
	m := &machine{root: o.root, hook: traceHook(stderr), clock: clock.System(), log: newLog(stderr)}
	m.fs, m.runner = opfs.OS(m.hook), opfs.Exec(m.hook)
	if m.root != "" {
		m.fs, m.runner = opfs.Under(m.root, m.fs), noPrograms{}
	}
	return m
}

// noPrograms is the Runner of a root that is not the system's.
type noPrograms struct{}

func (noPrograms) Run(_ context.Context, _ string, c opfs.Command) (opfs.Output, error) {
	return opfs.Output{}, fmt.Errorf("%s: %w", c.Path, opfs.ErrNoCommand)
}

// traceHook writes the name of every operation around it when
// PAPERCLIP_TRACE_OPS is 1, in one write each, so that the marks stand in order
// in a trace of system calls.
func traceHook(w io.Writer) opfs.Hook {
	if os.Getenv("PAPERCLIP_TRACE_OPS") != "1" {
		return nil
	}
	return func(op string, when opfs.When) error {
		_, err := io.WriteString(w, "paperclip-op "+when.String()+" "+op+"\n")
		return err
	}
}

// newLog writes text; the journal of systemd has its own time stamps.
func newLog(w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{}
	if os.Getenv("JOURNAL_STREAM") != "" {
		o.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// asRoot refuses anybody else, except on another root.
func (m *machine) asRoot(what string) error {
	if m.root == "" && os.Geteuid() != 0 {
		return catalog.New("not_root", what)
	}
	return nil
}

func (m *machine) socket() string { return filepath.Join(m.root, socketPath) }

func (m *machine) adapters(cfg config.Config) []setting.Adapter {
	virtual := cfg.Network.VirtualCards
	units := unit.System{FS: m.fs, Runner: m.runner, Together: append(libvirt.Sockets(), fail2ban.Unit, nftables.Unit, firewalld.Unit, keepalived.Unit)}
	return []setting.Adapter{
		m.shadow(cfg),
		samba.New(samba.Config{Runner: m.runner, Clock: m.clock, Ordinary: m.shadow(cfg).Ordinary}),
		pppoe.New(m.fs, m.runner),
		m.hostname(cfg), // before the network, which tells it to DHCP servers
		networkd.New(networkd.Config{FS: m.fs, Runner: m.runner, Virtual: virtual}),
		ifupdown.New(ifupdown.Config{FS: m.fs, Runner: m.runner, Virtual: virtual}),
		networkmanager.New(networkmanager.Config{FS: m.fs, Runner: m.runner, Virtual: virtual}),
		netplan.New(netstack.System{FS: m.fs, Runner: m.runner, Virtual: virtual}),
		ports.New(m.fs, nil), // front listens anew when core tells it the ports
		cockpit.New(m.fs, m.runner),
		guest.New(units),
		shares.New(units, m.baseline(shares.ID)),
		fail2ban.New(units),
		faillock.New(m.fs),
		nftables.New(units),
		ufw.New(m.fs, m.runner),
		firewalld.New(units),
		keepalived.New(units),
		libvirt.New(units),
		encrypted.New(units, cfg.Encrypted.KeepKey),
		authenticator.New(m.fs, m.runner, nil),
	}
}

func (m *machine) shadow(cfg config.Config) *shadow.Adapter {
	return shadow.New(shadow.Config{FS: m.fs, Clock: m.clock, Rand: rand.Reader, AdminGroup: cfg.Device.AdminGroup.String()})
}

func (m *machine) hostname(cfg config.Config) *hostname.Adapter {
	c := hostname.Config{FS: m.fs, Runner: m.runner}
	if cfg.Device.Name.String() != "" {
		c.Fixed = "the owner set it in paperclip.toml, [device] name"
	}
	return hostname.New(c)
}

// baseline is what an adapter saved when paperclipd was installed.
func (m *machine) baseline(adapter string) func() json.RawMessage {
	return func() json.RawMessage {
		b, err := core.Baseline(m.fs, stateDir)
		if err != nil {
			return nil
		}
		return b.Sections[adapter]
	}
}

// ports are those in force. A file that cannot be read never keeps anybody out.
func (m *machine) ports() nas.Ports {
	p, err := ports.Load(m.fs)
	if err != nil {
		m.log.Error("the management ports are the defaults", "error", err)
	}
	return p
}

// name is what the device is called.
func (m *machine) name(cfg config.Config) string {
	if name := cfg.Device.Name.String(); name != "" {
		return name
	}
	if name := hostname.Load(m.fs); name != "" {
		return name
	}
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "nas"
	}
	return name
}

// core is what every command that works on settings has in common.
func (m *machine) core(cfg config.Config) core.Config {
	return core.Config{
		Name: m.name(cfg), Named: func() string { return m.name(cfg) }, Dir: stateDir, FS: m.fs, Clock: m.clock, Rand: rand.Reader, Log: m.log, Adapters: m.adapters(cfg),
		Boot: clock.SystemBoot(),
	}
}

// frontIDs are the user and group that front runs as.
func frontIDs() (uid, gid int, err error) {
	u, err := user.Lookup(frontUser)
	if err != nil {
		return -1, -1, fmt.Errorf("there is no user %s for front: %w", frontUser, err)
	}
	if uid, err = strconv.Atoi(u.Uid); err != nil {
		return -1, -1, err
	}
	if gid, err = strconv.Atoi(u.Gid); err != nil {
		return -1, -1, err
	}
	return uid, gid, nil
}

// dialCore connects to core, whose socket lets in root and front.
func (m *machine) dialCore(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", m.socket())
	if err != nil {
		return nil, catalog.New("core_unreachable").Because(err)
	}
	return conn, nil
}

// read asks core for one thing, as root at the console.
func (m *machine) read(ctx context.Context, what corewire.What, v any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	client, err := m.dial(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	return client.Read(ctx, what, v)
}

// dial connects to core as root on this device.
func (m *machine) dial(ctx context.Context) (*corewire.Client, error) {
	conn, err := m.dialCore(ctx)
	if err != nil {
		return nil, err
	}
	client, err := corewire.Dial(ctx, conn)
	if err != nil {
		return nil, catalog.New("core_unreachable").Because(err)
	}
	return client, nil
}

// safeMode tells whether the kernel was started with the word paperclip.safe:
// systemd has started nothing but recovery then (packaging/systemd-generators).
func (m *machine) safeMode() bool {
	line, err := m.fs.ReadFile("/proc/cmdline")
	return err == nil && slices.Contains(strings.Fields(string(line)), "paperclip.safe")
}

// supported refuses a system on which paperclipd was not tested.
func (m *machine) supported() error { return service.Supported(m.fs) }
