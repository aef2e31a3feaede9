package ownfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ownfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// Of several files, none is written where one holds a third value.
func TestMoveAllIsAllOrNothing(t *testing.T) {
	root := t.TempDir()
	fsys := opfs.Under(root, opfs.OS(nil))
	if err := os.WriteFile(filepath.Join(root, "two"), []byte("somebody's"), 0o600); err != nil {
		t.Fatal(err)
	}
	files := []ownfile.File{{Path: "/one", To: ownfile.Text("ours")}, {Path: "/two", From: ownfile.Text("old"), To: ownfile.Text("new")}}
	err := ownfile.MoveAll(fsys, "test", files, false)
	if one, _ := ownfile.Read(fsys, "/one"); one != nil || !errors.Is(err, setting.ErrThirdValue) {
		t.Errorf("err = %v, and the first file was written: %t", err, one != nil)
	}
}

func TestMoveMakesTheDirectory(t *testing.T) {
	fsys := opfs.Under(t.TempDir(), opfs.OS(nil))
	if err := ownfile.Move(fsys, "test", "/a/b/c", nil, ownfile.Text("ours")); err != nil {
		t.Error(err)
	}
}

// A file that was removed is as it was, its mode too.
func TestMake(t *testing.T) {
	root := t.TempDir()
	if err := ownfile.Make(opfs.Under(root, opfs.OS(nil)), "test", "/file", []byte("text"), 0o640, os.Getuid(), os.Getgid()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(root, "file"))
	if err != nil || string(data) != "text" {
		t.Errorf("%q, %v", data, err)
	}
	if info, err := os.Stat(filepath.Join(root, "file")); err != nil || info.Mode() != 0o640 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if all, err := os.ReadDir(root); err != nil || len(all) != 1 {
		t.Errorf("left: %v, %v", all, err)
	}
}
