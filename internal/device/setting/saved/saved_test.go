package saved_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/saved"
)

type value struct {
	Text string `json:"text"`
}

// R6: what a snapshot holds comes back to the byte, or is not taken.
func TestTextIsExactOrRefused(t *testing.T) {
	for text, fits := range map[string]bool{"plain": true, "ä \ufffd \\ufffd �": true, "\xff": false, `\` + "\xff": false} {
		raw, err := saved.Encode("x", value{text})
		if (err == nil) != fits {
			t.Errorf("%q: %v", text, err)
		}
		var back value
		if err == nil && (saved.Decode(raw, "x", &back) != nil || back.Text != text) {
			t.Errorf("%q came back as %q", text, back.Text)
		}
	}
}

func FuzzDecode(f *testing.F) {
	good, _ := saved.Encode("x", value{"a"})
	f.Add([]byte(good))
	f.Add([]byte(`{"version":9}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var v value
		err := saved.Decode(raw, "x", &v)
		if err != nil && !errors.Is(err, setting.ErrSaved) {
			t.Fatal(err)
		}
		if err != nil || strings.ContainsRune(v.Text, '\uFFFD') {
			return
		}
		again, err := saved.Encode("x", v)
		var w value
		if err != nil || saved.Decode(again, "x", &w) != nil || v != w {
			t.Fatalf("%q is not %q: %v", v.Text, w.Text, err)
		}
	})
}
