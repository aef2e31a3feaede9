package guided

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/triage"
	"github.com/paperclip-nas/paperclip/internal/domain/ways"
	"github.com/paperclip-nas/paperclip/internal/owner/discover"
	"github.com/paperclip-nas/paperclip/internal/owner/pins"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

const (
	maxTurns = 60
	farewell = 3 * time.Second
)

// The steps, in their order.
const (
	find      rescue.Name = "find"
	meet      rescue.Name = "meet"
	diagnose  rescue.Name = "diagnose"
	chooseWay rescue.Name = "choose_way"
	showPlan  rescue.Name = "plan"
	saveFirst rescue.Name = "save_first"
	waitReady rescue.Name = "wait_ready"
	press     rescue.Name = "press"
	watch     rescue.Name = "watch"
	install   rescue.Name = "install"
	meetAgain rescue.Name = "meet_again"
	helper    rescue.Name = "other_administrator"
	byHand    rescue.Name = "by_hand"
	default1  rescue.Name = "default_sign_in"
	proveBox  rescue.Name = "prove_box"
	compare   rescue.Name = "compare"
	backup    rescue.Name = "restore_backup"
	who       rescue.Name = "administrator"
	newSecret rescue.Name = "password"
	setSecret rescue.Name = "set_password"
	signIn    rescue.Name = "sign_in"
	harden    rescue.Name = "harden"
	putBack   rescue.Name = "put_back"
	witnessed rescue.Name = "witness"
	otherWay  rescue.Name = "other_way" // from a dead end after a press
	ended                 = rescue.Ended
)

// step is a row of the table.
type step struct {
	name rescue.Name
	text string
	// only says of which ways the step is; nil: of all.
	only []ways.ID
	skip func(*run) bool
	// do does it, and says whether it was seen to have worked.
	do   func(context.Context, *run) (verified bool, err error)
	next rescue.Name
	on   map[catalog.ID]rescue.Name
	// dead is where it goes on where the reset kept the password.
	dead rescue.Name
	// resume is where a rescue goes on that was interrupted in this step.
	resume rescue.Name
}

func table() []step {
	resets := []ways.ID{ways.Reset1, ways.Reset2}
	anew := []ways.ID{ways.Reset2, ways.Reinstall}
	hands := []ways.ID{
		ways.SavedPassword, ways.OwnName, ways.AnotherAddress, ways.RightPort, ways.Wait, ways.BrowserChange, ways.EmergencyCode, ways.Approval, ways.ForgotMail, ways.SSH, ways.CheckDrives,
	}
	again := slices.Concat(resets, []ways.ID{ways.Reinstall, ways.DefaultSignIn})
	return []step{
		{name: find, text: "Looking how it is", do: doFind, next: meet, resume: find},
		{name: meet, text: "Looking at its certificate", do: doMeet, next: diagnose, resume: find},
		{name: diagnose, text: "Finding out what is wrong", do: doDiagnose, next: chooseWay, resume: find},
		{name: chooseWay, text: "Choosing the way that changes least", do: doChooseWay, next: showPlan, resume: find},
		{name: showPlan, text: "Saying what will change", do: doPlan, next: saveFirst, resume: find},
		{name: saveFirst, text: "Saving what a reset would take", only: resets, do: doSaveFirst, next: waitReady, resume: itself},
		{name: waitReady, text: "Waiting until it is ready", only: append(slices.Clone(resets), ways.Wait), do: doWaitReady, next: press, resume: itself},
		{name: press, text: "Holding its reset button", only: resets, do: doPress, next: watch, resume: watch},
		{name: watch, text: "Watching what the press does", only: resets, do: doWatch, next: install, on: map[catalog.ID]rescue.Name{"press_without_effect": press}, resume: itself},
		{name: install, text: "Installing its system anew", only: anew, skip: noInstaller, do: doInstall, next: meetAgain, resume: itself},
		{name: meetAgain, text: "Following it to its address", only: again, do: doMeetAgain, next: helper, resume: itself},
		{name: helper, text: "Signing in as another administrator", only: []ways.ID{ways.OtherAdministrator}, do: doHelper, next: byHand, resume: itself},
		{name: byHand, text: "Going that way by hand", only: hands, do: doByHand, next: default1, resume: itself},
		{name: default1, text: "Signing in with what it has after a reset", only: []ways.ID{ways.Reset1, ways.DefaultSignIn}, skip: pageInstead, do: doDefault, next: proveBox, dead: otherWay, resume: entrance},
		{name: proveBox, text: "Making sure that it is the NAS in front of you", skip: needsNoProof, do: doProve, next: compare, resume: entrance},
		{name: compare, text: "Looking what the reset took", only: []ways.ID{ways.Reset1, ways.DefaultSignIn}, skip: (*run).synology, do: doCompare, next: backup, resume: entrance},
		{name: backup, text: "Putting its settings backup back", only: anew, skip: noBackup, do: doBackup, next: who, resume: entrance},
		{name: who, text: "Choosing whose password is set", do: doWho, next: newSecret, resume: entrance},
		{name: newSecret, text: "Choosing the new password", skip: keepsPassword, do: doNewSecret, next: setSecret, resume: entrance},
		{name: setSecret, text: "Setting the new password", skip: keepsPassword, do: doSetSecret, next: signIn, dead: otherWay, resume: wasItSet},
		{name: signIn, text: "Signing in anew", do: doSignIn, next: harden, resume: wasItSet},
		{name: harden, text: "Closing what a reset opens", do: doHarden, next: putBack, resume: signIn},
		{name: putBack, text: "Putting settings back", do: doPutBack, next: witnessed, resume: signIn},
		{name: witnessed, text: "Comparing every file with before", skip: func(r *run) bool { return r.cfg.Witness == nil }, do: doWitness, next: ended, resume: itself},
		{name: otherWay, text: "Looking for another way", do: doOtherWay, next: showPlan, resume: find},
	}
}

// Steps lists the names of the steps in their order.
func Steps() []rescue.Name {
	var out []rescue.Name
	for _, s := range table() {
		out = append(out, s.name)
	}
	return out
}

// run is one guided rescue under way. What of it is written down, State says.
type run struct {
	cfg Config
	req Request
	res rescue.Result

	first       discover.Device // as it was found: its address is put back
	before, now discover.Device // before a press, and now
	box         Device
	signedIn    bool // box has a session
	verdict     pins.Verdict
	strange     bool // it shows another certificate than before the reset
	proved      bool
	met         bool // a rescue's witness has looked
	resumed     bool
	unwritten   bool // where it stands could not be written down, and that was told

	evidence triage.Evidence
	known    ways.Known
	settings *nas.Settings // as they are, in a session
	wanted   *nas.Settings // as they were: what is to be put back
	wantedAt time.Time     // when that was read
	shares   []string      // the shared folders of before; nil where not known
	missing  []string      // those of them that the reset took
	tooLong  bool          // a QNAP's button was held to the second beep
	way      ways.Way
	presses  int
	pressed  bool        // the button was used, in this or an earlier run
	jump     rescue.Name // where a wait leads that has shown what else is wrong
	refusal  error       // the reset kept the password: what was said to that

	administrator string
	create        bool // the administrator is to be made anew
	password      access.Secret
	second        bool // the account has a second step
}

func newRun(cfg Config, req Request) *run {
	cfg.Wait = cmp.Or(cfg.Wait, discover.DefaultWait)
	cfg.Poll = cmp.Or(cfg.Poll, 500*time.Millisecond)
	cfg.Settle = cmp.Or(cfg.Settle, 2*time.Minute)
	cfg.Stable = cmp.Or(cfg.Stable, 45*time.Second) // DSM waits 10 s for a second press before it restarts
	cfg.Patience = cmp.Or(cfg.Patience, 20*time.Minute)
	return &run{cfg: cfg, req: req, administrator: req.Administrator, res: rescue.Result{Timeline: []rescue.Entry{}, Restored: []string{}, NotDone: []string{}}}
}

// goThrough runs the table from a step to its end.
func (r *run) goThrough(ctx context.Context, at rescue.Name) (rescue.Result, error) {
	return r.close(ctx, r.loop(ctx, at))
}

// close takes leave of the NAS, and judges what was reached.
func (r *run) close(ctx context.Context, err error) (rescue.Result, error) {
	if r.box != nil {
		leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
		if err == nil && r.res.SignedIn && r.setsPassword() {
			_ = r.box.SignOutEverywhere(leave)
		} else {
			_ = r.box.SignOut(leave)
		}
		cancel()
	}
	if err == nil {
		err = r.judge()
	} else if r.reset() && r.pressed && !r.res.SignedIn && r.cause() != triage.BlankKeepPassword {
		r.leftOver("after the reset the built-in admin may be open to whoever knows its default password: sign in and set a new one soon")
	}
	r.res.ID, r.res.Guided = r.cfg.ID, true
	r.res.Way = rescue.WayID(r.way.ID)
	r.res.Administrator = r.administrator
	if ctx.Err() != nil {
		err = catalog.Interrupted(r.untouched()).Because(err)
	}
	if p, ok := errors.AsType[catalog.Problem](err); ok {
		err = r.worded(ctx, p)
		p = catalog.AsProblem(err)
		r.res.Problem = &p
	}
	return r.res, err
}

// untouched tells whether nothing can have been changed yet: no way was taken, or
// one by a button that nobody was asked to hold.
func (r *run) untouched() bool {
	return r.presses == 0 && !r.pressed && (r.way.ID == "" || r.reset())
}

// worded is a problem with its exit status after what was done, and with how to
// go on.
func (r *run) worded(ctx context.Context, p catalog.Problem) catalog.Problem {
	switch {
	case ctx.Err() != nil && r.pressed:
		p.Exit, p.Meaning = catalog.InPart, "The NAS was reset by its button; what comes after that is not done."
	case ctx.Err() == nil && r.res.SignedIn && p.Exit == catalog.Failed:
		p.Exit = catalog.InPart
	}
	goOn := ctx.Err() != nil || p.Exit == catalog.InPart && p.ID != "guided_end" && p.ID != "data_changed"
	if goOn && r.cfg.FS != nil && r.cfg.ID != "" {
		p.WhatToDo = strings.TrimSpace(p.WhatToDo + " Go on with: " + cmp.Or(r.cfg.Again, "paperclip rescue --resume") + " " + r.cfg.ID)
	}
	return p
}

func (r *run) loop(ctx context.Context, at rescue.Name) error {
	for range maxTurns {
		if err := r.orGoOn(at, r.save(at)); err != nil {
			return err
		}
		if at == ended {
			return nil
		}
		all := table()
		i := slices.IndexFunc(all, func(s step) bool { return s.name == at })
		next, err := r.step(ctx, all[i])
		if err != nil {
			return err
		}
		at = next
	}
	return catalog.New("gave_up")
}

// orGoOn is the error of writing something down, unless the button was used: a NAS
// that was reset stands open to whoever knows its default password until a new one
// is set, and a full disk here must not end that.
func (r *run) orGoOn(at rescue.Name, err error) error {
	if err == nil || !r.pressed {
		return err
	}
	if !r.unwritten {
		r.unwritten = true
		r.tell(at, "Where this rescue stands could not be written down on this computer. It goes on; interrupted now, it is resumed from an earlier step.")
	}
	return nil
}

func (r *run) step(ctx context.Context, s step) (rescue.Name, error) {
	if s.only != nil && !slices.Contains(s.only, r.way.ID) || s.skip != nil && s.skip(r) {
		return s.next, nil
	}
	begun, wall := r.cfg.Clock.Monotonic(), r.cfg.Clock.Now().UTC()
	r.cfg.Person.Tell(rescue.Event{Kind: rescue.StepStarted, Step: s.name, Text: s.text})
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	verified, err := s.do(ctx, r)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	took := r.cfg.Clock.Monotonic() - begun
	r.res.Timeline = append(r.res.Timeline, rescue.Entry{Step: s.name, Started: wall, MS: took.Milliseconds(), Verified: verified && err == nil})
	if err == nil {
		r.cfg.Person.Tell(rescue.Event{Kind: rescue.StepDone, Step: s.name, Text: s.text, Verified: verified, Elapsed: took})
		if r.refusal != nil && s.dead != "" {
			return s.dead, nil
		}
		if r.jump != "" {
			s.next, r.jump = r.jump, ""
		}
		return s.next, nil
	}
	p := catalog.AsProblem(err)
	to, goesOn := s.on[p.ID]
	goesOn = goesOn && r.presses < maxPresses
	said := p.Error()
	if !goesOn {
		said = "not done" // why is said at the end, once
	}
	r.cfg.Person.Tell(rescue.Event{Kind: rescue.StepFailed, Step: s.name, Text: said, Elapsed: took})
	if goesOn {
		return to, nil
	}
	return "", err
}

// judge is whether a flow that came to its end did what it is for.
func (r *run) judge() error {
	switch {
	case r.res.Data != nil && r.res.Data.Changed > 0:
		return catalog.New("data_changed", fmt.Sprint(r.res.Data.Changed))
	case !r.res.SignedIn:
		return catalog.New("not_verified", "signing in anew did not work")
	case r.setsPassword() && r.res.OldPasswordRefused != nil && !*r.res.OldPasswordRefused:
		return catalog.New("not_verified", "the old password still works")
	case len(r.res.NotDone) > 0:
		return catalog.New("guided_end", strings.Join(r.res.NotDone, "; "), "Do it in the browser; `paperclip check` says what is left.")
	}
	return nil
}

func (r *run) cause() triage.CauseID { return r.evidence.Cause().ID }

// setsPassword reports whether this way ends with a new password.
func (r *run) setsPassword() bool { return !keepsPassword(r) }

// keepsPassword is of the ways that end with a password that somebody has, or
// sets by a page of the vendor's that this program does not see.
func keepsPassword(r *run) bool {
	switch r.way.ID {
	case ways.Reset1, ways.DefaultSignIn:
		return false
	case ways.OtherAdministrator: // where the password is not what is wrong, it stays
		c := r.cause()
		return c == triage.AddressBlocked || c == triage.AccountLocked || c == triage.OldPasswordApp
	}
	return true
}

// needsNoProof is of the ways that send no new password, to a box that shows the
// certificate of before.
func needsNoProof(r *run) bool { return keepsPassword(r) && !r.strange && r.verdict != pins.Mismatch }

func (r *run) synology() bool { return r.before.Vendor == string(triage.Synology) }

// version is the firmware's, as the catalogue needs it.
func (r *run) version() string {
	if r.synology() {
		return catalog.DSMVersion(r.before.Version, r.before.Build)
	}
	return r.before.Version
}

func (r *run) situation() ways.Situation {
	m, ok := catalog.ModelNamed(r.before.Model)
	if !ok {
		m = catalog.Model{Vendor: r.before.Vendor}
	}
	return ways.Situation{Model: m, Version: r.version(), Cause: r.cause(), Known: r.known}
}

func (r *run) identity() nas.Identity { return r.before.Identity() }

func (r *run) tell(s rescue.Name, text string) {
	r.cfg.Person.Tell(rescue.Event{Kind: rescue.Note, Step: s, Text: printable.Clean(text)})
}

// quote tells a fact of the catalogue.
func (r *run) quote(s rescue.Name, f catalog.Fact) {
	doubt := map[catalog.Confidence]string{
		catalog.C: "a weak source says so", catalog.Inference: "concluded, written nowhere", catalog.Sought: "no source says more",
	}[f.Confidence]
	r.cfg.Person.Tell(rescue.Event{
		Kind: rescue.Note, Step: s, Text: printable.Clean(f.Text), Source: string(f.ID) + ", confidence " + string(f.Confidence), Doubt: doubt,
	})
}

// fact tells facts of the catalogue by their ids.
func (r *run) fact(s rescue.Name, ids ...catalog.ID) {
	for _, id := range ids {
		if f, ok := catalog.FactNamed(id); ok && f.Vendor == r.before.Vendor && f.Applies(r.version()) {
			r.quote(s, f)
		}
	}
}

func (r *run) pause(ctx context.Context) error {
	select {
	case <-r.cfg.Clock.After(r.cfg.Poll):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// yes asks for a yes or no. Where nobody is there to ask, it is no.
func (r *run) yes(ctx context.Context, q rescue.Question) (bool, error) {
	a, err := r.cfg.Person.Choose(ctx, q)
	if errors.Is(err, catalog.New("no_terminal")) {
		return false, nil
	}
	return a.Yes || a.Option == string(triage.Yes), err
}

// typed asks for a line. Where nobody is there to ask, it is empty.
func (r *run) typed(ctx context.Context, q rescue.Question) (string, error) {
	q.Typed = true
	a, err := r.cfg.Person.Choose(ctx, q)
	if errors.Is(err, catalog.New("no_terminal")) {
		return "", nil
	}
	return strings.TrimSpace(a.Option), err
}

// secret asks for a password or code. Where nobody is there to ask, ok is false.
func (r *run) secret(ctx context.Context, q rescue.Question) (s access.Secret, ok bool, err error) {
	a, err := r.cfg.Person.Choose(ctx, q)
	if errors.Is(err, catalog.New("no_terminal")) {
		return access.Secret{}, false, nil
	}
	return a.Password, err == nil, err
}

// page has a person do a task in the browser.
func (r *run) page(ctx context.Context, t Task, why string) (bool, error) {
	p := r.box.Page(t)
	lines := []string{why, "  open  " + p.URL}
	for _, press := range p.Press {
		lines = append(lines, "  "+press)
	}
	if f, ok := catalog.FactNamed(p.Fact); ok {
		lines = append(lines, "  ("+sureness(f.Confidence)+")")
	}
	return r.yes(ctx, rescue.Question{
		ID: AskPage, Text: "Done in the browser?", Lines: lines,
		Page: &rescue.Page{Task: string(t), Device: r.before.Name, URL: p.URL, Account: r.administrator, Password: r.password, Was: r.was()},
	})
}

// was is the address that the NAS had, for whoever types it back.
func (r *run) was() string {
	if len(r.before.Addresses) == 0 {
		return ""
	}
	return r.before.Addresses[0].String()
}
