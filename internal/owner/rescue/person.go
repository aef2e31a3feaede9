package rescue

import (
	"context"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
)

// Person is who a rescue needs: somebody at the NAS who can press, hear and
// choose. A terminal is one implementation, the lab's robot another, and files
// written by a program a third (Auto).
//
// Every method returns ctx's error soon after ctx is done.
type Person interface {
	// Press asks for the button to be held. It returns nil when that is done,
	// or when p.Opened is closed: the claim was seen open.
	Press(ctx context.Context, p Press) error
	// Hear returns the code that the NAS says, or the one on its label.
	Hear(ctx context.Context, h Hear) (access.Presence, error)
	// Choose answers a question. Where nobody can, the error is a
	// catalog.Problem that says what to give instead.
	Choose(ctx context.Context, q Question) (Answer, error)
	// Tell reports progress. It never blocks.
	Tell(e Event)
}

// Press is one use of the reset button.
type Press struct {
	Device string          // its name
	Hold   time.Duration   // how long to hold; let go at the beep
	Beeps  int             // how many beeps say that it is enough; 0 for a short press
	Why    string          // for the person
	Opened <-chan struct{} // closed when the NAS shows that the press has arrived
}

// Hear asks for the code that the NAS is saying.
type Hear struct {
	Device  string
	Wrong   int  // how many codes were wrong so far
	Refused bool // the code that was given last is one of them
	Label   bool // the code on its label is taken as well
}

// QuestionID names a question, for tests and for answers given beforehand.
type QuestionID string

// The questions.
const (
	AskTarget           QuestionID = "target"
	AskWay              QuestionID = "way"
	AskAdministrator    QuestionID = "administrator"
	AskScope            QuestionID = "scope"
	AskAccept           QuestionID = "accept"       // the plan: yes or no
	AskNewPassword      QuestionID = "new_password" // typed twice
	AskPassword         QuestionID = "password"     // one that works, or was just set; may be left empty
	AskRecoveryCode     QuestionID = "recovery_code"
	AskSecondFactor     QuestionID = "second_factor"     // that stays, or is taken away too
	AskNewAdministrator QuestionID = "new_administrator" // of a hard reset
	AskName             QuestionID = "name"              // the set-up wizard's, of a hard reset
	AskNetwork          QuestionID = "network"           // "dhcp", or addresses as reset.ParseAddress reads them
	AskRestore          QuestionID = "restore"
)

// Question is one thing to choose.
type Question struct {
	ID      QuestionID
	Text    string
	Lines   []string // what to know before answering: the plan, the ways that cost less
	Options []Option // for a choice of one; empty for yes or no, and for passwords
	Default string   // the option that is taken unless another is chosen
	Typed   bool     // any text is an answer, given as the option
	Advice  string   // why the last answer would not do

	// For AskNewPassword: what it must not consist of.
	Names        []string
	SecondFactor bool
	// For AskPassword: whose.
	Account string

	// Hidden says that a password or code is to be typed, and not shown.
	Hidden bool
	// Page is a task in the browser that is asked about; nil for other questions.
	Page *Page
}

// Page is what a person does on a vendor's own page, for whoever does it in the
// person's place: the lab's robot.
type Page struct {
	Task     string
	Device   string // its name
	URL      string
	Account  string
	Password access.Secret // that was chosen and is to be typed there; may be empty
	Was      string        // the address before, to be typed back
}

// Option is one answer that can be chosen.
type Option struct {
	ID     string
	Text   string
	Detail string
}

// Answer is what was chosen.
type Answer struct {
	Option   string
	Yes      bool
	Password access.Secret
}

// EventKind is what an event reports.
type EventKind string

// The kinds of event.
const (
	StepStarted EventKind = "started"
	StepDone    EventKind = "done"
	StepFailed  EventKind = "failed"
	Note        EventKind = "note"     // something to know
	Progress    EventKind = "progress" // a step is going on
)

// Event is progress, in words for a person. It holds no secret.
type Event struct {
	Kind     EventKind
	Step     Name
	Text     string
	Source   string // of a Note: the catalogue's id, and how sure it is; for who reads a log
	Doubt    string // of a Note: how far it is not sure, in words; for a person
	Verified bool   // for StepDone
	Elapsed  time.Duration
	Done     int // of Total, for Progress; 0 of 0 when that is not known
	Total    int
}

// Witness compares the NAS before and after from outside the engine: the lab's
// own, or a test's. A real NAS has none.
type Witness interface {
	// Before looks at the device before anything is changed. forgotten are the
	// accounts whose passwords its owner does not know any more, as far as that is
	// known by then; a password that stays is the owner's, and not touched.
	Before(ctx context.Context, device string, forgotten ...string) error
	// After compares, and tries the old password of the administrator.
	After(ctx context.Context, device, administrator string) (Evidence, error)
}

// Evidence is what a witness saw. A nil part was not looked at.
type Evidence struct {
	OldPasswordRefused *bool `json:"old_password_refused"`
	Data               *Data `json:"data"`
}

// Data is the comparison of all files on the volumes.
type Data struct {
	Files   int   `json:"files"`
	Bytes   int64 `json:"bytes"`
	Changed int   `json:"changed"` // content, mode, owner or name differ, or the file is gone or new
}
