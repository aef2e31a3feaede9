// Package pinned is the HTTP of the drivers for vendors' NAS: every connection
// shows the certificate of the first one, or not one byte of a request is sent.
//
// The certificates of such NAS are signed by nobody whom this computer knows,
// so what is pinned is the fingerprint of the certificate itself; what it is
// worth is the caller's to know. The package follows no redirect, uses no
// proxy, never repeats a request, and speaks plain HTTP only where the caller
// says that a person agreed to that.
package pinned

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
)

const (
	dialTime    = 3 * time.Second
	requestTime = 30 * time.Second
	maxHeader   = 32 << 10

	fingerprintPrefix = "sha256:"
)

// Place is where a NAS's pages are. A port of 0 is not there.
type Place struct {
	Addr  netip.Addr
	HTTP  int
	HTTPS int
}

// Options are what a Client works with.
type Options struct {
	// Pin is the fingerprint that must be shown; empty pins the first one.
	Pin string
	// Plain says that a person agreed to plain HTTP: anyone on the network can
	// then read what is sent, a password too. TLS is still taken where it is.
	Plain bool
	// Dial connects; nil is the system's dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Client speaks to one NAS. It is safe for concurrent use.
type Client struct {
	o    Options
	http *http.Client

	mu    sync.Mutex
	at    Place
	pin   string
	plain bool // TLS was not there, and plain HTTP was agreed to
	local string
}

// New makes a client; nothing is sent before Connect.
func New(at Place, o Options) *Client {
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: dialTime}).DialContext
	}
	c := &Client{o: o, at: at, pin: o.Pin}
	c.http = &http.Client{
		Transport: &http.Transport{
			DialContext:            o.Dial,
			DialTLSContext:         c.connect,
			DisableCompression:     true,
			DisableKeepAlives:      true, // a connection for each request: none is made twice because one had gone stale
			ResponseHeaderTimeout:  requestTime,
			MaxResponseHeaderBytes: maxHeader,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       requestTime,
	}
	return c
}

// redirects reports whether plain HTTP only sends on to HTTPS. It asks for the
// front page, and sends nothing else.
func (c *Client) redirects(ctx context.Context, at Place) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+hostPort(at.Addr, at.HTTP)+"/", nil)
	if err != nil {
		return false
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode/100 == 3 && strings.HasPrefix(resp.Header.Get("Location"), "https://")
}

// Connect makes the first connection and sends nothing but TLS. Where there is
// no TLS, the problem is plain_http unless plain HTTP was agreed to, and
// redirect_broken where plain HTTP leads to an HTTPS that does not answer.
func (c *Client) Connect(ctx context.Context) error {
	at := c.Place()
	err := error(catalog.New("unreachable", at.Addr))
	if at.HTTPS != 0 {
		var conn net.Conn
		if conn, err = c.connect(ctx, "tcp", hostPort(at.Addr, at.HTTPS)); err == nil {
			return conn.Close()
		}
		if errors.Is(err, catalog.New("certificate_changed")) || ctx.Err() != nil {
			return err
		}
	}
	if at.HTTP == 0 || c.pin != "" { // what was met over TLS once is never met without
		return err
	}
	conn, plainErr := c.o.Dial(ctx, "tcp", hostPort(at.Addr, at.HTTP))
	if plainErr != nil {
		return err
	}
	c.note(conn)
	_ = conn.Close()
	if c.redirects(ctx, at) {
		return catalog.New("redirect_broken", at.Addr).Because(err)
	}
	if !c.o.Plain {
		return catalog.New("plain_http", at.Addr).Because(err)
	}
	c.mu.Lock()
	c.plain = true
	c.mu.Unlock()
	return nil
}

// connect opens a TLS connection that shows the pinned certificate.
func (c *Client) connect(ctx context.Context, network, address string) (net.Conn, error) {
	raw, err := c.o.Dial(ctx, network, address)
	if err != nil {
		return nil, catalog.New("unreachable", address).Because(err)
	}
	c.note(raw)
	conn := tls.Client(raw, &tls.Config{
		MinVersion:         tls.VersionTLS12, // DSM 6 and QTS 4 have no newer one
		InsecureSkipVerify: true,             // no authority signs these: VerifyConnection holds the certificate against the pin
		VerifyConnection:   c.verify,
	})
	hctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	if err := conn.HandshakeContext(hctx); err != nil {
		_ = raw.Close()
		if p, ok := errors.AsType[catalog.Problem](err); ok {
			return nil, p
		}
		return nil, catalog.New("unreachable", address).Because(err)
	}
	return conn, nil
}

// note keeps which of this computer's addresses the NAS sees.
func (c *Client) note(conn net.Conn) {
	if at, err := netip.ParseAddrPort(conn.LocalAddr().String()); err == nil {
		c.mu.Lock()
		c.local = at.Addr().Unmap().WithZone("").String()
		c.mu.Unlock()
	}
}

// Local is this computer's address as the NAS sees it; empty before the first
// connection.
func (c *Client) Local() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.local
}

func (c *Client) verify(s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return catalog.New("certificate_changed", "none")
	}
	sum := sha256.Sum256(s.PeerCertificates[0].Raw)
	shown := fingerprintPrefix + hex.EncodeToString(sum[:])
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pin == "" {
		c.pin = shown
	}
	if c.pin != shown {
		return catalog.New("certificate_changed", Short(shown))
	}
	return nil
}

// Fingerprint is the certificate's that every connection showed; empty over
// plain HTTP.
func (c *Client) Fingerprint() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pin
}

// Plain reports whether requests go over plain HTTP.
func (c *Client) Plain() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.plain
}

// Place is where requests go.
func (c *Client) Place() Place {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// URL is the address of a page, for a person's browser.
func (c *Client) URL(path string) string {
	at, scheme := c.Place(), "https"
	port := at.HTTPS
	if c.Plain() || port == 0 {
		scheme, port = "http", at.HTTP
	}
	return scheme + "://" + hostPort(at.Addr, port) + path
}

// Send makes one request, once, and reads at most max bytes of the answer. A
// form makes it a POST. An answer that is no 200 is the problem unexpected_page.
// Where there is no TLS and nobody agreed to plain HTTP, nothing is sent: plain_http.
func (c *Client) Send(ctx context.Context, path string, form url.Values, max int) ([]byte, error) {
	if at := c.Place(); at.HTTPS == 0 && !c.Plain() {
		return nil, catalog.New("plain_http", at.Addr)
	}
	method, body := http.MethodGet, io.Reader(nil)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, c.URL(path), body)
	if err != nil {
		return nil, catalog.New("internal").Because(errors.New("a request that cannot be made")) // not err: it has the address, with a session in it
	}
	req.GetBody = nil // nothing with a password in it is ever sent again
	req.Header.Set("User-Agent", "paperclip/1")
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.failed(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, catalog.New("unexpected_page", resp.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, int64(max)+1))
	if err != nil {
		return nil, c.failed(ctx, err)
	}
	if len(b) > max {
		return nil, catalog.New("bad_message", "an answer that is too long")
	}
	return b, nil
}

// failed puts an error into our words. net/http's own has the address in it,
// and with it a session's id: it is dropped.
func (c *Client) failed(ctx context.Context, err error) error {
	if p, ok := errors.AsType[catalog.Problem](err); ok {
		return p
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return catalog.New("unreachable", c.Place().Addr).Because(err)
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Short is a fingerprint as a person compares it: its first 16 digits, by fours.
func Short(fingerprint string) string {
	digits := strings.TrimPrefix(fingerprint, fingerprintPrefix)
	if len(digits) < 16 {
		return digits
	}
	return fmt.Sprintf("%s %s %s %s", digits[:4], digits[4:8], digits[8:12], digits[12:16])
}

func hostPort(a netip.Addr, port int) string {
	return netip.AddrPortFrom(a, uint16(port)).String()
}
