package front

import (
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
)

// pageStates are what the page can have to say.
func pageStates(f *Front) map[string]view {
	client := new(corewire.Client) // there, and not asked by the page
	device := func(d deviceapi.Device) view {
		d.Name, d.KeyID = "cellar", keyID
		return view{client: client, device: d, at: f.cfg.Clock.Monotonic()}
	}
	claim := func(c deviceapi.Claim) view {
		c.Open, c.ClosesInSeconds = true, 840
		return device(deviceapi.Device{Ready: true, Claim: c})
	}
	away := device(deviceapi.Device{})
	away.client = nil
	return map[string]view{
		"calm":     device(deviceapi.Device{Ready: true}),
		"code":     claim(deviceapi.Claim{CodeNeeded: true}),
		"press":    claim(deviceapi.Claim{CodeNeeded: true, PressNeeded: true}),
		"proved":   claim(deviceapi.Claim{}),
		"busy":     device(deviceapi.Device{}),
		"away":     away,
		"starting": {},
	}
}

func TestPage(t *testing.T) {
	f := New(Config{OnLink: func(_, remote netip.AddrPort) bool { return remote.Addr().Is4() && remote.Addr().As4()[0] == 192 }})
	says := map[string]string{
		"calm": "Nothing is going on", "code": "beeps a code", "press": "short press on the button takes", "proved": "has typed its code",
		"busy": "A reset is under way", "away": "not running just now", "starting": "not running just now",
	}
	folder := t.ArtifactDir()
	for name, v := range pageStates(f) {
		f.view.Store(&v)
		w := request(f.handler, "GET", "/", "", "192.168.1.20", nil)
		body := w.Body.String()
		if w.Code != 200 || !strings.Contains(body, says[name]) {
			t.Errorf("%s: status %d, does not say %q", name, w.Code, says[name])
		}
		if name == "code" && !strings.Contains(body, "about 14 minutes") {
			t.Error("it does not say how long the claim is open")
		}
		checkPage(t, name, body)
		if err := os.WriteFile(filepath.Join(folder, name+".html"), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		if name == "calm" && strings.Contains(body, "another network") {
			t.Error("a visitor on the link is told to be elsewhere")
		}
	}
	calm := pageStates(f)["calm"]
	f.view.Store(&calm)
	if w := request(f.handler, "GET", "/", "", "10.8.0.2", nil); !strings.Contains(w.Body.String(), "another network") {
		t.Error("a visitor from elsewhere is not told so")
	}
}

// checkPage checks what every page promises: nothing from elsewhere, nothing to
// fill in, and a structure that a screen reader can go by.
func checkPage(t *testing.T, name, body string) {
	t.Helper()
	for _, never := range []string{"<script", "<form", "<input", "<img", "<link", "<iframe", " src=", "url(", "http:", "https:", "style=", "onclick", "tabindex"} {
		if strings.Contains(body, never) {
			t.Errorf("%s: the page has %q", name, never)
		}
	}
	for _, once := range []string{`<html lang="en">`, "<h1>", `<main id="main">`, `href="#main"`, "<title>", `role="status"`} {
		if strings.Count(body, once) != 1 {
			t.Errorf("%s: %q stands %d times", name, once, strings.Count(body, once))
		}
	}
	if headings := regexp.MustCompile(`<h[1-6]`).FindAllString(body, -1); headings[0] != "<h1" || strings.Contains(strings.Join(headings, ""), "h3") {
		t.Errorf("%s: headings %v", name, headings)
	}
}

// A name is text, whatever is in it.
func TestPageEscapes(t *testing.T) {
	f := New(Config{})
	v := pageStates(f)["calm"]
	v.device.Name = "<script>alert(1)</script>\u202e\x1b[2J"
	f.view.Store(&v)
	body := request(f.handler, "GET", "/", "", "192.168.1.20", nil).Body.String()
	if strings.Contains(body, "<script") || strings.ContainsAny(body, "\u202e\x1b") {
		t.Errorf("the name is not escaped: %.300s", body)
	}
}

func TestForcedHTTPS(t *testing.T) {
	core := newFakeCore(t, false)
	core.state.Ports.ForceHTTPS = true
	f := start(t, core, nil)
	http5000, https := f.Addresses()
	c := visitorClient(t)
	status, _, header := get(t, c, "http://"+http5000.String()+"/")
	if want := "https://" + https.String() + "/"; status != http.StatusTemporaryRedirect || header.Get("Location") != want {
		t.Errorf("status %d to %q, want %q", status, header.Get("Location"), want)
	}
	if status, _, _ := get(t, c, "https://"+https.String()+"/"); status != 200 {
		t.Errorf("over HTTPS: %d", status)
	}
	status, body, _ := get(t, c, "http://"+http5000.String()+deviceapi.PathDevice)
	if status != http.StatusForbidden || !strings.Contains(body, "https_needed") {
		t.Errorf("the interface over HTTP: %d %s", status, body)
	}
}

func TestWithPort(t *testing.T) {
	for host, want := range map[string]string{
		"cellar.local": "cellar.local:5001", "192.168.1.7:5000": "192.168.1.7:5001", "[fe80::1]": "[fe80::1]:5001", "[fe80::1]:5000": "[fe80::1]:5001",
	} {
		if got := withPort(host, 5001); got != want {
			t.Errorf("withPort(%q) = %q", host, got)
		}
	}
}

// A body too large, of another kind or with a field too many is refused before
// core hears of it, and its content is repeated to nobody.
func TestMalformedBodies(t *testing.T) {
	core := newFakeCore(t, true)
	f := start(t, core, func(c *Config) { c.OnLink = func(_, _ netip.AddrPort) bool { return true } })
	for name, c := range map[string]struct {
		body, kind string
	}{
		"too large":   {`{"session":"` + strings.Repeat("a", deviceapi.MaxBody) + `"}`, "application/json"},
		"a form":      {`session=s1`, "application/x-www-form-urlencoded"},
		"as text":     {`{"session":"s1","share":""}`, "text/plain"},
		"a field":     {`{"session":"s1","share":"","admin":"hunter2"}`, "application/json"},
		"given twice": {`{"session":"hunter2","session":"hunter2"}`, "application/json"},
		"an array":    {`{"session":["hunter2"],"share":""}`, "application/json"},
	} {
		w := request(f.handler, "POST", deviceapi.PathClaimPake, c.body, "192.168.1.20", http.Header{"Content-Type": {c.kind}})
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "bad_message") || strings.Contains(w.Body.String(), "hunter2") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if got := core.got(); len(got) != 0 {
		t.Errorf("core heard %v", got)
	}
}

// Every answer, a refusal too, has the guard's headers and none of a version.
func TestHeaders(t *testing.T) {
	f := New(Config{})
	for _, target := range []string{"/", "/nowhere", deviceapi.PathDevice, deviceapi.PathSignIn} {
		for _, source := range []string{"192.168.1.20", "203.0.113.9"} {
			h := request(f.handler, "GET", target, "", source, nil).Header()
			if h.Get("Content-Security-Policy") == "" || h.Get("Referrer-Policy") != "no-referrer" || h.Get("Cache-Control") != "no-store" || h.Get("Server") != "" {
				t.Errorf("%s for %s: %v", target, source, h)
			}
		}
	}
}
