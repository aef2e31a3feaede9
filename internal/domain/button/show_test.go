package button

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// Whatever light and beeper say is told from everything else, and nothing but a
// code is heard as one.
func TestShowsAreToldApart(t *testing.T) {
	seen := map[string]string{}
	for _, s := range Shows() {
		if s.ID == "" || s.Means == "" {
			t.Errorf("%+v has no id or meaning", s)
		}
		form := fmt.Sprint(s.Pulses)
		if other, twice := seen[form]; twice {
			t.Errorf("%s looks like %s", s.ID, other)
		}
		seen[form] = s.ID
		var heard []Sound
		at := 5 * time.Second // silence before
		heard = append(heard, Sound{})
		for range 10 {
			for _, p := range s.Pulses {
				heard = append(heard, Sound{At: at, On: p.On && p.Hz > 0})
				at += p.For
			}
		}
		if code, ok := ParseCode(heard, at+5*time.Second); ok != (s.ID == "code") {
			t.Errorf("%s is heard as the code %v (%v)", s.ID, code, ok)
		}
	}
	if len(seen) != len(Shows()) || len(Shows()) != 5+len(Moods()) {
		t.Errorf("%d shows", len(seen))
	}
}

// A mood may last for a week: it makes no sound, begins with light, and has a
// dark part. Only rest is dark.
func TestMoodsAreSilent(t *testing.T) {
	for _, m := range Moods() {
		s := m.Show()
		if !s.Lasts || m.String() != s.ID {
			t.Errorf("%s: %+v", m, s)
		}
		if slices.ContainsFunc(s.Pulses, func(p Pulse) bool { return p.Hz != 0 || p.For <= 0 }) {
			t.Errorf("%s sounds, or a pulse takes no time", m)
		}
		if dark := len(s.Pulses) == 0; dark != (m == MoodRest) || !dark && (!s.Pulses[0].On || s.Pulses[len(s.Pulses)-1].On) {
			t.Errorf("%s: %v", m, s.Pulses)
		}
	}
	// D4: STATUS blinks slowly, evenly.
	if lost := MoodConfigLost.Show().Pulses; len(lost) != 2 || lost[0].For != lost[1].For {
		t.Errorf("configuration lost: %v", lost)
	}
	if len(ReadyAgain().Pulses) != 2 {
		t.Error("D4: one more beep when it is ready")
	}
}

const lightsFile = "../../../docs/lights.md"

// docs/lights.md is made from the table.
func TestLightsDocs(t *testing.T) {
	var b strings.Builder
	b.WriteString(`# Lights and sounds

What the status light and the beeper say, made from ` + "`internal/domain/button`" + ` by its tests. The light goes with
every sound, for ears that can't hear it and rooms that are too loud; while a state lasts the light alone shows it. Which
light that is, is set in paperclip.toml, ` + "`[panel] light`" + `: on a vendor's case take STATUS, best its orange half.
What a press means and how a code is counted is in [button.md](button.md).

| id | it says | on / off, in ms | pitch | |
|---|---|---|---|---|
`)
	for _, s := range Shows() {
		var times []string
		pitch := ""
		for i, p := range s.Pulses {
			if i < 8 {
				times = append(times, fmt.Sprint(p.For.Milliseconds()))
			}
			if p.Hz > 0 {
				pitch = fmt.Sprintf("%d Hz", p.Hz)
			}
		}
		if len(s.Pulses) > 8 {
			times = append(times, "…")
		}
		how, text := "once", strings.Join(times, " / ")
		if s.Lasts {
			how = "while it lasts"
		}
		if pitch == "" {
			pitch = "light alone"
		}
		if len(times) == 0 {
			text, pitch = "dark", "silent"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", s.ID, s.Means, text, pitch, how)
	}
	if *update {
		if err := os.WriteFile(lightsFile, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(lightsFile); err != nil || string(got) != b.String() {
		t.Errorf("docs/lights.md is not what the code does (%v); go test ./internal/domain/button -run TestLightsDocs -update", err)
	}
}
