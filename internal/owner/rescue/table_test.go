package rescue

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
)

// A step needs a name, words, work, and a way to show that it worked.
func TestTableIsWhole(t *testing.T) {
	seen := map[Name]bool{}
	for _, s := range table() {
		if seen[s.name] || s.name == "" || s.text == "" || s.do == nil || s.verify == nil {
			t.Errorf("step %q is incomplete or there twice", s.name)
		}
		seen[s.name] = true
	}
	for _, s := range table() {
		for _, to := range append(targets(s), s.resume) {
			if !seen[to] && to != Ended {
				t.Errorf("%s leads to %q, which is no step", s.name, to)
			}
		}
		for id := range s.on {
			if !slices.ContainsFunc(catalog.Problems(), func(p catalog.Problem) bool { return p.ID == id }) {
				t.Errorf("%s waits for the problem %q, which is not in the catalogue", s.name, id)
			}
		}
		if s.name != Find && s.before == nil {
			t.Errorf("%s has no precondition", s.name)
		}
	}
}

func targets(s step) []Name {
	out := []Name{s.next}
	for _, to := range s.on {
		out = append(out, to)
	}
	return out
}

// Every step is reached from the first one, and reaches the end.
func TestTableIsConnected(t *testing.T) {
	reach := func(from Name) map[Name]bool {
		seen, todo := map[Name]bool{}, []Name{from}
		for len(todo) > 0 {
			n := todo[0]
			todo = todo[1:]
			if s, ok := row(n); ok && !seen[n] {
				todo = append(todo, targets(s)...)
			}
			seen[n] = true
		}
		return seen
	}
	all := reach(Find)
	for _, n := range Steps() {
		if !all[n] {
			t.Errorf("%s is never reached", n)
		}
		if !reach(n)[Ended] {
			t.Errorf("%s has no way to the end", n)
		}
	}
}

// After the plan was handed over nothing asks for a code again, unless the NAS
// shows that it has not taken it over; and nothing hands over twice.
func TestResumeNeverRepeatsTheCommit(t *testing.T) {
	steps := Steps()
	commit := slices.Index(steps, Commit)
	for i, n := range steps {
		s, _ := row(n)
		to := slices.Index(steps, s.resume)
		if i >= commit && to <= commit {
			t.Errorf("a rescue interrupted in %s goes back to %s", n, s.resume)
		}
		if i < commit && to > slices.Index(steps, PressIt) {
			t.Errorf("a rescue interrupted in %s goes on at %s, with no presence proved", n, s.resume)
		}
	}
}

// Every step with every problem of the catalogue: it leads where the table
// says, and everywhere else the rescue ends with that very problem.
func TestEveryStepWithEveryProblem(t *testing.T) {
	for _, s := range table() {
		for _, p := range catalog.Problems() {
			sc := newScene(t)
			r := newRun(sc.cfg, Request{})
			s := s
			s.before, s.skip = nil, nil
			s.do = func(context.Context, *run) error { return p }
			next, err := r.step(t.Context(), s)
			want, leads := s.on[p.ID]
			switch {
			case leads && (err != nil || next != want):
				t.Errorf("%s, %s: to %q with %v, want %q", s.name, p.ID, next, err, want)
			case !leads && !errors.Is(err, p):
				t.Errorf("%s, %s: %v", s.name, p.ID, err)
			}
			if n := len(r.state.Timeline); n != 1 || r.state.Timeline[0].Verified {
				t.Errorf("%s, %s: the timeline has %+v", s.name, p.ID, r.state.Timeline)
			}
		}
	}
}

// A step does not begin before what it needs is there.
func TestNoStepBeginsWithoutWhatItNeeds(t *testing.T) {
	for _, s := range table() {
		if s.before == nil {
			continue
		}
		r := newRun(newScene(t).cfg, Request{})
		s.skip = nil
		s.do = func(context.Context, *run) error {
			t.Errorf("%s began in an empty rescue", s.name)
			return nil
		}
		if _, err := r.step(t.Context(), s); err == nil {
			t.Errorf("%s was done in an empty rescue", s.name)
		}
	}
}

// docs/rescue.md is made from the table: `UPDATE_DOCS=1 go test
// ./internal/owner/rescue -run Diagram` writes it.
func TestDiagramIsUpToDate(t *testing.T) {
	const file = "../../../docs/rescue.md"
	var b strings.Builder
	b.WriteString("# The way from locked out to back in\n\nMade from the table in `internal/owner/rescue`; a test keeps it up to date.\n\n```mermaid\n" + Diagram() + "```\n\n")
	b.WriteString("A problem that stands on no arrow ends the rescue, and says what to do. A rescue\nthat was interrupted goes on here, once its NAS was found and identified again:\n\n| interrupted in | goes on at |\n|---|---|\n")
	for _, n := range Steps() {
		s, _ := row(n)
		b.WriteString("| " + string(n) + " | " + string(s.resume) + " |\n")
	}
	if os.Getenv("UPDATE_DOCS") != "" {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != b.String() {
		t.Errorf("%s is not what the table says; UPDATE_DOCS=1 go test ./internal/owner/rescue -run Diagram writes it", file)
	}
}
