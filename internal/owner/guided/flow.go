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
	waitReady rescue.Name = "wait_ready"
	press     rescue.Name = "press"
	watch     rescue.Name = "watch"
	install   rescue.Name = "install"
	meetAgain rescue.Name = "meet_again"
	helper    rescue.Name = "other_administrator"
	byHand    rescue.Name = "by_hand"
	default1  rescue.Name = "default_sign_in"
	proveBox  rescue.Name = "prove_box"
	who       rescue.Name = "administrator"
	newSecret rescue.Name = "password"
	setSecret rescue.Name = "set_password"
	signIn    rescue.Name = "sign_in"
	harden    rescue.Name = "harden"
	putBack   rescue.Name = "put_back"
	witnessed rescue.Name = "witness"
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
}

func table() []step {
	resets := []ways.ID{ways.Reset1, ways.Reset2}
	hands := []ways.ID{
		ways.SavedPassword, ways.OwnName, ways.AnotherAddress, ways.RightPort, ways.Wait, ways.BrowserChange, ways.EmergencyCode, ways.Approval, ways.ForgotMail, ways.SSH, ways.CheckDrives,
	}
	again := slices.Concat(resets, []ways.ID{ways.Reinstall, ways.DefaultSignIn})
	return []step{
		{name: find, text: "Looking for the NAS", do: doFind, next: meet},
		{name: meet, text: "Looking at its certificate", do: doMeet, next: diagnose},
		{name: diagnose, text: "Finding out what is wrong", do: doDiagnose, next: chooseWay},
		{name: chooseWay, text: "Choosing the way that changes least", do: doChooseWay, next: showPlan},
		{name: showPlan, text: "Saying what will change", do: doPlan, next: waitReady},
		{name: waitReady, text: "Waiting until it is ready", only: append(slices.Clone(resets), ways.Wait), do: doWaitReady, next: press},
		{name: press, text: "Holding its reset button", only: resets, do: doPress, next: watch},
		{name: watch, text: "Watching what the press does", only: resets, do: doWatch, next: install, on: map[catalog.ID]rescue.Name{"press_without_effect": press}},
		{name: install, text: "Installing its system anew", only: []ways.ID{ways.Reset2, ways.Reinstall}, skip: noInstaller, do: doInstall, next: meetAgain},
		{name: meetAgain, text: "Following it to its address", only: again, do: doMeetAgain, next: helper},
		{name: helper, text: "Signing in as another administrator", only: []ways.ID{ways.OtherAdministrator}, do: doHelper, next: byHand},
		{name: byHand, text: "Going that way by hand", only: hands, do: doByHand, next: default1},
		{name: default1, text: "Signing in with what it has after a reset", only: []ways.ID{ways.Reset1, ways.DefaultSignIn}, skip: pageInstead, do: doDefault, next: proveBox},
		{name: proveBox, text: "Making sure that it is the NAS in front of you", skip: keepsPassword, do: doProve, next: who},
		{name: who, text: "Choosing whose password is set", do: doWho, next: newSecret},
		{name: newSecret, text: "Choosing the new password", skip: keepsPassword, do: doNewSecret, next: setSecret},
		{name: setSecret, text: "Setting the new password", skip: keepsPassword, do: doSetSecret, next: signIn},
		{name: signIn, text: "Signing in anew", do: doSignIn, next: harden},
		{name: harden, text: "Closing what a reset opens", do: doHarden, next: putBack},
		{name: putBack, text: "Putting settings back", do: doPutBack, next: witnessed},
		{name: witnessed, text: "Comparing every file with before", skip: func(r *run) bool { return r.cfg.Witness == nil }, do: doWitness, next: ended},
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

// run is one guided rescue under way. Nothing of it is written down.
type run struct {
	cfg Config
	req Request
	res rescue.Result

	before, now discover.Device
	box         Device
	signedIn    bool // box has a session
	verdict     pins.Verdict
	proved      bool
	met         bool // a rescue's witness has looked

	evidence triage.Evidence
	known    ways.Known
	settings *nas.Settings // read before anything was changed
	way      ways.Way
	presses  int
	jump     rescue.Name // where a step leads instead of its row's next

	administrator string
	password      access.Secret
	second        bool // the account has a second step
}

func newRun(cfg Config, req Request) *run {
	cfg.Wait = cmp.Or(cfg.Wait, discover.DefaultWait)
	cfg.Poll = cmp.Or(cfg.Poll, 500*time.Millisecond)
	cfg.Settle = cmp.Or(cfg.Settle, 2*time.Minute)
	cfg.Stable = cmp.Or(cfg.Stable, 15*time.Second) // DSM waits 10 s for a second press before it restarts
	cfg.Patience = cmp.Or(cfg.Patience, 20*time.Minute)
	return &run{cfg: cfg, req: req, administrator: req.Administrator, res: rescue.Result{Timeline: []rescue.Entry{}, Restored: []string{}, NotDone: []string{}}}
}

// goThrough runs the table to its end.
func (r *run) goThrough(ctx context.Context) (rescue.Result, error) {
	err := r.loop(ctx)
	if r.box != nil {
		leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
		_ = r.box.SignOut(leave)
		cancel()
	}
	if err == nil {
		err = r.judge()
	}
	r.res.Way = rescue.WayID(r.way.ID)
	r.res.Administrator = r.administrator
	if p, ok := errors.AsType[catalog.Problem](err); ok {
		if ctx.Err() == nil && r.res.SignedIn && p.Exit == catalog.Failed {
			p.Exit = catalog.InPart
		}
		r.res.Problem, err = &p, p
	}
	return r.res, err
}

func (r *run) loop(ctx context.Context) error {
	at := find
	for range maxTurns {
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

func (r *run) step(ctx context.Context, s step) (rescue.Name, error) {
	if s.only != nil && !slices.Contains(s.only, r.way.ID) || s.skip != nil && s.skip(r) {
		return s.next, nil
	}
	begun, wall := r.cfg.Clock.Monotonic(), r.cfg.Clock.Now().UTC()
	r.cfg.Person.Tell(rescue.Event{Kind: rescue.StepStarted, Step: s.name, Text: s.text})
	verified, err := s.do(ctx, r)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	took := r.cfg.Clock.Monotonic() - begun
	r.res.Timeline = append(r.res.Timeline, rescue.Entry{Step: s.name, Started: wall, MS: took.Milliseconds(), Verified: verified && err == nil})
	if err == nil {
		r.cfg.Person.Tell(rescue.Event{Kind: rescue.StepDone, Step: s.name, Text: s.text, Verified: verified, Elapsed: took})
		if r.jump != "" {
			s.next, r.jump = r.jump, ""
		}
		return s.next, nil
	}
	p := catalog.AsProblem(err)
	r.cfg.Person.Tell(rescue.Event{Kind: rescue.StepFailed, Step: s.name, Text: p.Error(), Elapsed: took})
	if to, ok := s.on[p.ID]; ok && r.presses < maxPresses {
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

// fact tells a sentence of the catalogue with its id.
func (r *run) fact(s rescue.Name, ids ...catalog.ID) {
	for _, id := range ids {
		if f, ok := catalog.FactNamed(id); ok && f.Vendor == r.before.Vendor && f.Applies(r.version()) {
			r.tell(s, f.Text+" ["+string(f.ID)+", confidence "+string(f.Confidence)+"]")
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
		lines = append(lines, "  ["+string(f.ID)+", confidence "+string(f.Confidence)+"]")
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
