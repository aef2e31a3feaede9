package core

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/panel/memory"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/button"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
)

// A state blinks while there is nothing else to say, a beep or a code breaks
// into it at once, and it goes on afterwards (D4). At rest nothing wakes.
func TestSpeakerShowsMoods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := memory.New(clock.System())
		ctx, cancel := context.WithCancel(t.Context())
		s := startSpeaker(ctx, p.Ports(), slog.New(slog.DiscardHandler))
		lit := func(for_ time.Duration) (changes int) {
			before := len(p.Lights())
			time.Sleep(for_)
			synctest.Wait()
			return len(p.Lights()) - before
		}
		if n := lit(time.Minute); n != 0 {
			t.Errorf("at rest the light changed %d times", n)
		}
		s.mood(button.MoodConfigLost)
		if n := lit(10 * time.Second); n < 9 || n > 16 {
			t.Errorf("in 10 s of configuration lost the light changed %d times", n)
		}
		if heard := p.Tones(); slices.ContainsFunc(heard, func(t memory.Tone) bool { return t.Hz > 0 }) {
			t.Errorf("a mood sounds: %v", heard)
		}
		s.say(access.Code{1, 2, 3, 4})
		time.Sleep(time.Minute)
		synctest.Wait()
		var heard []button.Sound
		for _, tone := range p.Tones() {
			heard = append(heard, button.Sound{At: tone.At, On: tone.Hz > 0})
		}
		if code, ok := button.ParseCode(heard, clock.System().Monotonic()); !ok || code != [4]int{1, 2, 3, 4} {
			t.Errorf("in the mood's midst the code is heard as %v, %v", code, ok)
		}
		s.hush()
		s.owe(button.ReadyAgain())
		s.mood(button.MoodRest)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		tones := p.Tones()
		if len(tones) < 2 || tones[len(tones)-2].Hz != button.ReadyAgain().Pulses[0].Hz {
			t.Errorf("the end of a reset is not heard: %v", tones[max(0, len(tones)-4):])
		}
		if n := lit(time.Minute); n != 0 {
			t.Errorf("after it the light changed %d times", n)
		}
		cancel()
		s.wait()
	})
}
