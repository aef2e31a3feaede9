package button

import (
	"errors"
	"fmt"
	"time"
)

// Stage is what a press may select once it has been held for From.
type Stage struct {
	// From is the hold time at which the stage is reached. It lasts until the
	// next stage's From.
	From time.Duration
	// Beeps sound when it is reached; 0 is silence.
	Beeps int
	// Select is what it selects: when the button is let go within the stage,
	// or when the stage is reached if AtOnce.
	Select []Signal
	AtOnce bool
	// Again opens the window for a second press.
	Again bool
}

// event says how the stage is reached.
func (s Stage) event() event {
	switch {
	case s.AtOnce:
		return reachedAtOnce
	case s.Beeps > 0:
		return reachedBeep
	}
	return reachedSilent
}

// Profile is a vendor's gestures, as data.
type Profile struct {
	Name string
	// ActsAtOnce: the press itself resets, as vendors do, and leaves a blank
	// or printed password. paperclipd refuses such a profile; it is for the
	// lab's faces and for tests.
	ActsAtOnce bool

	Debounce time.Duration // how long a level is kept until it counts
	Window   time.Duration // from letting go to the second press; 0: no second press
	Stuck    time.Duration // held so long means that it sticks
	Lateness time.Duration // how much older than the latest a timestamp may be

	// What a press selects: when nothing is open; as second press within the
	// window; and the same while a soft or a hard claim is open. An empty one
	// is as First. The stages are in the order of From, the first from 0.
	First, Again, Soft, SoftAgain, Hard []Stage
}

// stages returns what a press may select.
func (p *Profile) stages(c ClaimState, again bool) []Stage {
	if p.ActsAtOnce {
		c = ClaimClosed // a vendor's device has no claims
	}
	var chosen []Stage
	switch {
	case c == ClaimHard:
		chosen = p.Hard
	case c == ClaimSoft && again:
		chosen = p.SoftAgain
	case c == ClaimSoft:
		chosen = p.Soft
	case again:
		chosen = p.Again
	}
	if len(chosen) == 0 {
		return p.First
	}
	return chosen
}

// Validate returns nil if a Recogniser can work with the profile.
func (p *Profile) Validate() error {
	if p.Debounce <= 0 || p.Lateness < 0 || p.Window < 0 || p.Stuck <= 0 || p.Stuck > time.Hour {
		return errors.New("button profile: a time is out of range")
	}
	if len(p.First) == 0 {
		return errors.New("button profile: no gesture")
	}
	for _, stages := range [][]Stage{p.First, p.Again, p.Soft, p.SoftAgain, p.Hard} {
		if err := p.validate(stages); err != nil {
			return err
		}
	}
	return nil
}

func (p *Profile) validate(stages []Stage) error {
	last := -p.Debounce
	for i, s := range stages {
		switch {
		case i == 0 && (s.From != 0 || s.AtOnce || s.Beeps != 0 || s.Again):
			return errors.New("button profile: the first stage is from 0, silent, selected on release")
		case s.From < last+p.Debounce || s.From >= p.Stuck:
			return fmt.Errorf("button profile: stage %d begins out of order", i)
		case s.AtOnce && (s.Beeps != 0 || s.Again || i != len(stages)-1):
			return fmt.Errorf("button profile: stage %d: at once is the last, with no beep and no window", i)
		case s.Again && (s.Beeps == 0 || p.Window == 0):
			return fmt.Errorf("button profile: stage %d: a window needs a beep and a length", i)
		case len(s.Select) == 0:
			return fmt.Errorf("button profile: stage %d selects nothing and does not say why", i)
		}
		last = s.From
	}
	return nil
}

// The times that all profiles share. 30 ms is longer than a tact switch bounces
// (below 10 ms) and shorter than a person can press (above 50 ms). The vendors
// publish neither it nor the others.
const (
	debounce = 30 * time.Millisecond
	lateness = 100 * time.Millisecond
	sticks   = time.Minute
	window   = 10 * time.Second // D3
	hold     = 4 * time.Second  // D2, D3
	tooLong  = 10 * time.Second
)

// Profiles returns every profile, the default first.
func Profiles() []Profile {
	return []Profile{Paperclip(), Synology(), SynologyLegacy(), QNAP()}
}

// ProfileNamed returns the profile of that name; false if there is none.
func ProfileNamed(name string) (Profile, bool) {
	for _, p := range Profiles() {
		if p.Name == name {
			return p, true
		}
	}
	return Profile{}, false
}

func base(name string) Profile {
	return Profile{Name: name, Debounce: debounce, Stuck: sticks, Lateness: lateness}
}

// Paperclip returns our own gestures: a press opens a claim and changes nothing
// (D2, D3, D7).
func Paperclip() Profile {
	p := base("paperclip")
	p.Window = window
	code := Stage{Select: []Signal{FreshCode{}, GrantTries{}}}
	end := Stage{From: tooLong, AtOnce: true, Select: []Signal{CloseClaim{}}}
	p.First = []Stage{
		{Select: []Signal{Ignored{Reason: ReasonTooShort}}},
		{From: hold, Beeps: 1, Again: true, Select: []Signal{OpenClaim{}}},
		{From: tooLong, AtOnce: true, Select: []Signal{Ignored{Reason: ReasonTooLong}}},
	}
	p.Soft = []Stage{code, {From: hold, Select: []Signal{Ignored{Reason: ReasonWindowPassed}}}, end}
	p.SoftAgain = []Stage{code, {From: hold, Beeps: 3, Select: []Signal{HardenClaim{}}}, end}
	p.Hard = []Stage{code, {From: hold, Select: []Signal{Ignored{Reason: ReasonAlreadyHard}}}, end}
	return p
}

// Synology returns what Synology documents (vendors/synology.md §5.1): 4 s,
// beep, let go: mode 1; within 10 s 4 s again, three beeps: mode 2. What
// holding on does is not documented; here it selects nothing.
func Synology() Profile {
	p := base("synology")
	p.ActsAtOnce = true
	p.Window = window
	short := Stage{Select: []Signal{Ignored{Reason: ReasonTooShort}}}
	long := Stage{From: tooLong, AtOnce: true, Select: []Signal{Ignored{Reason: ReasonTooLong}}}
	p.First = []Stage{short, {From: hold, Beeps: 1, Again: true, Select: []Signal{Act{ModeSoft}}}, long}
	p.Again = []Stage{short, {From: hold, Beeps: 3, Select: []Signal{Act{ModeHard}}}, long}
	return p
}

// SynologyLegacy returns what source T tells of older units (D7): let go at the
// beep is mode 1, holding on restores the system. T gives no time for holding
// on; 10 s is ours, so that nobody gets there by being slow.
func SynologyLegacy() Profile {
	p := base("synology-legacy")
	p.ActsAtOnce = true
	p.First = []Stage{
		{Select: []Signal{Ignored{Reason: ReasonTooShort}}},
		{From: hold, Beeps: 1, Select: []Signal{Act{ModeSoft}}},
		{From: tooLong, Select: []Signal{Act{ModeRestore}}},
	}
	return p
}

// QNAP returns what QNAP documents (vendors/qnap.md §4.1, D10): 3 s and a beep,
// basic; 10 s and a second beep, advanced.
func QNAP() Profile {
	p := base("qnap")
	p.ActsAtOnce = true
	p.First = []Stage{
		{Select: []Signal{Ignored{Reason: ReasonTooShort}}},
		{From: 3 * time.Second, Beeps: 1, Select: []Signal{Act{ModeBasic}}},
		{From: 10 * time.Second, Beeps: 1, Select: []Signal{Act{ModeAdvanced}}},
	}
	return p
}
