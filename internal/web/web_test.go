package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

func pages() fstest.MapFS {
	return fstest.MapFS{
		"a.html":      {Data: []byte(`{{define "title"}}A{{end}}{{define "main"}}<p>{{.Name}}</p>{{end}}`)},
		"broken.html": {Data: []byte(`{{define "title"}}B{{end}}{{define "main"}}<p>{{.Missing}}</p>{{end}}`)},
	}
}

func TestRenderEscapesAndNeverSendsHalfAPage(t *testing.T) {
	look, err := New(pages(), "a.html", "broken.html")
	if err != nil {
		t.Fatal(err)
	}
	data := struct{ Name string }{`<script>alert(1)</script>`}
	w := httptest.NewRecorder()
	if err := look.Render(w, http.StatusOK, "a.html", data); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(w.Body.String(), "<script") || !strings.Contains(w.Body.String(), "&lt;script") {
		t.Errorf("not escaped: %s", w.Body)
	}
	for _, page := range []string{"broken.html", "nowhere.html"} {
		w = httptest.NewRecorder()
		if err := look.Render(w, http.StatusOK, page, data); err == nil || w.Code != 500 || strings.Contains(w.Body.String(), "<html") {
			t.Errorf("%s: %v, status %d, %q", page, err, w.Code, w.Body)
		}
	}
}

// The policy allows the style that the layout carries and nothing else.
func TestSecure(t *testing.T) {
	look, err := New(pages(), "a.html")
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	Secure(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = look.Render(w, http.StatusOK, "a.html", struct{ Name string }{"x"})
	})).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	_, rest, _ := strings.Cut(w.Body.String(), "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	if style != styleText {
		t.Error("the style in the page is not the one that the policy's hash is of")
	}
	csp := w.Header().Get("Content-Security-Policy")
	if !strings.HasPrefix(csp, "default-src 'none'; style-src 'sha256-") || strings.Contains(csp, "unsafe") {
		t.Errorf("policy %q", csp)
	}
	if w.Header().Get("Referrer-Policy") != "no-referrer" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Error("a header is missing")
	}
}

// X12: only those who meant this device.
func TestKnownHost(t *testing.T) {
	for _, c := range []struct {
		header string
		want   bool
	}{
		{"192.168.1.7", true},
		{"192.168.1.7:5000", true},
		{"[fe80::1%25eth0]", true},
		{"[::1]:5001", true},
		{"[fd00::7]", true},
		{"localhost", true},
		{"LOCALHOST:5000", true},
		{"cellar", true},
		{"cellar.local", true},
		{"Cellar.Local.:5000", true},
		{"cellar-abcdefgh.local", true},
		{"", false},
		{"evil.example", false},
		{"cellar.evil.example", false},
		{"cellar.local.evil.example", false},
		{"192.168.1.7.evil.example", false},
		{"evil.example:5000", false},
		{"attic.local", false},
		{".local", false},
		{"cellar.local:5000:1", false},
		{"[cellar]", false},
		{"[192.168.1.7]", false},
		{"[::1", false},
		{"[::1]x", false},
		{"cellar:", false},
		{":5000", false},
		{"cellar:http", false},
		{"cellar.local/..", false},
		{"evil@cellar.local", false},
		{strings.Repeat("a", 300), false},
	} {
		if got := KnownHost(c.header, "cellar", "cellar-abcdefgh", ""); got != c.want {
			t.Errorf("KnownHost(%q) = %t", c.header, got)
		}
	}
}

func FuzzKnownHost(f *testing.F) {
	for _, s := range []string{"cellar.local:5000", "[::1]:1", "a:b:c", "1.2.3.4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		if KnownHost(header+".evil.example", "cellar") {
			t.Errorf("%q below a stranger's domain is known", header)
		}
	})
}
