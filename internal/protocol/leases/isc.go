package leases

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// isc reads dhcpd.leases(5): statements that end in a semicolon, and blocks in
// braces, of which "lease ADDRESS { … }" counts and any other is passed over.
func isc(b []byte, l *list) error {
	s := scanner{text: string(b), line: 1}
	for {
		words, end, err := s.statement()
		if err != nil {
			return err
		}
		switch {
		case end == 0 && len(words) == 0:
			return nil
		case end == '{' && len(words) == 2 && words[0] == "lease":
			if err := s.lease(words[1], l); err != nil {
				return err
			}
		case end == '{':
			if err := s.skip(); err != nil {
				return err
			}
		case end != ';':
			return s.malformed()
		}
	}
}

// lease reads the statements of one lease up to its closing brace.
func (s *scanner) lease(address string, l *list) error {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return s.malformed()
	}
	x, gone := Lease{Address: a}, false
	for {
		w, end, err := s.statement()
		if err != nil {
			return err
		}
		switch {
		case end == '}' && len(w) == 0:
			return l.put(x, gone)
		case end == '{':
			if err := s.skip(); err != nil {
				return err
			}
		case end != ';':
			return s.malformed()
		case len(w) == 3 && w[0] == "hardware" && w[1] == "ethernet":
			x.MAC, _ = nas.NormalMAC(w[2])
		case len(w) == 2 && w[0] == "client-hostname":
			x.Name = w[1]
		case len(w) == 3 && w[0] == "binding":
			gone = w[2] != "active"
		case len(w) >= 2 && w[0] == "ends":
			x.Expires = iscTime(w[1:])
		}
	}
}

// iscTime reads "4 2026/11/26 10:00:00", in UTC, or "epoch 1764151200"; "never"
// and whatever else leave it zero.
func iscTime(w []string) time.Time {
	if len(w) == 2 && w[0] == "epoch" {
		return seconds(w[1])
	}
	if len(w) != 3 {
		return time.Time{}
	}
	t, err := time.Parse("2006/01/02 15:04:05", w[1]+" "+w[2])
	if err != nil {
		return time.Time{}
	}
	return t
}

// scanner walks over the text.
type scanner struct {
	text string
	line int
}

func (s *scanner) malformed() error {
	return fmt.Errorf("%w, in line %d", ErrMalformed, s.line)
}

// maxWords bounds one statement.
const maxWords = 64

// statement reads words up to a semicolon or a brace, which it returns; 0 at the
// end of the text.
func (s *scanner) statement() (words []string, end byte, err error) {
	for {
		s.space()
		if s.text == "" {
			return words, 0, nil
		}
		switch c := s.text[0]; c {
		case ';', '{', '}':
			s.text = s.text[1:]
			return words, c, nil
		case '"':
			w, rest, ok := quoted(s.text[1:])
			if !ok {
				return nil, 0, s.malformed()
			}
			s.line += strings.Count(s.text[:len(s.text)-len(rest)], "\n")
			s.text = rest
			words = append(words, w)
		default:
			n := strings.IndexAny(s.text, " \t\r\n;{}\"#")
			if n < 0 {
				n = len(s.text)
			}
			words = append(words, s.text[:n])
			s.text = s.text[n:]
		}
		if len(words) > maxWords {
			return nil, 0, s.malformed()
		}
	}
}

// space passes over blanks and comments.
func (s *scanner) space() {
	for s.text != "" {
		switch s.text[0] {
		case '\n':
			s.line++
			s.text = s.text[1:]
		case ' ', '\t', '\r':
			s.text = s.text[1:]
		case '#':
			n := strings.IndexByte(s.text, '\n')
			if n < 0 {
				n = len(s.text)
			}
			s.text = s.text[n:]
		default:
			return
		}
	}
}

// skip passes over a block whose opening brace is read.
func (s *scanner) skip() error {
	for depth := 1; depth > 0; {
		_, end, err := s.statement()
		switch {
		case err != nil:
			return err
		case end == '{':
			depth++
		case end == '}':
			depth--
		case end == 0:
			return s.malformed()
		}
	}
	return nil
}

// quoted reads up to the closing quote; \ooo is a byte in octal, and a backslash
// before anything else means that.
func quoted(s string) (word, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s) && b.Len() < maxLine; i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:], true
		case c == '\\' && i+3 < len(s) && octal(s[i+1:i+4]):
			b.WriteByte((s[i+1]-'0')<<6 | (s[i+2]-'0')<<3 | s[i+3] - '0')
			i += 3
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

func octal(s string) bool { return s[0] <= '3' && strings.Trim(s, "01234567") == "" }
