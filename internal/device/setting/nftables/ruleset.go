package nftables

import (
	"slices"
	"strings"
)

// ruleset is what is looked for in a file of rules: the tables that it makes
// ("inet filter"), and how many rules it has. Files that it includes are not
// followed.
type ruleset struct {
	tables []string
	rules  int
}

// block is what a brace has opened.
type block int

const (
	top   block = iota // outside of all
	table              // in table NAME { }
	chain              // in chain NAME { }
	other              // a set, a map, or part of a rule
)

// scanner reads nft(8)'s language as far as braces, statements and comments go.
type scanner struct {
	found ruleset
	stack []block
	words []string // of the statement so far
}

// parse never fails: what it cannot make sense of, nft refuses.
func parse(text string) ruleset {
	s := &scanner{stack: []block{top}}
	for _, t := range tokens(text) {
		switch t {
		case "{":
			s.open()
		case "}":
			s.end()
			if len(s.stack) > 1 {
				s.stack = s.stack[:len(s.stack)-1]
			}
			if s.in() == table || s.in() == top {
				s.words = nil
			}
		case "\n", ";":
			s.end()
		default:
			s.words = append(s.words, t)
		}
	}
	s.end()
	return s.found
}

func (s *scanner) in() block { return s.stack[len(s.stack)-1] }

// statement is the words so far, without "add" or "create".
func (s *scanner) statement() []string {
	if len(s.words) > 0 && (s.words[0] == "add" || s.words[0] == "create") {
		return s.words[1:]
	}
	return s.words
}

func (s *scanner) open() {
	w := s.statement()
	next := other
	switch {
	case s.in() == top && len(w) > 1 && w[0] == "table":
		s.table(w)
		next = table
	case s.in() == table && len(w) > 0 && w[0] == "chain":
		next = chain
	}
	if next != other {
		s.words = nil
	}
	s.stack = append(s.stack, next)
}

func (s *scanner) table(words []string) {
	name := "ip " + words[1] // the family when none is named
	if len(words) > 2 {
		name = words[1] + " " + words[2]
	}
	if !slices.Contains(s.found.tables, name) {
		s.found.tables = append(s.found.tables, name)
	}
}

// end is the end of a statement; inside of braces that belong to a rule, it is
// not one.
func (s *scanner) end() {
	if s.in() == other {
		return
	}
	w := s.statement()
	s.words = nil
	if len(w) == 0 {
		return
	}
	switch s.in() {
	case top:
		if w[0] == "table" && len(w) > 1 {
			s.table(w)
		}
		if w[0] == "rule" || w[0] == "insert" && len(w) > 1 && w[1] == "rule" {
			s.found.rules++
		}
	case chain:
		if !slices.Contains([]string{"type", "policy", "comment", "flags", "devices", "device"}, w[0]) {
			s.found.rules++
		}
	}
}

// tokens are words, quoted texts, braces and ends of statements; comments are
// left out, and a backslash at the end of a line joins it with the next.
func tokens(text string) []string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = strings.ReplaceAll(text, "\\\n", " ")
	var all []string
	for len(text) > 0 {
		n := 1
		switch text[0] {
		case ' ', '\t', '\r':
			text = text[1:]
			continue
		case '#':
			if n = strings.IndexByte(text, '\n'); n < 0 {
				return all
			}
			text = text[n:]
			continue
		case '{', '}', ';', '\n':
		case '"':
			if end := strings.IndexByte(text[1:], '"'); end >= 0 {
				n = end + 2
			}
		default:
			if n = strings.IndexAny(text, " \t\r\n{};#\""); n < 0 {
				n = len(text)
			}
		}
		all = append(all, text[:n])
		text = text[n:]
	}
	return all
}
