package triage

import (
	"slices"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// Door is how the device's pages could be reached.
type Door string

// The doors.
const (
	Open     Door = "open"
	Redirect Door = "redirect_broken" // HTTP answers and sends on to an HTTPS that does not
	Refused  Door = "refused"         // the device is there, and this port is shut
	Silent   Door = "silent"          // nothing answers at that address
)

// Doors lists every door.
func Doors() []Door { return []Door{Open, Redirect, Refused, Silent} }

// Press is what the reset button was used for so far.
type Press string

// The presses.
const (
	NotPressed Press = "not_pressed"
	Changed    Press = "pressed_address_changed" // the network half of a reset is seen to have worked
	Unchanged  Press = "pressed_nothing_to_be_seen"
)

// Presses lists every press.
func Presses() []Press { return []Press{NotPressed, Changed, Unchanged} }

// Said is a person's answer to a question.
type Said string

// What can be said.
const (
	Unsaid Said = ""
	Yes    Said = "yes"
	No     Said = "no"
)

// QuestionID names a question to the person.
type QuestionID string

// The questions: few, and plain.
const (
	HavePhone    QuestionID = "have_phone"
	SureOfName   QuestionID = "sure_of_name"
	CloudAccount QuestionID = "cloud_account"
	SavedCopy    QuestionID = "saved_copy"
	OldApp       QuestionID = "old_app"
	AfterUpdate  QuestionID = "after_update"
	GetsInThere  QuestionID = "works_elsewhere"
	LowerCase    QuestionID = "typed_admin"
)

// Question is one thing to ask.
type Question struct {
	ID   QuestionID
	Text string
}

// Questions lists them in the order in which they are asked.
func Questions() []Question {
	return []Question{
		{HavePhone, "Do you still have the phone or the app that shows the codes?"},
		{LowerCase, "Did you sign in as admin, in lower case, with the default password of this maker?"},
		{GetsInThere, "Does the same name and password still work from another computer or phone?"},
		{CloudAccount, "Do you mean the name and password of the maker's website (Synology Account, QNAP ID)?"},
		{SureOfName, "Are you sure of the name? It is often not admin, but your own."},
		{OldApp, "Did you change the password lately, and an app or computer may still use the old one?"},
		{AfterUpdate, "Did it begin right after an update of the NAS?"},
		{SavedCopy, "Could the password be saved in a browser or password manager, on any computer or phone?"},
	}
}

// Vendor is whose device it is, as far as causes differ.
type Vendor string

// The vendors.
const (
	Synology Vendor = "Synology"
	QNAP     Vendor = "QNAP"
)

// Evidence is all that is known. The zero value knows nothing.
type Evidence struct {
	Vendor Vendor     `json:"vendor"`
	Status nas.Status `json:"status"`
	Door   Door       `json:"door"`
	Answer Answer     `json:"answer"`
	Press  Press      `json:"press"`
	// Said holds what the person answered; what is missing was not asked.
	Said map[QuestionID]Said `json:"said,omitempty"`
}

// Cause is why, by the first row of the table that fits.
func (e Evidence) Cause() Cause {
	c, _ := CauseNamed(e.cause())
	return c
}

func (e Evidence) cause() CauseID {
	for _, r := range table() {
		if r.fits(e) {
			return r.cause
		}
	}
	return Unexplained // not reached: the last row fits everything
}

// Next is the question whose answer would change the cause, the first of them;
// ok is false when none would, and so none is asked.
func (e Evidence) Next() (q Question, ok bool) {
	for _, q := range Questions() {
		if e.Said[q.ID] != Unsaid {
			continue
		}
		if e.saying(q.ID, Yes).cause() != e.saying(q.ID, No).cause() {
			return q, true
		}
	}
	return Question{}, false
}

func (e Evidence) saying(q QuestionID, s Said) Evidence {
	said := map[QuestionID]Said{q: s}
	for k, v := range e.Said {
		if k != q {
			said[k] = v
		}
	}
	e.Said = said
	return e
}

// Saying returns the evidence with one more answer of the person.
func (e Evidence) Saying(q QuestionID, yes bool) Evidence {
	if yes {
		return e.saying(q, Yes)
	}
	return e.saying(q, No)
}

// row is one line of the decision table: the first that fits decides. What a
// row leaves empty may be anything.
type row struct {
	vendor Vendor
	status []nas.Status
	door   []Door
	answer []Answer
	press  []Press
	yes    QuestionID // must have been answered with yes
	no     QuestionID // must have been answered with no
	cause  CauseID
}

func (r row) fits(e Evidence) bool {
	return (r.vendor == "" || r.vendor == e.Vendor) &&
		(r.status == nil || slices.Contains(r.status, e.Status)) &&
		(r.door == nil || slices.Contains(r.door, e.Door)) &&
		(r.answer == nil || slices.Contains(r.answer, e.Answer)) &&
		(r.press == nil || slices.Contains(r.press, e.Press)) &&
		(r.yes == "" || e.Said[r.yes] == Yes) &&
		(r.no == "" || e.Said[r.no] == No)
}

// table is the whole triage. What the device says comes before what a person
// says; what a person can mend at once comes before what needs a reset.
func table() []row {
	refused := []Answer{WrongPassword, NoReason}
	pressed := []Press{Changed, Unchanged}
	busy := []nas.Status{nas.Upgrading, nas.Booting, nas.CheckingQuota, nas.StartingServices, nas.TestingMemory, nas.TestingNetwork, nas.Installing, nas.CheckingFileSystem}
	return []row{
		{answer: []Answer{Accepted}, cause: NoneSignedIn},
		{answer: []Answer{CodeNeeded}, no: HavePhone, cause: SecondFactorLost},
		{answer: []Answer{CodeNeeded}, cause: CodeMissing},
		{answer: []Answer{CodeWrong}, no: HavePhone, cause: SecondFactorLost},
		{answer: []Answer{CodeWrong}, cause: CodeRefused},
		{answer: []Answer{FactorNotSetUp}, cause: SecondFactorUnset},
		{answer: []Answer{Blocked}, yes: OldApp, cause: OldPasswordApp},
		{answer: []Answer{Blocked}, cause: AddressBlocked},
		{answer: []Answer{Locked}, yes: OldApp, cause: OldPasswordApp},
		{answer: []Answer{Locked}, cause: AccountLocked},
		{answer: []Answer{AccountDisabled}, yes: AfterUpdate, cause: UpdateDisabled},
		{answer: []Answer{AccountDisabled}, cause: Disabled},
		{answer: []Answer{ExpiredFixed}, cause: ExpiredForGood},
		{answer: []Answer{Expired, MustChange}, cause: PasswordExpired},
		{answer: []Answer{PortalOnly}, cause: PortalAccount},
		{answer: []Answer{Forbidden}, cause: PrivilegeRemoved},
		{answer: []Answer{NotAdministrator}, cause: NoAdministrator},
		{answer: []Answer{Other}, cause: Unexplained},

		{status: []nas.Status{nas.ConfigurationLost}, cause: ConfigurationLost},
		{status: []nas.Status{nas.NotInstalled}, cause: DrivesMissing},
		{status: []nas.Status{nas.Migratable, nas.Recoverable}, cause: DrivesMoved},
		{status: []nas.Status{nas.NotConfigured}, cause: NotSetUp},
		{status: []nas.Status{nas.ConnectionFailed}, cause: NetworkFailed},
		{status: busy, cause: NotReady},
		{status: []nas.Status{nas.Offline}, cause: SwitchedOff},

		{answer: refused, press: pressed, no: LowerCase, cause: BlankWrongName},
		{answer: refused, press: []Press{Changed}, vendor: Synology, cause: BlankKeepPassword},
		{answer: refused, press: []Press{Changed}, cause: DefaultPasswordWrong},
		{answer: refused, press: []Press{Unchanged}, cause: PressWithoutEffect},

		{answer: refused, yes: GetsInThere, cause: AddressBlocked},
		{answer: refused, yes: CloudAccount, cause: CloudConfused},
		{answer: refused, no: SureOfName, cause: WrongName},
		{answer: refused, yes: OldApp, cause: OldPasswordApp},
		{answer: refused, yes: AfterUpdate, cause: UpdateDisabled},
		{answer: refused, yes: SavedCopy, cause: SavedElsewhere},
		{answer: refused, cause: PasswordForgotten},

		{door: []Door{Redirect}, cause: RedirectBroken},
		{door: []Door{Refused}, yes: GetsInThere, cause: AddressBlocked},
		{door: []Door{Refused}, cause: PortMoved},
		{door: []Door{Silent}, press: pressed, cause: LostAfterReset},
		{door: []Door{Silent}, cause: NotReachable},

		{answer: []Answer{NotTried}, press: []Press{Unchanged}, cause: PressWithoutEffect},
		{answer: []Answer{NotTried}, press: []Press{Changed}, cause: ResetDone},
		{answer: []Answer{NotTried}, yes: CloudAccount, cause: CloudConfused},
		{answer: []Answer{NotTried}, yes: SavedCopy, cause: SavedElsewhere},
		{answer: []Answer{NotTried}, cause: PasswordForgotten},
		{cause: Unexplained},
	}
}
