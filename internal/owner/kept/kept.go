// Package kept remembers how vendors' NAS were set up when somebody was last
// signed in to them: what a reset will take, so that it can be shown before and
// put back after (requirements R6).
//
// It is this computer's own notes and no backup: it holds what the vendor's API
// shows, which is neither firewall rules nor a single file. It never holds a
// password, a code or a key, and never overwrites a file that it cannot read.
package kept

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/recordfile"
	"github.com/paperclip-nas/paperclip/internal/x/strictjson"
)

const (
	// File is the name of the notes in the owner's folder.
	File = "settings.json"
	// Format names the file of one NAS, as Marshal writes it.
	Format = "paperclip-vendor-settings"

	version    = 1
	maxSize    = 8 << 20
	maxRecords = 512
	maxList    = 4096
)

// Record is how one NAS was set up, as its own API showed it.
type Record struct {
	Vendor   string       `json:"vendor"`
	Name     string       `json:"name"`
	Model    string       `json:"model"`
	Serial   string       `json:"serial"`
	MACs     []string     `json:"macs"`
	Firmware string       `json:"firmware"`
	MadeAt   time.Time    `json:"made_at"`
	Settings nas.Settings `json:"settings"`
	Shares   []string     `json:"shares"`   // names of shared folders; null where they are not told
	NotHeld  []string     `json:"not_held"` // what the API does not show, in words
}

// Is reports whether the record is of the NAS that says it is id: a serial or
// MAC in common.
func (r Record) Is(id nas.Identity) bool { return id.Meets(r.identity()) }

func (r Record) identity() nas.Identity { return nas.Identity{Serial: r.Serial, MACs: r.MACs} }

func (r Record) check() error {
	s := r.Settings
	for _, n := range []int{len(r.MACs), len(r.Shares), len(r.NotHeld), len(s.Accounts), len(s.Interfaces)} {
		if n > maxList {
			return errors.New("a list in it is too long")
		}
	}
	if r.Serial == "" && len(r.MACs) == 0 {
		return errors.New("it does not say of which NAS it is")
	}
	return nil
}

// Store is the notes. It is not safe for concurrent use.
type Store struct {
	fsys    opfs.FS
	dir     string
	records []Record
}

func format() recordfile.Format[Record] {
	return recordfile.Format[Record]{
		Name: File, List: "records", Version: version, Op: "kept", MaxSize: maxSize, Most: maxRecords, Check: Record.check,
	}
}

// Open reads the notes in dir; a file that is missing is an empty one, one that
// cannot be read is the problem file_unusable.
func Open(fsys opfs.FS, dir string) (*Store, error) {
	records, err := format().Read(fsys, dir)
	if err != nil {
		return nil, unusable(err)
	}
	return &Store{fsys, dir, records}, nil
}

func unusable(err error) error { return catalog.New("file_unusable", err.Error()).Because(err) }

// Lookup is what was noted of a NAS, if anything was.
func (s *Store) Lookup(id nas.Identity) (Record, bool) {
	i := slices.IndexFunc(s.records, func(r Record) bool { return r.Is(id) })
	if i < 0 {
		return Record{}, false
	}
	return s.records[i], true
}

// Keep notes a NAS in place of what was noted of it before.
func (s *Store) Keep(r Record) error {
	if err := r.check(); err != nil {
		return fmt.Errorf("kept: %w", err)
	}
	r.MadeAt = r.MadeAt.UTC().Truncate(time.Second)
	if r.MACs == nil {
		r.MACs = []string{}
	}
	records := append(slices.DeleteFunc(slices.Clone(s.records), func(old Record) bool { return old.Is(r.identity()) }), r)
	if len(records) > maxRecords {
		records = records[1:]
	}
	if err := format().Write(s.fsys, s.dir, records); err != nil {
		return unusable(err)
	}
	s.records = records
	return nil
}

// document is a record in a file of its own.
type document struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Record  Record `json:"record"`
}

// Marshal writes a record as a file of its own.
func Marshal(r Record) ([]byte, error) {
	b, err := json.MarshalIndent(document{Format, version, r}, "", "  ")
	return append(b, '\n'), err
}

// Unmarshal reads what Marshal wrote. ok is false for a file that is none of
// this kind; an error is one that cannot be used.
func Unmarshal(data []byte) (r Record, ok bool, err error) {
	var peek struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	if len(data) > maxSize || json.Unmarshal(data, &peek) != nil || peek.Format != Format {
		return r, false, nil
	}
	if peek.Version > version {
		return r, true, catalog.New("snapshot_newer")
	}
	var d document
	if err = strictjson.Unmarshal(data, &d); err == nil {
		err = d.Record.check()
	}
	if err != nil {
		return r, true, catalog.New("snapshot_unusable", err.Error()).Because(err)
	}
	return d.Record, true, nil
}
