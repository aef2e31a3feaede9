package qtsapi_test

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/triage"
	"github.com/paperclip-nas/paperclip/internal/protocol/qtsapi"
)

func sample(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("../../../../shared/samples/qnap/http/" + name)
	if err != nil {
		t.Skip("no captures beside the checkout")
	}
	return b
}

// vendors/qnap.md §3.2: the vendor's own example is UTF-8, not UTF-16.
func TestPasswords(t *testing.T) {
	if s := qtsapi.EncodePassword(access.NewSecret("admin")); s != "YWRtaW4=" {
		t.Errorf("%s", s)
	}
	for _, p := range []string{"", "ä€😀", "a b&c=d"} {
		if got, err := qtsapi.DecodePassword(qtsapi.EncodePassword(access.NewSecret(p))); err != nil || got.Reveal() != p {
			t.Errorf("%q: %v %v", p, got.Reveal() == p, err)
		}
	}
	for _, s := range []string{"%", "YWRtaW4", "/w=="} {
		if _, err := qtsapi.DecodePassword(s); !errors.Is(err, qtsapi.ErrMessage) {
			t.Errorf("%q is read", s)
		}
	}
}

func TestLoginRoundTrip(t *testing.T) {
	want := qtsapi.Login{User: "an na", Password: access.NewSecret("p ä"), Code: access.NewSecret("012345")}
	r := want.Request()
	got, ok, err := qtsapi.ParseLogin(r.Form)
	if err != nil || !ok || got.User != want.User || got.Password.Reveal() != "p ä" || got.Code.Reveal() != "012345" || r.Path != qtsapi.PathLogin {
		t.Errorf("%v %v %v", got, ok, err)
	}
	if r.Address() != qtsapi.PathLogin {
		t.Errorf("a password in an address: %d bytes", len(r.Address()))
	}
	if _, ok, err := qtsapi.ParseLogin(url.Values{"r": {"0"}}); ok || err != nil {
		t.Error("a question without name and password is taken for an attempt")
	}
}

func TestRequestsHideSecrets(t *testing.T) {
	r := qtsapi.SetPassword("anna", access.NewSecret("hunter2hunter2"))
	r.SID = "SIDSID"
	a := qtsapi.LoginAnswer{Passed: true, SID: "SIDSID"}
	for _, v := range []any{r, &r, a, &a} {
		for _, verb := range []string{"%v", "%+v", "%#v"} {
			if s := fmt.Sprintf(verb, v); strings.Contains(s, "SIDSID") || strings.Contains(s, "aHVudGVy") {
				t.Errorf("%s of %T: %s", verb, v, s)
			}
		}
	}
	if !strings.Contains(r.Address(), "sid=SIDSID") || strings.Contains(r.Address(), "aHVudGVy") {
		t.Error("the address")
	}
}

// Every combination that §3.2 and §3.3 describe leads to its own answer.
func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		xml      string
		withCode bool
		want     triage.Answer
	}{
		{"<authPassed>1</authPassed><authSid>12345678</authSid><isAdmin>1</isAdmin>", false, triage.Accepted},
		{"<authPassed>1</authPassed>", false, triage.NoReason}, // no session: not in
		{"<authPassed>0</authPassed><errorValue><![CDATA[-1]]></errorValue>", false, triage.NoReason},
		{"<authPassed>0</authPassed><errorValue>-2</errorValue>", false, triage.NotAdministrator},
		{"<authPassed>0</authPassed><errorValue>-3</errorValue>", false, triage.Expired},
		{"<authPassed>0</authPassed><errorValue>-4</errorValue>", false, triage.Expired},
		{"<authPassed>0</authPassed><errorValue>-77</errorValue>", false, triage.Other},
		{"<authPassed>0</authPassed><need_2sv>1</need_2sv>", false, triage.CodeNeeded},
		{"<authPassed>0</authPassed><need_2_step_verification>1</need_2_step_verification>", false, triage.CodeNeeded},
		{"<authPassed>0</authPassed><need_2sv>1</need_2sv>", true, triage.CodeWrong},
		{"<authPassed>0</authPassed><force_2sv>1</force_2sv>", false, triage.FactorNotSetUp},
		{"<authPassed>1</authPassed><authSid>1</authSid><force_change_pw>1</force_change_pw>", false, triage.MustChange},
		{"<authPassed>0</authPassed><authSid>12345678</authSid>", false, triage.NoReason}, // not passed: not in
		{"<authPassed>0</authPassed><force_change_pw>1</force_change_pw>", false, triage.NoReason},
		{"<authPassed>0</authPassed><errorValue>-1</errorValue>", true, triage.NoReason},
	} {
		var a qtsapi.LoginAnswer
		if err := qtsapi.Parse([]byte("<QDocRoot>"+c.xml+"</QDocRoot>"), &a); err != nil || a.Answer(c.withCode) != c.want {
			t.Errorf("%s: %s %v", c.xml, a.Answer(c.withCode), err)
		}
	}
	for _, c := range qtsapi.Codes() {
		if c.Source == "" || c.Confidence == "" || c.Text == "" {
			t.Errorf("%+v", c)
		}
	}
}

// authPassed=1 is no success of a password change: both results must be 0.
func TestPasswordSet(t *testing.T) {
	for xml, want := range map[string]bool{
		"<passwordCheck>0</passwordCheck><passwordChange>0</passwordChange>": true,
		"<passwordCheck>1</passwordCheck><passwordChange>0</passwordChange>": false,
		"<passwordCheck>0</passwordCheck><passwordChange>1</passwordChange>": false,
		"<passwordCheck>0</passwordCheck>":                                   false,
		"":                                                                   false,
	} {
		var a qtsapi.PasswordAnswer
		if err := qtsapi.Parse([]byte("<QDocRoot><authPassed>1</authPassed><func><userPasswordEdit>"+xml+"</userPasswordEdit></func></QDocRoot>"), &a); err != nil || a.Done() != want {
			t.Errorf("%s: %v %v", xml, a.Done(), err)
		}
	}
	var a qtsapi.PasswordAnswer
	const out = "<QDocRoot><authPassed>0</authPassed><func><userPasswordEdit><passwordCheck>0</passwordCheck><passwordChange>0</passwordChange></userPasswordEdit></func></QDocRoot>"
	if err := qtsapi.Parse([]byte(out), &a); err != nil || a.Done() {
		t.Errorf("without a session it is a success: %v", err)
	}
	if (qtsapi.PasswordAnswer{}).Done() {
		t.Error("nothing is a success")
	}
}

func TestCaptures(t *testing.T) {
	var bad, two, ok qtsapi.LoginAnswer
	for name, a := range map[string]*qtsapi.LoginAnswer{"authLogin_bad_password.xml": &bad, "authLogin_need_2sv.xml": &two, "authLogin_ok_TS-451-4.2.2.xml": &ok} {
		if err := qtsapi.Parse(sample(t, name), a); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if bad.Answer(false) != triage.NoReason || two.Answer(false) != triage.CodeNeeded || two.MailLimit != 5 || two.LostPhone != 1 || ok.Answer(false) != triage.Accepted || !ok.Admin || ok.SID != "12345" {
		t.Errorf("%+v %+v %+v", bad, two, ok)
	}
	var users qtsapi.UserList
	if err := qtsapi.Parse(sample(t, "users_list_TS-873_QTS5.1.9.xml"), &users); err != nil || len(users.Users) != 3 || users.Users[0].UID != 0 || bool(users.Users[0].Enabled) || !bool(users.Users[1].Enabled) || users.Result != 0 {
		t.Errorf("%+v %v", users, err)
	}
}

// What a device writes, a client reads the same.
func TestAnswersRoundTrip(t *testing.T) {
	for _, v := range []any{
		&qtsapi.LoginAnswer{Passed: true, SID: "abc]]>d", Admin: true, User: "an<na>", Clock: 1790000000},
		&qtsapi.UserList{Passed: true, Users: []qtsapi.User{{Name: "admin", Enabled: true}, {Name: "b & c", UID: 1000}}},
		&qtsapi.UserAnswer{Passed: true, Name: "anna", Disabled: true, UID: "1000"},
		&qtsapi.Groups{Passed: true, Own: "administrators, everyone"},
		&qtsapi.SystemAnswer{Passed: true, Serial: "Q20LAB", MAC: "24:5E:BE:00:00:01"},
		&qtsapi.Plain{Passed: true},
	} {
		b, err := qtsapi.Append(v)
		if err != nil {
			t.Fatal(err)
		}
		got := reflect.New(reflect.TypeOf(v).Elem())
		if err := qtsapi.Parse(b, got.Interface()); err != nil {
			t.Fatalf("%T: %v\n%s", v, err, b)
		}
		x := reflect.ValueOf(v).Elem()
		for i := range x.NumField() {
			if n := x.Type().Field(i).Name; n != "XMLName" && !reflect.DeepEqual(x.Field(i).Interface(), got.Elem().Field(i).Interface()) {
				t.Errorf("%T %s: %v, read %v\n%s", v, n, x.Field(i), got.Elem().Field(i), b)
			}
		}
	}
	if g := (qtsapi.Groups{Own: "administrators, everyone"}).List(); !reflect.DeepEqual(g, []string{"administrators", "everyone"}) {
		t.Errorf("%q", g)
	}
}

func TestBadAnswers(t *testing.T) {
	for _, s := range []string{"", "<html></html>", "{}", "<QDocRoot>", strings.Repeat(" ", qtsapi.MaxAnswer+1)} {
		if err := qtsapi.Parse([]byte(s), &qtsapi.LoginAnswer{}); !errors.Is(err, qtsapi.ErrMessage) {
			t.Errorf("%.20q: %v", s, err)
		}
	}
}

// Whatever a device answers: no panic; what is read is written back to the
// same, and what is shown of it moves no cursor.
func FuzzParse(f *testing.F) {
	f.Add([]byte("<QDocRoot><authPassed>0</authPassed><errorValue><![CDATA[-1]]></errorValue></QDocRoot>"))
	f.Add([]byte("<QDocRoot><userroot><data><user><username>a</username><userid>0</userid></user></data><ret>0</ret></userroot></QDocRoot>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var a qtsapi.LoginAnswer
		if qtsapi.Parse(b, &a) == nil {
			again, err := qtsapi.Append(&a)
			if err != nil {
				t.Fatal(err)
			}
			var c qtsapi.LoginAnswer
			if err := qtsapi.Parse(again, &c); err != nil {
				t.Fatalf("%v\n%s", err, again)
			}
			if a.Answer(true) != c.Answer(true) || strings.ContainsAny(a.Raw(), "\x1b\n") {
				t.Fatalf("%v %v", a, c)
			}
		}
		var u qtsapi.UserList
		_ = qtsapi.Parse(b, &u)
		var p qtsapi.PasswordAnswer
		_ = qtsapi.Parse(b, &p)
	})
}

// What is out of bounds is no message, whoever sends it.
func TestBounds(t *testing.T) {
	whole := "<QDocRoot><authPassed>1</authPassed></QDocRoot>"
	if err := qtsapi.Parse([]byte(whole+strings.Repeat(" ", qtsapi.MaxAnswer)), &qtsapi.Plain{}); !errors.Is(err, qtsapi.ErrMessage) {
		t.Errorf("a long answer: %v", err)
	}
	users := "<QDocRoot><userroot><data>" + strings.Repeat("<user><userid>1</userid></user>", 10_001) + "</data></userroot></QDocRoot>"
	if err := qtsapi.Parse([]byte(users), &qtsapi.UserList{}); !errors.Is(err, qtsapi.ErrMessage) {
		t.Errorf("many users: %v", err)
	}
	if all := (qtsapi.Groups{Own: "a, ,"}).List(); len(all) != 1 {
		t.Errorf("%q", all)
	}
	long := strings.Repeat("YWFh", 16<<10)
	for name, form := range map[string]url.Values{"a name": {"user": {strings.Repeat("a", 1025)}, "pwd": {""}}, "a password": {"user": {"a"}, "pwd": {long + "YWFh"}}, "no Base64": {"user": {"a"}, "pwd": {"%"}}} {
		if _, ok, err := qtsapi.ParseLogin(form); ok || !errors.Is(err, qtsapi.ErrMessage) {
			t.Errorf("%s: %v %v", name, ok, err)
		}
	}
	for _, form := range []url.Values{{"pwd": {"YQ=="}}, {"user": {"a"}}} {
		if _, ok, err := qtsapi.ParseLogin(form); ok || err != nil {
			t.Errorf("half an attempt is one: %v %v", ok, err)
		}
	}
}

// What is switched goes the right way, and the call is in the address.
func TestWhatIsSent(t *testing.T) {
	for on, want := range map[bool]string{true: "1", false: "0"} {
		if r := qtsapi.SetEnabled(qtsapi.UserInfo{Name: "admin"}, on); r.Form.Get("a_enable") != want || !strings.Contains(r.Address(), "action=account_edit") {
			t.Errorf("%t: %s", on, r.Form)
		}
		if r := qtsapi.Logout(on); r.Query.Has("del_user_session") != on {
			t.Errorf("%t: %s", on, r.Query)
		}
	}
}
