package catalog_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
)

func TestEveryProblemIsUsable(t *testing.T) {
	seen := map[catalog.ID]bool{}
	for _, p := range catalog.Problems() {
		if !regexp.MustCompile(`^[a-z][a-z0-9_]*$`).MatchString(string(p.ID)) || seen[p.ID] {
			t.Errorf("id %q is malformed or given twice", p.ID)
		}
		seen[p.ID] = true
		if p.Exit < catalog.Failed || p.Exit > catalog.InPart {
			t.Errorf("%s: exit %d is not one of design.md's", p.ID, p.Exit)
		}
		if strings.TrimSpace(p.Text) == "" {
			t.Errorf("%s says nothing", p.ID)
		}
	}
}

// Every refusal of a claim and of a password has words of its own.
func TestRefusalsHaveWords(t *testing.T) {
	for _, r := range []access.Refusal{access.ClaimClosed, access.NotYourTurn, access.TooMany, access.NoSession, access.SessionSpent, access.TriesSpent, access.ClaimTaken, access.NotProved, access.AlreadyProved} {
		if p := catalog.New(catalog.ID(r)); strings.Contains(p.Text, "no words yet") {
			t.Errorf("refusal %s is not in the catalogue", r)
		}
	}
	for _, r := range []access.PasswordRefusal{access.PasswordShort, access.PasswordLong, access.PasswordUnusable, access.PasswordGuessed} {
		if p := catalog.New(catalog.ID(r)); strings.Contains(p.Text, "no words yet") {
			t.Errorf("refusal %s is not in the catalogue", r)
		}
	}
}

// An entry without source and confidence, or that claims hardware, fails (C1).
func TestEveryFactHasSourceAndConfidence(t *testing.T) {
	seen := map[catalog.ID]bool{}
	for _, f := range catalog.Facts() {
		if seen[f.ID] || !regexp.MustCompile(`^[a-z0-9_]+(\.[a-z0-9_]+)+$`).MatchString(string(f.ID)) {
			t.Errorf("fact id %q is malformed or given twice", f.ID)
		}
		seen[f.ID] = true
		if strings.TrimSpace(f.Source) == "" || len(f.Confidence) != 1 || !strings.Contains("ABCI?", string(f.Confidence)) {
			t.Errorf("%s has no source or confidence: %q %q", f.ID, f.Source, f.Confidence)
		}
		if strings.Contains(f.Source, ".md") && f.Source != "docs/button.md" {
			t.Errorf("%s names a file that its reader does not have: %s", f.ID, f.Source)
		}
		if strings.Contains(strings.ToLower(f.Text+f.Source), "tested on hardware") {
			t.Errorf("%s claims hardware; nothing was tested on any yet", f.ID)
		}
		if f.Vendor == "" || f.Models == "" || f.Firmware == "" || f.Text == "" {
			t.Errorf("%s is incomplete: %+v", f.ID, f)
		}
		if f.Confidence == catalog.Sought && !strings.Contains(f.Text+f.Value, "not documented") && !strings.Contains(f.Text, "not found") && !strings.Contains(f.Text, "no source") &&
			!strings.Contains(f.Text, "not in any source") && !strings.Contains(f.Text, "was never documented") && !strings.Contains(f.Text, "nothing of the kind") {
			t.Errorf("%s was sought and not found, and does not say so: %s", f.ID, f.Text)
		}
	}
}

func TestProblemsTravelInErrorChains(t *testing.T) {
	cause := errors.New("disk on fire")
	err := fmt.Errorf("while accepting: %w", catalog.New("preflight_failed", "no space").Because(cause))
	if !errors.Is(err, catalog.New("preflight_failed")) || !errors.Is(err, cause) {
		t.Fatal("the chain is broken")
	}
	if got := catalog.ExitOf(err); got != catalog.Failed {
		t.Fatalf("exit %d", got)
	}
	if strings.Contains(catalog.AsProblem(err).Error(), "on fire") {
		t.Fatal("a cause is shown to a person")
	}
	if catalog.ExitOf(nil) != catalog.Done || catalog.ExitOf(cause) != catalog.Failed {
		t.Fatal("exit of plain errors")
	}
	if p := catalog.New("no_terminal", "Give --yes."); p.WhatToDo != "Give --yes." { // a detail in what to do
		t.Fatalf("%q", p.WhatToDo)
	}
	if p := catalog.New("target_unknown"); strings.Contains(p.Text, "%") {
		t.Fatalf("a missing detail shows: %q", p.Text)
	}
}
