package triage

import (
	"fmt"
	"strings"
)

// Document writes the whole triage as docs/triage.md has it: the diagram, the
// table, the causes.
func Document() string {
	var b strings.Builder
	b.WriteString("# Why somebody is locked out\n\nWritten by the tests of `internal/domain/triage` from its table. The first row that fits decides; what a\nrow leaves empty may be anything.\n\n```mermaid\nflowchart TD\n")
	b.WriteString("    ask[one sign-in, the status, the port] --> said{answer}\n    said -->|says why| why\n    said -->|refused without a reason| questions[a few plain questions]\n    said -->|none tried| status{status, port}\n    status --> why\n    questions --> why[cause]\n")
	last := map[CauseID]bool{}
	for _, r := range table() {
		if !last[r.cause] {
			last[r.cause] = true
			fmt.Fprintf(&b, "    why --> %s\n", r.cause)
		}
	}
	b.WriteString("```\n\n| row | answer | status | port | button | said | cause |\n|---|---|---|---|---|---|---|\n")
	for i, r := range table() {
		var status []string
		for _, s := range r.status {
			status = append(status, s.ID())
		}
		said := ""
		if r.yes != "" {
			said = string(r.yes) + ": yes"
		}
		if r.no != "" {
			said = string(r.no) + ": no"
		}
		if r.vendor != "" {
			said = strings.TrimSpace(string(r.vendor) + " " + said)
		}
		fmt.Fprintf(&b, "| %d | %s | %s | %s | %s | %s | %s |\n", i+1, list(r.answer), strings.Join(status, ", "), list(r.door), list(r.press), said, r.cause)
	}
	b.WriteString("\n| cause | what is the matter | what to do first | rests on |\n|---|---|---|---|\n")
	for _, c := range Causes() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", c.ID, c.Text, c.WhatToDo, list(c.Facts))
	}
	b.WriteString("\n| question | |\n|---|---|\n")
	for _, q := range Questions() {
		fmt.Fprintf(&b, "| %s | %s |\n", q.ID, q.Text)
	}
	return b.String()
}

func list[T ~string](all []T) string {
	parts := make([]string, len(all))
	for i, one := range all {
		parts[i] = string(one)
	}
	return strings.Join(parts, ", ")
}
