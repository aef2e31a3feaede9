package printable_test

import (
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "cellar", "Wohnzimmer-Größe 2", "\x1b[2J", "a\u202eb", "\xff\xfe", "\u0085"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		clean := printable.Clean(s)
		harmless := utf8.ValidString(s)
		for _, c := range s {
			harmless = harmless && unicode.IsPrint(c)
		}
		if harmless && clean != s {
			t.Errorf("%q became %q", s, clean)
		}
		for _, c := range clean {
			if !unicode.IsPrint(c) && c != utf8.RuneError {
				t.Errorf("%q became %q", s, clean)
			}
		}
		if printable.Clean(clean) != clean {
			t.Errorf("%q is not clean", clean)
		}
	})
}
