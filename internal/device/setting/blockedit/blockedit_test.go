package blockedit_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/blockedit"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// lines are the simplest blocks.
func lines(text string) []string { return slices.Collect(strings.Lines(text)) }

func TestSides(t *testing.T) {
	for name, test := range map[string]struct {
		edit blockedit.Edit
		text string
		want blockedit.Side
	}{
		"old":                     {blockedit.Edit{Old: "a\n", New: "b\n"}, "x\na\n", blockedit.Old},
		"new":                     {blockedit.Edit{Old: "a\n", New: "b\n"}, "b\nx\n", blockedit.New},
		"both":                    {blockedit.Edit{Old: "a\n", New: "b\n"}, "b\na\n", blockedit.Third},
		"neither":                 {blockedit.Edit{Old: "a\n", New: "b\n"}, "x\n", blockedit.Third},
		"twice":                   {blockedit.Edit{Old: "a\n", New: "b\n"}, "a\na\n", blockedit.Third},
		"part of a block":         {blockedit.Edit{Old: "a\n", New: "b\n"}, "aa\n", blockedit.Third},
		"new has old in it":       {blockedit.Edit{Old: "a\n", New: "a\nb\n"}, "a\nb\n", blockedit.New},
		"old alone":               {blockedit.Edit{Old: "a\n", New: "a\nb\n"}, "a\nc\n", blockedit.Old},
		"old has new in it":       {blockedit.Edit{Old: "a\nb\n", New: "a\n"}, "a\nb\n", blockedit.Old},
		"new alone":               {blockedit.Edit{Old: "a\nb\n", New: "a\n"}, "a\nc\n", blockedit.New},
		"the last without an end": {blockedit.Edit{Old: "a", New: "b"}, "x\na", blockedit.Old},
	} {
		if got := test.edit.Of(test.text, lines); got != test.want {
			t.Errorf("%s: side %d, want %d", name, got, test.want)
		}
	}
}

func TestCheck(t *testing.T) {
	for name, edits := range map[string][]blockedit.Edit{
		"not there":      {{Old: "z\n", New: "y\n"}},
		"nothing":        {{Old: "a\n", New: ""}},
		"a new twin":     {{Old: "a\n", New: "c\n"}},
		"the same twice": {{Old: "a\n", New: "x\n"}, {Old: "a\n", New: "y\n"}},
	} {
		if err := blockedit.Check("a\nb\nc\n", edits, lines); !errors.Is(err, setting.ErrPermanent) {
			t.Errorf("%s: err = %v", name, err)
		}
	}
}

// Of several files, none is written where one has a third value.
func TestMoveIsAllOrNothing(t *testing.T) {
	root := t.TempDir()
	fsys := opfs.Under(root, opfs.OS(nil))
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	edits := []blockedit.Edit{{Path: "/one", Old: "a\n", New: "b\n"}, {Path: "/two", Old: "c\n", New: "d\n"}, {Path: "/one", Old: "e\n", New: "f\n"}}
	write("one", "a\nsecret\ne\n")
	write("two", "x\n")
	for _, gone := range []bool{false, true} {
		if gone {
			os.Remove(filepath.Join(root, "two"))
		}
		if err := blockedit.Move(fsys, "t", edits, lines, blockedit.New); !errors.Is(err, setting.ErrThirdValue) || read("one") != "a\nsecret\ne\n" {
			t.Errorf("err = %v, one is %q", err, read("one"))
		}
	}
	write("two", "c\n")
	// As after a power cut between the two files.
	write("one", "b\nsecret\nf\n")
	for range 2 {
		if err := blockedit.Move(fsys, "t", edits, lines, blockedit.New); err != nil || read("one") != "b\nsecret\nf\n" || read("two") != "d\n" {
			t.Fatalf("err = %v: %q, %q", err, read("one"), read("two"))
		}
	}
	write("two", "d\nadded\n")
	if err := blockedit.Move(fsys, "t", edits, lines, blockedit.Old); err != nil || read("one") != "a\nsecret\ne\n" || read("two") != "c\nadded\n" {
		t.Errorf("err = %v: %q, %q", err, read("one"), read("two"))
	}
	if info, err := os.Stat(filepath.Join(root, "two")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v: the mode changed", info.Mode(), err)
	}
	if at, err := blockedit.At(fsys, edits, lines, blockedit.Old); !at || err != nil {
		t.Errorf("at old: %t, %v", at, err)
	}
}

// What Check lets through can be made and taken back to the byte.
func FuzzCheck(f *testing.F) {
	f.Add("a\nb\nc", "b\n", "b\nx\n", "c", "y")
	f.Fuzz(func(t *testing.T, text, old1, new1, old2, new2 string) {
		edits := []blockedit.Edit{{Old: old1, New: new1}, {Old: old2, New: new2}}
		if blockedit.Check(text, edits, lines) != nil {
			return
		}
		after, err := blockedit.Apply(text, edits, lines, blockedit.New)
		if err != nil {
			t.Fatal(err)
		}
		again, err := blockedit.Apply(after, edits, lines, blockedit.New)
		if err != nil || again != after {
			t.Fatalf("%q, again %q, %v", after, again, err)
		}
		back, err := blockedit.Apply(after, edits, lines, blockedit.Old)
		if err != nil || back != text {
			t.Fatalf("%q, back %q, %v", text, back, err)
		}
	})
}
