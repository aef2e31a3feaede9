package corewire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
)

// fakeCore records what reaches it and answers with what it is given.
type fakeCore struct {
	mu     sync.Mutex
	calls  []any
	err    error
	hold   chan struct{} // calls wait for it, where it is not nil
	states chan State
	read   any
}

func (f *fakeCore) note(ctx context.Context, q any) error {
	f.mu.Lock()
	f.calls = append(f.calls, q)
	f.mu.Unlock()
	if f.hold != nil {
		select {
		case <-f.hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return f.err
}

func (f *fakeCore) seen() []any {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]any{}, f.calls...)
}

func (f *fakeCore) Certify(ctx context.Context, q CertifyRequest) (CertifyReply, error) {
	return CertifyReply{Chain: [][]byte{q.LeafPublicKey, {1}}}, f.note(ctx, q)
}

func (f *fakeCore) ClaimSession(ctx context.Context, q ClaimSessionRequest) (deviceapi.SessionReply, error) {
	return deviceapi.SessionReply{Claim: "c", Session: "s", TriesLeft: 5}, f.note(ctx, q)
}

func (f *fakeCore) ClaimPake(ctx context.Context, q ClaimPakeRequest) (deviceapi.PakeReply, error) {
	return deviceapi.PakeReply{Share: q.Body.Share, TriesLeft: 4}, f.note(ctx, q)
}

func (f *fakeCore) ClaimConfirm(ctx context.Context, q ClaimConfirmRequest) (deviceapi.ConfirmReply, error) {
	return deviceapi.ConfirmReply{Confirm: q.Body.Confirm}, f.note(ctx, q)
}

func (f *fakeCore) ClaimSealed(ctx context.Context, q ClaimSealedRequest) (deviceapi.SealedReply, error) {
	return deviceapi.SealedReply{Box: q.Body.Box}, f.note(ctx, q)
}

func (f *fakeCore) OwnerSession(ctx context.Context, q OwnerSessionRequest) (deviceapi.OwnerSessionReply, error) {
	return deviceapi.OwnerSessionReply{Session: "o", Share: q.Body.Share}, f.note(ctx, q)
}

func (f *fakeCore) OwnerSealed(ctx context.Context, q OwnerSealedRequest) (deviceapi.SealedReply, error) {
	return deviceapi.SealedReply{Box: q.Body.Box}, f.note(ctx, q)
}

func (f *fakeCore) SignIn(ctx context.Context, q SignInRequest) (deviceapi.SignInReply, error) {
	return deviceapi.SignInReply{User: q.User}, f.note(ctx, q)
}

func (f *fakeCore) Read(ctx context.Context, q ReadRequest) (any, error) {
	return f.read, f.note(ctx, q)
}

func (f *fakeCore) States(context.Context) <-chan State { return f.states }

// connect serves core over a pipe until the test ends; served says how it did.
func connect(t *testing.T, core Handler) (c *Client, served <-chan error) {
	t.Helper()
	front, back := net.Pipe()
	done := make(chan error, 1)
	go func() { done <- Serve(t.Context(), back, core) }()
	c, err := Dial(t.Context(), front)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, done
}

func source() netip.Addr { return netip.MustParseAddr("fe80::1%eth0") }

func TestEveryRequestReachesCore(t *testing.T) {
	core := &fakeCore{read: deviceapi.Device{Name: "cellar"}}
	c, served := connect(t, core)
	ctx := t.Context()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	chain, err := c.Certify(ctx, CertifyRequest{LeafPublicKey: []byte("key")})
	ok(err)
	if d := cmp.Diff([][]byte{[]byte("key"), {1}}, chain.Chain); d != "" {
		t.Error(d)
	}
	session, err := c.ClaimSession(ctx, ClaimSessionRequest{Source: source(), LeafSPKI: []byte("spki")})
	ok(err)
	if session.Session != "s" {
		t.Errorf("session %+v", session)
	}
	pake, err := c.ClaimPake(ctx, ClaimPakeRequest{source(), deviceapi.PakeRequest{Session: "s", Share: []byte("share")}})
	ok(err)
	if string(pake.Share) != "share" || pake.TriesLeft != 4 {
		t.Errorf("pake %+v", pake)
	}
	confirm, err := c.ClaimConfirm(ctx, ClaimConfirmRequest{source(), deviceapi.ConfirmRequest{Session: "s", Confirm: []byte("mac")}})
	ok(err)
	if string(confirm.Confirm) != "mac" {
		t.Errorf("confirm %+v", confirm)
	}
	box, err := c.ClaimSealed(ctx, ClaimSealedRequest{source(), deviceapi.SealedRequest{Session: "s", Box: []byte("box")}})
	ok(err)
	if string(box.Box) != "box" {
		t.Errorf("box %+v", box)
	}
	in, err := c.SignIn(ctx, SignInRequest{Source: source(), User: "anna", Password: access.NewSecret("correct <horse> & battery")})
	ok(err)
	if in.User != "anna" {
		t.Errorf("sign-in %+v", in)
	}
	owner, err := c.OwnerSession(ctx, OwnerSessionRequest{source(), []byte("spki"), deviceapi.OwnerSessionRequest{Share: []byte("share")}})
	ok(err)
	if owner.Session != "o" || string(owner.Share) != "share" {
		t.Errorf("owner's session %+v", owner)
	}
	box, err = c.OwnerSealed(ctx, OwnerSealedRequest{source(), deviceapi.SealedRequest{Session: "o", Box: []byte("owner's box")}})
	ok(err)
	if string(box.Box) != "owner's box" {
		t.Errorf("owner's box %+v", box)
	}
	var device deviceapi.Device
	ok(c.Read(ctx, ReadDevice, &device))
	if device.Name != "cellar" {
		t.Errorf("device %+v", device)
	}
	want := []any{
		CertifyRequest{[]byte("key")},
		ClaimSessionRequest{source(), []byte("spki")},
		ClaimPakeRequest{source(), deviceapi.PakeRequest{Session: "s", Share: []byte("share")}},
		ClaimConfirmRequest{source(), deviceapi.ConfirmRequest{Session: "s", Confirm: []byte("mac")}},
		ClaimSealedRequest{source(), deviceapi.SealedRequest{Session: "s", Box: []byte("box")}},
		SignInRequest{source(), "anna", access.NewSecret("correct <horse> & battery")},
		OwnerSessionRequest{source(), []byte("spki"), deviceapi.OwnerSessionRequest{Share: []byte("share")}},
		OwnerSealedRequest{source(), deviceapi.SealedRequest{Session: "o", Box: []byte("owner's box")}},
		ReadRequest{ReadDevice},
	}
	if d := cmp.Diff(want, core.seen(), cmp.AllowUnexported(access.Secret{}), cmpopts.EquateComparable(netip.Addr{})); d != "" {
		t.Error(d)
	}
	c.Close()
	if err := <-served; err != nil {
		t.Errorf("Serve ended with %v, want nil: front left", err)
	}
	if !errors.Is(c.Err(), ErrClosed) {
		t.Errorf("client ended with %v, want ErrClosed", c.Err())
	}
}

// The real thing is a Unix socket, which front cannot tell from a pipe.
func TestOverAUnixSocket(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Skip("no Unix sockets here: ", err)
	}
	defer func() { _ = l.Close() }()
	served := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			served <- err
			return
		}
		served <- Serve(t.Context(), conn, &fakeCore{read: struct{}{}})
	}()
	conn, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := Dial(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	large := deviceapi.SealedRequest{Session: "s", Box: make([]byte, 41<<10)}
	if r, err := c.ClaimSealed(t.Context(), ClaimSealedRequest{source(), large}); err != nil || len(r.Box) != len(large.Box) {
		t.Errorf("the largest box: %d bytes back, %v", len(r.Box), err)
	}
	c.Close()
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	cause := errors.New("cause: /etc/shadow line 3")
	core := &fakeCore{err: fmt.Errorf("claim: %w", catalog.New("claim_closed").Because(cause))}
	c, _ := connect(t, core)
	_, err := c.ClaimSession(t.Context(), ClaimSessionRequest{Source: source()})
	got, ok := errors.AsType[catalog.Problem](err)
	if !ok || got.ID != "claim_closed" || got.Exit != catalog.Refused || got.WhatToDo == "" {
		t.Errorf("got %#v, want the problem claim_closed, whole", err)
	}
	core.err = cause
	err = c.Read(t.Context(), ReadDevice, &struct{}{})
	if got, ok := errors.AsType[catalog.Problem](err); !ok || got.ID != "internal" || strings.Contains(fmt.Sprintf("%+v %v", got, errors.Unwrap(got)), "shadow") {
		t.Errorf("got %#v, want the problem internal without its cause", err)
	}
}

func TestAResultThatIsTooLargeIsAProblem(t *testing.T) {
	core := &fakeCore{read: map[string]string{"a": strings.Repeat("x", MaxFrame)}}
	c, _ := connect(t, core)
	err := c.Read(t.Context(), ReadStatus, &struct{}{})
	if got, ok := errors.AsType[catalog.Problem](err); !ok || got.ID != "internal" {
		t.Fatalf("err = %v, want the problem internal", err)
	}
	core.read = struct{}{}
	if err := c.Read(t.Context(), ReadStatus, &struct{}{}); err != nil {
		t.Errorf("the connection does not go on: %v", err)
	}
}

func TestARequestThatIsTooLargeIsNotSent(t *testing.T) {
	core := &fakeCore{}
	c, _ := connect(t, core)
	if _, err := c.Certify(t.Context(), CertifyRequest{make([]byte, MaxFrame)}); err == nil {
		t.Error("sent a request larger than a frame")
	}
	if _, err := c.Certify(t.Context(), CertifyRequest{[]byte("k")}); err != nil {
		t.Errorf("the connection does not go on: %v", err)
	}
}

func TestStates(t *testing.T) {
	core := &fakeCore{states: make(chan State)}
	c, _ := connect(t, core)
	want := State{
		Ready: true, Ports: Ports{HTTP: 5000, HTTPS: 5001},
		Claim:      deviceapi.Claim{Open: true, ID: "c1", ClosesInSeconds: 900, CodeNeeded: true},
		Interfaces: []Interface{{Name: "pclip0", MAC: "02:00:00:00:00:01", Addresses: []netip.Prefix{netip.MustParsePrefix("169.254.7.9/16")}}},
	}
	core.states <- want
	if d := cmp.Diff(want, <-c.States(), cmpopts.EquateComparable(netip.Prefix{})); d != "" {
		t.Error(d)
	}
	close(core.states) // core has no more to say: the connection goes on
	if _, err := c.Certify(t.Context(), CertifyRequest{}); err != nil {
		t.Errorf("after the last state: %v", err)
	}
	c.Close()
	if s, ok := <-c.States(); ok {
		t.Errorf("a state after the end: %+v", s)
	}
}

// A front that is slow to take states gets the latest, not all.
func TestStatesAreOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core := &fakeCore{states: make(chan State)}
		c, _ := connect(t, core)
		for port := range 50 {
			core.states <- State{Ports: Ports{HTTP: port}}
		}
		synctest.Wait()
		if s := <-c.States(); s.Ports.HTTP != 49 {
			t.Errorf("took state %d, want the last, 49", s.Ports.HTTP)
		}
		c.Close()
	})
}

// No more than MaxInFlight requests are worked on, whatever front sends.
func TestInFlightIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core := &fakeCore{hold: make(chan struct{})}
		front, back := net.Pipe()
		served := make(chan error, 1)
		go func() { served <- Serve(t.Context(), back, core) }()
		w := &writer{conn: front}
		go func() { // drain what core says
			for {
				if _, err := readMessage(front); err != nil {
					return
				}
			}
		}()
		if err := w.send(1, KindHello, hello{Version}); err != nil {
			t.Fatal(err)
		}
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for id := range uint64(MaxInFlight + 5) {
				if w.send(id+2, KindRead, ReadRequest{ReadDevice}) != nil {
					return
				}
			}
		}()
		synctest.Wait()
		if n := len(core.seen()); n != MaxInFlight {
			t.Errorf("%d requests under way, want %d", n, MaxInFlight)
		}
		close(core.hold)
		<-sent
		synctest.Wait()
		if n := len(core.seen()); n != MaxInFlight+5 {
			t.Errorf("%d requests in the end, want %d", n, MaxInFlight+5)
		}
		_ = front.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// A call whose caller gives up ends, and its late answer is dropped.
func TestCallerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core := &fakeCore{hold: make(chan struct{})}
		c, _ := connect(t, core)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Certify(ctx, CertifyRequest{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v, want the context's", err)
		}
		close(core.hold)
		if _, err := c.Certify(t.Context(), CertifyRequest{}); err != nil {
			t.Errorf("the next call: %v", err)
		}
		c.Close()
	})
}

// Serve ends with its context, after the calls under way, which are told.
func TestServeEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core := &fakeCore{hold: make(chan struct{}), states: make(chan State)}
		front, back := net.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- Serve(ctx, back, core) }()
		c, err := Dial(t.Context(), front)
		if err != nil {
			t.Fatal(err)
		}
		called := make(chan error, 1)
		go func() { _, err := c.Certify(t.Context(), CertifyRequest{}); called <- err }()
		synctest.Wait()
		cancel()
		if err := <-served; !errors.Is(err, context.Canceled) {
			t.Errorf("Serve: %v, want context.Canceled", err)
		}
		if err := <-called; !errors.Is(err, ErrClosed) {
			t.Errorf("the call under way: %v, want ErrClosed", err)
		}
		if _, err := c.Certify(t.Context(), CertifyRequest{}); !errors.Is(err, ErrClosed) {
			t.Errorf("a call afterwards: %v, want ErrClosed", err)
		}
		<-c.Done()
	})
}

// A front that asks and does not read, or connects and says nothing, is cut off.
func TestAFrontThatStopsIsCutOff(t *testing.T) {
	t.Run("does not read", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			front, back := net.Pipe()
			served := make(chan error, 1)
			go func() { served <- Serve(t.Context(), back, &fakeCore{}) }()
			w := &writer{conn: front}
			if err := w.send(1, KindHello, hello{Version}); err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			if err := <-served; !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Serve: %v, want a deadline", err)
			}
			if d := time.Since(begun); d > 2*writeTimeout {
				t.Errorf("held core up for %s", d)
			}
		})
	})
	t.Run("says nothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, back := net.Pipe()
			if err := Serve(t.Context(), back, &fakeCore{}); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Serve: %v, want a deadline", err)
			}
		})
	})
}

// However a request is printed or logged, its password is not in it (promise 2).
func TestPasswordIsNotPrinted(t *testing.T) {
	q := SignInRequest{Source: source(), User: "anna", Password: access.NewSecret("hunter2")}
	asJSON, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	wire, err := q.encode()
	if err != nil || !strings.Contains(string(wire), "hunter2") {
		t.Fatalf("the wire form lacks the password: %s, %v", wire, err)
	}
	m := message{ID: 1, Kind: KindSignIn, Body: wire}
	for _, s := range []string{string(asJSON), fmt.Sprintf("%v %+v %#v", q, q, q), fmt.Sprintf("%v %+v %s", m, m, m)} {
		if strings.Contains(s, "hunter2") {
			t.Errorf("shows the password: %s", s)
		}
	}
	var back SignInRequest
	if err := json.Unmarshal(asJSON, &back); err == nil {
		t.Error("a request with a hidden password was taken for one with that password")
	}
}
