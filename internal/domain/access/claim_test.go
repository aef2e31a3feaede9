package access_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
)

// Every pair of state and event: the table is the whole truth, and what
// matters about it is said here in words (promise 2).
func TestClaimTable(t *testing.T) {
	for _, s := range access.ClaimStates() {
		for _, e := range access.ClaimEvents() {
			next, ok := access.Next(s, e)
			if !ok {
				continue
			}
			switch {
			case s == access.Closed && e != access.PressSoft:
				t.Errorf("%s opens a claim; only a press at the device may", e)
			case next == access.Accepted && (!s.Proved() || e != access.Accept):
				t.Errorf("%s accepts from %s, without presence", e, s)
			case s == access.Accepted && e != access.Finish:
				t.Errorf("%s interrupts an accepted transaction", e)
			case next.Hard() && !s.Hard() && e != access.PressHard:
				t.Errorf("%s makes a claim hard without a second press (promise 3)", e)
			}
		}
		if s != access.Closed && s != access.Accepted {
			for _, e := range []access.ClaimEvent{access.Lapse, access.HoldOn, access.Leave} {
				if next, ok := access.Next(s, e); !ok || next != access.Closed {
					t.Errorf("%s does not close a claim that is %s", e, s)
				}
			}
		}
	}
}

func TestClaimDiagramIsCurrent(t *testing.T) {
	path := filepath.Join("..", "..", "..", "docs", "claim.md")
	want := "# The life of a claim\n\nGenerated from the table in `internal/domain/access/states.go`; `UPDATE=1 go test ./internal/domain/access` writes it anew.\n\n```mermaid\n" + access.ClaimDiagram() + "```\n"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Fatalf("docs/claim.md is stale (%v): run with UPDATE=1", err)
	}
}

func open(t interface{ Fatal(...any) }) *access.Claim {
	c := access.NewClaim(access.DefaultRules())
	if !c.Handle(access.PressSoft, 0) {
		t.Fatal("a press opens no claim")
	}
	return c
}

func mustEnter(t *testing.T, c *access.Claim, at time.Duration, id, source string) {
	t.Helper()
	if r := c.Enter(at, id, source); r != access.NoRefusal {
		t.Fatalf("%s cannot enter: %s", id, r)
	}
}

// Twenty failures by a neighbour do not stop the owner: after a short press
// the owner's session goes first, whatever the neighbour goes on doing.
func TestNeighbourCannotExhaustAClaim(t *testing.T) {
	c := open(t)
	at := time.Duration(0)
	fail := func(max int) (n int) {
		for i := range 40 {
			id := fmt.Sprintf("neighbour-%d-%d", at, i)
			if c.Enter(at, id, "192.168.1.66") != access.NoRefusal {
				break
			}
			for c.Count(at, id) == access.NoRefusal && n < max {
				n++
			}
			at += time.Second
		}
		return n
	}
	if n := fail(100); n != 20 {
		t.Fatalf("a neighbour had %d tries, not 20", n)
	}
	mustEnter(t, c, at, "owner", "192.168.1.7")
	if r := c.Turn(at, "owner"); r != access.TriesSpent {
		t.Fatalf("the owner is told %q, not that a press is needed", r)
	}
	if !c.GrantTries() {
		t.Fatal("a short press grants nothing")
	}
	fail(100) // the neighbour is as quick as can be
	if r := c.Count(at, "owner"); r != access.NoRefusal {
		t.Fatalf("after the press the owner is refused: %s", r)
	}
	if r := c.Succeed(at, "owner"); r != access.NoRefusal {
		t.Fatalf("the owner's right code is refused: %s", r)
	}
	if r := c.Holds(at, "owner"); r != access.NoRefusal {
		t.Fatalf("the owner does not hold the claim: %s", r)
	}
	if r := c.Enter(at, "late", "192.168.1.66"); r != access.ClaimTaken {
		t.Fatalf("a neighbour enters a claim that is taken: %q", r)
	}
}

// Five tries a session, counted before each check: the sixth is refused, and
// what is left is told, while another session has its own.
func TestASessionHasItsTries(t *testing.T) {
	c := open(t)
	mustEnter(t, c, 0, "one", "192.168.1.66")
	for left := access.DefaultRules().SessionTries; left > 0; left-- {
		if n := c.TriesLeft("one"); n != left {
			t.Errorf("%d tries are left, not %d", n, left)
		}
		if r := c.Count(0, "one"); r != access.NoRefusal {
			t.Fatalf("with %d tries left: %s", left, r)
		}
	}
	if r := c.Count(0, "one"); r != access.SessionSpent || c.TriesLeft("one") != 0 {
		t.Errorf("one try too many: %q", r)
	}
	mustEnter(t, c, 0, "other", "192.168.1.7")
	if r := c.Count(0, "other"); r != access.NoRefusal {
		t.Errorf("another session: %s", r)
	}
}

// Once its window is over a claim is worth nothing, also before somebody has
// noticed: not to prove presence, and not to whoever has proved it.
func TestNothingHoldsAfterTheWindow(t *testing.T) {
	late := access.DefaultRules().Window
	c := open(t)
	mustEnter(t, c, 0, "owner", "192.168.1.7")
	if r := c.Count(late, "owner"); r != access.ClaimClosed {
		t.Errorf("a try: %q", r)
	}
	if r := c.Count(late-1, "owner"); r != access.NoRefusal {
		t.Fatal(r)
	}
	if r := c.Succeed(late, "owner"); r != access.ClaimClosed {
		t.Errorf("a right code that comes too late: %q", r)
	}
	if r := c.Succeed(late-1, "owner"); r != access.NoRefusal {
		t.Fatal(r)
	}
	closes, _ := c.Closes()
	if r := c.Holds(closes-1, "owner"); r != access.NoRefusal {
		t.Errorf("before the end: %q", r)
	}
	if r := c.Holds(closes, "owner"); r != access.ClaimClosed {
		t.Errorf("after the end: %q", r)
	}
	if r := c.Enter(closes, "late", "192.168.1.8"); r != access.ClaimClosed {
		t.Errorf("a session after the end: %q", r)
	}
}

// New tries go to whoever failed least, also while the slot of the neighbour who
// used up the old ones is still running.
func TestGrantedTriesAreNotTheNeighbours(t *testing.T) {
	rules := access.DefaultRules()
	rules.Tries = 3 // so that the neighbour's session still has tries of its own
	c := access.NewClaim(rules)
	c.Handle(access.PressSoft, 0)
	mustEnter(t, c, 0, "neighbour", "192.168.1.66")
	for range rules.Tries {
		if r := c.Count(0, "neighbour"); r != access.NoRefusal {
			t.Fatal(r)
		}
	}
	mustEnter(t, c, 0, "owner", "192.168.1.7")
	if !c.GrantTries() {
		t.Fatal("a short press grants nothing")
	}
	if r := c.Count(0, "neighbour"); r != access.NotYourTurn {
		t.Errorf("the neighbour takes the owner's tries: %q", r)
	}
	if r := c.Count(0, "owner"); r != access.NoRefusal {
		t.Errorf("the owner is refused: %s", r)
	}
}

// A short press grants tries only where there are none left: pressed before, it
// neither adds to them nor takes any away.
func TestPressGrantsOnlyWhatIsSpent(t *testing.T) {
	rules := access.DefaultRules()
	rules.Tries, rules.SessionTries = 8, 8
	c := access.NewClaim(rules)
	c.Handle(access.PressSoft, 0)
	mustEnter(t, c, 0, "owner", "192.168.1.7")
	for left := rules.Tries; left > 0; left-- {
		if c.GrantTries() || c.Exhausted() || c.TriesLeft("owner") != left {
			t.Fatalf("with %d tries left a press leaves %d", left, c.TriesLeft("owner"))
		}
		if r := c.Count(0, "owner"); r != access.NoRefusal {
			t.Fatal(r)
		}
	}
	if !c.Exhausted() || !c.GrantTries() || c.Exhausted() {
		t.Error("spent, and a press grants nothing")
	}
}

// A flood of sessions from one address never takes the place of another's.
func TestFloodOfSessionsLeavesRoom(t *testing.T) {
	c := open(t)
	for i := range 500 {
		c.Enter(0, fmt.Sprint("flood", i), "192.168.1.66")
	}
	mustEnter(t, c, 0, "owner", "192.168.1.7")
	for i := range 500 {
		c.Enter(0, fmt.Sprint("more", i), "192.168.1.66")
	}
	rules := access.DefaultRules()
	for at := time.Duration(0); ; at += rules.Slot {
		if at > 4*rules.Slot {
			t.Fatal("the owner's turn never comes")
		}
		if c.Turn(at, "owner") == access.NoRefusal {
			return
		}
	}
}

// One session at a time: never do two hold a turn at the same moment, never
// are more tries checked than allowed, whatever the order of events.
func TestClaimProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := access.DefaultRules()
		c := access.NewClaim(rules)
		at := time.Duration(0)
		ids := []string{"a", "b", "c", "d"}
		sources := map[string]string{"a": "1", "b": "1", "c": "2", "d": "3"}
		counted, granted := 0, 0
		t.Repeat(map[string]func(*rapid.T){
			"time": func(t *rapid.T) { at += time.Duration(rapid.IntRange(0, 300).Draw(t, "s")) * time.Second },
			"life": func(t *rapid.T) {
				was := c.State()
				e := rapid.SampledFrom([]access.ClaimEvent{access.PressSoft, access.PressHard, access.HoldOn, access.Leave}).Draw(t, "event")
				c.Handle(e, at)
				if was == access.Closed || c.State() == access.Closed {
					counted, granted = 0, 0
				}
			},
			"enter": func(t *rapid.T) {
				id := rapid.SampledFrom(ids).Draw(t, "id")
				c.Enter(at, id, sources[id])
			},
			"try": func(t *rapid.T) {
				id := rapid.SampledFrom(ids).Draw(t, "id")
				if c.Count(at, id) == access.NoRefusal {
					counted++
					if rapid.Bool().Draw(t, "right") && c.Succeed(at, id) == access.NoRefusal {
						counted--
					}
				}
			},
			"press": func(*rapid.T) {
				if c.GrantTries() {
					granted++
				}
			},
			"": func(t *rapid.T) {
				var may []string
				for _, id := range ids {
					if c.Turn(at, id) == access.NoRefusal {
						may = append(may, id)
					}
				}
				if len(may) > 1 {
					t.Fatalf("%v may prove at once", may)
				}
				if counted > rules.Tries+granted*rules.Grant {
					t.Fatalf("%d tries with %d grants", counted, granted)
				}
				if c.State() != access.Closed && c.Failures() != counted {
					t.Fatalf("%d failures, counted %d", c.Failures(), counted)
				}
				if c.State().Proved() && len(may) > 0 {
					t.Fatal("a taken claim lets another try")
				}
				holders := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return c.Holds(at, id) != access.NoRefusal })
				if len(holders) > 1 || (len(holders) == 1 && !c.State().Proved()) {
					t.Fatalf("%v hold a claim that is %s", holders, c.State())
				}
			},
		})
	})
}

func TestClaimLapses(t *testing.T) {
	c := open(t)
	window := access.DefaultRules().Window
	if c.Lapsed(window-1) || !c.Lapsed(window) {
		t.Fatal("the window is not 15 minutes")
	}
	if r := c.Enter(window, "x", "1"); r != access.ClaimClosed {
		t.Fatalf("a lapsed claim answers %q", r)
	}
	c = open(t)
	mustEnter(t, c, 0, "x", "1")
	c.Count(0, "x")
	c.Succeed(0, "x")
	c.Handle(access.Accept, 0)
	if c.Lapsed(100 * window) {
		t.Fatal("an accepted transaction lapses")
	}
}

func TestCodes(t *testing.T) {
	seen := map[int]int{}
	for range 2000 {
		c, err := access.NewCode(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range c {
			seen[n]++
		}
		if back, err := access.ParseCode(c.Secret().Reveal()); err != nil || back != c {
			t.Fatalf("%v %v", back, err)
		}
		if s := fmt.Sprintf("%v %d %+v %s", c, c, c, c); strings.ContainsAny(s, "123456") {
			t.Fatalf("a code prints as %q", s)
		}
	}
	for n := 1; n <= 6; n++ {
		if seen[n] < 1000 { // 1333 expected; 1000 is ten standard deviations away
			t.Errorf("count %d drawn %d times of 8000", n, seen[n])
		}
	}
	if len(seen) != 6 {
		t.Errorf("counts drawn: %v", seen)
	}
	if _, err := access.NewCode(strings.NewReader("")); err == nil {
		t.Error("a code without randomness")
	}
	for _, bad := range []string{"", "123", "12345", "1237", "0123", "a123", "1 2 3 ４", strings.Repeat(" ", 100)} {
		if _, err := access.ParseCode(bad); err == nil {
			t.Errorf("%q is read as a code", bad)
		}
	}
	if c, err := access.ParseCode(" 3-1, 6.2\n"); err != nil || c != (access.Code{3, 1, 6, 2}) {
		t.Errorf("%v", err)
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	s := access.NewSecret("hunter2hunter2xx")
	type holder struct {
		P access.Secret
		Q *access.Secret
	}
	j, err := json.Marshal(holder{s, &s})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{s.String(), fmt.Sprintf("%v %+v %#v %s %q %x %d", s, s, s, s, s, s, s), fmt.Sprintf("%+v %#v", holder{s, &s}, holder{P: s}), string(j)} {
		if strings.Contains(text, "hunter") || strings.Contains(text, "68756e") {
			t.Errorf("shown: %s", text)
		}
	}
}

func TestPasswords(t *testing.T) {
	for _, c := range []struct {
		password string
		factor   bool
		want     access.PasswordRefusal
	}{
		{"", false, access.PasswordShort},
		{"correct horse", false, access.PasswordShort},
		{"correct horse", true, access.PasswordFits},
		{"violet tractor 9 gulls", false, access.PasswordFits},
		{"söße grüne Äpfel fallen", false, access.PasswordFits},
		{"aaaaaaaaaaaaaaaaaaaa", false, access.PasswordGuessed},
		{"1234567890123456", false, access.PasswordGuessed},
		{"passwordpassword1", false, access.PasswordGuessed},
		{"AdminCellar2024!", false, access.PasswordGuessed},
		{"anna-anna-anna-anna", false, access.PasswordGuessed},
		{"line one\nline two\n", false, access.PasswordUnusable},
		{"zero\x00zero zero zero", false, access.PasswordUnusable},
		{"bad \xff\xfe bytes in here", false, access.PasswordUnusable},
		{strings.Repeat("violet tractor ", 10), false, access.PasswordLong},
		{"short7x", true, access.PasswordShort},
	} {
		if got := access.CheckPassword(access.NewSecret(c.password), c.factor, "anna", "cellar"); got != c.want {
			t.Errorf("%q (factor %v): %q, want %q", c.password, c.factor, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) { // any 64 random characters do: no composition rules
		p := rapid.StringOfN(rapid.RuneFrom([]rune("abcdefghijklmnopqrstuvwxyzäöü 漢字")), 24, 64, -1).Draw(t, "p")
		if r := access.CheckPassword(access.NewSecret(p), false); r != access.PasswordFits && r != access.PasswordGuessed {
			t.Fatalf("%q refused: %s", p, r)
		}
	})
}
