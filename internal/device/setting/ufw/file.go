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

// yes reports whether ufw takes the value as on.
func yes(value ownfile.Content) bool {
	return value != nil && strings.EqualFold(strings.Trim(strings.TrimSpace(*value), `"'`), "yes")
}
