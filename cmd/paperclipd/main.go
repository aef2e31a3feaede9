//go:build linux

// Paperclipd gives a Linux NAS a reset button like a vendor's, and better: it
// opens a claim and changes nothing by itself.
//
// Core has root and no listener, front has the listener and no privilege; they
// are two processes of this program. The other commands are for root at the
// console. This package is flags and wiring; what paperclipd does is in
// internal/device.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/paperclip-nas/paperclip/internal/device/config"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/x/buildversion"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// options are the flags that every command has.
type options struct {
	config string
	root   string
	json   bool
}

// run carries a command line out and returns its exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var o options
	cmd := newRoot(&o)
	cmd.SetArgs(args)
	cmd.SetIn(stdin)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return int(catalog.Done)
	}
	if errors.Is(err, errUnhealthy) {
		return int(catalog.Failed) // what is wrong has been said
	}
	p := catalog.AsProblem(err)
	if cause := errors.Unwrap(p); cause != nil && os.Getuid() == 0 {
		fmt.Fprintln(stderr, "paperclipd: cause:", cause)
	}
	if o.json {
		_ = printJSON(stdout, map[string]catalog.Problem{"problem": p})
	}
	fmt.Fprintln(stderr, "paperclipd:", p)
	return int(p.Exit)
}

func newRoot(o *options) *cobra.Command {
	var version bool
	cmd := &cobra.Command{
		Use:   "paperclipd",
		Short: "A reset button for a Linux NAS: back in, with nothing lost",
		Long: `Paperclipd gives this NAS a reset button: holding it opens a claim, and changes
nothing by itself. Whoever holds it gets back in with the program paperclip, on
another computer.

Just installed? See what it found, and what is missing:

  sudo paperclipd doctor

Locked out, with a root shell? No button is needed:

  sudo paperclipd reset-password USER

Exit status, for scripts: 0 done, 1 failed, 2 wrong use, 3 not found,
4 refused, 5 done in part or not verified.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !version {
				return cmd.Help()
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "paperclipd", buildversion.String())
			return err
		},
	}
	// Cobra's own would bring its templates along: 2 MB of program.
	cmd.Flags().BoolVar(&version, "version", false, "print which build this is")
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.PersistentFlags().StringVar(&o.config, "config", config.Path, "the configuration `FILE`")
	cmd.PersistentFlags().StringVar(&o.root, "root", "", "take a `FOLDER` for the root of the file system (for tests; runs no programs)")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return catalog.New("usage", sentence(err)) })
	cmd.AddGroup(&cobra.Group{ID: "root", Title: "For root, at any time:"}, &cobra.Group{ID: "systemd", Title: "Started by systemd:"})
	for id, all := range map[string][]*cobra.Command{
		"root": {
			newDoctor(o), newStatus(o), newPlan(o), newReceipts(o), newResetPassword(o), newRestore(o), newCodes(o), newLabel(o),
			newOwners(o), newRequests(o),
		},
		"systemd": {newCore(o), newFront(o), newRecover(o)},
	} {
		for _, c := range all {
			c.GroupID = id
			cmd.AddCommand(c)
		}
	}
	return cmd
}

// noArguments refuses arguments as wrong use.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return catalog.New("usage", fmt.Sprintf("%s does not take %q.", cmd.CommandPath(), args[0]))
	}
	return nil
}

func sentence(err error) string { return err.Error() + "." }

// jsonFlag adds --json.
func jsonFlag(cmd *cobra.Command, o *options) {
	cmd.Flags().BoolVar(&o.json, "json", false, "print one JSON document")
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
