package journal

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// docs/transaction.md is the table as a picture.
func TestDocs(t *testing.T) {
	var b strings.Builder
	b.WriteString("# The life of a transaction\n\n" +
		"Generated from the table in `internal/device/journal/states.go`; `UPDATE=1 go test ./internal/device/journal -run TestDocs` writes it anew.\n" +
		"A restore is on trial: a restart of the system sends it back from any state before `committed`. *Files* is done at the\n" +
		"start of the system, before a door opens.\n\n```mermaid\nstateDiagram-v2\n    [*] --> accepted\n")
	for _, tr := range Transitions() {
		what := string(tr.Action)
		if tr.Files {
			what += " (files)"
		}
		switch {
		case tr.Waits:
			what = "confirmed"
		case tr.Trial != "":
			what = "a reset"
			fmt.Fprintf(&b, "    %s --> %s : a restore\n", tr.From, tr.Trial)
		}
		fmt.Fprintf(&b, "    %s --> %s : %s\n", tr.From, tr.Done, what)
		switch {
		case tr.Waits:
			fmt.Fprintf(&b, "    %s --> %s : taken back, or its time is over\n", tr.From, tr.Failed)
		case tr.Failed != "" && tr.Failed != tr.Done:
			fmt.Fprintf(&b, "    %s --> %s : a step can never succeed\n", tr.From, tr.Failed)
		}
	}
	b.WriteString("    committed --> [*]\n    undone --> [*]\n```\n")
	path := filepath.Join("..", "..", "..", "docs", "transaction.md")
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(path); err != nil || string(have) != b.String() {
		t.Fatalf("docs/transaction.md is stale (%v): run with UPDATE=1", err)
	}
}
