package qts_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/triage"
	"github.com/paperclip-nas/paperclip/internal/owner/driver/pinned"
	"github.com/paperclip-nas/paperclip/internal/owner/driver/qts"
	"github.com/paperclip-nas/paperclip/internal/protocol/qtsapi"
)

// fake is a QTS that counts what it is asked.
type fake struct {
	mu       sync.Mutex
	attempts int
	answer   string // to a sign-in, within QDocRoot
	onLogin  func(w http.ResponseWriter)
	urls     []string
	ended    bool
	beeps    int
}

func (f *fake) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_ = q.ParseForm()
	f.urls = append(f.urls, q.URL.String())
	write := func(v any) {
		b, _ := qtsapi.Append(v)
		_, _ = w.Write(b)
	}
	if q.URL.Path == qtsapi.PathLogin && !q.Form.Has("sid") {
		_, attempt, _ := qtsapi.ParseLogin(q.PostForm)
		switch {
		case !attempt:
			_, _ = w.Write([]byte(`<QDocRoot><hostname>studio</hostname><model><displayModelName>TS-453D</displayModelName></model><firmware><version>5.1.9</version></firmware></QDocRoot>`))
			return
		case f.onLogin != nil:
			f.attempts++
			f.onLogin(w)
			return
		}
		f.attempts++
		_, _ = w.Write([]byte("<QDocRoot>" + f.answer + "</QDocRoot>"))
		return
	}
	if q.URL.Query().Get("sid") != "session1" || f.ended {
		write(&qtsapi.Plain{})
		return
	}
	switch {
	case q.URL.Path == qtsapi.PathLogout:
		f.ended = true
	case q.URL.Query().Get("subfunc") == "user":
		write(&qtsapi.UserList{Passed: true, Users: []qtsapi.User{{Name: "admin"}, {Name: "anna", UID: 1000, Enabled: true}, {Name: "ben", UID: 1001, Enabled: true}}})
	case q.URL.Query().Get("wiz_func") == "user_group_edit":
		g := qtsapi.Groups{Passed: true, Own: "everyone"}
		if q.PostForm.Get("userName") == "anna" {
			g.Own = "administrators, everyone"
		}
		write(&g)
	case q.URL.Query().Get("subfunc") == "sysinfo":
		write(&qtsapi.SystemAnswer{Passed: true, Model: "TS-453D", Version: "5.1.9", Serial: "Q20LAB00002", Name: "studio", IP: "192.168.1.22", Mask: "255.255.255.0", MAC: "24:5E:BE:4C:00:0D", DHCP: "STATIC", DNS: "192.168.1.1"})
	case q.URL.Query().Get("subfunc") == "notification":
		f.beeps++
		write(&qtsapi.Plain{Passed: true})
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

const in = "<authPassed>1</authPassed><authSid>session1</authSid><isAdmin>1</isAdmin>"

func meet(t *testing.T, f http.Handler) *qts.Device {
	t.Helper()
	s := httptest.NewTLSServer(f)
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, _ := strconv.Atoi(u.Port())
	d, err := qts.Meet(t.Context(), pinned.Place{Addr: netip.MustParseAddr(u.Hostname()), HTTPS: port}, pinned.Options{}, func() time.Time { return time.Unix(1790000000, 0) })
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// One attempt: whatever QTS answers, the password was sent in one request, and
// never in an address.
func TestOneAttempt(t *testing.T) {
	for name, c := range map[string]struct {
		answer  string
		onLogin func(http.ResponseWriter)
		want    triage.Answer
		fail    bool
	}{
		"in":              {answer: in, want: triage.Accepted},
		"refused":         {answer: "<authPassed>0</authPassed><errorValue>-1</errorValue>", want: triage.NoReason},
		"no admin":        {answer: "<authPassed>0</authPassed><errorValue>-2</errorValue>", want: triage.NotAdministrator},
		"expired":         {answer: "<authPassed>0</authPassed><errorValue>-4</errorValue>", want: triage.Expired},
		"second step":     {answer: "<authPassed>0</authPassed><need_2sv>1</need_2sv><timestamp>1790000090</timestamp>", want: triage.CodeWrong},
		"unknown":         {answer: "<authPassed>0</authPassed><errorValue>-99</errorValue>", want: triage.Other},
		"no XML":          {onLogin: func(w http.ResponseWriter) { _, _ = w.Write([]byte("{}")) }, want: triage.NotTried, fail: true},
		"redirect":        {onLogin: func(w http.ResponseWriter) { w.Header().Set("Location", "/x"); w.WriteHeader(307) }, want: triage.NotTried, fail: true},
		"connection lost": {onLogin: func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, want: triage.NotTried, fail: true},
	} {
		f := &fake{answer: c.answer, onLogin: c.onLogin}
		d := meet(t, f)
		answer, raw, err := d.SignIn(t.Context(), "anna", access.NewSecret("hunter2hunter2"), access.NewSecret("424242"))
		if answer != c.want || (err != nil) != c.fail || f.attempts != 1 {
			t.Errorf("%s: %s %q %v, %d attempts", name, answer, raw, err, f.attempts)
		}
		for _, text := range append(f.urls, raw, fmt.Sprint(err)) {
			if strings.Contains(text, "hunter2") || strings.Contains(text, "aHVudGVy") || strings.Contains(text, "4242") {
				t.Errorf("%s: a secret in %q", name, text)
			}
		}
		if name == "second step" && d.LastStep.Skew != 90*time.Second {
			t.Errorf("the clocks: %+v", d.LastStep)
		}
	}
}

func TestSession(t *testing.T) {
	f := &fake{answer: in}
	d := meet(t, f)
	if id, status, version, err := d.Identify(t.Context()); err != nil || id.Name != "studio" || status != nas.Ready || version != "5.1.9" || f.attempts != 0 {
		t.Errorf("%+v %v %s %v, %d attempts", id, status, version, err, f.attempts)
	}
	if _, err := d.Accounts(t.Context()); !errors.Is(err, catalog.New("not_signed_in")) {
		t.Error(err)
	}
	if a, _, err := d.SignIn(t.Context(), "anna", access.NewSecret("right"), access.Secret{}); a != triage.Accepted || err != nil {
		t.Fatal(a, err)
	}
	s, known, unread, err := d.Read(t.Context())
	if err != nil || len(s.Accounts) != 3 || len(unread) != 1 || *known.OtherAdmins != 0 {
		t.Fatalf("%+v %q %v", s, unread, err)
	}
	if a := s.Accounts; !a[0].BuiltIn || a[0].Enabled || !a[1].Administrator || a[2].Administrator {
		t.Errorf("%+v", a)
	}
	if i := s.Interfaces[0]; i.Method != nas.Static || i.Addresses[0].String() != "192.168.1.22/24" || i.MAC != "24:5e:be:4c:00:0d" {
		t.Errorf("%+v", i)
	}
	if id, version, err := d.Describe(t.Context()); err != nil || id.Serial != "Q20LAB00002" || version != "5.1.9" {
		t.Errorf("%+v %s %v", id, version, err)
	}
	if err := d.Beep(t.Context()); err != nil || f.beeps != 1 {
		t.Error(err, f.beeps)
	}
	if err := d.SignOut(t.Context(), true); err != nil || !strings.Contains(f.urls[len(f.urls)-1], "del_user_session=1") {
		t.Error(err)
	}
	if err := d.Beep(t.Context()); !errors.Is(err, catalog.New("not_signed_in")) {
		t.Error(err)
	}
}

// authPassed=0 in any answer: the session is gone, and that is said.
func TestSessionEnds(t *testing.T) {
	f := &fake{answer: in}
	d := meet(t, f)
	if _, _, err := d.SignIn(t.Context(), "anna", access.NewSecret("right"), access.Secret{}); err != nil {
		t.Fatal(err)
	}
	f.ended = true
	if _, err := d.Accounts(t.Context()); !errors.Is(err, catalog.New("vendor_refused")) {
		t.Error(err)
	}
	if _, err := d.Accounts(t.Context()); !errors.Is(err, catalog.New("not_signed_in")) {
		t.Error(err)
	}
}

// C2: what admin's password is after a reset, by the firmware that runs.
func TestDefaultPassword(t *testing.T) {
	for _, c := range []struct {
		version, mac, label, want string
		ask                       bool
		fact                      catalog.ID
	}{
		{"5.2.0", "24:5e:be:69:a3:13", "", "", true, "qnap.default.cloudkey"},
		{"5.2.0", "24:5e:be:69:a3:13", "q1234-5678", "Q12345678", false, "qnap.default.cloudkey"},
		{"h5.2.1", "", " Q1234 5678", "Q12345678", false, "qnap.default.cloudkey"},
		{"5.1.9", "24:5e:be:69:a3:13", "", "245EBE69A313", false, "qnap.default.mac"},
		{"4.4.2", "", "", "", true, "qnap.default.mac"},
		{"4.3.3", "24:5e:be:69:a3:13", "anything", "admin", false, "qnap.default.admin"},
		{"", "24:5e:be:69:a3:13", "", "", true, "qnap.default.running"},
	} {
		p, ask, fact := qts.DefaultPassword(c.version, c.mac, c.label)
		if p.Reveal() != c.want || ask != c.ask || fact != c.fact {
			t.Errorf("%+v: %q %v %s", c, p.Reveal(), ask, fact)
		}
	}
}

func TestGuides(t *testing.T) {
	d := meet(t, &fake{})
	for _, task := range []qts.Task{qts.Password, qts.Network, qts.Protection, qts.Backup, qts.TwoFactor, qts.DisableAdmin, qts.Shares} {
		p := d.Guide(task)
		if f, ok := catalog.FactNamed(p.Fact); !ok || f.Text == "" || len(p.Press) == 0 {
			t.Errorf("%s: %+v", task, p)
		}
	}
}
