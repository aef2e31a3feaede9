// Package triage turns what a device says, and a few plain answers of a person,
// into the cause of being locked out.
//
// It is a table and nothing else: it asks nobody, tries no password, and never
// guesses past what the device said.
package triage

// Answer is what a device said to the one sign-in attempt that a typed
// password gets, in words that are the same for every vendor. The protocol
// packages' code tables lead here.
type Answer string

// The answers.
const (
	NotTried         Answer = "not_tried"
	Accepted         Answer = "accepted"
	WrongPassword    Answer = "wrong_password"    // or a wrong name: devices do not say which
	NoReason         Answer = "refused"           // refused, and the device gives no reason (QTS)
	AccountDisabled  Answer = "account_disabled"  //
	Forbidden        Answer = "permission_denied" // the account may not sign in here, or to this
	NotAdministrator Answer = "not_administrator" //
	CodeNeeded       Answer = "code_needed"       // the password was right; the second step is missing
	CodeWrong        Answer = "code_wrong"        //
	FactorNotSetUp   Answer = "factor_not_set_up" // a second step is demanded that was never set up
	PortalOnly       Answer = "portal_only"       // only by the application's own page
	Blocked          Answer = "blocked"           // this address, after too many tries
	Locked           Answer = "locked"            // this account
	Expired          Answer = "expired"           // the password's time is over; it can be changed
	ExpiredFixed     Answer = "expired_fixed"     // and the person may not change it
	MustChange       Answer = "must_change"       //
	Other            Answer = "other"             // none that a source names: shown as the device gave it
)

// Answers lists every answer.
func Answers() []Answer {
	return []Answer{NotTried, Accepted, WrongPassword, NoReason, AccountDisabled, Forbidden, NotAdministrator, CodeNeeded, CodeWrong, FactorNotSetUp, PortalOnly, Blocked, Locked, Expired, ExpiredFixed, MustChange, Other}
}
