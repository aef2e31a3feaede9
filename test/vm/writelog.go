//go:build linux

package vm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// The log that QEMU's blklogwrites keeps is that of the kernel's dm-log-writes: a header in the first
// sector, then for each request one sector that describes it and, unless it discards, the data. Numbers
// are little-endian. The header's count is brought up to date at each flush alone.
const (
	sector   = 512
	logMagic = 0x6a736677736872

	flagFlush   = 1 << 0
	flagFUA     = 1 << 1
	flagDiscard = 1 << 2
	flagLate    = 1 << 63 // ours: it stands behind what the header counts, so it may be there in part
)

var errNoLog = errors.New("not a log of disk writes")

// request is one entry of a log.
type request struct {
	Sector, Sectors, Flags uint64
	at                     int64 // where its data begins
}

// readLog reads a log. A disk that was never flushed has no header yet. Behind the requests that the header
// counts stand those of after the last flush, until a sector of zeros.
func readLog(log io.ReaderAt) ([]request, error) {
	head := make([]byte, sector)
	if _, err := log.ReadAt(head, 0); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoLog, err)
	}
	word := func(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }
	counted := word(head, 2)
	if bytes.Count(head, []byte{0}) != sector {
		if size := binary.LittleEndian.Uint32(head[24:]); word(head, 0) != logMagic || word(head, 1) != 1 || size != sector {
			return nil, errNoLog
		}
	}
	var all []request
	for at := int64(sector); ; {
		entry := make([]byte, 32)
		_, err := log.ReadAt(entry, at)
		r := request{Sector: word(entry, 0), Sectors: word(entry, 1), Flags: word(entry, 2), at: at + sector}
		more := uint64(len(all)) < counted
		switch {
		case !more && (err != nil || r.Sectors == 0 && r.Flags == 0):
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("%w: entry %d: %w", errNoLog, len(all), err)
		case r.Sectors > logSize/sector:
			return nil, fmt.Errorf("%w: entry %d has %d sectors", errNoLog, len(all), r.Sectors)
		}
		if !more {
			r.Flags |= flagLate
		}
		all = append(all, r)
		if at = r.at; r.Flags&flagDiscard == 0 {
			at += int64(r.Sectors) * sector
		}
	}
}

// durable are the requests that a disk still has after a power cut if it loses all that it was not told to
// keep: those before the last flush. lost counts the others.
func durable(all []request) (kept []request, lost int) {
	last := -1
	for i, r := range all {
		if r.Flags&flagFlush != 0 && r.Flags&flagLate == 0 {
			last = i
		}
	}
	for i, r := range all {
		switch {
		case r.Flags&flagDiscard != 0 || r.Sectors == 0:
		case i <= last || r.Flags&(flagFUA|flagLate) == flagFUA:
			kept = append(kept, r)
		default:
			lost++
		}
	}
	return kept, lost
}

// replay writes to an image what of a log is durable.
func replay(log io.ReaderAt, image io.WriterAt) (lost int, err error) {
	all, err := readLog(log)
	if err != nil {
		return 0, err
	}
	kept, lost := durable(all)
	for _, r := range kept {
		data := make([]byte, r.Sectors*sector)
		if _, err := log.ReadAt(data, r.at); err != nil {
			return lost, err
		}
		if _, err := image.WriteAt(data, int64(r.Sector)*sector); err != nil {
			return lost, err
		}
	}
	return lost, nil
}

func replayFile(log, image string) (lost int, err error) {
	from, err := os.Open(log)
	if err != nil {
		return 0, err
	}
	defer from.Close()
	to, err := os.OpenFile(image, os.O_WRONLY, 0)
	if err != nil {
		return 0, err
	}
	lost, err = replay(from, to)
	return lost, errors.Join(err, to.Close())
}

// createSparse makes an empty file that claims a size.
func createSparse(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}
