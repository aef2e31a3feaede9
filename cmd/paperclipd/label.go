//go:build linux

package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
)

func newLabel(o *options) *cobra.Command {
	var fresh, remove, given bool
	cmd := &cobra.Command{
		Use: "label [--new | --given | --remove]", Short: "The code on the NAS's label: tell whether there is one, or make one", Args: noArguments,
		Long: `In a claim, the code on the label of the NAS serves in place of the code that it
beeps: for whoever cannot hear it. A press of the button is still needed.

--new makes one and prints it, once; write it on the NAS. --given takes the
maker's, of the same form, as one line on standard input. Either ends the one of
before; --remove ends it and has none. A reset changes nothing about it.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := corewire.LabelRequest{Do: corewire.LabelRead}
			n := 0
			for do, asked := range map[corewire.LabelAction]bool{corewire.LabelNew: fresh, corewire.LabelGiven: given, corewire.LabelRemove: remove} {
				if asked {
					q.Do = do
					n++
				}
			}
			if n > 1 {
				return catalog.New("usage", "label takes one of --new, --given and --remove.")
			}
			if fresh && o.json {
				return catalog.New("usage", "--new prints a code for one pair of eyes: it takes no --json.")
			}
			m := newMachine(o, cmd.ErrOrStderr())
			if err := m.asRoot("paperclipd label"); err != nil {
				return err
			}
			if given {
				var err error
				if q.Code, err = oneLine(cmd.InOrStdin(), "Give the maker's code as one line on standard input."); err != nil {
					return err
				}
			}
			return m.label(cmd, o, q)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&fresh, "new", false, "make a code and print it, once")
	f.BoolVar(&given, "given", false, "take the maker's code from standard input")
	f.BoolVar(&remove, "remove", false, "have none")
	jsonFlag(cmd, o)
	return cmd
}

func (m *machine) label(cmd *cobra.Command, o *options, q corewire.LabelRequest) error {
	client, err := m.dial(cmd.Context())
	if err != nil {
		return err
	}
	defer client.Close()
	r, err := client.Label(cmd.Context(), q)
	if err != nil {
		return err
	}
	if r.Code != "" {
		printLabel(cmd.OutOrStdout(), access.NewSecret(r.Code))
		return nil
	}
	if o.json {
		return printJSON(cmd.OutOrStdout(), r)
	}
	switch {
	case !r.There:
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "There is no code on the label. --new makes one.")
	case r.Given:
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "The maker's code is on the label, taken over %s.\n", r.At.Format(time.RFC3339))
	default:
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "A code for the label was made %s.\n", r.At.Format(time.RFC3339))
	}
	return err
}

func printLabel(w io.Writer, code access.Secret) {
	fmt.Fprintf(w, "%s\n\nWrite it on the NAS, where only who stands before it reads it. It is not shown again;\nthe one of before is worth nothing now.\n", code.Reveal())
}
