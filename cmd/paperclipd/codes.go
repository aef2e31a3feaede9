//go:build linux

package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
)

func newCodes(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "codes USER",
		Short: "Make ten recovery codes for an administrator and print them, once",
		Long: `Prints ten recovery codes for one administrator. They are shown this once: the
device keeps only what it needs to recognise them. Codes given out before are
worth nothing then. Keep them away from the NAS; each works once.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return catalog.New("usage", "codes takes one account name.")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			m := newMachine(o, cmd.ErrOrStderr())
			if err := m.asRoot("paperclipd codes"); err != nil {
				return err
			}
			client, err := m.dial(cmd.Context())
			if err != nil {
				return err
			}
			defer client.Close()
			given, err := client.GiveCodes(cmd.Context(), corewire.CodesRequest{Administrator: args[0]})
			if err != nil {
				return err
			}
			printCodes(cmd.OutOrStdout(), args[0], given.Codes)
			return nil
		},
	}
	return cmd
}

func printCodes(w io.Writer, user string, codes []string) {
	fmt.Fprintf(w, "Recovery codes of %s. Each works once; they are not shown again.\n\n", user)
	for i, c := range codes {
		fmt.Fprintf(w, "  %2d  %s\n", i+1, c)
	}
	fmt.Fprintln(w, "\nPrint them, and keep them away from the NAS.")
}
