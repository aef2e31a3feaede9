//go:build linux

package vm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

// log makes what QEMU writes: requests with their data, of which the header counts some.
func diskLog(counted int, entries ...[4]uint64) []byte {
	b := make([]byte, sector)
	for i, v := range []uint64{logMagic, 1, uint64(counted), sector} {
		binary.LittleEndian.PutUint64(b[8*i:], v)
	}
	for _, e := range entries {
		head := make([]byte, sector)
		for i, v := range e[:3] {
			binary.LittleEndian.PutUint64(head[8*i:], v)
		}
		b = append(b, head...)
		if e[2]&flagDiscard == 0 {
			b = append(b, bytes.Repeat([]byte{byte(e[3])}, int(e[1])*sector)...)
		}
	}
	return append(b, make([]byte, 4*sector)...)
}

type image []byte

func (m image) WriteAt(p []byte, at int64) (int, error) { return copy(m[at:], p), nil }

// A disk that loses its cache keeps what was written before the last flush, in order, and what went through.
func TestReplayKeepsWhatWasFlushed(t *testing.T) {
	for name, c := range map[string]struct {
		log  []byte
		want string // the first byte of each of four sectors
		lost int
	}{
		"never flushed":        {make([]byte, 8*sector), "....", 0},
		"before a flush":       {diskLog(3, [4]uint64{0, 2, 0, 'a'}, [4]uint64{1, 1, 0, 'b'}, [4]uint64{0, 0, flagFlush, 0}), "ab..", 0},
		"after the flush":      {diskLog(3, [4]uint64{0, 1, 0, 'a'}, [4]uint64{0, 0, flagFlush, 0}, [4]uint64{1, 1, 0, 'b'}), "a...", 1},
		"through the cache":    {diskLog(3, [4]uint64{0, 0, flagFlush, 0}, [4]uint64{1, 1, 0, 'b'}, [4]uint64{2, 1, flagFUA, 'c'}), "..c.", 1},
		"behind what counts":   {diskLog(2, [4]uint64{0, 1, 0, 'a'}, [4]uint64{0, 0, flagFlush, 0}, [4]uint64{1, 1, 0, 'b'}, [4]uint64{0, 0, flagFlush, 0}), "a...", 1},
		"a discard in it":      {diskLog(3, [4]uint64{3, 1, flagDiscard, 0}, [4]uint64{3, 1, 0, 'd'}, [4]uint64{0, 0, flagFlush, 0}), "...d", 0},
		"a write that flushes": {diskLog(2, [4]uint64{0, 1, 0, 'a'}, [4]uint64{1, 1, flagFlush, 'b'}), "ab..", 0},
	} {
		disk := image(bytes.Repeat([]byte{'.'}, 4*sector))
		lost, err := replay(bytes.NewReader(c.log), disk)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var got string
		for i := range 4 {
			got += string(disk[i*sector])
		}
		if got != c.want || lost != c.lost {
			t.Errorf("%s: the disk holds %q and lost %d, want %q and %d", name, got, lost, c.want, c.lost)
		}
	}
}

func TestReplayRefusesWhatIsNoLog(t *testing.T) {
	cut := diskLog(2, [4]uint64{0, 1, 0, 'a'}, [4]uint64{0, 0, flagFlush, 0})
	for name, log := range map[string][]byte{
		"text":     bytes.Repeat([]byte("text"), sector),
		"empty":    nil,
		"cut":      cut[:2*sector],
		"too long": diskLog(1, [4]uint64{0, 1 << 60, flagDiscard, 0}),
	} {
		if _, err := replay(bytes.NewReader(log), image(make([]byte, 4*sector))); !errors.Is(err, errNoLog) {
			t.Errorf("%s: %v, want that it is no log", name, err)
		}
	}
}
