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

// Hang breaks a line that may be set in by blanks, and sets what follows in by
// more blanks than it. Blanks between words stay. Where width is none, or too
// little to read in, it breaks nothing.
func Hang(line string, more, width int) []string {
	in := strings.Repeat(" ", len(line)-len(strings.TrimLeft(line, " "))+more)
	var lines []string
	for width >= least && utf8.RuneCountInString(line) > width {
		at := breakAt(line, width)
		if at < 0 {
			break
		}
		lines = append(lines, strings.TrimRight(line[:at], " "))
		line = in + strings.TrimLeft(line[at:], " ")
	}
	return append(lines, line)
}

// least is how wide a screen is on which lines are broken.
const least = 40

// breakAt is the last blank behind a word within width characters, else the
// first behind it; -1 where there is none with a word after it.
func breakAt(line string, width int) int {
	line = strings.TrimRight(line, " ")
	begun, at, n := false, -1, 0
	for i, c := range line {
		switch {
		case c != ' ':
			begun = true
		case begun && (n <= width || at < 0):
			at = i
		}
		if n++; n > width && at >= 0 {
			break
		}
	}
	return at
}
