package button

import "time"

// A Show is what the device says about itself by its status light and beeper to
// somebody who stands before it: no gesture and no code, but a state (D4). It is
// data; the panel plays it.
type Show struct {
	ID     string // stable
	Means  string
	Pulses []Pulse // a Pulse without a pitch is light alone
	Lasts  bool    // played over and over while the state lasts; else once
}

// A Mood is a state of the device that its light shows while it lasts, least
// urgent first: where two hold, the later one is shown.
type Mood uint8

// The moods.
const (
	MoodRest       Mood = iota // nothing to say
	MoodSafe                   // safe mode: only recovery runs (A7)
	MoodConfigLost             // the configuration is gone: STATUS blinks orange (D4)
	MoodWorking                // a reset or a restore is under way
	MoodHalfState              // the journal is damaged: the doors are shut
	moods          = iota
)

// String returns the stable id of its Show.
func (m Mood) String() string { return m.Show().ID }

// Show is how a mood looks. Rest is dark and silent. None of them sounds: a
// light may blink for a week.
func (m Mood) Show() Show {
	switch m {
	case MoodSafe:
		return Show{"safe-mode", "safe mode: only recovery runs; hold the button to open a claim", blink(2, 150*time.Millisecond, 1500*time.Millisecond), true}
	case MoodConfigLost:
		return Show{"configuration-lost", "the configuration was set back and is not in force again yet", blink(1, time.Second, time.Second), true}
	case MoodWorking:
		return Show{"working", "a reset is under way: leave the NAS on", blink(1, 125*time.Millisecond, 125*time.Millisecond), true}
	case MoodHalfState:
		return Show{"half-state", "a reset's record is damaged: SSH, SMB and web stay shut; look at the console", blink(3, 200*time.Millisecond, 1400*time.Millisecond), true}
	}
	return Show{"rest", "nothing is under way", nil, true}
}

// Moods returns every mood there is.
func Moods() []Mood {
	all := make([]Mood, moods)
	for i := range all {
		all[i] = Mood(i)
	}
	return all
}

// Sounds at an end: one more beep when the NAS is ready again (D4), two low ones
// where everything was put back. Each is longer than any count, so none is heard
// as a digit.
const (
	readyHz  = 1500
	readyOn  = 900 * time.Millisecond
	failedHz = 500
	failedOn = 600 * time.Millisecond
)

// ReadyAgain says once that a reset is done and the NAS can be signed in to, or
// set up.
func ReadyAgain() Show {
	return Show{"ready", "the reset is done: the NAS is ready", []Pulse{{On: true, For: readyOn, Hz: readyHz}, {For: ackRest}}, false}
}

// PutBack says once that a reset did not succeed and all is as it was.
func PutBack() Show {
	one := Pulse{On: true, For: failedOn, Hz: failedHz}
	return Show{"put-back", "the reset failed and everything was put back as it was", []Pulse{one, {For: ackOff}, one, {For: ackRest}}, false}
}

// Shows returns everything that light and beeper can say, with gestures and code
// among it, as docs/lights.md lists it.
func Shows() []Show {
	all := []Show{
		{"claim-soft", "a claim opens: let go; the code follows", AckPattern(1), false},
		{"claim-hard", "it becomes a claim for a hard reset: let go; the code follows", AckPattern(3), false},
		{"code", "the code of the claim, here 1-2-1-2, until it was typed", CodePattern([4]int{1, 2, 1, 2}), true},
		ReadyAgain(), PutBack(),
	}
	for _, m := range Moods() {
		all = append(all, m.Show())
	}
	return all
}

// blink is n flashes of the light, each as long as the gap after it, and then a
// rest.
func blink(n int, on, rest time.Duration) []Pulse {
	var pulses []Pulse
	for range n {
		pulses = append(pulses, Pulse{On: true, For: on}, Pulse{For: on})
	}
	pulses[len(pulses)-1].For = rest
	return pulses
}
