//go:build linux

package panel_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/panel"
)

// pulses is how many beeps are timed for each way of scheduling, and how long
// each of them lasts.
const (
	pulses = 1500
	pulse  = 10 * time.Millisecond
)

// stamps is a beeper that notes when it was told something.
type stamps struct{ at []time.Time }

func (s *stamps) Tone(int) error {
	s.at = append(s.at, time.Now())
	return nil
}

// TestBeepLateness is make bench-button: how late a beep ends while every core is
// busy, as paperclipd-core.service schedules core (Nice=-15), beside what it would
// be without and with a real-time policy.
func TestBeepLateness(t *testing.T) {
	if os.Getenv("PAPERCLIP_BENCH") != "1" {
		t.Skip("measures for a minute, as root: run make bench-button")
	}
	if os.Getuid() != 0 {
		t.Skip("needs root, to be scheduled before others")
	}
	for range runtime.NumCPU() {
		busy := exec.Command("sh", "-c", "while :; do :; done")
		if err := busy.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = busy.Process.Kill()
			_ = busy.Wait()
		})
	}
	worst := map[string]time.Duration{}
	for _, way := range []struct {
		name string
		argv []string
	}{{"default", nil}, {"Nice=-15, as the unit has it", []string{"nice", "-n", "-15"}}, {"SCHED_FIFO", []string{"chrt", "-f", "1"}}} {
		argv := slices.Concat(way.argv, []string{os.Args[0], "-test.run=^TestBeepChild$"})
		c := exec.Command(argv[0], argv[1:]...)
		c.Env = append(os.Environ(), "PAPERCLIP_BEEPS=1")
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%s: %v", way.name, err)
		}
		line, _, _ := strings.Cut(string(out), "\n")
		var late []time.Duration
		if err := json.Unmarshal([]byte(line), &late); err != nil {
			t.Fatal(err)
		}
		slices.Sort(late)
		at := func(q float64) time.Duration { return late[int(q*float64(len(late)-1))] }
		worst[way.name] = at(0.999)
		t.Logf("%-30s late by p50 %v, p99 %v, p99.9 %v, at most %v (5ms is wanted)", way.name, at(0.5), at(0.99), at(0.999), late[len(late)-1])
	}
	t.Logf("p99.9 as the unit has it is %.2f × the default's, %.2f × SCHED_FIFO's",
		float64(worst["Nice=-15, as the unit has it"])/float64(worst["default"]), float64(worst["Nice=-15, as the unit has it"])/float64(worst["SCHED_FIFO"]))
}

// TestBeepChild plays, and prints how late each pulse ended.
func TestBeepChild(t *testing.T) {
	if os.Getenv("PAPERCLIP_BEEPS") != "1" {
		t.Skip("is started by TestBeepLateness")
	}
	s := &stamps{}
	all := make([]panel.Pulse, pulses)
	for i := range all {
		all[i] = panel.Pulse{On: i%2 == 0, For: pulse, Hz: 1000}
	}
	if err := (panel.Panel{Beeper: s}).Play(context.Background(), all); err != nil {
		t.Fatal(err)
	}
	late := make([]time.Duration, 0, len(s.at))
	for i := range len(s.at) - 1 {
		late = append(late, s.at[i+1].Sub(s.at[i])-pulse)
	}
	if err := json.NewEncoder(os.Stdout).Encode(late); err != nil {
		t.Fatal(err)
	}
}
