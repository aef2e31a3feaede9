//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/paperclip-nas/paperclip/internal/device/bundle"
	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
)

type restoreOptions struct {
	bundle                string
	kept                  bool
	only                  []string
	dryRun, drill, yes    bool
	confirm, undo, giveUp bool
}

func newRestore(o *options) *cobra.Command {
	var r restoreOptions
	cmd := &cobra.Command{
		Use: "restore --bundle FILE | --kept | --confirm | --undo | --give-up", Args: noArguments,
		Short: "Put saved settings back, on trial, as root on this device",
		Long: `Puts back what this NAS kept of its settings before a hard reset: the latest such
bundle with --kept, or one of the files of /var/lib/paperclip/bundles with
--bundle FILE. It is the transaction of paperclip restore: on trial, and unless it is
confirmed with --confirm within five minutes, or if the NAS restarts before,
everything goes back to how it was. Look from another computer whether you reach
the NAS, before you confirm.

--dry-run shows what differs and what would be changed; --drill tries whether it
can be read and every part would apply. Neither changes anything.

--give-up says that nothing is to be put back after a hard reset: the NAS is set
up as new, and no longer shows "Configuration lost".`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := r.check(); err != nil {
				return err
			}
			m := newMachine(o, cmd.ErrOrStderr())
			if err := m.asRoot("paperclipd restore"); err != nil {
				return err
			}
			if !r.yes && r.changes() && !isTerminal(cmd.InOrStdin()) {
				return catalog.New("no_terminal", "Give --yes to accept the plan, or --dry-run to see it.")
			}
			return m.restore(cmd, o, r)
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.bundle, "bundle", "", "put back the settings in a `FILE` that this NAS kept")
	f.BoolVar(&r.kept, "kept", false, "put back what was kept before the last hard reset")
	f.StringSliceVar(&r.only, "only", nil, "put back these `PARTS` alone, as network,firewall")
	f.BoolVar(&r.dryRun, "dry-run", false, "show what would be changed, and change nothing")
	f.BoolVar(&r.drill, "drill", false, "try whether it would apply, and change nothing")
	f.BoolVar(&r.yes, "yes", false, "accept the plan, and ask nothing")
	f.BoolVar(&r.confirm, "confirm", false, "say that the NAS works as restored: it stays so")
	f.BoolVar(&r.undo, "undo", false, "take back at once what is on trial")
	f.BoolVar(&r.giveUp, "give-up", false, "after a hard reset: nothing is to be put back")
	jsonFlag(cmd, o)
	return cmd
}

// changes tells whether a plan is to be accepted.
func (r restoreOptions) changes() bool {
	return !r.dryRun && !r.drill && !r.confirm && !r.undo && !r.giveUp
}

func (r restoreOptions) check() error {
	n := 0
	for _, one := range []bool{r.bundle != "", r.kept, r.confirm, r.undo, r.giveUp} {
		if one {
			n++
		}
	}
	switch {
	case n != 1:
		return catalog.New("usage", "restore takes one of --bundle FILE, --kept, --confirm, --undo and --give-up.")
	case r.dryRun && r.drill:
		return catalog.New("usage", "Give one of --dry-run and --drill.")
	case r.bundle == "" && !r.kept && (r.dryRun || r.drill || len(r.only) > 0):
		return catalog.New("usage", "--dry-run, --drill and --only go with --bundle or --kept.")
	}
	if _, err := reset.EffectsOf(r.only); err != nil {
		return catalog.New("usage", "For --only "+sentence(err))
	}
	return nil
}

func isTerminal(in io.Reader) bool {
	f, ok := in.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (m *machine) restore(cmd *cobra.Command, o *options, r restoreOptions) error {
	ctx := cmd.Context()
	client, err := m.dial(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	q := corewire.RestoreRequest{Do: corewire.RestorePlan, File: r.bundle != "", Only: r.only}
	switch {
	case r.confirm:
		q.Do = corewire.RestoreConfirm
	case r.undo:
		q.Do = corewire.RestoreUndo
	case r.giveUp:
		q.Do = corewire.RestoreGiveUp
	}
	if q.Do != corewire.RestorePlan {
		reply, err := client.Restore(ctx, q)
		if err != nil {
			return err
		}
		return m.restoreEnded(cmd, o, q.Do, reply)
	}
	if q.File {
		if err := m.layDown(r.bundle); err != nil {
			return err
		}
		defer m.takeUp()
	}
	return m.restoreBundle(ctx, cmd, o, r, q, client)
}

// layDown puts the file where core, which is confined, can read it.
func (m *machine) layDown(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return catalog.New("file_unusable", err.Error()).Because(err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, bundle.MaxSize+1))
	if err != nil {
		return catalog.New("file_unusable", err.Error()).Because(err)
	}
	if _, err := bundle.Parse(raw); err != nil {
		return catalog.New("snapshot_unusable", err.Error()).Because(err)
	}
	return atomicfile.Replace(m.fs, "restore.lay", core.RestoreFile(stateDir), raw, atomicfile.Options{Mode: 0o600, Enforce: true})
}

func (m *machine) takeUp() {
	if err := m.fs.Remove("restore.take", core.RestoreFile(stateDir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.log.Error("the copy of the file could not be removed", "error", err)
	}
}

func (m *machine) restoreBundle(ctx context.Context, cmd *cobra.Command, o *options, r restoreOptions, q corewire.RestoreRequest, client *corewire.Client) error {
	planned, err := client.Restore(ctx, q)
	if err != nil {
		return err
	}
	p := *planned.Plan
	people := cmd.ErrOrStderr()
	printRestorePlan(people, p)
	if r.dryRun || r.drill {
		if r.drill {
			fmt.Fprintf(people, "It can be read, and every part of it that is on this NAS would apply: %d changes. Nothing was changed.\n", len(p.Plan.Changes))
		}
		return printIf(cmd, o, map[string]any{"state": "planned", "plan": p})
	}
	if !r.yes {
		fmt.Fprint(people, "Type yes to go on; anything else stops, and nothing is changed: ")
		line, err := await(ctx, func() (access.Secret, error) { return oneLine(onlyOneLine{cmd.InOrStdin()}, "Type yes.") })
		if ctx.Err() != nil {
			fmt.Fprintln(people)
			return err
		}
		if err != nil || line.Reveal() != "yes" {
			return catalog.New("declined")
		}
	}
	q.Do, q.Hash = corewire.RestoreAccept, p.Hash
	reply, err := client.Restore(ctx, q)
	if err != nil {
		return err
	}
	if reply.Progress.Problem != nil {
		return *reply.Progress.Problem
	}
	fmt.Fprintf(people, "It is in force. Look from another computer whether the NAS works as it should, and within %d seconds: paperclipd restore --confirm\nElse everything goes back to how it was.\n", reply.Progress.ConfirmSeconds)
	return printIf(cmd, o, map[string]any{"state": reply.Progress.State, "transaction": reply.Transaction, "confirm_seconds": reply.Progress.ConfirmSeconds})
}

// onlyOneLine is a terminal that is read as a file is.
type onlyOneLine struct{ io.Reader }

func (m *machine) restoreEnded(cmd *cobra.Command, o *options, did corewire.RestoreAction, reply corewire.RestoreReply) error {
	if did == corewire.RestoreGiveUp {
		fmt.Fprintln(cmd.ErrOrStderr(), "This NAS is set up as new. What it kept of before stays: paperclipd restore --kept")
		return printIf(cmd, o, map[string]any{"state": "given_up"})
	}
	p := reply.Progress
	switch asked := did == corewire.RestoreUndo && p.Problem != nil && p.Problem.ID == "restore_undone"; {
	case asked:
		fmt.Fprintln(cmd.ErrOrStderr(), "It was taken back.", p.Problem.Meaning, p.Problem.WhatToDo)
	case p.Problem != nil:
		return *p.Problem
	default:
		fmt.Fprintln(cmd.ErrOrStderr(), "It stays: the settings are as restored. The receipt is in `paperclipd receipts`.")
	}
	return printIf(cmd, o, map[string]any{"state": p.State, "transaction": reply.Transaction})
}

func printIf(cmd *cobra.Command, o *options, v any) error {
	if !o.json {
		return nil
	}
	return printJSON(cmd.OutOrStdout(), v)
}

func printRestorePlan(w io.Writer, p deviceapi.RestorePlanReply) {
	for _, d := range p.Differences {
		if d.Differs {
			fmt.Fprintf(w, "%s: then %s; now %s; after a reset %s.\n", d.Setting, d.Then, d.Now, d.Default)
		}
	}
	if len(p.Plan.Changes) == 0 {
		fmt.Fprintln(w, "Nothing would change: everything is as it was saved.")
	}
	for _, n := range p.NotRestorable {
		fmt.Fprintf(w, "Not put back: %s.\n", n)
	}
}
