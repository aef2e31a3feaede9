package ini_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/setting/ini"
)

func TestSections(t *testing.T) {
	text := "# head\n\n[a]\nx = 1\n# in a\ny=2\n# behind a\n\n[b]\n; also\n[b]\r\nz=3"
	var got []string
	for _, s := range ini.Sections(text) {
		got = append(got, s.Name+"|"+s.Text())
	}
	want := []string{"|# head\n", "|\n", "a|[a]\nx = 1\n# in a\ny=2\n", "|# behind a\n", "|\n", "b|[b]\n", "|; also\n", "b|[b]\r\nz=3"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	a := ini.Sections(text)[2].Without(func(key, value string) bool { return key == "x" && value == "1" })
	if a.Text() != "[a]\n# in a\ny=2\n" || a.Name != "a" {
		t.Errorf("%q", a.Text())
	}
	for line, want := range map[string]string{"a\n": "\n", "a\r\n": "\r\n", "a": ""} {
		if ini.End(line) != want {
			t.Errorf("%q ends with %q", line, ini.End(line))
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add("[a]\nb=c\n\n#x\n[d]")
	f.Fuzz(func(t *testing.T, text string) {
		if got := strings.Join(ini.Split(text), ""); got != text {
			t.Fatalf("%q is read as %q", text, got)
		}
	})
}
