package dsmapi

import (
	"slices"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/triage"
)

// Code is one row of the tables of error numbers.
type Code struct {
	API        string // "" for every API
	Number     int
	Answer     triage.Answer // to a sign-in; Other where it is none of its answers
	Text       string
	Source     string
	Confidence catalog.Confidence
}

// Codes lists every number that a source explains.
func Codes() []Code {
	const (
		auth   = APIAuth
		src    = "vendors/synology.md §4.1"
		signIn = catalog.A
	)
	return []Code{
		{auth, 400, triage.WrongPassword, "No such account, or a wrong password.", src, signIn},
		{auth, 401, triage.AccountDisabled, "The account is disabled, or is the guest's.", src, signIn},
		{auth, 402, triage.Forbidden, "The account may not sign in here.", src, signIn},
		{auth, 403, triage.CodeNeeded, "The password is right; the code of the second step is missing.", src, signIn},
		{auth, 404, triage.CodeWrong, "The code of the second step is wrong.", src, signIn},
		{auth, 405, triage.PortalOnly, "This account signs in by the application's own page only.", src, signIn},
		{auth, 406, triage.FactorNotSetUp, "A second step is demanded of everybody, and this account has none set up.", src, signIn},
		{auth, 407, triage.Blocked, "This address is blocked after too many failed sign-ins.", src, signIn},
		{auth, 408, triage.ExpiredFixed, "The password has expired and this account may not change it.", src, signIn},
		{auth, 409, triage.Expired, "The password has expired.", src, signIn},
		{auth, 410, triage.MustChange, "The password must be changed first.", src, signIn},
		{auth, 411, triage.Locked, "The account is locked for a while after too many failures.", src, signIn},
		{"", 100, triage.Other, "An error that DSM itself does not know.", src, catalog.A},
		{"", 101, triage.Other, "No API or parameter was named.", src, catalog.A},
		{"", 102, triage.Other, "This DSM has no such API.", src, catalog.A},
		{"", 103, triage.Other, "This API has no such method.", src, catalog.A},
		{"", 104, triage.Other, "This API is not there in that version.", src, catalog.A},
		{"", 105, triage.Forbidden, "The session may not do that.", src, catalog.A},
		{"", 106, triage.Other, "The session timed out.", src, catalog.A},
		{"", 107, triage.Other, "The session was ended by another sign-in.", src, catalog.A},
		{"", 114, triage.Other, "A parameter is missing.", src, catalog.A},
		{"", 119, triage.Other, "There is no such session.", src, catalog.A},
		{"", 120, triage.Other, "A parameter has a value that will not do.", src, catalog.A},
		{"", 150, triage.Other, "The session belongs to another address.", src, catalog.A},
		{"", 160, triage.Forbidden, "The account lacks the privilege for this application.", src, catalog.A},
		{APIUser, 402, triage.Other, "The password does not fit DSM's own rules.", "vendors/synology.md §3.4", catalog.B},
		{APIUser, 3103, triage.Other, "The date will not do.", "vendors/synology.md §4.2", catalog.B},
		{APIUser, 3106, triage.Other, "There is no such user.", "vendors/synology.md §4.2", catalog.B},
		{APIGroupMember, 3201, triage.Other, "There is no such group.", "vendors/synology.md §4.2", catalog.B},
		{APIBlockRules, 5100, triage.Other, "Which list was not said.", "vendors/synology.md §4.2", catalog.B},
		{"SYNO.Core.Network.Ethernet", 4302, triage.Other, "DSM refused the network setting as it was sent.", "vendors/synology.md §4.2", catalog.B},
	}
}

// Meaning is the row of a refusal: the API's own before the common one.
func (e *Error) Meaning() (Code, bool) {
	codes := Codes()
	for _, api := range []string{e.API, ""} {
		if i := slices.IndexFunc(codes, func(c Code) bool { return c.API == api && c.Number == e.Code }); i >= 0 {
			return codes[i], true
		}
	}
	return Code{}, false
}

// Answer is what the refusal of a sign-in means.
func (e *Error) Answer() triage.Answer {
	if c, ok := e.Meaning(); ok {
		return c.Answer
	}
	return triage.Other
}
