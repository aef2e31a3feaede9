package opfs

import "golang.org/x/sys/unix"

// An open-file-description lock conflicts with the per-process locks that
// other programs take on the same file, and, unlike those, is not lost when
// some other part of this process closes the file.
const lockCommand = unix.F_OFD_SETLK
