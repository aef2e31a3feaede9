package shadow

import (
	"bytes"
	"testing"
)

// Whatever the file is, changing a line and changing it back gives the same
// bytes, and changing it is seen by reading it.
func FuzzFile(f *testing.F) {
	f.Add([]byte("anna:$6$s$h:1:0:99999:7:::\n"))
	f.Add([]byte("anna:::::::::\nanna"))
	f.Add([]byte("#\n\nanna:*:0:::::1:\r\n:x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file := parse(data)
		old, err := file.value("anna")
		if err != nil {
			return
		}
		renewed := old.renewed("$6$new$new", 20_000)
		file.set("anna", renewed)
		again := parse(file.bytes())
		if got, err := again.value("anna"); err != nil || got != renewed {
			t.Fatalf("%q: read %+v, %v; want %+v", data, got, err, renewed)
		}
		again.set("anna", old)
		if !bytes.Equal(again.bytes(), data) {
			t.Fatalf("%q became %q", data, again.bytes())
		}
	})
}
