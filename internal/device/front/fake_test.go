package front

import (
	"context"
	"crypto/ed25519"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/identity"
)

const keyID = "abcdefghijklmnopqrstuvwxyz"

// fakeCore answers as core would, and remembers what reached it.
type fakeCore struct {
	key  ed25519.PrivateKey
	life time.Duration

	mu       sync.Mutex
	state    corewire.State
	watchers []chan corewire.State
	leaves   [][]byte
	calls    []any
	inside   int
	mostIn   int
	hold     chan struct{} // sign-ins wait for it, if it is there
	conns    []net.Conn
}

func newFakeCore(t *testing.T, open bool) *fakeCore {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &fakeCore{key: key, life: 24 * time.Hour, state: stateOf(open)}
}

func stateOf(open bool) corewire.State {
	s := corewire.State{Ready: true, Interfaces: []corewire.Interface{{
		Name: "pclip0", MAC: "02:11:32:00:00:01", Addresses: []netip.Prefix{netip.MustParsePrefix("169.254.3.4/16")},
	}}}
	if open {
		s.Claim = deviceapi.Claim{Open: true, ID: "c1", ClosesInSeconds: 900, CodeNeeded: true}
	}
	return s
}

// Dial is front's Config.Dial.
func (c *fakeCore) Dial(context.Context) (net.Conn, error) {
	ours, theirs := net.Pipe()
	c.mu.Lock()
	c.conns = append(c.conns, ours)
	c.mu.Unlock()
	go func() { _ = corewire.Serve(context.Background(), ours, c) }()
	return theirs, nil
}

func (c *fakeCore) hangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = nil
}

func (c *fakeCore) change(f func(*corewire.State)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.state)
	for _, w := range c.watchers {
		w <- c.state
	}
}

func (c *fakeCore) note(call any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, call)
}

func (c *fakeCore) got() []any {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]any(nil), c.calls...)
}

func (c *fakeCore) Certify(_ context.Context, q corewire.CertifyRequest) (corewire.CertifyReply, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	leaf, err := identity.CertifyLeaf(c.key, q.LeafPublicKey, now.Add(-time.Hour), now.Add(c.life))
	if err != nil {
		return corewire.CertifyReply{}, err
	}
	own, err := identity.SelfSigned(c.key)
	c.leaves = append(c.leaves, q.LeafPublicKey)
	return corewire.CertifyReply{Chain: [][]byte{leaf, own}}, err
}

func (c *fakeCore) ClaimSession(_ context.Context, q corewire.ClaimSessionRequest) (deviceapi.SessionReply, error) {
	c.note(q)
	return deviceapi.SessionReply{Claim: "c1", Session: "s1", TriesLeft: 5}, nil
}

func (c *fakeCore) ClaimPake(_ context.Context, q corewire.ClaimPakeRequest) (deviceapi.PakeReply, error) {
	c.note(q)
	return deviceapi.PakeReply{Share: []byte("share"), TriesLeft: 4}, nil
}

func (c *fakeCore) ClaimConfirm(_ context.Context, q corewire.ClaimConfirmRequest) (deviceapi.ConfirmReply, error) {
	c.note(q)
	return deviceapi.ConfirmReply{}, catalog.New("wrong_code")
}

func (c *fakeCore) OwnerSession(_ context.Context, q corewire.OwnerSessionRequest) (deviceapi.OwnerSessionReply, error) {
	c.note(q)
	return deviceapi.OwnerSessionReply{Session: "o1", Share: q.Body.Share, Signature: []byte("signature")}, nil
}

func (c *fakeCore) OwnerSealed(_ context.Context, q corewire.OwnerSealedRequest) (deviceapi.SealedReply, error) {
	c.note(q)
	return deviceapi.SealedReply{Box: q.Body.Box}, nil
}

func (c *fakeCore) ClaimSealed(_ context.Context, q corewire.ClaimSealedRequest) (deviceapi.SealedReply, error) {
	c.note(q)
	return deviceapi.SealedReply{Box: q.Body.Box}, nil
}

func (c *fakeCore) SignIn(ctx context.Context, q corewire.SignInRequest) (deviceapi.SignInReply, error) {
	c.note(q)
	c.mu.Lock()
	c.inside++
	c.mostIn = max(c.mostIn, c.inside)
	hold := c.hold
	c.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
		}
	}
	c.mu.Lock()
	c.inside--
	c.mu.Unlock()
	if q.User == "anna" && q.Password.Reveal() == "right" {
		return deviceapi.SignInReply{User: "anna", Administrator: true}, nil
	}
	return deviceapi.SignInReply{}, catalog.New("sign_in_failed")
}

func (c *fakeCore) Read(_ context.Context, q corewire.ReadRequest) (any, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if q.What != corewire.ReadDevice {
		return nil, catalog.New("presence_not_shown")
	}
	return deviceapi.Device{Version: 1, Name: "cellar", Vendor: "Paperclip", KeyID: keyID, Ready: true, Claim: c.state.Claim}, nil
}

func (c *fakeCore) States(context.Context) <-chan corewire.State {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := make(chan corewire.State, 16)
	w <- c.state
	c.watchers = append(c.watchers, w)
	return w
}

// start runs a front on loopback with the core, and waits until it is ready.
func start(t *testing.T, core *fakeCore, change func(*Config)) *Front {
	t.Helper()
	cfg := Config{
		Dial: core.Dial, HTTP: "127.0.0.1:0", HTTPS: "127.0.0.1:0",
		OnLink: func(_, remote netip.AddrPort) bool { return remote.Addr().IsLoopback() },
	}
	if change != nil {
		change(&cfg)
	}
	f := New(cfg)
	run(t, f)
	return f
}

func run(t *testing.T, f *Front) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	select {
	case <-f.Ready():
	case err := <-ended:
		ended <- err
		t.Fatalf("Run ended: %v", err)
	case <-t.Context().Done():
	}
}
