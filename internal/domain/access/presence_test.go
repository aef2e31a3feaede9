package access_test

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
)

// Both codes are read from one field, and neither is taken for the other.
func TestParsePresence(t *testing.T) {
	code, err := access.NewRecoveryCode(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]access.PresenceKind{
		"3 1 6 2": access.BySaidCode, "3162\n": access.BySaidCode,
		access.FormatRecoveryCode(code): access.ByLabelCode, strings.ToUpper(code.Reveal()) + "\n": access.ByLabelCode,
		"1111-1111-11111": access.ByLabelCode,
	} {
		p, err := access.ParsePresence(text)
		if err != nil || p.With() != want {
			t.Errorf("a code of kind %q is read as %v: %v", want, p, err)
		}
	}
	for _, bad := range []string{"", "3 1 6", "31627", "7k2m-9qxw-b4tn", "7k2m-9qxw-b4tnaa", "3 1 6 9", strings.Repeat("1", 100)} {
		if p, err := access.ParsePresence(bad); err == nil {
			t.Errorf("%q is read as a code: %v", bad, p)
		}
	}
}

// What a NAS keeps of its label's code is not the code, and is worth nothing at
// another NAS (X13).
func TestLabelPassword(t *testing.T) {
	code := access.NewSecret("7k2m9qxwb4tna")
	label := access.NewLabelCode(code)
	one, other := label.Password([]byte("one")), label.Password([]byte("other"))
	if one == other || strings.Contains(one.Reveal(), code.Reveal()) {
		t.Error("the code is kept as it is, or serves at every NAS")
	}
	if one != access.NewLabelCode(code).Password([]byte("one")) {
		t.Error("the same code is another password")
	}
	if text := fmt.Sprintf("%v %+v %q %d", label, label, label, label); strings.Contains(text, code.Reveal()) {
		t.Errorf("a label's code is printed: %s", text)
	}
}
