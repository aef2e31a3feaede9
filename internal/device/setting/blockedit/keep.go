package blockedit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
)

// Held is a block as a snapshot holds it: its text; or only its key, for one
// with a secret or of no concern to the setting.
type Held struct {
	Text string `json:"text,omitempty"`
	Key  string `json:"key,omitempty"`
}

// Key says what a block is of ("[ipv4]"), and whether a snapshot leaves its text
// out.
type Key func(block string) (key string, out bool)

// Hold is a whole file as a snapshot holds it.
func Hold(text string, split Split, key Key) []Held {
	all := []Held{}
	for _, block := range split(text) {
		if k, out := key(block); out {
			all = append(all, Held{Key: k})
		} else {
			all = append(all, Held{Text: block})
		}
	}
	return all
}

// Then is the file as it was held. Blocks that a snapshot leaves out are those
// of now: one that is gone stays gone, and a new one comes last.
func Then(held []Held, now string, split Split, key Key) string {
	var own []Held // of now: those left out, with their text
	for _, block := range split(now) {
		if k, out := key(block); out {
			own = append(own, Held{block, k})
		}
	}
	var b strings.Builder
	put := func(text string) {
		if s := b.String(); s != "" && !strings.HasSuffix(s, "\n") {
			b.WriteByte('\n')
		}
		b.WriteString(text)
	}
	for _, h := range held {
		if h.Key == "" {
			put(h.Text)
			continue
		}
		if i := slices.IndexFunc(own, func(o Held) bool { return o.Key == h.Key }); i >= 0 {
			put(own[i].Text)
			own = slices.Delete(own, i, i+1)
		}
	}
	for _, o := range own {
		put(o.Text)
	}
	return b.String()
}

// Between is the edits that take one text of a file to another, as small as
// they can be told apart.
func Between(path, now, then string, split Split) ([]Edit, error) {
	if now == then {
		return nil, nil
	}
	a, b := split(now), split(then)
	if len(a) == len(b) {
		var edits []Edit
		for i := range a {
			if a[i] != b[i] {
				edits = append(edits, Edit{path, a[i], b[i]})
			}
		}
		if makes(now, then, edits, split) {
			return edits, nil
		}
	}
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	for {
		edits := []Edit{{path, strings.Join(a[head:len(a)-tail], ""), strings.Join(b[head:len(b)-tail], "")}}
		if makes(now, then, edits, split) {
			return edits, nil
		}
		if head == 0 && tail == 0 {
			return nil, fmt.Errorf("%s: %w: %w", path, ErrAmbiguous, setting.ErrPermanent)
		}
		head, tail = max(head-1, 0), max(tail-1, 0)
	}
}

// makes reports whether the edits are safe, and are all there is to change.
func makes(now, then string, edits []Edit, split Split) bool {
	if Check(now, edits, split) != nil {
		return false
	}
	after, err := Apply(now, edits, split, New)
	return err == nil && after == then
}
