package button_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/paperclip-nas/paperclip/internal/domain/button"
)

// sounding turns patterns into what is heard, each time stretched as wanted.
func sounding(at time.Duration, stretch func(time.Duration) time.Duration, patterns ...[]button.Pulse) ([]button.Sound, time.Duration) {
	var sounds []button.Sound
	for _, pulses := range patterns {
		for _, p := range pulses {
			sounds = append(sounds, button.Sound{At: at, On: p.On})
			at += stretch(p.For)
		}
	}
	return sounds, at
}

func exact(d time.Duration) time.Duration { return d }

// sampled is what polling every period hears.
func sampled(sounds []button.Sound, offset, period, until time.Duration) []button.Sound {
	var heard []button.Sound
	next, on := 0, false
	for at := offset; at <= until; at += period {
		for next < len(sounds) && sounds[next].At <= at {
			on = sounds[next].On
			next++
		}
		heard = append(heard, button.Sound{At: at, On: on})
	}
	return heard
}

func drawCode(t *rapid.T) (code [4]int) {
	for i := range code {
		code[i] = rapid.IntRange(1, 6).Draw(t, "count")
	}
	return code
}

// All 1296 codes are said differently and heard as they are.
func TestEveryCode(t *testing.T) {
	seen := map[[4]int]bool{}
	for n := range 6 * 6 * 6 * 6 {
		code := [4]int{1 + n%6, 1 + n/6%6, 1 + n/36%6, 1 + n/216}
		pattern := button.CodePattern(code)
		sounds, end := sounding(2*time.Second, exact, pattern)
		sounds = append([]button.Sound{{At: 0}}, sounds...)
		got, ok := button.ParseCode(sounds, end)
		if !ok || got != code {
			t.Fatalf("code %v heard as %v, %v", code, got, ok)
		}
		seen[got] = true
	}
	if len(seen) != 1296 {
		t.Errorf("%d different codes", len(seen))
	}
}

// A code is heard right, whatever each pulse's length is off by up to two
// fifths, polled every 20 ms or by changes, begun anywhere in it.
func TestCodeIsHeard(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		code := drawCode(t)
		stretch := func(d time.Duration) time.Duration {
			return d * time.Duration(rapid.IntRange(60, 140).Draw(t, "percent")) / 100
		}
		once := button.CodePattern(code)
		sounds, end := sounding(0, stretch, once, once, once)
		begin := time.Duration(rapid.IntRange(0, int(sounds[len(once)].At)).Draw(t, "begin"))
		if rapid.Bool().Draw(t, "polled") {
			sounds = sampled(sounds, begin, 20*time.Millisecond, end)
		} else {
			for len(sounds) > 0 && sounds[0].At < begin {
				sounds = sounds[1:]
			}
		}
		got, ok := button.ParseCode(sounds, end)
		if !ok || got != code {
			t.Fatalf("code %v heard as %v, %v", code, got, ok)
		}
	})
}

// An acknowledgement is never taken for a code, nor for part of the one after it.
func TestAcknowledgementIsNoCode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		code := drawCode(t)
		stretch := func(d time.Duration) time.Duration {
			return d * time.Duration(rapid.IntRange(60, 140).Draw(t, "percent")) / 100
		}
		count := rapid.SampledFrom([]int{1, 3}).Draw(t, "beeps")
		ack := button.AckPattern(count)
		many := [][]button.Pulse{ack, ack, ack, ack, ack}
		sounds, end := sounding(0, stretch, many...)
		if got, ok := button.ParseCode(sounds, end+time.Hour); ok {
			t.Fatalf("acknowledgements heard as %v", got)
		}
		once := button.CodePattern(code)
		sounds, end = sounding(0, stretch, ack, once, once)
		if got, ok := button.ParseCode(sounds, end); !ok || got != code {
			t.Fatalf("code %v after an acknowledgement heard as %v, %v", code, got, ok)
		}
	})
}

// A code with a digit missing or too many, or with another tone in it, is not heard.
func TestSpoiledCodeIsNotHeard(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := button.CodePattern(drawCode(t))
		switch rapid.IntRange(0, 3).Draw(t, "spoiled") {
		case 0: // a digit more
			pattern[len(pattern)-1].For = time.Second
			pattern = append(pattern, button.CodePattern([4]int{1, 1, 1, 1})[:2]...)
		case 1: // ends before the last digit
			last := len(pattern) - 1
			for pattern[last-1].For != time.Second {
				last--
			}
			pattern = pattern[:2*rapid.IntRange(1, last/2).Draw(t, "counts")]
			pattern[len(pattern)-1].For = button.CodeRepeat
		case 2: // a count that is too long
			pattern[2*rapid.IntRange(0, len(pattern)/2-1).Draw(t, "pulse")].For = 500 * time.Millisecond
		case 3: // a crackle
			pattern[2*rapid.IntRange(0, len(pattern)/2-1).Draw(t, "pulse")].For = 20 * time.Millisecond
		}
		sounds, end := sounding(2*time.Second, exact, pattern)
		sounds = append([]button.Sound{{At: 0}}, sounds...)
		if got, ok := button.ParseCode(sounds, end); ok {
			t.Fatalf("heard as %v", got)
		}
	})
}

func TestPatterns(t *testing.T) {
	for _, code := range [][4]int{{}, {0, 1, 1, 1}, {1, 1, 1, 7}, {1, -1, 1, 1}} {
		if button.CodePattern(code) != nil {
			t.Errorf("%v has a pattern", code)
		}
	}
	if len(button.AckPattern(0)) != 0 || len(button.AckPattern(3)) != 6 {
		t.Error("an acknowledgement has a tone and a silence for each beep")
	}
	if button.AckPattern(1)[0].Hz == button.CodePattern([4]int{1, 1, 1, 1})[0].Hz {
		t.Error("acknowledgement and code have the same pitch")
	}
	if _, ok := button.ParseCode(nil, time.Hour); ok {
		t.Error("silence is a code")
	}
}

// Whatever is heard, the listener neither fails nor hears an impossible code.
func FuzzParseCode(f *testing.F) {
	f.Add([]byte{10, 10, 50, 10, 10, 150})
	f.Fuzz(func(t *testing.T, tens []byte) {
		var sounds []button.Sound
		at := time.Duration(0)
		for i, n := range tens {
			sounds = append(sounds, button.Sound{At: at, On: i%2 == 0})
			at += time.Duration(n) * 20 * time.Millisecond
		}
		code, ok := button.ParseCode(sounds, at+time.Minute)
		if ok && button.CodePattern(code) == nil {
			t.Errorf("heard %v", code)
		}
	})
}
