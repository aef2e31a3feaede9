package pins_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/owner/pins"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// Pinned at the first meeting; another certificate takes its place only after a
// person has proved the box.
func TestMeetings(t *testing.T) {
	dir := t.TempDir()
	s, err := pins.Open(opfs.OS(nil), dir)
	if err != nil {
		t.Fatal(err)
	}
	one, two := "sha256:"+strings.Repeat("1", 64), "sha256:"+strings.Repeat("2", 64)
	id := nas.Identity{Name: "attic", Serial: "S1", MACs: []string{"00:11:32:00:00:01"}}
	if v := s.Judge(one, id); v != pins.Unknown {
		t.Error(v)
	}
	d := pins.Device{Fingerprint: one, Vendor: "Synology", Name: "attic", Serial: "S1", MACs: id.MACs, Seen: time.Now()}
	if err := s.Remember(d); err != nil {
		t.Fatal(err)
	}
	if s, err = pins.Open(opfs.OS(nil), dir); err != nil {
		t.Fatal(err)
	}
	byMAC := nas.Identity{Name: "DiskStation", MACs: id.MACs}
	if s.Judge(one, byMAC) != pins.Match || s.Judge(two, byMAC) != pins.Mismatch || s.Judge("", byMAC) != pins.Mismatch || s.Pin(byMAC) != one {
		t.Error("by its MAC")
	}
	if s.Judge(two, nas.Identity{Name: "attic"}) != pins.Unknown {
		t.Error("a name alone means nothing")
	}
	d.Fingerprint = two
	if err := s.Remember(d); err != nil || s.Pin(id) != one {
		t.Error("another certificate took its place unproved")
	}
	d.Proved = true
	if err := s.Remember(d); err != nil || s.Pin(id) != two || s.Judge(one, id) != pins.Mismatch {
		t.Error("a proved box is not remembered")
	}
}

func TestDamagedFile(t *testing.T) {
	for _, text := range []string{"{", `{"version":2,"devices":[]}`, `{"version":1,"devices":[{"fingerprint":"x"}]}`, `{"version":1,"devices":[],"more":1}`, strings.Repeat(" ", 5<<20)} {
		dir := t.TempDir()
		file := filepath.Join(dir, pins.File)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := pins.Open(opfs.OS(nil), dir); !errors.Is(err, catalog.New("file_unusable")) {
			t.Errorf("%.20q: %v", text, err)
		}
		if b, _ := os.ReadFile(file); string(b) != text {
			t.Error("a file that cannot be read was changed")
		}
	}
}
