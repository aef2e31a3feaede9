package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/identity"
	"github.com/paperclip-nas/paperclip/internal/protocol/snapshot"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

type restoreOptions struct {
	lab             labFlags
	owner           ownerFlags
	json, yes       bool
	bundle          bool
	dryRun, drill   bool
	confirm, undo   bool
	giveUp          bool
	only            []string
	recoveryKeyFile string
}

// restore puts a snapshot's settings back, on trial.
func (a *app) restore() *cobra.Command {
	var o restoreOptions
	c := &cobra.Command{
		Use:   "restore TARGET [FILE]",
		Short: "Put a snapshot's settings back, on trial",
		Long: `Restore opens a snapshot here, with your recovery key, and has the NAS put those
settings back: all of them, or with --only some parts. Files, administrators'
passwords, used codes and counters stay as they are.

What is put back is on trial: unless you confirm it with
"paperclip restore TARGET --confirm" within five minutes, or if the NAS restarts
before, everything goes back to how it was.

On a Synology or QNAP there is no trial. What its API does is put back at once,
for the rest the page is opened and you are told what to press; what is left is
said at the end.

--dry-run shows what differs and what would be changed. --drill tries whether
the snapshot opens and every part of it would apply. Neither changes anything.
With --bundle the NAS puts back what it kept of itself before its last hard
reset, and no FILE is needed.`,
		Args: arguments(1, 2),
		RunE: run(func(ctx context.Context, args []string) error { return a.runRestore(ctx, o, args) }),
	}
	o.owner.add(c.Flags())
	f := c.Flags()
	f.BoolVar(&o.json, "json", false, "print one JSON document")
	f.BoolVar(&o.yes, "yes", false, "accept the plan, and ask nothing")
	f.BoolVar(&o.bundle, "bundle", false, "put back what the NAS kept of itself before its last hard reset")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would be changed, and change nothing")
	f.BoolVar(&o.drill, "drill", false, "try whether it opens and would apply, and change nothing")
	f.BoolVar(&o.confirm, "confirm", false, "say that the NAS works as restored: it stays so")
	f.BoolVar(&o.undo, "undo", false, "take back at once what is on trial")
	f.BoolVar(&o.giveUp, "give-up", false, "after a hard reset: nothing is to be put back, the NAS is set up as new")
	f.StringSliceVar(&o.only, "only", nil, "put back these `PARTS` alone, as network,firewall")
	f.StringVar(&o.recoveryKeyFile, "recovery-key-file", "", "take the recovery key from a `FILE`")
	o.lab.add(c.Flags())
	return c
}

// restored is what `restore --json` prints.
type restored struct {
	Device         string             `json:"device"`
	State          string             `json:"state"` // planned, trial, committed, undone, given_up
	Transaction    string             `json:"transaction,omitempty"`
	MadeAt         *time.Time         `json:"made_at,omitempty"`
	Differences    []reset.Difference `json:"differences,omitempty"`
	Plan           *reset.Plan        `json:"plan,omitempty"`
	NotRestorable  []string           `json:"not_restorable"`
	ConfirmSeconds int                `json:"confirm_seconds,omitempty"`
	Receipt        string             `json:"receipt,omitempty"` // where it is kept

	Problem *catalog.Problem `json:"problem,omitempty"`
}

// check judges the flags before anything is looked for.
func (o restoreOptions) check(args []string) error {
	ends := o.confirm || o.undo || o.giveUp
	switch {
	case o.giveUp && (o.confirm || o.undo):
		return catalog.New("usage", "--give-up is about what was to follow a hard reset: give the NAS alone.")
	case o.confirm && o.undo, o.dryRun && o.drill:
		return catalog.New("usage", "Give one of --confirm and --undo, or of --dry-run and --drill.")
	case ends && (len(args) > 1 || o.bundle || o.dryRun || o.drill || len(o.only) > 0):
		return catalog.New("usage", "--confirm and --undo are about what is on trial, --give-up about what was to follow a hard reset: give the NAS alone.")
	case !ends && o.bundle == (len(args) > 1):
		return catalog.New("usage", "Give the FILE of a snapshot, or --bundle.")
	}
	if _, err := reset.EffectsOf(o.only); err != nil {
		return catalog.New("usage", "For --only "+err.Error()+".")
	}
	return o.owner.check()
}

func (a *app) runRestore(ctx context.Context, o restoreOptions, args []string) error {
	if err := o.check(args); err != nil {
		return err
	}
	if _, tty := a.tty(); !tty && !o.yes && !o.dryRun && !o.drill && !o.confirm && !o.undo && !o.giveUp {
		return catalog.New("no_terminal", "Give --yes to accept the plan, or --dry-run to see it.")
	}
	if rec, vendor, err := vendorFile(args); vendor || err != nil {
		if err != nil {
			return err
		}
		return a.restoreVendor(ctx, o, args[0], rec)
	}
	var header snapshot.Header
	var content []byte
	if len(args) > 1 {
		var err error
		if header, content, err = a.openSnapshot(ctx, o, args[1]); err != nil {
			return err
		}
	}
	l, err := a.open(ctx, o.lab, 0)
	if err != nil {
		return err
	}
	defer l.close()
	who, err := a.asOwner(ctx, l, args[0], o.owner, o.json)
	if other, ok := errors.AsType[foreign](err); ok {
		return catalog.New("usage", "A "+other.nas.Vendor+" takes only a file that `paperclip snapshot` made of it; there is no trial to confirm or undo there.")
	}
	if err != nil {
		return err
	}
	if o.giveUp {
		return a.giveUp(ctx, o, who)
	}
	if o.confirm || o.undo {
		return a.endTrial(ctx, o, l, who)
	}
	if content != nil && header.KeyID != identity.KeyID(who.device.PublicKey()) {
		return catalog.New("snapshot_of_another", printable.Clean(header.Name))
	}
	return a.putBack(ctx, o, l, who, content)
}

// giveUp says that nothing is to be put back after the last hard reset.
func (a *app) giveUp(ctx context.Context, o restoreOptions, who owned) error {
	if err := who.Call(ctx, deviceapi.OwnerRestoreGiveUp, deviceapi.Empty{}, &deviceapi.Empty{}); err != nil {
		return err
	}
	fmt.Fprintf(a.people(o.json), "%s is set up as new. What it kept of before stays: paperclip restore %s --bundle\n", who.name(), who.name())
	return a.printIf(o.json, restored{Device: who.name(), State: "given_up", NotRestorable: []string{}})
}

// openSnapshot opens a snapshot here: the recovery key never leaves this
// computer.
func (a *app) openSnapshot(ctx context.Context, o restoreOptions, name string) (snapshot.Header, []byte, error) {
	file, err := readBounded(name, snapshot.MaxFile)
	if err != nil {
		return snapshot.Header{}, nil, catalog.New("file_unusable", reason(err)).Because(err)
	}
	if _, err := snapshot.Check(file); err != nil { // before a key is asked for
		return snapshot.Header{}, nil, unusableSnapshot(err)
	}
	key, err := a.recoveryKey(ctx, o.recoveryKeyFile, o.json)
	if err != nil {
		return snapshot.Header{}, nil, err
	}
	h, content, err := snapshot.Open(file, key)
	if err != nil {
		return h, nil, unusableSnapshot(err)
	}
	return h, content, nil
}

// putBack plans, shows, accepts and follows, until it is on trial.
func (a *app) putBack(ctx context.Context, o restoreOptions, l *lan, who owned, content []byte) error {
	if content != nil {
		if err := who.Put(ctx, content); err != nil {
			return err
		}
	}
	var p deviceapi.RestorePlanReply
	if err := patiently(ctx, who, deviceapi.OwnerRestorePlan, deviceapi.RestorePlanCall{Bundle: o.bundle, Only: o.only}, &p); err != nil {
		return err
	}
	if p.Plan.Hash() != p.Hash {
		return catalog.New("bad_message", "the plan is not the one that its hash names")
	}
	out := restored{
		Device: who.name(), State: "planned", MadeAt: &p.MadeAt, Differences: p.Differences, Plan: &p.Plan,
		NotRestorable: append([]string{}, p.NotRestorable...), ConfirmSeconds: p.ConfirmSeconds,
	}
	showRestore(a.people(o.json), p, o.drill)
	if o.dryRun || o.drill {
		return a.printIf(o.json, out)
	}
	if err := a.accepts(ctx, o, p.Plan); err != nil {
		return err
	}
	var accepted deviceapi.CommitReply
	if err := patiently(ctx, who, deviceapi.OwnerRestore, deviceapi.RestoreCall{Bundle: o.bundle, Only: o.only, Hash: p.Hash}, &accepted); err != nil {
		return err
	}
	out.Transaction = accepted.Transaction
	progress, err := a.followTrial(ctx, l, who, accepted.Transaction)
	if err != nil {
		return err
	}
	out.State, out.ConfirmSeconds, out.Problem = progress.State, progress.ConfirmSeconds, progress.Problem
	if progress.Problem == nil {
		fmt.Fprintf(a.people(o.json), "It is in force. Look whether the NAS works as it should, and within %d seconds: %s\nElse everything goes back to how it was.\n",
			progress.ConfirmSeconds, restoreCommand(o.lab)+" "+who.name()+" --confirm")
	}
	if err := a.printIf(o.json, out); err != nil || progress.Problem == nil {
		return err
	}
	return a.told(*progress.Problem)
}

// patientTries is how often a call is made that a slow NAS does not answer in time: over two minutes.
const patientTries = 4

// patiently makes a call until the NAS answers. It does it once: what was done by then it only says again.
func patiently(ctx context.Context, who owned, method deviceapi.OwnerMethod, body, out any) error {
	for n := 1; ; n++ {
		err := who.Call(ctx, method, body, out)
		if err == nil || n == patientTries || ctx.Err() != nil || !errors.Is(err, catalog.New("unreachable")) {
			return err
		}
	}
}

// restoreCommand is how a restore is confirmed with these flags.
func restoreCommand(f labFlags) string {
	return strings.Replace(strings.Replace(f.command(), "rescue", "restore", 1), "  ", " ", 1)
}

func (a *app) printIf(json bool, v any) error {
	if !json {
		return nil
	}
	return a.print(v)
}

// accepts asks the person whether the plan is to be carried out.
func (a *app) accepts(ctx context.Context, o restoreOptions, p reset.Plan) error {
	if o.yes {
		return nil
	}
	person, err := a.atTerminal(o.json, "Give --yes to accept the plan.")
	if err != nil {
		return err
	}
	answer, err := person.Choose(ctx, rescue.Question{ID: rescue.AskAccept, Text: "Shall the NAS do this?", Lines: rescue.PlanLines(p)})
	if err == nil && !answer.Yes {
		err = catalog.New("declined")
	}
	return err
}

// showRestore tells people what differs.
func showRestore(w io.Writer, p deviceapi.RestorePlanReply, drill bool) {
	say := func(format string, args ...any) {
		fmt.Fprintln(w, printable.Clean(fmt.Sprintf(format, args...)))
	}
	say("Settings of %s, saved %s.", p.Plan.Device, p.MadeAt.Format(time.RFC3339))
	for _, d := range p.Differences {
		if d.Differs {
			say("%s: then %s; now %s; after a reset %s.", d.Setting, d.Then, d.Now, d.Default)
		}
	}
	if len(p.Plan.Changes) == 0 {
		say("Nothing would change: everything is as it was saved.")
	}
	for _, n := range p.NotRestorable {
		say("Not put back: %s.", n)
	}
	if drill {
		say("It opens, and every part of it that is on this NAS would apply: %d changes. Nothing was changed.", len(p.Plan.Changes))
	}
}

const (
	trialPatience  = 3 * time.Minute  // for what is put back to be on trial: that lasts five
	answerTime     = 10 * time.Second // for one answer: a connection to an address that is gone hangs
	lookAgainAfter = 3 * time.Second  // without an answer
	lookAgainTime  = 5 * time.Second
)

// followTrial waits until what was put back is on trial, or at its end. The
// NAS may come back at another address, and its core may start again meanwhile:
// it does after a restore has opened an encrypted volume.
func (a *app) followTrial(ctx context.Context, l *lan, who owned, transaction string) (deviceapi.ProgressReply, error) {
	begun := a.clock.Monotonic()
	answered := begun
	for {
		var p deviceapi.ProgressReply
		err := a.askProgress(ctx, who, transaction, &p)
		switch {
		case err == nil && (p.Done || p.State == "trial"):
			return p, nil
		case err == nil:
			answered = a.clock.Monotonic()
		case ctx.Err() != nil || !passing(err):
			return p, err
		case a.clock.Monotonic()-answered > lookAgainAfter:
			a.lookAgain(ctx, l, who)
		}
		if a.clock.Monotonic()-begun > trialPatience {
			return p, catalog.New("restore_unseen").Because(err)
		}
		select {
		case <-ctx.Done():
			return p, ctx.Err()
		case <-a.clock.After(followPause):
		}
	}
}

// askProgress asks once how far the transaction is, in a new conversation where
// the NAS knows nothing of this one any more.
func (a *app) askProgress(ctx context.Context, who owned, transaction string, p *deviceapi.ProgressReply) error {
	ctx, stop := context.WithTimeout(ctx, answerTime)
	defer stop()
	ask := func() error {
		return who.Call(ctx, deviceapi.OwnerProgress, deviceapi.ProgressCall{Transaction: transaction}, p)
	}
	err := ask()
	if errors.Is(err, catalog.New("no_such_session")) {
		if err = who.Again(ctx); err == nil {
			err = ask()
		}
	}
	return err
}

// passing reports whether a NAS that is being changed may answer the same question yet.
func passing(err error) bool {
	for _, id := range []catalog.ID{"unreachable", "core_unreachable", "no_such_session", "too_fast"} {
		if errors.Is(err, catalog.New(id)) {
			return true
		}
	}
	return errors.Is(err, context.DeadlineExceeded)
}

// lookAgain looks where the NAS is now, by its key: its name may have been put back as well.
func (a *app) lookAgain(ctx context.Context, l *lan, who owned) {
	found, err := finder{lan: l, wait: lookAgainTime}.Find(ctx, "")
	if i := slices.IndexFunc(found, func(n rescue.NAS) bool { return n.KeyID == who.nas.KeyID }); err == nil && i >= 0 {
		who.device.Move(found[i].At)
	}
}

// endTrial confirms what is on trial, or takes it back, and keeps the receipt.
func (a *app) endTrial(ctx context.Context, o restoreOptions, l *lan, who owned) error {
	var r deviceapi.RestoreConfirmReply
	if err := who.Call(ctx, deviceapi.OwnerRestoreConfirm, deviceapi.RestoreConfirmCall{Undo: o.undo}, &r); err != nil {
		return err
	}
	p, err := a.followTrial(ctx, l, who, r.Transaction)
	if err == nil && p.State == "trial" { // the word was taken: it leads on at once
		p, err = a.follow(ctx, who, r.Transaction)
	}
	switch undone := p.State == "undone"; {
	case p.Problem != nil && (undone != o.undo || p.Problem.ID != "restore_undone"): // its time was over first, or not all is as before
		return *p.Problem
	case err != nil && !undone:
		return err
	}
	out := restored{Device: who.name(), State: p.State, Transaction: r.Transaction, NotRestorable: []string{}}
	if out.Receipt, err = a.keepReceipt(l, r.Transaction, p.Receipt); err != nil {
		return err
	}
	if o.undo {
		fmt.Fprintf(a.people(o.json), "What was put back on %s was taken back.\n", who.name())
		if p.Problem != nil {
			fmt.Fprintln(a.people(o.json), printable.Clean(p.Problem.Meaning))
		}
	} else {
		fmt.Fprintf(a.people(o.json), "It stays: the settings of %s are as restored.\n", who.name())
	}
	fmt.Fprintf(a.people(o.json), "The receipt is in %s.\n", out.Receipt)
	return a.printIf(o.json, out)
}
