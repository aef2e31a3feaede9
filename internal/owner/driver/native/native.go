// Package native is the driver for NAS that run paperclipd: it speaks the
// device API over TLS, and holds the owner's end of a claim.
//
// A Device is pinned to one identity key from its first connection on. TLS
// here trusts no authority and no name: every connection must show the chain
// of that key (package identity), or not one byte of a request is sent. What
// the key is worth is the caller's to know (package keys); until a claim has
// proved it, SignIn refuses to send a password, and inside a claim everything
// is sealed under the key of the PAKE.
//
// The package never retries a password, follows no redirect, uses no proxy,
// and believes no text that it has not bounded and cleaned.
package native

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/owner/keys"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/identity"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
)

const (
	dialTime    = 3 * time.Second
	requestTime = 30 * time.Second
)

// Options are what a Device works with.
type Options struct {
	Clock clock.Clock
	Rand  io.Reader
	// Dial connects; nil is the system's dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Device is one NAS, pinned to its key. It is safe for concurrent use; the
// calls of a claim come one at a time.
type Device struct {
	o    Options
	http *http.Client

	mu      sync.Mutex
	at      []netip.AddrPort
	address netip.AddrPort // where the last connection was made
	pin     keys.Pin
	leaf    []byte // the TLS key of the last connection

	calls sync.Mutex // one claim call at a time
	claim *claim
}

// Meet connects to the first of the addresses that answers. The problem is
// identity_mismatch when only other keys than the pin's answer there,
// not_a_device when something else does, else unreachable.
func Meet(ctx context.Context, at []netip.AddrPort, pin keys.Pin, o Options) (*Device, error) {
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: dialTime}).DialContext
	}
	pin.Proved = pin.Proved && pin.Key != nil // or the first key that is met would be taken for proved
	d := &Device{o: o, at: slices.Clone(at), pin: pin}
	d.http = d.client(false)
	if _, err := d.Info(ctx); err != nil {
		return nil, err
	}
	return d, nil
}

// client makes connections of its own. A timely one makes only such over which
// a password may go, as far as clocks are concerned.
func (d *Device) client(timely bool) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialTLSContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return d.connect(ctx, timely) },
			DisableCompression:     true,
			MaxIdleConns:           2,
			IdleConnTimeout:        time.Minute,
			ResponseHeaderTimeout:  requestTime,
			MaxResponseHeaderBytes: 16 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       requestTime,
	}
}

// PublicKey is the identity key that every connection showed.
func (d *Device) PublicKey() ed25519.PublicKey { return d.Pin().Key }

// Pin is what later connections to this device must show.
func (d *Device) Pin() keys.Pin {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pin
}

// Address is where the last connection was made.
func (d *Device) Address() netip.AddrPort {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.address
}

// Move makes the next connections go to other addresses.
func (d *Device) Move(at []netip.AddrPort) {
	d.mu.Lock()
	d.at = slices.Clone(at)
	d.mu.Unlock()
	d.http.CloseIdleConnections()
}

// connect opens a TLS connection to the first address behind which the pinned
// key is. An address with another key is passed over, and reported only if
// there is no better one: a stranger's announcement hides nobody.
func (d *Device) connect(ctx context.Context, timely bool) (net.Conn, error) {
	d.mu.Lock()
	at := slices.Clone(d.at)
	d.mu.Unlock()
	var last error = catalog.New("unreachable", "no address")
	for _, a := range at {
		conn, err := d.connectTo(ctx, a, timely)
		if err == nil {
			return conn, nil
		}
		if _, seen := errors.AsType[catalog.Problem](last); !seen || !errors.Is(err, catalog.New("unreachable")) || len(at) == 1 {
			last = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, last
}

func (d *Device) connectTo(ctx context.Context, a netip.AddrPort, timely bool) (net.Conn, error) {
	raw, err := d.o.Dial(ctx, "tcp", a.String())
	if err != nil {
		return nil, catalog.New("unreachable", a).Because(err)
	}
	conn := tls.Client(raw, &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, // no authority, no name: VerifyConnection holds the chain against the pin
		VerifyConnection:   func(s tls.ConnectionState) error { return d.verify(a, s, timely) },
	})
	hctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	if err := conn.HandshakeContext(hctx); err != nil {
		raw.Close()
		if p, ok := errors.AsType[catalog.Problem](err); ok {
			return nil, p
		}
		if hctx.Err() != nil {
			return nil, catalog.New("unreachable", a).Because(err)
		}
		return nil, catalog.New("not_a_device", a).Because(err)
	}
	d.mu.Lock()
	d.address = a
	d.mu.Unlock()
	return conn, nil
}

// verify holds the chain of a new connection against the pin, and pins the
// key where there was none.
func (d *Device) verify(a netip.AddrPort, s tls.ConnectionState, timely bool) error {
	pub, leaf, inTime, err := d.chain(s)
	if err != nil {
		return catalog.New("not_a_device", a).Because(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pin.Key == nil {
		d.pin.Key = pub
	}
	switch {
	case !d.pin.Key.Equal(pub):
		return catalog.New("identity_mismatch")
	case timely && !inTime && !bytes.Equal(leaf, d.pin.Leaf):
		return catalog.New("clock_wrong")
	}
	d.leaf = leaf
	return nil
}

// chain reads a connection's chain. A leaf that is only out of its time is let
// through: a NAS that lost its clock can still be claimed, as the PAKE proves
// the very leaf. A password needs more: see client.
func (d *Device) chain(s tls.ConnectionState) (pub ed25519.PublicKey, leaf []byte, inTime bool, err error) {
	raw := make([][]byte, len(s.PeerCertificates))
	for i, c := range s.PeerCertificates {
		raw[i] = c.Raw
	}
	pub, leaf, err = identity.VerifyChain(raw, d.o.Clock.Now())
	if late, ok := errors.AsType[*identity.ClockError](err); ok {
		pub, leaf, err = identity.VerifyChain(raw, late.NotBefore)
		return pub, leaf, false, err
	}
	return pub, leaf, err == nil, err
}

// Info is what the NAS tells anybody.
func (d *Device) Info(ctx context.Context) (deviceapi.Device, error) {
	var info deviceapi.Device
	if _, err := d.call(ctx, http.MethodGet, deviceapi.PathDevice, nil, &info); err != nil {
		return deviceapi.Device{}, err
	}
	if info.Version != deviceapi.Version || info.KeyID != identity.KeyID(d.PublicKey()) {
		return deviceapi.Device{}, catalog.New("bad_message", "the NAS describes itself as another one, or in another version")
	}
	return info, nil
}

// SignIn tries a name and password once, over a connection of this call's own.
// It sends them only to a key that a claim has proved, else the problem is
// identity_unknown.
func (d *Device) SignIn(ctx context.Context, user string, password access.Secret) error {
	if p := d.Pin(); p.Key == nil || !p.Proved {
		return catalog.New("identity_unknown")
	}
	fresh := d.client(true)
	defer fresh.CloseIdleConnections()
	var reply deviceapi.SignInReply
	if _, err := d.callOver(ctx, fresh, http.MethodPost, deviceapi.PathSignIn, deviceapi.SignInRequest{User: user, Password: password}, &reply); err != nil {
		return err
	}
	if reply.User != user {
		return catalog.New("bad_message", "the NAS signed somebody else in")
	}
	return nil
}

// call makes one request and reads its reply, both bounded. It returns the
// state of the connection that the reply came over.
func (d *Device) call(ctx context.Context, method, path string, in, out any) (*tls.ConnectionState, error) {
	return d.callOver(ctx, d.http, method, path, in, out)
}

func (d *Device) callOver(ctx context.Context, client *http.Client, method, path string, in, out any) (*tls.ConnectionState, error) {
	var body io.Reader
	if in != nil {
		data, err := deviceapi.Encode(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, "https://"+d.host()+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "paperclip/1")
	if in != nil {
		req.Header.Set("Content-Type", deviceapi.ContentType)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, d.failed(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return resp.TLS, inOurWords(deviceapi.ParseError(resp.Body))
	}
	if err := deviceapi.DecodeStrict(resp.Body, deviceapi.MaxBody, out); err != nil {
		return resp.TLS, d.unreadable(ctx, err)
	}
	return resp.TLS, nil
}

// host is the address as a Host header has it: without a zone.
func (d *Device) host() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.address
	if !a.IsValid() && len(d.at) > 0 {
		a = d.at[0]
	}
	return netip.AddrPortFrom(a.Addr().WithZone(""), a.Port()).String()
}

func (d *Device) failed(ctx context.Context, err error) error {
	if p, ok := errors.AsType[catalog.Problem](err); ok {
		return p
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return catalog.New("unreachable", d.host()).Because(err)
}

// unreadable tells a reply that broke off from one that is no reply.
func (d *Device) unreadable(ctx context.Context, err error) error {
	var netErr net.Error
	if errors.As(err, &netErr) || errors.Is(err, io.ErrUnexpectedEOF) || ctx.Err() != nil {
		return d.failed(ctx, err)
	}
	return catalog.New("bad_message", "the reply of the NAS").Because(err)
}

// inOurWords takes meaning, advice and exit status of a NAS's refusal from our
// own catalogue, where it has the id; what happened is the NAS's to say.
func inOurWords(p catalog.Problem) catalog.Problem {
	i := slices.IndexFunc(catalog.Problems(), func(c catalog.Problem) bool { return c.ID == p.ID })
	if i < 0 {
		return p
	}
	known := catalog.Problems()[i]
	known.Text = p.Text
	return known
}
