// Package entry is for settings that are one entry of a file that belongs to
// the owner or to another program: a line of smb.conf, a field of the shadow
// file. It gives adapters the part that is the same for all of them: going from
// a recorded value to another, only from that value, again and again, while
// every other byte of the file stays.
//
// It knows no format: an Entry brings its own two functions. It never makes a
// file that was not there.
package entry

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ownfile"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// Entry is one entry of one file. A value is whatever Get finds and Set can put
// back to the byte, so that Set(Set(text, v), Get(text)) is text again; nil is
// an entry that is not there.
type Entry struct {
	Path string
	Get  func(text string) ownfile.Content
	Set  func(text string, value ownfile.Content) string
}

// Span is an entry that stands in one place of the file, where find sees it:
// text[from:to]. It is replaced there, and never made or taken out.
func Span(path string, find func(text string) (from, to int, ok bool)) Entry {
	return Entry{
		Path: path,
		Get: func(text string) ownfile.Content {
			from, to, ok := find(text)
			if !ok {
				return nil
			}
			return ownfile.Text(text[from:to])
		},
		Set: func(text string, value ownfile.Content) string {
			from, to, ok := find(text)
			if !ok || value == nil {
				return text
			}
			return text[:from] + *value + text[to:]
		},
	}
}

// Read is the value now.
func (e Entry) Read(fsys opfs.FS) (ownfile.Content, error) {
	data, err := fsys.ReadFile(e.Path)
	if err != nil {
		return nil, err
	}
	return e.Get(string(data)), nil
}

// Move takes the entry from one value to another. Where it has the new one
// already, that is made durable; where it has neither, or the file is gone, it
// is setting.ErrThirdValue. Its operations are those of package atomicfile.
func (e Entry) Move(fsys opfs.FS, op string, from, to ownfile.Content) error {
	data, err := fsys.ReadFile(e.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is gone: %w", e.Path, setting.ErrThirdValue)
	}
	if err != nil {
		return err
	}
	switch now := e.Get(string(data)); {
	case ownfile.Equal(now, to):
		return atomicfile.Settle(fsys, op, e.Path)
	case !ownfile.Equal(now, from):
		return fmt.Errorf("%s: %w", e.Path, setting.ErrThirdValue)
	}
	text := e.Set(string(data), to)
	if !ownfile.Equal(e.Get(text), to) {
		return fmt.Errorf("%s cannot be changed: it would not read back as written: %w", e.Path, setting.ErrPermanent)
	}
	return ownfile.Permanent(atomicfile.Replace(fsys, op, e.Path, []byte(text), atomicfile.Options{}))
}
