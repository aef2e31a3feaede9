// Package catalog is the one place for everything a person or a program can be
// told: problems with their ids and exit codes, audit events, and facts about
// vendors' devices, each with its source and confidence.
//
// It is data and look-ups. It never decides what to say when; callers name an
// id and, where the row has room for one, a detail. A detail is never a secret.
package catalog

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Exit is the exit status of a command (design.md, "The command line").
type Exit int

// The exit statuses.
const (
	Done     Exit = 0
	Failed   Exit = 1
	WrongUse Exit = 2
	NotFound Exit = 3 // no NAS found is this too, with findings
	Refused  Exit = 4 // by policy, proof or window
	InPart   Exit = 5 // done in part, or not verified
)

// ID names a row of the catalogue. It never changes once released; its words may.
type ID string

// Problem is an error that a person can act on: what happened, what it means,
// what to do next; for programs, an id and an exit status.
type Problem struct {
	ID       ID     `json:"id"`
	Text     string `json:"text"`
	Meaning  string `json:"meaning,omitempty"`
	WhatToDo string `json:"what_to_do,omitempty"`
	Exit     Exit   `json:"exit"`

	cause error
}

// Error is what happened and what to do, without the cause: causes are for logs.
func (p Problem) Error() string {
	parts := slices.DeleteFunc([]string{p.Text, p.Meaning, p.WhatToDo}, func(s string) bool { return s == "" })
	return strings.Join(parts, " ")
}

// Unwrap returns the cause, if one was recorded.
func (p Problem) Unwrap() error { return p.cause }

// Is makes errors.Is compare problems by id.
func (p Problem) Is(target error) bool {
	t, ok := target.(Problem)
	return ok && t.ID == p.ID
}

// Because returns the problem with a cause, which is never shown to a person.
func (p Problem) Because(err error) Problem {
	p.cause = err
	return p
}

// New returns the problem of that id. Each detail takes the place of one %s, in
// the row's text first and then in what to do. An id that is not in the
// catalogue is a mistake in this program: it reads as such and still carries
// the details.
func New(id ID, details ...any) Problem {
	for _, p := range Problems() {
		if p.ID == id {
			p.Text, details = fill(p.Text, details)
			p.WhatToDo, _ = fill(p.WhatToDo, details)
			return p
		}
	}
	return Problem{ID: id, Exit: Failed, Text: strings.TrimSpace("Something went wrong that has no words yet: " + string(id) + " " + fmt.Sprint(details...))}
}

// Interrupted is the problem of that id. untouched: nothing that changes anything
// had been asked for by then.
func Interrupted(untouched bool) Problem {
	p := New("interrupted")
	if untouched {
		p.Meaning = "Nothing was changed."
	}
	return p
}

// fill puts details in the place of each %s, a question mark where none is
// left, and returns those that are left over.
func fill(text string, details []any) (string, []any) {
	n := strings.Count(text, "%s")
	if len(details) < n {
		details = append(slices.Clone(details), slices.Repeat([]any{"?"}, n-len(details))...)
	}
	if n == 0 {
		return text, details
	}
	return fmt.Sprintf(text, details[:n]...), details[n:]
}

// AsProblem finds the problem in an error chain. An error without one becomes
// the problem "internal", with the error as its cause.
func AsProblem(err error) Problem {
	if p, ok := errors.AsType[Problem](err); ok {
		return p
	}
	return New("internal").Because(err)
}

// ExitOf is the exit status that an error stands for; Done for nil.
func ExitOf(err error) Exit {
	if err == nil {
		return Done
	}
	return AsProblem(err).Exit
}

// Problems lists every problem there is, by wing.
func Problems() []Problem {
	return slices.Concat(commonProblems(), claimProblems(), deviceProblems(), ownerProblems(), vendorProblems(), labProblems())
}
