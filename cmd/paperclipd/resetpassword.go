//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/x/hiddenline"
)

func newResetPassword(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reset-password USER",
		Short: "Set an administrator's password, as root on this device",
		Long: `Sets a new password for one administrator of this device, in every place that
has it (system and Samba), all or nothing, and ends that administrator's
sessions. Nothing else changes. It is the same transaction as after a claim.

At a terminal it asks for the password twice. Otherwise it reads one line from
standard input, so that no password stands in a command line.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return catalog.New("usage", "reset-password takes one account name.")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			m := newMachine(o, cmd.ErrOrStderr())
			if err := m.asRoot("paperclipd reset-password"); err != nil {
				return err
			}
			password, err := askPassword(cmd.Context(), cmd.InOrStdin(), cmd.ErrOrStderr(), args[0])
			if err != nil {
				return err
			}
			client, err := m.dial(cmd.Context())
			if err != nil {
				return err
			}
			defer client.Close()
			end, err := client.Reset(cmd.Context(), corewire.ResetRequest{Scope: reset.Credentials, Administrator: args[0], Password: password})
			if err != nil {
				return err
			}
			return printReset(cmd.OutOrStdout(), o, args[0], end)
		},
	}
	jsonFlag(cmd, o)
	return cmd
}

// resetReport is what `reset-password --json` prints.
type resetReport struct {
	Administrator string                `json:"administrator"`
	State         string                `json:"state"`
	Steps         []deviceapi.StepState `json:"steps"`
}

func printReset(w io.Writer, o *options, user string, end deviceapi.ProgressReply) error {
	if end.Problem != nil {
		return *end.Problem
	}
	if o.json {
		return printJSON(w, resetReport{user, end.State, end.Steps})
	}
	_, err := fmt.Fprintf(w, "%s has a new password; the sessions of before are ended. The receipt is in `paperclipd receipts`.\n", user)
	return err
}

// askPassword asks twice at a terminal, and reads one line elsewhere.
func askPassword(ctx context.Context, in io.Reader, out io.Writer, user string) (access.Secret, error) {
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return askTwice(ctx, f, out, user)
	}
	return oneLine(in, "Give the new password as one line on standard input.")
}

// oneLine reads a secret from something that is no terminal; missing says what
// to give where there is nothing.
func oneLine(in io.Reader, missing string) (access.Secret, error) {
	line, err := bufio.NewReader(io.LimitReader(in, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return access.Secret{}, err
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return access.Secret{}, catalog.New("no_terminal", missing)
	}
	return access.NewSecret(line), nil
}

func askTwice(ctx context.Context, f *os.File, out io.Writer, user string) (access.Secret, error) {
	var typed [2]string
	for i, text := range []string{"New password of " + user + ": ", "The same again: "} {
		fmt.Fprint(out, text)
		var err error
		typed[i], err = hiddenline.Read(ctx, f)
		fmt.Fprintln(out)
		if err != nil {
			return access.Secret{}, catalog.Interrupted(true).Because(err)
		}
	}
	if typed[0] != typed[1] {
		return access.Secret{}, catalog.New("usage", "The two passwords differ. Nothing was changed.")
	}
	return access.NewSecret(typed[0]), nil
}

// await reads what a person types, until they interrupt it: a read at a terminal
// does not end by itself.
func await[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type reading struct {
		text T
		err  error
	}
	got := make(chan reading, 1)
	go func() {
		text, err := read()
		got <- reading{text, err}
	}()
	select {
	case r := <-got:
		return r.text, r.err
	case <-ctx.Done():
		var none T
		return none, catalog.Interrupted(true).Because(ctx.Err())
	}
}
