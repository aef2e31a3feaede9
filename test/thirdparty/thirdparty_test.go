package thirdparty

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/lab"
	"github.com/paperclip-nas/paperclip/internal/lab/face"
)

const password = "correct horse battery"

// clients is where npm has put them.
const clients = "clients"

// attic starts the lab's Synology with these faults.
func attic(t *testing.T, faults ...face.Fault) *lab.NAS {
	t.Helper()
	if os.Getenv("PAPERCLIP_THIRDPARTY") != "1" {
		t.Skip("clients of others: make test-thirdparty")
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("no node (Debian: nodejs)")
	}
	if _, err := os.Stat(filepath.Join(clients, "node_modules", "syno")); err != nil {
		t.Fatal("the clients are not installed: make test-thirdparty")
	}
	rack, err := lab.Start(context.Background(), lab.Options{Dir: t.TempDir(), Scenario: faults, Only: []string{"attic"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rack.Close() })
	n, _ := rack.Named("attic")
	if err := n.Box().Store().SetPassword(face.Owner, access.NewSecret(password)); err != nil {
		t.Fatal(err)
	}
	return n
}

// request is what clients/syno.js is told.
type request struct {
	Protocol string         `json:"protocol"`
	Host     string         `json:"host"`
	Port     string         `json:"port"`
	Account  string         `json:"account"`
	Password string         `json:"password"`
	Method   string         `json:"method"`
	Params   map[string]any `json:"params,omitempty"`
}

// outcome is what it calls back with.
type outcome struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data"`
}

// syno calls a method of the client, signed in as anna.
func syno(t *testing.T, n *lab.NAS, method string, params map[string]any, change ...func(*request)) outcome {
	t.Helper()
	r := request{
		Protocol: "https", Host: n.Box().Place().String(), Port: strconv.Itoa(int(n.Box().Ports().HTTPS)),
		Account: face.Owner, Password: password, Method: method, Params: params,
	}
	for _, c := range change {
		c(&r)
	}
	in, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "--no-deprecation", "syno.js")
	cmd.Dir, cmd.Stdin = clients, bytes.NewReader(in)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", method, err, out, &errs)
	}
	var o outcome
	if err := json.Unmarshal(out, &o); err != nil {
		t.Fatalf("%s: %s%s", method, out, &errs)
	}
	return o
}

// What the client asks for first, and the sign-in, by HTTPS and by HTTP.
func TestSynoSignsIn(t *testing.T) {
	n := attic(t)
	for _, plain := range []bool{false, true} {
		choose := func(r *request) {
			if plain {
				r.Protocol, r.Port = "http", strconv.Itoa(int(n.Box().Ports().HTTP))
			}
		}
		if o := syno(t, n, "info", nil, choose); o.Code != 0 || !strings.Contains(string(o.Data), `"SYNO.Core.User"`) {
			t.Errorf("info: %+v", o)
		}
		if o := syno(t, n, "login", nil, choose); o.Code != 0 || !strings.Contains(string(o.Data), `"sid"`) {
			t.Errorf("login: %+v", o)
		}
	}
	if o := syno(t, n, "login", nil, func(r *request) { r.Password = "wrong" }); o.Code != 400 || o.Message != "No such account or incorrect password" {
		t.Errorf("a wrong password: %+v", o)
	}
}

// The client's own words for each code.
func TestSynoUnderstandsRefusals(t *testing.T) {
	for fault, want := range map[face.Fault]outcome{
		face.Disabled: {401, "Account disabled", nil}, face.Privilege: {402, "Permission denied", nil}, face.LostPhone: {403, "2-step verification code required", nil},
		face.Blocked: {407, "", nil},
	} {
		t.Run(string(fault), func(t *testing.T) {
			if o := syno(t, attic(t, fault), "login", nil); o.Code != want.Code || want.Message != "" && o.Message != want.Message {
				t.Errorf("%+v, want %+v", o, want)
			}
		})
	}
}

func TestSynoGivesTheCode(t *testing.T) {
	n := attic(t, face.HasPhone)
	if o := syno(t, n, "login", map[string]any{"otp_code": "000000"}); o.Code != 404 || o.Message != "Failed to authenticate 2-step verification code" {
		t.Errorf("a wrong code: %+v", o)
	}
	code, _ := n.Box().Phone(face.Owner)
	if o := syno(t, n, "login", map[string]any{"otp_code": code}); o.Code != 0 {
		t.Errorf("the right one: %+v", o)
	}
}

// Users, a password, the auto block and its list: by methods that the client has
// made from a real DSM's definitions.
func TestSynoAdministers(t *testing.T) {
	n := attic(t)
	o := syno(t, n, "listUsers", map[string]any{"type": "local", "offset": 0, "limit": -1, "additional": `["expired","email"]`})
	var list struct {
		Total int `json:"total"`
		Users []struct{ Name, Expired string }
	}
	if err := json.Unmarshal(o.Data, &list); o.Code != 0 || err != nil || list.Total != len(list.Users) {
		t.Fatalf("%+v, %v", o, err)
	}
	state := func(name string) string {
		i := slices.IndexFunc(list.Users, func(u struct{ Name, Expired string }) bool { return u.Name == name })
		if i < 0 {
			return "missing"
		}
		return list.Users[i].Expired
	}
	if state("admin") != "now" || state("anna") != "normal" || state("guest") != "normal" {
		t.Errorf("%+v", list.Users)
	}
	if o := syno(t, n, "setUser", map[string]any{"name": "ben", "password": "another battery"}); o.Code != 0 {
		t.Errorf("a password: %+v", o)
	}
	if o := syno(t, n, "login", nil, func(r *request) { r.Account, r.Password = "ben", "another battery" }); o.Code != 0 {
		t.Errorf("signing in with it: %+v", o)
	}
	if o := syno(t, n, "setUser", map[string]any{"name": "nobody", "password": "another battery"}); o.Code != 3106 {
		t.Errorf("nobody: %+v", o)
	}
	if o := syno(t, n, "getSecurityAutoBlock", nil); o.Code != 0 || !strings.Contains(string(o.Data), `"attempts":10`) {
		t.Errorf("the auto block: %+v", o)
	}
	if o := syno(t, n, "listSecurityAutoBlockRules", nil); o.Code != 5100 {
		t.Errorf("its list without a type: %+v", o)
	}
	if o := syno(t, n, "listSecurityAutoBlockRules", map[string]any{"type": "deny"}); o.Code != 0 || !strings.Contains(string(o.Data), "192.0.2.7") {
		t.Errorf("its list: %+v", o)
	}
	if o := syno(t, n, "listUsers", nil, func(r *request) { r.Account, r.Password = "ben", "another battery" }); o.Code != 105 {
		t.Errorf("somebody who is no administrator: %+v", o)
	}
}
