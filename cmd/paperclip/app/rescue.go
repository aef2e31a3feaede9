package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/owner/discover"
	"github.com/paperclip-nas/paperclip/internal/owner/guided"
	"github.com/paperclip-nas/paperclip/internal/owner/keys"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
)

type rescueOptions struct {
	lab            labFlags
	json, yes      bool
	resume         string
	mode, scope    string
	wizard         wizardFlags
	administrator  string
	secondFactor   bool
	acceptKey      string
	way            string
	plain          bool
	passwordFile   string
	recoveryFile   string
	passwordOut    string
	codeFile       string
	recoveryKeyOut string
	wait           time.Duration
}

// rescue gets somebody back in.
func (a *app) rescue() *cobra.Command {
	var o rescueOptions
	c := &cobra.Command{
		Use:   "rescue [TARGET]",
		Short: "Get back into a NAS that you are locked out of",
		Long: `Rescue guides you from locked out to signed in: find the NAS, hold its reset
button, type the code that it beeps, see what will change, accept it, set a new
password, and see that it works. It can be interrupted and resumed at any time;
what the NAS has accepted it finishes by itself.

TARGET is a name, an address, a MAC or a serial number; without one it looks for
every NAS and asks which. With --yes nothing is asked: give --password-file or
--password-out, and --code-file.`,
		Example: `  paperclip rescue
  paperclip rescue 192.168.1.20
  paperclip rescue --resume xk4m2p7q`,
		Args: arguments(0, 1),
		RunE: run(func(ctx context.Context, args []string) error { return a.runRescue(ctx, o, args) }),
	}
	f := c.Flags()
	f.BoolVar(&o.json, "json", false, "print one JSON document at the end")
	f.BoolVar(&o.yes, "yes", false, "accept the plan, and ask nothing")
	f.StringVar(&o.resume, "resume", "", "go on with an interrupted rescue: its `ID`")
	f.StringVar(&o.mode, "mode", string(reset.Soft), "the `MODE`: soft, or hard (everything but the files)")
	f.StringVar(&o.scope, "scope", "", "what a soft reset sets back, the `SCOPE`: credentials, network or all")
	o.wizard.add(f)
	f.StringVar(&o.administrator, "administrator", "", "the `NAME` of the administrator whose password is set anew")
	f.BoolVar(&o.secondFactor, "second-factor", false, "take that administrator's second factor away too; needs a recovery code, or a wait")
	f.StringVar(&o.acceptKey, "accept-key", "", "take a NAS's new key in place of the remembered one: the `KEYID` that its console shows")
	f.StringVar(&o.recoveryFile, "recovery-code-file", "", "take the recovery code from a `FILE`, where the NAS asks for one")
	f.StringVar(&o.way, "way", "", "for a Synology or QNAP: the `WAY` to take, such as other_administrator or reset_1")
	f.BoolVar(&o.plain, "plain-http", false, "for a Synology or QNAP without encryption: agree that what is typed can be read on the network")
	f.StringVar(&o.passwordFile, "password-file", "", "take the new password from a `FILE`")
	f.StringVar(&o.passwordOut, "password-out", "", "generate the new password and write it to a `FILE`")
	f.StringVar(&o.codeFile, "code-file", "", "wait for a `FILE` with the code that the NAS beeps, or the one on its label")
	f.StringVar(&o.recoveryKeyOut, "recovery-key-out", "", "write the recovery key that the NAS is given afterwards to a `FILE`, and do not show it")
	f.DurationVar(&o.wait, "wait", discover.DefaultWait, "how much `TIME` to look for the NAS")
	o.lab.add(c.Flags())
	return c
}

func (a *app) runRescue(ctx context.Context, o rescueOptions, args []string) error {
	req, err := a.checkRescue(o, args)
	if err != nil {
		return err
	}
	speed := 0 // the robot's
	if _, tty := a.tty(); tty && !o.yes {
		speed = 1 // a person's
	}
	l, err := a.open(ctx, o.lab, speed)
	if err != nil {
		return err
	}
	defer l.close()
	person := a.person(l, o)
	cfg := rescue.Config{
		Person: person, Elsewhere: a.elsewhere(l, o, person), Finder: finder{lan: l, wait: o.wait}, Keys: l.keys,
		Meet: func(ctx context.Context, at []netip.AddrPort, pin keys.Pin) (rescue.Device, error) {
			d, err := l.meet(ctx, at, pin)
			if err != nil {
				return nil, err
			}
			return d, nil
		},
		FS: a.fsys, Dir: a.rescues(l), Clock: a.clock, Rand: rand.Reader, Label: hostLabel(),
	}
	if l.rack != nil {
		cfg.Witness, cfg.Poll, cfg.Again = witness{l.rack}, 100*time.Millisecond, o.lab.command()+" --resume"
	}
	var res rescue.Result
	switch {
	case o.resume != "" && guided.Kept(a.fsys, cfg.Dir, o.resume):
		res, err = a.resumeElsewhere(ctx, l, o, person)
	case o.resume != "":
		res, err = rescue.Resume(ctx, cfg, o.resume, req)
	default:
		res, err = rescue.Start(ctx, cfg, req)
	}
	told := a.report(o, res, err)
	if exit := catalog.ExitOf(err); res.SignedIn && (exit == catalog.Done || exit == catalog.InPart) {
		switch err := a.offerRecoveryKey(ctx, l, o, res.Device); {
		case err == nil:
		case o.recoveryKeyOut == "": // nobody asked for one: the rescue is done all the same
			fmt.Fprintf(a.env.Stderr, "A recovery key could not be made now: %s `paperclip snapshot` makes one later.\n", catalog.AsProblem(err).Text)
		case told == nil:
			return a.told(err) // the document is printed already
		}
	}
	return told
}

// report prints the result. A rescue that ended before its cause was known has
// none: its problem is the document, with the id to resume by in what to do.
func (a *app) report(o rescueOptions, res rescue.Result, err error) error {
	exit := catalog.ExitOf(err)
	found := res.Guided && res.Problem != nil && res.Cause != "" && o.json
	if exit != catalog.Done && exit != catalog.InPart && !found {
		return err
	}
	if !o.json {
		a.summarise(o, res, err)
	} else if perr := a.print(res); perr != nil {
		return perr
	}
	if err != nil {
		return a.told(err)
	}
	return nil
}

func (a *app) summarise(o rescueOptions, res rescue.Result, err error) {
	say := func(format string, args ...any) { fmt.Fprintf(a.env.Stdout, format+"\n", args...) }
	say("")
	if err == nil {
		say("You are back in: %s on %s, at %s.", res.Administrator, res.Device, res.AddressAfter)
		if !o.yes && res.NewPassword() {
			say("Sign in as %s with the new password, wherever you did so before.", res.Administrator)
		}
	}
	if d := res.Data; d != nil {
		say("Compared %d files (%s) with before: %d changed.", d.Files, size(d.Bytes), d.Changed)
	}
	if len(res.Restored) > 0 {
		say("Put back: %s.", strings.Join(res.Restored, ", "))
	}
	if o.passwordOut != "" {
		say("The new password is in %s.", o.passwordOut)
	}
	if res.Receipt != "" {
		say("What was changed stands in a receipt that the NAS has signed; to read it:\n  paperclip receipt verify %s", quoted(res.Receipt))
	}
	for _, n := range res.NotDone {
		say("Not done: %s.", n)
	}
}

// size is a number of bytes for people.
func size(bytes int64) string {
	switch {
	case bytes >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(bytes)/1e9)
	case bytes >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
	}
	return fmt.Sprintf("%d bytes", bytes)
}

// quoted is a path as a shell takes it.
func quoted(path string) string {
	if strings.ContainsAny(path, " '\"$&()") {
		return `"` + path + `"`
	}
	return path
}

// checkRescue judges the flags before anything is looked for.
func (a *app) checkRescue(o rescueOptions, args []string) (rescue.Request, error) {
	req := rescue.Request{Mode: reset.Mode(o.mode), Scope: reset.Scope(o.scope), Administrator: o.administrator, SecondFactor: o.secondFactor, AcceptKey: o.acceptKey}
	if len(args) > 0 {
		req.Target = args[0]
	}
	if _, err := reset.ParseScope(o.scope); err != nil {
		return req, catalog.New("usage", "The "+err.Error()+".")
	}
	if _, err := reset.ParseMode(o.mode); err != nil {
		return req, catalog.New("usage", "The "+err.Error()+".")
	}
	if err := o.wizard.check(req.Mode); err != nil {
		return req, err
	}
	_, tty := a.tty()
	given := o.passwordFile != "" || o.passwordOut != ""
	switch {
	case o.resume != "" && len(args) > 0:
		return req, catalog.New("usage", "--resume knows its NAS; give no TARGET.")
	case o.passwordFile != "" && o.passwordOut != "":
		return req, catalog.New("usage", "Give --password-file or --password-out, not both.")
	case o.administrator != "" && o.wizard.newAdministrator != "":
		return req, catalog.New("usage", "Give --administrator or --new-administrator, not both.")
	case req.Mode == reset.Hard && req.Scope != "":
		return req, catalog.New("usage", "A hard reset has no --scope.")
	case o.wait <= 0 || o.wait > time.Hour:
		return req, catalog.New("usage", "--wait is from a moment to an hour, as in 12s.")
	case !tty && !o.yes:
		return req, catalog.New("no_terminal", "Run it in a terminal; or give --yes, with --password-file or --password-out, and --code-file.")
	case o.yes && !o.lab.on && !given && reset.SetsPassword(req.Mode, req.Scope):
		return req, catalog.New("no_terminal", "With --yes give --password-file FILE or --password-out FILE.")
	case o.yes && !o.lab.on && o.codeFile == "" && !tty:
		return req, catalog.New("no_terminal", "With --yes give --code-file FILE: the code that the NAS beeps is to be written there.")
	}
	return req, checkFiles(o)
}
