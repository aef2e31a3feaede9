package recordfile

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

type box struct {
	Name string   `json:"name"`
	MACs []string `json:"macs"`
}

func same(a, b box) bool { return a.Name == b.Name && slices.Equal(a.MACs, b.MACs) }

func boxes() Format[box] {
	return Format[box]{
		Name: "boxes.json", List: "boxes", Version: 1, Op: "boxes", MaxSize: 1 << 10, Most: 3,
		Check: func(b box) error {
			if b.Name == "" {
				return errors.New("it has no name")
			}
			return nil
		},
	}
}

// The form on disk is a contract: files of earlier versions are read.
func TestForm(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	if got, err := boxes().Read(opfs.OS(nil), dir); err != nil || got != nil {
		t.Errorf("no file: %v %v", got, err)
	}
	for want, records := range map[string][]box{
		"{\n  \"version\": 1,\n  \"boxes\": []\n}\n": nil,
		`{
  "version": 1,
  "boxes": [
    {
      "name": "attic <1>",
      "macs": [
        "00:11:32:00:00:01"
      ]
    }
  ]
}
`: {{"attic <1>", []string{"00:11:32:00:00:01"}}},
	} {
		if err := boxes().Write(opfs.OS(nil), dir, records); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, "boxes.json"))
		if err != nil || string(got) != strings.NewReplacer("<", `\u003c`, ">", `\u003e`).Replace(want) {
			t.Errorf("%s, want %s (%v)", got, want, err)
		}
		again, err := boxes().Read(opfs.OS(nil), dir)
		if err != nil || !slices.EqualFunc(again, records, same) {
			t.Errorf("%v, want %v (%v)", again, records, err)
		}
	}
	for path, mode := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "boxes.json"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
	}
}

// What cannot be used is an error that says so, and stays as it is.
func TestContent(t *testing.T) {
	for _, text := range []string{
		"", "{", "[]", "null", `{"version":1}`, `{"boxes":[]}`, `{"version":2,"boxes":[]}`, `{"version":"1","boxes":[]}`, `{"version":null,"boxes":[]}`,
		`{"version":1,"boxes":[],"more":1}`, `{"version":1,"version":1,"boxes":[]}`, `{"version":1,"boxes":{}}`, `{"version":1,"boxes":[{"name":"a","more":1}]}`,
		`{"version":1,"boxes":[{"name":""}]}`, `{"version":1,"boxes":[{"name":"a"},{"name":"b"},{"name":"c"},{"name":"d"}]}`, `{"version":1,"boxes":[]}{}`,
		strings.Repeat(" ", 1<<10) + `{"version":1,"boxes":[]}`,
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "boxes.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := boxes().Read(opfs.OS(nil), dir)
		if !errors.Is(err, ErrContent) || !strings.HasPrefix(err.Error(), "boxes.json: ") || got != nil {
			t.Errorf("%.40q: %v %v", text, got, err)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != text {
			t.Errorf("%.40q was touched", text)
		}
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "boxes.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := boxes().Read(opfs.OS(nil), dir); err == nil || errors.Is(err, ErrContent) {
		t.Errorf("a folder: %v", err)
	}
}

// A write that fails, or of what could not be read again, leaves the old file.
func TestFailedWrite(t *testing.T) {
	dir := t.TempDir()
	old := []box{{Name: "attic"}}
	if err := boxes().Write(opfs.OS(nil), dir, old); err != nil {
		t.Fatal(err)
	}
	for _, op := range []string{"boxes.mkdir", "boxes.write.create", "boxes.write.write", "boxes.write.sync", "boxes.write.rename"} {
		failing := opfs.OS(func(o string, w opfs.When) error {
			if o == op && w == opfs.Before {
				return errors.New("disk full")
			}
			return nil
		})
		if err := boxes().Write(failing, dir, []box{{Name: "cellar"}}); err == nil {
			t.Errorf("%s: no error", op)
		}
	}
	for _, bad := range [][]box{{{Name: ""}}, {{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}}, {{Name: strings.Repeat("a", 1<<10)}}} {
		if err := boxes().Write(opfs.OS(nil), dir, bad); err == nil {
			t.Errorf("%.60v was written", bad)
		}
	}
	if got, err := boxes().Read(opfs.OS(nil), dir); err != nil || !slices.EqualFunc(got, old, same) {
		t.Errorf("%v %v", got, err)
	}
}

// What is read can be written, and read again as the same.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"version":1,"boxes":[]}`))
	f.Add([]byte(`{"boxes":[{"name":"attic","macs":null},{"name":"\u0000"}],"version":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		format := boxes()
		got, err := format.parse(data)
		if err != nil {
			return
		}
		format.MaxSize *= 10 // written with white space
		b, err := format.encode(got)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := format.parse(b)
		if err != nil || !slices.EqualFunc(again, got, same) {
			t.Fatal(got, again, err)
		}
	})
}
