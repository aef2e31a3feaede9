//go:build linux

package main

import (
	"context"
	"errors"
	"net"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/paperclip-nas/paperclip/internal/device/addressprobe"
	"github.com/paperclip-nas/paperclip/internal/device/config"
	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/device/notice"
	"github.com/paperclip-nas/paperclip/internal/device/panel"
	"github.com/paperclip-nas/paperclip/internal/device/sandbox"
	"github.com/paperclip-nas/paperclip/internal/device/service"
	"github.com/paperclip-nas/paperclip/internal/device/sessions"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/button"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
)

func newCore(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "core", Short: "The half with root and no listener", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runCore(cmd.Context(), newMachine(o, cmd.ErrOrStderr()), o)
		},
	}
}

func runCore(ctx context.Context, m *machine, o *options) (err error) {
	if err := m.asRoot("paperclipd core"); err != nil {
		return err
	}
	if err := m.supported(); err != nil {
		return err
	}
	cfg, err := config.Load(m.fs, o.config)
	if err != nil {
		return err
	}
	parts, closers, err := m.openPanel(ctx, cfg) // the button is ours before anything else
	for _, c := range closers {
		defer func() { err = errors.Join(err, c.Close()) }()
	}
	if err != nil {
		return err
	}
	var held sandbox.Report
	if m.root == "" {
		if held, err = m.confineCore(cfg); err != nil {
			return err
		}
	}
	if parts.Beeper != nil || parts.Light != nil {
		thread := m.realTime()
		defer thread.Close()
		parts.Timing = thread
	}
	cc := m.core(cfg)
	cc.Panel, cc.Profile, cc.Accounts, cc.Ports = parts, cfg.Panel.Profile.Profile(), m.shadow(cfg), m.ports
	cc.Sessions = sessions.Ender{Runner: m.runner}
	cc.Rules = access.DefaultRules()
	cc.Rules.Window = cfg.Claim.Window.Duration()
	cc.Policy = cfg.Claim.Allows.Choice()
	cc.Notifier = notice.System{FS: m.fs, Runner: m.runner}
	cc.SafeMode = m.safeMode()
	cc.Findings = m.findings(o)
	if m.root == "" {
		cc.Cable = addressprobe.Cable{}
	}
	if m.root == "" && cfg.Network.ClaimNetwork {
		network := m.claimNetwork(cfg)
		if err := network.Clean(ctx); err != nil {
			m.log.Error("what an earlier claim left on the network could not be removed", "error", err)
		}
		cc.Network = network
	}
	c, err := core.New(cc)
	if err != nil {
		showHalfState(ctx, parts, err)
		return err
	}
	if err := c.RecordBaseline(ctx); err != nil {
		m.log.Error("how this system was set up at install could not be written down: a hard reset leaves its shares as they are; it is tried again at the next start", "error", err)
	}
	m.log.Info("this device", "name", cc.Name, "key", c.KeyID())
	return serveCore(ctx, m, c, held)
}

// showHalfState blinks for a while where the journal is damaged; systemd starts
// core again, and so it goes on.
func showHalfState(ctx context.Context, p panel.Panel, err error) {
	if catalog.AsProblem(err).ID != "half_state" {
		return
	}
	for range halfStateShown {
		_ = p.Play(ctx, panel.Pulses(button.MoodHalfState.Show().Pulses)) // err is told
	}
}

// halfStateShown is how often the pattern is shown at each start: for 10 s.
const halfStateShown = 4

// serveCore runs core and answers its socket, each until the other ends.
func serveCore(ctx context.Context, m *machine, c *core.Core, held sandbox.Report) error {
	uid, gid, err := frontIDs()
	if err != nil {
		m.log.Error("front will not be let in", "error", err)
		uid, gid = -1, os.Getgid()
	}
	ln, err := service.Listen(m.socket(), gid)
	if err != nil {
		return err
	}
	callers := service.Callers{FrontUID: uid, Log: m.log, Serve: func(ctx context.Context, who service.Caller, conn net.Conn) error {
		if who == service.Root {
			return c.ServeConsole(ctx, conn)
		}
		return c.Serve(ctx, conn)
	}}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.Run(ctx) })
	g.Go(func() error { return callers.Run(ctx, ln) })
	if m.root == "" {
		g.Go(func() error { return m.watchMounts(ctx, c, held) })
		g.Go(func() error { m.giveBack(ctx, c.Quiet); return nil })
	}
	if err := service.Notify("READY=1"); err != nil {
		m.log.Warn("systemd was not told", "error", err)
	}
	return g.Wait()
}
