package guest

import (
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting/entry"
)

// password is the second field of an account's line in the shadow file.
func password(user string) entry.Entry {
	return entry.Span(shadowFile, func(text string) (from, to int, ok bool) {
		at := 0
		for line := range strings.Lines(text) {
			if rest, mine := strings.CutPrefix(line, user+":"); mine && strings.Contains(rest, ":") {
				from = at + len(user) + 1
				return from, from + strings.IndexByte(rest, ':'), true
			}
			at += len(line)
		}
		return 0, 0, false
	})
}
