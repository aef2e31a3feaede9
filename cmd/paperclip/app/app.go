// Package app is the command line of paperclip: flags in, exit status out, one
// command a file. It wires the owner's packages and the lab together, and
// decides nothing that they decide.
//
// What a program reads goes to stdout: with --json exactly one document, also
// when the command fails. What people read goes to stderr then, and to stdout
// without --json. Nothing prompts unless stdin is a terminal.
package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/lab"
	"github.com/paperclip-nas/paperclip/internal/owner/terminal"
	"github.com/paperclip-nas/paperclip/internal/x/buildversion"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// Environment is what one run of the program is given.
type Environment struct {
	Args           []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string

	// Lab is what a test changes about the lab; Dir and Speed are the flags'.
	Lab lab.Options
}

// app is one run.
type app struct {
	env   Environment
	fsys  opfs.FS
	clock clock.Clock
	end   func() // ends the run as Ctrl-C does
}

// Main runs one command and returns the exit status (design.md, "The command
// line").
func Main(ctx context.Context, env Environment) int {
	ctx, end := context.WithCancel(ctx)
	defer end()
	a := &app{env: env, fsys: opfs.OS(nil), clock: clock.System(), end: end}
	root := a.root()
	root.SetArgs(env.Args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return int(catalog.Done)
	}
	return int(a.failed(err))
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "paperclip",
		Short: "Back into a NAS, with nothing lost",
		Long: `Paperclip gets you back into a NAS that you are locked out of. It changes
nothing without showing you beforehand what, and it never touches your files.

Locked out? Begin here. You can stop at any time, with Ctrl-C:

  paperclip find           which NAS are on your network, and changes nothing
  paperclip rescue         the way back in, step by step

To try it first, on a NAS that is only pretended, on this computer:

  paperclip rescue --lab

Exit status, for scripts: 0 done, 1 failed, 2 wrong use, 3 not found,
4 refused, 5 done in part or not verified.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          knownCommand,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.Version = buildversion.String()
	root.SetVersionTemplate("paperclip {{.Version}}\n")
	root.CompletionOptions.DisableDefaultCmd = true
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return wrongFlag(err) })
	group(root, "out", "When you are locked out:", a.find(), a.rescue(), a.model())
	group(root, "in", "While you can sign in, so that the next time is easy:", a.check(), a.snapshot(), a.restore(), a.account(), a.plan(), a.receipt())
	group(root, "later", "Not built yet:", a.later()...)
	return root
}

// group adds commands below a heading of root's help.
func group(root *cobra.Command, id, heading string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: id, Title: heading})
	for _, c := range commands {
		c.GroupID = id
		root.AddCommand(c)
	}
}

// knownCommand refuses what is no command, and says which one may be meant.
func knownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("%q is no command of paperclip.", args[0])
	if meant := root.SuggestionsFor(args[0]); len(meant) > 0 {
		text += " Did you mean " + strings.Join(meant, " or ") + "?"
	}
	return catalog.New("usage", text)
}

// arguments holds a command to at least least and at most most arguments.
func arguments(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return catalog.New("usage", "Something is missing: "+c.UseLine()+".")
		case len(args) > most:
			return catalog.New("usage", fmt.Sprintf("%q is too much: %s.", args[most], c.UseLine()))
		}
		return nil
	}
}

// wrongFlag says what a flag takes.
func wrongFlag(err error) error {
	bad, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return err
	}
	takes := map[string]string{"duration": "a time, such as 12s or 24h", "int": "a whole number", "bool": "true or false"}
	f := bad.GetFlag()
	what, ok := takes[f.Value.Type()]
	if !ok {
		return err
	}
	return catalog.New("usage", fmt.Sprintf("--%s takes %s; %q is none.", f.Name, what, bad.GetValue()))
}

// failed says what went wrong and returns the exit status. An error that is no
// problem of the catalogue comes from cobra: the command line was wrong.
func (a *app) failed(err error) catalog.Exit {
	if told, ok := errors.AsType[alreadyTold](err); ok {
		return told.exit
	}
	p, ok := errors.AsType[catalog.Problem](err)
	if !ok {
		p = catalog.New("usage", err.Error())
	}
	if slices.Contains(a.env.Args, "--json") {
		_ = a.print(struct {
			Problem catalog.Problem `json:"problem"`
		}{p})
	}
	a.explain(p)
	return p.Exit
}

// explain tells a person.
func (a *app) explain(p catalog.Problem) {
	fmt.Fprintln(a.env.Stderr, p.Text)
	for _, more := range []string{p.Meaning, p.WhatToDo} {
		if more != "" {
			fmt.Fprintln(a.env.Stderr, more)
		}
	}
}

// alreadyTold is an exit status whose reason is printed already.
type alreadyTold struct{ exit catalog.Exit }

func (alreadyTold) Error() string { return "" }

// told prints the problem for people, its document being on stdout already.
func (a *app) told(err error) error {
	p := catalog.AsProblem(err)
	a.explain(p)
	return alreadyTold{p.Exit}
}

// onlyLook are the commands that change nothing, however they end.
func onlyLook() []string { return []string{"find", "check", "plan", "model", "verify"} }

// run makes a command's function one whose every error is a problem.
func run(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		err := f(c.Context(), args)
		if _, told := errors.AsType[alreadyTold](err); err == nil || told {
			return err
		}
		if c.Context().Err() != nil && !errors.Is(err, catalog.New("interrupted")) {
			err = catalog.Interrupted(slices.Contains(onlyLook(), c.Name())).Because(err)
		}
		return catalog.AsProblem(err)
	}
}

// print writes the one document of --json.
func (a *app) print(v any) error {
	e := json.NewEncoder(a.env.Stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// people is where people read.
func (a *app) people(asJSON bool) io.Writer {
	if asJSON {
		return a.env.Stderr
	}
	return a.env.Stdout
}

// screen is where the person at tty reads, whatever is redirected.
func (a *app) screen(asJSON bool, tty *os.File) io.Writer {
	for _, w := range []io.Writer{a.people(asJSON), a.env.Stderr} {
		if f, ok := w.(*os.File); ok && terminal.Is(f) {
			return f
		}
	}
	return tty
}

// tty is the terminal that the program may ask at, if there is one.
func (a *app) tty() (*os.File, bool) {
	f, ok := a.env.Stdin.(*os.File)
	return f, ok && terminal.Is(f)
}
