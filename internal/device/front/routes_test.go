package front

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
)

// places are where a visitor can come from: an address, and whether it is
// on-link there.
func places() map[string]visitor {
	return map[string]visitor{
		"on-link":         {source: netip.MustParseAddr("192.168.1.20"), onLink: true},
		"on-link, global": {source: netip.MustParseAddr("2001:db8::20"), onLink: true},
		"other LAN":       {source: netip.MustParseAddr("10.8.0.2")},
		"Internet":        {source: netip.MustParseAddr("203.0.113.9")},
		"shared (CGNAT)":  {source: netip.MustParseAddr("100.64.0.9")},
		"no address":      {},
	}
}

// allowed is the promise, written down a second time: route, place, scheme and
// claim, as "GET / other LAN http closed". What is not here is refused.
func allowed() map[string]bool {
	out := map[string]bool{}
	allow := func(routes []string, places, schemes, claims []string) {
		for _, r := range routes {
			for _, p := range places {
				for _, s := range schemes {
					for _, c := range claims {
						out[strings.Join([]string{r, p, s, c}, " ")] = true
					}
				}
			}
		}
	}
	near, far := []string{"on-link", "on-link, global"}, []string{"other LAN"}
	both, any := []string{"http", "https"}, []string{"open", "closed"}
	allow([]string{"GET /"}, slices.Concat(near, far), both, any)
	allow([]string{"GET /api/v1/device"}, slices.Concat(near, far), both[1:], any)
	allow([]string{"POST /api/v1/claim/session", "POST /api/v1/claim/pake", "POST /api/v1/claim/confirm"}, near, both[1:], any[:1])
	allow([]string{"POST /api/v1/claim/sealed", "POST /api/v1/sign-in", "POST /api/v1/owner/session", "POST /api/v1/owner/sealed"}, near, both[1:], any)
	return out
}

// X1: every route from everywhere, over both schemes, with and without a claim.
func TestPolicies(t *testing.T) {
	want := allowed()
	tried := 0
	for _, r := range routes() {
		for place, v := range places() {
			for _, scheme := range []string{"http", "https"} {
				for _, claim := range []string{"open", "closed"} {
					key := strings.Join([]string{r.method, r.path, place, scheme, claim}, " ")
					v.tls = scheme == "https"
					id := r.refuse(v, claim == "open")
					if (id == "") != want[key] {
						t.Errorf("%s: refused with %q, allowed should be %t", key, id, want[key])
					}
					if want[key] {
						tried++
					}
					if id != "" && strings.Contains(catalog.New(id).Text, "no words yet") {
						t.Errorf("%s: %q is not in the catalogue", key, id)
					}
				}
			}
		}
	}
	if tried != len(want) {
		t.Errorf("%d of the %d allowed combinations exist: a route went missing", tried, len(want))
	}
}

// A policy with any of its lines removed lets nobody in, and no two routes
// share a method and path.
func TestARouteWithoutAPolicyAnswersNobody(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range routes() {
		if key := r.method + r.path; seen[key] {
			t.Errorf("%s %s stands twice", r.method, r.path)
		} else {
			seen[key] = true
		}
		for line, remove := range map[string]func(*route){
			"from":  func(r *route) { r.from = fromNobody },
			"over":  func(r *route) { r.over = overNothing },
			"claim": func(r *route) { r.claim = claimForbids },
		} {
			without := r
			remove(&without)
			for place, v := range places() {
				for _, open := range []bool{false, true} {
					if v.tls = true; without.refuse(v, open) == "" {
						t.Errorf("%s %s without %q lets %s in", r.method, r.path, line, place)
					}
				}
			}
		}
		bare := r
		bare.load = loadRefused
		f := New(Config{OnLink: func(_, _ netip.AddrPort) bool { return true }})
		f.view.Store(&view{state: corewire.State{Claim: deviceapi.Claim{Open: true}}})
		w := request(newHandler(f, []route{bare}), r.method, r.path, "{}", "192.168.1.20", nil)
		if w.Code != http.StatusTooManyRequests {
			t.Errorf("%s %s without bounds: status %d", r.method, r.path, w.Code)
		}
	}
}

// request asks a handler as the listener would, over TLS.
func request(h http.Handler, method, target, body, source string, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/", strings.NewReader(body))
	r.RequestURI = target
	if u, err := url.ParseRequestURI(target); err == nil {
		r.URL = u
	}
	r.Host, r.TLS = "192.168.1.7:5001", &tls.ConnectionState{}
	r.RemoteAddr = net.JoinHostPort(source, "40000")
	r.Header.Set("Content-Type", "application/json")
	for k, v := range header {
		if r.Header[k] = v; k == "Host" {
			r.Host = v[0]
		}
	}
	ctx := context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(&net.TCPAddr{IP: net.IPv4(192, 168, 1, 7), Port: 5001}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r.WithContext(ctx))
	return w
}

// X12: the Host header, and what pretends to be one.
func TestHosts(t *testing.T) {
	f := start(t, newFakeCore(t, false), func(c *Config) { c.OnLink = func(_, _ netip.AddrPort) bool { return true } })
	for host, want := range map[string]int{
		"cellar": 200, "cellar.local": 200, "cellar-abcdefgh.local:5001": 200, "192.168.1.7": 200, "[fe80::1]:5001": 200, "localhost": 200,
		"evil.example": 421, "cellar.evil.example": 421, "": 421, "cellar.local.evil.example:5001": 421,
	} {
		w := request(f.handler, "GET", deviceapi.PathDevice, "", "192.168.1.20", http.Header{
			"Host": {host}, "X-Forwarded-Host": {"cellar.local"}, "Forwarded": {"host=cellar.local"}, "X-Forwarded-For": {"127.0.0.1"},
		})
		if w.Code != want {
			t.Errorf("Host %q: status %d, want %d", host, w.Code, want)
		}
	}
	w := request(f.handler, "POST", deviceapi.PathSignIn, "{}", "192.168.1.20", http.Header{"Origin": {"https://evil.example"}, "Sec-Fetch-Site": {"cross-site"}})
	if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "cross_site") {
		t.Errorf("another site's request: %d %s", w.Code, w.Body)
	}
}

func TestMethods(t *testing.T) {
	f := New(Config{})
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"HEAD", "/", 200, ""},
		{"POST", "/", 405, "GET"},
		{"GET", deviceapi.PathSignIn, 405, "POST"},
		{"OPTIONS", deviceapi.PathClaimPake, 405, "POST"},
		{"DELETE", deviceapi.PathDevice, 405, "GET"},
		{"GET", "/favicon.ico", 404, ""},
		{"GET", "/api/v1/settings", 404, ""},
	} {
		if w := request(f.handler, c.method, c.path, "", "192.168.1.20", nil); w.Code != c.status || w.Header().Get("Allow") != c.allow {
			t.Errorf("%s %s: %d, allows %q", c.method, c.path, w.Code, w.Header().Get("Allow"))
		}
	}
}

// X20: no second spelling of a path is answered.
func FuzzPaths(f *testing.F) {
	for _, p := range []string{
		"/api/v1/claim/session", "//api/v1/claim/session", "/api/v1/claim/../claim/session", "/api/v1/claim/session/", "/API/v1/claim/session",
		"/api/v1/claim/%73ession", "/api/v1/claim/session%00", "/api/v1/claim/session;a=b", "/api/v1\\claim\\session", "/./api/v1/claim/session",
		"/api/v1/claim/session?x=/", "/api/v1/claim/session%2f", "http://evil.example/api/v1/claim/session", "*", "", "?", "/%2e%2e/",
	} {
		f.Add(p)
	}
	exact := map[string]bool{}
	for _, r := range routes() {
		exact[r.path] = true
	}
	f.Fuzz(func(t *testing.T, target string) {
		path, _, _ := strings.Cut(target, "?")
		for _, method := range []string{"GET", "POST", "HEAD", "PUT", "", "CONNECT"} {
			if _, problem, _ := find(routes(), method, target); problem == "" && !exact[path] {
				t.Errorf("%s %q is answered", method, target)
			}
		}
	})
}

// Whatever a body is, the answer is a problem of the catalogue in the form that
// the interface promises.
func FuzzBodies(f *testing.F) {
	for _, b := range []string{`{}`, `{"session":"s","share":"AA=="}`, `{"user":"a","password":"b"}`, `{"user":["a","b"]}`, `{"user":"a","user":"b"}`, `[]`, `{"session":1}`, "\xff", ``} {
		f.Add([]byte(b))
	}
	front := New(Config{OnLink: func(_, _ netip.AddrPort) bool { return true }})
	front.view.Store(&view{state: corewire.State{Claim: deviceapi.Claim{Open: true}}})
	f.Fuzz(func(t *testing.T, body []byte) {
		for i, r := range routes() {
			if r.method != "POST" {
				continue
			}
			source := fmt.Sprintf("10.%d.%d.%d", i, len(body)%250, bytes.Count(body, []byte{0})%250)
			w := request(front.handler, r.method, r.path, string(body), source, nil)
			var e deviceapi.ErrorReply
			if err := deviceapi.DecodeStrict(w.Body, deviceapi.MaxBody, &e); err != nil {
				t.Fatalf("%s: the answer is no problem: %v", r.path, err)
			}
			if id := e.Problem.ID; id != "bad_message" && id != "core_unreachable" && id != "too_fast" {
				t.Errorf("%s: %q", r.path, id)
			}
		}
	})
}
