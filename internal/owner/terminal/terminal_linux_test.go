package terminal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
	"github.com/paperclip-nas/paperclip/internal/owner/terminal"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
)

// screen is the person's side of a pseudo-terminal: what they see, and how they
// answer once they see a question.
type screen struct {
	master, slave *os.File
	fd            int  // the slave's
	kept          bool // it stays open: somebody still reads it, and its number must not be another's

	mu   sync.Mutex
	seen bytes.Buffer
	news chan struct{} // closed and replaced when there is more to see
}

func newScreen(t *testing.T) *screen {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here: ", err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &screen{master: master, slave: slave, fd: int(slave.Fd()), news: make(chan struct{})}
	go func() {
		buf := make([]byte, 1024)
		for {
			n, err := master.Read(buf)
			if err != nil {
				return
			}
			s.mu.Lock()
			s.seen.Write(buf[:n])
			close(s.news)
			s.news = make(chan struct{})
			s.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		if !s.kept {
			slave.Close()
			master.Close()
		}
	})
	return s
}

func (s *screen) text() string {
	text, _ := s.look()
	return text
}

// look returns what is to be seen, and a channel that is closed when there is
// more.
func (s *screen) look() (string, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.String(), s.news
}

// until waits for a text, and returns where it ends.
func (s *screen) until(ctx context.Context, want string, from int) (int, error) {
	for {
		text, more := s.look()
		if at := strings.Index(text[from:], want); at >= 0 {
			return from + at + len(want), nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// answer types lines, each once its question is there, in order.
func (s *screen) answer(t *testing.T, pairs ...string) {
	from := 0
	for i := 0; i < len(pairs); i += 2 {
		var err error
		if from, err = s.until(t.Context(), pairs[i], from); err != nil {
			return
		}
		s.echoed(t, strings.Contains(pairs[i], "assword") || strings.Contains(pairs[i], "Again"))
		if _, err := s.master.WriteString(pairs[i+1] + "\n"); err != nil {
			t.Error(err)
		}
	}
}

// echoed waits until the terminal has stopped to echo, where it should.
func (s *screen) echoed(t *testing.T, hidden bool) {
	for hidden && t.Context().Err() == nil {
		state, err := unix.IoctlGetTermios(s.fd, unix.TCGETS)
		if err != nil {
			t.Error(err)
			return
		}
		if state.Lflag&unix.ECHO == 0 {
			return
		}
	}
}

func (s *screen) person(hands terminal.Hands) *terminal.Terminal {
	return terminal.New(s.slave, s.slave, clock.Faster(clock.System(), 100), hands, nil)
}

const password = "violet tractor nine gulls"

// The new password is typed twice, not shown, and asked again until it will do.
func TestNewPasswordIsNotShown(t *testing.T) {
	s := newScreen(t)
	go s.answer(t,
		"New password: ", "short",
		"New password: ", password, "Again: ", "violet tractor nine gull",
		"New password: ", password, "Again: ", password)
	a, err := s.person(nil).Choose(t.Context(), rescue.Question{ID: rescue.AskNewPassword, Text: "A new password for anna."})
	if err != nil || a.Password.Reveal() != password {
		t.Fatalf("%v, %d characters", err, len(a.Password.Reveal()))
	}
	seen := s.text()
	for _, want := range []string{"too short", "not the same", "pasting is fine", "15 characters"} {
		if !strings.Contains(seen, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if strings.Contains(seen, "tractor") || strings.Contains(seen, "short\r") {
		t.Error("a password is shown")
	}
}

func TestChoices(t *testing.T) {
	s := newScreen(t)
	go s.answer(t, "Number (Enter takes 2): ", "7", "Number", "one", "Number", "", "Number", "1", "changed: ", "YES", "changed: ", "")
	p := s.person(nil)
	q := rescue.Question{ID: rescue.AskAdministrator, Text: "Who?", Default: "b", Options: []rescue.Option{{ID: "a", Text: "Anna\x1b[2J", Detail: "here"}, {ID: "b", Text: "Ben"}}}
	for _, want := range []string{"b", "a"} {
		a, err := p.Choose(t.Context(), q)
		if err != nil || a.Option != want {
			t.Fatalf("%q, %v; want %q", a.Option, err, want)
		}
	}
	for _, want := range []bool{true, false} {
		a, err := p.Choose(t.Context(), rescue.Question{ID: rescue.AskAccept, Text: "Shall it?", Lines: []string{"keeps \x1b[31mall"}})
		if err != nil || a.Yes != want {
			t.Fatalf("%v, %v", a.Yes, err)
		}
	}
	if strings.Contains(s.text(), "\x1b") {
		t.Error("a NAS's text moves the cursor")
	}
}

// At a real NAS the person presses, the terminal counts along, and the claim
// seen open ends it.
func TestPressCountsAlong(t *testing.T) {
	s := newScreen(t)
	go s.answer(t, "count with you.", "")
	opened := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- s.person(nil).Press(t.Context(), rescue.Press{Device: "cellar", Hold: 4 * time.Second, Beeps: 1, Why: "Hold it.", Opened: opened})
	}()
	if _, err := s.until(t.Context(), "let go", 0); err != nil {
		t.Fatal(err)
	}
	close(opened)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"paper clip", "  1 …", "  2 …", "  3 …", "\a"} {
		if !strings.Contains(s.text(), want) {
			t.Errorf("%q is missing", want)
		}
	}
}

// Where the NAS has one, the code on its label may be typed instead.
func TestHearTheLabel(t *testing.T) {
	s := newScreen(t)
	go s.answer(t, "four counts: ", "7K2M-9QXW-B4TNA")
	c, err := s.person(nil).Hear(t.Context(), rescue.Hear{Device: "cellar", Label: true})
	if err != nil || c.With() != access.ByLabelCode {
		t.Fatal(err)
	}
	if !strings.Contains(s.text(), "label of the NAS") {
		t.Error("it does not say that the label's code will do")
	}
}

func TestHear(t *testing.T) {
	s := newScreen(t)
	go s.answer(t, "four counts: ", "7 7 7 7", "four counts: ", "7k2m-9qxw-b4tna", "four counts: ", "3-1-6-2")
	c, err := s.person(nil).Hear(t.Context(), rescue.Hear{Device: "cellar", Wrong: 1})
	if err != nil || c != (access.Code{3, 1, 6, 2}) {
		t.Fatal(err)
	}
	if !strings.Contains(s.text(), "not the code") || !strings.Contains(s.text(), "not a code") || !strings.Contains(s.text(), "takes none") {
		t.Error("it does not say what was wrong")
	}
}

// Interrupted while a password is typed, the terminal echoes again.
func TestInterruptedPutsTheTerminalRight(t *testing.T) {
	s := newScreen(t)
	s.kept = true
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		if _, err := s.until(ctx, "New password: ", 0); err == nil {
			s.echoed(t, true)
		}
	}()
	_, err := s.person(nil).Choose(ctx, rescue.Question{ID: rescue.AskNewPassword})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	state, err := unix.IoctlGetTermios(s.fd, unix.TCGETS)
	if err != nil || state.Lflag&unix.ECHO == 0 {
		t.Fatalf("the terminal does not echo any more (%v)", err)
	}
}

// What is well founded is told plainly, what is not with a word on it; ids are for
// logs.
func TestDoubtIsSaid(t *testing.T) {
	var b bytes.Buffer
	p := terminal.New(newScreen(t).slave, &b, clock.System(), nil, nil)
	p.Tell(rescue.Event{Kind: rescue.Note, Text: "Hold it.", Source: "x.y, confidence A"})
	p.Tell(rescue.Event{Kind: rescue.Note, Text: "It restarts.", Source: "x.z, confidence C", Doubt: "a weak source says so"})
	if got := b.String(); got != "  Hold it.\n  It restarts. (a weak source says so)\n" {
		t.Errorf("%q", got)
	}
}

// Ctrl-D ends every prompt as Ctrl-C does, also where nothing is shown; Ctrl-C
// ends the hidden one, where the terminal makes no signal of it.
func TestCtrlDEndsAPrompt(t *testing.T) {
	for name, c := range map[string]struct {
		ask rescue.Question
		at  string
		key string
	}{
		"a number":               {rescue.Question{Text: "Who?", Options: []rescue.Option{{ID: "a", Text: "Anna"}}}, "Number", "\x04"},
		"a password":             {rescue.Question{ID: rescue.AskPassword}, "leaves it out): ", "\x04"},
		"the new one":            {rescue.Question{ID: rescue.AskNewPassword}, "New password: ", "\x04"},
		"the new one, by Ctrl-C": {rescue.Question{ID: rescue.AskNewPassword}, "New password: ", "\x03"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScreen(t)
			ctx, end := context.WithCancel(t.Context())
			defer end()
			go func() {
				if _, err := s.until(t.Context(), c.at, 0); err == nil {
					s.echoed(t, c.at != "Number")
					_, _ = s.master.WriteString(c.key)
				}
			}()
			p := terminal.New(s.slave, s.slave, clock.System(), nil, end)
			if _, err := p.Choose(ctx, c.ask); !errors.Is(err, context.Canceled) || ctx.Err() == nil {
				t.Fatalf("%v; the context: %v", err, ctx.Err())
			}
			if state, err := unix.IoctlGetTermios(s.fd, unix.TCGETS); err != nil || state.Lflag&unix.ECHO == 0 || state.Lflag&unix.ICANON == 0 {
				t.Errorf("the terminal is not as it was (%v)", err)
			}
		})
	}
}

// A terminal that is closed is no terminal; it is not asked for ever.
func TestClosedTerminal(t *testing.T) {
	s := newScreen(t)
	s.master.Close()
	_, err := s.person(nil).Hear(t.Context(), rescue.Hear{Device: "cellar"})
	if !errors.Is(err, catalog.New("no_terminal")) {
		t.Fatal(err)
	}
}
