package button

import "time"

// Signal is what a Recogniser has to say. It is one of the types below.
type Signal interface{ signal() }

// Beep asks for Count short tones, now: a hold time was reached.
type Beep struct{ Count int }

// Light asks for a pattern of the status light, until the next one.
type Light struct{ Pattern Pattern }

// OpenClaim selects: open a claim.
type OpenClaim struct{ Hard bool }

// HardenClaim selects: the open soft claim becomes a hard one.
type HardenClaim struct{}

// FreshCode selects: say a fresh code.
type FreshCode struct{}

// GrantTries selects: five more tries, if the claim has used up its own. The
// caller knows whether it has; the recogniser does not.
type GrantTries struct{}

// CloseClaim selects: close the open claim, nothing is changed.
type CloseClaim struct{}

// Act selects: do it at once. Only vendors' profiles say it.
type Act struct{ Mode Mode }

// Ignored says that a press selected nothing, and why (D8).
type Ignored struct {
	Reason Reason
	Held   time.Duration // how long it was held, as far as known; else 0
}

func (Beep) signal()        {}
func (Light) signal()       {}
func (OpenClaim) signal()   {}
func (HardenClaim) signal() {}
func (FreshCode) signal()   {}
func (GrantTries) signal()  {}
func (CloseClaim) signal()  {}
func (Act) signal()         {}
func (Ignored) signal()     {}

// Pattern is what the status light shows about the button.
type Pattern uint8

// The patterns, by what the person is to understand.
const (
	PatternRest  Pattern = iota // nothing is under way
	PatternHeld                 // the press is felt; keep on
	PatternLetGo                // the hold time is reached: let go now
	PatternAgain                // press again now for the second step
	PatternSpent                // nothing more comes of this press: let go
	PatternStuck                // the button seems to stick
)

// String returns a stable id.
func (p Pattern) String() string {
	return name(int(p), "rest", "held", "let-go", "again", "spent", "stuck")
}

// Mode is what a vendor's device does at once when its button says so.
type Mode uint8

// The modes of vendors' profiles.
const (
	ModeSoft     Mode = iota // Synology mode 1: vendors/synology.md §5.2
	ModeHard                 // Synology mode 2: vendors/synology.md §5.1
	ModeRestore              // older Synology: the system is installed anew (D7)
	ModeBasic                // QNAP 3 s: vendors/qnap.md §4.1
	ModeAdvanced             // QNAP 10 s: vendors/qnap.md §4.1
)

// String returns a stable id.
func (m Mode) String() string {
	return name(int(m), "soft", "hard", "restore", "basic", "advanced")
}

// Reason is why a press selected nothing.
type Reason uint8

// The reasons. Their ids (String) are stable: logs and messages carry them.
const (
	ReasonTooShort       Reason = iota // let go before the first beep
	ReasonTooLong                      // held on past the beep
	ReasonBounce                       // the contact touched, too short for a press
	ReasonStuck                        // held so long that it seems to stick
	ReasonHeldAtStart                  // already down when the program started
	ReasonNotReady                     // began before the device was ready (D1)
	ReasonClockBackwards               // the clock went backwards meanwhile
	ReasonEventsLost                   // edges were lost: what was pressed is unknown
	ReasonWindowPassed                 // a second long press, but the time for it was over
	ReasonAlreadyHard                  // a long press while a hard claim is open
	reasonsCount         = iota
)

// String returns the stable id.
func (r Reason) String() string {
	return name(int(r),
		"too-short", "too-long", "bounce", "stuck", "held-at-start", "not-ready",
		"clock-backwards", "events-lost", "window-passed", "already-hard")
}

// String returns a stable id.
func (c ClaimState) String() string {
	return name(int(c), "closed", "soft", "hard")
}

// Reasons returns every reason there is.
func Reasons() []Reason {
	all := make([]Reason, reasonsCount)
	for i := range all {
		all[i] = Reason(i)
	}
	return all
}

func name(i int, names ...string) string {
	if i < len(names) {
		return names[i]
	}
	return "unknown"
}
