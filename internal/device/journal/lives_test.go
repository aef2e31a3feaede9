//go:build linux

package journal_test

import "github.com/paperclip-nas/paperclip/internal/domain/reset"

// life is what is done to the system: how it is asked for, and how it ends.
type life struct {
	name     string
	mode     reset.Mode
	trial    bool // it is a restore, which somebody confirms in the same start of the system
	hopeless bool // verifying never succeeds: all goes back
}

func lives() []life {
	return []life{
		{name: "forward", mode: reset.Soft},
		{name: "back", mode: reset.Soft, hopeless: true},
		{name: "hard", mode: reset.Hard},
		{name: "hard, back", mode: reset.Hard, hopeless: true},
		{name: "restore", mode: reset.Soft, trial: true},
	}
}

// firstStart is the start of the system in which the record is accepted.
const firstStart = "the first"
