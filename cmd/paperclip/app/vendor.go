package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/check"
	"github.com/paperclip-nas/paperclip/internal/lab"
	"github.com/paperclip-nas/paperclip/internal/owner/guided"
	"github.com/paperclip-nas/paperclip/internal/owner/kept"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

// visit is a session at a NAS of another maker, signed in once.
type visit struct {
	*guided.Session
	cfg     guided.Config
	name    string
	vendor  string
	account string
}

// visitVendor signs in to a NAS of another maker and reads what its API shows,
// which is noted on this computer for the next lock-out.
func (a *app) visitVendor(ctx context.Context, l *lan, n rescue.NAS, owner ownerFlags, yes, asJSON bool) (visit, error) {
	v := visit{name: printable.Clean(n.Name), vendor: n.Vendor}
	if !guided.Serves(n.Vendor) {
		return v, catalog.New("not_yet", "speaking to a NAS of "+n.Vendor+" as its owner")
	}
	found, err := watcher{l}.Find(ctx, label(n), labWait)
	if err != nil {
		return v, err
	}
	virtual, _ := l.labelled(n.MACs)
	var person rescue.Person = rescue.Unattended{Clock: a.clock}
	if p, err := a.atTerminal(asJSON, ""); err == nil && !yes {
		person = p
	}
	o := rescueOptions{yes: yes, wait: labWait}
	if v.cfg, err = a.guidance(l, o, person, "", virtual); err != nil {
		return v, err
	}
	var password access.Secret
	if v.account, password, err = a.vendorSignIn(ctx, virtual, owner, asJSON); err != nil {
		return v, err
	}
	if v.Session, err = guided.SignIn(ctx, v.cfg, found[0], v.account, password); err != nil {
		return v, err
	}
	return v, nil
}

// vendorSignIn is as whom, and with what. In the lab the household remembers.
func (a *app) vendorSignIn(ctx context.Context, virtual *lab.NAS, owner ownerFlags, asJSON bool) (string, access.Secret, error) {
	if owner.as == "" && virtual != nil {
		return virtual.Remembered()
	}
	if owner.as == "" {
		p := catalog.New("plan_needs_proof")
		p.WhatToDo = "Give --as NAME, an administrator of the NAS; the password is asked for, and sent once."
		return "", access.Secret{}, p
	}
	password, err := a.passwordOf(ctx, owner, asJSON)
	return owner.as, password, err
}

// checkVendor looks at a NAS of another maker by its own API, and notes how it is
// set up.
func (a *app) checkVendor(ctx context.Context, l *lan, n rescue.NAS, owner ownerFlags, asJSON bool) (check.Report, error) {
	v, err := a.visitVendor(ctx, l, n, owner, false, asJSON)
	if err != nil {
		return check.Report{}, err
	}
	defer v.End(ctx)
	if err := v.cfg.Known.Keep(v.Record(a.clock.Now())); err != nil {
		return check.Report{}, err
	}
	return check.JudgeVendor(v.name, check.VendorFacts{Vendor: v.vendor, Settings: v.Settings, KeepPassword: v.More.KeepPassword, MailReset: v.More.MailReset, Met: v.Known, As: v.account}), nil
}

// snapshotVendor writes down what the API of another maker's NAS shows. It is not
// sealed: no password and no key is in it.
func (a *app) snapshotVendor(ctx context.Context, l *lan, n rescue.NAS, o snapshotOptions) error {
	if o.kept > 0 || o.newKey || o.recoveryKeyOut != "" {
		return catalog.New("usage", "--kept and recovery keys are for a NAS with Paperclip.")
	}
	v, err := a.visitVendor(ctx, l, n, o.owner, false, o.json)
	if err != nil {
		return err
	}
	defer v.End(ctx)
	rec := v.Record(a.clock.Now())
	if err := v.cfg.Known.Keep(rec); err != nil {
		return err
	}
	file, err := kept.Marshal(rec)
	if err != nil {
		return err
	}
	if err := a.writeNew(o.out, file, o.force); err != nil {
		return err
	}
	if o.json {
		return a.print(taken{Device: v.name, File: o.out, MadeAt: rec.MadeAt, Bytes: len(file), NotHeld: rec.NotHeld})
	}
	say := func(format string, args ...any) {
		fmt.Fprintln(a.env.Stdout, printable.Clean(fmt.Sprintf(format, args...)))
	}
	say("How %s is set up, as of %s, is in %s (%s).", v.name, rec.MadeAt.UTC().Format(secondsUTC), o.out, size(int64(len(file))))
	say("It is not sealed: users' names and addresses are in it, and no password.")
	for _, not := range rec.NotHeld {
		say("Not in it: %s.", not)
	}
	say("The maker's own settings backup holds more. Open %s", v.Backup().URL)
	for _, press := range v.Backup().Press {
		say("  %s", press)
	}
	return nil
}

// putBackVendor is what `restore --json` prints of another maker's NAS.
type putBackVendor struct {
	Device        string              `json:"device"`
	State         string              `json:"state"` // planned, put_back
	MadeAt        time.Time           `json:"made_at"`
	Differences   []guided.Difference `json:"differences"`
	Restored      []string            `json:"restored"`
	NotDone       []string            `json:"not_done"`
	NotRestorable []string            `json:"not_restorable"`
	Problem       *catalog.Problem    `json:"problem,omitempty"`
}

// vendorFile reads FILE where it is what snapshotVendor wrote.
func vendorFile(args []string) (rec kept.Record, ok bool, err error) {
	if len(args) < 2 {
		return rec, false, nil
	}
	data, err := readBounded(args[1], 8<<20)
	if err != nil {
		return rec, false, nil //nolint:nilerr // whoever reads it next says so
	}
	return kept.Unmarshal(data)
}

// restoreVendor puts back, on another maker's NAS, what its snapshot holds.
func (a *app) restoreVendor(ctx context.Context, o restoreOptions, target string, rec kept.Record) error {
	if len(o.only) > 0 || o.recoveryKeyFile != "" {
		return catalog.New("usage", "--only and --recovery-key-file are for a NAS with Paperclip.")
	}
	l, err := a.open(ctx, o.lab, 0)
	if err != nil {
		return err
	}
	defer l.close()
	found, err := finder{lan: l, wait: o.owner.wait}.Find(ctx, target)
	switch {
	case err != nil:
		return err
	case len(found) != 1:
		return catalog.New("target_unknown", target)
	case found[0].Native || !rec.Is(identityOf(found[0])):
		return catalog.New("snapshot_of_another", printable.Clean(rec.Name))
	}
	v, err := a.visitVendor(ctx, l, found[0], o.owner, o.yes, o.json)
	if err != nil {
		return err
	}
	defer v.End(ctx)
	out := putBackVendor{Device: v.name, State: "planned", MadeAt: rec.MadeAt, Differences: v.Differences(rec), Restored: []string{}, NotDone: []string{}, NotRestorable: rec.NotHeld}
	say := func(format string, args ...any) {
		fmt.Fprintln(a.people(o.json), printable.Clean(fmt.Sprintf(format, args...)))
	}
	say("%s, as it was on %s:", v.name, rec.MadeAt.Format("2 January 2006"))
	for _, d := range out.Differences {
		say("  %s: then %s; now %s.", d.Setting, d.Then, d.Now)
	}
	if len(out.Differences) == 0 {
		say("  everything that the file holds is as it was.")
	}
	for _, not := range rec.NotHeld {
		say("Not put back: %s.", not)
	}
	if o.dryRun || o.drill || len(out.Differences) == 0 {
		return a.printIf(o.json, out)
	}
	if !o.yes {
		ok, err := v.cfg.Person.Choose(ctx, rescue.Question{ID: rescue.AskAccept, Text: "Put that back now? On this maker's NAS there is no trial: what is put back stays."})
		if err == nil && !ok.Yes {
			err = catalog.New("declined")
		}
		if err != nil {
			return err
		}
	}
	restored, left, err := v.PutBack(ctx, v.cfg, rec)
	out.State, out.Restored, out.NotDone = "put_back", append(out.Restored, restored...), append(out.NotDone, left...)
	if err == nil && len(left) > 0 {
		err = catalog.New("guided_end", strings.Join(left, "; "), "Do it in the browser; `paperclip restore` again says what is left.")
	}
	for _, r := range out.Restored {
		say("Put back: %s.", r)
	}
	if p, ok := errors.AsType[catalog.Problem](err); ok {
		out.Problem = &p
	}
	if perr := a.printIf(o.json, out); perr != nil || err == nil {
		return perr
	}
	return a.told(err)
}
