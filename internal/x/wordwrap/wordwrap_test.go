package wordwrap_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/paperclip-nas/paperclip/internal/x/wordwrap"
)

func TestLines(t *testing.T) {
	got := wordwrap.Lines("Hold RESET about 4 seconds; at the beep, let go.", 16)
	if want := []string{"Hold RESET about", "4 seconds; at", "the beep, let", "go."}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := wordwrap.Lines(" ", 10); !slices.Equal(got, []string{""}) {
		t.Errorf("%q", got)
	}
}

// No word is lost or broken, and only a word that is too long alone is wider.
func TestKeepsEveryWord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, width := rapid.String().Draw(t, "text"), rapid.IntRange(1, 40).Draw(t, "width")
		lines := wordwrap.Lines(text, width)
		if got := strings.Fields(strings.Join(lines, " ")); !slices.Equal(got, strings.Fields(text)) {
			t.Fatalf("%q of %q", lines, text)
		}
		for _, l := range lines {
			if utf8.RuneCountInString(l) > width && len(strings.Fields(l)) > 1 {
				t.Fatalf("%q is wider than %d", l, width)
			}
		}
	})
}

func TestHang(t *testing.T) {
	line := "  changes  the guest account: it is on, and it will be off afterwards"
	want := []string{"  changes  the guest account: it is on,", "    and it will be off afterwards"}
	if got := wordwrap.Hang(line, 2, 40); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	for _, width := range []int{0, 10, 200} {
		if got := wordwrap.Hang(line, 2, width); !slices.Equal(got, []string{line}) {
			t.Errorf("%d: %q", width, got)
		}
	}
}

// Nothing but blanks is lost, and it ends.
func TestHangKeepsEveryWord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOf(rapid.StringMatching(`[a-zé,]{1,60} {0,3}`)).Draw(t, "words")
		text := rapid.StringMatching(` {0,6}`).Draw(t, "in") + strings.Join(words, " ")
		width := rapid.IntRange(0, 90).Draw(t, "width")
		lines := wordwrap.Hang(text, 2, width)
		if got := strings.Fields(strings.Join(lines, " ")); !slices.Equal(got, strings.Fields(text)) {
			t.Fatalf("%q of %q", lines, text)
		}
		for _, l := range lines {
			if width >= 40 && utf8.RuneCountInString(l) > width && len(strings.Fields(l)) > 1 {
				t.Fatalf("%q is wider than %d", l, width)
			}
		}
	})
}
