package button_test

import (
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/button"
)

// drive plays edges as a caller does that is never late: Tick at every
// deadline up to the next edge, and for a while after the last.
func drive(r *button.Recogniser, edges ...time.Duration) []button.Signal {
	var all []button.Signal
	tick := func(until time.Duration) {
		for {
			at, ok := r.Deadline()
			if !ok || at > until {
				return
			}
			all = append(all, r.Tick(at)...)
		}
	}
	for i, at := range edges {
		tick(at - 1)
		all = append(all, r.Edge(at, i%2 == 0)...)
	}
	tick(edges[len(edges)-1] + 9*time.Second)
	return all
}

// without drops the lights.
func without(signals []button.Signal) []button.Signal {
	var rest []button.Signal
	for _, s := range signals {
		if _, ok := s.(button.Light); !ok {
			rest = append(rest, s)
		}
	}
	return rest
}

// The gestures as design.md tells them (D2, D3, D7, D8, D10).
func TestGestures(t *testing.T) {
	const s = time.Second
	ignored := func(r button.Reason, held time.Duration) button.Ignored {
		return button.Ignored{Reason: r, Held: held}
	}
	tests := []struct {
		name    string
		profile button.Profile
		edges   []time.Duration // down, up, down, …
		want    []button.Signal
	}{
		{
			"soft", button.Paperclip(),
			[]time.Duration{s, 5500 * time.Millisecond},
			[]button.Signal{button.Beep{Count: 1}, button.OpenClaim{}},
		},
		{
			"soft, on the instant", button.Paperclip(),
			[]time.Duration{s, 5 * s},
			[]button.Signal{button.Beep{Count: 1}, button.OpenClaim{}},
		},
		{
			"too short by a nanosecond", button.Paperclip(),
			[]time.Duration{s, 5*s - 1},
			[]button.Signal{ignored(button.ReasonTooShort, 4*s-1)},
		},
		{
			"too long", button.Paperclip(),
			[]time.Duration{s, 12 * s},
			[]button.Signal{button.Beep{Count: 1}, ignored(button.ReasonTooLong, 10*s)},
		},
		{
			"hard", button.Paperclip(),
			[]time.Duration{s, 6 * s, 8 * s, 13 * s},
			[]button.Signal{button.Beep{Count: 1}, button.OpenClaim{}, button.Beep{Count: 3}, button.HardenClaim{}},
		},
		{
			"second press just in time", button.Paperclip(),
			[]time.Duration{s, 6 * s, 16*s - 1, 21 * s},
			[]button.Signal{button.Beep{Count: 1}, button.OpenClaim{}, button.Beep{Count: 3}, button.HardenClaim{}},
		},
		{
			"second press too late", button.Paperclip(),
			[]time.Duration{s, 6 * s, 16 * s, 21 * s},
			[]button.Signal{button.Beep{Count: 1}, button.OpenClaim{}, ignored(button.ReasonWindowPassed, 5*s)},
		},
		{
			"fresh code", button.Paperclip(),
			[]time.Duration{s, 6 * s, 20 * s, 21 * s},
			[]button.Signal{button.Beep{Count: 1}, button.OpenClaim{}, button.FreshCode{}, button.GrantTries{}},
		},
		{
			"claim closed by holding on", button.Paperclip(),
			[]time.Duration{s, 6 * s, 20 * s, 31 * s},
			[]button.Signal{button.Beep{Count: 1}, button.OpenClaim{}, button.CloseClaim{}},
		},
		{
			"synology mode 2", button.Synology(),
			[]time.Duration{s, 6 * s, 8 * s, 13 * s},
			[]button.Signal{button.Beep{Count: 1}, button.Act{Mode: button.ModeSoft}, button.Beep{Count: 3}, button.Act{Mode: button.ModeHard}},
		},
		{
			"synology twice, slowly", button.Synology(),
			[]time.Duration{s, 6 * s, 16 * s, 21 * s},
			[]button.Signal{button.Beep{Count: 1}, button.Act{Mode: button.ModeSoft}, button.Beep{Count: 1}, button.Act{Mode: button.ModeSoft}},
		},
		{
			"legacy, held on", button.SynologyLegacy(),
			[]time.Duration{s, 12 * s},
			[]button.Signal{button.Beep{Count: 1}, button.Act{Mode: button.ModeRestore}},
		},
		{
			"qnap basic", button.QNAP(),
			[]time.Duration{s, 4 * s},
			[]button.Signal{button.Beep{Count: 1}, button.Act{Mode: button.ModeBasic}},
		},
		{
			"qnap advanced", button.QNAP(),
			[]time.Duration{s, 11 * s},
			[]button.Signal{button.Beep{Count: 1}, button.Beep{Count: 1}, button.Act{Mode: button.ModeAdvanced}},
		},
		{
			"qnap, stuck", button.QNAP(),
			[]time.Duration{s, 71 * s},
			[]button.Signal{button.Beep{Count: 1}, button.Beep{Count: 1}, ignored(button.ReasonStuck, 60*s)},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := without(drive(button.New(test.profile), test.edges...))
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("signals %v, want %v", got, test.want)
			}
		})
	}
}

// A beep that is due while the contact has just opened waits until it is sure
// that the button was not let go; then the edge itself returns it.
func TestBeepWaitsForTheContact(t *testing.T) {
	const ms = time.Millisecond
	r := button.New(button.Paperclip())
	r.Edge(0, true)
	r.Edge(3990*ms, false)
	if got := r.Tick(4010 * ms); len(without(got)) != 0 {
		t.Errorf("said %v before the contact settled", got)
	}
	want := []button.Signal{button.Beep{Count: 1}, button.Light{Pattern: button.PatternLetGo}}
	if got := r.Edge(4015*ms, true); !reflect.DeepEqual(got, want) {
		t.Errorf("back down: %v, want %v", got, want)
	}
}

// A button that is down when the program starts selects nothing, however long
// it is held, and that is said with the first call (D8).
func TestHeldAtStart(t *testing.T) {
	r := button.New(button.Paperclip(), button.HeldAtStart(time.Hour))
	if at, ok := r.Deadline(); !ok || at != time.Hour {
		t.Errorf("deadline %v, %v", at, ok)
	}
	var got []button.Signal
	got = append(got, r.Tick(time.Hour)...)
	got = append(got, r.Edge(time.Hour+5*time.Second, false)...)
	got = append(got, r.Tick(2*time.Hour)...)
	want := []button.Signal{button.Ignored{Reason: button.ReasonHeldAtStart}}
	if !reflect.DeepEqual(without(got), want) {
		t.Errorf("signals %v, want %v", got, want)
	}
}

// Timestamps of any size neither loop nor overflow.
func TestAnyTimestamp(t *testing.T) {
	r := button.New(button.Paperclip())
	for _, at := range []time.Duration{math.MinInt64, math.MaxInt64, 0, -1, math.MaxInt64 - 1, math.MinInt64, 1} {
		for _, down := range []bool{true, false, false, true} {
			r.Edge(at, down)
			r.Tick(at)
		}
		if due, ok := r.Deadline(); ok && due < 0 {
			t.Errorf("after %d a deadline of %d", at, due)
		}
	}
}
