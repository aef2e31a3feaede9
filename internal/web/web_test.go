package web

import (
	"html"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// What comes from elsewhere is text wherever it stands, and is not taken for a
// mark of the layout.
func TestShowEscapes(t *testing.T) {
	const evil = `<script>alert("1")</script>{{style}}{{main}}`
	w := httptest.NewRecorder()
	if err := Show(w, http.StatusOK, evil, Format(`<p class="%s">%s, %s</p>`, evil, evil, Format("<b>%s</b>", 7))); err != nil {
		t.Fatal(err)
	}
	body := w.Body.String()
	if strings.Contains(body, "<script") || strings.Count(body, "&lt;script&gt;alert(&#34;1&#34;)") != 3 {
		t.Errorf("not escaped: %s", body)
	}
	if !strings.Contains(body, "<b>7</b>") || strings.Count(body, "{{style}}{{main}}") != 3 || strings.Count(body, styleText) != 1 {
		t.Errorf("the layout is not filled once: %s", body)
	}
}

// Escaping goes by what a browser reads.
func TestFormatEveryText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		got := string(Format("%s", text))
		if strings.ContainsAny(got, `<>"'`) || html.UnescapeString(got) != text && !strings.Contains(text, "&") {
			t.Errorf("%q became %q", text, got)
		}
	})
}

// The policy allows the style that the layout carries and nothing else.
func TestSecure(t *testing.T) {
	w := httptest.NewRecorder()
	Secure(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = Show(w, http.StatusOK, "x", "")
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
