//go:build linux

package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Load is somebody who saves files all the time: each whole, synced, and told on the serial line once it
// is safe. The content follows from the number, so that it can be checked without keeping it.

const (
	loadSize  = 64 << 10
	loadPause = 50 * time.Millisecond // the emulated NAS has other things to do as well
)

func loadName(dir string, i int) string { return filepath.Join(dir, fmt.Sprintf("saved %06d", i)) }

func loadContent(i int) []byte {
	block := sha256.Sum256(fmt.Appendf(nil, "file %d", i))
	return bytes.Repeat(block[:], 1+i*37%(loadSize/len(block)))
}

// load writes until the power fails.
func load(dir string) error {
	told, err := os.OpenFile("/dev/ttyS0", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		if err := save(folder, loadName(dir, i), loadContent(i)); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(told, "\nsaved %d\n", i); err != nil {
			return err
		}
		time.Sleep(loadPause)
	}
}

// save is what a careful program does: another name, synced, renamed, and the folder synced.
func save(folder *os.File, name string, content []byte) error {
	part := name + ".part"
	f, err := os.Create(part)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return errors.Join(os.Rename(part, name), folder.Sync())
}

// checkLoad says how many files are there, from the first on; a damaged one or a gap is an error.
func checkLoad(dir string) error {
	entries, err := filepath.Glob(filepath.Join(dir, "saved ??????"))
	if err != nil {
		return err
	}
	for i := range entries {
		got, err := os.ReadFile(loadName(dir, i))
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("file %d of %d is not there", i, len(entries))
		}
		if err != nil {
			return err
		}
		if !bytes.Equal(got, loadContent(i)) {
			return fmt.Errorf("file %d is damaged: %d bytes of %d", i, len(got), len(loadContent(i)))
		}
	}
	fmt.Println(len(entries))
	return nil
}
