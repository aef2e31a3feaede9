package scratch

import "golang.org/x/sys/unix"

// enough is how many bytes have to be free: all scripts at once take 144 MB.
const enough = 1 << 30

// room says whether the disk in memory is there and has enough room.
func room() bool {
	var st unix.Statfs_t
	return unix.Statfs(memory, &st) == nil && st.Bavail*uint64(st.Bsize) >= enough
}
