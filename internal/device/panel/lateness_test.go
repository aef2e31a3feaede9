//go:build linux

package panel_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/paperclip-nas/paperclip/internal/device/panel"
	"github.com/paperclip-nas/paperclip/internal/device/panel/realtime"
)

// pulse is how long each of the beeps is that are timed.
const pulse = 10 * time.Millisecond

// pulses is how many they are for each way of scheduling: make bench-button BEEPS=…
func pulses(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(cmp.Or(os.Getenv("PAPERCLIP_PULSES"), "1500"))
	if err != nil || n < 2 {
		t.Fatalf("PAPERCLIP_PULSES is no number of beeps: %v", err)
	}
	return n
}

// ways are how a pattern's time can be kept: as any program does; as core falls
// back to; as core does, with what paperclipd-core.service allows it (a real-time
// limit, and no capability to go beyond it); and the floor, a bare loop of
// clock_nanosleep on a thread of that policy.
//
// The limit is set where this machine lets it; else the thread asks as root.
var ways = []struct {
	name, child string
	argv        []string
}{
	{"default", "clock", nil},
	{"Nice=-15, core without the right", "clock", []string{"nice", "-n", "-15"}},
	{"core, as its unit has it", "thread", []string{"nice", "-n", "-15"}},
	{"floor, SCHED_FIFO and nothing else", "floor", nil},
}

// TestBeepLateness is make bench-button: how late a beep ends while every core is
// busy. It fails only where it could not be measured as named.
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
	late := map[string]time.Duration{}
	for _, way := range ways {
		argv := slices.Concat(way.argv, []string{os.Args[0], "-test.run=^TestBeepChild$"})
		if way.child == "thread" {
			argv = slices.Concat(way.argv, limited(t), argv[len(way.argv):]) // niceness first: it needs the capability
		}
		c := exec.Command(argv[0], argv[1:]...)
		c.Env = append(os.Environ(), "PAPERCLIP_BEEPS="+way.child)
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s", way.name, err, out)
		}
		line, _, _ := strings.Cut(string(out), "\n")
		var all []time.Duration
		if err := json.Unmarshal([]byte(line), &all); err != nil {
			t.Fatal(err)
		}
		slices.Sort(all)
		at := func(q float64) time.Duration { return all[int(q*float64(len(all)-1))].Round(time.Microsecond) }
		late[way.child] = at(0.999)
		t.Logf("%-34s late by p50 %v, p99 %v, p99.9 %v, at most %v", way.name, at(0.5), at(0.99), at(0.999), at(1))
	}
	t.Logf("p99.9 of core: %v (at most 5ms is wanted), %.1f × the floor, %.4f × without the right", late["thread"],
		float64(late["thread"])/float64(late["floor"]), float64(late["thread"])/float64(late["clock"]))
}

// limited runs what follows with the unit's limit and without the capability.
func limited(t *testing.T) []string {
	argv := []string{"prlimit", fmt.Sprintf("--rtprio=%d:%[1]d", realtime.Priority), "setpriv", "--bounding-set=-sys_nice"}
	if err := exec.Command(argv[0], append(argv[1:], "true")...).Run(); err != nil {
		t.Log("the real-time limit cannot be set on this machine: core asks with CAP_SYS_NICE here")
		return nil
	}
	return argv
}

// stamps is a beeper that notes when it was told something.
type stamps struct{ at []time.Time }

func (s *stamps) Tone(int) error {
	s.at = append(s.at, time.Now())
	return nil
}

// TestBeepChild plays, and prints how late each pulse ended.
func TestBeepChild(t *testing.T) {
	how := os.Getenv("PAPERCLIP_BEEPS")
	if how == "" {
		t.Skip("is started by TestBeepLateness")
	}
	n := pulses(t)
	s := &stamps{at: make([]time.Time, 0, n+1)}
	p := panel.Panel{Beeper: s}
	if how != "clock" {
		thread := realtime.Start()
		defer thread.Close()
		if err := thread.Refused(); err != nil {
			t.Fatal(err)
		}
		p.Timing = thread
	}
	var err error
	if how == "floor" {
		err = p.Timing.Keep(t.Context(), func(func(time.Duration) error) error { return bare(s, n) })
	} else {
		err = p.Play(t.Context(), slices.Repeat([]panel.Pulse{{On: true, For: pulse, Hz: 1000}, {For: pulse}}, n/2))
	}
	if err != nil {
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

// bare sleeps a pulse at a time and does nothing else.
func bare(s *stamps, n int) error {
	for range n {
		_ = s.Tone(0)
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
			return err
		}
		end := unix.NsecToTimespec(now.Nano() + int64(pulse))
		var err error
		for again := true; again; again = err == unix.EINTR { // Go's own signals
			err = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &end, nil)
		}
		if err != nil {
			return fmt.Errorf("clock_nanosleep: %w", err)
		}
	}
	return s.Tone(0)
}
