package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
)

const magic = "paperclip-journal"

// maxCopy bounds one copy, in bytes.
const maxCopy = 4 << 20

// errDamaged is a copy whose checksum does not fit.
var errDamaged = errors.New("damaged copy")

// encode writes one copy: a header line with format version, generation and
// SHA-256, and then the record as JSON. The checksum covers the two numbers.
func encode(generation uint64, r *Record) ([]byte, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	if len(body) > maxCopy-256 {
		return nil, fmt.Errorf("%w: it has %d bytes", ErrInvalid, len(body))
	}
	return seal(Version, generation, append(body, '\n')), nil
}

func seal(version int, generation uint64, body []byte) []byte {
	numbers := fmt.Sprintf("%d %d", version, generation)
	h := sha256.New()
	fmt.Fprintln(h, numbers)
	h.Write(body)
	return append(fmt.Appendf(nil, "%s %s %x\n", magic, numbers, h.Sum(nil)), body...)
}

// decode reads one copy. Anything that encode would not have written, byte for
// byte, is errDamaged; a whole copy of a newer version is ErrVersion.
func decode(data []byte) (generation uint64, r *Record, err error) {
	header, body, ok := bytes.Cut(data, []byte("\n"))
	fields := strings.Split(string(header), " ")
	if !ok || len(data) > maxCopy || len(fields) != 4 || fields[0] != magic {
		return 0, nil, errDamaged
	}
	version, err1 := strconv.Atoi(fields[1])
	generation, err2 := strconv.ParseUint(fields[2], 10, 64)
	if err1 != nil || err2 != nil || !bytes.Equal(seal(version, generation, body), data) {
		return 0, nil, errDamaged
	}
	if version < oldest {
		return 0, nil, errDamaged
	}
	if version > Version {
		return 0, nil, fmt.Errorf("%w (format %d; this program reads %d)", ErrVersion, version, Version)
	}
	r = new(Record)
	if err := json.Unmarshal(body, r); err != nil || !r.State.known() || r.validate() != nil {
		return 0, nil, errDamaged
	}
	return generation, r, nil
}

// copies is what is found on disk.
type copies struct {
	present    [2]bool
	current    [2]bool // holds the best record
	best       *Record // nil when no copy is whole
	generation uint64  // of best
	marker     string  // id in the marker, "" without one
	leftovers  bool    // a temporary file of a cut write is there
}

func (j *Journal) copyPath(i int) string { return path.Join(j.dir, "journal."+copyName(i)) }
func (j *Journal) markerPath() string    { return path.Join(j.dir, "journal.open") }
func copyName(i int) string              { return string(rune('a' + i)) }

// load reads both copies and the marker, and judges them as the package
// comment says.
func (j *Journal) load() (*copies, error) {
	c := new(copies)
	var raw [2][]byte
	for i := range 2 {
		data, err := j.fsys.ReadFile(j.copyPath(i))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case errors.Is(err, fs.ErrPermission):
			return nil, fmt.Errorf("read the journal: %w", err)
		}
		c.present[i] = true
		if c.best != nil && bytes.Equal(data, raw[0]) { // the usual case
			c.current[i] = true
			continue
		}
		generation, r, err := decode(data) // what could not be read is damaged too
		if errors.Is(err, ErrVersion) {
			return nil, err
		}
		if err != nil {
			continue
		}
		raw[i] = data
		if c.best == nil || generation > c.generation {
			c.best, c.generation = r, generation
			c.current = [2]bool{i == 0, i == 1}
		} else if generation == c.generation {
			if !bytes.Equal(raw[0], raw[1]) {
				return nil, fmt.Errorf("%w: the two copies of the journal in %s contradict each other", ErrHalfState, j.dir)
			}
			c.current[i] = true
		}
	}
	if err := j.loadMarker(c); err != nil {
		return nil, err
	}
	for _, p := range []string{j.copyPath(0), j.copyPath(1), j.markerPath()} {
		if _, err := j.fsys.Lstat(atomicfile.Temporary(p)); err == nil {
			c.leftovers = true
		}
	}
	return c, nil
}

func (j *Journal) loadMarker(c *copies) error {
	data, err := j.fsys.ReadFile(j.markerPath())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("read the journal: %w", err)
	}
	c.marker = strings.TrimSpace(string(data))
	if c.best == nil {
		return fmt.Errorf("%w: both copies of the journal in %s are damaged", ErrHalfState, j.dir)
	}
	if c.marker != c.best.ID {
		return fmt.Errorf("%w: the journal in %s does not hold the change that was begun", ErrHalfState, j.dir)
	}
	return nil
}

func (j *Journal) accept(r *Record, generation uint64) error {
	if _, err := encode(generation, r); err != nil {
		return err
	}
	if err := atomicfile.MakeDir(j.fsys, "journal.accept", j.dir, 0o700); err != nil {
		return err
	}
	// A marker that was removed by a process that was killed then could come back
	// at a power cut, and would stand beside a record that it does not name.
	if err := j.fsys.SyncDir("journal.accept.settle", j.dir); err != nil {
		return err
	}
	if err := j.write("journal.accept", generation, r); err != nil {
		return err
	}
	return j.writeMarker("journal.accept.open", r)
}

// write puts the record into both copies, one after the other, and makes both
// durable at once.
func (j *Journal) write(op string, generation uint64, r *Record) error {
	data, err := encode(generation, r)
	if err != nil {
		return err
	}
	for i := range 2 {
		if err := j.writeCopy(op, i, data); err != nil {
			return err
		}
	}
	return j.fsys.SyncDir(op+".syncdir", j.dir)
}

// writeCopy leaves syncing the directory to its caller.
func (j *Journal) writeCopy(op string, i int, data []byte) error {
	o := atomicfile.Options{Mode: 0o600, Enforce: true}
	return atomicfile.Exchange(j.fsys, op+"."+copyName(i), j.copyPath(i), data, o)
}

func (j *Journal) writeMarker(op string, r *Record) error {
	o := atomicfile.Options{Mode: 0o600, Enforce: true}
	return atomicfile.Replace(j.fsys, op, j.markerPath(), []byte(r.ID+"\n"), o)
}

// withdraw takes back a record whose acceptance failed. The marker goes first,
// because a marker without copies is a half state; then the first copy, because
// the second is never newer.
func (j *Journal) withdraw() error {
	for _, p := range []struct{ name, path string }{
		{"open", j.markerPath()}, {"a", j.copyPath(0)}, {"b", j.copyPath(1)},
	} {
		if err := atomicfile.Remove(j.fsys, "journal.withdraw."+p.name, p.path); err != nil {
			return fmt.Errorf("it could not be withdrawn either and may still be carried out: %w", err)
		}
	}
	return nil
}

// repair brings the disk to where both copies hold the open record and the
// marker is there: only then is it acted on. The directory is synced also where
// nothing had to be repaired: of what a killed process renamed, a power cut could
// still leave the record of before, and half of it undone would pass for whole.
func (j *Journal) repair(c *copies) error {
	data, err := encode(c.generation, c.best)
	if err != nil {
		return err
	}
	for i := range 2 {
		if c.current[i] {
			continue
		}
		if err := j.writeCopy("journal.repair", i, data); err != nil {
			return err
		}
	}
	if err := j.fsys.SyncDir("journal.repair.syncdir", j.dir); err != nil {
		return err
	}
	if c.marker == "" {
		return j.writeMarker("journal.repair.open", c.best)
	}
	return nil
}

// tidy ends what a cut run left of a transaction that is finished or was never
// accepted: the second copy's undo images, the marker, temporary files.
func (j *Journal) tidy(c *copies) error {
	if c.best == nil {
		for i := range 2 {
			if !c.present[i] && !c.leftovers {
				continue
			}
			if err := atomicfile.Remove(j.fsys, "journal.discard."+copyName(i), j.copyPath(i)); err != nil {
				return err
			}
		}
		return nil
	}
	data, err := encode(c.generation, c.best)
	if err != nil {
		return err
	}
	for i := range 2 {
		switch {
		case !c.current[i]:
			if err = j.writeCopy("journal.erase", i, data); err == nil {
				err = j.fsys.SyncDir("journal.erase.syncdir", j.dir)
			}
		case c.leftovers:
			err = atomicfile.Settle(j.fsys, "journal.erase."+copyName(i), j.copyPath(i))
		}
		if err != nil {
			return err
		}
	}
	if c.marker != "" || c.leftovers {
		return j.removeMarker("journal.erase.open")
	}
	return nil
}

func (j *Journal) removeMarker(op string) error {
	return atomicfile.Remove(j.fsys, op, j.markerPath())
}
