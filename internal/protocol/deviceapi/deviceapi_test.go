package deviceapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/check"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/strictjson"
)

func settings() nas.Settings {
	return nas.Settings{
		Accounts:   []nas.Account{{Name: "anna", Administrator: true, Enabled: true, PasswordChanges: 1}, {Name: "bo", Enabled: true}},
		Guest:      &nas.Guest{Enabled: true},
		Ports:      &nas.Ports{HTTP: 80, HTTPS: 443, ForceHTTPS: true},
		Interfaces: []nas.Interface{{Name: "eth0", Method: nas.Static, Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.7/24")}, Gateway: "192.0.2.1", DNS: []string{"192.0.2.1"}, MTU: 9000}},
		Bonds:      []nas.Bond{{Name: "bond0", Members: []string{"eth0", "eth1"}, Enabled: true}},
		AutoBlock:  &nas.AutoBlock{Enabled: true, Blocked: []string{"192.0.2.99"}},
	}
}

func plan() reset.Plan {
	covered := reset.Coverage{nas.E3: {Present: true}, nas.E4: {Present: true}, nas.E5: {Present: true}}
	return reset.Build(reset.Request{Device: "cellar", Mode: reset.Soft, Scope: reset.Network}, settings(), covered)
}

func problem() catalog.Problem { return catalog.New("wrong_code") }

// bodies is one filled value of every body and inner message.
func bodies() []any {
	p := problem()
	key := bytes.Repeat([]byte{7}, 32)
	secret := access.NewSecret("correct <horse> & \"battery\" стол")
	return []any{
		&Device{Version: 1, Name: "cellar", Vendor: "Paperclip", Model: "VM", KeyID: "k", Ready: true, Claim: Claim{Open: true, ID: "c", ClosesInSeconds: 900, CodeNeeded: true, PressNeeded: true}},
		&SessionRequest{},
		&SessionReply{Claim: "c", Session: "s", TriesLeft: 5, WaitSeconds: 120},
		&PakeRequest{Session: "s", Share: []byte{4, 1}},
		&PakeReply{Share: []byte{4, 2}, TriesLeft: 4},
		&ConfirmRequest{Session: "s", Confirm: []byte{1}},
		&ConfirmReply{Confirm: []byte{2}},
		&SealedRequest{Session: "s", Box: []byte{3}},
		&SealedReply{Box: []byte{4}},
		&SignInRequest{User: "anna", Password: secret},
		&SignInReply{User: "anna", Administrator: true},
		&ErrorReply{Problem: p},
		&Empty{},
		&OptionsReply{
			Device:         nas.Identity{Name: "cellar", KeyID: "k", MACs: []string{"02:00:00:00:00:01"}},
			Administrators: []Administrator{{Name: "anna", BuiltIn: false, SecondFactor: true}},
			Settings:       settings(), Modes: []reset.Mode{reset.Soft}, Scopes: []reset.Scope{reset.Credentials, reset.Network},
		},
		&PlanCall{Mode: reset.Soft, Scope: reset.Network, Administrator: "anna"},
		&PlanReply{Plan: plan(), Hash: plan().Hash()},
		&CommitCall{PlanHash: plan().Hash(), Administrator: "anna", NewPassword: secret, OwnerKey: key},
		&CommitCall{PlanHash: "h"},
		&PlanCall{Mode: reset.Hard, Administrator: "anna", Wizard: wizard()},
		&CommitCall{PlanHash: "h", Administrator: "anna", NewPassword: secret, Wizard: wizard()},
		&CommitReply{Transaction: "t"},
		&ProgressCall{Transaction: "t"},
		&RequestCall{Request: "r"},
		&RequestReply{Request: "r", State: access.RequestWaiting, Plan: plan(), WaitSeconds: 86400},
		&RequestsReply{Requests: []RequestReply{{Request: "r", State: access.RequestRipe, Plan: plan()}}},
		&ResumeCall{Request: "r", NewPassword: secret},
		&ResumeReply{Transaction: "t", Plan: plan(), Hash: plan().Hash()},
		&AccountsReply{Accounts: []AccountInfo{{Name: "anna", Enabled: true, SignedIn: true, Codes: 9, You: true}}},
		&AccountCall{Account: "admin", Action: reset.SetPassword, NewPassword: secret},
		&AccountCall{Account: "admin", Action: reset.SwitchOff},
		&AccountReply{Transaction: "t", Plan: plan()},
		&CheckReply{Facts: check.Facts{Administrators: []check.Administrator{{Name: "anna", Enabled: true}}, Firewall: &nas.Firewall{Enabled: true}, Notices: []catalog.ID{"notice_reset"}}},
		&ProgressReply{State: "committed", Steps: []StepState{{"shadow", "verified"}}, Done: true, Problem: &p, Receipt: []byte("{}")},
		&OwnerProveCall{Account: "anna", Password: access.NewSecret("correct horse battery")},
		&OwnerProveCall{OwnerKey: key, Signature: make([]byte, 64)},
	}
}

func same(t *testing.T, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmp.AllowUnexported(access.Secret{}), cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{}), cmpopts.IgnoreUnexported(catalog.Problem{})); d != "" {
		t.Error(d)
	}
}

func TestEveryBodyComesBackAsItWasSent(t *testing.T) {
	for _, want := range bodies() {
		t.Run(reflect.TypeOf(want).Elem().Name(), func(t *testing.T) {
			wire, err := Encode(want)
			if err != nil {
				t.Fatal(err)
			}
			got := reflect.New(reflect.TypeOf(want).Elem()).Interface()
			if err := DecodeStrict(bytes.NewReader(wire), MaxBody, got); err != nil {
				t.Fatalf("%s: %v", wire, err)
			}
			same(t, want, got)
		})
	}
}

// Every body refuses a field that it does not know, at its top and after any
// other field, and anything that is not one object within the bound.
func TestEveryBodyIsStrict(t *testing.T) {
	for _, body := range bodies() {
		t.Run(reflect.TypeOf(body).Elem().Name(), func(t *testing.T) {
			wire, err := Encode(body)
			if err != nil {
				t.Fatal(err)
			}
			comma := ","
			if string(wire) == "{}" {
				comma = ""
			}
			for name, in := range map[string]string{
				"a field more":     `{"evil":1` + comma + string(wire[1:]),
				"something behind": string(wire) + "{}",
				"cut off":          string(wire[:len(wire)-1]),
				"an array":         "[" + string(wire) + "]",
				"null":             "null",
				"nothing":          "",
				"too large":        string(wire) + strings.Repeat(" ", MaxBody),
			} {
				v := reflect.New(reflect.TypeOf(body).Elem()).Interface()
				if err := DecodeStrict(strings.NewReader(in), MaxBody, v); err == nil {
					t.Errorf("%s is accepted", name)
				}
			}
		})
	}
}

func wizard() *reset.Wizard {
	a, err := reset.ParseAddress("eth0=192.168.1.5/24,gateway=192.168.1.1,dns=9.9.9.9")
	if err != nil {
		panic(err)
	}
	return &reset.Wizard{Name: "attic", Network: []reset.Address{a}, Restore: reset.RestoreBundle}
}

// What a stranger is told has no serial number, version or account (promises 4, 6).
func TestDeviceTellsAStrangerLittle(t *testing.T) {
	wire, err := Encode(Device{})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"version":1,"name":"","vendor":"","model":"","key_id":"","ready":false,"status":"",` +
		`"claim":{"open":false,"id":"","hard":false,"closes_in_seconds":0,"code_needed":false,"press_needed":false}}`
	if got := strings.Replace(string(wire), `"version":0`, `"version":1`, 1); got != want {
		t.Errorf("a stranger is told\n%s\nwant\n%s", got, want)
	}
}

func TestCalls(t *testing.T) {
	secret := access.NewSecret("a long new password")
	for _, k := range Kinds() {
		wire, err := EncodeCall(k, CommitCall{PlanHash: "h", NewPassword: secret})
		if err != nil {
			t.Fatal(err)
		}
		c, err := ParseCall(wire)
		if err != nil || c.Kind != k {
			t.Fatalf("%s: %v, %v", k, c, err)
		}
		var got CommitCall
		if err := c.Decode(&got); err != nil || got.NewPassword.Reveal() != secret.Reveal() {
			t.Errorf("%s: %v", k, err)
		}
		if s := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(s, "password") {
			t.Errorf("prints %s", s)
		}
	}
	for name, in := range map[string]string{
		"unknown kind": `{"kind":"open","body":{}}`,
		"no kind":      `{"body":{}}`,
		"a field more": `{"kind":"plan","body":{},"as":"root"}`,
		"not JSON":     `plan`,
	} {
		if _, err := ParseCall([]byte(in)); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	for _, in := range []string{`{"kind":"plan"}`, `{"kind":"plan","body":null}`, `{"kind":"plan","body":{"mode":"soft","x":1}}`} {
		c, err := ParseCall([]byte(in))
		if err == nil {
			err = c.Decode(&PlanCall{})
		}
		if err == nil {
			t.Errorf("%s is accepted", in)
		}
	}
}

func TestReplies(t *testing.T) {
	wire, err := EncodeReply(CommitReply{Transaction: "t"})
	if err != nil {
		t.Fatal(err)
	}
	var got CommitReply
	if err := ParseReply(wire, &got); err != nil || got.Transaction != "t" {
		t.Errorf("%+v, %v", got, err)
	}
	wire, err = EncodeProblem(problem().Because(errors.New("line 3 of shadow")))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(wire), "shadow") {
		t.Errorf("the cause crosses the wire: %s", wire)
	}
	err = ParseReply(wire, &got)
	if p, ok := errors.AsType[catalog.Problem](err); !ok || p.ID != "wrong_code" {
		t.Errorf("err = %#v, want the problem wrong_code", err)
	}
	for _, in := range []string{``, `{}`, `{"body":null}`, `{"body":{"transaction":"t","more":1}}`, `{"body":{},"more":1}`} {
		if err := ParseReply([]byte(in), &got); err == nil {
			t.Errorf("%s is accepted", in)
		}
	}
}

func TestPlanReplyCheck(t *testing.T) {
	r := PlanReply{Plan: plan(), Hash: plan().Hash()}
	if err := r.Check(); err != nil {
		t.Error(err)
	}
	r.Plan.Losses = nil
	r.Plan.Takes = "a moment"
	if err := r.Check(); !errors.Is(err, ErrPlanHash) {
		t.Errorf("another plan than was named: %v", err)
	}
}

// A device's plan must survive the wire with its hash, or nothing could be
// accepted.
func TestPlanHashSurvivesTheWire(t *testing.T) {
	wire, err := EncodeReply(PlanReply{Plan: plan(), Hash: plan().Hash()})
	if err != nil {
		t.Fatal(err)
	}
	var got PlanReply
	if err := ParseReply(wire, &got); err != nil {
		t.Fatal(err)
	}
	if err := got.Check(); err != nil {
		t.Error(err)
	}
}

// A password is on the wire by Encode and nowhere else (promise 2).
func TestPasswordsAreHiddenButInEncode(t *testing.T) {
	secret := access.NewSecret("hunter2")
	for _, v := range []any{SignInRequest{"anna", secret}, &SignInRequest{"anna", secret}, CommitCall{NewPassword: secret}, &CommitCall{NewPassword: secret}} {
		wire, err := Encode(v)
		if err != nil || !bytes.Contains(wire, []byte("hunter2")) {
			t.Errorf("%T: the wire form lacks the password: %v", v, err)
		}
		hidden, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		for _, s := range []string{string(hidden), fmt.Sprintf("%v %+v %#v %s", v, v, v, v)} {
			if strings.Contains(s, "hunter2") {
				t.Errorf("%T shows its password: %s", v, s)
			}
		}
		// The word that hides it must never be taken for a password.
		back := reflect.New(reflect.Indirect(reflect.ValueOf(v)).Type()).Interface()
		if err := strictjson.Unmarshal(hidden, back); err == nil {
			t.Errorf("%T: a hidden password was accepted as one", v)
		}
	}
}

func TestOwnerKeysHaveOneLength(t *testing.T) {
	for n, ok := range map[int]bool{0: true, 31: false, 32: true, 33: false} {
		wire, err := Encode(CommitCall{PlanHash: "h", OwnerKey: make([]byte, n)})
		if err != nil {
			t.Fatal(err)
		}
		if err := strictjson.Unmarshal(wire, &CommitCall{}); (err == nil) != ok {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// A problem comes from a device that may be anybody's: it must not write to the
// terminal, and not make a command succeed.
func TestProblemsAreMadeFitToBeShown(t *testing.T) {
	evil := catalog.Problem{ID: "x\x1b[2J", Text: "Done\x1b]0;title\a\r\n" + strings.Repeat("ä", maxText), Meaning: "a\u202eb", Exit: catalog.Done}
	for _, exit := range []catalog.Exit{catalog.Done, -1, 6, 300} {
		evil.Exit = exit
		wire, err := Encode(ErrorReply{Problem: evil})
		if err != nil {
			t.Fatal(err)
		}
		p := ParseError(bytes.NewReader(wire))
		if p.Exit != catalog.Failed {
			t.Errorf("exit %d became %d, want %d", exit, p.Exit, catalog.Failed)
		}
		if all := string(p.ID) + p.Text + p.Meaning; strings.ContainsAny(all, "\x1b\a\r\n\u202e") || len(p.Text) > maxText || p.ID != "x[2J" {
			t.Errorf("shown: %.80q", all)
		}
		wire, err = EncodeProblem(evil)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := errors.AsType[catalog.Problem](ParseReply(wire, &Empty{})); !ok || got.Text != p.Text {
			t.Errorf("inside a claim it is shown otherwise: %.80q", got.Text)
		}
	}
	wire, err := Encode(ErrorReply{Problem: problem()})
	if err != nil {
		t.Fatal(err)
	}
	if got := ParseError(bytes.NewReader(wire)); got.Text != problem().Text || got.Exit != catalog.Refused || got.WhatToDo != problem().WhatToDo {
		t.Errorf("a good problem was changed: %+v", got)
	}
	for _, in := range []string{"", "<html>", `{"problem":{"id":"x","more":1}}`} {
		if p := ParseError(strings.NewReader(in)); p.ID != "bad_message" {
			t.Errorf("%q: problem %s, want bad_message", in, p.ID)
		}
	}
}

// FuzzDecode: no body makes any type panic, and what is accepted can be sent
// on and is then the same.
func FuzzDecode(f *testing.F) {
	for i, v := range bodies() {
		wire, err := Encode(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(i, wire)
	}
	f.Fuzz(func(t *testing.T, i int, in []byte) {
		all := bodies()
		kind := reflect.TypeOf(all[uint(i)%uint(len(all))]).Elem()
		first := reflect.New(kind).Interface()
		if err := DecodeStrict(bytes.NewReader(in), MaxBody, first); err != nil {
			return
		}
		wire, err := Encode(first)
		if err != nil {
			t.Fatal(err)
		}
		second := reflect.New(kind).Interface()
		if err := strictjson.Unmarshal(wire, second); err != nil {
			t.Fatalf("%s: own output %s: %v", kind, wire, err)
		}
		again, err := Encode(second)
		if err != nil || !bytes.Equal(wire, again) {
			t.Fatalf("%s became %s, %v", wire, again, err)
		}
	})
}

// FuzzCall: the same for what comes out of a sealed box.
func FuzzCall(f *testing.F) {
	f.Add([]byte(`{"kind":"commit","body":{"plan_hash":"h","administrator":"a","new_password":"p"}}`))
	f.Add([]byte(`{"kind":"options","body":{}}`))
	f.Add([]byte(`{"problem":{"id":"x","text":"y","exit":1}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		if c, err := ParseCall(in); err == nil {
			_ = c.Decode(&CommitCall{})
			_ = c.Decode(&PlanCall{})
		}
		if p, ok := errors.AsType[catalog.Problem](ParseReply(in, &ProgressReply{})); ok && p.Exit == catalog.Done {
			t.Fatal("a refusal with the status of success")
		}
	})
}
