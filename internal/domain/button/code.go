package button

import "time"

// Pulse is one piece of a pattern for beeper and light: on or off, how long,
// and at which pitch. A pattern is data; the panel plays it.
type Pulse struct {
	On  bool
	For time.Duration
	Hz  int // pitch while on
}

// How a code and an acknowledgement sound. The times lie so far apart that each
// may be wrong by two fifths, heard by polling every 20 ms, and still be told
// from all others.
const (
	codeHz = 1000
	codeOn = 200 * time.Millisecond // one count
	// CodeRepeat is the silence before the code is said again.
	CodeRepeat = 3 * time.Second
	codeOff    = 200 * time.Millisecond // between counts
	codeDigit  = time.Second            // between digits

	ackHz   = 2000
	ackOn   = 600 * time.Millisecond // no count is as long
	ackOff  = 300 * time.Millisecond
	ackRest = 2 * time.Second // so that a code after it is heard apart
)

// Limits between the times above, for a listener.
const (
	shortestOn = 80 * time.Millisecond
	longestOn  = 320 * time.Millisecond
	digitAfter = 440 * time.Millisecond
	codeAfter  = 1600 * time.Millisecond
)

// CodePattern returns the pulses that say a code of four counts once: each
// count a short tone, a pause between the digits, and a longer one at the end,
// after which it may be played again. Counts go from 1 to 6; with any other the
// pattern is nil. Who breaks it off should sound an acknowledgement at once, or
// the last digit is heard as a smaller one.
func CodePattern(code [4]int) []Pulse {
	var pulses []Pulse
	for _, count := range code {
		if count < 1 || count > 6 {
			return nil
		}
		for range count {
			pulses = append(pulses, Pulse{On: true, For: codeOn, Hz: codeHz}, Pulse{For: codeOff})
		}
		pulses[len(pulses)-1].For = codeDigit
	}
	pulses[len(pulses)-1].For = CodeRepeat
	return pulses
}

// AckPattern returns the pulses that acknowledge a hold: n long tones, higher
// than a code's. No listener takes one for a count.
func AckPattern(n int) []Pulse {
	var pulses []Pulse
	for i := range n {
		off := ackOff
		if i == n-1 {
			off = ackRest
		}
		pulses = append(pulses, Pulse{On: true, For: ackOn, Hz: ackHz}, Pulse{For: off})
	}
	return pulses
}

// Sound is the beeper (or light) going on or off, as a listener saw it. At is
// on any clock that does not go backwards.
type Sound struct {
	At time.Duration
	On bool
}

// ParseCode returns the first whole code in what was heard until the given
// time: between two long silences, four runs of 1 to 6 short tones. It may
// begin and end anywhere. Changes and repeated samples are both fine.
func ParseCode(sounds []Sound, until time.Duration) (code [4]int, ok bool) {
	var l Listener
	for _, s := range sounds {
		if code, ok = l.Hear(s.At, s.On); ok {
			return code, true
		}
	}
	return l.Hear(until, l.on)
}

// Listener hears a code as it is said. The zero value is ready: it has heard
// nothing yet, and waits for a long silence.
type Listener struct {
	started bool
	on      bool
	since   time.Duration
	synced  bool // a long silence was heard, and only counts since then
	counts  [4]int
	digit   int
}

// Hear takes the level at a time; to be called at every change, or as often as
// it is looked at. It returns a code, once, when the silence after it is long
// enough to know that it is whole.
func (l *Listener) Hear(at time.Duration, on bool) (code [4]int, ok bool) {
	if !l.started {
		*l = Listener{started: true, on: on, since: at}
		return code, false
	}
	lasted := at - l.since
	if !l.on && lasted >= codeAfter {
		code, ok = l.counts, l.whole()
		l.counts, l.digit, l.synced = [4]int{}, 0, true
	}
	if on != l.on {
		l.change(lasted)
		l.on, l.since = on, at
	}
	return code, ok
}

// whole reports whether exactly four digits were heard.
func (l *Listener) whole() bool { return l.synced && l.digit == 3 && l.counts[3] > 0 }

// change takes the tone or the silence that just ended.
func (l *Listener) change(lasted time.Duration) {
	switch {
	case l.on && (lasted < shortestOn || lasted > longestOn):
		l.synced = false
	case l.on && l.counts[l.digit] == 6:
		l.synced = false
	case l.on:
		l.counts[l.digit]++
	case lasted < shortestOn:
		l.synced = false
	case lasted >= codeAfter || lasted < digitAfter:
		// The silence between codes was dealt with; between counts it is nothing.
	case l.digit == 3:
		l.synced = false
	default:
		l.digit++
	}
}
