//go:build linux

package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/paperclip-nas/paperclip/internal/device/config"
	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/device/sandbox"
)

func newRecover(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "recover", Short: "Finish or undo the files of an interrupted reset, at boot, before any door opens", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runRecover(cmd.Context(), newMachine(o, cmd.ErrOrStderr()), o)
		},
	}
}

// runRecover needs no setting: a mistake in the configuration must not keep the
// doors of a NAS shut.
func runRecover(ctx context.Context, m *machine, o *options) error {
	if err := m.asRoot("paperclipd recover"); err != nil {
		return err
	}
	cfg, err := config.Load(m.fs, o.config)
	if err != nil {
		m.log.Error("going on without the configuration", "error", err)
		cfg = config.Default()
	}
	if m.root == "" { // doors wait for this unit: it goes on where the kernel has no Landlock
		if _, _, err := sandbox.Core().Apply(); err != nil {
			m.log.Error("going on without Landlock", "error", err)
		}
	}
	return core.Recover(ctx, m.core(cfg))
}
