package core

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/strictjson"
)

// A file in the state directory that core alone reads and writes, root only.

// readState fills into from a file; one that is missing leaves it as it is. What
// is there and cannot be understood is an error: nothing that core must remember
// is taken for forgotten.
func readState(fsys opfs.FS, file string, into any) error {
	raw, err := fsys.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	if err := strictjson.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%s cannot be understood: %w", file, err)
	}
	return nil
}

// writeState replaces a file, whole and durably.
func writeState(fsys opfs.FS, op, file string, v any) error {
	raw, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	if err := atomicfile.Replace(fsys, op, file, append(raw, '\n'), atomicfile.Options{Mode: 0o600, Enforce: true}); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return nil
}

// namesIn lists the files of a folder whose names end so, in their order. What a cut
// write left is none of them; nor is there any where the folder is not there yet.
func namesIn(fsys opfs.FS, dir, ending string) ([]string, error) {
	entries, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ending) && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}
