// Package check judges whether the owner of a NAS would get back in tomorrow,
// and whether anybody else would: a table of rows over what is known of one NAS.
//
// It looks at nothing itself and changes nothing: facts in, words out. What was
// not found out is left out, of the list and of the score, and never guessed.
package check

import (
	"slices"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// Administrator is an account that can set everything back.
type Administrator struct {
	Name         string `json:"name"`
	BuiltIn      bool   `json:"built_in"`
	Enabled      bool   `json:"enabled"`
	SecondFactor bool   `json:"second_factor"`
	SignedIn     bool   `json:"signed_in"`      // really, with the password of now
	Codes        int    `json:"recovery_codes"` // unused ones
}

// Finding is what the device's own doctor found (`paperclipd doctor`).
type Finding struct {
	ID       string `json:"id"`
	OK       bool   `json:"ok"`
	Why      string `json:"why"`
	WhatToDo string `json:"what_to_do,omitempty"`
}

// Facts are what is known of one NAS. A nil part was not found out, or the NAS
// has nothing of the kind.
type Facts struct {
	Administrators   []Administrator       `json:"administrators,omitempty"`
	Policy           *access.ButtonPolicy  `json:"policy,omitempty"`
	Findings         []Finding             `json:"findings,omitempty"`
	OwnerKeys        *int                  `json:"owner_keys,omitempty"`   // enrolled, on whatever computer
	RecoveryKey      *bool                 `json:"recovery_key,omitempty"` // one was made, and snapshots are sealed to it
	SnapshotAge      *time.Duration        `json:"snapshot_age,omitempty"` // nanoseconds; of the latest that the NAS keeps
	Guest            *nas.Guest            `json:"guest,omitempty"`
	AutoBlock        *nas.AutoBlock        `json:"auto_block,omitempty"`
	Firewall         *nas.Firewall         `json:"firewall,omitempty"`
	EncryptedFolders []nas.EncryptedFolder `json:"encrypted_folders,omitempty"`
	Notices          []catalog.ID          `json:"notices,omitempty"`
	Requests         *int                  `json:"requests,omitempty"` // that wait

	// Here says whether the key of the computer that asks is among OwnerKeys. It
	// is the asker's to fill in.
	Here *bool `json:"here,omitempty"`
}

// ID names a check. It never changes once released.
type ID string

// The checks.
const (
	SecondAdministrator ID = "second_administrator"
	RecoveryCodes       ID = "recovery_codes"
	Button              ID = "button"
	ButtonPolicy        ID = "button_policy"
	Device              ID = "device" // what its own doctor found besides
	OwnerKey            ID = "owner_key"
	RecoveryKey         ID = "recovery_key"
	Snapshot            ID = "snapshot"
	EncryptedFolders    ID = "encrypted_folders"
	BuiltInOff          ID = "built_in_off"
	SecondFactor        ID = "second_factor"
	GuestOff            ID = "guest_off"
	AutoBlock           ID = "auto_block"
	Firewall            ID = "firewall"
	Notices             ID = "notices"
	Requests            ID = "requests"
)

// Check is one thing that was looked at, good or bad.
type Check struct {
	ID         ID                 `json:"id"`
	OK         bool               `json:"ok"`
	Why        string             `json:"why"`
	WhatToDo   string             `json:"what_to_do"`
	Source     string             `json:"source"`
	Confidence catalog.Confidence `json:"confidence"`
}

// Report is what `paperclip check --json` prints.
type Report struct {
	Device string  `json:"device"`
	Score  int     `json:"score"` // 0 to 100: the weights of what is well, of all that was looked at
	Checks []Check `json:"checks"`
}

// Judge makes every check that the facts allow.
func Judge(device string, f Facts, source string, confidence catalog.Confidence) Report {
	return judge(device, rows(), f, source, confidence)
}

func judge[F any](device string, rows []row[F], f F, source string, confidence catalog.Confidence) Report {
	r := Report{Device: device, Checks: []Check{}}
	well, all := 0, 0
	for _, row := range rows {
		a, known := row.look(f)
		if !known {
			continue
		}
		if a.ok {
			a.whatToDo = ""
			well += row.weight
		}
		all += row.weight
		r.Checks = append(r.Checks, Check{ID: row.id, OK: a.ok, Why: a.why, WhatToDo: a.whatToDo, Source: source, Confidence: confidence})
	}
	if all > 0 {
		r.Score = well * 100 / all
	}
	return r
}

// IDs lists the checks in the order in which they are shown.
func IDs() []ID {
	var out []ID
	for _, r := range rows() {
		out = append(out, r.id)
	}
	return out
}

// enabled are the administrators who could sign in.
func (f Facts) enabled() []Administrator {
	return slices.DeleteFunc(slices.Clone(f.Administrators), func(a Administrator) bool { return !a.Enabled })
}

// proved counts those of them who are known to.
func (f Facts) proved() (n int) {
	for _, a := range f.enabled() {
		if a.SignedIn {
			n++
		}
	}
	return n
}
