package button

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write docs/button.md anew")

const docsFile = "../../../docs/button.md"

// docs/button.md is made from the profiles and the table.
func TestDocs(t *testing.T) {
	want := docs()
	if *update {
		if err := os.WriteFile(docsFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/button.md is not what the code does; go test ./internal/domain/button -run TestDocs -update")
	}
}

func docs() string {
	var b strings.Builder
	b.WriteString(`# The button

What a press selects, made from the profiles and the state table of
` + "`internal/domain/button`" + ` by its tests. The package comment has the rules of time.

## Gestures

"4 s" is 4 s or longer, up to the next row. A press selects when the button is let go,
except where it says "while held". What selects nothing says why: ` + "`ignored:`" + ` and the reason's id.

`)
	for _, p := range Profiles() {
		writeProfile(&b, &p)
	}
	b.WriteString("## Why a press selected nothing\n\n| id | |\n|---|---|\n")
	for _, r := range Reasons() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", r, reasonText(r))
	}
	b.WriteString("\n## States\n\n```mermaid\nstateDiagram-v2\n    [*] --> rest\n    [*] --> spent : held at start\n")
	for s := range transitions {
		for to := range state(states) {
			if labels := edgesTo(state(s), to); len(labels) > 0 {
				fmt.Fprintf(&b, "    %s --> %s : %s\n", state(s), to, strings.Join(labels, " / "))
			}
		}
	}
	b.WriteString("```\n\n| state | event | done | then |\n|---|---|---|---|\n")
	for s := range transitions {
		for e, row := range transitions[s] {
			if row.do != impossible {
				fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", state(s), event(e), row.do, row.to)
			}
		}
	}
	b.WriteString("\nWhat is not in the table cannot happen: a test puts a wrong row in its place, and no trace is misread.\n")
	writeSounds(&b)
	return b.String()
}

func writeProfile(b *strings.Builder, p *Profile) {
	fmt.Fprintf(b, "### %s\n\n", p.Name)
	if p.ActsAtOnce {
		b.WriteString("Acts at once, as the vendor does; `paperclipd` refuses it.\n\n")
	}
	fmt.Fprintf(b, "Bounce is shorter than %v; held for %v is stuck", p.Debounce, p.Stuck)
	if p.Window > 0 {
		fmt.Fprintf(b, "; the second press begins less than %v after the first was let go", p.Window)
	}
	b.WriteString(".\n\n| when | held | beeps | selects |\n|---|---|---|---|\n")
	for _, part := range []struct {
		when   string
		stages []Stage
	}{
		{"nothing open", p.First},
		{"second press", p.Again},
		{"soft claim open", p.Soft},
		{"soft claim open, second press", p.SoftAgain},
		{"hard claim open", p.Hard},
	} {
		for _, s := range part.stages {
			var selects []string
			for _, signal := range s.Select {
				selects = append(selects, signalText(signal))
			}
			what := strings.Join(selects, ", ")
			if s.AtOnce {
				what += " (while held)"
			}
			fmt.Fprintf(b, "| %s | %v | %s | %s |\n", part.when, s.From, beepsText(s.Beeps), what)
		}
	}
	b.WriteString("\n")
}

func beepsText(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func edgesTo(from, to state) []string {
	var labels []string
	for e, row := range transitions[from] {
		if row.do != impossible && row.to == to {
			labels = append(labels, event(e).String())
		}
	}
	return labels
}

func signalText(s Signal) string {
	switch s := s.(type) {
	case Ignored:
		return fmt.Sprintf("ignored: `%s`", s.Reason)
	case Act:
		return fmt.Sprintf("act: %s", s.Mode)
	case OpenClaim:
		return "a soft claim opens"
	case HardenClaim:
		return "it becomes a hard claim"
	case FreshCode:
		return "a fresh code is said"
	case GrantTries:
		return "five more tries, if used up"
	case CloseClaim:
		return "the claim closes"
	}
	return "?"
}

func reasonText(r Reason) string {
	return name(int(r), "let go before the beep", "held on past the beep",
		"the contact touched, too short for a press", "held so long that it seems to stick",
		"already down when the program started; let go first", "began before the device was ready",
		"the clock went backwards meanwhile", "edges were lost: what was pressed is not known",
		"a second long press, but the time for it was over", "a hard claim is open already")
}

func writeSounds(b *strings.Builder) {
	ms := func(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }
	fmt.Fprintf(b, "\n## Sounds\n\n| | on | off | pitch |\n|---|---|---|---|\n")
	fmt.Fprintf(b, "| a count of the code (1 to 6 a digit, four digits) | %s | %s | %d Hz |\n", ms(codeOn), ms(codeOff), codeHz)
	fmt.Fprintf(b, "| after a digit | | %s | |\n| after the code, before it is said again | | %s | |\n", ms(codeDigit), ms(CodeRepeat))
	fmt.Fprintf(b, "| acknowledgement: 1 or 3 | %s | %s, at the end %s | %d Hz |\n", ms(ackOn), ms(ackOff), ms(ackRest), ackHz)
	fmt.Fprintf(b, "\nA listener takes a tone of %s to %s for a count, a silence from %s for the end of a digit,\nfrom %s for the end of the code; so each may be off by two fifths.\n",
		ms(shortestOn), ms(longestOn), ms(digitAfter), ms(codeAfter))
}
