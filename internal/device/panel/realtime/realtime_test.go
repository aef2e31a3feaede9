//go:build linux

package realtime_test

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/paperclip-nas/paperclip/internal/device/panel"
	"github.com/paperclip-nas/paperclip/internal/device/panel/realtime"
)

func start(t *testing.T) *realtime.Thread {
	t.Helper()
	thread := realtime.Start()
	t.Cleanup(func() { thread.Close() })
	return thread
}

// D2: the pattern runs on a thread of its own, with the policy that was asked
// for or the reason why not; others keep theirs.
func TestThePatternIsScheduledFirst(t *testing.T) {
	thread := start(t)
	var during *unix.SchedAttr
	err := thread.Keep(t.Context(), func(func(time.Duration) error) (err error) {
		during, err = unix.SchedGetAttr(0, 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if (during.Policy == unix.SCHED_FIFO && during.Priority == realtime.Priority) != (thread.Refused() == nil) {
		t.Errorf("policy %d, priority %d; refused: %v", during.Policy, during.Priority, thread.Refused())
	}
	if thread.Refused() != nil && !errors.Is(thread.Refused(), unix.EPERM) {
		t.Error(thread.Refused())
	}
	real := 0
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		id, err := strconv.Atoi(task.Name())
		if err != nil {
			t.Fatal(err)
		}
		if a, err := unix.SchedGetAttr(id, 0); err == nil && a.Policy == unix.SCHED_FIFO {
			real++
		}
	}
	if real > 1 {
		t.Errorf("%d threads are real-time ones", real)
	}
}

// tones notes what a beeper was told, and when.
type tones struct {
	hz []int
	at []time.Time
}

func (s *tones) Tone(hz int) error {
	s.hz, s.at = append(s.hz, hz), append(s.at, time.Now())
	return nil
}

func TestEveryPulseLastsAsLongAsItSays(t *testing.T) {
	s := &tones{}
	p := panel.Panel{Beeper: s, Timing: start(t)}
	const long = 5 * time.Millisecond
	pulses := []panel.Pulse{{On: true, For: long, Hz: 1000}, {For: long}, {On: true, For: long, Hz: 2000}}
	for range 3 {
		s.hz, s.at = nil, nil
		if err := p.Play(t.Context(), pulses); err != nil {
			t.Fatal(err)
		}
		if len(s.hz) != 4 || s.hz[0] != 1000 || s.hz[1] != 0 || s.hz[2] != 2000 || s.hz[3] != 0 {
			t.Fatalf("it said %v", s.hz)
		}
		for i := range 3 {
			if took := s.at[i+1].Sub(s.at[i]); took < long {
				t.Errorf("pulse %d took %v, want %v at least", i, took, long)
			}
		}
	}
}

// A pulse of an hour ends when it is cancelled, and leaves silence.
func TestACancelledPatternEndsAtOnce(t *testing.T) {
	thread := start(t)
	for range 2 { // usable again
		ctx, cancel := context.WithCancel(t.Context())
		s := &cancelling{cancel: cancel}
		err := panel.Panel{Beeper: s, Timing: thread}.Play(ctx, []panel.Pulse{{On: true, For: time.Hour, Hz: 1000}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
		if len(s.hz) != 2 || s.hz[1] != 0 {
			t.Errorf("it said %v, want a tone and silence", s.hz)
		}
	}
}

// cancelling is a beeper during whose first tone somebody changes their mind.
type cancelling struct {
	tones
	cancel func()
}

func (c *cancelling) Tone(hz int) error {
	c.cancel()
	return c.tones.Tone(hz)
}

// Between patterns the thread sleeps: nothing wakes it.
func TestItSleepsWhileNothingPlays(t *testing.T) {
	thread := start(t)
	var id int
	state := func() (n string) {
		text, err := os.ReadFile("/proc/self/task/" + strconv.Itoa(id) + "/status")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, "State:"); ok {
				n = strings.TrimSpace(rest)
			}
		}
		return n
	}
	if err := thread.Keep(t.Context(), func(func(time.Duration) error) error { id = unix.Gettid(); return nil }); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for !strings.HasPrefix(state(), "S") {
		if time.Now().After(deadline) {
			t.Fatalf("the thread does not sleep: %s", state())
		}
	}
}
