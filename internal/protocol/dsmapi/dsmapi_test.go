package dsmapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/triage"
	"github.com/paperclip-nas/paperclip/internal/protocol/dsmapi"
)

const samples = "../../../../shared/samples/synology/webapi/"

func sample(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(samples + name)
	if err != nil {
		t.Skip("no captures beside the checkout")
	}
	return b
}

// What a request says is read back the same, in both formats that DSM has.
func TestRequestsRoundTrip(t *testing.T) {
	requests := []dsmapi.Request{
		dsmapi.InfoQuery(), dsmapi.Login{Account: "an na", Password: access.NewSecret(`p"ä & ss`), Code: access.NewSecret("012345")}.Request(6), dsmapi.Logout(),
		dsmapi.ListUsers(), dsmapi.SetPassword("bob", access.NewSecret("[new]")), dsmapi.SetEnabled("admin", false), dsmapi.ValidAdmins(), dsmapi.Members("administrators"),
		dsmapi.SetAutoBlock(dsmapi.AutoBlock{Enable: true, Attempts: 10, WithinMins: 5}), dsmapi.ListBlocked(), dsmapi.Unblock("192.0.2.7", "198.51.100.9"),
		dsmapi.SetRedirect(dsmapi.Web{HTTPPort: 5000, HTTPSPort: 5001, HTTPS: true}, false), dsmapi.SetResetButton(dsmapi.ResetButton{KeepPassword: true}), dsmapi.Beep(true), dsmapi.ForgetDevices(),
	}
	for _, r := range requests {
		for _, format := range []string{"", "JSON"} {
			form, err := r.Form(format)
			if err != nil {
				t.Fatalf("%s: %v", r, err)
			}
			got, err := dsmapi.ParseForm(form)
			if err != nil || got.API != r.API || got.Method != r.Method || got.Version != r.Version || len(got.Params) != len(r.Params) {
				t.Fatalf("%s: %+v %v", r, got, err)
			}
			for name, p := range r.Params {
				switch p := p.(type) {
				case access.Secret:
					if got.Text(name) != p.Reveal() {
						t.Errorf("%s %s %q: %q", r, name, format, got.Text(name))
					}
				case []string:
					if !reflect.DeepEqual(got.List(name), p) {
						t.Errorf("%s %s: %q", r, name, got.List(name))
					}
				case bool:
					if got.Bool(name) != p {
						t.Errorf("%s %s: %v", r, name, got.Bool(name))
					}
				case int:
					if got.Int(name) != p {
						t.Errorf("%s %s: %v", r, name, got.Int(name))
					}
				default:
					if got.Text(name) != fmt.Sprint(p) {
						t.Errorf("%s %s: %q", r, name, got.Text(name))
					}
				}
			}
		}
	}
}

// A request printed in whatever way shows no password and no session.
func TestRequestsHideSecrets(t *testing.T) {
	r := dsmapi.Login{Account: "anna", Password: access.NewSecret("hunter2hunter2"), Code: access.NewSecret("424242")}.Request(6)
	r.SID, r.Token = "SIDSID", "TOKTOK"
	s := dsmapi.Session{SID: "SIDSID", Token: "TOKTOK"}
	for _, v := range []any{r, &r, s, &s, []dsmapi.Request{r}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if out := fmt.Sprintf(verb, v); strings.Contains(out, "hunter2") || strings.Contains(out, "4242") || strings.Contains(out, "SIDSID") || strings.Contains(out, "TOKTOK") {
				t.Errorf("%s of %T: %s", verb, v, out)
			}
		}
	}
}

// Each documented number leads to its own answer, has a source, and is found
// (every answer code a diagnosis; unknown ones raw).
func TestCodes(t *testing.T) {
	seen := map[string]bool{}
	answers := map[triage.Answer]int{}
	for _, c := range dsmapi.Codes() {
		key := fmt.Sprint(c.API, c.Number)
		if seen[key] || c.Source == "" || c.Confidence == "" || c.Text == "" || c.Answer == "" {
			t.Errorf("%+v", c)
		}
		seen[key] = true
		if c.API == dsmapi.APIAuth {
			answers[c.Answer]++
			err := dsmapi.ParseAnswer(dsmapi.Refuse(c.Number), c.API, nil)
			var e *dsmapi.Error
			if !errors.As(err, &e) || e.Answer() != c.Answer || !strings.Contains(e.Error(), c.Text) {
				t.Errorf("%d: %v", c.Number, err)
			}
		}
	}
	for n := 400; n <= 411; n++ {
		if !seen[fmt.Sprint(dsmapi.APIAuth, n)] {
			t.Errorf("%d is in no table", n)
		}
	}
	for a, n := range answers {
		if n != 1 || a == triage.Other {
			t.Errorf("%d sign-in codes lead to %s", n, a)
		}
	}
	err := dsmapi.ParseAnswer([]byte(`{"success":false,"error":{"code":4711,"errors":{"why":"moon \u001b[2J"}}}`), dsmapi.APIAuth, nil)
	var e *dsmapi.Error
	if !errors.As(err, &e) || e.Answer() != triage.Other || !strings.Contains(e.Error(), "4711") || !strings.Contains(e.Raw(), "moon") || strings.Contains(e.Raw(), "\x1b") {
		t.Errorf("%v", err)
	}
}

func TestCaptures(t *testing.T) {
	all, err := dsmapi.ParseAPIs(sample(t, "pysyno_dsm_7_api_info.json"))
	if err != nil || len(all) < 100 {
		t.Fatalf("%d APIs, %v", len(all), err)
	}
	if at, v, format, ok := all.Path(dsmapi.APIUser, 1); !ok || at != dsmapi.PathEntry || v != 1 || format != "JSON" {
		t.Errorf("%s %d %s %v", at, v, format, ok)
	}
	if _, v, _, ok := all.Path(dsmapi.APIAuth, 6); !ok || v != 6 {
		t.Errorf("sign-in in version %d %v", v, ok)
	}
	if _, _, _, ok := all.Path("SYNO.None", 1); ok {
		t.Error("an API that is not there")
	}
	var users dsmapi.UserList
	if err := dsmapi.ParseAnswer(sample(t, "n4s4_core_user_user_list.json"), dsmapi.APIUser, &users); err != nil || len(users.Users) != 4 || users.Users[0].Expired != dsmapi.Disabled || users.Users[2].Expired != dsmapi.Enabled {
		t.Errorf("%+v %v", users, err)
	}
	var info dsmapi.Info
	if err := dsmapi.ParseAnswer(sample(t, "pysyno_dsm_7_dsm_information_ds918_plus.json"), dsmapi.APIInfo, &info); err != nil || info.Model != "DS918+" || info.Serial != "1920PDN001501" || info.Version != "DSM 7.0-41222" {
		t.Errorf("%+v %v", info, err)
	}
	data := func(name string, out any) {
		t.Helper()
		if err := dsmapi.ParseAnswer(fmt.Appendf(nil, `{"success":true,"data":%s}`, sample(t, name)), "", out); err != nil {
			t.Error(name, err)
		}
	}
	var block dsmapi.AutoBlock
	data("core_security_autoblock_get.data.json", &block)
	if block != (dsmapi.AutoBlock{Enable: true, Attempts: 10, WithinMins: 5, ExpireDay: 7}) {
		t.Errorf("%+v", block)
	}
	var eth []dsmapi.Ethernet
	data("core_network_ethernet_list.data.json", &eth)
	if len(eth) != 2 || eth[0].IP != "192.0.2.235" || !eth[0].DHCP || eth[1].MTU != 9000 {
		t.Errorf("%+v", eth)
	}
	var web dsmapi.Web
	data("core_web_dsm_get_v1.data.json", &web)
	if web.HTTPPort != 5000 || web.HTTPSPort != 5001 || web.Redirect || !web.Avahi {
		t.Errorf("%+v", web)
	}
	var wall dsmapi.Firewall
	data("core_security_firewall_get.data.json", &wall)
	if wall.Enable || wall.Profile != "default" {
		t.Errorf("%+v", wall)
	}
}

// A path in the list of APIs decides where a password is sent: none leads out.
func TestPathsStayInside(t *testing.T) {
	for _, p := range []string{"", "/entry.cgi", "../entry.cgi", "a/../../b", "http://evil/x", "entry.cgi?x", "//evil", "a\\b", "user@evil", "a%2e"} {
		b, err := dsmapi.Succeed(dsmapi.APIs{dsmapi.APIAuth: {Path: p, MinVersion: 1, MaxVersion: 7}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := dsmapi.ParseAPIs(b); !errors.Is(err, dsmapi.ErrMessage) {
			t.Errorf("%q is taken: %v", p, err)
		}
	}
}

func TestBadAnswers(t *testing.T) {
	for _, s := range []string{"", "null", "[]", "<html>", `{"data":{}}`, `{"success":"yes"}`, `{"success":true,"data":[]}`, strings.Repeat(" ", dsmapi.MaxAnswer+1)} {
		var u dsmapi.UserList
		if err := dsmapi.ParseAnswer([]byte(s), dsmapi.APIUser, &u); !errors.Is(err, dsmapi.ErrMessage) {
			t.Errorf("%.20q: %v", s, err)
		}
	}
	for _, v := range []url.Values{{}, {"api": {"x"}}, {"api": {"x"}, "method": {"y"}, "version": {"0"}}, {"api": {"x"}, "method": {"y"}, "version": {"z"}}} {
		if _, err := dsmapi.ParseForm(v); !errors.Is(err, dsmapi.ErrMessage) {
			t.Errorf("%v: %v", v, err)
		}
	}
}

// Whatever a device answers: no panic, a refusal is printable, and what is read
// is written back to the same.
func FuzzParseAnswer(f *testing.F) {
	f.Add([]byte(`{"success":true,"data":{"users":[{"name":"a","expired":"now"}],"total":1}}`))
	f.Add([]byte(`{"success":false,"error":{"code":400}}`))
	f.Add([]byte(`{"success":false,"error":{"code":-1,"errors":[1,{"a":"b"}]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var u dsmapi.UserList
		err := dsmapi.ParseAnswer(b, dsmapi.APIAuth, &u)
		var e *dsmapi.Error
		if errors.As(err, &e) && strings.ContainsAny(e.Error(), "\x1b\r\n\x07") {
			t.Fatalf("%q", e.Error())
		}
		if err == nil {
			again, err := dsmapi.Succeed(u)
			if err != nil {
				t.Fatal(err)
			}
			var v dsmapi.UserList
			if err := dsmapi.ParseAnswer(again, dsmapi.APIUser, &v); err != nil {
				t.Fatal(err)
			}
			x, _ := json.Marshal(u)
			y, _ := json.Marshal(v)
			if string(x) != string(y) {
				t.Fatalf("%s\n%s", x, y)
			}
		}
		if all, err := dsmapi.ParseAPIs(b); err == nil {
			for name := range all {
				if at, _, _, ok := all.Path(name, 99); ok && (!strings.HasPrefix(at, "/webapi/") || strings.Contains(at, "..")) {
					t.Fatalf("%q", at)
				}
			}
		}
	})
}

// Whatever a client sends: no panic, and a form that is read is read the same
// when it is written again.
func FuzzParseForm(f *testing.F) {
	f.Add("api=SYNO.API.Auth&version=6&method=login&account=anna&passwd=%22x%22")
	f.Add("api=SYNO.Core.User&version=1&method=list&additional=[%22a%22]")
	f.Fuzz(func(t *testing.T, s string) {
		v, err := url.ParseQuery(s)
		if err != nil {
			return
		}
		r, err := dsmapi.ParseForm(v)
		if err != nil {
			return
		}
		form, err := r.Form("")
		if err != nil {
			t.Fatal(err)
		}
		again, err := dsmapi.ParseForm(form)
		if err != nil || again.API != r.API || len(again.Params) != len(r.Params) {
			t.Fatalf("%v %v", again, err)
		}
		for name := range r.Params {
			if r.Text(name) != again.Text(name) {
				t.Fatalf("%q", name)
			}
			_, _, _ = r.List(name), r.Bool(name), r.Int(name)
		}
	})
}

// What is out of bounds is no message, whoever sends it.
func TestBounds(t *testing.T) {
	if err := dsmapi.ParseAnswer([]byte(`{"success":true}`+strings.Repeat(" ", dsmapi.MaxAnswer)), "", nil); !errors.Is(err, dsmapi.ErrMessage) {
		t.Errorf("a long answer: %v", err)
	}
	many := dsmapi.APIs{}
	for i := range 10_001 {
		many[fmt.Sprint(i)] = dsmapi.API{Path: "a.cgi", MinVersion: 1, MaxVersion: 1}
	}
	for name, all := range map[string]dsmapi.APIs{"many": many, "a long path": {"x": {Path: strings.Repeat("a", 129), MinVersion: 1, MaxVersion: 1}}} {
		b, err := dsmapi.Succeed(all)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := dsmapi.ParseAPIs(b); !errors.Is(err, dsmapi.ErrMessage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	form := func(change func(url.Values)) url.Values {
		v := url.Values{"api": {"x"}, "method": {"y"}, "version": {"1"}}
		change(v)
		return v
	}
	for name, v := range map[string]url.Values{
		"parameters": form(func(v url.Values) {
			for i := range 62 {
				v.Set(fmt.Sprint(i), "")
			}
		}),
		"a version":   form(func(v url.Values) { v.Set("version", "100") }),
		"no api":      form(func(v url.Values) { v.Del("api") }),
		"no method":   form(func(v url.Values) { v.Del("method") }),
		"an api":      form(func(v url.Values) { v.Set("api", strings.Repeat("x", 129)) }),
		"a method":    form(func(v url.Values) { v.Set("method", strings.Repeat("x", 65)) }),
		"a parameter": form(func(v url.Values) { v.Set("p", strings.Repeat("x", dsmapi.MaxForm+1)) }),
	} {
		if _, err := dsmapi.ParseForm(v); !errors.Is(err, dsmapi.ErrMessage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A refusal is one without a number too, and a long one does not flood a terminal.
func TestOddRefusals(t *testing.T) {
	var e *dsmapi.Error
	if err := dsmapi.ParseAnswer([]byte(`{"success":false}`), "", nil); !errors.As(err, &e) || e.Code != 100 {
		t.Errorf("%v", err)
	}
	if err := dsmapi.ParseAnswer([]byte(`{"success":false,"error":{"code":4711,"errors":"`+strings.Repeat("x", 5000)+`"}}`), "", nil); !errors.As(err, &e) || e.Raw() != "4711" {
		t.Errorf("%.100v", err)
	}
}

// Versions that no device has are none, and none is called that is too new.
func TestVersions(t *testing.T) {
	b, err := dsmapi.Succeed(dsmapi.APIs{
		"zero": {Path: "a.cgi", MaxVersion: 7}, "backwards": {Path: "a.cgi", MinVersion: 3, MaxVersion: 2}, "huge": {Path: "a.cgi", MinVersion: 1, MaxVersion: 100},
		"new": {Path: "a.cgi", MinVersion: 7, MaxVersion: 7},
	})
	if err != nil {
		t.Fatal(err)
	}
	all, err := dsmapi.ParseAPIs(b)
	if err != nil || len(all) != 1 {
		t.Errorf("%v %v", all, err)
	}
	for _, api := range []string{"new", "none"} {
		if _, v, _, ok := all.Path(api, 6); ok {
			t.Errorf("%s in version %d", api, v)
		}
	}
}

// What is signed in says so in the body, and what is switched goes the right way.
func TestWhatIsSent(t *testing.T) {
	r := dsmapi.SetEnabled("admin", true)
	r.SID, r.Token = "sid", "token"
	form, err := r.Form("")
	if err != nil || form.Get("_sid") != "sid" || form.Get("SynoToken") != "token" || form.Get("expired") != dsmapi.Enabled {
		t.Errorf("%v %v", form, err)
	}
	if form, err = dsmapi.Logout().Form(""); err != nil || form.Has("_sid") || form.Has("SynoToken") {
		t.Errorf("%v %v", form, err)
	}
	code, none := dsmapi.Login{Code: access.NewSecret("1")}.Request(6), dsmapi.Login{}.Request(6)
	if !code.Has("otp_code") || none.Has("otp_code") || dsmapi.Beep(true).Method != "start" || dsmapi.Beep(false).Method != "stop" {
		t.Error("a second step, or the beep")
	}
}
