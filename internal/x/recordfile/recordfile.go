// Package recordfile keeps a list of records in one JSON file with a version.
//
// A file is read whole or not at all, and within bounds; it is replaced whole,
// by its owner alone to be read. The package knows nothing of what a record
// means, never takes a damaged file for an empty one, and never overwrites one
// by itself: whether to is its caller's to decide.
package recordfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/strictjson"
)

// ErrContent is every error about what stands in a file, rather than about
// reading it.
var ErrContent = errors.New("its content cannot be used")

// Format describes a file of records.
type Format[T any] struct {
	Name    string // of the file, in its folder
	List    string // what the file calls its list, as in {"version": 1, "devices": []}
	Version int    // the only one that is read
	Op      string // "pins" makes the operations pins.mkdir and pins.write
	MaxSize int    // bytes
	Most    int    // records
	// Check tells what is wrong with one record. It is asked before writing too.
	Check func(T) error
}

// Read returns the records of the file in dir, none where there is no file.
func (f Format[T]) Read(fsys opfs.FS, dir string) ([]T, error) {
	data, err := fsys.ReadFile(filepath.Join(dir, f.Name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	records, err := f.parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", f.Name, ErrContent, err)
	}
	return records, nil
}

func (f Format[T]) parse(data []byte) (records []T, err error) {
	if len(data) > f.MaxSize {
		return nil, fmt.Errorf("larger than %d bytes", f.MaxSize)
	}
	var fields map[string]json.RawMessage
	if err := strictjson.Unmarshal(data, &fields); err != nil {
		return nil, err
	}
	var version int
	if err := json.Unmarshal(fields["version"], &version); err != nil || version != f.Version {
		return nil, fmt.Errorf("not version %d, which is what this program reads", f.Version)
	}
	list, ok := fields[f.List]
	if !ok || len(fields) != 2 {
		return nil, fmt.Errorf("not just a version and %s", f.List)
	}
	var whole struct{ Records []T }
	if err := strictjson.Unmarshal(fmt.Appendf(nil, `{"Records":%s}`, list), &whole); err != nil {
		return nil, err
	}
	return whole.Records, f.check(whole.Records)
}

func (f Format[T]) check(records []T) error {
	if len(records) > f.Most {
		return fmt.Errorf("%d %s; at most %d", len(records), f.List, f.Most)
	}
	for i, r := range records {
		if err := f.Check(r); err != nil {
			return fmt.Errorf("number %d of its %s: %w", i+1, f.List, err)
		}
	}
	return nil
}

// Write replaces the file in dir, and makes the folder where there is none. What
// Read would not take is not written.
func (f Format[T]) Write(fsys opfs.FS, dir string, records []T) error {
	data, err := f.encode(records)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	if err := fsys.MkdirAll(f.Op+".mkdir", dir, 0o700); err != nil {
		return err
	}
	return atomicfile.Replace(fsys, f.Op+".write", filepath.Join(dir, f.Name), data, atomicfile.Options{Mode: 0o600, Enforce: true})
}

func (f Format[T]) encode(records []T) ([]byte, error) {
	if records == nil {
		records = []T{} // "null" is no list to others
	}
	if err := f.check(records); err != nil {
		return nil, err
	}
	list, err := json.MarshalIndent(records, "  ", "  ")
	if err != nil {
		return nil, err
	}
	data := fmt.Appendf(nil, "{\n  \"version\": %d,\n  %q: %s\n}\n", f.Version, f.List, list)
	if len(data) > f.MaxSize {
		return nil, fmt.Errorf("larger than %d bytes", f.MaxSize)
	}
	return data, nil
}
