package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// fillVolume puts real files on a virtual volume, once: photos and papers of
// ten years, with names, sizes and modes as people have them. The content is
// random but the same each time; nothing secret is made of it.
func fillVolume(dir string, files int) error {
	done := filepath.Join(filepath.Dir(dir), "volume1.filled")
	if _, err := os.Stat(done); err == nil {
		return nil
	}
	random := rand.New(rand.NewPCG(2016, uint64(files)))
	modes := []fs.FileMode{0o644, 0o600, 0o640, 0o664, 0o755, 0o444}
	for i := range files {
		name := filepath.Join(dir, "photos", fmt.Sprint(2016+i%10), fmt.Sprintf("Été %02d", i%12+1), fmt.Sprintf("IMG_%04d.jpg", i))
		if i%7 == 0 {
			name = filepath.Join(dir, "papers", fmt.Sprintf("letter to Großmutter %d.txt", i))
		}
		content := make([]byte, 200+random.IntN(4000))
		for j := range content {
			content[j] = byte(random.Uint32())
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, content, 0o600); err != nil {
			return err
		}
		if err := os.Chmod(name, modes[i%len(modes)]); err != nil {
			return err
		}
	}
	return os.WriteFile(done, nil, 0o600)
}

// entry is one file of a volume as a witness sees it.
type entry struct {
	Mode    fs.FileMode `json:"mode"`
	UID     uint32      `json:"uid"`
	GID     uint32      `json:"gid"`
	Size    int64       `json:"size"`
	Content string      `json:"content,omitempty"` // SHA-256, or where a link points
}

// survey looks at every file below dir, by its path from there.
func survey(dir string) (map[string]entry, error) {
	all := map[string]entry{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		e := entry{Mode: info.Mode()}
		e.UID, e.GID = ownerOf(info)
		switch {
		case info.Mode().IsRegular():
			e.Size = info.Size()
			raw, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			sum := sha256.Sum256(raw)
			e.Content = hex.EncodeToString(sum[:])
		case info.Mode()&fs.ModeSymlink != 0:
			if e.Content, err = os.Readlink(name); err != nil {
				return err
			}
		}
		all[rel] = e
		return nil
	})
	return all, err
}

// changed counts the names whose entry is not the same in both, one that is
// only in one of them included.
func changed(before, after map[string]entry) int {
	n := 0
	for name, b := range before {
		if a, ok := after[name]; !ok || a != b {
			n++
		}
	}
	for name := range after {
		if _, ok := before[name]; !ok {
			n++
		}
	}
	return n
}
