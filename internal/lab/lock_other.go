//go:build !unix

package lab

import "os"

// lockFile holds the file open: where there are no advisory locks, two racks on
// one folder are left to the person who starts them.
func lockFile(name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}

// ownerOf is unknown on a system without numeric owners.
func ownerOf(os.FileInfo) (uid, gid uint32) { return 0, 0 }
