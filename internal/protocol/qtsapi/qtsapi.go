// Package qtsapi writes and reads the messages of QTS and QuTS hero that
// getting back in needs (vendors/qnap.md §3): requests as forms, answers as XML,
// and what their numbers mean.
//
// It is a pure codec: it opens no connection and keeps no session. It has no
// message that resets or restarts a device, and none whose body is not in a
// source. A password goes into a form's body, never into an address; a session's
// id has to stand in the address, since QTS wants it there.
package qtsapi

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
)

// Where requests go (vendors/qnap.md §3.2 to §3.5).
const (
	PathLogin   = "/cgi-bin/authLogin.cgi"
	PathLogout  = "/cgi-bin/authLogout.cgi"
	PathRequest = "/cgi-bin/priv/privRequest.cgi"
	PathWizard  = "/cgi-bin/priv/privWizard.cgi"
	PathSystem  = "/cgi-bin/sys/sysRequest.cgi"
	PathManage  = "/cgi-bin/management/manaRequest.cgi"
)

// Bounds of what is read.
const (
	MaxAnswer = 4 << 20 // bytes
	MaxForm   = 64 << 10
	maxUsers  = 10_000
	maxText   = 1024

	// MaxPassword is how long a password may be, in bytes of UTF-8.
	MaxPassword = 64
)

// ErrMessage is a message that is none of this protocol, or beyond its bounds;
// test with errors.Is. It never repeats what was sent.
var ErrMessage = errors.New("qtsapi: not a message of this protocol")

// Request is one call: always a POST.
type Request struct {
	Path  string
	Query url.Values // in the address
	Form  url.Values // in the body; may hold a password
	SID   string     // the session's id; empty before sign-in
}

// String names the call without its form, which may hold a password.
func (r Request) String() string {
	return r.Path + " " + strings.TrimSpace(r.Query.Get("wiz_func")+" "+r.Query.Get("subfunc"))
}

// GoString is String.
func (r Request) GoString() string { return r.String() }

// Address is path and query, the session's id in it: never to be logged.
func (r Request) Address() string {
	q := url.Values{}
	for k, v := range r.Query {
		q[k] = v
	}
	if r.SID != "" {
		q.Set("sid", r.SID)
	}
	if len(q) == 0 {
		return r.Path
	}
	return r.Path + "?" + q.Encode()
}

// EncodePassword writes a password as QTS wants it: Base64 of its UTF-8 bytes.
// A source that demands UTF-16 is contradicted by its own example (§3.2).
func EncodePassword(p access.Secret) string {
	return base64.StdEncoding.EncodeToString([]byte(p.Reveal()))
}

// DecodePassword reads what EncodePassword wrote.
func DecodePassword(s string) (access.Secret, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) > MaxForm || !utf8.Valid(b) {
		return access.Secret{}, fmt.Errorf("%w: the password is not Base64 of UTF-8", ErrMessage)
	}
	return access.NewSecret(string(b)), nil
}

// Login is one sign-in attempt.
type Login struct {
	User     string
	Password access.Secret
	Code     access.Secret // of the second step; may be empty
}

// Request is the attempt as a call.
func (l Login) Request() Request {
	f := url.Values{"user": {l.User}, "pwd": {EncodePassword(l.Password)}, "serviceKey": {"1"}}
	if !l.Code.Empty() {
		f.Set("security_code", l.Code.Reveal())
		f.Set("dont_verify_2sv_again", "0")
	}
	return Request{Path: PathLogin, Form: f}
}

// ParseLogin reads an attempt as a device does; ok is false where there is none
// in the form: then the device says what it says to everybody.
func ParseLogin(form url.Values) (l Login, ok bool, err error) {
	if form.Get("user") == "" || !form.Has("pwd") && !form.Has("plain_pwd") {
		return Login{}, false, nil
	}
	l = Login{User: form.Get("user"), Code: access.NewSecret(form.Get("security_code"))}
	if len(l.User) > maxText || len(form.Get("pwd")) > MaxForm {
		return Login{}, false, fmt.Errorf("%w: too long", ErrMessage)
	}
	l.Password, err = DecodePassword(form.Get("pwd"))
	return l, err == nil, err
}

// Logout ends the session. everywhere drops every session and remembered device
// of that user.
func Logout(everywhere bool) Request {
	q := url.Values{"logout": {"1"}}
	if everywhere {
		q.Set("del_user_session", "1")
	}
	return Request{Path: PathLogout, Query: q}
}

// CheckSession asks whether the session still stands; no password is in it.
func CheckSession() Request { return Request{Path: PathLogin, Query: url.Values{"service": {"1"}}} }

// ListUsers asks for every local account.
func ListUsers() Request {
	return Request{
		Path:  PathRequest,
		Query: url.Values{"subfunc": {"user"}, "getdata": {"1"}, "sort": {"13"}, "force_2sv_flag": {"0"}},
		Form:  url.Values{"lower": {"0"}, "upper": {strconv.Itoa(maxUsers)}, "filter": {""}, "type": {"0"}, "refresh": {"0"}},
	}
}

// ListShares asks for the shared folders' names (vendors/qnap.md §3.4).
func ListShares() Request {
	return Request{Path: PathRequest, Query: url.Values{"subfunc": {"share"}}, Form: url.Values{}}
}

// GetUser asks for one account; see UserInfo.
func GetUser(name string) Request {
	return Request{Path: PathWizard, Query: url.Values{"wiz_func": {"user_edit"}}, Form: url.Values{"userName": {name}, "type": {"0"}}}
}

// GroupsOf asks which groups an account is in.
func GroupsOf(name string) Request {
	return Request{Path: PathWizard, Query: url.Values{"wiz_func": {"user_group_edit"}, "getdata": {"1"}}, Form: url.Values{"userName": {name}}}
}

// SetPassword gives an account a new password of 1 to MaxPassword bytes.
func SetPassword(name string, password access.Secret) Request {
	return Request{
		Path:  PathWizard,
		Query: url.Values{"wiz_func": {"user_password_edit"}, "action": {"user_password_edit"}},
		Form:  url.Values{"username": {name}, "password": {EncodePassword(password)}, "old_password": {""}, "need_check": {"no"}},
	}
}

// SetEnabled enables or disables an account. The call writes the whole account
// back, so it takes what UserInfo said; its answer has no result: read back.
func SetEnabled(u UserInfo, on bool) Request {
	enable := "0"
	if on {
		enable = "1"
	}
	return Request{
		Path:  PathWizard,
		Query: url.Values{"wiz_func": {"user_edit"}, "action": {"account_edit"}},
		Form: url.Values{
			"username": {u.Name}, "a_enable": {enable}, "a_expire": {u.Expire}, "a_uid": {u.UID}, "year": {u.Year}, "month": {u.Month}, "day": {u.Day},
			"a_description": {u.Description}, "a_email": {u.Email}, "a_tel_country_code": {u.CountryCode}, "a_tel": {u.Telephone}, "type": {"0"},
		},
	}
}

// SystemInfo asks what the device is, and its network.
func SystemInfo() Request {
	return Request{Path: PathManage, Query: url.Values{"subfunc": {"sysinfo"}, "hd": {"no"}, "multicpu": {"1"}}}
}

// Beep makes the device beep, so that a person can see which box it is. One
// source has it (confidence C): it changes nothing.
func Beep() Request {
	return Request{Path: PathSystem, Query: url.Values{"subfunc": {"notification"}, "apply": {"where_are_you"}, "count": {"0"}}}
}
