package native_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/owner/driver/native"
	"github.com/paperclip-nas/paperclip/internal/owner/keys"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
)

func lately() time.Time { return time.Now().Add(-time.Hour) }

// From hello to sign-in: the password reaches the NAS sealed, and once more for
// the sign-in, over the pinned connection.
func TestClaim(t *testing.T) {
	s := newServer(t, lately())
	s.turns = 1
	d := s.meet(t, keys.Pin{})
	waited := 0
	if err := d.Prove(t.Context(), s.code, func(time.Duration) { waited++ }); err != nil {
		t.Fatal(err)
	}
	if waited == 0 {
		t.Error("nobody was told of the wait")
	}
	if !d.Pin().Proved || !d.PublicKey().Equal(s.pub()) {
		t.Error("the key is not proved")
	}
	if _, err := d.Options(t.Context()); err != nil {
		t.Fatal(err)
	}
	p, err := d.Plan(t.Context(), deviceapi.PlanCall{Mode: reset.Soft, Scope: reset.Credentials})
	if err != nil || p.Check() != nil {
		t.Fatal(err, p.Check())
	}
	c, err := d.Commit(t.Context(), deviceapi.CommitCall{PlanHash: p.Hash, Administrator: "anna", NewPassword: access.NewSecret(newPassword)})
	if err != nil || c.Transaction != "t1" {
		t.Fatal(c, err)
	}
	if _, err := d.Progress(t.Context(), "another"); !errors.Is(err, catalog.New("no_such_session")) {
		t.Fatalf("a refusal inside the claim reads %v", err)
	}
	s.clean(t, newPassword, "3162", "anna") // sealed until here
	if err := d.SignIn(t.Context(), "anna", access.NewSecret("the old one")); !errors.Is(err, catalog.New("sign_in_failed")) {
		t.Fatal(err)
	}
	if err := d.SignIn(t.Context(), "anna", access.NewSecret(newPassword)); err != nil {
		t.Fatal(err)
	}
	if err := d.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Options(t.Context()); !errors.Is(err, catalog.New("presence_not_shown")) {
		t.Fatalf("after leaving: %v", err)
	}
	want := []deviceapi.Kind{deviceapi.KindOptions, deviceapi.KindPlan, deviceapi.KindCommit, deviceapi.KindProgress, deviceapi.KindClose}
	if !slices.Equal(s.calls, want) || s.signIns != 2 {
		t.Fatalf("calls %v, %d sign-ins", s.calls, s.signIns)
	}
}

// Promise 6: another key than the pinned one gets nothing, not even a request.
func TestMismatchGetsNothing(t *testing.T) {
	s := newServer(t, lately())
	other, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, err = native.Meet(t.Context(), []netip.AddrPort{s.addr}, keys.Pin{Key: other, Proved: true}, options())
	if !errors.Is(err, catalog.New("identity_mismatch")) {
		t.Fatal(err)
	}
	if len(s.paths) != 0 || s.plain.Len() != 0 {
		t.Fatalf("it got requests: %v", s.paths)
	}
}

// The device is exchanged for another in the middle of it all: the same
// address, another key. Not a byte of a request reaches the other one.
func TestExchangedDeviceGetsNothing(t *testing.T) {
	s, thief := newServer(t, lately()), newServer(t, lately())
	d := s.meet(t, keys.Pin{})
	if err := prove(t.Context(), d, s.code); err != nil {
		t.Fatal(err)
	}
	d.Move([]netip.AddrPort{thief.addr})
	call := deviceapi.CommitCall{PlanHash: "x", Administrator: "anna", NewPassword: access.NewSecret(newPassword)}
	if _, err := d.Commit(t.Context(), call); !errors.Is(err, catalog.New("identity_mismatch")) {
		t.Fatalf("commit: %v", err)
	}
	if err := d.SignIn(t.Context(), "anna", access.NewSecret(newPassword)); !errors.Is(err, catalog.New("identity_mismatch")) {
		t.Fatalf("sign-in: %v", err)
	}
	if len(thief.paths) != 0 {
		t.Fatalf("the thief got %v", thief.paths)
	}
	// A stranger's address beside the right one hides nobody.
	d.Move([]netip.AddrPort{thief.addr, s.addr})
	if _, err := d.Commit(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	thief.clean(t, newPassword, "anna")
}

// No password goes to a key that no claim has proved, pinned or not.
func TestUnprovedDeviceGetsNoPassword(t *testing.T) {
	s := newServer(t, lately())
	for name, pin := range map[string]keys.Pin{"unknown": {}, "first meeting": {Key: s.pub()}} {
		d := s.meet(t, pin)
		if err := d.SignIn(t.Context(), "anna", access.NewSecret(newPassword)); !errors.Is(err, catalog.New("identity_unknown")) {
			t.Errorf("%s: %v", name, err)
		}
		call := deviceapi.CommitCall{NewPassword: access.NewSecret(newPassword)}
		if _, err := d.Commit(t.Context(), call); !errors.Is(err, catalog.New("presence_not_shown")) {
			t.Errorf("%s: commit without presence: %v", name, err)
		}
	}
	if slices.Contains(s.paths, deviceapi.PathSignIn) || slices.Contains(s.paths, deviceapi.PathClaimSealed) {
		t.Errorf("it was asked for %v", s.paths)
	}
	s.clean(t, newPassword, "anna")
	if err := s.meet(t, keys.Pin{Key: s.pub(), Proved: true}).SignIn(t.Context(), "anna", access.NewSecret(newPassword)); err != nil {
		t.Errorf("a proved key: %v", err)
	}
}

// A NAS that does not know the code, honest or not, learns neither code nor
// password: no call inside the claim is ever made.
func TestWrongCodeSendsNothing(t *testing.T) {
	for name, guess := range map[string]bool{"honest": false, "confirms anyway": true} {
		s := newServer(t, lately())
		s.guess = guess
		d := s.meet(t, keys.Pin{})
		if err := prove(t.Context(), d, access.Code{1, 2, 3, 4}); !errors.Is(err, catalog.New("wrong_code")) {
			t.Fatalf("%s: %v", name, err)
		}
		call := deviceapi.CommitCall{Administrator: "anna", NewPassword: access.NewSecret(newPassword)}
		if _, err := d.Commit(t.Context(), call); err == nil {
			t.Errorf("%s: a commit without presence", name)
		}
		if err := d.SignIn(t.Context(), "anna", access.NewSecret(newPassword)); !errors.Is(err, catalog.New("identity_unknown")) {
			t.Errorf("%s: %v", name, err)
		}
		if slices.Contains(s.paths, deviceapi.PathClaimSealed) || d.Pin().Proved {
			t.Errorf("%s: asked for %v, proved %v", name, s.paths, d.Pin().Proved)
		}
		s.clean(t, newPassword, "1234", "anna")
		if !guess { // the same session takes the right one
			if err := prove(t.Context(), d, s.code); err != nil {
				t.Errorf("%s: the right code after a wrong one: %v", name, err)
			}
		}
	}
}

// Somebody in between shows a key of their own and passes everything on to the
// NAS that says the code. The PAKE is bound to identity and TLS key: the right
// code is a wrong one there, and neither side goes on.
func TestClaimCannotBeRelayed(t *testing.T) {
	honest, between := newServer(t, lately()), newServer(t, lately())
	between.relayTo = honest
	d := between.meet(t, keys.Pin{})
	if err := prove(t.Context(), d, honest.code); !errors.Is(err, catalog.New("wrong_code")) {
		t.Fatalf("relayed: %v", err)
	}
	if !slices.Contains(between.paths, deviceapi.PathClaimConfirm) || honest.respond != nil || d.Pin().Proved {
		t.Fatalf("asked for %v; the NAS gave its claim away: %v", between.paths, honest.respond != nil)
	}
	between.clean(t, "3162")
}

// A reply that is lost is had again, and nothing is done twice.
func TestLostReplyIsHadAgain(t *testing.T) {
	s := newServer(t, lately())
	d := s.meet(t, keys.Pin{})
	if err := prove(t.Context(), d, s.code); err != nil {
		t.Fatal(err)
	}
	s.breakSealed = 1
	call := deviceapi.CommitCall{PlanHash: "x", NewPassword: access.NewSecret(newPassword)}
	if _, err := d.Commit(t.Context(), call); !errors.Is(err, catalog.New("unreachable")) {
		t.Fatal(err)
	}
	c, err := d.Commit(t.Context(), call)
	if err != nil || c.Transaction != "t1" || s.done != 1 {
		t.Fatalf("%v %v, done %d times", c, err, s.done)
	}
	s.breakSealed = 1
	if _, err := d.Options(t.Context()); err == nil {
		t.Fatal("no reply, no error")
	}
	if _, err := d.Plan(t.Context(), deviceapi.PlanCall{}); err != nil { // another call after a lost one
		t.Fatal(err)
	}
}

// A slow NAS is asked again with the same box, and does the thing once.
func TestSlowNASIsWaitedFor(t *testing.T) {
	s := newServer(t, lately())
	d := s.meet(t, keys.Pin{})
	if err := prove(t.Context(), d, s.code); err != nil {
		t.Fatal(err)
	}
	s.slowSealed = 2
	c, err := d.Commit(t.Context(), deviceapi.CommitCall{PlanHash: "x", NewPassword: access.NewSecret(newPassword)})
	if err != nil || c.Transaction != "t1" || s.done != 1 {
		t.Fatalf("%v %v, done %d times", c, err, s.done)
	}
	s.slowSealed = 100
	if _, err := d.Options(t.Context()); !errors.Is(err, catalog.New("core_unreachable")) {
		t.Errorf("a core that is away: %v", err)
	}
}

// A NAS without a battery does not know the time. It can be claimed, as the
// PAKE proves its very TLS key; no password goes there on the clock's word.
func TestWrongClock(t *testing.T) {
	s := newServer(t, time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC))
	d := s.meet(t, keys.Pin{Key: s.pub(), Proved: true})
	if err := d.SignIn(t.Context(), "anna", access.NewSecret(newPassword)); !errors.Is(err, catalog.New("clock_wrong")) {
		t.Fatal(err)
	}
	if slices.Contains(s.paths, deviceapi.PathSignIn) {
		t.Fatal("it was sent")
	}
	s.clean(t, newPassword)
	if err := prove(t.Context(), d, s.code); err != nil {
		t.Fatal(err)
	}
	fresh := s.meet(t, d.Pin())
	if err := fresh.SignIn(t.Context(), "anna", access.NewSecret(newPassword)); err != nil {
		t.Fatalf("after the claim: %v", err)
	}
}

// What answers may be anything: each is a clear problem within bounds.
func TestWhatIsNoDevice(t *testing.T) {
	for name, body := range map[string]string{
		"no JSON": "hello", "unknown field": `{"version":1,"admin":true}`, "two documents": `{}{}`,
		"endless": `{"name":"` + strings.Repeat("a", deviceapi.MaxBody) + `"}`, "of another key": `{"version":1,"key_id":"aaaaaaaaaaaaaaaaaaaaaaaaaa"}`,
	} {
		s := newServer(t, lately())
		s.body = body
		if _, err := native.Meet(t.Context(), []netip.AddrPort{s.addr}, keys.Pin{}, options()); !errors.Is(err, catalog.New("bad_message")) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("220 mail\r\n"))
			_ = c.Close()
		}
	}()
	at := ln.Addr().(*net.TCPAddr).AddrPort()
	if _, err := native.Meet(t.Context(), []netip.AddrPort{at}, keys.Pin{}, options()); !errors.Is(err, catalog.New("not_a_device")) {
		t.Errorf("mail server: %v", err)
	}
	ln.Close()
	if _, err := native.Meet(t.Context(), []netip.AddrPort{at}, keys.Pin{}, options()); !errors.Is(err, catalog.New("unreachable")) {
		t.Errorf("nobody: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := native.Meet(ctx, []netip.AddrPort{at}, keys.Pin{}, options()); err == nil {
		t.Error("met in no time")
	}
}

// A refusal in our words, with what the NAS says happened.
func TestRefusalsHaveOurAdvice(t *testing.T) {
	s := newServer(t, lately())
	d := s.meet(t, keys.Pin{Key: s.pub(), Proved: true})
	err := d.SignIn(t.Context(), "anna", access.NewSecret("the old one"))
	p := catalog.AsProblem(err)
	if p.ID != "sign_in_failed" || p.WhatToDo != catalog.New("sign_in_failed").WhatToDo || p.Exit != catalog.Refused {
		t.Errorf("%+v", p)
	}
	if strings.Contains(err.Error(), hex.EncodeToString([]byte("the old one"))) || strings.Contains(err.Error(), "the old one") {
		t.Error("the error tells the password")
	}
}
