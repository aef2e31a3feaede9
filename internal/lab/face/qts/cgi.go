package qts

import (
	"encoding/base64"
	"encoding/xml"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/lab/face"
)

// el is an element of an answer: of text, in CDATA as QTS writes it, or of
// elements.
type el struct {
	name string
	text string
	in   []el
}

func t(name, text string) el          { return el{name: name, text: text} }
func n(name string, number int) el    { return el{name: name, text: strconv.Itoa(number)} }
func in(name string, inside ...el) el { return el{name: name, in: inside} }

func flag(name string, on bool) el {
	if on {
		return n(name, 1)
	}
	return n(name, 0)
}

// answer writes an XML document.
func answer(rw http.ResponseWriter, all ...el) {
	rw.Header().Set("Content-Type", "text/xml; charset=utf-8")
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n<QDocRoot version=\"1.0\">\n")
	for _, e := range all {
		e.write(&b)
	}
	b.WriteString("</QDocRoot>\n")
	_, _ = io.WriteString(rw, b.String())
}

func (e el) write(b *strings.Builder) {
	b.WriteString("<" + e.name + ">")
	switch {
	case e.in != nil:
		for _, i := range e.in {
			i.write(b)
		}
	case strings.Contains(e.text, "]]>") || !utf8.ValidString(e.text):
		_ = xml.EscapeText(b, []byte(e.text)) // a Builder does not fail
	default:
		b.WriteString("<![CDATA[" + e.text + "]]>")
	}
	b.WriteString("</" + e.name + ">")
}

// gone is what any call without a session gets (vendors/qnap.md §3.4).
func gone(rw http.ResponseWriter) { answer(rw, flag("authPassed", false)) }

// routes are the CGI that this QTS has (vendors/qnap.md §3).
func (w *web) routes(mux *http.ServeMux) {
	mux.HandleFunc("/cgi-bin/authLogin.cgi", w.authLogin)
	mux.HandleFunc("/cgi-bin/authLogout.cgi", w.logout)
	mux.HandleFunc("/cgi-bin/filemanager/utilRequest.cgi", w.util)
	for path, of := range map[string]string{
		"/cgi-bin/priv/privRequest.cgi": "subfunc", "/cgi-bin/priv/privWizard.cgi": "wiz_func", "/cgi-bin/wizReq.cgi": "wiz_func",
		"/cgi-bin/sys/sysRequest.cgi": "subfunc", "/cgi-bin/management/manaRequest.cgi": "subfunc",
	} {
		mux.HandleFunc(path, w.signedIn(of))
	}
	mux.HandleFunc("GET /{$}", func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, "/cgi-bin/", http.StatusFound) })
	mux.HandleFunc("GET /cgi-bin/{$}", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(rw, "<!DOCTYPE html><html><head><title>QTS</title></head><body><p>Sign in.</p></body></html>")
	})
}

// call is one by an administrator who is signed in.
type call struct {
	w       *web
	rw      http.ResponseWriter
	r       *http.Request
	sid     string
	session face.Session
}

func (c *call) str(name string) string { return c.r.Form.Get(name) }

// has reports whether every one of the names was sent.
func (c *call) has(names ...string) bool {
	for _, name := range names {
		if !c.r.Form.Has(name) {
			return false
		}
	}
	return true
}

// done answers a call that the session was good enough for. It says nothing of
// what came of it.
func (c *call) done(all ...el) {
	answer(c.rw, append([]el{flag("authPassed", true)}, all...)...)
}

// signedIn leads to what the parameter names, where the session is an
// administrator's.
func (w *web) signedIn(of string) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		sid := r.URL.Query().Get("sid") // in the address alone (§3.2)
		s, ok := w.box.Session(sid)
		a, _ := w.box.Settings().Account(s.User)
		if phase, _ := w.box.Phase(); !ok || !a.Administrator || phase != face.Ready || r.ParseForm() != nil {
			if r.URL.Query().Get("subfunc") == "backup_setting" {
				notSignedInPage(rw)
				return
			}
			gone(rw)
			return
		}
		c := &call{w: w, rw: rw, r: r, sid: sid, session: s}
		if f, ok := functions()[c.str(of)+" "+c.str("action")]; ok {
			f(c)
			return
		}
		if f, ok := functions()[c.str(of)]; ok {
			f(c)
			return
		}
		gone(rw)
	}
}

// notSignedInPage is what the backup of settings answers in place of a file (§3.5).
func notSignedInPage(rw http.ResponseWriter) {
	rw.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(rw, "<!DOCTYPE html><html><body>Please sign in.</body></html>")
}

// password decodes one: Base64 of UTF-8 (§3.2). Another encoding is a wrong
// password and nothing else.
func password(s string) access.Secret {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return access.NewSecret(s)
	}
	return access.NewSecret(string(b))
}

func remote(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	a, _ := netip.ParseAddr(host)
	return a.Unmap()
}
