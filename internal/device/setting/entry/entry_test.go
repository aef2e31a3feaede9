package entry_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/entry"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ownfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// second is the entry "the second word".
func second(path string) entry.Entry {
	return entry.Entry{
		Path: path,
		Get:  func(text string) ownfile.Content { return ownfile.Text(strings.Fields(text)[1]) },
		Set: func(text string, v ownfile.Content) string {
			return strings.Replace(text, strings.Fields(text)[1], *v, 1)
		},
	}
}

func TestMove(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(s), 0o604); err != nil {
			t.Fatal(err)
		}
	}
	e := second(path)
	old, renewed := ownfile.Text("old"), ownfile.Text("new")
	for _, test := range []struct {
		stored, want string
		err          error
	}{
		{"  a\told b\n", "  a\tnew b\n", nil},
		{"a new", "a new", nil},
		{"a third b", "a third b", setting.ErrThirdValue},
	} {
		write(test.stored)
		if err := e.Move(opfs.OS(nil), "test", old, renewed); !errors.Is(err, test.err) {
			t.Errorf("%q: %v", test.stored, err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != test.want {
			t.Errorf("%q became %q, %v", test.stored, got, err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o604 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	// What does not read back is never written.
	write("a old b")
	if err := e.Move(opfs.OS(nil), "test", old, ownfile.Text("two words")); !errors.Is(err, setting.ErrPermanent) {
		t.Errorf("err = %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := e.Move(opfs.OS(nil), "test", old, renewed); !errors.Is(err, setting.ErrThirdValue) {
		t.Errorf("err = %v for a file that is gone", err)
	}
}

// An entry that is not there is never made, and one that is there never taken out.
func TestSpanIsReplacedOrLeft(t *testing.T) {
	e := entry.Span("file", func(text string) (from, to int, ok bool) {
		from = strings.Index(text, "=") + 1
		return from, len(text), from > 0
	})
	for text, want := range map[string]string{"a=b": "a=c", "a": "a"} {
		if got := e.Set(text, ownfile.Text("c")); got != want || e.Set(text, nil) != text {
			t.Errorf("%q became %q, and %q", text, got, e.Set(text, nil))
		}
	}
}
