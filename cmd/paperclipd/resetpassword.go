//go:build linux

package main

import (
	"github.com/spf13/cobra"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
)

func newResetPassword() *cobra.Command {
	return &cobra.Command{
		Use: "reset-password USER", Short: "Set an account's password from the console (not yet)", Args: cobra.ArbitraryArgs,
		RunE: func(*cobra.Command, []string) error { return catalog.New("not_yet", "paperclipd reset-password") },
	}
}
