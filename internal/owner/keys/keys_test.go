package keys_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/owner/keys"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

func newKey(t testing.TB) ed25519.PublicKey {
	t.Helper()
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

func open(t testing.TB, dir string) *keys.Store {
	t.Helper()
	s, err := keys.Open(opfs.OS(nil), dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func remember(t testing.TB, s *keys.Store, d keys.Device) {
	t.Helper()
	if err := s.Remember(d); err != nil {
		t.Fatal(err)
	}
}

// Promise 6: who a device is, is its key; what it announces only says which
// remembered device it pretends to be.
func TestJudge(t *testing.T) {
	cellar, attic, stranger := newKey(t), newKey(t), newKey(t)
	s := open(t, t.TempDir())
	now := time.Now()
	remember(t, s, keys.Device{PublicKey: cellar, Name: "cellar", MACs: []string{"00-11-32-AA-BB-01"}, Address: "192.168.1.5:5001", FirstSeen: now, How: keys.Met})
	remember(t, s, keys.Device{PublicKey: attic, Name: "attic", MACs: []string{"00:11:32:aa:bb:02"}, FirstSeen: now, How: keys.Claimed})
	idOf := func(pub ed25519.PublicKey) string {
		d, ok := s.Lookup(pub)
		if !ok {
			t.Fatal("not remembered")
		}
		return d.KeyID
	}
	for _, c := range []struct {
		name string
		live ed25519.PublicKey
		h    keys.Hints
		want keys.Verdict
	}{
		{"known by name", cellar, keys.Hints{Name: "Cellar"}, keys.Match},
		{"known, renamed", cellar, keys.Hints{Name: "basement"}, keys.Match},
		{"known, no hints at all", cellar, keys.Hints{}, keys.Match},
		{"stranger", stranger, keys.Hints{Name: "garage"}, keys.Unknown},
		{"stranger without hints", stranger, keys.Hints{}, keys.Unknown},
		{"stranger by a known name", stranger, keys.Hints{Name: "cellar"}, keys.Mismatch},
		{"stranger with a known MAC", stranger, keys.Hints{Name: "garage", MACs: []string{"001132AABB02"}}, keys.Mismatch},
		{"stranger announcing a known key id", stranger, keys.Hints{KeyID: idOf(attic)}, keys.Mismatch},
		{"stranger at a known address", stranger, keys.Hints{Address: "192.168.1.5:5001"}, keys.Mismatch},
		{"one known device as another", attic, keys.Hints{Name: "cellar"}, keys.Mismatch},
		{"hints of two, the key of one", attic, keys.Hints{Name: "attic", Address: "192.168.1.5:5001"}, keys.Match},
		{"a MAC that is none", stranger, keys.Hints{MACs: []string{"cellar"}}, keys.Unknown},
	} {
		if got := s.Judge(c.live, c.h); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestMemoryOutlivesTheProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "paperclip")
	pub := newKey(t)
	s := open(t, dir)
	first := time.Date(2026, 1, 2, 3, 4, 5, 999, time.FixedZone("", 3600))
	remember(t, s, keys.Device{PublicKey: pub, Name: "cellar", MACs: []string{"00:11:32:aa:bb:01", "nonsense", "001132AABB01"}, FirstSeen: first, How: keys.Claimed})
	remember(t, s, keys.Device{PublicKey: pub, Name: "basement", FirstSeen: first.Add(time.Hour), How: keys.Met})

	again := open(t, dir)
	if d := cmp.Diff(s.Devices(), again.Devices()); d != "" {
		t.Fatal(d)
	}
	d, ok := again.Lookup(pub)
	if !ok || d.Name != "basement" || d.How != keys.Claimed || !d.FirstSeen.Equal(first.Truncate(time.Second)) {
		t.Fatalf("%+v: a proved key stays proved, first seen stays, the name follows", d)
	}
	if err := again.Forget(d.KeyID); err != nil {
		t.Fatal(err)
	}
	if _, ok := open(t, dir).Lookup(pub); ok {
		t.Fatal("forgotten, and still there")
	}
}

func TestOwnerKeyIsMadeOnceAndKeptPrivate(t *testing.T) {
	dir := t.TempDir()
	k, err := open(t, dir).OwnerKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	again, err := open(t, dir).OwnerKey(strings.NewReader("")) // no randomness needed any more
	if err != nil || !again.Equal(k) {
		t.Fatalf("another key the second time: %v", err)
	}
	info, err := os.Stat(filepath.Join(dir, keys.OwnerFile))
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v", info.Mode())
	}
	if _, err := open(t, t.TempDir()).OwnerKey(strings.NewReader("short")); err == nil {
		t.Fatal("a key without randomness")
	}
	for _, bad := range []string{"", "paperclip-owner-key/1 zz\n", "paperclip-owner-key/2 " + strings.Repeat("ab", 32), "paperclip-owner-key/1 " + strings.Repeat("ab", 33)} {
		if err := os.WriteFile(filepath.Join(dir, keys.OwnerFile), []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := open(t, dir).OwnerKey(rand.Reader); !errors.Is(err, catalog.New("file_unusable")) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// A file that was damaged is never taken for an empty memory, nor overwritten.
func TestDamagedMemoryStopsEverything(t *testing.T) {
	good := func() []byte {
		dir := t.TempDir()
		s := open(t, dir)
		remember(t, s, keys.Device{PublicKey: newKey(t), Name: "cellar", How: keys.Met})
		data, err := os.ReadFile(filepath.Join(dir, keys.KnownFile))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}()
	for name, data := range map[string][]byte{
		"empty":         {},
		"cut":           good[:len(good)/2],
		"other version": bytes.Replace(good, []byte(`"version": 1`), []byte(`"version": 2`), 1),
		"unknown field": bytes.Replace(good, []byte(`"version"`), []byte(`"more": 1, "version"`), 1),
		"how":           bytes.Replace(good, []byte(`first meeting`), []byte(`hearsay`), 1),
		"key id":        bytes.Replace(good, []byte(`"key_id": "`), []byte(`"key_id": "a`), 1),
		"too large":     append(bytes.Repeat([]byte(" "), 5<<20), good...),
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, keys.KnownFile)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := keys.Open(opfs.OS(nil), dir); catalog.ExitOf(err) != catalog.WrongUse {
			t.Errorf("%s: %v", name, err)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, data) {
			t.Errorf("%s: the file was touched", name)
		}
	}
}

// A write that fails leaves the old memory, on disk and here.
func TestFailedWriteChangesNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	remember(t, s, keys.Device{PublicKey: newKey(t), Name: "cellar", How: keys.Met})
	want := s.Devices()
	for _, op := range []string{"keys.mkdir", "keys.write.create", "keys.write.write", "keys.write.sync", "keys.write.rename"} {
		failing, err := keys.Open(opfs.OS(func(o string, w opfs.When) error {
			if o == op && w == opfs.Before {
				return errors.New("disk full")
			}
			return nil
		}), dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := failing.Remember(keys.Device{PublicKey: newKey(t), Name: "attic", How: keys.Met}); err == nil {
			t.Errorf("%s: no error", op)
		}
		if d := cmp.Diff(want, failing.Devices()); d != "" {
			t.Errorf("%s: %s", op, d)
		}
		if d := cmp.Diff(want, open(t, dir).Devices()); d != "" {
			t.Errorf("%s: on disk: %s", op, d)
		}
	}
}

// Whatever is remembered, in whatever order: a key is judged a match only if
// it was remembered, and never as a device that the hints do not name.
func TestJudgeProperties(t *testing.T) {
	pubs := []ed25519.PublicKey{newKey(t), newKey(t), newKey(t)}
	names := []string{"", "cellar", "attic"}
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "keys")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		s, err := keys.Open(opfs.OS(nil), dir)
		if err != nil {
			t.Fatal(err)
		}
		nameOf := map[string]string{}
		for range rapid.IntRange(0, 4).Draw(t, "n") {
			pub, name := rapid.SampledFrom(pubs).Draw(t, "key"), rapid.SampledFrom(names).Draw(t, "name")
			if err := s.Remember(keys.Device{PublicKey: pub, Name: name, How: keys.Met}); err != nil {
				t.Fatal(err)
			}
			nameOf[string(pub)] = name
		}
		live, asked := rapid.SampledFrom(pubs).Draw(t, "live"), rapid.SampledFrom(names).Draw(t, "asked")
		_, remembered := nameOf[string(live)]
		named, right := false, false
		for k, n := range nameOf {
			if asked != "" && n == asked {
				named = true
				right = right || k == string(live)
			}
		}
		want := keys.Unknown
		switch {
		case named && !right:
			want = keys.Mismatch
		case remembered:
			want = keys.Match
		}
		if got := s.Judge(live, keys.Hints{Name: asked}); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	})
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte(`{"version":1,"devices":[]}`))
	f.Add([]byte(`{"version":1,"devices":[{"key_id":"a","public_key":"","name":"","macs":[],"address":"","first_seen":"2026-01-01T00:00:00Z","how":"claim"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, keys.KnownFile), data, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := keys.Open(opfs.OS(nil), dir)
		if err != nil {
			return
		}
		for _, d := range s.Devices() {
			if err := s.Remember(d); err != nil {
				t.Fatalf("what was read cannot be written: %v", err)
			}
		}
		if d := cmp.Diff(s.Devices(), open(t, dir).Devices()); d != "" && len(s.Devices()) > 0 {
			t.Fatal(d)
		}
	})
}
