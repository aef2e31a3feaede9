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

// R6: what no adapter of this version wrote is refused, and says why.
func TestRefused(t *testing.T) {
	long := strings.Repeat("a", saved.Max)
	if raw, err := saved.Encode("x", value{long}); err == nil {
		t.Errorf("%d bytes were saved", len(raw))
	}
	for raw, why := range map[string]string{
		`{"version":1,"adapter":"x","value":{"text":"` + long + `"}}`: "more than",
		`{"version":2,"adapter":"x","value":{"more":1},"also":1}`:     "newer",
		`{"version":0,"adapter":"x","value":{}}`:                      "no version 0",
		`{"version":1,"adapter":"y","value":{}}`:                      `"y"'s`,
		`{"version":1,"adapter":"x","value":null}`:                    "no value",
		`{"version":1,"adapter":"x","value":{},"also":1}`:             "damaged",
		`{"version":1,"adapter":"x","value":{"more":1}}`:              "damaged",
	} {
		var v value
		if err := saved.Decode([]byte(raw), "x", &v); !errors.Is(err, setting.ErrSaved) || !strings.Contains(err.Error(), why) {
			t.Errorf("%.60s: %v", raw, err)
		}
	}
}

func TestPlainHash(t *testing.T) {
	for hash, plain := range map[string]bool{
		"$y$j9T$a./b": true, "!": true, "": false, "a:b": false, "a b": false, "a\n": false, "ä": false, strings.Repeat("a", 1001): false,
	} {
		if saved.PlainHash(hash) != plain {
			t.Errorf("%.20q: %t", hash, !plain)
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
