package pinned_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/owner/driver/pinned"
)

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "synology"}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1, 0)} // long expired, as many are
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func serve(t *testing.T, c *tls.Certificate, h http.HandlerFunc) pinned.Place {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	if c != nil {
		s.TLS = &tls.Config{Certificates: []tls.Certificate{*c}}
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, _ := strconv.Atoi(u.Port())
	at := pinned.Place{Addr: netip.MustParseAddr(u.Hostname())}
	if c != nil {
		at.HTTPS = port
	} else {
		at.HTTP = port
	}
	return at
}

// The certificate of the first meeting is the one of every later one, or not a
// byte is sent (pinned at first meeting).
func TestPinned(t *testing.T) {
	asked := 0
	page := func(w http.ResponseWriter, _ *http.Request) { asked++; _, _ = w.Write([]byte("here")) }
	one, two := certificate(t), certificate(t)
	at, other := serve(t, &one, page), serve(t, &two, page)
	c := pinned.New(at, pinned.Options{})
	if err := c.Connect(t.Context()); err != nil || c.Fingerprint() == "" || asked != 0 {
		t.Fatal(err, c.Fingerprint(), asked)
	}
	if b, err := c.Send(t.Context(), "/", nil, 10); err != nil || string(b) != "here" {
		t.Error(err)
	}
	if short := pinned.Short(c.Fingerprint()); len(short) != 19 {
		t.Errorf("%q", short)
	}
	asked = 0
	stranger := pinned.New(other, pinned.Options{Pin: c.Fingerprint(), Plain: true})
	if err := stranger.Connect(t.Context()); !errors.Is(err, catalog.New("certificate_changed")) {
		t.Error(err)
	}
	if _, err := stranger.Send(t.Context(), "/", url.Values{"passwd": {"x"}}, 10); !errors.Is(err, catalog.New("certificate_changed")) || asked != 0 {
		t.Error(err, asked)
	}
}

// Plain HTTP only after a person agreed, and never with a NAS that had TLS.
func TestPlain(t *testing.T) {
	posts := 0
	at := serve(t, nil, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posts++
		}
		_, _ = w.Write([]byte("plain"))
	})
	for name, o := range map[string]pinned.Options{"nobody agreed": {}, "it had TLS": {Plain: true, Pin: "sha256:00"}} {
		refused := pinned.New(at, o)
		if err := refused.Connect(t.Context()); err == nil || refused.Plain() {
			t.Errorf("%s: connected, %v", name, err)
		}
		if _, err := refused.Send(t.Context(), "/", url.Values{"passwd": {"x"}}, 10); !errors.Is(err, catalog.New("plain_http")) || posts != 0 {
			t.Errorf("%s: %v, %d sent", name, err, posts)
		}
	}
	if err := pinned.New(at, pinned.Options{}).Connect(t.Context()); !errors.Is(err, catalog.New("plain_http")) {
		t.Error(err)
	}
	c := pinned.New(at, pinned.Options{Plain: true})
	if err := c.Connect(t.Context()); err != nil || !c.Plain() || !strings.HasPrefix(c.URL("/"), "http://") {
		t.Error(err)
	}
	if b, err := c.Send(t.Context(), "/", nil, 10); err != nil || string(b) != "plain" {
		t.Error(err)
	}
	if err := pinned.New(at, pinned.Options{Plain: true, Pin: "sha256:00"}).Connect(t.Context()); err == nil {
		t.Error("a NAS that had TLS is spoken to without")
	}
	if err := pinned.New(pinned.Place{Addr: netip.MustParseAddr("127.0.0.1"), HTTPS: 1}, pinned.Options{}).Connect(t.Context()); !errors.Is(err, catalog.New("unreachable")) {
		t.Error(err)
	}
}

// What a device answers is bounded, and no address with a session in it shows.
func TestAnswersAreBounded(t *testing.T) {
	cert := certificate(t)
	at := serve(t, &cert, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/long":
			_, _ = w.Write(make([]byte, 11))
		case "/lost":
			panic(http.ErrAbortHandler)
		default:
			w.WriteHeader(http.StatusForbidden)
		}
	})
	c := pinned.New(at, pinned.Options{})
	for path, want := range map[string]catalog.ID{"/long": "bad_message", "/lost?sid=SECRETSID": "unreachable", "/?sid=SECRETSID": "unexpected_page"} {
		_, err := c.Send(t.Context(), path, nil, 10)
		if !errors.Is(err, catalog.New(want)) {
			t.Errorf("%s: %v", path, err)
		}
		for e := err; e != nil; e = errors.Unwrap(e) {
			if strings.Contains(e.Error(), "SECRETSID") {
				t.Errorf("a session's id in %v", e)
			}
		}
	}
}
