// Package terminal is a person at a terminal, as a rescue asks them: to press,
// to hear, to choose.
//
// Its rules: it writes whole lines of plain words, no colour, no picture, no
// line that is overwritten, so that it works on a dumb terminal and reads well
// aloud. It asks one thing at a time and says what an empty answer means. A
// password is never shown and never kept; it may be pasted. It writes nothing
// that came from a NAS without cleaning it, and it never answers for the person.
package terminal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
	"github.com/paperclip-nas/paperclip/internal/x/hiddenline"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
	"github.com/paperclip-nas/paperclip/internal/x/wordwrap"
)

const (
	maxLine  = 1024 // bytes of one answer
	attempts = 5    // wrong answers to one question
	bell     = "\a"
)

// Hands press a button and hear a beeper that the person has before them only
// on the screen: the lab's.
type Hands interface {
	Press(ctx context.Context, p rescue.Press) error
	Hear(ctx context.Context, h rescue.Hear) (access.Presence, error)
}

// Terminal is a person at a terminal. Make one with New.
type Terminal struct {
	in    *os.File
	clock clock.Clock
	hands Hands
	end   func() // may be nil

	mu      sync.Mutex
	out     io.Writer
	working func() // stops the signs of life of the step under way
}

var _ rescue.Person = (*Terminal)(nil)

// Is tells whether f is a terminal.
func Is(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// New returns the person at in, which must be a terminal, who reads out. hands
// is nil in front of a real NAS. The clock is the one that holds are counted by.
// end, which may be nil, is called where the person types Ctrl-D: it ends the
// context of what is asked.
func New(in *os.File, out io.Writer, c clock.Clock, hands Hands, end func()) *Terminal {
	return &Terminal{in: in, out: out, clock: c, hands: hands, end: end}
}

func (t *Terminal) say(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, format, args...)
}

// lines writes text that may be longer than the screen is wide: each line of it is
// broken between words, and set in by more blanks from there.
func (t *Terminal) lines(text string, more int) {
	width := 0
	if f, ok := t.out.(*os.File); ok {
		width, _, _ = term.GetSize(int(f.Fd())) // 0: nothing is broken
	}
	for line := range strings.SplitSeq(text, "\n") {
		t.say("%s\n", strings.Join(wordwrap.Hang(line, more, width), "\n"))
	}
}

// Press counts along while the button is held.
func (t *Terminal) Press(ctx context.Context, p rescue.Press) error {
	t.quiet()
	t.say("\n")
	t.lines(p.Why, 0)
	if t.hands != nil {
		return t.pressVirtual(ctx, p)
	}
	if p.Beeps > 1 { // there is no time to press Enter first
		t.say("Hold …\n")
		return t.arrived(ctx, p)
	}
	if p.Beeps == 0 && p.Hold < time.Second {
		t.say("Press the reset button of %s briefly, like a door bell.\n", p.Device)
		return t.arrived(ctx, p)
	}
	t.say("Look for a small hole or button marked RESET on %s; a straightened paper clip fits.\n", p.Device)
	t.say("Press Enter at the moment you begin to hold it, and this will count with you.\n")
	if _, err := t.line(ctx); err != nil {
		return err
	}
	if err := t.count(ctx, p, p.Opened); err != nil {
		return err
	}
	return t.arrived(ctx, p)
}

// pressVirtual has the lab hold its button, and counts along.
func (t *Terminal) pressVirtual(ctx context.Context, p rescue.Press) error {
	t.say("This is a virtual NAS: press Enter, and its button is held for you.\n")
	if _, err := t.line(ctx); err != nil {
		return err
	}
	let := make(chan struct{})
	pressed := make(chan error, 1)
	go func() {
		pressed <- t.hands.Press(ctx, p)
		close(let)
	}()
	if err := t.count(ctx, p, let); err != nil {
		return err
	}
	return <-pressed
}

// count counts the seconds of a hold until it was long enough, or until ended
// is closed.
func (t *Terminal) count(ctx context.Context, p rescue.Press, ended <-chan struct{}) error {
	t.say("Hold …\n")
	seconds := int(p.Hold / time.Second)
	for n := 1; n <= seconds; n++ {
		select {
		case <-t.clock.After(time.Second):
			t.say("  %d …\n", n)
			continue
		case <-ended:
		case <-ctx.Done():
			return ctx.Err()
		}
		break
	}
	if p.Beeps > 0 {
		t.say("%s  beep — let go\n", bell)
	} else {
		t.say("  let go\n")
	}
	return nil
}

// arrived gives the press a while to be noticed. That it was not is no error:
// the caller looks, and asks again.
func (t *Terminal) arrived(ctx context.Context, p rescue.Press) error {
	select {
	case <-p.Opened:
		return nil
	case <-t.clock.After(8 * time.Second):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Hear asks for the four counts, or for the code on the label.
func (t *Terminal) Hear(ctx context.Context, h rescue.Hear) (access.Presence, error) {
	t.quiet()
	if h.Wrong > 0 {
		t.say("\nThat was not the code. Listen again; it is said over and over.\n")
	}
	t.say("\n")
	t.lines(h.Device+" now beeps its code: four groups of 1 to 6 beeps, then a pause, then again.\nWrite down how many beeps each group has. For example 3 1 6 2.", 0)
	if h.Label {
		t.lines("If you cannot hear it: the code on the label of the NAS will do as well, 13 letters and digits.", 0)
	}
	var heard access.Presence
	if t.hands != nil {
		t.say("Listening to the virtual beeper …\n")
		var err error
		if heard, err = t.hands.Hear(ctx, h); err != nil {
			return nil, err
		}
		if code, ok := heard.(access.Code); ok {
			t.say("  heard: %s\n", spaced(code))
		}
	}
	for range attempts {
		t.say("The four counts%s: ", enterTakes(t.hands != nil, "what was heard"))
		text, err := t.line(ctx)
		if err != nil {
			return nil, err
		}
		if text == "" && t.hands != nil {
			return heard, nil
		}
		code, err := access.ParsePresence(text)
		switch {
		case err == nil && code.With() == access.ByLabelCode && !h.Label:
			t.say("That has the form of a label's code, and this NAS takes none.\n")
			continue
		case err == nil:
			return code, nil
		}
		t.say("That is not a code: %s.\n", err)
	}
	return nil, catalog.New("gave_up")
}

func spaced(c access.Code) string {
	parts := make([]string, len(c))
	for i, n := range c {
		parts[i] = strconv.Itoa(n)
	}
	return strings.Join(parts, " ")
}

func enterTakes(there bool, what string) string {
	if !there {
		return ""
	}
	return " (Enter takes " + what + ")"
}

// Choose asks one question.
func (t *Terminal) Choose(ctx context.Context, q rescue.Question) (rescue.Answer, error) {
	t.quiet()
	t.say("\n")
	for _, l := range q.Lines {
		t.lines(printable.Clean(l), 2)
	}
	switch {
	case q.ID == rescue.AskNewPassword:
		return t.newPassword(ctx, q)
	case q.ID == rescue.AskPassword:
		t.say("%s\n", q.Text)
		p, err := t.hidden(ctx, "Password (Enter leaves it out): ")
		return rescue.Answer{Password: p}, err
	case q.ID == rescue.AskRecoveryCode:
		if q.Advice != "" {
			t.say("%s\n", q.Advice)
		}
		t.say("%s\nRecovery code, as in 7k2m-9qxw-b4tna: ", q.Text)
		text, err := t.line(ctx)
		return rescue.Answer{Password: access.NewSecret(text)}, err
	case q.Hidden:
		t.say("%s\n", q.Text)
		p, err := t.hidden(ctx, "(Enter leaves it out): ")
		return rescue.Answer{Password: p}, err
	case q.Typed:
		return t.typed(ctx, q)
	case q.Page != nil:
		t.say("%s Type yes, or Enter for no: ", q.Text)
		text, err := t.line(ctx)
		return rescue.Answer{Yes: strings.EqualFold(text, "yes") || strings.EqualFold(text, "y")}, err
	case len(q.Options) == 0:
		t.say("%s Type yes to go on; anything else stops, and nothing is changed: ", q.Text)
		text, err := t.line(ctx)
		return rescue.Answer{Yes: strings.EqualFold(text, "yes") || strings.EqualFold(text, "y")}, err
	}
	return t.oneOf(ctx, q)
}

func (t *Terminal) typed(ctx context.Context, q rescue.Question) (rescue.Answer, error) {
	if q.Advice != "" {
		t.say("%s.\n", q.Advice)
	}
	t.say("%s\nAnswer%s: ", q.Text, enterTakes(q.Default != "", q.Default))
	text, err := t.line(ctx)
	if text == "" {
		text = q.Default
	}
	return rescue.Answer{Option: text}, err
}

func (t *Terminal) oneOf(ctx context.Context, q rescue.Question) (rescue.Answer, error) {
	t.lines(q.Text, 0)
	def := ""
	for i, o := range q.Options {
		t.lines(fmt.Sprintf("  %d  %s", i+1, printable.Clean(o.Text)), 3)
		for l := range strings.SplitSeq(o.Detail, "\n") {
			if l != "" {
				t.lines("       "+printable.Clean(l), 2)
			}
		}
		if o.ID == q.Default {
			def = strconv.Itoa(i + 1)
		}
	}
	for range attempts {
		t.say("Number%s: ", enterTakes(def != "", def))
		text, err := t.line(ctx)
		if err != nil {
			return rescue.Answer{}, err
		}
		if text == "" {
			text = def
		}
		if n, err := strconv.Atoi(text); err == nil && n >= 1 && n <= len(q.Options) {
			return rescue.Answer{Option: q.Options[n-1].ID}, nil
		}
		t.say("Please type a number from 1 to %d.\n", len(q.Options))
	}
	return rescue.Answer{}, catalog.New("gave_up")
}

func (t *Terminal) newPassword(ctx context.Context, q rescue.Question) (rescue.Answer, error) {
	least := access.MinPassword
	if q.SecondFactor {
		least = access.MinPasswordWithFactor
	}
	t.lines(fmt.Sprintf("%s\nAt least %d characters; four or five words that have nothing to do with each other do well.\nIt is not shown while you type; pasting is fine.", q.Text, least), 0)
	if q.Advice != "" {
		t.lines(q.Advice, 0)
	}
	for range attempts {
		first, err := t.hidden(ctx, "New password: ")
		if err != nil {
			return rescue.Answer{}, err
		}
		if r := access.CheckPassword(first, q.SecondFactor, q.Names...); r != access.PasswordFits {
			t.lines(access.PasswordAdvice(r, q.SecondFactor), 0)
			continue
		}
		second, err := t.hidden(ctx, "Again: ")
		if err != nil {
			return rescue.Answer{}, err
		}
		if first == second {
			return rescue.Answer{Password: first}, nil
		}
		t.say("The two are not the same. Once more.\n")
	}
	return rescue.Answer{}, catalog.New("gave_up")
}

// Tell writes progress, one line each.
func (t *Terminal) Tell(e rescue.Event) {
	switch e.Kind {
	case rescue.StepStarted:
		t.quiet()
		t.say("· %s\n", e.Text)
		t.alive()
	case rescue.StepDone:
		t.quiet()
		word := "  done"
		if e.Verified {
			word = "  done, and checked"
		}
		if e.Elapsed >= time.Second {
			word += fmt.Sprintf(" (%d s)", int(e.Elapsed.Seconds()))
		}
		t.say("%s\n", word)
	case rescue.StepFailed:
		t.quiet()
		t.say("  %s\n", printable.Clean(e.Text))
	case rescue.Progress:
		if e.Total > 0 {
			t.say("  %s: %d of %d\n", printable.Clean(e.Text), e.Done, e.Total)
		}
	default:
		if e.Doubt != "" {
			e.Text += " (" + e.Doubt + ")"
		}
		t.lines("  "+printable.Clean(e.Text), 0)
	}
}

// alive says that a step which takes more than a second is still going on.
func (t *Terminal) alive() {
	stop := make(chan struct{})
	var once sync.Once
	t.mu.Lock()
	t.working = func() { once.Do(func() { close(stop) }) }
	t.mu.Unlock()
	go func() {
		begun := time.Now()
		for wait := time.Second; ; wait = 5 * time.Second {
			select {
			case <-stop:
				return
			case <-time.After(wait):
				t.say("  still at it, %d s\n", int(time.Since(begun).Seconds()))
			}
		}
	}()
}

// quiet ends the signs of life: the person is asked something now.
func (t *Terminal) quiet() {
	t.mu.Lock()
	stop := t.working
	t.working = nil
	t.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// ended ends the program as Ctrl-C does: the person has said, with Ctrl-D, that
// nothing more will be typed.
func (t *Terminal) ended() error {
	if t.end != nil {
		t.end()
	}
	return context.Canceled
}

type reading struct {
	text string
	err  error
}

// line reads one line. It reads byte by byte, so that nothing that was typed
// ahead is lost to a later question.
func (t *Terminal) line(ctx context.Context) (string, error) {
	got := make(chan reading, 1)
	go func() {
		var b []byte
		var one [1]byte
		for len(b) < maxLine {
			n, err := t.in.Read(one[:])
			if n == 1 && one[0] == '\n' {
				break
			}
			if err != nil {
				got <- reading{"", err}
				return
			}
			b = append(b, one[:n]...)
		}
		got <- reading{strings.TrimSpace(string(b)), nil}
	}()
	select {
	case r := <-got:
		if r.err != nil {
			t.say("\n") // the prompt has ended
		}
		return r.text, t.noMore(r.err)
	case <-ctx.Done():
		t.say("\n")
		return "", ctx.Err()
	}
}

// noMore is why nothing was read: the person ended it, or nobody is there any
// more.
func (t *Terminal) noMore(err error) error {
	switch {
	case err == nil || errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, io.EOF) && Is(t.in):
		return t.ended()
	}
	return catalog.New("no_terminal", "Run it again in a terminal.").Because(err)
}

// hidden reads a line that is not shown. The terminal is put right again
// whatever happens.
func (t *Terminal) hidden(ctx context.Context, prompt string) (access.Secret, error) {
	t.say("%s", prompt)
	text, err := hiddenline.Read(ctx, t.in)
	t.say("\n")
	return access.NewSecret(text), t.noMore(err)
}
