// Package wordwrap breaks text between words, for a terminal or a page of a
// given width. It breaks no word, and never looks at a terminal itself.
package wordwrap

import (
	"strings"
	"unicode/utf8"
)

// Lines breaks text into lines of at most width characters; one word may be
// longer. Blanks between words become one. There is always a line.
func Lines(text string, width int) []string {
	lines := []string{""}
	for word := range strings.FieldsSeq(text) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case utf8.RuneCountInString(*last)+1+utf8.RuneCountInString(word) <= width:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}
