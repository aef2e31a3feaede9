package memory_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/panel"
	"github.com/paperclip-nas/paperclip/internal/device/panel/memory"
	"github.com/paperclip-nas/paperclip/internal/device/panel/paneltest"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
)

func TestContract(t *testing.T) {
	paneltest.Button(t, func(t *testing.T, held bool) (panel.Button, func(bool)) {
		p := memory.New(clock.System())
		if held {
			p.HoldAtStart()
		}
		return p, func(down bool) {
			if err := p.Inject(t.Context(), panel.Edge{At: p.Now(), Down: down}); err != nil {
				t.Error(err)
			}
		}
	})
	p := memory.New(clock.System())
	paneltest.Beeper(t, p, func() []int { return pitches(p.Tones()) })
	paneltest.Light(t, p, memory.Status, func() bool { return p.Lit(memory.Status) })
}

func pitches(tones []memory.Tone) []int {
	var hz []int
	for _, tone := range tones {
		hz = append(hz, tone.Hz)
	}
	return hz
}

// D2: a hold is as long as it is, on the panel's clock, at any speed.
func TestPressIsAsLongAsItSays(t *testing.T) {
	for _, factor := range []int{1, 10} {
		synctest.Test(t, func(t *testing.T) {
			p := memory.New(clock.Faster(clock.System(), factor))
			ctx, cancel := context.WithCancel(t.Context())
			out := make(chan panel.Edge, 2)
			go p.Edges(ctx, out)
			began := time.Now()
			if err := p.Press(ctx, 4*time.Second); err != nil {
				t.Fatal(err)
			}
			down, up := <-out, <-out
			if !down.Down || up.Down || up.At-down.At != 4*time.Second {
				t.Errorf("edges %+v and %+v are not 4 s apart", down, up)
			}
			if took, want := time.Since(began), 4*time.Second/time.Duration(factor); took != want {
				t.Errorf("it took %v, want %v", took, want)
			}
			cancel()
		})
	}
}

func TestAPressThatIsCancelledLetsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := memory.New(clock.System())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Press(ctx, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Press returned %v", err)
		}
		edges, stop := context.WithCancel(t.Context())
		out := make(chan panel.Edge, 2)
		go p.Edges(edges, out)
		if down, up := <-out, <-out; !down.Down || up.Down || up.At-down.At != time.Second {
			t.Errorf("edges %+v, %+v: want a hold of 1 s", down, up)
		}
		stop()
	})
}

func TestPlayIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := memory.New(clock.System())
		ear := p.Listen()
		const ms = time.Millisecond
		pulses := []panel.Pulse{{On: true, For: 200 * ms, Hz: 1000}, {For: 300 * ms}, {On: true, For: 200 * ms, Hz: 1000}}
		start := p.Now()
		if err := p.Ports().Play(t.Context(), pulses); err != nil {
			t.Fatal(err)
		}
		want := []memory.Tone{{0, 1000}, {200 * ms, 0}, {500 * ms, 1000}, {700 * ms, 0}}
		for i, w := range want {
			got, err := ear.Next(t.Context())
			if got.At -= start; err != nil || got != w {
				t.Errorf("tone %d is %+v, %v, want %+v", i, got, err, w)
			}
		}
		lights := p.Lights()
		if len(lights) != 4 || p.Lit(memory.Status) {
			t.Errorf("the light did not follow: %+v", lights)
		}
	})
}

func TestPlayLeavesSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := memory.New(clock.System())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := p.Ports().Play(ctx, []panel.Pulse{{On: true, For: time.Hour, Hz: 1000}})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Play returned %v", err)
		}
		if got := pitches(p.Tones()); !slices.Equal(got, []int{1000, 0}) || p.Lit(memory.Status) {
			t.Errorf("it left tones %v and light %v", got, p.Lit(memory.Status))
		}
	})
}

type broken struct{ err error }

func (b broken) Tone(int) error { return b.err }

// A beeper that fails does not take the light along: the code can still be seen.
func TestPlayGoesOnWithoutTheBeeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := memory.New(clock.System())
		ports := p.Ports()
		ports.Beeper = broken{errors.New("no speaker")}
		err := ports.Play(t.Context(), []panel.Pulse{{On: true, For: time.Second, Hz: 1000}, {For: time.Second}, {On: true, For: time.Second, Hz: 1000}})
		if !errors.Is(err, ports.Beeper.(broken).err) {
			t.Errorf("Play returned %v, want the beeper's error", err)
		}
		if n := len(p.Lights()); n != 4 {
			t.Errorf("the light changed %d times, want 4", n)
		}
	})
}

// A panel with no beeper and no light plays to nobody, in the same time.
func TestPlayOnAnEmptyPanel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if err := (panel.Panel{}).Play(t.Context(), []panel.Pulse{{On: true, For: time.Second, Hz: 1}}); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestAListenerThatIsTooSlowIsTold(t *testing.T) {
	p := memory.New(clock.System())
	ear := p.Listen()
	for i := range 5000 {
		if err := p.Tone(i + 1); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ear.Next(t.Context()); !errors.Is(err, memory.ErrMissed) {
		t.Errorf("Next returned %v, want ErrMissed", err)
	}
	if tone, err := ear.Next(t.Context()); err != nil || tone.Hz != 5000-4096+1 {
		t.Errorf("then %+v, %v, want the oldest that is kept", tone, err)
	}
}
