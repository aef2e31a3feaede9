package findhost_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/protocol/findhost"
)

// samples is the folder of captures that stands beside the checkout where there
// is one; they are no part of the repository.
const samples = "../../../../shared/samples/synology/findhost"

// labels is what an independent reader made of a capture.
type labels struct {
	Bytes int `json:"bytes"`
	TLVs  []map[string]any
}

// F2: captures of real devices, checked against labels that another project's
// reader made.
func TestCaptures(t *testing.T) {
	paths, _ := filepath.Glob(filepath.Join(samples, "*.hex"))
	if len(paths) == 0 {
		t.Skip("no captures beside the checkout")
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			b := vector(t, path)
			p, err := findhost.Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := p.Append(nil); err != nil || !bytes.Equal(again, b) {
				t.Errorf("built %x, %v", again, err)
			}
			if strings.HasPrefix(filepath.Base(path), "query") {
				if !p.IsQuery() {
					t.Error("not read as a query")
				}
				return
			}
			if _, err := p.Reply(); err != nil {
				t.Error(err)
			}
			checkLabels(t, p, strings.TrimSuffix(path, ".hex")+".labels.json", len(b))
		})
	}
}

func checkLabels(t *testing.T, p findhost.Packet, path string, size int) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Skip("a capture without labels")
	}
	var want labels
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	if size != want.Bytes || len(p.Fields) != len(want.TLVs) {
		t.Fatalf("%d bytes, %d fields; want %d, %d", size, len(p.Fields), want.Bytes, len(want.TLVs))
	}
	for i, label := range want.TLVs {
		f := p.Fields[i]
		id, err := strconv.ParseUint(label["id"].(string), 0, 8)
		if err != nil || f.ID != byte(id) || len(f.Value) != int(label["len"].(float64)) {
			t.Errorf("field %d: %02x with %d bytes, want %v", i, f.ID, len(f.Value), label)
			continue
		}
		for key, value := range label {
			if key != "id" && key != "len" && key != "empty" && !says(f.Value, value) {
				t.Errorf("field %02x: %x, want %s = %v", f.ID, f.Value, key, value)
			}
		}
	}
}

// says reports whether v holds what a label gives: text, an address, or a
// number, which labels write as such or in hexadecimal.
func says(v []byte, label any) bool {
	padded := append(append([]byte(nil), v...), make([]byte, 8)...)
	n := binary.LittleEndian.Uint64(padded)
	if number, ok := label.(float64); ok {
		return n == uint64(number)
	}
	text := label.(string)
	if hexadecimal, err := strconv.ParseUint(text, 0, 64); err == nil && strings.HasPrefix(text, "0x") {
		return n == hexadecimal
	}
	if a, err := netip.ParseAddr(text); err == nil {
		return bytes.Equal(v, a.AsSlice())
	}
	return string(v) == text
}
