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

// Request is what a claimant asked for, as far as adapters need it.
type Request struct {
	Mode          reset.Mode
	Scope         reset.Scope
	Administrator string
	Password      access.Secret // empty where the scope sets none
}

// Adapter changes one setting.
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
