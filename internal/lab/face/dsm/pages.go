package dsm

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting/memory"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/lab/face"
)

// ResetPage is where the lab's form behind "Reset the password for your account"
// is. The address and the fields are invented (dsm_reset_page).
const ResetPage = "/lab/invented/reset-page"

// desktop is what a running DSM answers.
func (w *web) desktop(mux *http.ServeMux) {
	for _, path := range []string{"/webapi/entry.cgi", "/webapi/query.cgi", "/webapi/auth.cgi"} {
		mux.HandleFunc(path, w.whenUp(w.entry))
	}
	mux.HandleFunc("GET /ssdp/desc-DSM-eth0.xml", w.description)
	mux.HandleFunc("GET /webman/get_state.cgi", w.front) // HTML once DSM has the port (§3.3)
	mux.HandleFunc("GET /{$}", w.front)
	mux.HandleFunc("POST "+ResetPage, w.resetPage)
}

// whenUp holds the API back while services start.
func (w *web) whenUp(h http.HandlerFunc) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		if p, _ := w.box.Phase(); p != face.Ready {
			http.Error(rw, "DSM is starting", http.StatusServiceUnavailable)
			return
		}
		h(rw, r)
	}
}

func (w *web) front(rw http.ResponseWriter, _ *http.Request) {
	if p, _ := w.box.Phase(); p != face.Ready {
		page(rw, "DSM", "<p>Starting services.</p>")
		return
	}
	if !w.box.Memory().ResetPage {
		page(rw, w.box.Identity().Name+" - Synology DiskStation", "<p>Sign in to DSM.</p>")
		return
	}
	w.box.Mark(rw, "dsm_reset_page")
	var options strings.Builder
	for _, name := range administrators(w.box.Settings()) {
		fmt.Fprintf(&options, "<option>%s</option>", html.EscapeString(name))
	}
	page(rw, "Reset the password for your account", `<p>This form is the lab's own: the real one is not documented.</p>
<form method="post" action="`+ResetPage+`"><select name="account">`+options.String()+`</select>
<input type="password" name="password"><button>Submit</button></form>`)
}

// resetPage takes the form: once, while it waits.
func (w *web) resetPage(rw http.ResponseWriter, r *http.Request) {
	w.box.Mark(rw, "dsm_reset_page")
	name, password := r.PostFormValue("account"), access.NewSecret(r.PostFormValue("password"))
	if !w.box.Memory().ResetPage || !slices.Contains(administrators(w.box.Settings()), name) || len(password.Reveal()) < minPassword {
		http.Error(rw, "refused", http.StatusForbidden)
		return
	}
	hash, err := memory.Hash(randomness(), password)
	if err == nil {
		err = w.box.Store().Edit("face.reset_page", func(s *memory.State) error {
			s.Hashes[name] = hash
			i := slices.IndexFunc(s.Settings.Accounts, func(a nas.Account) bool { return a.Name == name })
			s.Settings.Accounts[i].Enabled = true
			s.Settings.Accounts[i].PasswordChanges++
			return nil
		})
	}
	if err == nil {
		err = w.box.Remember(func(m *face.Memory) { m.ResetPage = false })
	}
	if err != nil {
		http.Error(rw, err.Error(), http.StatusInternalServerError)
		return
	}
	page(rw, "Password reset", "<p>Sign in now.</p>")
}

func page(rw http.ResponseWriter, title, body string) {
	rw.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(rw, "<!DOCTYPE html><html><head><title>%s</title></head><body>%s</body></html>", html.EscapeString(title), body)
}

// FillResetPage is a person's browser: it opens the box's page, sees the form and
// submits it.
func FillResetPage(ctx context.Context, b *face.Box, account string, password access.Secret) error {
	base := "http://" + netip.AddrPortFrom(b.Place(), b.Ports().HTTP).String()
	seen, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(seen)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<16))
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return err
	}
	if !strings.Contains(string(text), ResetPage) {
		return errors.New("the NAS shows no page on which a password can be set")
	}
	form := url.Values{"account": {account}, "password": {password.Reveal()}}
	sent, err := http.NewRequestWithContext(ctx, http.MethodPost, base+ResetPage, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	sent.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err = http.DefaultClient.Do(sent)
	if err != nil {
		return err
	}
	if err := answer.Body.Close(); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the page refused: %s", answer.Status)
	}
	return nil
}
