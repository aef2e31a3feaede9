// Package printable makes text that a stranger sent safe to show. It never
// makes such text true, and it never drops a character without a trace.
package printable

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean replaces every character that is not printable, and every byte that is
// no UTF-8, by U+FFFD. What it returns moves no cursor, rings no bell and turns
// no writing direction, whatever terminal or page shows it.
func Clean(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return utf8.RuneError
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
}
