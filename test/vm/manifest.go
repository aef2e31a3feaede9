//go:build linux

package vm

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Entry is one name of a file system with all that must not change of it; see guest/manifest.go.
type Entry struct {
	Path   []byte            `json:"path"`
	Mode   string            `json:"mode"`
	UID    uint32            `json:"uid"`
	GID    uint32            `json:"gid"`
	Size   int64             `json:"size"`
	SHA256 string            `json:"sha256"`
	Target string            `json:"target"`
	Links  uint64            `json:"links"`
	Device uint64            `json:"device"`
	Xattrs map[string][]byte `json:"xattrs"`
	Mtime  int64             `json:"mtime"`
	Ctime  int64             `json:"ctime"`
}

// Regular says whether the entry is a file with content.
func (e Entry) Regular() bool { return strings.HasPrefix(e.Mode, "10") }

// Manifest is every entry below some roots, by path.
type Manifest map[string]Entry

// Manifest reads all that is below the roots, in the guest, contents hashed.
func (a *Agent) Manifest(ctx context.Context, roots ...string) (Manifest, error) {
	return a.manifest(ctx, roots...)
}

// Touch is a manifest without hashes: what was written to since is told by the change times.
func (a *Agent) Touch(ctx context.Context, roots ...string) (Manifest, error) {
	return a.manifest(ctx, append([]string{"-touch"}, roots...)...)
}

func (a *Agent) manifest(ctx context.Context, args ...string) (Manifest, error) {
	r, err := a.Run(ctx, append([]string{guestProgram, "manifest"}, args...)...)
	if err != nil {
		return nil, err
	}
	return parseManifest(r.Stdout)
}

const guestProgram = "/run/paperclip-vm/guest"

func parseManifest(lines []byte) (Manifest, error) {
	m := Manifest{}
	for d := json.NewDecoder(bytes.NewReader(lines)); d.More(); {
		var e Entry
		if err := d.Decode(&e); err != nil {
			return nil, fmt.Errorf("manifest: %w", err)
		}
		m[string(e.Path)] = e
	}
	return m, nil
}

// Files counts the regular files.
func (m Manifest) Files() int {
	n := 0
	for _, e := range m {
		if e.Regular() {
			n++
		}
	}
	return n
}

// Changes lists what differs between two manifests, one line a name, sorted. A name that except
// gives a reason for is left out.
func (m Manifest) Changes(after Manifest, except func(path string) (reason string)) []string {
	var changes []string
	note := func(path, what string) {
		if except == nil || except(path) == "" {
			changes = append(changes, fmt.Sprintf("%q %s", path, what))
		}
	}
	for path, was := range m {
		is, ok := after[path]
		switch {
		case !ok:
			note(path, "is gone")
		case !reflect.DeepEqual(was, is):
			note(path, "changed: "+difference(was, is))
		}
	}
	for path := range after {
		if _, ok := m[path]; !ok {
			note(path, "is new")
		}
	}
	slices.Sort(changes)
	return changes
}

func difference(was, is Entry) string {
	var fields []string
	a, b := reflect.ValueOf(was), reflect.ValueOf(is)
	for i := range a.NumField() {
		if !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			fields = append(fields, strings.ToLower(a.Type().Field(i).Name))
		}
	}
	return strings.Join(fields, ", ")
}
