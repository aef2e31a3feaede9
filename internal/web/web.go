// Package web is the look of every page of Paperclip, and the guard in front of
// it: one layout and one style, the headers that keep a browser from doing
// anything that a page did not ask for, and the check of the Host header that
// stops DNS rebinding.
//
// Each wing writes its pages as [HTML] and hands them to Show. Nothing here knows
// a route, a device or an account, and no page loads anything from anywhere: the
// style is within the page, allowed by its hash alone, and there are no scripts.
//
// It is without html/template, which calls methods by name: a program that links
// it keeps every method of every type, which is a sixth of paperclipd.
package web

import (
	"crypto/sha256"
	_ "embed" // the layout and the style
	"encoding/base64"
	"fmt"
	"html"
	"net/http"
	"strconv"
	"strings"
)

//go:embed layout.html
var layoutText string

//go:embed style.css
var styleText string

// HTML is markup that is finished: whatever came from elsewhere is text in it.
type HTML string

// Format is fmt.Sprintf for markup: each argument that is not HTML already is
// escaped. Format itself is the page's own text; arguments may stand between
// tags and in quoted attributes, with the verb %s alone.
func Format(format string, args ...any) HTML {
	safe := make([]any, len(args))
	for i, a := range args {
		if h, ok := a.(HTML); ok {
			safe[i] = string(h)
		} else {
			safe[i] = html.EscapeString(fmt.Sprint(a))
		}
	}
	return HTML(fmt.Sprintf(format, safe...))
}

// Show answers with a page in the common layout. The title is text.
func Show(w http.ResponseWriter, status int, title string, main HTML) error {
	// One pass: what is put in is not looked through for marks again.
	page := strings.NewReplacer("{{title}}", html.EscapeString(title), "{{style}}", styleText, "{{main}}", string(main)).Replace(layoutText)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(page)))
	w.WriteHeader(status)
	_, err := w.Write([]byte(page))
	return err
}

// policy is the Content-Security-Policy: nothing but our own style.
func policy() string {
	sum := sha256.Sum256([]byte(styleText))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}
