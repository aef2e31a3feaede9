package bundle_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/paperclip-nas/paperclip/internal/device/bundle"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

func example(transaction string) bundle.Bundle {
	return bundle.Bundle{
		Version: bundle.Version, MadeAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), KeyID: "k", Name: "cellar", Transaction: transaction,
		Sections: map[string]json.RawMessage{"networkd": json.RawMessage(`{"version":1}`), "shadow": json.RawMessage(`"x"`)},
		NotHeld:  []string{"faillock"},
	}
}

func TestRoundTrip(t *testing.T) {
	raw, err := bundle.Encode(example("t1"))
	if err != nil {
		t.Fatal(err)
	}
	back, err := bundle.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(example("t1"), back); d != "" {
		t.Error(d)
	}
}

// A bundle of a later version is not called damaged: a newer program reads it.
func TestParseRefuses(t *testing.T) {
	good, err := bundle.Encode(example("t1"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		raw  string
		want error
	}{
		"newer":       {`{"version":2,"what":"is this"}`, bundle.ErrNewer},
		"truncated":   {string(good[:len(good)-2]), bundle.ErrDamaged},
		"nothing":     {"", bundle.ErrDamaged},
		"no version":  {`{"sections":{}}`, bundle.ErrDamaged},
		"no sections": {`{"version":1,"made_at":"2026-01-02T03:04:05Z","key_id":"k","name":"n"}`, bundle.ErrDamaged},
		"unknown":     {strings.Replace(string(good), `"name"`, `"nome"`, 1), bundle.ErrDamaged},
		"too large":   {string(good) + strings.Repeat(" ", bundle.MaxSize), bundle.ErrDamaged},
	} {
		if _, err := bundle.Parse([]byte(c.raw)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The latest three are kept, for root alone.
func TestShelf(t *testing.T) {
	s := bundle.Shelf{FS: opfs.OS(nil), Dir: filepath.Join(t.TempDir(), "bundles"), Op: "bundle"}
	if names, err := s.Names(); err != nil || len(names) != 0 {
		t.Fatal(names, err)
	}
	for _, id := range []string{"a", "b", "b", "c", "d"} {
		name, err := s.Put(example(id))
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(filepath.Join(s.Dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info, err)
		}
		if err := s.Prune(3); err != nil {
			t.Fatal(err)
		}
	}
	names, err := s.Names()
	if d := cmp.Diff([]string{"000002-b.json", "000003-c.json", "000004-d.json"}, names); d != "" || err != nil {
		t.Error(d, err)
	}
	b, err := s.Load(names[2])
	if err != nil || b.Transaction != "d" {
		t.Errorf("%v %v", b, err)
	}
	for _, name := range []string{"../identity.key", "000001-a.json", "000001-../x.json", ""} {
		if _, err := s.Load(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	raw, err := bundle.Encode(example("t1"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := bundle.Parse(raw)
		if err != nil {
			if !errors.Is(err, bundle.ErrDamaged) && !errors.Is(err, bundle.ErrNewer) {
				t.Fatalf("another error: %v", err)
			}
			return
		}
		again, err := bundle.Encode(b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bundle.Parse(again); err != nil {
			t.Fatalf("what was written is not read: %v\n%s", err, again)
		}
	})
}

// There are bounds to what is kept, and nothing is kept that is not read again.
func TestBounds(t *testing.T) {
	b := example("t1")
	b.Version, b.Sections = 0, nil
	raw, err := bundle.Encode(b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bundle.Parse(raw); err != nil {
		t.Error(err)
	}
	b.Sections = map[string]json.RawMessage{}
	for i := range 201 {
		b.Sections[fmt.Sprint(i)] = json.RawMessage("1")
	}
	if _, err := bundle.Encode(b); !errors.Is(err, bundle.ErrTooLarge) {
		t.Errorf("201 sections: %v", err)
	}
	b.Version = bundle.Version
	if raw, err = json.Marshal(b); err != nil {
		t.Fatal(err)
	}
	if _, err := bundle.Parse(raw); !errors.Is(err, bundle.ErrDamaged) {
		t.Errorf("201 sections: %v", err)
	}
	b.Sections = map[string]json.RawMessage{"a": json.RawMessage(`"` + strings.Repeat("a", bundle.MaxSize) + `"`)}
	if _, err := bundle.Encode(b); !errors.Is(err, bundle.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

// What else lies in the folder is no bundle, by whatever name it is asked for.
func TestShelfIsOfBundlesOnly(t *testing.T) {
	s := bundle.Shelf{FS: opfs.OS(nil), Dir: t.TempDir(), Op: "bundle"}
	raw, err := bundle.Encode(example("a"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"out.json", "notes-1.json", "00000a-x.json", "00000!-x.json", "12-x.json", "1234567890-x.json", "000001-x.txt"} {
		if err := os.WriteFile(filepath.Join(s.Dir, name), raw, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Load(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.Load("000001-/../out.json"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("by another name: %v", err)
	}
	if names, err := s.Names(); len(names) != 0 || err != nil {
		t.Error(names, err)
	}
}
