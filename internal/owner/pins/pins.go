// Package pins remembers the certificates of vendors' NAS: which one each
// showed when this computer met it.
//
// Such a NAS has no identity that its maker vouches for, so the certificate of
// the first meeting is what later ones are held against, as SSH does with host
// keys. What a NAS says of itself only tells which remembered one it pretends
// to be. The package opens no connection; it never replaces a certificate
// unless a person has proved the box, and never overwrites a file that it cannot
// read.
package pins

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/recordfile"
)

const (
	// File is the name of the file in the owner's folder.
	File = "certificates.json"

	maxSize    = 4 << 20
	maxDevices = 4096
	maxText    = 255
	maxMACs    = 32
)

// Verdict is what the memory says of a certificate.
type Verdict string

// The verdicts.
const (
	Unknown  Verdict = "unknown"
	Match    Verdict = "match"
	Mismatch Verdict = "mismatch"
)

// Device is one remembered NAS.
type Device struct {
	Fingerprint string    `json:"fingerprint"` // as package pinned writes it
	Vendor      string    `json:"vendor"`
	Name        string    `json:"name"`
	Serial      string    `json:"serial"`
	MACs        []string  `json:"macs"`
	Seen        time.Time `json:"seen"`
	// Proved says that a person has shown that this is the box in front of them.
	Proved bool `json:"proved"`
}

// Store is the memory. It is not safe for concurrent use.
type Store struct {
	fsys    opfs.FS
	dir     string
	devices []Device
}

func format() recordfile.Format[Device] {
	return recordfile.Format[Device]{
		Name: File, List: "devices", Version: 1, Op: "pins", MaxSize: maxSize, Most: maxDevices, Check: Device.check,
	}
}

// Open reads the memory in dir; a file that is missing is an empty one, one that
// cannot be read is the problem file_unusable.
func Open(fsys opfs.FS, dir string) (*Store, error) {
	devices, err := format().Read(fsys, dir)
	if err != nil {
		return nil, unusable(err)
	}
	return &Store{fsys, dir, devices}, nil
}

func unusable(err error) error { return catalog.New("file_unusable", err.Error()).Because(err) }

func (d Device) check() error {
	digits, ok := strings.CutPrefix(d.Fingerprint, "sha256:")
	if !ok || len(digits) != 64 || strings.Trim(digits, "0123456789abcdef") != "" {
		return errors.New("its fingerprint is none")
	}
	if len(d.Name) > maxText || len(d.Vendor) > maxText || len(d.Serial) > maxText || len(d.MACs) > maxMACs {
		return errors.New("a text or list in it is too long")
	}
	for _, m := range d.MACs {
		if n, ok := nas.NormalMAC(m); !ok || n != m {
			return errors.New("a MAC address in it cannot be read")
		}
	}
	return nil
}

// is reports whether what a NAS says of itself means this one: a MAC or serial
// in common. Names are not enough: after a reset each is called alike.
func (d Device) is(id nas.Identity) bool { return id.Meets(d.identity()) }

func (d Device) identity() nas.Identity { return nas.Identity{Serial: d.Serial, MACs: d.MACs} }

// Judge compares the certificate that a NAS has just shown with what is
// remembered of the one that it says it is.
func (s *Store) Judge(fingerprint string, id nas.Identity) Verdict {
	known := false
	for _, d := range s.devices {
		if d.is(id) {
			known = true
			if d.Fingerprint == fingerprint && fingerprint != "" {
				return Match
			}
		}
	}
	if known {
		return Mismatch
	}
	return Unknown
}

// Pin is the certificate that a NAS must show, by what it says of itself; empty
// where it was never met.
func (s *Store) Pin(id nas.Identity) string {
	for _, d := range s.devices {
		if d.is(id) {
			return d.Fingerprint
		}
	}
	return ""
}

// Remember writes a NAS down. One that is remembered with another certificate
// is replaced only where proved says that a person has shown the box; else
// nothing is written.
func (s *Store) Remember(d Device) error {
	d.Seen = d.Seen.UTC().Truncate(time.Second)
	if d.MACs == nil {
		d.MACs = []string{}
	}
	if err := d.check(); err != nil {
		return fmt.Errorf("pins: remember: %w", err)
	}
	id := d.identity()
	verdict := s.Judge(d.Fingerprint, id)
	if verdict == Mismatch && !d.Proved {
		return nil
	}
	devices := []Device{}
	for _, old := range s.devices {
		if !old.is(id) {
			devices = append(devices, old)
			continue
		}
		d.Proved = d.Proved || old.Proved && old.Fingerprint == d.Fingerprint
	}
	devices = append(devices, d)
	if len(devices) > maxDevices {
		devices = devices[1:]
	}
	if err := format().Write(s.fsys, s.dir, devices); err != nil {
		return unusable(err)
	}
	s.devices = devices
	return nil
}
