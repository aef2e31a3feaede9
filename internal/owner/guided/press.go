package guided

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/triage"
	"github.com/paperclip-nas/paperclip/internal/domain/ways"
	"github.com/paperclip-nas/paperclip/internal/owner/discover"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
)

const (
	maxPresses = 3
	lookFor    = 3 * time.Second // one look while waiting

	synologyHold = 4 * time.Second
	qnapHold     = 3 * time.Second
)

// label is what the NAS is looked for by, wherever it is now: what does not
// change with its address or name.
func (r *run) label() string {
	switch {
	case len(r.before.MACs) > 0:
		return r.before.MACs[0]
	case r.before.Serial != "":
		return r.before.Serial
	}
	return r.before.Name
}

// look looks for the NAS once; ok is false while it is not there.
func (r *run) look(ctx context.Context) (d discover.Device, ok bool, err error) {
	found, err := r.cfg.Finder.Find(ctx, r.label(), lookFor)
	switch {
	case ctx.Err() != nil:
		return d, false, ctx.Err()
	case err != nil && catalog.ExitOf(err) != catalog.NotFound:
		return d, false, err
	case len(found) == 0:
		return d, false, nil
	case len(found) > 1:
		return d, false, catalog.New("look_alikes", r.label())
	}
	return found[0], true, nil
}

// doWaitReady waits until a press can have an effect (D1, D8).
func doWaitReady(ctx context.Context, r *run) (bool, error) {
	begun, told := r.cfg.Clock.Monotonic(), false
	for {
		state, err := r.state(ctx)
		if err != nil {
			return false, err
		}
		switch state {
		case nas.Ready, nas.Unknown, nas.NotConfigured, nas.Other:
			if r.way.ID == ways.Wait && r.cause() == triage.NotReady { // now it can say what else is wrong
				r.evidence.Status, r.way, r.jump = nas.Ready, ways.Way{}, meet
				r.standing()
			}
			return state == nas.Ready, nil
		case nas.NotInstalled, nas.ConfigurationLost:
			c, _ := triage.CauseNamed(triage.DrivesMissing)
			if state == nas.ConfigurationLost {
				c, _ = triage.CauseNamed(triage.ConfigurationLost)
			}
			return false, catalog.New("no_button_needed", c.Text, c.WhatToDo)
		}
		if !told {
			told = true
			r.tell(waitReady, "It is not ready: "+state.String()+". A press would do nothing now.")
			r.fact(waitReady, "synology.button.before", "qnap.button.running")
		}
		if r.cfg.Clock.Monotonic()-begun > r.cfg.Patience {
			return false, catalog.New("never_ready", r.cfg.Patience)
		}
		if err := r.pause(ctx); err != nil {
			return false, err
		}
		d, ok, err := r.look(ctx)
		if err != nil {
			return false, err
		}
		if ok {
			r.now = d
		}
	}
}

// standing takes what the NAS says now for how it was before: what a press changes
// is compared with it. What it does not say now stays.
func (r *run) standing() {
	b, n := &r.before, r.now
	b.Status, b.Addresses = n.Status, n.Addresses
	b.HTTPPort, b.HTTPSPort = cmp.Or(n.HTTPPort, b.HTTPPort), cmp.Or(n.HTTPSPort, b.HTTPSPort)
	if n.DHCP != nil {
		b.DHCP = n.DHCP
	}
	b.Version, b.Build = cmp.Or(n.Version, b.Version), cmp.Or(n.Build, b.Build)
}

// state is how the NAS says it is: in the search, or else on its page.
func (r *run) state(ctx context.Context) (nas.Status, error) {
	if s := status(r.now); s != nas.Unknown {
		return s, nil
	}
	if r.connected(ctx) != nil {
		return nas.Unknown, ctx.Err()
	}
	s, err := r.box.State(ctx)
	if err != nil {
		return nas.Unknown, ctx.Err()
	}
	return s, nil
}

// doPress has the button held. Whether it arrived, the next step sees.
func doPress(ctx context.Context, r *run) (bool, error) {
	r.presses++
	if r.box != nil {
		_ = r.box.SignOut(ctx) // whatever session there was ends with the reset
		r.signedIn = false
	}
	hold, facts := synologyHold, []catalog.ID{"synology.button.hole", "synology.button.mode1"}
	if !r.synology() {
		hold, facts = qnapHold, []catalog.ID{"qnap.button.hole", "qnap.button.basic", "qnap.button.advanced", "qnap.wrong.ten_seconds"}
	}
	r.fact(press, facts...)
	if m, ok := catalog.ModelNamed(r.before.Model); ok {
		if place, ok := catalog.PlaceOf(m); ok {
			r.quote(press, place)
		}
	}
	seen, stop := r.watchWhile(ctx)
	defer stop()
	why := fmt.Sprintf("Hold RESET of %s for %d seconds; at the first beep, let go at once.", r.res.Device, int(hold/time.Second))
	if r.presses > 1 {
		why = "Nothing was seen to change. " + why + " Push until it clicks; the NAS must be ready; not too short, and not on past the beep."
	}
	err := r.cfg.Person.Press(ctx, rescue.Press{Device: r.res.Device, Hold: hold, Beeps: 1, Why: why, Opened: seen})
	if err == nil && r.way.ID == ways.Reset2 && r.synology() {
		err = r.cfg.Person.Press(ctx, rescue.Press{Device: r.res.Device, Hold: hold, Beeps: 3, Why: "Now, within 10 seconds, hold it again about 4 seconds, until it beeps three times.", Opened: seen})
	}
	if errors.Is(err, catalog.New("no_beep")) { // what came of it is to be seen
		r.tell(press, catalog.AsProblem(err).Text+" Looking whether it arrived all the same.")
		return false, nil
	}
	r.pressed = r.pressed || err == nil
	return err == nil, err
}

// watchWhile looks for the NAS while the button is held, and closes seen when
// something has changed.
func (r *run) watchWhile(ctx context.Context) (seen <-chan struct{}, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	changed, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if d, ok, err := r.look(ctx); err == nil && ok && differs(r.before, d) {
				close(changed)
				return
			}
			if r.pause(ctx) != nil {
				return
			}
		}
	}()
	return changed, func() { cancel(); <-done }
}

// differs reports whether a reset can be seen in what the NAS says of itself.
func differs(before, now discover.Device) bool {
	flag := before.DHCP != nil && now.DHCP != nil && *before.DHCP != *now.DHCP
	moved := len(now.Addresses) > 0 && !slices.Contains(before.Addresses, now.Addresses[0])
	ports := now.HTTPPort != 0 && before.HTTPPort != 0 && now.HTTPPort != before.HTTPPort || now.HTTPSPort != 0 && before.HTTPSPort != 0 && now.HTTPSPort != before.HTTPSPort
	return flag || moved || ports || before.Status == nas.Ready.ID() && now.Status != before.Status && now.Status != nas.Unknown.ID()
}

// doWatch follows the NAS through its reset: a reboot is noticed, and so is
// that there is none.
func doWatch(ctx context.Context, r *run) (bool, error) {
	begun := r.cfg.Clock.Monotonic()
	gone, told, changedAt := false, "", time.Duration(0)
	for {
		since := r.cfg.Clock.Monotonic() - begun
		d, ok, err := r.look(ctx)
		if err != nil {
			return false, err
		}
		switch {
		case !ok && !gone:
			gone = true
			r.tell(watch, "It does not answer any more: it is restarting, or on its way to another address.")
		case ok && (gone || differs(r.before, d)):
			if changedAt == 0 {
				changedAt = max(since, 1)
				if !gone {
					r.tell(watch, "The press has arrived. Waiting a moment whether it restarts as well.")
				}
			}
			r.now = d
			if told != d.Status {
				told = d.Status
				r.tell(watch, fmt.Sprintf("It answers after %s, at %s: %s.", since.Round(time.Second), address(d), d.StatusText))
			}
			settled := gone || address(d) != r.was() || since-changedAt > r.cfg.Stable // else it may be about to restart
			if r.back(d) && settled {
				r.evidence.Press = triage.Unchanged
				if differs(r.before, d) {
					r.evidence.Press, r.pressed = triage.Changed, true
				}
				return true, nil
			}
		case ok && since > r.cfg.Settle:
			r.evidence.Press = triage.Unchanged
			r.fact(watch, "synology.press.nothing", "synology.button.before", "qnap.button.running")
			c, _ := triage.CauseNamed(triage.PressWithoutEffect)
			return false, catalog.New("press_without_effect", c.WhatToDo)
		}
		if since > r.cfg.Patience {
			return false, catalog.New("never_came_back", r.cfg.Patience)
		}
		if err := r.pause(ctx); err != nil {
			return false, err
		}
	}
}

// back reports whether the NAS is where this reset leaves it.
func (r *run) back(d discover.Device) bool {
	s := status(d)
	if r.way.ID == ways.Reset2 && r.synology() {
		return s == nas.ConfigurationLost
	}
	return s == nas.Ready || s == nas.Unknown || s == nas.NotConfigured
}

func address(d discover.Device) string {
	if len(d.Addresses) == 0 {
		return "no address"
	}
	return d.Addresses[0].String()
}

// noInstaller reports whether there is nothing to be installed.
func noInstaller(r *run) bool {
	return status(r.now) != nas.ConfigurationLost && status(r.now) != nas.NotConfigured && status(r.now) != nas.Migratable && status(r.now) != nas.Recoverable
}

// doInstall guides through the installer, and waits until the system is up.
func doInstall(ctx context.Context, r *run) (bool, error) {
	if err := r.meetNow(ctx, ""); err != nil {
		return false, err
	}
	r.fact(install, "synology.mode2.reinstall", "synology.mode2.dss", "synology.mode2.not_installed", "qnap.advanced.shares")
	done, err := r.page(ctx, TaskInstaller, "Its settings are gone; the files are there. Its installer makes it ready again:")
	if err != nil {
		return false, err
	}
	if !done {
		return false, catalog.New("guided_end", "its system is to be installed anew", "Open "+r.box.Page(TaskInstaller).URL+" and follow the wizard; then run `paperclip rescue` again.")
	}
	begun, told := r.cfg.Clock.Monotonic(), ""
	for {
		d, ok, err := r.look(ctx)
		if err != nil {
			return false, err
		}
		if ok && status(d) == nas.Ready {
			r.now = d
			return true, nil
		}
		if ok && d.Status != told {
			told = d.Status
			r.tell(install, fmt.Sprintf("After %s it says: %s.", (r.cfg.Clock.Monotonic()-begun).Round(time.Second), d.StatusText))
		}
		if r.cfg.Clock.Monotonic()-begun > r.cfg.Patience {
			return false, catalog.New("never_came_back", r.cfg.Patience)
		}
		if err := r.pause(ctx); err != nil {
			return false, err
		}
	}
}

// meetNow connects to where the NAS is now.
func (r *run) meetNow(ctx context.Context, pin string) error {
	box, err := r.cfg.Meet(ctx, r.now, pin)
	if err != nil {
		return err
	}
	r.box, r.signedIn = box, false
	return nil
}

// doMeetAgain follows the NAS to its new address, and says whether it is the
// same one: by the certificate of before, as long as that is unchanged.
func doMeetAgain(ctx context.Context, r *run) (bool, error) {
	pin := r.cfg.Pins.Pin(r.identity())
	var err error
	for begun := r.cfg.Clock.Monotonic(); ; {
		if err = r.meetNow(ctx, pin); err == nil || !errors.Is(err, catalog.New("unreachable")) || r.cfg.Clock.Monotonic()-begun > r.cfg.Settle {
			break
		}
		if err := r.pause(ctx); err != nil {
			return false, err
		}
		if d, ok, err := r.look(ctx); err == nil && ok {
			r.now = d
		}
	}
	r.res.AddressAfter = address(r.now)
	r.proved = false
	switch {
	case errors.Is(err, catalog.New("certificate_changed")):
		r.strange = true
		r.tell(meetAgain, "It shows another certificate than before the reset. It will have to be proved before a password goes there.")
		if err := r.meetNow(ctx, ""); err != nil {
			return false, err
		}
		return false, r.services(ctx)
	case err != nil:
		return false, err
	}
	if err := r.services(ctx); err != nil {
		return false, err
	}
	r.strange = false
	r.proved = pin != "" && r.box.Fingerprint() == pin
	if r.proved {
		r.tell(meetAgain, "It is at "+r.res.AddressAfter+" now, with the certificate of before.")
	}
	return r.proved, nil
}

// services waits until what the NAS's page says of itself is that it is up:
// before that a sign-in is refused, whatever the password.
func (r *run) services(ctx context.Context) error {
	for begun, told := r.cfg.Clock.Monotonic(), false; ; {
		s, err := r.box.State(ctx)
		if err != nil || s != nas.Booting && s != nas.StartingServices {
			return ctx.Err()
		}
		if !told {
			told = true
			r.tell(meetAgain, "It answers, and its services are still starting.")
		}
		if r.cfg.Clock.Monotonic()-begun > r.cfg.Patience {
			return catalog.New("never_came_back", r.cfg.Patience)
		}
		if err := r.pause(ctx); err != nil {
			return err
		}
	}
}
