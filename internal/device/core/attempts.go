package core

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/strictjson"
)

// attempts is the durable count of what was tried. It is written before a try
// is checked, so that pulling the plug wins nobody another guess (X19), and no
// reset sets it back.
type attempts struct {
	fsys opfs.FS
	file string
	kept attemptsFile
}

type attemptsFile struct {
	Version int    `json:"version"`
	Claims  uint64 `json:"claims"`         // opened so far
	Tries   uint64 `json:"tries"`          // codes tried so far
	SignIns uint64 `json:"sign_ins"`       // passwords tried so far
	Codes   uint64 `json:"codes"`          // recovery codes tried so far
	Claim   string `json:"claim"`          // the last one opened
	InClaim uint64 `json:"tries_in_claim"` // of Tries, those in the last claim
}

func loadAttempts(fsys opfs.FS, dir string) (attempts, error) {
	a := attempts{fsys: fsys, file: path.Join(dir, "attempts.json"), kept: attemptsFile{Version: 1}}
	raw, err := fsys.ReadFile(a.file)
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err != nil {
		return a, fmt.Errorf("reading the counters: %w", err)
	}
	if err := strictjson.Unmarshal(raw, &a.kept); err != nil || a.kept.Version != 1 {
		return a, fmt.Errorf("%s cannot be understood; counters are not set back by themselves: %w", a.file, errors.Join(err))
	}
	return a, nil
}

func (a *attempts) open(claim string) error {
	next := a.kept
	next.Claims++
	next.Claim, next.InClaim = claim, 0
	return a.keep("attempts.open", next)
}

func (a *attempts) try() error {
	next := a.kept
	next.Tries++
	next.InClaim++
	return a.keep("attempts.try", next)
}

func (a *attempts) code() error {
	next := a.kept
	next.Codes++
	return a.keep("attempts.code", next)
}

func (a *attempts) signIn() error {
	next := a.kept
	next.SignIns++
	return a.keep("attempts.sign_in", next)
}

func (a *attempts) keep(op string, next attemptsFile) error {
	raw, err := json.Marshal(next)
	if err != nil {
		return err
	}
	if err := atomicfile.Replace(a.fsys, op, a.file, append(raw, '\n'), atomicfile.Options{Mode: 0o600}); err != nil {
		return fmt.Errorf("counting an attempt: %w", err)
	}
	a.kept = next
	return nil
}
