package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// Shelf is a folder of bundles, the latest few of them, each a file for root
// alone. A name sorts by age: 000001-<transaction>.json.
type Shelf struct {
	FS  opfs.FS
	Dir string
	Op  string // what its operations' names begin with: "bundle"
}

// Names lists the bundles, the oldest first.
func (s Shelf) Names() ([]string, error) {
	entries, err := s.FS.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if number(e.Name()) > 0 {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// Put writes a bundle, durably, and returns its name. One of the same
// transaction that is there already is replaced.
func (s Shelf) Put(b Bundle) (string, error) {
	raw, err := Encode(b)
	if err != nil {
		return "", err
	}
	names, err := s.Names()
	if err != nil {
		return "", err
	}
	next := 1
	if len(names) > 0 {
		next = number(names[len(names)-1]) + 1
	}
	name := fmt.Sprintf("%06d-%s.json", next, b.Transaction)
	for _, n := range names {
		if strings.HasSuffix(n, "-"+b.Transaction+".json") {
			name = n
		}
	}
	if err := atomicfile.MakeDir(s.FS, s.Op, s.Dir, 0o700); err != nil {
		return "", err
	}
	return name, atomicfile.Replace(s.FS, s.Op+".write", path.Join(s.Dir, name), raw, atomicfile.Options{Mode: 0o600, Enforce: true})
}

// Prune removes all but the latest keep.
func (s Shelf) Prune(keep int) error {
	names, err := s.Names()
	if err != nil || len(names) <= keep {
		return err
	}
	for _, n := range names[:len(names)-keep] {
		if err := s.FS.Remove(s.Op+".prune", path.Join(s.Dir, n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return s.FS.SyncDir(s.Op+".prune.syncdir", s.Dir)
}

// Load reads one bundle by the name that Names gives.
func (s Shelf) Load(name string) (Bundle, error) {
	if number(name) == 0 {
		return Bundle{}, fs.ErrNotExist
	}
	raw, err := s.FS.ReadFile(path.Join(s.Dir, name))
	if err != nil {
		return Bundle{}, err
	}
	return Parse(raw)
}

// number is what a bundle's name begins with; 0 is no bundle's name.
func number(name string) (n int) {
	digits, rest, ok := strings.Cut(name, "-")
	if !ok || !strings.HasSuffix(rest, ".json") || len(digits) < 6 || len(digits) > 9 || strings.ContainsAny(rest, "/\\") {
		return 0
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0
		}
		n = 10*n + int(c-'0')
	}
	return n
}
