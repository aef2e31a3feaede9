package face

import (
	"encoding/base32"
	"testing"
)

// RFC 6238 appendix B, the last six digits.
func TestCodesAreThoseOfTheRFC(t *testing.T) {
	secret := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte("12345678901234567890"))
	for at, want := range map[int64]string{59: "287082", 1111111109: "081804", 1234567890: "005924", 20000000000: "353130"} {
		if got, err := code(secret, at/30); got != want || err != nil {
			t.Errorf("at %d: %s, want %s, %v", at, got, want, err)
		}
	}
}
