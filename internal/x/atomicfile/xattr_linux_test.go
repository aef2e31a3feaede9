package atomicfile_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// keepsXattr: an extended attribute of the old file is on the new one. (Access
// control lists are such attributes too.)
func keepsXattr(t *testing.T, path string) {
	t.Helper()
	if err := unix.Lsetxattr(path, "user.paperclip", []byte("kept"), 0); err != nil {
		t.Log("no extended attributes here:", err)
		return
	}
	if err := atomicfile.Replace(opfs.OS(nil), "t", path, []byte("newer"), atomicfile.Options{}); err != nil {
		t.Fatal(err)
	}
	a, err := opfs.OS(nil).Attributes(path)
	if err != nil || string(a.Xattrs["user.paperclip"]) != "kept" {
		t.Errorf("attributes %v, %v", a.Xattrs, err)
	}
}
