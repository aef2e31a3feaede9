package lab_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/lab"
	"github.com/paperclip-nas/paperclip/internal/lab/face"
	"github.com/paperclip-nas/paperclip/internal/owner/discover"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
	"github.com/paperclip-nas/paperclip/internal/x/scratch"
)

// faced starts a rack at 25 times the speed, at which a busy computer still lets go in time, whose vendors' NAS have
// these faults, and gives anna and the second administrator known passwords.
func faced(t *testing.T, name string, faults ...face.Fault) (*lab.Rack, *lab.NAS) {
	t.Helper()
	return facedAt(t, 25, name, faults...)
}

func facedAt(t *testing.T, speed int, name string, faults ...face.Fault) (*lab.Rack, *lab.NAS) {
	t.Helper()
	rack, err := lab.Start(context.Background(), lab.Options{Dir: scratch.Dir(t), Speed: speed, Scenario: faults, Only: []string{name}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rack.Close() })
	n, _ := rack.Named(name)
	for _, who := range []string{face.Owner, face.Second} {
		if _, there := n.Box().Settings().Account(who); there {
			if err := n.Box().Store().SetPassword(who, access.NewSecret(known)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return rack, n
}

const known = "correct horse battery"

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// browser takes any certificate, as these boxes sign their own, and keeps
// cookies.
func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, Timeout: 20 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the lab's own
	}}
}

// dsmCall calls one method and gives the error code, 0 where it worked.
func dsmCall(t *testing.T, c *http.Client, n *lab.NAS, into any, pairs ...string) int {
	t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	at := "https://" + netip.AddrPortFrom(n.Box().Place(), n.Box().Ports().HTTPS).String() + "/webapi/entry.cgi"
	r, err := c.PostForm(at, form)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var answer struct {
		Success bool            `json:"success"`
		Data    json.RawMessage `json:"data"`
		Error   struct {
			Code int `json:"code"`
		} `json:"error"`
	}
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if into != nil && answer.Success {
		if err := json.Unmarshal(answer.Data, into); err != nil {
			t.Fatal(err)
		}
	}
	return answer.Error.Code
}

func dsmLogin(t *testing.T, c *http.Client, n *lab.NAS, user, password string, more ...string) int {
	t.Helper()
	return dsmCall(t, c, n, nil, append([]string{"api", "SYNO.API.Auth", "version", "6", "method", "login", "account", user, "passwd", password, "format", "cookie"}, more...)...)
}

// R9, R10: what is wrong has its own number, as DSM's guide gives it
// (vendors/synology.md §4.1).
func TestDSMTellsWhatIsWrong(t *testing.T) {
	for fault, want := range map[face.Fault]int{
		face.OtherAdmin: 0, face.Disabled: 401, face.Privilege: 402, face.LostPhone: 403, face.Blocked: 407, face.Expired: 409, face.LockedOut: 411,
	} {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			_, n := faced(t, "attic", fault)
			if got := dsmLogin(t, browser(t), n, face.Owner, known); got != want {
				t.Errorf("code %d, want %d", got, want)
			}
		})
	}
	_, n := faced(t, "attic", face.HasPhone)
	c := browser(t)
	if got := dsmLogin(t, c, n, face.Owner, "wrong"); got != 400 {
		t.Errorf("a wrong password: %d", got)
	}
	if got := dsmLogin(t, c, n, face.Owner, known, "otp_code", "000000"); got != 404 {
		t.Errorf("a wrong code: %d", got)
	}
	code, ok := n.Box().Phone(face.Owner)
	if got := dsmLogin(t, c, n, face.Owner, known, "otp_code", code); !ok || got != 0 {
		t.Errorf("the code of the phone: %d", got)
	}
	if got := dsmLogin(t, c, n, face.Owner, known, "otp_code", code); got != 404 {
		t.Errorf("the same code again: %d", got)
	}
}

// Ten wrong passwords in five minutes block the address, and another
// administrator's session takes it off again (R11).
func TestDSMBlocks(t *testing.T) {
	_, n := facedAt(t, 1, "attic", face.OtherAdmin)
	c, other := browser(t), browser(t)
	if got := dsmLogin(t, other, n, face.Second, known); got != 0 {
		t.Fatal(got)
	}
	for range 10 {
		if got := dsmLogin(t, c, n, face.Owner, "wrong"); got != 400 {
			t.Fatal(got)
		}
	}
	if got := dsmLogin(t, c, n, face.Owner, known); got != 407 {
		t.Errorf("after ten: %d", got)
	}
	rules := []string{"api", "SYNO.Core.Security.AutoBlock.Rules", "version", "1"}
	if got := dsmCall(t, other, n, nil, append(rules, "method", "list")...); got != 5100 {
		t.Errorf("a list without its type: %d", got)
	}
	if got := dsmCall(t, other, n, nil, append(rules, "method", "delete", "type", "deny", "ip", `["127.0.0.1"]`)...); got != 0 {
		t.Error(got)
	}
	if got := dsmLogin(t, c, n, face.Owner, known); got != 0 {
		t.Errorf("once it is off the list: %d", got)
	}
}

// press holds the button of a box until the beep, or as long as told.
func press(t *testing.T, n *lab.NAS, hold time.Duration) {
	t.Helper()
	if hold > 0 {
		if err := n.Panel().Press(within(t), hold); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := n.Robot(nil).Press(within(t), rescue.Press{Device: n.Name(), Hold: 4 * time.Second, Beeps: 1}); err != nil {
		t.Fatal(err)
	}
}

// restarted waits until a box has gone and come back.
func restarted(t *testing.T, n *lab.NAS, to face.Phase) {
	t.Helper()
	if err := n.Box().Wait(within(t), face.Dark); err != nil {
		t.Fatal("it did not restart")
	}
	if err := n.Box().Wait(within(t), to); err != nil {
		t.Fatalf("it did not come back as %v", to)
	}
}

// D3, D4 as DSM 7 has them: 4 s, the beep; it comes back at another address with
// the page on which an administrator is chosen; others keep their passwords.
func TestDSMModeOne(t *testing.T) {
	rack, n := faced(t, "attic", face.OtherAdmin)
	before := n.Box().Place()
	press(t, n, 0)
	restarted(t, n, face.Ready)
	s := n.Box().Settings()
	if n.Box().Place() == before || s.Interfaces[0].Method != nas.DHCP || s.AutoBlock.Enabled || len(s.AutoBlock.Blocked) != 3 || s.Firewall.Enabled {
		t.Errorf("at %s: %+v", n.Box().Place(), s)
	}
	if got := dsmLogin(t, browser(t), n, "admin", ""); got != 410 {
		t.Errorf("the blank password over the API: %d", got)
	}
	if err := n.ResetPage(within(t), face.Owner, access.NewSecret("a new password")); err != nil {
		t.Fatal(err)
	}
	if n.ResetPage(within(t), face.Owner, access.NewSecret("another password")) == nil {
		t.Error("the page can be used twice")
	}
	if a, b := dsmLogin(t, browser(t), n, face.Owner, "a new password"), dsmLogin(t, browser(t), n, face.Second, known); a != 0 || b != 0 {
		t.Errorf("signing in: %d, %d", a, b)
	}
	found, err := discover.Find(within(t), []discover.Source{discover.NewFindhost(rack.Findhost()...)}, discover.Options{Wait: 5 * time.Second})
	if err != nil || len(found.Devices) != 1 || found.Devices[0].Addresses[0] != n.Box().Place() || found.Devices[0].DHCP == nil || !*found.Devices[0].DHCP {
		t.Errorf("%+v, %v", found.Devices, err)
	}
}

// In DSM 6.2.3 the blank password signs in, and that session sets another.
func TestDSMModeOneOfOld(t *testing.T) {
	_, n := faced(t, "attic", face.OlderSystem)
	press(t, n, 0)
	restarted(t, n, face.Ready)
	c := browser(t)
	if got := dsmLogin(t, c, n, "admin", ""); got != 0 {
		t.Fatal(got)
	}
	set := []string{"api", "SYNO.Core.User", "version", "1", "method", "set", "name", face.Owner}
	if got := dsmCall(t, c, n, nil, append(set, "password", "a new password")...); got != 0 {
		t.Error(got)
	}
	if got := dsmLogin(t, browser(t), n, face.Owner, "a new password"); got != 0 {
		t.Error(got)
	}
}

// D9: with "keep current admin password" mode 1 sets the network back alone.
func TestDSMKeepsThePassword(t *testing.T) {
	_, n := faced(t, "attic", face.KeepPassword)
	press(t, n, 0)
	restarted(t, n, face.Ready)
	if got := dsmLogin(t, browser(t), n, "admin", ""); got != 400 {
		t.Errorf("the blank password: %d", got)
	}
	if n.Box().Settings().Interfaces[0].Method != nas.DHCP || n.Box().Memory().ResetPage {
		t.Error("the network is not set back, or a page waits")
	}
}

// D3: a second press within ten seconds loses the configuration; the installer
// answers get_state.cgi, and an install leaves admin without a password.
func TestDSMModeTwo(t *testing.T) {
	rack, n := facedAt(t, 10, "attic") // a busy computer must manage two presses in ten seconds
	r := n.Robot(nil)
	for range 2 {
		if err := r.Press(within(t), rescue.Press{Device: "attic", Hold: 4 * time.Second, Beeps: 1}); err != nil {
			t.Fatal(err)
		}
		<-n.Box().Clock().After(time.Second) // a finger is no bounce
	}
	restarted(t, n, face.Lost)
	found, err := discover.Find(within(t), []discover.Source{discover.NewFindhost(rack.Findhost()...)}, discover.Options{Wait: 5 * time.Second})
	if err != nil || len(found.Devices) != 1 || found.Devices[0].Status != "configuration_lost" || found.Devices[0].Name != "DiskStation" {
		t.Errorf("%+v, %v", found.Devices, err)
	}
	base := "http://" + netip.AddrPortFrom(n.Box().Place(), n.Box().Ports().HTTP).String()
	answer, err := browser(t).Get(base + "/webman/get_state.cgi")
	if err != nil {
		t.Fatal(err)
	}
	state, err := io.ReadAll(answer.Body)
	if answer.Body.Close(); err != nil || !strings.Contains(string(state), `"sys_crash"`) {
		t.Errorf("%s, %v", state, err)
	}
	if answer, err = browser(t).Post(base+"/webman/install.cgi", "application/octet-stream", strings.NewReader("pat")); err != nil {
		t.Fatal(err)
	}
	if answer.Body.Close(); answer.Header.Get(face.Header) != "dsm_installer" {
		t.Error("what is invented is not marked")
	}
	restarted(t, n, face.Ready)
	if got := dsmLogin(t, browser(t), n, "admin", ""); got != 0 {
		t.Errorf("the set-up window: %d", got)
	}
}

// A press that is too short, too long, or comes while the box is not ready does
// nothing, and the box knows why (D1, D8).
func TestDSMIgnores(t *testing.T) {
	_, n := faced(t, "attic")
	starts := n.Box().Starts()
	for _, c := range []struct {
		hold time.Duration
		why  string
	}{{time.Second, "too-short"}, {15 * time.Second, "too-long"}} {
		press(t, n, c.hold)
		until(t, func() bool { return n.Box().WhyNothing() == c.why })
	}
	if n.Box().Starts() != starts {
		t.Error("it restarted")
	}
}

// until waits for what no channel tells.
func until(t *testing.T, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for ctx := within(t); !done(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("it does not come")
		}
	}
}

// Where it is after a reset: alone without DHCP; not for ten minutes; never.
func TestDSMComesBackOtherwise(t *testing.T) {
	t.Run("no-dhcp", func(t *testing.T) {
		t.Parallel()
		_, n := faced(t, "attic", face.NoDHCP)
		press(t, n, 0)
		restarted(t, n, face.Ready)
		if at := n.Box().Place().As4(); at[1] != 254 {
			t.Errorf("at %v", at)
		}
	})
	t.Run("never-back", func(t *testing.T) {
		t.Parallel()
		rack, n := faced(t, "attic", face.NeverBack)
		press(t, n, 0)
		if err := n.Box().Wait(within(t), face.Dark); err != nil {
			t.Fatal(err)
		}
		if len(rack.Findhost()) != 0 {
			t.Error("it answers")
		}
	})
	t.Run("no-drives", func(t *testing.T) {
		t.Parallel()
		rack, _ := faced(t, "attic", face.NoDrives)
		found, err := discover.Find(within(t), []discover.Source{discover.NewFindhost(rack.Findhost()...)}, discover.Options{Wait: 5 * time.Second})
		if err != nil || len(found.Devices) != 1 || found.Devices[0].Status != "not_installed" {
			t.Errorf("%+v, %v", found.Devices, err)
		}
	})
	t.Run("redirect", func(t *testing.T) {
		t.Parallel()
		_, n := faced(t, "attic", face.Redirect)
		_, err := browser(t).Get("http://" + netip.AddrPortFrom(n.Box().Place(), n.Box().Ports().HTTP).String() + "/")
		if err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("the redirect leads to %v", err)
		}
	})
	t.Run("imposter", func(t *testing.T) {
		t.Parallel()
		rack, n := faced(t, "attic", face.Imposter)
		found, err := discover.Find(within(t), []discover.Source{discover.NewFindhost(rack.Findhost()...)}, discover.Options{Wait: 5 * time.Second})
		if err != nil || len(found.Devices) != 2 || n.Fooled() != 0 {
			t.Errorf("%+v, %v", found.Devices, err)
		}
	})
}

// qtsLogin signs in and gives the session, or what was said instead.
func qtsLogin(t *testing.T, n *lab.NAS, user, password string, more ...string) (sid string, answer map[string]string) {
	t.Helper()
	form := url.Values{"user": {user}, "pwd": {base64.StdEncoding.EncodeToString([]byte(password))}, "serviceKey": {"1"}}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	answer = qtsCall(t, n, "authLogin.cgi", form)
	return answer["authSid"], answer
}

// qtsCall gives every element with text of the answer.
func qtsCall(t *testing.T, n *lab.NAS, path string, form url.Values) map[string]string {
	t.Helper()
	r, err := browser(t).PostForm("https://"+netip.AddrPortFrom(n.Box().Place(), n.Box().Ports().HTTPS).String()+"/cgi-bin/"+path, form)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	out, name := map[string]string{}, ""
	for d := xml.NewDecoder(r.Body); ; {
		token, err := d.Token()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			name = token.Name.Local
		case xml.CharData:
			if s := strings.TrimSpace(string(token)); s != "" {
				out[name] = s
			}
		}
	}
}

// Whatever is wrong, QTS says the same (vendors/qnap.md §3.2).
func TestQTSTellsNothing(t *testing.T) {
	for _, fault := range []face.Fault{face.Disabled, face.Blocked, face.Expired, face.LockedOut} {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			_, n := faced(t, "studio", fault)
			if _, a := qtsLogin(t, n, face.Owner, known); a["authPassed"] != "0" || a["errorValue"] != "-1" {
				t.Errorf("%v", a)
			}
		})
	}
	_, n := faced(t, "studio", face.HasPhone)
	if _, a := qtsLogin(t, n, face.Owner, known); a["need_2sv"] != "1" || a["timestamp"] == "" {
		t.Errorf("%v", a)
	}
	code, _ := n.Box().Phone(face.Owner)
	if sid, a := qtsLogin(t, n, face.Owner, known, "security_code", code); sid == "" {
		t.Errorf("%v", a)
	}
}

// D10: 3 s leave users and shares; 10 s take them. admin's password is what that
// firmware gives it (vendors/qnap.md §4).
func TestQTSReset(t *testing.T) {
	for name, c := range map[string]struct {
		faults face.Scenario
		hold   time.Duration
		want   string // admin's password
		users  int
		shares int
	}{
		"5.1, 3 s":  {nil, 0, "245EBE4C000D", 4, 3},
		"4.3, 3 s":  {face.Scenario{face.OlderSystem}, 0, "admin", 4, 3},
		"5.2, 3 s":  {face.Scenario{face.NewerSystem}, 0, "Q7K3MX2P9", 4, 3},
		"5.1, 10 s": {nil, 11 * time.Second, "245EBE4C000D", 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, n := faced(t, "studio", c.faults...)
			starts := n.Box().Starts()
			press(t, n, c.hold)
			until(t, func() bool { return n.Box().Starts() > starts && n.Box().Settings().Interfaces[0].Method == nas.DHCP })
			if err := n.Box().Wait(within(t), face.Ready); err != nil {
				t.Fatal(err)
			}
			if got := n.DefaultPassword().Reveal(); got != c.want {
				t.Errorf("the label says %s", got)
			}
			sid, a := qtsLogin(t, n, "admin", c.want)
			if sid == "" || len(n.Box().Settings().Accounts) != c.users || len(n.Box().Memory().Shares) != c.shares {
				t.Fatalf("%v, %d accounts, shares %v", a, len(n.Box().Settings().Accounts), n.Box().Memory().Shares)
			}
			set := func(to string) map[string]string {
				return qtsCall(t, n, "priv/privWizard.cgi?wiz_func=user_password_edit&action=user_password_edit&sid="+sid,
					url.Values{"username": {"admin"}, "password": {base64.StdEncoding.EncodeToString([]byte(to))}, "need_check": {"no"}})
			}
			if a := set(c.want); a["authPassed"] != "1" || a["passwordChange"] == "0" {
				t.Errorf("the default can be set again: %v", a)
			}
			if a := set("a new password"); a["passwordCheck"] != "0" || a["passwordChange"] != "0" {
				t.Errorf("%v", a)
			}
			if sid, _ := qtsLogin(t, n, "admin", "a new password"); sid == "" {
				t.Error("the new password does not sign in")
			}
		})
	}
}

// F2: QTS is found by Qfinder, brief and in detail.
func TestQfinderFace(t *testing.T) {
	rack, n := faced(t, "studio")
	found, err := discover.Find(within(t), []discover.Source{discover.NewQfinder(rack.Qfinder()...)}, discover.Options{Wait: 5 * time.Second})
	if err != nil || len(found.Devices) != 1 {
		t.Fatalf("%+v, %v", found.Devices, err)
	}
	d := found.Devices[0]
	if d.Name != "studio" || d.Model != "TS-453D" || d.HTTPPort != int(n.Box().Ports().HTTP) || d.DHCP == nil || *d.DHCP {
		t.Errorf("%+v", d)
	}
}

// What is invented has an id each, and no two have the same.
func TestInventionsAreNamed(t *testing.T) {
	seen := map[string]bool{}
	for _, i := range face.Inventions() {
		if i.ID == "" || i.What == "" || seen[i.ID] {
			t.Error(fmt.Sprint(i))
		}
		seen[i.ID] = true
	}
}
