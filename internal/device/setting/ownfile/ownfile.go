// Package ownfile is for settings that are a whole file of ours: written whole,
// or not there. It gives adapters the part that is the same for all of them:
// going from a recorded content to another, only from that content, again and
// again.
//
// It never merges, and never touches a file whose content it did not expect.
package ownfile

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// Content is what a file holds; nil is no file.
type Content *string

// Text is a file with that content.
func Text(s string) Content { return &s }

// Equal reports whether two contents are the same.
func Equal(a, b Content) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// Read is the content of path now.
func Read(fsys opfs.FS, path string) (Content, error) {
	data, err := fsys.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return Text(string(data)), nil
}

// Move takes path from one content to another. Where it holds the new one
// already, that is made durable; where it holds neither, it is
// setting.ErrThirdValue. Its operations are those of package atomicfile.
func Move(fsys opfs.FS, op, file string, from, to Content) error {
	now, err := Read(fsys, file)
	switch {
	case err != nil:
		return err
	case Equal(now, to):
		return atomicfile.Settle(fsys, op, file)
	case !Equal(now, from):
		return fmt.Errorf("%s: %w", file, setting.ErrThirdValue)
	case to == nil:
		return Permanent(atomicfile.Remove(fsys, op, file))
	}
	if now == nil { // so its directory may be missing, or new
		if err := atomicfile.MakeDir(fsys, op, path.Dir(file), 0o755); err != nil {
			return err
		}
	}
	return Permanent(atomicfile.Replace(fsys, op, file, []byte(*to), atomicfile.Options{}))
}

// Permanent marks the failures of package atomicfile that trying again cannot mend.
func Permanent(err error) error {
	if errors.Is(err, atomicfile.ErrMountPoint) || errors.Is(err, atomicfile.ErrNotRegular) {
		return fmt.Errorf("%w: %w", setting.ErrPermanent, err)
	}
	return err
}
