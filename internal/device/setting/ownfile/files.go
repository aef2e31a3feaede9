package ownfile

import (
	"fmt"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// File is one whole file, before and after.
type File struct {
	Path string  `json:"path"`
	From Content `json:"from"`
	To   Content `json:"to"`
}

// MoveAll takes all files to their new content, or with back to the old one.
// Nothing is written where any of them holds neither.
func MoveAll(fsys opfs.FS, op string, files []File, back bool) error {
	for _, f := range files {
		now, err := Read(fsys, f.Path)
		if err != nil {
			return err
		}
		if !Equal(now, f.From) && !Equal(now, f.To) {
			return fmt.Errorf("%s: %w", f.Path, setting.ErrThirdValue)
		}
	}
	for _, f := range files {
		from, to := f.From, f.To
		if back {
			from, to = to, from
		}
		if err := Move(fsys, op, f.Path, from, to); err != nil {
			return err
		}
	}
	return nil
}

// Are reports whether all files have their new content.
func Are(fsys opfs.FS, files []File) (bool, error) {
	for _, f := range files {
		now, err := Read(fsys, f.Path)
		if err != nil || !Equal(now, f.To) {
			return false, err
		}
	}
	return true, nil
}
