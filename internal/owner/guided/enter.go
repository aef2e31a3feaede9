package guided

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/triage"
	"github.com/paperclip-nas/paperclip/internal/domain/ways"
	"github.com/paperclip-nas/paperclip/internal/owner/driver/qts"
	"github.com/paperclip-nas/paperclip/internal/owner/pins"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

const builtIn = "admin" // what both vendors call their own administrator

// connected has a connection, or says why there is none.
func (r *run) connected(ctx context.Context) error {
	if r.box != nil {
		return nil
	}
	return r.meetNow(ctx, r.cfg.Pins.Pin(r.identity()))
}

// doHelper signs in as another administrator: one attempt. QTS's own pages are
// for a person: there nothing is done yet.
func doHelper(ctx context.Context, r *run) (bool, error) {
	if err := r.connected(ctx); err != nil {
		return false, err
	}
	if r.verdict == pins.Mismatch {
		return false, catalog.New("box_not_proved")
	}
	if !r.synology() {
		r.fact(helper, "qnap.other_admin", "qnap.write.checked")
		return false, nil
	}
	account, err := r.typed(ctx, rescue.Question{ID: AskAccount, Text: "The other administrator's name", Account: Other})
	if err != nil {
		return false, err
	}
	p, ok, err := r.secret(ctx, rescue.Question{ID: AskTryIt, Text: "The password of " + account + ", sent once", Account: account, Hidden: true})
	if err != nil {
		return false, err
	}
	if !ok || account == "" {
		return false, catalog.New("guided_end", "another administrator is needed", "Ask them to sign in and set a new password: "+strings.Join(r.box.Page(TaskPassword).Press, " "))
	}
	code, _, err := r.secret(ctx, rescue.Question{ID: AskCode, Text: "The code of their second step, if they have one", Account: account, Hidden: true})
	if err != nil {
		return false, err
	}
	if err := r.open(ctx, account, p, code); err != nil {
		return false, err
	}
	return true, r.read(ctx)
}

// attempt is how a password that somebody typed is sent to be let in: once, and
// never to a box that shows another certificate than before and was not proved.
func (r *run) attempt(ctx context.Context, account string, p, code access.Secret) (triage.Answer, string, error) {
	if (r.verdict == pins.Mismatch || r.strange) && !r.proved {
		return triage.NotTried, "", catalog.New("box_not_proved")
	}
	return r.box.SignIn(ctx, account, p, code)
}

// open makes one attempt, and is an error in the device's words where it fails.
func (r *run) open(ctx context.Context, account string, p, code access.Secret) error {
	answer, raw, err := r.attempt(ctx, account, p, code)
	if err != nil {
		return err
	}
	if answer == triage.Accepted {
		r.signedIn = true
		return nil
	}
	c := triage.Evidence{Vendor: r.evidence.Vendor, Status: nas.Ready, Door: triage.Open, Answer: answer, Press: triage.NotPressed, Said: r.evidence.Said}.Cause()
	text := raw + ". " + c.Text
	if !r.synology() && answer == triage.NoReason {
		text = raw + ". QTS gives no reason" // what it may be stands in raw
	}
	refused := catalog.New("vendor_refused", strings.TrimRight(text, "."))
	refused.WhatToDo = c.WhatToDo
	return refused
}

func (r *run) read(ctx context.Context) error {
	s, known, _, err := r.box.Read(ctx)
	if err != nil {
		return err
	}
	r.settings, r.known = &s, known
	return nil
}

// doByHand tells how a person goes a way, and waits until they say that they
// have gone it. What came of it, the sign-in shows.
func doByHand(ctx context.Context, r *run) (bool, error) {
	lines := []string{r.way.Text}
	for _, s := range r.way.Steps {
		lines = append(lines, "  "+s)
	}
	if r.way.Warning != "" {
		lines = append(lines, r.way.Warning)
	}
	r.fact(byHand, r.way.Facts...)
	url := ""
	if r.box != nil {
		url = r.box.Page(TaskPassword).URL
		lines = append(lines, "  its page: "+url)
	}
	done, err := r.yes(ctx, rescue.Question{
		ID: AskPage, Text: "Done? Then the sign-in is tried once.", Lines: lines,
		Page: &rescue.Page{Task: string(TaskByHand) + ":" + string(r.way.ID), Device: r.before.Name, URL: url, Account: r.administrator},
	})
	if err != nil {
		return false, err
	}
	if !done {
		return false, catalog.New("guided_end", r.way.Text, "Then run `paperclip rescue` again: it checks that you are in.")
	}
	return false, r.connected(ctx)
}

// pageInstead reports whether the default password of this firmware only opens a
// page, which a person has to fill in (DSM 6.2.4 and later).
func pageInstead(r *run) bool {
	f, ok := catalog.FactNamed("synology.mode1.password.page")
	return r.synology() && ok && f.Applies(r.version())
}

// doDefault signs in with what the firmware that runs has after a reset: once.
func doDefault(ctx context.Context, r *run) (bool, error) {
	p, fact := access.NewSecret(""), catalog.ID("synology.mode1.password")
	if !r.synology() {
		mac := ""
		if len(r.before.MACs) > 0 {
			mac = r.before.MACs[0]
		}
		var ask bool
		if p, ask, fact = qts.DefaultPassword(r.version(), mac, ""); ask {
			r.fact(default1, fact)
			if r.verdict == pins.Mismatch || r.strange { // what the label says opens the real one
				if err := r.compareLabel(ctx); err != nil {
					return false, err
				}
			}
			label, err := r.typed(ctx, rescue.Question{ID: AskCloudKey, Text: "The Cloud Key on its label, as in Q1234-5678 (older firmware: the first MAC address)"})
			if err != nil {
				return false, err
			}
			if label == "" {
				return false, catalog.New("no_terminal", "The default password is on the label; run it in a terminal to type it.")
			}
			p, _, fact = qts.DefaultPassword(r.version(), mac, label)
		}
	}
	r.fact(default1, fact, "synology.window", "qnap.window")
	answer, raw, err := r.box.SignIn(ctx, builtIn, p, access.Secret{}) // the box is proved after it, by its beep
	if err != nil {
		return false, err
	}
	if answer == triage.Accepted {
		r.signedIn = true
		r.evidence.Press = triage.Changed
		return true, nil
	}
	return false, r.refusedAfterReset(answer, raw)
}

// refusedAfterReset tells why the default password is not accepted (R14). Where
// the button keeps the password there may be another way.
func (r *run) refusedAfterReset(answer triage.Answer, raw string) error {
	r.evidence.Answer = answer
	r.evidence.Status = nas.Ready
	r.evidence.Door = triage.Open
	if r.evidence.Press == triage.NotPressed {
		r.evidence.Press = triage.Changed
	}
	r.evidence = r.evidence.Saying(triage.LowerCase, true)
	c := r.evidence.Cause()
	r.res.Cause = string(c.ID)
	r.fact(default1, c.Facts...)
	p := catalog.New("vendor_refused", strings.TrimRight(strings.TrimSpace(strings.TrimRight(raw, ".")+". "+c.Text), "."))
	p.WhatToDo = c.WhatToDo
	if c.ID == triage.BlankKeepPassword {
		r.refusal = p
		return nil
	}
	return p
}

// doProve makes sure of the box before a new password goes there: the
// certificate of before, its beep, or its label.
func doProve(ctx context.Context, r *run) (bool, error) {
	if r.proved {
		return true, nil
	}
	if r.signedIn {
		heard, err := r.beep(ctx)
		if err != nil || heard {
			r.proved = heard
			if err == nil {
				err = r.remember(true)
			}
			return heard, err
		}
		return false, catalog.New("box_not_proved")
	}
	if err := r.compareLabel(ctx); err != nil {
		return false, err
	}
	r.proved = true
	return false, r.remember(true)
}

// compareLabel has what the NAS announces compared with its label: all that there
// is before it can be made to beep.
func (r *run) compareLabel(ctx context.Context) error {
	label, err := r.typed(ctx, rescue.Question{
		ID: AskLabel, Text: "The serial number or MAC address on the label of the NAS in front of you",
		Lines: []string{"This computer has not met it with this certificate before, and it cannot be made to beep yet. Compare with the label:"},
	})
	if err != nil {
		return err
	}
	if !r.labelled(label) {
		return catalog.New("box_not_proved")
	}
	r.tell(proveBox, "The label fits. Anyone on the network can announce the same: if you are not alone on it, connect by cable first.")
	return nil
}

func (r *run) labelled(label string) bool {
	if label == "" {
		return false
	}
	if strings.EqualFold(label, r.before.Serial) {
		return true
	}
	mac, ok := nas.NormalMAC(label)
	if !ok {
		return false
	}
	for _, m := range r.before.MACs {
		if m == mac {
			return true
		}
	}
	return false
}

func (r *run) beep(ctx context.Context) (heard bool, err error) {
	r.fact(proveBox, "synology.findme", "qnap.beep")
	if err := r.box.Beep(ctx); err != nil {
		return false, err
	}
	heard, err = r.yes(ctx, rescue.Question{ID: AskBeep, Text: "Does the NAS in front of you beep now?", Page: &rescue.Page{Task: "beep", Device: r.before.Name}})
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	return heard, errors.Join(err, r.box.EndBeep(stop))
}

// doWho settles whose password it is about.
func doWho(ctx context.Context, r *run) (bool, error) {
	if r.signedIn && r.settings == nil {
		if err := r.read(ctx); err != nil {
			return false, err
		}
	}
	if r.way.ID == ways.Reset1 && r.synology() {
		switch r.cause() {
		case triage.SecondFactorLost: // admin's is the one second step that the reset takes off
			r.administrator = builtIn
			r.fact(who, "synology.mode1.otp_admin", "synology.mode1.otp_other")
		case triage.PrivilegeRemoved: // a new password does not give it back; admin can
			r.administrator = builtIn
			r.tell(who, "A new password does not give the privilege back. So admin's is set: signed in as admin you give it back, under Control Panel, Application Privileges.")
		}
	}
	if r.tooLong && r.administrator == "" {
		name, err := r.typed(ctx, rescue.Question{ID: AskAccount, Text: "The users are deleted. The name of the administrator to make anew"})
		if err != nil {
			return false, err
		}
		r.administrator = printable.Clean(name)
	}
	if r.administrator == "" && r.signedIn && r.settings != nil {
		q := rescue.Question{ID: rescue.AskAdministrator, Text: "Who are you?"}
		for _, a := range r.settings.Administrators() {
			q.Options = append(q.Options, rescue.Option{ID: a.Name, Text: a.Name})
			if q.Default == "" && a.Enabled && !a.BuiltIn {
				q.Default = a.Name
			}
		}
		if len(q.Options) == 0 {
			return false, catalog.New("no_administrator")
		}
		if q.Default == "" {
			q.Default = q.Options[0].ID
		}
		a, err := r.cfg.Person.Choose(ctx, q)
		if err != nil {
			return false, err
		}
		r.administrator = a.Option
	}
	if r.administrator == "" {
		name, err := r.typed(ctx, rescue.Question{ID: AskAccount, Text: "The administrator's name that you sign in with"})
		if err != nil {
			return false, err
		}
		if r.administrator = printable.Clean(name); name == "" {
			r.administrator = builtIn
		}
	}
	if r.settings != nil {
		a, known := r.settings.Account(r.administrator)
		if r.create = r.tooLong && !known; r.create {
			return true, nil
		}
		if !known || !a.Administrator {
			return false, catalog.New("unknown_administrator", r.administrator)
		}
		r.second = a.SecondFactor
	}
	return true, nil
}

func doNewSecret(ctx context.Context, r *run) (bool, error) {
	q := rescue.Question{ID: rescue.AskNewPassword, Text: "The new password of " + r.administrator, Names: []string{r.administrator, r.before.Name, r.before.Model}}
	for range 5 {
		a, err := r.cfg.Person.Choose(ctx, q)
		if err != nil {
			return false, err
		}
		refusal := access.CheckPassword(a.Password, false, q.Names...)
		if refusal == access.PasswordFits && len(a.Password.Reveal()) > 64 {
			refusal = access.PasswordLong // QTS takes 64 bytes, and DSM no more
		}
		if refusal == access.PasswordFits {
			r.password = a.Password
			return true, nil
		}
		q.Advice = access.PasswordAdvice(refusal, false)
	}
	return false, catalog.New("gave_up")
}

// doSetSecret sets it by the API where that is known well enough and there is a
// session; else a person types it on the vendor's page.
func doSetSecret(ctx context.Context, r *run) (bool, error) {
	if !r.proved {
		return false, catalog.New("box_not_proved")
	}
	if r.signedIn && r.synology() {
		return r.setByProgram(ctx)
	}
	task, why := TaskResetPage, "Only a person can do this: how the page works is not documented. Have the new password ready:"
	if !r.synology() {
		task, why = TaskPassword, "This is done on QTS's own page, signed in as "+builtIn+": set the new password of "+r.administrator+"."
	}
	if r.create {
		task, why = TaskNewAdmin, "This is done on QTS's own page, signed in as "+builtIn+": make the administrator "+r.administrator+" anew, with the new password."
	}
	done, err := r.page(ctx, task, why)
	if err != nil {
		return false, err
	}
	if !done && r.synology() {
		return false, r.refusedAfterReset(triage.WrongPassword, "the page did not take the blank password or was not shown.")
	}
	if !done {
		return false, catalog.New("guided_end", "the new password is to be set in the browser", strings.Join(r.box.Page(task).Press, " "))
	}
	if !r.synology() && r.cause() == triage.SecondFactorLost {
		return false, r.secondStepOff(ctx)
	}
	return false, nil
}

// secondStepOff has another administrator, which admin is after a reset, take the
// lost second step off.
func (r *run) secondStepOff(ctx context.Context) error {
	r.fact(setSecret, "qnap.basic.otp_other")
	done, err := r.page(ctx, TaskSecondOff, "The phone with the codes of "+r.administrator+" is gone: still signed in as "+builtIn+", turn that second step off.")
	if err == nil && !done {
		err = catalog.New("guided_end", "the second step of "+r.administrator+" is still on", strings.Join(r.box.Page(TaskSecondOff).Press, " "))
	}
	return err
}

func (r *run) setByProgram(ctx context.Context) (bool, error) {
	if a, ok := r.settings.Account(r.administrator); ok && !a.Enabled {
		if err := r.box.SetEnabled(ctx, r.administrator, true); err != nil {
			return false, err
		}
	}
	if err := r.box.SetPassword(ctx, r.administrator, r.password); err != nil {
		return false, err
	}
	return true, nil
}

// doSignIn signs in anew as the administrator: a fresh connection, one attempt.
func doSignIn(ctx context.Context, r *run) (bool, error) {
	if r.cause() == triage.NoneSignedIn && r.signedIn {
		return true, nil
	}
	if err := r.connected(ctx); err != nil {
		return false, err
	}
	p, code := r.password, access.Secret{}
	if p.Empty() {
		var ok bool
		var err error
		if p, ok, err = r.secret(ctx, rescue.Question{ID: rescue.AskPassword, Text: "The password of " + r.administrator + ", sent once", Account: r.administrator, Hidden: true}); err != nil {
			return false, err
		}
		if !ok {
			return false, catalog.New("no_terminal", "Run it in a terminal: the password is typed there, and tried once.")
		}
	}
	lost := r.cause() == triage.SecondFactorLost && (r.synology() || !r.reset())
	if r.second || r.cause() == triage.CodeMissing || r.cause() == triage.CodeRefused || lost {
		var err error
		if code, _, err = r.secret(ctx, rescue.Question{ID: AskCode, Text: "The code of the second step of " + r.administrator + "; leave it empty if it is off now", Account: r.administrator, Hidden: true}); err != nil {
			return false, err
		}
	}
	fresh, err := r.cfg.Meet(ctx, r.now, r.box.Fingerprint())
	if err != nil {
		return false, err
	}
	_ = r.box.SignOut(ctx)
	r.box, r.signedIn = fresh, false
	if err := r.open(ctx, r.administrator, p, code); err != nil {
		if r.setsPassword() {
			return false, catalog.New("not_verified", strings.TrimRight(catalog.AsProblem(err).Text, ".")).Because(err)
		}
		return false, err
	}
	r.res.SignedIn = true
	r.res.AddressAfter = address(r.now)
	return true, r.read(ctx)
}

func doWitness(ctx context.Context, r *run) (bool, error) {
	e, err := r.cfg.Witness.After(ctx, r.res.Device, r.administrator)
	if err != nil {
		return false, catalog.New("not_verified", fmt.Sprintf("the witness says: %v", err)).Because(err)
	}
	r.res.OldPasswordRefused, r.res.Data = e.OldPasswordRefused, e.Data
	return e.Data == nil || e.Data.Changed == 0, nil
}
