// Package setting is the port through which the device's core changes one
// setting of the system: one small adapter per setting, each with the same
// steps in the same order.
//
// An adapter decides nothing. Which settings change is decided by package
// reset and shown to the claimant; when, in which order and what happens after
// a power cut is decided by package journal. An adapter reads, prepares a step
// without side effects, and then persists, activates, verifies or undoes that
// step, as often as it is asked to. It never writes to a data volume.
//
// Every adapter is run through the contract suite in package settingtest.
package setting

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// ErrThirdValue says that the stored value is neither the one recorded as old
// nor the one to be written: somebody else changed it, and it stays as it is.
var ErrThirdValue = errors.New("the setting was changed by something else meanwhile")

// ErrPermanent marks a failure that trying again cannot mend. The journal
// then goes back by the undo images.
var ErrPermanent = errors.New("this step cannot succeed on this system")

// ErrSaved says that a saved setting cannot be put back on this system: it is
// damaged, of a newer version, or of hardware that is not here.
var ErrSaved = errors.New("the saved setting does not fit this system")

// Request is what a claimant asked for, as far as adapters need it.
type Request struct {
	Mode          reset.Mode
	Scope         reset.Scope
	Administrator string
	Password      access.Secret // empty where the scope sets none
	Wizard        reset.Wizard  // of a hard reset
	SecondFactor  bool          // take the administrator's second factor away (E13)
}

// Adapter changes one setting. Detect, Read, Prepare, Save and PrepareRestore
// only ask: core has the answers of the programs that they start kept over one
// look at the system (opfs.KeepAnswers). The others are never called so.
type Adapter interface {
	// ID is the adapter's stable name, as in reset.Step.Adapter.
	ID() string
	// Effects are the rows of requirements.md that the adapter carries out.
	Effects() []nas.Effect
	// Detect says what of the kind this system has. It is asked anew each time.
	Detect(context.Context) (reset.Found, error)
	// Read fills the adapter's part of the settings and touches no other.
	Read(context.Context, *nas.Settings) error
	// Prepare works out the steps without any side effect: none where nothing
	// would change. A step holds hashes, never a password.
	Prepare(context.Context, Request) ([]reset.Step, error)
	// Persist puts the new value on disk, starting only from the recorded old
	// value (or from the new one already there): else ErrThirdValue. Doing it
	// twice is doing it once.
	Persist(context.Context, reset.Step) error
	// Activate makes the running system use what is on disk.
	Activate(context.Context, reset.Step) error
	// Verify reads back from the system that the new value is in force.
	Verify(context.Context, reset.Step) error
	// Undo puts the old value back on disk, only from the new one.
	Undo(context.Context, reset.Step) error
}

// Keeper is an Adapter whose setting a snapshot holds and a restore puts back
// (R6). What an adapter that is no Keeper changes, a snapshot cannot bring back,
// and says so.
type Keeper interface {
	Adapter
	// Save returns the setting as it is now, in the adapter's own versioned form.
	// It holds hashes where it must, never a password or another secret in clear.
	Save(context.Context) (json.RawMessage, error)
	// PrepareRestore works out, without any side effect, the steps that make the
	// setting as it was saved: none where it is so already. They go through
	// Persist, Activate, Verify and Undo as those of a reset do. It refuses what
	// it cannot read or what does not fit this system with [ErrSaved].
	PrepareRestore(context.Context, json.RawMessage) ([]reset.Step, error)
}
