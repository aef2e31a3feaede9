package rescue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

// What a hard reset (D3, D5) has beside a soft one: the second press, and the
// set-up wizard, whose answers are taken before anything is accepted.

// hardWords are said before anybody presses for more than is needed.
const hardWords = "A hard reset sets back every system setting: name, network, shares, every other person's account. No file on a volume is touched. " +
	"For a forgotten password it is not needed: `paperclip rescue` without --mode hard sets a new one and leaves the rest as it is."

func (st State) hard() bool { return st.Mode == reset.Hard }

// setsPassword tells whether the reset needs a new password.
func (st State) setsPassword() bool { return reset.SetsPassword(st.mode(), st.Scope) }

// mode is the mode, where nothing was said too.
func (st State) mode() reset.Mode {
	if st.hard() {
		return reset.Hard
	}
	return reset.Soft
}

// demand is what the NAS's owner asks for beside presence.
func (r *run) demand() access.Demand {
	if r.state.hard() {
		return r.options.HardDemand
	}
	if r.state.SecondFactor {
		return r.options.SecondFactor
	}
	return r.options.Demands[r.state.Scope]
}

// pressTwice has a hard claim opened: hold, let go, and within ten seconds hold
// again. A second press that came too late counts for nothing; then the claim
// is closed and it all begins anew.
func (r *run) pressTwice(ctx context.Context) error {
	begun := r.cfg.Clock.Monotonic()
	first := Press{Device: r.state.Device, Hold: softHold, Beeps: 1, Why: "For a hard reset the button is held twice. First: hold it about 4 seconds; at the beep, let go. Then at once hold it again. That changes nothing by itself."}
	second := Press{Device: r.state.Device, Hold: softHold, Beeps: 3, Why: "Now, within 10 seconds: hold it again until it beeps three times, and let go."}
	for !r.overdue(begun) {
		if err := r.closeSoft(ctx); err != nil {
			return err
		}
		if done, err := r.pressOnce(ctx, first, func(c deviceapi.Claim) bool { return c.Open && c.CodeNeeded }); err != nil {
			return err
		} else if !done {
			r.tell(PressIt, "The NAS does not show that the press has arrived. Nothing was changed; try again.")
			continue
		}
		if done, err := r.pressOnce(ctx, second, func(c deviceapi.Claim) bool { return c.Open && c.Hard }); err != nil || done {
			return err
		}
		r.tell(PressIt, "The second press did not come in time, so this claim is for a soft reset. Nothing was changed; once more from the beginning.")
	}
	return catalog.New("press_not_seen")
}

// closeSoft closes a claim that was opened for less.
func (r *run) closeSoft(ctx context.Context) error {
	info, err := r.info(ctx)
	if err != nil || !info.Claim.Open || info.Claim.Hard {
		return err
	}
	p := Press{Hold: closeHold, Why: "A claim for a soft reset is open. Hold the button longer than 10 seconds, which closes it and changes nothing."}
	return r.press(ctx, p, func(c deviceapi.Claim) bool { return !c.Open })
}

func notHard(r *run) bool { return !r.state.hard() }

// maxAnswers bounds how often an answer that cannot be used is asked for again.
const maxAnswers = 10

// doWizard asks what a NAS that is set up anew needs to know.
func doWizard(ctx context.Context, r *run) error {
	w := reset.Wizard{Network: []reset.Address{}, NewAdministrator: r.state.NewAdministrator}
	const theNetwork = 1
	for i, ask := range []func(context.Context, *run, *reset.Wizard, string) error{askName, askNetwork, askRestore} {
		advice := ""
		if i == theNetwork {
			advice, r.refused = r.refused, ""
		}
		for n := 0; ; n++ {
			if n == maxAnswers {
				return catalog.New("gave_up")
			}
			err := ask(ctx, r, &w, advice)
			if err == nil {
				err = w.Check(r.options.Settings)
			}
			if err == nil {
				break
			}
			if !errors.Is(err, reset.ErrWizard) {
				return err
			}
			advice = printable.Clean(err.Error())
		}
	}
	r.state.Wizard = &w
	return nil
}

func verifyWizard(_ context.Context, r *run) (bool, error) {
	return r.state.Wizard != nil && r.state.Wizard.Check(r.options.Settings) == nil, nil
}

// SomebodyNew is the choice of an administrator whom the NAS does not know yet.
// No account can have that name.
const SomebodyNew = "+new"

// knownByNow takes an account that an earlier, interrupted reset did make for
// one that there is.
func (r *run) knownByNow() {
	if slices.ContainsFunc(r.options.Administrators, func(a deviceapi.Administrator) bool { return a.Name == r.state.Administrator }) {
		r.state.NewAdministrator = false
	}
}

// askNewAdministrator asks what the account is to be called that the reset makes.
func (r *run) askNewAdministrator(ctx context.Context) error {
	advice := r.refusedName
	r.refusedName, r.state.Administrator = "", ""
	for range maxAnswers {
		a, err := r.cfg.Person.Choose(ctx, Question{
			ID: AskNewAdministrator, Typed: true, Advice: advice,
			Text: "What name shall the new administrator sign in with? Small letters, digits, hyphens and underscores.",
		})
		if err != nil {
			return err
		}
		name := strings.TrimSpace(a.Option)
		if err = reset.CheckNewAccount(name, r.options.Settings); err == nil {
			r.state.Administrator, r.state.NewAdministrator = name, true
			return nil
		}
		advice = printable.Clean(err.Error())
	}
	return catalog.New("gave_up")
}

func askName(ctx context.Context, r *run, w *reset.Wizard, advice string) error {
	now := printable.Clean(r.options.Device.Name)
	a, err := r.cfg.Person.Choose(ctx, Question{
		ID: AskName, Text: "What shall the NAS be called? Small letters, digits and hyphens.", Typed: true, Default: now, Advice: advice,
	})
	if w.Name = strings.TrimSpace(a.Option); w.Name == now {
		w.Name = "" // as it is, whatever it is
	}
	return err
}

func askNetwork(ctx context.Context, r *run, w *reset.Wizard, advice string) error {
	var cards []string
	for _, in := range r.options.Settings.Interfaces {
		if !slices.ContainsFunc(r.options.Settings.Bonds, func(b nas.Bond) bool { return b.Name == in.Name }) {
			cards = append(cards, in.Name)
		}
	}
	a, err := r.cfg.Person.Choose(ctx, Question{
		ID: AskNetwork, Typed: true, Default: "dhcp", Advice: advice,
		Text:  "Its network: dhcp (the router gives it an address), or an address of your own.",
		Lines: []string{"Network cards: " + printable.Clean(strings.Join(cards, ", ")) + ". An address as in " + example(cards) + "; several with a blank between. IPv6 addresses are always automatic."},
	})
	w.Network = []reset.Address{}
	for text := range strings.FieldsSeq(a.Option) {
		if strings.EqualFold(text, "dhcp") {
			continue
		}
		address, perr := reset.ParseAddress(text)
		if perr != nil {
			return perr
		}
		w.Network = append(w.Network, address)
	}
	return err
}

func example(cards []string) string {
	card := "eth0"
	if len(cards) > 0 {
		card = cards[0]
	}
	return printable.Clean(card) + "=192.168.1.5/24,gateway=192.168.1.1,dns=192.168.1.1"
}

func askRestore(ctx context.Context, r *run, w *reset.Wizard, advice string) error {
	a, err := r.cfg.Person.Choose(ctx, Question{
		ID: AskRestore, Text: "Shall settings be put back afterwards?", Default: "none", Advice: advice,
		Options: []Option{
			{ID: "none", Text: "No: it is set up anew"},
			{ID: string(reset.RestoreBundle), Text: "Yes, as they are now: the NAS keeps a bundle of them", Detail: "until then it shows \"Configuration lost\""},
			{ID: string(reset.RestoreSnapshot), Text: "Yes, from a snapshot that I have", Detail: "until then it shows \"Configuration lost\""},
		},
	})
	if w.Restore = reset.Restore(a.Option); a.Option == "none" {
		w.Restore = reset.RestoreNone
	}
	return err
}

// sameAnswers holds the answers in a plan against those that were given.
func sameAnswers(a, b *reset.Wizard) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// followHard says what is left to do after a hard reset, and keeps its new name.
func (r *run) followHard(info deviceapi.Device) {
	if !r.state.hard() {
		return
	}
	if name := printable.Clean(info.Name); name != "" && name != r.state.Device {
		r.tell(Follow, fmt.Sprintf("The NAS is called %s now.", name))
		r.state.Device = name
	}
	if w := r.state.Wizard; w != nil && w.Restore != reset.RestoreNone {
		r.missing("putting the settings back from the " + string(w.Restore) + ": paperclip restore " + r.state.Device)
	}
}
