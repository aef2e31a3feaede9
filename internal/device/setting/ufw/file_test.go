package ufw

import (
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/setting/ownfile"
)

func TestOneEntryChanges(t *testing.T) {
	for before, after := range map[string]string{
		"# ufw\nENABLED=yes\nLOGLEVEL=low\n":      "# ufw\nENABLED=no\nLOGLEVEL=low\n",
		"ENABLED=\"yes\"":                         "ENABLED=no",
		"ENABLED=no\r\nENABLED=YES\r\n# ENABLED=": "ENABLED=no\r\nENABLED=no\r\n# ENABLED=",
	} {
		old := enabled.Get(before)
		if !yes(old) {
			t.Errorf("%q is not on", before)
		}
		if got := enabled.Set(before, off); got != after {
			t.Errorf("%q became %q, want %q", before, got, after)
		}
		if back := enabled.Set(enabled.Set(before, off), old); back != before {
			t.Errorf("%q came back as %q", before, back)
		}
	}
}

func FuzzRoundTrip(f *testing.F) {
	f.Add("# a\nENABLED=yes\n")
	f.Add("ENABLED=")
	f.Fuzz(func(t *testing.T, text string) {
		old := enabled.Get(text)
		changed := enabled.Set(text, off)
		if old == nil && changed != text {
			t.Fatalf("%q has no entry and became %q", text, changed)
		}
		if old != nil && !ownfile.Equal(enabled.Get(changed), off) {
			t.Fatalf("%q became %q", text, changed)
		}
		if back := enabled.Set(changed, old); back != text {
			t.Fatalf("%q came back as %q", text, back)
		}
	})
}
