package access

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// RecoveryCodes is how many codes an administrator gets at a time.
const RecoveryCodes = 10

// recoverySymbols are Crockford's: no letter that looks like a digit. 32 of
// them are 5 bits each.
const recoverySymbols = "0123456789abcdefghjkmnpqrstvwxyz"

// recoveryLen is how many symbols a code has: 13 are 65 bits (NIST SP 800-63B-4
// §4.2.1.1 asks for 64).
const recoveryLen = 13

// ErrRecoveryCode says that a text is not a recovery code.
var ErrRecoveryCode = errors.New("a recovery code is 13 letters and digits, as in 7k2m-9qxw-b4tna")

// NewRecoveryCode draws a code, without its dashes. r is a cryptographic source
// of randomness.
func NewRecoveryCode(r io.Reader) (Secret, error) {
	raw := make([]byte, recoveryLen)
	if _, err := io.ReadFull(r, raw); err != nil {
		return Secret{}, fmt.Errorf("no randomness for a recovery code: %w", err)
	}
	for i, b := range raw {
		raw[i] = recoverySymbols[b%32] // 32 divides 256: no bias
	}
	return NewSecret(string(raw)), nil
}

// FormatRecoveryCode writes a code as it is printed: 7k2m-9qxw-b4tna.
func FormatRecoveryCode(code Secret) string {
	s := code.Reveal()
	if len(s) != recoveryLen {
		return ""
	}
	return s[:4] + "-" + s[4:8] + "-" + s[8:]
}

// ParseRecoveryCode reads a code as typed: in any case, with or without dashes
// and spaces, with o for 0 and i or l for 1.
func ParseRecoveryCode(s string) (Secret, error) {
	if len(s) > 64 {
		return Secret{}, ErrRecoveryCode
	}
	var b strings.Builder
	for _, r := range strings.ToLower(s) {
		switch {
		case r == '-' || r == ' ' || r == '\t' || r == '\r' || r == '\n':
			continue
		case r == 'o':
			r = '0'
		case r == 'i' || r == 'l':
			r = '1'
		}
		if !strings.ContainsRune(recoverySymbols, r) {
			return Secret{}, ErrRecoveryCode
		}
		b.WriteRune(r)
	}
	if b.Len() != recoveryLen {
		return Secret{}, ErrRecoveryCode
	}
	return NewSecret(b.String()), nil
}
