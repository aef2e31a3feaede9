// Package journal makes a reset all or nothing. It keeps one record on disk:
// the plan that was shown, and for each step the old value (the undo image)
// and the new one. From the moment it is accepted, the record is carried out
// over any number of power cuts:
//
//	accept → persist every step → activate → verify → commit
//
// A restore is on trial between verify and commit: somebody confirms that all
// is well ([Journal.Decide]), or it goes back. Where a step can never succeed, back by the undo images. Files are
// persisted or undone at boot, before any door opens ([Journal.RecoverFiles]);
// what needs a running system is done later ([Journal.Run]).
//
// # How "accepted" is known
//
// A record is two checksummed copies with a generation number, journal.a and
// journal.b, written one after the other, each atomically and durably; and a
// marker, journal.open, that is written after both of them and removed after
// both hold the final record. No setting is touched before the marker is on
// disk, and no state is acted on before both copies hold it. So:
//
//   - One whole copy is enough: the one with the higher generation counts, and
//     the other is at most one mark behind, of a state not yet acted on.
//   - Both copies bad, no marker: it was never acted on (a first acceptance cut
//     short), or all had been done and erased. Discarded.
//   - Both copies bad and the marker there: settings may be half changed and
//     nobody can know how. [ErrHalfState]: the doors stay shut.
//
// # What it never does
//
// It never decides what to change, never touches a setting itself, never
// overwrites a value that somebody else set meanwhile (its participants refuse
// to), and never gives up half way: it returns before the end only when it is
// told to stop, cannot write its own marks, or cannot go back. It holds hashes,
// never a password; undo images are erased at commit, as far as a file system
// that copies on write lets a file be erased.
package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

var (
	// ErrHalfState says that settings may be half changed and that this program
	// cannot mend it: the journal is damaged, or a step cannot be undone.
	ErrHalfState = errors.New("settings may be half changed and this cannot be mended automatically")
	// ErrOpen says that a transaction is already open: one at a time.
	ErrOpen = errors.New("another change is still being carried out")
	// ErrVersion says that a newer version of this program wrote the journal.
	ErrVersion = errors.New("the journal was written by a newer version")
	// ErrInvalid says that a record cannot be accepted as it is.
	ErrInvalid = errors.New("this record cannot be accepted")
)

// Version is the format that this package writes.
const Version = 2

// oldest is the first format that is still read: it knew of no trial.
const oldest = 1

const maxSteps = 1000

// Record is one transaction, as it is kept on disk.
type Record struct {
	Version       int             `json:"version"`
	ID            string          `json:"id"`
	State         State           `json:"state"`
	Mode          reset.Mode      `json:"mode"`
	Scope         reset.Scope     `json:"scope,omitempty"`
	Administrator string          `json:"administrator,omitempty"`
	Claim         string          `json:"claim,omitempty"`
	OwnerKey      []byte          `json:"owner_key,omitempty"`   // the claimant's, enrolled once it is committed
	OwnerLabel    string          `json:"owner_label,omitempty"` // what the claimant's computer calls itself
	Plan          json.RawMessage `json:"plan,omitempty"`        // as it was shown
	PlanHash      string          `json:"plan_hash"`
	Steps         []reset.Step    `json:"steps"` // in the order of work; without Data once final
	AcceptedAt    time.Time       `json:"accepted_at"`
	Trial         *Trial          `json:"trial,omitempty"`
	Failure       string          `json:"failure,omitempty"`    // why it went back
	LeftAlone     []string        `json:"left_alone,omitempty"` // steps that somebody else's later value stopped the undo of
	NotActive     []string        `json:"not_active,omitempty"` // undone steps whose old value needs a restart
}

// Trial makes a record one that goes back by itself: at a restart of the system
// in whatever state it is, and when its time is over, unless it is confirmed.
type Trial struct {
	For   time.Duration `json:"for"`   // from when all of it is in force, in nanoseconds
	Start string        `json:"start"` // which start of the system it was accepted in
	Ends  time.Duration `json:"ends"`  // since that start; 0 until it is in force
}

// Result is how a transaction ended.
type Result struct {
	ID        string
	State     State // committed or undone; or on trial, which is no end yet
	PlanHash  string
	Failure   string
	LeftAlone []string
	NotActive []string
}

func (r *Record) result() Result {
	return Result{r.ID, r.State, r.PlanHash, r.Failure, r.LeftAlone, r.NotActive}
}

func (r *Record) validate() error {
	switch {
	case r.ID == "" || len(r.ID) > 128:
		return fmt.Errorf("%w: its id has %d characters, not 1 to 128", ErrInvalid, len(r.ID))
	case r.Trial != nil && (r.Trial.Start == "" || r.Trial.For <= 0):
		return fmt.Errorf("%w: its trial has no time", ErrInvalid)
	case len(r.Steps) == 0 || len(r.Steps) > maxSteps:
		return fmt.Errorf("%w: it has %d steps, not 1 to %d", ErrInvalid, len(r.Steps), maxSteps)
	}
	names := make(map[string]bool)
	for _, s := range r.Steps {
		if s.Name == "" || s.Adapter == "" || names[s.Name] {
			return fmt.Errorf("%w: step %q has no name of its own or no adapter", ErrInvalid, s.Name)
		}
		names[s.Name] = true
	}
	return nil
}

// erase drops the undo images and keeps what a receipt needs.
func (r *Record) erase() {
	steps := make([]reset.Step, len(r.Steps))
	for i, s := range r.Steps {
		s.Data = nil
		steps[i] = s
	}
	r.Steps = steps
}

// Journal is the journal in one directory. It is not safe for concurrent use:
// it has one owner, core (and, before core starts, the recovery unit).
type Journal struct {
	fsys opfs.FS
	dir  string

	// Attempts is how often a step is tried before it counts as one that can
	// never succeed, where its error does not say so at once; at least 1.
	Attempts int
	// Boot tells which start of the system this is, for records on trial; nil,
	// like one that cannot tell, is another start than any before.
	Boot clock.Boot
	// Pause is the wait between two attempts.
	Pause time.Duration
	// Settle is how long what was activated may take to stand: until then Verify
	// is tried again. A slow NAS takes seconds until a bond is configured.
	Settle time.Duration
}

// New is the journal in dir, which is made (0700) at the first acceptance.
func New(fsys opfs.FS, dir string) *Journal {
	return &Journal{fsys: fsys, dir: dir, Attempts: 3, Pause: time.Second, Settle: 30 * time.Second}
}

// Open returns the open transaction, or nil when there is none. It changes
// nothing. A journal torn before acceptance is none; ErrHalfState and
// ErrVersion are for a person to solve.
func (j *Journal) Open() (*Record, error) {
	c, err := j.load()
	if err != nil || c.best == nil || c.best.State.Final() {
		return nil, err
	}
	return c.best, nil
}

// Last returns the last finished transaction, without its undo images, or nil:
// so that a receipt that a power cut prevented can be written after it.
func (j *Journal) Last() (*Record, error) {
	c, err := j.load()
	if err != nil || c.best == nil || !c.best.State.Final() {
		return nil, err
	}
	return c.best, nil
}

// Accept writes a record: after it, the transaction is carried out whatever
// happens. When it returns an error, the record was withdrawn and nothing is
// carried out, unless the error says that it could not be withdrawn.
func (j *Journal) Accept(r Record) error {
	if err := r.validate(); err != nil {
		return err
	}
	c, err := j.load()
	if err != nil {
		return err
	}
	if c.best != nil && !c.best.State.Final() {
		return fmt.Errorf("%s: %w", c.best.ID, ErrOpen)
	}
	if err := j.tidy(c); err != nil {
		return err
	}
	r.Version, r.State = Version, Accepted
	r.Failure, r.LeftAlone, r.NotActive = "", nil, nil
	if err := j.accept(&r, c.generation+1); err != nil {
		return errors.Join(err, j.withdraw())
	}
	return nil
}
