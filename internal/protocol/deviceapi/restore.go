package deviceapi

import (
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// RecoveryKeyCall tells the device to whom it seals snapshots; an empty
// Recipient only asks. One that is set is replaced only with Replace.
type RecoveryKeyCall struct {
	Recipient string `json:"recipient"` // the public half, as package snapshot writes it
	Replace   bool   `json:"replace"`
}

// RecoveryKeyReply says to whom the device seals; empty is nobody.
type RecoveryKeyReply struct {
	Recipient string `json:"recipient"`
}

// SnapshotCall asks for a snapshot of the settings as they are, or for one that
// the device made by itself before a change: 1 is the latest of those. The
// file, of package snapshot, is then had with OwnerGet.
type SnapshotCall struct {
	Kept int `json:"kept"`
}

// SnapshotReply says that it can be fetched.
type SnapshotReply struct {
	Size    int      `json:"size"`
	NotHeld []string `json:"not_held"` // parts of this NAS that a snapshot does not hold
}

// RestorePlanCall asks what putting saved settings back would do. What is put
// back came by OwnerPut, opened by the owner; or is the bundle that the device
// kept of itself before its last hard reset.
type RestorePlanCall struct {
	Bundle bool     `json:"bundle"`
	Only   []string `json:"only,omitempty"` // names of reset.Parts; none is all
}

// RestorePlanReply says it. Nothing was changed; every part was prepared.
type RestorePlanReply struct {
	Plan           reset.Plan         `json:"plan"`
	Hash           string             `json:"hash"`
	MadeAt         time.Time          `json:"made_at"`
	Differences    []reset.Difference `json:"differences"`
	NotRestorable  []string           `json:"not_restorable"`
	ConfirmSeconds int                `json:"confirm_seconds"` // how long it has to be confirmed
}

// RestoreCall puts them back, by the plan that was shown. The reply is a
// CommitReply; how far it is, OwnerProgress says.
type RestoreCall struct {
	Bundle bool     `json:"bundle"`
	Only   []string `json:"only,omitempty"`
	Hash   string   `json:"hash"`
}

// RestoreConfirmCall ends the trial: what was put back stays, or with Undo goes
// at once. It counts only in a conversation that began after the trial did: so
// the owner does reach the NAS as it is now.
type RestoreConfirmCall struct {
	Undo bool `json:"undo"`
}

// RestoreConfirmReply names the transaction whose trial has ended.
type RestoreConfirmReply struct {
	Transaction string `json:"transaction"`
}
