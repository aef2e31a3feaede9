package guided

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/domain/triage"
	"github.com/paperclip-nas/paperclip/internal/domain/ways"
	"github.com/paperclip-nas/paperclip/internal/owner/discover"
	"github.com/paperclip-nas/paperclip/internal/owner/driver/pinned"
	"github.com/paperclip-nas/paperclip/internal/owner/pins"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

// The steps from finding a NAS to the plan. Nothing on it is changed by any of
// them, and at most one password is sent: the one that was typed for that.

func doFind(ctx context.Context, r *run) (bool, error) {
	found, err := r.cfg.Finder.Find(ctx, r.req.Target, r.cfg.Wait)
	if err != nil {
		return false, err
	}
	switch len(found) {
	case 0:
		return false, catalog.New("target_unknown", r.req.Target)
	case 1:
	default:
		return false, catalog.New("target_ambiguous", r.req.Target)
	}
	r.before, r.now = found[0], found[0]
	r.res.Device = printable.Clean(r.before.Name)
	r.res.AddressBefore = r.was()
	if len(r.first.Addresses) == 0 {
		r.first = r.before
	}
	r.evidence = triage.Evidence{Vendor: triage.Vendor(r.before.Vendor), Status: status(r.before), Door: triage.Open, Answer: triage.NotTried, Press: triage.NotPressed}
	if len(r.before.Addresses) > 0 {
		r.known.Settings = ways.FromSighting
	}
	r.recall()
	return true, nil
}

func status(d discover.Device) nas.Status {
	all := nas.Statuses()
	if i := slices.IndexFunc(all, func(s nas.Status) bool { return s.ID() == d.Status }); i >= 0 {
		return all[i]
	}
	return nas.Unknown
}

// doMeet opens the first connection, and says whose certificate it is. A door
// that is shut is a finding, and no error.
func doMeet(ctx context.Context, r *run) (bool, error) {
	box, err := r.cfg.Meet(ctx, r.before, r.cfg.Pins.Pin(r.identity()))
	switch {
	case errors.Is(err, catalog.New("certificate_changed")):
		r.verdict = pins.Mismatch
		r.tell(meet, catalog.AsProblem(err).Error())
		box, err = r.cfg.Meet(ctx, r.before, "") // to be proved by its beep or label before anything secret goes there
		if err != nil {
			return false, err
		}
	case errors.Is(err, catalog.New("redirect_broken")):
		r.evidence.Door = triage.Redirect
		r.tell(meet, catalog.AsProblem(err).Text)
		return false, r.witness(ctx)
	case errors.Is(err, catalog.New("plain_http")):
		return false, err
	case errors.Is(err, catalog.New("unreachable")):
		r.evidence.Door = triage.Refused
		r.tell(meet, catalog.AsProblem(err).Text)
		return false, r.witness(ctx)
	case err != nil:
		return false, err
	}
	r.box, r.evidence.Door = box, triage.Open
	if r.evidence.Status == nas.Unknown { // what it did not say in the search its page may
		if s, err := box.State(ctx); err == nil {
			r.evidence.Status = s
		}
	}
	if err := r.certificate(); err != nil {
		return false, err
	}
	return r.verdict != pins.Mismatch, r.witness(ctx)
}

func (r *run) certificate() error {
	shown := r.box.Fingerprint()
	if r.box.Plain() {
		r.tell(meet, "It is spoken to without encryption, as you agreed: what is typed can be read on the network.")
		return nil
	}
	if r.verdict != pins.Mismatch {
		r.verdict = r.cfg.Pins.Judge(shown, r.identity())
	}
	switch r.verdict {
	case pins.Match:
		r.proved = true
		r.tell(meet, "It shows the certificate of before ("+pinned.Short(shown)+" …).")
	case pins.Unknown:
		r.tell(meet, "This computer meets it for the first time. Its certificate: "+pinned.Short(shown)+" …")
		return r.remember(false)
	}
	return nil
}

func (r *run) remember(proved bool) error {
	if r.box.Fingerprint() == "" {
		return nil
	}
	return r.orGoOn(meet, r.cfg.Pins.Remember(pins.Device{
		Fingerprint: r.box.Fingerprint(), Vendor: r.before.Vendor, Name: printable.Clean(r.before.Name), Serial: r.before.Serial, MACs: r.before.MACs,
		Seen: r.cfg.Clock.Now(), Proved: proved,
	}))
}

// witness has the lab's witness look before anything is changed.
func (r *run) witness(ctx context.Context) error {
	if r.cfg.Witness == nil || r.met {
		return nil
	}
	r.met = true
	return r.cfg.Witness.Before(ctx, r.res.Device)
}

// doDiagnose asks the device and the person, the device first.
func doDiagnose(ctx context.Context, r *run) (bool, error) {
	if err := r.tryOnce(ctx); err != nil {
		return false, err
	}
	for range triage.Questions() {
		q, ok := r.evidence.Next()
		if !ok {
			break
		}
		a, err := r.cfg.Person.Choose(ctx, rescue.Question{
			ID: AskTriage, Text: q.Text, Account: string(q.ID), Default: "unknown",
			Options: []rescue.Option{{ID: "yes", Text: "yes"}, {ID: "no", Text: "no"}, {ID: "unknown", Text: "I do not know"}},
		})
		if errors.Is(err, catalog.New("no_terminal")) || err == nil && a.Option == "unknown" {
			break
		}
		if err != nil {
			return false, err
		}
		r.evidence = r.evidence.Saying(q.ID, a.Option == "yes")
	}
	c := r.evidence.Cause()
	r.res.Cause = string(c.ID)
	r.cfg.Person.Tell(rescue.Event{Kind: rescue.Note, Step: diagnose, Text: c.Text, Source: string(c.ID)})
	r.tell(diagnose, c.WhatToDo)
	if r.evidence.Answer != triage.NotTried {
		r.fact(diagnose, c.Facts...)
	}
	return true, nil
}

// tryOnce makes the one attempt, if the person has a password to try.
func (r *run) tryOnce(ctx context.Context) error {
	ready := r.evidence.Status == nas.Ready || r.evidence.Status == nas.Unknown || r.evidence.Status == nas.NotConfigured
	if !r.req.Password || r.box == nil || r.verdict == pins.Mismatch || !ready {
		return nil
	}
	try, err := r.yes(ctx, rescue.Question{
		ID: AskTry, Text: "Is there a name and password that should work? They are tried once: the answer of the NAS says what is wrong.",
		Options: []rescue.Option{{ID: "yes", Text: "yes, try it once"}, {ID: "no", Text: "no, the password is lost"}}, Default: "no",
	})
	if err != nil || !try {
		return err
	}
	account, err := r.typed(ctx, rescue.Question{ID: AskAccount, Text: "The name to sign in with", Default: r.req.Administrator})
	if err != nil || account == "" {
		return err
	}
	p, ok, err := r.secret(ctx, rescue.Question{ID: AskTryIt, Text: "The password of " + account, Account: account, Hidden: true})
	if err != nil || !ok {
		return err
	}
	code, _, err := r.secret(ctx, rescue.Question{ID: AskCode, Text: "The code of the second step, if the NAS asks for one", Account: account, Hidden: true})
	if err != nil {
		return err
	}
	if r.administrator == "" {
		r.administrator = account
	}
	answer, raw, err := r.attempt(ctx, account, p, code)
	if err != nil {
		return err
	}
	r.evidence.Answer = answer
	if raw != "" {
		r.tell(diagnose, "The NAS answered: "+raw)
	}
	if answer != triage.Accepted {
		return nil
	}
	r.signedIn, r.res.SignedIn = true, true
	s, known, unread, err := r.box.Read(ctx)
	if err == nil {
		r.settings, r.known = &s, known
		for _, u := range unread {
			r.tell(diagnose, "Not read: "+u)
		}
		return r.note(ctx, unread)
	}
	return nil
}

// doChooseWay offers the ways, the least first. What is known to be useless is
// told and not offered.
func doChooseWay(ctx context.Context, r *run) (bool, error) {
	if r.cause() == triage.NoneSignedIn {
		return true, nil // nothing is locked: on to what makes the next time easier
	}
	all := ways.For(r.situation())
	q := rescue.Question{ID: rescue.AskWay, Text: "Which way do you take?"}
	for _, w := range all {
		if w.Useless != "" {
			q.Lines = append(q.Lines, "Not: "+w.Text+" — "+w.Useless+".")
			continue
		}
		q.Options = append(q.Options, rescue.Option{ID: string(w.ID), Text: w.Text, Detail: detail(w)})
		if q.Default == "" && (w.ID == ways.Reset1 || w.By != ways.ByPerson && !offHand(w.ID)) {
			q.Default = string(w.ID)
		}
	}
	if len(q.Options) == 0 {
		return false, catalog.New("no_button_needed", r.evidence.Cause().Text, r.evidence.Cause().WhatToDo)
	}
	if slices.ContainsFunc(q.Options, func(o rescue.Option) bool { return o.ID == string(ways.Reset1) }) && r.cause() == triage.PasswordForgotten {
		q.Default = string(ways.Reset1)
	}
	if q.Default == "" {
		q.Default = q.Options[0].ID
	}
	chosen := string(r.req.Way)
	if chosen == "" {
		a, err := r.cfg.Person.Choose(ctx, q)
		if err != nil {
			return false, err
		}
		chosen = a.Option
	}
	w, ok := ways.Named(r.situation(), ways.ID(chosen))
	if !ok || w.Useless != "" {
		return false, catalog.New("no_button_needed", "The way "+chosen+" does not help here: "+r.evidence.Cause().Text+" "+w.Useless, r.evidence.Cause().WhatToDo)
	}
	r.way = w
	return true, nil
}

// offHand are ways that need something that is nowhere to be seen from here.
func offHand(id ways.ID) bool {
	return id == ways.OtherAdministrator || id == ways.ForgotMail || id == ways.Approval || id == ways.EmergencyCode
}

// detail is a way in lines, one for each thing to weigh.
func detail(w ways.Way) string {
	parts := []string{}
	add := func(word string, list []string) {
		if len(list) > 0 {
			parts = append(parts, word+": "+strings.Join(list, "; "))
		}
	}
	add("changes", w.Changes)
	add("keeps", w.Keeps)
	add("loses", w.Lost)
	add("needs", w.Needs)
	parts = append(parts, "takes: "+w.Takes)
	if sure := sureness(catalog.Confidence(w.Sure)); sure != "" {
		parts = append(parts, "how sure: "+sure)
	}
	if w.Warning != "" {
		parts = append(parts, w.Warning)
	}
	return strings.Join(parts, "\n")
}

// sureness is a confidence in words.
func sureness(c catalog.Confidence) string {
	return map[catalog.Confidence]string{
		catalog.A: "the maker or several sources say so", catalog.B: "one good source says so", catalog.Inference: "part of it is concluded, and written nowhere",
		catalog.C: "part of it rests on a weak source", catalog.Sought: "part of it is documented nowhere",
	}[c]
}

// doPlan shows, before anything is done, what changes, what stays, what is
// lost, and what cannot be known; and has it accepted (promise 4).
func doPlan(ctx context.Context, r *run) (bool, error) {
	if r.cause() == triage.NoneSignedIn {
		return true, nil
	}
	p := r.plan()
	r.res.Plan = &p
	shown := p
	shown.NotCovered = nil // below, in sentences
	lines := append(rescue.PlanLines(shown), "")
	lines = append(lines, p.NotCovered...)
	if len(r.way.Facts) > 0 {
		lines = append(lines, "", "What that rests on (A the maker or several sources, B one good source, C a weak one, I concluded, ? documented nowhere):")
	}
	for _, id := range r.way.Facts {
		if f, ok := catalog.FactNamed(id); ok {
			lines = append(lines, "  "+f.Text+" ["+string(f.Confidence)+"]")
		}
	}
	lines = append(lines, "", "Nothing of this was tested on this maker's hardware; it rests on documents.", "")
	ok, err := r.yes(ctx, rescue.Question{ID: rescue.AskAccept, Text: "Do you accept that?", Lines: lines})
	if err == nil && !ok {
		err = r.declined()
	}
	return ok, err
}

// declined says what stays as it is: after a dead end that is not all.
func (r *run) declined() error {
	p := catalog.New("declined")
	if slices.ContainsFunc(r.res.Timeline, func(e rescue.Entry) bool { return e.Step == press }) {
		p.Meaning = "Nothing more was changed. What the press of before did stays."
	}
	return p
}

// plan is made from real settings where they were read, else from what was
// seen on the network; the rest is said not to be known.
func (r *run) plan() reset.Plan {
	p := reset.Plan{
		Device: r.res.Device, Mode: reset.Soft, Scope: reset.All, Administrator: r.administrator,
		Changes: []reset.Change{}, Keeps: r.way.Keeps, Losses: r.way.Lost, Interrupts: []string{}, NotCovered: []string{}, Takes: r.way.Takes, Needs: r.way.Needs,
	}
	if r.way.ID == ways.Reset2 {
		p.Mode, p.Scope = reset.Hard, ""
	}
	resets := r.way.ID == ways.Reset1 || r.way.ID == ways.Reset2
	if !resets {
		p.Scope = reset.Credentials
		for _, c := range r.way.Changes {
			p.Changes = append(p.Changes, reset.Change{ID: nas.E1, Setting: nas.E1.Setting(), From: "as it is", To: c})
		}
		return p
	}
	p.Interrupts = []string{"every service of the NAS, for some minutes"}
	p.NotCovered = ways.Beforehand(r.situation())
	change := func(e nas.Effect, from, to string) {
		p.Changes = append(p.Changes, reset.Change{ID: e, Setting: e.Setting(), From: from, To: to})
	}
	if r.way.ID == ways.Reset2 && r.synology() {
		change(nas.E1, "the password of now", "gone with all settings: the installer asks for a new administrator and password")
	} else {
		change(nas.E1, "the password of now", "a new one, that you choose")
	}
	if r.settings != nil {
		r.changes(*r.settings, "", change)
		return p
	}
	if r.wanted != nil {
		r.changes(*r.wanted, " (on "+r.wantedAt.Format("2 January 2006")+")", change)
		return p
	}
	port := "5000 and 5001"
	if !r.synology() {
		port = "8080"
	}
	if seen := fmt.Sprintf("%d and %d", r.before.HTTPPort, r.before.HTTPSPort); seen != port {
		change(nas.E3, seen+" (seen)", port)
	}
	if r.before.DHCP == nil || !*r.before.DHCP {
		change(nas.E4, r.was()+" (seen)", "DHCP: another address")
	}
	change(nas.E8, "not known from outside", "off")
	change(nas.E9, "not known from outside", "off")
	return p
}

// changes are those of a reset to settings that were read; when says when, for
// people.
func (r *run) changes(s nas.Settings, when string, change func(e nas.Effect, from, to string)) {
	all := []nas.Effect{nas.E3, nas.E4, nas.E8, nas.E9}
	if !r.synology() {
		all = []nas.Effect{nas.E4} // of the rest QTS's API tells nothing
	}
	for _, e := range all {
		from := reset.Describe(e, s, "")
		if to := reset.Describe(e, reset.Apply(e, s, ""), ""); from != to {
			change(e, from+when, to)
		}
	}
}
