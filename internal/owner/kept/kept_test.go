package kept_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/owner/kept"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

func record() kept.Record {
	return kept.Record{
		Vendor: "QNAP", Name: "studio", Serial: "Q1", MACs: []string{"24:5e:be:00:00:01"}, Firmware: "5.1.9", MadeAt: time.Unix(1790000000, 0).UTC(),
		Settings: nas.Settings{Accounts: []nas.Account{{Name: "anna", Administrator: true, Enabled: true}}}, Shares: []string{"photos"}, NotHeld: []string{"firewall rules"},
	}
}

// What was noted is there again, in place of what was noted before (R6).
func TestKeep(t *testing.T) {
	dir := t.TempDir()
	s, err := kept.Open(opfs.OS(nil), dir)
	if err != nil {
		t.Fatal(err)
	}
	old := record()
	old.Shares = []string{"old"}
	for _, r := range []kept.Record{old, record()} {
		if err := s.Keep(r); err != nil {
			t.Fatal(err)
		}
	}
	again, err := kept.Open(opfs.OS(nil), dir)
	if err != nil {
		t.Fatal(err)
	}
	got, ok := again.Lookup(nas.Identity{MACs: []string{"24:5e:be:00:00:01"}})
	if !ok || !reflect.DeepEqual(got, record()) {
		t.Errorf("%v %+v", ok, got)
	}
	if _, ok := again.Lookup(nas.Identity{Serial: "another"}); ok {
		t.Error("another NAS's settings")
	}
	info, err := os.Stat(filepath.Join(dir, kept.File))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
}

// A file that cannot be read is not overwritten.
func TestUnusable(t *testing.T) {
	dir := t.TempDir()
	for _, text := range []string{"{", `{"version":2,"records":[]}`, `{"version":1,"records":[{}]}`, `{"version":1,"records":[],"more":1}`} {
		if err := os.WriteFile(filepath.Join(dir, kept.File), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := kept.Open(opfs.OS(nil), dir); !errors.Is(err, catalog.New("file_unusable")) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	whole, err := kept.Marshal(record())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(`{"format":"paperclip-vendor-settings","version":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, ok, err := kept.Unmarshal(data)
		if !ok || err != nil {
			return
		}
		b, err := kept.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		again, ok, err := kept.Unmarshal(b)
		if !ok || err != nil || !reflect.DeepEqual(r, again) {
			t.Errorf("%v %v\n%+v\n%+v", ok, err, r, again)
		}
	})
}
