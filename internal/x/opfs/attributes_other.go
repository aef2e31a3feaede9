//go:build !linux && !darwin

package opfs

import (
	"errors"
	"os"
)

func attributes(path string) (Attributes, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return Attributes{}, err
	}
	return Attributes{Mode: info.Mode().Perm(), UID: -1, GID: -1}, nil
}

func setXattr(*os.File, string, []byte) error { return errors.ErrUnsupported }

// syncDir has nothing to do: here a rename is made durable with the file.
func syncDir(path string) error {
	_, err := os.Stat(path)
	return err
}
