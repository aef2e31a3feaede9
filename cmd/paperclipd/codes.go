//go:build linux

package main

import (
	"github.com/spf13/cobra"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
)

func newCodes() *cobra.Command {
	return &cobra.Command{
		Use: "codes USER", Short: "Make recovery codes for an account (not yet)", Args: cobra.ArbitraryArgs,
		RunE: func(*cobra.Command, []string) error { return catalog.New("not_yet", "paperclipd codes") },
	}
}
