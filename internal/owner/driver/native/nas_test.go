package native_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/owner/driver/native"
	"github.com/paperclip-nas/paperclip/internal/owner/keys"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/identity"
	"github.com/paperclip-nas/paperclip/internal/protocol/sealed"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
	"github.com/paperclip-nas/paperclip/internal/x/spake2"
)

const newPassword = "violet tractor nine gulls"

// server is the NAS's end of the device API, honest or not. It records every
// byte that reaches it: on the wire, after TLS, and after the seal.
type server struct {
	key  ed25519.PrivateKey
	leaf *ecdsa.PrivateKey
	code access.Code
	addr netip.AddrPort

	notBefore time.Time
	chain     atomic.Pointer[tls.Certificate]

	mu      sync.Mutex
	wire    bytes.Buffer // before TLS
	plain   bytes.Buffer // after it
	calls   []deviceapi.Kind
	paths   []string
	pake    *spake2.B
	respond *sealed.Responder
	// sign makes the signature on its half of an owner's conversation; nil: the right one.
	sign  func(deviceapi.OwnerBinding) []byte
	owner struct { // an owner's conversation
		key     ed25519.PublicKey // the only owner's
		binding deviceapi.OwnerBinding
		respond *sealed.Responder
	}
	leafSPKI []byte
	turns    int // pakes that are told to wait

	// what a test changes
	guess       bool // it does not know the code, and confirms anyway
	body        string
	slowSealed  int     // sealed calls that core is longer at than front waits
	breakSealed int     // sealed calls whose reply is cut off after they were carried out
	relayTo     *server // it passes the claim on to this one
	done        int     // commits carried out
	signIns     int
}

func newServer(t testing.TB, notBefore time.Time) *server {
	t.Helper()
	key, err := identity.New(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return newServerOf(t, key, notBefore)
}

// newServerOf is a NAS that holds this key, its own or another's.
func newServerOf(t testing.TB, key ed25519.PrivateKey, notBefore time.Time) *server {
	t.Helper()
	s := &server{key: key, code: access.Code{3, 1, 6, 2}, notBefore: notBefore}
	s.renew(t)
	s.addr = s.alsoAt(t)
	return s
}

// renew gives the NAS another TLS key.
func (s *server) renew(t testing.TB) {
	t.Helper()
	leaf, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s.leaf = leaf
	s.leafSPKI = s.spki(t)
	der, err := identity.CertifyLeaf(s.key, s.leafSPKI, s.notBefore, s.notBefore.Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	self, err := identity.SelfSigned(s.key)
	if err != nil {
		t.Fatal(err)
	}
	s.chain.Store(&tls.Certificate{Certificate: [][]byte{der, self}, PrivateKey: leaf})
}

// alsoAt makes it listen, once more.
func (s *server) alsoAt(t testing.TB) netip.AddrPort {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := tls.NewListener(recording{tcp, s}, &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.chain.Load(), nil }})
	h := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go func() { _ = h.Serve(ln) }()
	t.Cleanup(func() { _ = h.Close() })
	return tcp.Addr().(*net.TCPAddr).AddrPort()
}

func (s *server) spki(t testing.TB) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(s.leaf.Public())
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (s *server) pub() ed25519.PublicKey { return s.key.Public().(ed25519.PublicKey) }

// recording keeps what arrives on its connections.
type recording struct {
	net.Listener
	s *server
}

func (r recording) Accept() (net.Conn, error) {
	c, err := r.Listener.Accept()
	return recordingConn{c, r.s}, err
}

type recordingConn struct {
	net.Conn
	s *server
}

func (c recordingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.s.mu.Lock()
	c.s.wire.Write(p[:n])
	c.s.mu.Unlock()
	return n, err
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, deviceapi.MaxBody))
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plain.Write(body)
	for name, values := range r.Header {
		s.plain.WriteString(name + values[0] + r.RequestURI)
	}
	s.paths = append(s.paths, r.URL.Path)
	if s.body != "" {
		_, _ = io.WriteString(w, s.body)
		return
	}
	reply, err := s.answer(r.URL.Path, body)
	if err != nil {
		w.WriteHeader(http.StatusForbidden)
		reply = deviceapi.ErrorReply{Problem: catalog.AsProblem(err)}
	}
	data, err := deviceapi.Encode(reply)
	if err != nil {
		panic(err)
	}
	if r.URL.Path == deviceapi.PathClaimSealed && s.breakSealed > 0 {
		s.breakSealed--
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(data)
}

func (s *server) answer(path string, body []byte) (any, error) {
	if s.relayTo != nil && path != deviceapi.PathDevice {
		s.relayTo.mu.Lock()
		defer s.relayTo.mu.Unlock()
		return s.relayTo.answer(path, body)
	}
	read := func(v any) { _ = deviceapi.DecodeStrict(bytes.NewReader(body), deviceapi.MaxBody, v) }
	switch path {
	case deviceapi.PathDevice:
		return deviceapi.Device{Version: 1, Name: "cellar", KeyID: identity.KeyID(s.pub()), Ready: true, Claim: deviceapi.Claim{Open: true, ID: "c1", CodeNeeded: true}}, nil
	case deviceapi.PathClaimSession:
		return deviceapi.SessionReply{Claim: "c1", Session: "s1", TriesLeft: 5, WaitSeconds: s.turns}, nil
	case deviceapi.PathClaimPake:
		var q deviceapi.PakeRequest
		read(&q)
		return s.share(q)
	case deviceapi.PathClaimConfirm:
		var q deviceapi.ConfirmRequest
		read(&q)
		return s.confirm(q)
	case deviceapi.PathClaimSealed:
		var q deviceapi.SealedRequest
		read(&q)
		box, err := s.respond.Answer(q.Box, s.sealedCall)
		if s.slowSealed > 0 {
			s.slowSealed--
			return nil, catalog.New("core_unreachable")
		}
		return deviceapi.SealedReply{Box: box}, err
	case deviceapi.PathOwnerSession:
		var q deviceapi.OwnerSessionRequest
		read(&q)
		return s.ownerSession(q)
	case deviceapi.PathOwnerSealed:
		var q deviceapi.SealedRequest
		read(&q)
		return s.ownerSealed(q)
	case deviceapi.PathSignIn:
		var q deviceapi.SignInRequest
		read(&q)
		s.signIns++
		if q.User != "anna" || q.Password.Reveal() != newPassword {
			return nil, catalog.New("sign_in_failed")
		}
		return deviceapi.SignInReply{User: "anna", Administrator: true}, nil
	}
	return nil, catalog.New("no_such_page")
}

func (s *server) share(q deviceapi.PakeRequest) (any, error) {
	if s.turns > 0 {
		s.turns--
		return nil, catalog.New("not_your_turn")
	}
	der, err := x509.MarshalPKIXPublicKey(s.leaf.Public())
	if err != nil {
		return nil, err
	}
	b := deviceapi.Binding{Identity: s.pub(), LeafSPKI: der, Claim: "c1", Session: "s1"}
	if s.pake, err = spake2.NewB(rand.Reader, []byte(s.code.Secret().Reveal()), b.PAKE()); err != nil {
		return nil, err
	}
	if err := s.pake.Finish(q.Share); err != nil {
		return nil, err
	}
	return deviceapi.PakeReply{Share: s.pake.Share(), TriesLeft: 4}, nil
}

func (s *server) confirm(q deviceapi.ConfirmRequest) (any, error) {
	confirm, key, err := s.pake.Confirm(q.Confirm)
	if s.guess {
		return deviceapi.ConfirmReply{Confirm: make([]byte, spake2.ConfirmLen)}, nil
	}
	if err != nil {
		return nil, catalog.New("wrong_code")
	}
	c, err := sealed.Device(key, sealed.Context{Claim: "c1", Session: "s1"})
	if err != nil {
		return nil, err
	}
	s.respond = sealed.NewResponder(c)
	return deviceapi.ConfirmReply{Confirm: confirm}, nil
}

func (s *server) sealedCall(message []byte) []byte {
	c, err := deviceapi.ParseCall(message)
	if err != nil {
		panic(err)
	}
	s.calls = append(s.calls, c.Kind)
	var body any = deviceapi.Empty{}
	switch c.Kind {
	case deviceapi.KindPlan:
		p := reset.Plan{Device: "cellar", Mode: reset.Soft, Scope: reset.Credentials}
		body = deviceapi.PlanReply{Plan: p, Hash: p.Hash()}
	case deviceapi.KindCommit:
		s.done++
		body = deviceapi.CommitReply{Transaction: "t1"}
	case deviceapi.KindProgress:
		reply, err := deviceapi.EncodeProblem(catalog.New("no_such_session"))
		if err != nil {
			panic(err)
		}
		return reply
	}
	reply, err := deviceapi.EncodeReply(body)
	if err != nil {
		panic(err)
	}
	return reply
}

// clean fails if any form of a secret is among what the server got in clear.
// The wire is searched too; there it is all under TLS.
func (s *server) clean(t *testing.T, secrets ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range secrets {
		for _, form := range []string{secret, hex.EncodeToString([]byte(secret))} {
			if bytes.Contains(s.plain.Bytes(), []byte(form)) || bytes.Contains(s.wire.Bytes(), []byte(form)) {
				t.Errorf("the NAS got %q", form)
			}
		}
	}
}

func options() native.Options { return native.Options{Clock: clock.System(), Rand: rand.Reader} }

func (s *server) meet(t *testing.T, pin keys.Pin) *native.Device {
	t.Helper()
	d, err := native.Meet(t.Context(), []netip.AddrPort{s.addr}, pin, options())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func quietly(time.Duration) {}

func prove(ctx context.Context, d *native.Device, c access.Code) error {
	return d.Prove(ctx, c, quietly)
}
