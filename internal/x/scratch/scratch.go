// Package scratch is a test's folder in memory, where the machine has such a disk
// with room (a container's often has none): thousands of fsyncs cost nothing there,
// and what a killed process has written is there after it all the same.
//
// It is for tests only, and never for one that cuts the power: package crashfs is.
package scratch

import (
	"os"
	"testing"
)

const memory = "/dev/shm"

// OnDisk is a test that is about what a disk keeps of a file: its folders are its
// TempDir, wherever it asks for them.
type OnDisk interface{ OnDisk() }

// Dir is a new folder that goes with the test.
func Dir(t testing.TB) string {
	t.Helper()
	if _, disk := t.(OnDisk); disk || !room() {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(memory, "paperclip-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}
