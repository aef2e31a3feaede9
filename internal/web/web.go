// Package web is the look of every page of Paperclip, and the guard in front of
// it: one layout and one style, the headers that keep a browser from doing
// anything that a page did not ask for, and the check of the Host header that
// stops DNS rebinding.
//
// Each wing owns its pages and hands them to New. Nothing here knows a route, a
// device or an account, and no page loads anything from anywhere: the style is
// within the page, allowed by its hash alone, and there are no scripts.
package web

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the layout and the style
	"encoding/base64"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strconv"
)

//go:embed layout.html
var layoutText string

//go:embed style.css
var styleText string

// Look is a set of pages in the common layout.
type Look struct {
	pages map[string]*template.Template
}

// layoutData is what the layout is filled with.
type layoutData struct {
	Style template.CSS
	Page  any
}

// New parses pages: each file of files, a path in fsys, defines the templates
// "title" and "main", and is shown by its path.
func New(fsys fs.FS, files ...string) (*Look, error) {
	l := &Look{pages: make(map[string]*template.Template, len(files))}
	for _, name := range files {
		t, err := template.New("layout").Parse(layoutText)
		if err != nil {
			return nil, fmt.Errorf("the layout: %w", err)
		}
		if t, err = t.ParseFS(fsys, name); err != nil {
			return nil, fmt.Errorf("the page %s: %w", name, err)
		}
		l.pages[name] = t
	}
	return l, nil
}

// Render answers with a page, or with a bare 500 where the page cannot be made:
// half a page is never sent.
func (l *Look) Render(w http.ResponseWriter, status int, page string, data any) error {
	t, ok := l.pages[page]
	if !ok {
		http.Error(w, "this page cannot be shown", http.StatusInternalServerError)
		return fmt.Errorf("there is no page %s", page)
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "layout", layoutData{Style: template.CSS(styleText), Page: data}); err != nil {
		http.Error(w, "this page cannot be shown", http.StatusInternalServerError)
		return fmt.Errorf("the page %s: %w", page, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, err := w.Write(b.Bytes())
	return err
}

// policy is the Content-Security-Policy: nothing but our own style.
func policy() string {
	sum := sha256.Sum256([]byte(styleText))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}
