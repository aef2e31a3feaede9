package access

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// PasswordRefusal is why a password will not do.
type PasswordRefusal string

// The refusals; PasswordFits is none.
const (
	PasswordFits     PasswordRefusal = ""
	PasswordShort    PasswordRefusal = "password_short"
	PasswordLong     PasswordRefusal = "password_long"
	PasswordUnusable PasswordRefusal = "password_unusable" // a character that no sign-in can type
	PasswordGuessed  PasswordRefusal = "password_guessed"  // among the first that are tried
)

// Lengths of a password in characters (code points). NIST SP 800-63B-4
// §3.1.1.2: 15 where it is the only factor, 8 with a second one; no rule about
// kinds of characters, no hints, no forced change.
const (
	MinPassword           = 15
	MinPasswordWithFactor = 8
	MaxPassword           = 128
	maxPasswordBytes      = 500 // crypt(3) takes 511
)

// CheckPassword judges a new password. names are what an attacker knows: the
// account, the device, the product. The text is used as typed: not trimmed, not
// normalised, since SSH and SMB do neither.
func CheckPassword(p Secret, secondFactor bool, names ...string) PasswordRefusal {
	s := p.Reveal()
	least := MinPassword
	if secondFactor {
		least = MinPasswordWithFactor
	}
	n := utf8.RuneCountInString(s)
	switch {
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return PasswordUnusable
	case n < least:
		return PasswordShort
	case n > MaxPassword || len(s) > maxPasswordBytes:
		return PasswordLong
	case guessed(strings.ToLower(s), names):
		return PasswordGuessed
	}
	return PasswordFits
}

// guessed reports whether a lower-case password is nothing but well-known
// words, names, runs and repetitions, put together in any order.
func guessed(s string, names []string) bool {
	known := []string{
		"password", "passwort", "passw0rd", "p@ssw0rd", "qwertyuiop", "qwertzuiop", "asdfghjkl", "yxcvbnm", "zxcvbnm", "qwerty", "qwertz",
		"admin", "administrator", "root", "guest", "user", "login", "welcome", "letmein", "iloveyou", "monkey", "dragon", "master", "secret",
		"changeme", "default", "synology", "diskstation", "qnap", "paperclip", "paperclipd", "nas", "storage", "server", "backup", "home",
		"football", "baseball", "sunshine", "princess", "superman", "batman", "abc", "test", "hello", "correcthorsebatterystaple",
	}
	for _, n := range names {
		if len(n) >= 3 {
			known = append(known, strings.ToLower(n))
		}
	}
	for s != "" {
		n := longestKnown(s, known)
		if run := runLength(s); run > n {
			n = run
		}
		if n == 0 {
			return false
		}
		s = s[n:]
	}
	return true
}

func longestKnown(s string, known []string) int {
	best := 0
	for _, k := range known {
		if strings.HasPrefix(s, k) && len(k) > best {
			best = len(k)
		}
	}
	return best
}

// runLength is how many bytes at the start are separators, one repeated
// character, or a rising or falling run such as 12345 or zyx; runs count from
// three on, digits and separators from one.
func runLength(s string) int {
	digits := len(s) - len(strings.TrimLeft(s, "0123456789 -_.!?#*+"))
	best := digits
	for _, step := range []int{0, 1, -1} {
		n := 1
		for n < len(s) && int(s[n])-int(s[n-1]) == step {
			n++
		}
		if n >= 3 && n > best {
			best = n
		}
	}
	return best
}

// PasswordAdvice says for people what a refusal means and what to do.
func PasswordAdvice(r PasswordRefusal, secondFactor bool) string {
	least := MinPassword
	if secondFactor {
		least = MinPasswordWithFactor
	}
	switch r {
	case PasswordShort:
		return fmt.Sprintf("It is too short: at least %d characters. Four or five words that have nothing to do with each other do well.", least)
	case PasswordLong:
		return fmt.Sprintf("It is too long: at most %d characters.", MaxPassword)
	case PasswordUnusable:
		return "It has a character that cannot be typed at a sign-in, such as a line break."
	case PasswordGuessed:
		return "It is made only of words, names and number runs that are tried first. Add something that is yours alone."
	default:
		return ""
	}
}
