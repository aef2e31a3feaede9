//go:build linux

package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
)

func newReceipts(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "receipts", Short: "List the signed receipts of this device's resets", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m := newMachine(o, cmd.ErrOrStderr())
			if err := m.asRoot("paperclipd receipts"); err != nil {
				return err
			}
			var list core.ReceiptList
			if err := m.read(cmd.Context(), corewire.ReadReceipts, &list); err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), list)
			}
			printReceipts(cmd.OutOrStdout(), list)
			return nil
		},
	}
	jsonFlag(cmd, o)
	return cmd
}

func printReceipts(w io.Writer, list core.ReceiptList) {
	if len(list.Receipts) == 0 {
		fmt.Fprintln(w, "There is no receipt: this device was never reset.")
	}
	for _, r := range list.Receipts {
		valid := "valid"
		if !r.Valid {
			valid = "NOT VALID"
		}
		s := r.Statement
		fmt.Fprintf(w, "%s  %s  %s reset %s %s: %s\n", s.AcceptedAt.Format(time.RFC3339), valid, s.Mode, s.Scope, s.Administrator, s.Result)
	}
	if len(list.Receipts) > 0 {
		fmt.Fprintf(w, "The files are in %s/receipts.\n", stateDir)
	}
}
