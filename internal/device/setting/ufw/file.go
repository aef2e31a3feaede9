package ufw

import (
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting/ownfile"
)

const key = "ENABLED="

// find is where the value of ENABLED stands: after the last assignment, which
// is the one that counts for the shell that reads the file.
func find(text string) (from, to int, ok bool) {
	at := 0
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, key) {
			from, ok = at+len(key), true
			to = at + len(strings.TrimRight(line, "\r\n"))
		}
		at += len(line)
	}
	return from, to, ok
}

func get(text string) ownfile.Content {
	from, to, ok := find(text)
	if !ok {
		return nil
	}
	return ownfile.Text(text[from:to])
}

// set replaces a value that get has found; there is nothing to take away.
func set(text string, value ownfile.Content) string {
	from, to, ok := find(text)
	if !ok || value == nil {
		return text
	}
	return text[:from] + *value + text[to:]
}

// yes reports whether ufw takes the value as on.
func yes(value ownfile.Content) bool {
	return value != nil && strings.EqualFold(strings.Trim(strings.TrimSpace(*value), `"'`), "yes")
}
