package dsm_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/triage"
	"github.com/paperclip-nas/paperclip/internal/owner/driver/dsm"
	"github.com/paperclip-nas/paperclip/internal/owner/driver/pinned"
	"github.com/paperclip-nas/paperclip/internal/protocol/dsmapi"
)

// fake is a DSM that keeps what it is told, and counts what it is asked.
type fake struct {
	mu        sync.Mutex
	attempts  int // requests with a password in them that ask to be let in
	code      int // what a sign-in answers; 0 lets in
	users     []dsmapi.User
	block     dsmapi.AutoBlock
	blocked   []string
	web       dsmapi.Web
	button    dsmapi.ResetButton
	deaf      bool // says yes and does nothing
	has       func(api string) bool
	onLogin   func(w http.ResponseWriter) // in place of the answer
	passwords map[string]string
	urls      []string
}

func (f *fake) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.urls = append(f.urls, q.URL.String())
	_ = q.ParseForm()
	r, err := dsmapi.ParseForm(q.PostForm)
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if r.API != "SYNO.API.Info" && r.API != dsmapi.APIAuth && r.SID != "session1" {
		_, _ = w.Write(dsmapi.Refuse(119))
		return
	}
	var data any
	switch r.API + " " + r.Method {
	case "SYNO.API.Info query":
		all := dsmapi.APIs{}
		for _, name := range []string{dsmapi.APIAuth, dsmapi.APIUser, dsmapi.APIGroupMember, dsmapi.APIValidAdmin, dsmapi.APINetwork, dsmapi.APIEthernet, dsmapi.APIAutoBlock, dsmapi.APIBlockRules, dsmapi.APIFirewall, dsmapi.APIWeb, dsmapi.APIResetButton, dsmapi.APIInfo, dsmapi.APIFindMe, dsmapi.APITrust} {
			if f.has == nil || f.has(name) {
				all[name] = dsmapi.API{Path: "entry.cgi", MinVersion: 1, MaxVersion: 7, Format: "JSON"}
			}
		}
		data = all
	case dsmapi.APIAuth + " login":
		f.attempts++
		if f.onLogin != nil {
			f.onLogin(w)
			return
		}
		if f.code != 0 {
			_, _ = w.Write(dsmapi.Refuse(f.code))
			return
		}
		data = dsmapi.Session{SID: "session1", Token: "token1"}
	case dsmapi.APIUser + " list":
		data = dsmapi.UserList{Total: len(f.users), Users: f.users}
	case dsmapi.APIUser + " set":
		i := slices.IndexFunc(f.users, func(u dsmapi.User) bool { return u.Name == r.Text("name") })
		if i < 0 {
			_, _ = w.Write(dsmapi.Refuse(3106))
			return
		}
		if !f.deaf && r.Has("expired") {
			f.users[i].Expired = r.Text("expired")
		}
		if r.Has("password") {
			f.passwords[r.Text("name")] = r.Text("password")
		}
	case dsmapi.APIAutoBlock + " get":
		data = f.block
	case dsmapi.APIAutoBlock + " set":
		if !f.deaf {
			f.block = dsmapi.AutoBlock{Enable: r.Bool("enable"), Attempts: r.Int("attempts"), WithinMins: r.Int("within_mins"), ExpireDay: r.Int("expire_day")}
		}
	case dsmapi.APIBlockRules + " list":
		l := dsmapi.BlockList{IPs: []dsmapi.Blocked{}}
		for _, ip := range f.blocked {
			l.IPs = append(l.IPs, dsmapi.Blocked{IP: ip})
		}
		data = l
	case dsmapi.APIBlockRules + " delete":
		if !f.deaf {
			f.blocked = slices.DeleteFunc(f.blocked, func(ip string) bool { return slices.Contains(r.List("ip"), ip) })
		}
	case dsmapi.APIFirewall + " get":
		data = dsmapi.Firewall{Enable: true, Profile: "default"}
	case dsmapi.APIWeb + " get":
		data = f.web
	case dsmapi.APIWeb + " set":
		if !f.deaf {
			f.web.Redirect = r.Bool("enable_https_redirect")
		}
	case dsmapi.APIResetButton + " get":
		data = f.button
	case dsmapi.APIResetButton + " set":
		if !f.deaf {
			f.button.KeepPassword = r.Bool("retain_admin_pwd")
		}
	case dsmapi.APIEthernet + " list":
		data = []dsmapi.Ethernet{{Name: "eth0", IP: "192.168.1.21", Mask: "255.255.252.0", Gateway: "192.168.1.1", DNS: "192.168.1.1, 9.9.9.9", MTU: 9000}, {Name: "eth1", DHCP: true, IP: "x"}}
	case dsmapi.APIInfo + " getinfo":
		data = dsmapi.Info{Model: "DS920+", Serial: "2040LAB000001", Version: "DSM 7.2-64570"}
	case dsmapi.APIFindMe + " start", dsmapi.APIFindMe + " stop", dsmapi.APIAuth + " logout", dsmapi.APITrust + " delete_others":
	default:
		_, _ = w.Write(dsmapi.Refuse(103))
		return
	}
	b, _ := dsmapi.Succeed(data)
	_, _ = w.Write(b)
}

func household() *fake {
	yes := true
	return &fake{
		users: []dsmapi.User{
			{Name: "admin", Expired: dsmapi.Disabled, Groups: []string{"administrators"}},
			{Name: "anna", Expired: dsmapi.Enabled, Groups: []string{"administrators", "users"}, TwoFactor: &yes},
			{Name: "ben", Expired: "2020/1/31", Groups: []string{"administrators"}},
			{Name: "guest", Expired: dsmapi.Disabled, Groups: []string{"users"}},
		},
		block: dsmapi.AutoBlock{Enable: true, Attempts: 10, WithinMins: 5, ExpireDay: 7}, blocked: []string{"192.0.2.7", "198.51.100.9"},
		web: dsmapi.Web{HTTPPort: 5000, HTTPSPort: 5001, HTTPS: true, Redirect: true}, passwords: map[string]string{},
	}
}

func place(t *testing.T, s *httptest.Server) pinned.Place {
	t.Helper()
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, _ := strconv.Atoi(u.Port())
	at := pinned.Place{Addr: netip.MustParseAddr(u.Hostname())}
	if u.Scheme == "https" {
		at.HTTPS = port
	} else {
		at.HTTP = port
	}
	return at
}

func meet(t *testing.T, f http.Handler) *dsm.Device {
	t.Helper()
	s := httptest.NewTLSServer(f)
	t.Cleanup(s.Close)
	d, err := dsm.Meet(t.Context(), place(t, s), pinned.Options{}, func() time.Time { return time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC) })
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func signedIn(t *testing.T, f *fake) *dsm.Device {
	t.Helper()
	d := meet(t, f)
	if a, raw, err := d.SignIn(t.Context(), "anna", access.NewSecret("right"), access.Secret{}); a != triage.Accepted || raw != "" || err != nil {
		t.Fatal(a, raw, err)
	}
	return d
}

// One attempt: whatever the device answers, and however the attempt ends, the
// password was sent in exactly one request, and never in an address.
func TestOneAttempt(t *testing.T) {
	type end struct {
		f    func(*fake)
		want triage.Answer
		fail bool
	}
	ends := map[string]end{
		"accepted":     {func(*fake) {}, triage.Accepted, false},
		"unknown code": {func(f *fake) { f.code = 4711 }, triage.Other, false},
		"no JSON":      {func(f *fake) { f.onLogin = func(w http.ResponseWriter) { _, _ = w.Write([]byte("<html>")) } }, triage.NotTried, true},
		"no session":   {func(f *fake) { f.onLogin = func(w http.ResponseWriter) { _, _ = w.Write([]byte(`{"success":true}`)) } }, triage.Other, false},
		"error 500":    {func(f *fake) { f.onLogin = func(w http.ResponseWriter) { w.WriteHeader(500) } }, triage.NotTried, true},
		"redirect": {func(f *fake) {
			f.onLogin = func(w http.ResponseWriter) { w.Header().Set("Location", "/webapi/entry.cgi"); w.WriteHeader(307) }
		}, triage.NotTried, true},
		"connection lost": {func(f *fake) { f.onLogin = func(w http.ResponseWriter) { panic(http.ErrAbortHandler) } }, triage.NotTried, true},
		"endless answer": {func(f *fake) {
			f.onLogin = func(w http.ResponseWriter) { _, _ = w.Write(make([]byte, dsmapi.MaxAnswer+9)) }
		}, triage.NotTried, true},
	}
	for _, c := range dsmapi.Codes() {
		if c.API == dsmapi.APIAuth || c.API == "" {
			ends[fmt.Sprint("code ", c.Number)] = end{func(f *fake) { f.code = c.Number }, c.Answer, false}
		}
	}
	said := map[string]string{} // each documented number has words of its own
	for name, e := range ends {
		t.Run(name, func(t *testing.T) {
			f := household()
			e.f(f)
			d := meet(t, f)
			answer, raw, err := d.SignIn(t.Context(), "anna", access.NewSecret("hunter2hunter2"), access.NewSecret("424242"))
			if answer != e.want || (err != nil) != e.fail {
				t.Errorf("%s %q %v", answer, raw, err)
			}
			if f.attempts != 1 {
				t.Errorf("%d sign-ins with one typed password", f.attempts)
			}
			if err == nil && answer != triage.Accepted && raw == "" {
				t.Error("the device's own words are lost")
			}
			if earlier := said[raw]; raw != "" && earlier != "" {
				t.Errorf("%s and %s are told alike: %q", name, earlier, raw)
			}
			said[raw] = name
			for _, text := range append(f.urls, raw, fmt.Sprint(err), fmt.Sprintf("%+v", err)) {
				if strings.Contains(text, "hunter2") || strings.Contains(text, "4242") {
					t.Errorf("a secret in %q", text)
				}
			}
		})
	}
}

// Where the API is not there, or the device is none, no password is sent at all.
func TestNoAttemptWithoutAnAPI(t *testing.T) {
	f := household()
	f.has = func(api string) bool { return api != dsmapi.APIAuth }
	if a, _, err := meet(t, f).SignIn(t.Context(), "anna", access.NewSecret("x"), access.Secret{}); a != triage.NotTried || !errors.Is(err, catalog.New("no_such_api")) || f.attempts != 0 {
		t.Error(a, err, f.attempts)
	}
	posts := 0
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { posts++; _, _ = w.Write([]byte("<html>")) })
	if _, _, err := meet(t, page).SignIn(t.Context(), "anna", access.NewSecret("x"), access.Secret{}); err == nil || posts != 1 {
		t.Error(err, posts)
	}
}

func TestRead(t *testing.T) {
	f := household()
	f.button.KeepPassword = true
	d := signedIn(t, f)
	s, known, unread, err := d.Read(t.Context())
	if err != nil || len(s.Accounts) != 4 || len(unread) != 1 || !strings.Contains(unread[0], "forgot-password mail") {
		t.Fatalf("%+v %q %v", s, unread, err)
	}
	if a := s.Accounts[1]; !a.Administrator || !a.SecondFactor || !a.Enabled || a.BuiltIn {
		t.Errorf("%+v", a)
	}
	if s.Accounts[0].Enabled || !s.Accounts[0].BuiltIn || s.Accounts[2].Enabled { // ben's date has passed
		t.Errorf("%+v", s.Accounts)
	}
	if *known.OtherAdmins != 0 || !*known.KeepPassword || known.MailReset != nil {
		t.Errorf("%+v", known)
	}
	if len(s.Interfaces) != 2 || s.Interfaces[0].Method != nas.Static || s.Interfaces[0].Addresses[0].String() != "192.168.1.21/22" || len(s.Interfaces[0].DNS) != 2 || s.Interfaces[1].Method != nas.DHCP {
		t.Errorf("%+v", s.Interfaces)
	}
	if !s.Ports.ForceHTTPS || !s.AutoBlock.Enabled || len(s.AutoBlock.Blocked) != 2 || !s.Firewall.Enabled || s.Guest.Enabled {
		t.Errorf("%+v", s)
	}
	if id, version, err := d.Describe(t.Context()); err != nil || id.Serial != "2040LAB000001" || version != "7.2-64570" {
		t.Errorf("%+v %s %v", id, version, err)
	}
}

// Proved, not assumed: a change is read back, and a device that says yes and
// does nothing is found out.
func TestChangesAreReadBack(t *testing.T) {
	changes := map[string]func(context.Context, *dsm.Device) error{
		"enable":     func(ctx context.Context, d *dsm.Device) error { return d.SetEnabled(ctx, "admin", true) },
		"auto block": func(ctx context.Context, d *dsm.Device) error { return d.SetAutoBlock(ctx, false) },
		"unblock": func(ctx context.Context, d *dsm.Device) error {
			return d.Unblock(ctx, netip.MustParseAddr("192.0.2.7"))
		},
		"redirect":      func(ctx context.Context, d *dsm.Device) error { return d.SetRedirect(ctx, false) },
		"keep password": func(ctx context.Context, d *dsm.Device) error { return d.SetKeepPassword(ctx, true) },
	}
	for name, change := range changes {
		f := household()
		d := signedIn(t, f)
		if err := change(t.Context(), d); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		f = household()
		f.deaf = true
		d = signedIn(t, f)
		if err := change(t.Context(), d); !errors.Is(err, catalog.New("vendor_unread")) {
			t.Errorf("%s: a device that did nothing is believed: %v", name, err)
		}
	}
	f := household()
	d := signedIn(t, f)
	if err := d.SetPassword(t.Context(), "ben", access.NewSecret(`a "new" one`)); err != nil || f.passwords["ben"] != `a "new" one` {
		t.Errorf("%v %q", err, f.passwords["ben"])
	}
	if err := d.SetPassword(t.Context(), "nobody", access.NewSecret("x")); !errors.Is(err, catalog.New("vendor_refused")) || !strings.Contains(err.Error(), "3106") {
		t.Error(err)
	}
	if err := errors.Join(d.Beep(t.Context()), d.EndBeep(t.Context()), d.ForgetDevices(t.Context()), d.SignOut(t.Context())); err != nil {
		t.Error(err)
	}
	if err := d.Beep(t.Context()); !errors.Is(err, catalog.New("not_signed_in")) {
		t.Error(err)
	}
}

// Every task that is left to a person has a page, something to press, and a
// fact that says why.
func TestGuides(t *testing.T) {
	d := meet(t, household())
	for _, task := range []dsm.Task{dsm.ResetPage, dsm.Network, dsm.FirewallOn, dsm.Backup, dsm.SignOutAll, dsm.TwoFactor, dsm.Installer, dsm.DisableAdmin, dsm.Password} {
		p := d.Guide(task)
		if _, ok := catalog.FactNamed(p.Fact); !ok || len(p.Press) == 0 || !strings.HasPrefix(p.URL, "https://") {
			t.Errorf("%s: %+v", task, p)
		}
	}
}

// A DSM that is not there yet says so by its installer.
func TestInstaller(t *testing.T) {
	d := meet(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/webman/get_state.cgi" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write([]byte(`{"success":true,"data":{"has_disk":true,"dsinfo":{"model":"DS920+","serial":"X","mac_addr":"00:11:32:00:00:01","ip_addr":"192.0.2.1","hostname":"DiskStation","build_ver":"7.2-64570","status":"sys_crash"}}}`))
	}))
	id, status, err := d.Identify(t.Context())
	if err != nil || status != nas.ConfigurationLost || id.Name != "DiskStation" {
		t.Errorf("%+v %v %v", id, status, err)
	}
}
