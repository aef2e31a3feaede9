//go:build linux

package main

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/paperclip-nas/paperclip/internal/device/announcer"
	"github.com/paperclip-nas/paperclip/internal/device/config"
	"github.com/paperclip-nas/paperclip/internal/device/front"
	"github.com/paperclip-nas/paperclip/internal/device/sandbox"
	"github.com/paperclip-nas/paperclip/internal/device/service"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/x/netchange"
)

func newFront(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "front", Short: "The half with the listener and no privilege", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runFront(cmd.Context(), newMachine(o, cmd.ErrOrStderr()), o)
		},
	}
}

func runFront(ctx context.Context, m *machine, o *options) error {
	if m.root == "" && os.Geteuid() == 0 {
		return catalog.New("usage", "paperclipd front talks to strangers and does not run as root: its unit runs it as the user "+frontUser+".")
	}
	cfg, err := config.Load(m.fs, o.config)
	switch {
	case errors.Is(err, fs.ErrPermission): // an owner may keep it from others, and front needs little of it
		m.log.Warn("going on without the configuration", "error", err)
		cfg = config.Default()
	case err != nil:
		return err
	}
	if m.root == "" {
		if _, err := m.confine(sandbox.Front()); err != nil {
			return err
		}
	}
	room := &room{virtual: cfg.Network.VirtualCards, clock: m.clock}
	fc := front.Config{Dial: m.dialCore, OnLink: room.onLink, Clock: m.clock, Log: m.log}
	if m.root == "" {
		multicast, err := announcer.NewMulticast(m.log)
		if err != nil {
			m.log.Error("this device cannot be announced; it is found by its address alone", "error", err)
		} else {
			defer multicast.Close()
			fc.Announce, fc.Interfaces = announcing{multicast}, room.interfaces
			if fc.Changed, err = netchange.Watch(ctx); err != nil {
				m.log.Warn("network cards that come and go are noticed late", "error", err)
			}
		}
	}
	f := front.New(fc)
	if m.root == "" {
		go m.giveBack(ctx, func(context.Context) bool { return true })
	}
	go func() {
		select {
		case <-f.Ready():
			if err := service.Notify("READY=1"); err != nil {
				m.log.Warn("systemd was not told", "error", err)
			}
		case <-ctx.Done():
		}
	}()
	return f.Run(ctx)
}
