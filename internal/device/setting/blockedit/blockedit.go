// Package blockedit changes blocks of a file that belongs to somebody else: a
// stanza, a section. It gives adapters the part that is the same for all of
// them: taking each block from a recorded text to another, only from that text,
// again and again, while every other byte of the file stays, whoever wrote it
// and whenever.
//
// What a block is, the adapter says by a Split. The package never parses, never
// guesses where a block was meant to be, and never keeps more of the file than
// the blocks that change: a secret elsewhere in it does not get into a step.
package blockedit

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ownfile"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// Edit is one block of one file, before and after. Both texts are whole blocks,
// and neither is empty: what is not there could not be told from what somebody
// else took out.
type Edit struct {
	Path string `json:"path"`
	Old  string `json:"old"`
	New  string `json:"new"`
}

// Split cuts a text into blocks which, joined, are the text again.
type Split func(text string) []string

// Side is which of its two texts a block has.
type Side int

// The sides.
const (
	Third Side = iota // neither, or not to be told
	Old
	New
)

// ErrAmbiguous says that a block stands more than once in its file, so that it
// cannot be told which one is meant.
var ErrAmbiguous = errors.New("the same lines stand there more than once")

// Of says on which side text has the edit's block.
func (e Edit) Of(text string, split Split) Side {
	all, from, to := split(text), split(e.Old), split(e.New)
	olds, news := count(all, from), count(all, to)
	switch {
	case news == 1 && olds == count(to, from):
		return New
	case olds == 1 && news == count(from, to):
		return Old
	}
	return Third
}

// Apply is text with all edits on the side given; it fails with
// setting.ErrThirdValue where one is on neither side.
func Apply(text string, edits []Edit, split Split, side Side) (string, error) {
	for _, e := range edits {
		now := e.Of(text, split)
		switch {
		case now == Third:
			return "", fmt.Errorf("%s: %w", e.Path, setting.ErrThirdValue)
		case now == side:
			continue
		case side == New:
			text = replace(text, e.Old, e.New, split)
		default:
			text = replace(text, e.New, e.Old, split)
		}
	}
	return text, nil
}

// Check reports whether the edits can be made in text and taken back exactly.
func Check(text string, edits []Edit, split Split) error {
	for _, e := range edits {
		if e.Old == "" || e.New == "" || e.Of(text, split) != Old {
			return fmt.Errorf("%s: %w: %w", e.Path, ErrAmbiguous, setting.ErrPermanent)
		}
	}
	after, err := Apply(text, edits, split, New)
	if err == nil {
		var back string
		back, err = Apply(after, edits, split, Old)
		if err == nil && back == text {
			return nil
		}
	}
	return fmt.Errorf("the lines to be changed cannot be told apart: %w: %w", ErrAmbiguous, setting.ErrPermanent)
}

// Move takes all edits to one side. Nothing is written where any block is on
// neither. Its operations are those of package atomicfile, for each file.
func Move(fsys opfs.FS, op string, edits []Edit, split Split, side Side) error {
	paths := Paths(edits)
	texts := make([]string, len(paths))
	changed := make([]bool, len(paths))
	for i, p := range paths {
		now, err := fsys.ReadFile(p)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%s is gone: %w", p, setting.ErrThirdValue)
		}
		if err != nil {
			return err
		}
		if texts[i], err = Apply(string(now), In(edits, p), split, side); err != nil {
			return err
		}
		changed[i] = texts[i] != string(now)
	}
	for i, p := range paths {
		var err error
		if changed[i] {
			err = atomicfile.Replace(fsys, op, p, []byte(texts[i]), atomicfile.Options{})
		} else {
			err = atomicfile.Settle(fsys, op, p)
		}
		if err != nil {
			return ownfile.Permanent(err)
		}
	}
	return nil
}

// At reports whether all edits are on one side.
func At(fsys opfs.FS, edits []Edit, split Split, side Side) (bool, error) {
	for _, e := range edits {
		now, err := fsys.ReadFile(e.Path)
		if err != nil {
			return false, err
		}
		if e.Of(string(now), split) != side {
			return false, nil
		}
	}
	return true, nil
}

// Paths are the files of the edits, each once.
func Paths(edits []Edit) []string {
	var paths []string
	for _, e := range edits {
		if !slices.Contains(paths, e.Path) {
			paths = append(paths, e.Path)
		}
	}
	return paths
}

// In are the edits of one file.
func In(edits []Edit, path string) []Edit {
	var in []Edit
	for _, e := range edits {
		if e.Path == path {
			in = append(in, e)
		}
	}
	return in
}

// index is where run begins in blocks, or -1.
func index(blocks, run []string) int {
	for i := 0; i+len(run) <= len(blocks); i++ {
		if slices.Equal(blocks[i:i+len(run)], run) {
			return i
		}
	}
	return -1
}

func count(blocks, run []string) int {
	n := 0
	for len(run) > 0 {
		i := index(blocks, run)
		if i < 0 {
			break
		}
		n++
		blocks = blocks[i+1:]
	}
	return n
}

func replace(text, from, to string, split Split) string {
	blocks, run := split(text), split(from)
	i := index(blocks, run)
	return strings.Join(blocks[:i], "") + to + strings.Join(blocks[i+len(run):], "")
}
