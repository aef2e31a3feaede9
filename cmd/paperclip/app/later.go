package app

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
)

// later are the commands of design.md that are not built in this version. They
// say so and do nothing.
func (a *app) later() []*cobra.Command {
	var out []*cobra.Command
	for _, c := range []struct{ use, short, what string }{
		{"web", "Open the assistant in the browser", "the web assistant"},
		{"lab", "Run a rack of virtual NAS with the web assistant", "the lab as a server (--lab puts it behind every command that takes a TARGET)"},
	} {
		cmd := &cobra.Command{
			Use: c.use, Short: c.short,
			RunE: run(func(context.Context, []string) error { return catalog.New("not_yet", c.what) }),
		}
		cmd.FParseErrWhitelist.UnknownFlags = true
		out = append(out, cmd)
	}
	return out
}
