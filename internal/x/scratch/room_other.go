//go:build !linux

package scratch

// room says that only Linux has such a disk.
func room() bool { return false }
