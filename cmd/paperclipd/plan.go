//go:build linux

package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/paperclip-nas/paperclip/internal/device/config"
	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

func newPlan(o *options) *cobra.Command {
	var mode, scope, administrator string
	cmd := &cobra.Command{
		Use: "plan", Short: "Show what a reset would change, keep and lose; changes nothing", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m := newMachine(o, cmd.ErrOrStderr())
			if err := m.asRoot("paperclipd plan"); err != nil {
				return err
			}
			parsedMode, err := reset.ParseMode(mode)
			if err != nil {
				return catalog.New("usage", sentence(err))
			}
			parsedScope, err := reset.ParseScope(scope)
			if err != nil {
				return catalog.New("usage", sentence(err))
			}
			cfg, err := config.Load(m.fs, o.config)
			if err != nil {
				return err
			}
			p, err := core.MakePlan(cmd.Context(), m.adapters(cfg), reset.Request{Device: m.name(cfg), Mode: parsedMode, Scope: parsedScope, Administrator: administrator})
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), p)
			}
			printPlan(cmd.OutOrStdout(), p)
			return nil
		},
	}
	cmd.Flags().StringVar(&mode, "mode", string(reset.Soft), "the `MODE`: soft or hard")
	cmd.Flags().StringVar(&scope, "scope", "", "the `SCOPE` of a soft reset: credentials, network or all (default credentials)")
	cmd.Flags().StringVar(&administrator, "administrator", "", "the `NAME` of the administrator whose password is replaced")
	jsonFlag(cmd, o)
	return cmd
}

func printPlan(w io.Writer, p reset.Plan) {
	fmt.Fprintf(w, "%s: a %s reset", p.Device, p.Mode)
	if p.Scope != "" {
		fmt.Fprintf(w, ", %s", p.Scope)
	}
	fmt.Fprintln(w, ". Nothing has been changed.")
	fmt.Fprintln(w, "\nChanges:")
	for _, c := range p.Changes {
		fmt.Fprintf(w, "  %s\n    from %s\n    to   %s\n", c.Setting, c.From, c.To)
	}
	if len(p.Changes) == 0 {
		fmt.Fprintln(w, "  nothing")
	}
	for _, part := range []struct {
		title string
		lines []string
	}{{"Keeps", p.Keeps}, {"Losses", p.Losses}, {"Interrupts", p.Interrupts}, {"Not covered", p.NotCovered}, {"Needs", p.Needs}} {
		if len(part.lines) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n%s:\n", part.title)
		for _, line := range part.lines {
			fmt.Fprintf(w, "  %s\n", line)
		}
	}
	fmt.Fprintf(w, "\nTakes: %s\n", p.Takes)
}
