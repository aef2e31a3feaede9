package guest

import (
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting/entry"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ownfile"
)

// password is the second field of an account's line in the shadow file.
func password(user string) entry.Entry {
	find := func(text string) (from, to int, ok bool) {
		at := 0
		for line := range strings.Lines(text) {
			if rest, mine := strings.CutPrefix(line, user+":"); mine && strings.Contains(rest, ":") {
				from = at + len(user) + 1
				return from, from + strings.IndexByte(rest, ':'), true
			}
			at += len(line)
		}
		return 0, 0, false
	}
	return entry.Entry{
		Path: shadowFile,
		Get: func(text string) ownfile.Content {
			from, to, ok := find(text)
			if !ok {
				return nil
			}
			return ownfile.Text(text[from:to])
		},
		Set: func(text string, value ownfile.Content) string {
			from, to, ok := find(text)
			if !ok || value == nil {
				return text
			}
			return text[:from] + *value + text[to:]
		},
	}
}
