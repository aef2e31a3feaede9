//go:build linux

package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

func newOwners(o *options) *cobra.Command {
	var remove string
	cmd := &cobra.Command{
		Use:   "owners [--remove ID]",
		Short: "List the computers whose owner keys this device knows, or forget one",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m := newMachine(o, cmd.ErrOrStderr())
			if err := m.asRoot("paperclipd owners"); err != nil {
				return err
			}
			client, err := m.dial(cmd.Context())
			if err != nil {
				return err
			}
			defer client.Close()
			if remove != "" {
				if err := client.ForgetOwner(cmd.Context(), corewire.ForgetOwnerRequest{ID: remove}); err != nil {
					return err
				}
			}
			var list core.OwnerList
			if err := client.Read(cmd.Context(), corewire.ReadOwners, &list); err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), list)
			}
			printOwners(cmd.OutOrStdout(), list)
			return nil
		},
	}
	cmd.Flags().StringVar(&remove, "remove", "", "forget the key with this `ID`")
	jsonFlag(cmd, o)
	return cmd
}

func printOwners(w io.Writer, list core.OwnerList) {
	if len(list.Owners) == 0 {
		fmt.Fprintln(w, "No owner key is enrolled. A claim with `paperclip rescue` enrols one.")
	}
	for _, one := range list.Owners {
		what := one.Account
		if what == "" {
			what = "one receipt alone"
		}
		fmt.Fprintf(w, "%s  %s  for %s  %s\n", one.ID, one.EnrolledAt.Format(time.RFC3339), what, printable.Clean(one.Label))
	}
}
