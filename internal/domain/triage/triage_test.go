package triage

import (
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

var update = flag.Bool("update", false, "write docs/triage.md anew")

// every goes through all that a device can show, with nothing said and with
// each single answer of a person.
func every(visit func(Evidence)) {
	said := []map[QuestionID]Said{nil}
	for _, q := range Questions() {
		said = append(said, map[QuestionID]Said{q.ID: Yes}, map[QuestionID]Said{q.ID: No})
	}
	for _, vendor := range []Vendor{Synology, QNAP} {
		for _, status := range nas.Statuses() {
			for _, door := range append(Doors(), "") {
				for _, answer := range Answers() {
					for _, press := range Presses() {
						for _, s := range said {
							visit(Evidence{vendor, status, door, answer, press, s})
						}
					}
				}
			}
		}
	}
}

// R9 to R14: the table has an end for everything, every row of it decides
// something, and every cause is reached.
func TestTableIsExhaustive(t *testing.T) {
	all, rows, causes := table(), map[int]int{}, map[CauseID]int{}
	every(func(e Evidence) {
		i := slices.IndexFunc(all, func(r row) bool { return r.fits(e) })
		if i < 0 {
			t.Fatalf("nothing fits %+v", e)
		}
		rows[i]++
		causes[all[i].cause]++
	})
	for i, r := range all {
		if rows[i] == 0 && i != len(all)-1 {
			t.Errorf("row %d (%s) decides nothing: an earlier one takes all of it", i+1, r.cause)
		}
	}
	for _, c := range Causes() {
		if causes[c.ID] == 0 {
			t.Errorf("nothing leads to %s", c.ID)
		}
	}
}

// Every cause has words, and rests on facts that the catalogue has.
func TestCausesHaveWords(t *testing.T) {
	seen := map[CauseID]bool{}
	for _, c := range Causes() {
		if seen[c.ID] || c.Text == "" || c.WhatToDo == "" {
			t.Errorf("%+v", c)
		}
		seen[c.ID] = true
		for _, id := range c.Facts {
			if _, ok := catalog.FactNamed(id); !ok {
				t.Errorf("%s rests on %s, which the catalogue does not have", c.ID, id)
			}
		}
	}
	for _, r := range table() {
		if !seen[r.cause] {
			t.Errorf("a row leads to %s, which has no words", r.cause)
		}
	}
}

// Each documented answer of a device leads to a cause of its own, but
// for the two that QTS does not tell apart and the two ways to change a password.
func TestEveryAnswerIsADiagnosis(t *testing.T) {
	by := map[CauseID][]Answer{}
	for _, a := range Answers() {
		if a == NotTried || a == WrongPassword || a == NoReason {
			continue
		}
		c := Evidence{Vendor: Synology, Status: nas.Ready, Door: Open, Answer: a, Press: NotPressed}.Cause()
		by[c.ID] = append(by[c.ID], a)
	}
	for c, answers := range by {
		if len(answers) > 1 && c != PasswordExpired {
			t.Errorf("%v all lead to %s", answers, c)
		}
	}
}

// Only questions are asked whose answer matters, and they come to an end.
func TestQuestions(t *testing.T) {
	asked := map[QuestionID]bool{}
	n := 0
	every(func(e Evidence) {
		if n++; e.Said != nil {
			return
		}
		if e.Status != nas.Ready && n%11 != 0 { // a sample: it is the questions that are tested
			return
		}
		for i := range Questions() {
			q, ok := e.Next()
			if !ok {
				return
			}
			asked[q.ID] = true
			if e.Saying(q.ID, true).Cause().ID == e.Saying(q.ID, false).Cause().ID {
				t.Fatalf("%s does not matter for %+v", q.ID, e)
			}
			e = e.Saying(q.ID, n>>(i+4)%2 == 0) // by turns, whatever the order
		}
		if q, ok := e.Next(); ok {
			t.Fatalf("%s is asked of %+v, which answered all", q.ID, e)
		}
	})
	if got := slices.Collect(maps.Keys(asked)); len(got) != len(Questions()) {
		t.Errorf("only %v are ever asked", got)
	}
	if q, ok := (Evidence{Vendor: Synology, Answer: Accepted}).Next(); ok {
		t.Errorf("somebody who is in is asked %s", q.ID)
	}
}

// What a reader of source T met, as it is told apart (R10 to R14).
func TestStories(t *testing.T) {
	for name, c := range map[string]struct {
		e    Evidence
		want CauseID
	}{
		"blocked":                     {Evidence{Vendor: Synology, Status: nas.Ready, Answer: Blocked}, AddressBlocked},
		"phone lost":                  {Evidence{Vendor: Synology, Answer: CodeNeeded, Said: map[QuestionID]Said{HavePhone: No}}, SecondFactorLost},
		"phone there":                 {Evidence{Vendor: Synology, Answer: CodeNeeded, Said: map[QuestionID]Said{HavePhone: Yes}}, CodeMissing},
		"keep-password":               {Evidence{Vendor: Synology, Status: nas.Ready, Answer: WrongPassword, Press: Changed, Said: map[QuestionID]Said{LowerCase: Yes}}, BlankKeepPassword},
		"typed Admin":                 {Evidence{Vendor: Synology, Status: nas.Ready, Answer: WrongPassword, Press: Changed, Said: map[QuestionID]Said{LowerCase: No}}, BlankWrongName},
		"no beep":                     {Evidence{Vendor: Synology, Status: nas.Ready, Answer: WrongPassword, Press: Unchanged, Said: map[QuestionID]Said{LowerCase: Yes}}, PressWithoutEffect},
		"redirect":                    {Evidence{Vendor: Synology, Status: nas.Ready, Door: Redirect, Answer: NotTried}, RedirectBroken},
		"vanished after the reset":    {Evidence{Vendor: QNAP, Status: nas.Unknown, Door: Silent, Answer: NotTried, Press: Changed}, LostAfterReset},
		"QuickConnect's password":     {Evidence{Vendor: Synology, Status: nas.Ready, Answer: WrongPassword, Said: map[QuestionID]Said{CloudAccount: Yes}}, CloudConfused},
		"blocked QNAP, fine by phone": {Evidence{Vendor: QNAP, Status: nas.Ready, Answer: NoReason, Said: map[QuestionID]Said{GetsInThere: Yes}}, AddressBlocked},
		"drives gone":                 {Evidence{Vendor: Synology, Status: nas.NotInstalled, Answer: NotTried}, DrivesMissing},
		"admin/admin on QTS 5.2":      {Evidence{Vendor: QNAP, Status: nas.Ready, Answer: NoReason, Press: Changed, Said: map[QuestionID]Said{LowerCase: Yes}}, DefaultPasswordWrong},
	} {
		if got := c.e.Cause().ID; got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestDocs(t *testing.T) {
	const file = "../../../docs/triage.md"
	want := Document()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || string(got) != want {
		t.Errorf("docs/triage.md is not what the table says; go test ./internal/domain/triage -run TestDocs -update (%v)", err)
	}
	if strings.Count(want, "-->") < len(Causes()) {
		t.Error("the diagram leaves causes out")
	}
}
