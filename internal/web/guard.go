package web

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Secure sets the headers of every answer: nothing is loaded, framed, sniffed,
// stored or told to another site.
func Secure(next http.Handler) http.Handler {
	csp := policy()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", csp)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// KnownHost tells whether a Host header can come from somebody who meant this
// device: an address, localhost, or one of names, alone or with .local. A name
// of the Internet that was pointed at the device's address (DNS rebinding) is
// none of them.
func KnownHost(header string, names ...string) bool {
	host, ok := splitHost(header)
	if !ok {
		return false
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" {
		return true
	}
	return slices.ContainsFunc(names, func(name string) bool {
		name = strings.ToLower(name)
		return name != "" && (host == name || host == name+".local")
	})
}

// splitHost takes the port off. A name or address in brackets is only ever an
// IPv6 address.
func splitHost(header string) (host string, ok bool) {
	if header == "" || len(header) > 255 {
		return "", false
	}
	if inner, found := strings.CutPrefix(header, "["); found {
		inner, rest, closed := strings.Cut(inner, "]")
		addr, err := netip.ParseAddr(inner)
		return inner, closed && err == nil && addr.Is6() && (rest == "" || isPort(rest))
	}
	if !strings.Contains(header, ":") {
		return header, true
	}
	host, port, err := net.SplitHostPort(header)
	return host, err == nil && host != "" && isPort(":"+port)
}

func isPort(s string) bool {
	digits, ok := strings.CutPrefix(s, ":")
	return ok && digits != "" && len(digits) <= 5 && strings.Trim(digits, "0123456789") == ""
}
