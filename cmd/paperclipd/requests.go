//go:build linux

package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
)

func newRequests(o *options) *cobra.Command {
	var refuse bool
	cmd := &cobra.Command{
		Use: "requests [--refuse [ID]]", Short: "List the requests for a reset that wait, or refuse one",
		Args: func(cmd *cobra.Command, args []string) error {
			if refuse && len(args) == 1 {
				return nil
			}
			return noArguments(cmd, args)
		},
		Long: `Lists the requests for a reset that wait, as [claim] allows = "wait 24h" has it,
and those of before. --refuse ID ends one: nothing is changed by it then.
--refuse alone ends the only one that waits.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			m := newMachine(o, cmd.ErrOrStderr())
			if err := m.asRoot("paperclipd requests"); err != nil {
				return err
			}
			client, err := m.dial(cmd.Context())
			if err != nil {
				return err
			}
			defer client.Close()
			if refuse {
				if err := client.Refuse(cmd.Context(), corewire.RefuseRequest{ID: strings.Join(args, "")}); err != nil {
					return err
				}
			}
			var list core.RequestList
			if err := client.Read(cmd.Context(), corewire.ReadRequests, &list); err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), list)
			}
			printRequests(cmd.OutOrStdout(), list)
			return nil
		},
	}
	cmd.Flags().BoolVar(&refuse, "refuse", false, "refuse the request of this ID, or the only one that waits")
	jsonFlag(cmd, o)
	return cmd
}

func printRequests(w io.Writer, list core.RequestList) {
	if len(list.Requests) == 0 {
		fmt.Fprintln(w, "No request waits.")
	}
	for _, r := range list.Requests {
		fmt.Fprintf(w, "%s  %s  %s reset %s %s", r.ID, r.Begun.Format(time.RFC3339), r.Plan.Mode, r.Plan.Scope, r.Plan.Administrator)
		switch r.State {
		case access.RequestWaiting:
			fmt.Fprintf(w, ": waits %s more\n", (time.Duration(r.LeftSeconds) * time.Second).Round(time.Minute))
		case access.RequestRipe:
			fmt.Fprintln(w, ": its wait is over; its claimant can carry it out")
		default:
			fmt.Fprintf(w, ": %s\n", r.State)
		}
	}
}
