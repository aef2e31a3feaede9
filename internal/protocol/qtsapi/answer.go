package qtsapi

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/triage"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

// text is a value, with or without CDATA.
type text string

// MarshalXML writes the value as QTS does, in CDATA.
func (t text) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	return e.EncodeElement(struct {
		S string `xml:",cdata"`
	}{string(t)}, start)
}

// flag is a value of 0 or 1; absent is 0.
type flag bool

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *flag) UnmarshalText(b []byte) error { *f = strings.TrimSpace(string(b)) == "1"; return nil }

// MarshalXML writes 0 or 1.
func (f flag) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	t := text("0")
	if f {
		t = "1"
	}
	return t.MarshalXML(e, start)
}

// number is a whole number; what is none is 0.
type number int

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *number) UnmarshalText(b []byte) error {
	v, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	*n = number(v)
	return nil
}

// MarshalXML writes the number.
func (n number) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	return text(strconv.Itoa(int(n))).MarshalXML(e, start)
}

// LoginAnswer is the answer to a sign-in attempt, and to CheckSession.
type LoginAnswer struct {
	XMLName      xml.Name `xml:"QDocRoot"`
	Passed       flag     `xml:"authPassed"`
	SID          text     `xml:"authSid,omitempty"`
	ErrorValue   number   `xml:"errorValue"`
	Admin        flag     `xml:"isAdmin"`
	User         text     `xml:"username,omitempty"`
	NeedTwoStep  flag     `xml:"need_2sv"`                 // QTS API 5.1.0
	NeedTwoStep2 flag     `xml:"need_2_step_verification"` // newer pages
	LostPhone    number   `xml:"lost_phone"`               // 1 mail, 2 question, 3 none, -1 over the limit
	MailTries    number   `xml:"emergency_try_count"`
	MailLimit    number   `xml:"emergency_try_limit"`
	Clock        number   `xml:"timestamp"` // the NAS's, in seconds since 1970
	ForceTwoStep flag     `xml:"force_2sv"`
	ForceChange  flag     `xml:"force_change_pw"`
}

// String hides the session's id.
func (a LoginAnswer) String() string {
	return fmt.Sprintf("authPassed=%t errorValue=%d need_2sv=%t", bool(a.Passed), int(a.ErrorValue), a.TwoStep())
}

// GoString is String.
func (a LoginAnswer) GoString() string { return a.String() }

// TwoStep reports whether the second step is asked for: either field counts.
func (a LoginAnswer) TwoStep() bool { return bool(a.NeedTwoStep || a.NeedTwoStep2) }

// OK reports whether there is a session.
func (a LoginAnswer) OK() bool { return bool(a.Passed) && a.SID != "" }

// Answer is what it means; withCode says that the attempt had a code of the
// second step in it.
func (a LoginAnswer) Answer(withCode bool) triage.Answer {
	switch {
	case a.OK() && bool(a.ForceChange):
		return triage.MustChange
	case a.OK():
		return triage.Accepted
	case a.TwoStep() && withCode:
		return triage.CodeWrong
	case a.TwoStep():
		return triage.CodeNeeded
	case bool(a.ForceTwoStep):
		return triage.FactorNotSetUp
	}
	if c, ok := a.Meaning(); ok {
		return c.Answer
	}
	return triage.Other
}

// Raw is the refusal as the device gave it, safe to show.
func (a LoginAnswer) Raw() string {
	return printable.Clean("errorValue " + strconv.Itoa(int(a.ErrorValue)))
}

// Said is Raw, and what the value means where a source explains it.
func (a LoginAnswer) Said() string {
	if c, ok := a.Meaning(); ok && a.ErrorValue != 0 {
		return a.Raw() + " (" + strings.TrimRight(c.Text, ".") + ")"
	}
	return a.Raw()
}

// Code is one row of the table of error values.
type Code struct {
	Number     int
	Answer     triage.Answer
	Text       string
	Source     string
	Confidence catalog.Confidence
}

// Codes lists every error value that a source explains.
func Codes() []Code {
	const src = "vendors/qnap.md §3.2"
	return []Code{
		{0, triage.NoReason, "Refused, and QTS does not say why.", src, catalog.A},
		{-1, triage.NoReason, "Refused: wrong name or password, a disabled or expired account, and a blocked address look alike.", src, catalog.A},
		{-2, triage.NotAdministrator, "The account is no administrator.", src, catalog.A},
		{-3, triage.Expired, "The administrator's password has expired.", src, catalog.A},
		{-4, triage.Expired, "The password has expired.", src, catalog.A},
	}
}

// Meaning is the row of the error value.
func (a LoginAnswer) Meaning() (Code, bool) {
	codes := Codes()
	i := slices.IndexFunc(codes, func(c Code) bool { return c.Number == int(a.ErrorValue) })
	if i < 0 {
		return Code{}, false
	}
	return codes[i], true
}

// User is one account of a list.
type User struct {
	Name        text   `xml:"username"`
	UID         number `xml:"userid"` // 0 is the built-in admin
	Email       text   `xml:"email"`
	Description text   `xml:"description"`
	Enabled     flag   `xml:"user_enable"`
	Expires     flag   `xml:"user_account_expiry"`
}

// UserList is the answer to ListUsers.
type UserList struct {
	XMLName xml.Name `xml:"QDocRoot"`
	Passed  flag     `xml:"authPassed"`
	Users   []User   `xml:"userroot>data>user"`
	Result  number   `xml:"userroot>ret"`
}

// ShareList is the answer to ListShares. Which names its elements have is in no
// source that was read; these are what the list of users has, with shares in
// place of users (confidence C).
type ShareList struct {
	XMLName xml.Name `xml:"QDocRoot"`
	Passed  flag     `xml:"authPassed"`
	Count   *number  `xml:"shareroot>count"`
	Shares  []Share  `xml:"shareroot>data>share"`
}

// Share is one shared folder of a list.
type Share struct {
	Name text `xml:"sharename"`
}

// Names are the shared folders' names; ok is false where the answer has no list
// of them.
func (l ShareList) Names() (names []string, ok bool) {
	for _, s := range l.Shares[:min(len(l.Shares), maxUsers)] {
		names = append(names, printable.Clean(string(s.Name)))
	}
	return names, l.Count != nil
}

// UserInfo is one account as GetUser gives it. Which names the fields have but
// chk_disable is confidence C: what is missing stays empty and is not written.
type UserInfo struct {
	Name        string
	Disabled    bool
	Expire      string
	UID         string
	Year        string
	Month       string
	Day         string
	Description string
	Email       string
	CountryCode string
	Telephone   string
}

// UserAnswer is the answer to GetUser.
type UserAnswer struct {
	XMLName     xml.Name `xml:"QDocRoot"`
	Passed      flag     `xml:"authPassed"`
	Name        text     `xml:"userInfo>username"`
	Disabled    flag     `xml:"userInfo>chk_disable"` // the inverse of user_enable
	Expire      text     `xml:"userInfo>a_expire"`
	UID         text     `xml:"userInfo>userid"`
	Year        text     `xml:"userInfo>year"`
	Month       text     `xml:"userInfo>month"`
	Day         text     `xml:"userInfo>day"`
	Description text     `xml:"userInfo>description"`
	Email       text     `xml:"userInfo>email"`
	CountryCode text     `xml:"userInfo>tel_country_code"`
	Telephone   text     `xml:"userInfo>tel"`
}

// Info is the account.
func (a UserAnswer) Info() UserInfo {
	return UserInfo{
		Name: string(a.Name), Disabled: bool(a.Disabled), Expire: string(a.Expire), UID: string(a.UID), Year: string(a.Year), Month: string(a.Month), Day: string(a.Day),
		Description: string(a.Description), Email: string(a.Email), CountryCode: string(a.CountryCode), Telephone: string(a.Telephone),
	}
}

// Groups is the answer to GroupsOf, names parted by ", ".
type Groups struct {
	XMLName xml.Name `xml:"QDocRoot"`
	Passed  flag     `xml:"authPassed"`
	Own     text     `xml:"func>ownContent>ownGroup"`
}

// List is the groups' names.
func (g Groups) List() []string {
	var out []string
	for name := range strings.SplitSeq(string(g.Own), ",") {
		if name = strings.TrimSpace(name); name != "" && len(out) < maxUsers {
			out = append(out, printable.Clean(name))
		}
	}
	return out
}

// PasswordAnswer is the answer to SetPassword. authPassed=1 says only that the
// session stands; done is both results 0 (vendors/qnap.md §3.4).
type PasswordAnswer struct {
	XMLName xml.Name `xml:"QDocRoot"`
	Passed  flag     `xml:"authPassed"`
	Check   *number  `xml:"func>userPasswordEdit>passwordCheck"`
	Change  *number  `xml:"func>userPasswordEdit>passwordChange"`
}

// Done reports whether the password is set.
func (a PasswordAnswer) Done() bool {
	return bool(a.Passed) && a.Check != nil && *a.Check == 0 && a.Change != nil && *a.Change == 0
}

// Raw is the result as the device gave it.
func (a PasswordAnswer) Raw() string {
	show := func(n *number) string {
		if n == nil {
			return "missing"
		}
		return strconv.Itoa(int(*n))
	}
	return "passwordCheck " + show(a.Check) + ", passwordChange " + show(a.Change)
}

// SystemAnswer is the answer to SystemInfo.
type SystemAnswer struct {
	XMLName xml.Name `xml:"QDocRoot"`
	Passed  flag     `xml:"authPassed"`
	Model   text     `xml:"model>displayModelName"`
	Version text     `xml:"firmware>version"`
	Build   text     `xml:"firmware>build"`
	Serial  text     `xml:"func>ownContent>root>serial_number"`
	Name    text     `xml:"func>ownContent>root>server_name"`
	IP      text     `xml:"func>ownContent>root>eth_ip1"`
	Mask    text     `xml:"func>ownContent>root>eth_mask1"`
	MAC     text     `xml:"func>ownContent>root>eth_mac1"`
	DHCP    text     `xml:"func>ownContent>root>eth_usage1"`
	DNS     text     `xml:"func>ownContent>root>dns1"`
}

// Plain is the answer to a call of which only the session is judged.
type Plain struct {
	XMLName xml.Name `xml:"QDocRoot"`
	Passed  flag     `xml:"authPassed"`
}

// Parse reads an answer into out, a pointer to one of the types above.
func Parse(b []byte, out any) error {
	if len(b) > MaxAnswer {
		return fmt.Errorf("%w: more than %d bytes", ErrMessage, MaxAnswer)
	}
	if err := xml.NewDecoder(bytes.NewReader(b)).Decode(out); err != nil {
		return fmt.Errorf("%w: no answer of QTS", ErrMessage)
	}
	if l, ok := out.(*UserList); ok && len(l.Users) > maxUsers {
		return fmt.Errorf("%w: %d users", ErrMessage, len(l.Users))
	}
	return nil
}

// Append writes an answer as QTS does.
func Append(v any) ([]byte, error) {
	b, err := xml.Marshal(v)
	if err != nil {
		return nil, err
	}
	return append([]byte(xml.Header), b...), nil
}
