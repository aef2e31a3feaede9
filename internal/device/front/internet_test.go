package front

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// X5: whoever is not on a private network gets nothing, not even what is told to
// every stranger at home: on no route, whatever it says of where it comes from.
// (What front serves is in its program: it reads no file that could be exchanged.)
func TestTheInternetGetsNothing(t *testing.T) {
	core := newFakeCore(t, true)
	f := start(t, core, func(c *Config) {
		c.OnLink = func(_, remote netip.AddrPort) bool { return remote.Addr().IsPrivate() }
	})
	paths := []string{"GET /nowhere", "GET /favicon.ico", "POST /"}
	for _, r := range routes() {
		paths = append(paths, r.method+" "+r.path)
	}
	pretended := []http.Header{nil}
	for _, name := range []string{"X-Forwarded-For", "X-Real-Ip", "X-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip"} {
		pretended = append(pretended, http.Header{name: {"192.168.1.20"}}, http.Header{name: {"127.0.0.1, 203.0.113.9"}})
	}
	pretended = append(pretended, http.Header{"Forwarded": {"for=192.168.1.20;host=cellar.local"}, "Host": {"cellar.local"}}, http.Header{"Host": {"localhost"}})
	for _, source := range []string{"203.0.113.9", "8.8.8.8", "100.64.0.9", "2001:db8::9", "2606:4700::1", "::ffff:203.0.113.9", "64:ff9b::c0a8:114", "0.0.0.0", "224.0.0.1"} {
		for _, path := range paths {
			for _, h := range pretended {
				method, target, _ := strings.Cut(path, " ")
				w := request(f.handler, method, target, "{}", source, h)
				if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "network") && !strings.Contains(w.Body.String(), "local_only") || strings.Contains(w.Body.String(), "cellar") || strings.Contains(w.Body.String(), keyID) {
					t.Errorf("%s from %s, with %v: %d %s", path, source, h, w.Code, w.Body)
				}
			}
		}
	}
	if got := core.got(); len(got) != 0 {
		t.Errorf("core heard %v", got)
	}
}
