package guided

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/triage"
	"github.com/paperclip-nas/paperclip/internal/domain/ways"
	"github.com/paperclip-nas/paperclip/internal/owner/kept"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

// What a reset takes: saved before, seen after, put back.

// recall takes what was noted of this NAS when somebody was signed in to it.
func (r *run) recall() {
	if r.cfg.Known == nil || r.wanted != nil {
		return
	}
	if k, ok := r.cfg.Known.Lookup(r.identity()); ok {
		s := k.Settings.Clone()
		r.wanted, r.wantedAt, r.shares = &s, k.MadeAt, k.Shares
		r.known.Settings = ways.FromSnapshot
	}
}

// note writes down how the NAS is set up now, in a session.
func (r *run) note(ctx context.Context, unread []string) error {
	if r.cfg.Known == nil || r.settings == nil || r.before.Serial == "" && len(r.before.MACs) == 0 {
		return nil
	}
	rec := kept.Record{
		Vendor: r.before.Vendor, Name: printable.Clean(r.before.Name), Model: printable.Clean(r.before.Model), Serial: r.before.Serial, MACs: r.before.MACs,
		Firmware: r.version(), MadeAt: r.cfg.Clock.Now(), Settings: *r.settings, NotHeld: append([]string{"firewall rules", "passwords and keys", "files"}, unread...),
	}
	names, err := r.box.Shares(ctx)
	switch {
	case err == nil:
		rec.Shares = append([]string{}, names...)
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		rec.NotHeld = append(rec.NotHeld, "shared folders' names")
	}
	r.shares = rec.Shares
	return r.cfg.Known.Keep(rec)
}

// doSaveFirst has saved what a press takes, where any door is still open.
func doSaveFirst(ctx context.Context, r *run) (bool, error) {
	if r.wanted != nil {
		r.tell(saveFirst, "How it was set up is known from "+r.wantedAt.Format("2 January 2006")+"; what the reset takes of that is put back afterwards.")
		return true, nil
	}
	open, err := r.yes(ctx, rescue.Question{
		ID: AskDoor, Text: "Is a computer or phone still signed in to its pages, or can somebody else sign in? Then its settings can be saved first, in two minutes.",
		Options: []rescue.Option{{ID: "no", Text: "no, nobody"}, {ID: "yes", Text: "yes: save them first"}}, Default: "no",
	})
	if err != nil || !open {
		return false, err
	}
	if err := r.connected(ctx); err != nil {
		return false, nil //nolint:nilerr // that page cannot be shown; the reset does not depend on it
	}
	done, err := r.page(ctx, TaskBackup, "On the computer that is signed in, save its settings now:")
	return done, err
}

// doCompare looks what a QNAP's reset took: held too long, the button deletes
// users and the definitions of shared folders.
func doCompare(ctx context.Context, r *run) (bool, error) {
	if !r.signedIn {
		return true, nil
	}
	if err := r.read(ctx); err != nil {
		return false, err
	}
	now, err := r.box.Shares(ctx)
	if err != nil && ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err == nil {
		r.missing = slices.DeleteFunc(slices.Clone(r.shares), func(s string) bool { return slices.Contains(now, s) })
	}
	alone := !slices.ContainsFunc(r.settings.Accounts, func(a nas.Account) bool { return !a.BuiltIn })
	r.tooLong = len(r.missing) > 0 || alone && (r.wanted == nil && err == nil && len(now) == 0 || len(r.lostAccounts()) > 0)
	if !r.tooLong {
		return true, nil
	}
	r.tell(compare, "Its users and shared folders are gone from the list: the button was held to the second beep. The files are still on the disks, and what was deleted can be made anew.")
	r.fact(compare, "qnap.button.advanced", "qnap.advanced.users", "qnap.advanced.shares", "qnap.advanced.files")
	if len(r.missing) > 0 {
		r.tell(compare, "Shared folders that were there before: "+strings.Join(r.missing, ", ")+".")
	}
	return true, nil
}

// lostAccounts are those that were there before and are not now.
func (r *run) lostAccounts() []string {
	if r.wanted == nil || r.settings == nil {
		return nil
	}
	var out []string
	for _, a := range r.wanted.Accounts {
		if _, there := r.settings.Account(a.Name); !there && !a.BuiltIn {
			out = append(out, a.Name)
		}
	}
	return out
}

// putShares has the shared folders made anew under their old names, and looks
// whether they are there.
func putShares(ctx context.Context, r *run) error {
	if !r.tooLong {
		return nil
	}
	why := "Make each shared folder anew, with exactly its old name: its files are back in it."
	if len(r.missing) > 0 {
		why += " The names: " + strings.Join(r.missing, ", ") + "."
	} else if r.shares == nil {
		why += " This computer never read their names: look at drives that your computers had mounted, at backup jobs and phone apps."
	}
	done, err := r.page(ctx, TaskShares, why)
	if err != nil {
		return err
	}
	now, err := r.box.Shares(ctx)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	for _, name := range r.missing {
		if err == nil && slices.Contains(now, name) {
			r.restored("shared folder " + name)
		} else {
			r.leftOver("the shared folder " + name + " has to be made anew")
		}
	}
	switch {
	case len(r.missing) > 0:
	case done && err == nil && len(now) > 0:
		r.restored("shared folders")
	default:
		r.leftOver("the shared folders have to be made anew, under exactly their old names")
	}
	lost := r.lostAccounts()
	for _, name := range lost {
		r.leftOver("the user " + name + " has to be made anew")
	}
	if len(lost) == 0 && r.wanted == nil {
		r.leftOver("other users have to be made anew: who they were is not known here")
	}
	return nil
}

// noBackup reports whether there is nothing that a settings backup could fill.
func noBackup(r *run) bool { return !r.synology() }

// doBackup has a settings backup put back after an installation.
func doBackup(ctx context.Context, r *run) (bool, error) {
	have, err := r.yes(ctx, rescue.Question{
		ID: AskBackup, Text: "Is there a settings backup of it, a file that ends in .dss?", Default: "no",
		Options: []rescue.Option{{ID: "no", Text: "no"}, {ID: "yes", Text: "yes: put it back now"}},
	})
	if err != nil {
		return false, err
	}
	if !have {
		r.leftOver("users, groups and permissions have to be made anew: there is no settings backup")
		return false, nil
	}
	done, err := r.page(ctx, TaskRestoreDSS, "Sign in there with the name and password that you gave to the wizard, and put the backup back:")
	if err != nil {
		return false, err
	}
	if !done {
		r.leftOver("the settings backup is not put back yet")
		return false, nil
	}
	r.restored("settings backup")
	return false, nil
}

// doOtherWay offers, from a dead end after a press, what else there is; or stops
// with what led there.
func doOtherWay(ctx context.Context, r *run) (bool, error) {
	q := rescue.Question{
		ID: AskOther, Text: "Another way, or stop here?", Default: "stop",
		Lines:   []string{catalog.AsProblem(r.refusal).Text, catalog.AsProblem(r.refusal).WhatToDo},
		Options: []rescue.Option{{ID: "stop", Text: "stop here; everything stays as it is now"}},
	}
	for _, w := range ways.For(r.situation()) {
		if w.Useless == "" {
			q.Options = append(q.Options, rescue.Option{ID: string(w.ID), Text: w.Text, Detail: detail(w)})
		}
	}
	a, err := r.cfg.Person.Choose(ctx, q)
	if errors.Is(err, catalog.New("no_terminal")) || err == nil && (a.Option == "" || a.Option == q.Default) {
		return false, r.refusal
	}
	if err != nil {
		return false, err
	}
	w, ok := ways.Named(r.situation(), ways.ID(a.Option))
	if !ok {
		return false, r.refusal
	}
	r.refusal, r.password = nil, access.Secret{} // what was chosen for the first way was never set
	r.way, r.presses, r.proved = w, 0, r.proved && !r.strange
	r.standing()
	r.evidence.Press = triage.NotPressed
	return true, nil
}

// putPorts has the ports put back that the pages answered at.
func putPorts(ctx context.Context, r *run) error {
	if r.wanted == nil || r.wanted.Ports == nil || r.settings == nil || r.settings.Ports == nil {
		return nil
	}
	was, is := *r.wanted.Ports, *r.settings.Ports
	if was.HTTP == is.HTTP && was.HTTPS == is.HTTPS {
		return nil
	}
	done, err := r.page(ctx, TaskPorts, fmt.Sprintf("Its pages answered at the ports %d and %d before, and %d and %d now. If programs or a router rely on that, put them back:", was.HTTP, was.HTTPS, is.HTTP, is.HTTPS))
	if err != nil {
		return err
	}
	if done && r.read(ctx) == nil && r.settings.Ports != nil && r.settings.Ports.HTTP == was.HTTP && r.settings.Ports.HTTPS == was.HTTPS {
		r.restored(nas.E3.Setting())
		return nil
	}
	if d, ok, err := r.look(ctx); err == nil && ok && done && d.HTTPPort == was.HTTP {
		r.now = d
		r.restored(nas.E3.Setting())
		return nil
	}
	r.leftOver(fmt.Sprintf("its ports were %d and %d", was.HTTP, was.HTTPS))
	return nil
}
