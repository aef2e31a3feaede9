//go:build linux

package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What the guest says on its serial line, beside what the owner's computer does.
const (
	markerThere = "file journal.open there" // the NAS has accepted
	markerGone  = "file journal.open gone"  // it has committed
	promised    = "The NAS changes its settings"
)

// How a NAS can come up after a cut.
const (
	allOld    = "all old"
	allNew    = "all new"
	halfState = "a half-state"
)

// shows waits until the serial line has shown something since the machine was switched on.
func (n *nas) shows(ctx context.Context, what string) error {
	return n.until(ctx, what, func(console []byte) bool { return bytes.Contains(console, []byte(what)) })
}

// until waits for what the serial line has shown since the machine was switched on.
func (n *nas) until(ctx context.Context, what string, shown func(console []byte) bool) error {
	for {
		b, err := os.ReadFile(n.path("console"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if shown(b) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the console did not show %q: %w; it shows %q", what, ctx.Err(), b[max(0, len(b)-1000):])
		case <-n.Ended():
			return n.explain()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (n *nas) console(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile(n.path("console"))
	check(t, err)
	return b
}

// saves is how many files were saved after the console showed a marker; "" is from its beginning.
func saves(console []byte, marker string) int {
	_, rest, found := bytes.Cut(console, []byte(marker))
	if !found {
		return 0
	}
	return bytes.Count(rest, []byte("\nsaved "))
}

// fallen is where a cut fell, by what the guest had said until then.
type fallen struct {
	part, journal string
	promised      bool // the owner was told that it goes to its end
	saved         int  // files that the guest had said to be safe
}

var (
	savedLine   = regexp.MustCompile(`(?m)^saved (\d+)\r?$`)
	journalLine = regexp.MustCompile(`(?m)^file journal\.b ([a-z]+)\r?$`)
)

func (n *nas) fell(t *testing.T) fallen {
	t.Helper()
	console := n.console(t)
	f := fallen{part: before, journal: "none", promised: bytes.Contains(console, []byte(promised))}
	switch {
	case bytes.Contains(console, []byte(markerGone)):
		f.part = after
	case bytes.Contains(console, []byte(markerThere)):
		f.part = between
	}
	if all := journalLine.FindAllSubmatch(console, -1); len(all) > 0 {
		f.journal = string(all[len(all)-1][1])
	}
	all := savedLine.FindAllSubmatch(console, -1)
	if len(all) == 0 {
		t.Fatal("nothing was saved before the cut: the NAS was under no load")
	}
	last, err := strconv.Atoi(string(all[len(all)-1][1]))
	check(t, err)
	f.saved = last + 1
	return f
}

// run makes one cut and judges what comes up.
func (s *soak) run(t *testing.T, ctx context.Context, n *nas, c cut) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	kind := "kill"
	if c.cache {
		kind = "flush"
	}
	s.count("cuts", 1)
	s.count(kind, 1)
	defer func() {
		if t.Failed() {
			n.confess(t)
		}
		check(t, n.Cut())
	}()
	lap := stopwatch()
	f, lost := s.cut(t, ctx, n, c)
	off := lap()
	if c.cache {
		kind = fmt.Sprintf("flush (%d writes lost)", lost)
	}
	s.count(f.part, 1)
	check(t, n.BootRaw(ctx))
	n.running(t, ctx)
	n.serving(t, ctx)
	state := n.settled(t, ctx)
	up := lap()
	result := s.judge(t, ctx, n)
	s.count(result, 1)
	n.passwords(t, ctx, result)
	s.unchanged(t, ctx, n, f.saved)
	// What anybody was told holds. The marker alone says it only once its folder is synced.
	if (f.promised || f.part == after) && result != allNew {
		t.Errorf("it was accepted (told %v, %s) and the settings are %s", f.promised, f.part, result)
	}
	t.Logf("cut %d: aimed %d files into %s, fell %s, %s; the journal was %s, is %s; %s; %d files saved meanwhile, each whole; off after %.0f s, up after %.0f s, judged in %.0f s",
		c.number, c.saves, c.part, f.part, kind, f.journal, state, result, f.saved, off.Seconds(), up.Seconds(), lap().Seconds())
}

// stopwatch gives the time since it was last asked.
func stopwatch() func() time.Duration {
	last := time.Now()
	return func() time.Duration {
		now := time.Now()
		defer func() { last = now }()
		return now.Sub(last)
	}
}

// cut goes on from the saved moment and takes the power away.
func (s *soak) cut(t *testing.T, ctx context.Context, n *nas, c cut) (fallen, int) {
	t.Helper()
	earlier, marker := n.accepts(t, ctx), ""
	switch c.part {
	case between:
		earlier, marker = 0, markerThere
	case after:
		earlier, marker = 0, markerGone
	}
	check(t, n.until(ctx, "the moment of the cut", func(console []byte) bool {
		return bytes.Contains(console, []byte(marker)) && saves(console, marker)-earlier >= c.saves
	}))
	pause(ctx, c.more)
	check(t, n.Cut())
	f := n.fell(t)
	if !c.cache {
		return f, 0
	}
	lost, err := n.Forget(ctx)
	check(t, err)
	return f, lost
}

// settled waits until no reset is open any more, and says what the journal has.
func (n *nas) settled(t *testing.T, ctx context.Context) string {
	t.Helper()
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	state, err := n.Agent.Until(limited, `paperclipd status --json | python3 -c 'import json,sys; s=json.load(sys.stdin)["journal"].get("state") or "none"; print(s); sys.exit(s not in ("none", "committed", "undone"))'`)
	check(t, err)
	return state
}

// judge waits until the rows are all old or all new.
func (s *soak) judge(t *testing.T, ctx context.Context, n *nas) string {
	t.Helper()
	for end := time.Now().Add(patience); ; pause(ctx, time.Second) {
		from, address := OldSubnet, GuestAddress
		if !n.lan.Reachable(ctx, from, address) {
			from, address = Client, LeasedAddress
		}
		seen := n.look(t, ctx, from, address)
		switch result := s.verdict(seen); {
		case result != halfState:
			return result
		case time.Now().After(end):
			for _, row := range rows() {
				t.Errorf("%s (%s): old %q, new %q, is %q", row.id, row.what, s.old[row.id], s.new[row.id], seen[row.id])
			}
			return halfState
		}
	}
}

// verdict holds rows against those before and after a reset.
func (s *soak) verdict(seen map[string]string) string {
	old, now := 0, 0
	for _, row := range rows() {
		if seen[row.id] == s.old[row.id] {
			old++
		}
		// A password is hashed with another salt each time.
		if seen[row.id] == s.new[row.id] || row.id == "E1" && seen[row.id] != s.old[row.id] {
			now++
		}
	}
	switch len(rows()) {
	case old:
		return allOld
	case now:
		return allNew
	}
	return halfState
}

// TestVerdict: one row that is not as the others are is a half-state, whichever it is. (E13 stays as it is in a
// reset by presence alone.)
func TestVerdict(t *testing.T) {
	s := &soak{old: map[string]string{}, new: map[string]string{}}
	for _, row := range rows() {
		s.old[row.id], s.new[row.id] = "before", "after"
	}
	s.new["E13"] = "before"
	for _, one := range rows() {
		if one.id == "E13" {
			continue
		}
		newer, older := maps.Clone(s.old), maps.Clone(s.new)
		newer[one.id], older[one.id] = "after", "before"
		if got := s.verdict(newer); got != halfState {
			t.Errorf("%s alone is new: %s", one.id, got)
		}
		if got := s.verdict(older); got != halfState {
			t.Errorf("%s alone is old: %s", one.id, got)
		}
	}
	if old, now := s.verdict(s.old), s.verdict(s.new); old != allOld || now != allNew {
		t.Errorf("all old is %s, all new is %s", old, now)
	}
}

// passwords asks SSH and SMB which password holds.
func (n *nas) passwords(t *testing.T, ctx context.Context, result string) {
	t.Helper()
	switch result {
	case allOld:
		n.witness(t, ctx, say{"anna", oldPassword, Accepted}, say{"anna", newPassword, Refused}, say{"ben", benPassword, Accepted})
	case allNew:
		n.witnessAt(t, ctx, Client, LeasedAddress, say{"anna", newPassword, Accepted}, say{"anna", oldPassword, Refused}, say{"ben", benPassword, Accepted})
	}
}

// unchanged holds the array against what it was: no file of the owner's changed, and of those that were
// saved meanwhile each is whole, and none is gone that was said to be safe.
func (s *soak) unchanged(t *testing.T, ctx context.Context, n *nas, saved int) {
	t.Helper()
	there, err := strconv.Atoi(n.shell(t, ctx, guestProgram+" check-load "+loadDir))
	check(t, err)
	if there < saved {
		t.Errorf("%d files were saved and synced, %d are there", saved, there)
	}
	now, err := n.Agent.Manifest(ctx, "/srv")
	check(t, err)
	changes := s.files.Changes(now, loaded)
	s.count("changed", len(changes))
	for _, change := range changes {
		t.Error("on the array: ", change)
	}
}

// loaded are the names that whoever saves files makes, and the folder that their folder is new in.
func loaded(path string) string {
	if path == filepath.Dir(loadDir) || path == loadDir || strings.HasPrefix(path, loadDir+"/") {
		return "files were being saved there"
	}
	return ""
}
