package journal_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/journal"
	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// looking is a cell that looks before it touches anything.
type looking struct {
	*cell
	look func()
}

func (l looking) Persist(ctx context.Context, s reset.Step) error {
	l.look()
	return l.cell.Persist(ctx, s)
}

func (b *bench) marker() string { return filepath.Join(b.dir, "state", "journal.open") }

// No setting is touched before both copies hold the record, durably, and the
// marker says so: whatever of them a cut run left damaged is mended first.
func TestNothingIsTouchedBeforeTheRecordIsWhole(t *testing.T) {
	for name, spoil := range map[string]func(*bench) error{
		"whole":         func(*bench) error { return nil },
		"one copy gone": func(b *bench) error { return os.Remove(b.copy(1)) },
		"the other cut": func(b *bench) error { return os.Truncate(b.copy(0), 20) },
		"no marker":     func(b *bench) error { return os.Remove(b.marker()) },
		"both": func(b *bench) error {
			return errors.Join(os.Truncate(b.copy(1), 20), os.Remove(b.marker()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			if err := errors.Join(b.journal(nil).Accept(b.rec), spoil(b)); err != nil {
				t.Fatal(err)
			}
			var rec opfs.Recorder
			looked := false
			c := looking{b.cell(rec.Hook), func() {
				one, err1 := os.ReadFile(b.copy(0))
				two, err2 := os.ReadFile(b.copy(1))
				mark, err3 := os.ReadFile(b.marker())
				if err := errors.Join(err1, err2, err3); err != nil || string(one) != string(two) || strings.TrimSpace(string(mark)) != b.rec.ID {
					t.Errorf("a setting is touched: copies of %d and %d bytes, marker %q, %v", len(one), len(two), mark, err)
				}
				ops := rec.Ops()
				written := slices.IndexFunc(ops, func(op string) bool {
					return strings.HasPrefix(op, "journal.repair.") && strings.HasSuffix(op, ".rename")
				})
				if written >= 0 && !slices.Contains(ops[written:], "journal.repair.syncdir") && !slices.Contains(ops[written:], "journal.repair.open.syncdir") {
					t.Errorf("a setting is touched before what was mended is durable: %q", ops)
				}
				looked = true
			}}
			if err := b.journal(rec.Hook).RecoverFiles(t.Context(), []journal.Participant{c}); err != nil || !looked {
				t.Fatal(looked, err)
			}
		})
	}
}

// fails is a hook under which every operation that begins so fails, from the
// first on, as long as power says so.
func fails(prefix string, power func() bool) opfs.Hook {
	off := false
	return func(op string, w opfs.When) error {
		if w == opfs.Before && (off || strings.HasPrefix(op, prefix)) {
			off = !power()
			return errors.New("cannot be written")
		}
		return nil
	}
}

func on() bool  { return true }
func cut() bool { return false }

// An acceptance that fails is withdrawn: nobody carries out what its claimant was
// told to be refused.
func TestFailedAcceptanceIsWithdrawn(t *testing.T) {
	for _, op := range []string{"journal.accept.a.rename", "journal.accept.b.rename", "journal.accept.syncdir", "journal.accept.open.create", "journal.accept.open.syncdir"} {
		b := newBench(t)
		if err := b.journal(fails(op, on)).Accept(b.rec); err == nil {
			t.Errorf("%s: it is accepted", op)
		}
		c := b.cell(nil)
		res, err := b.again(t.Context(), nil, c)
		if err != nil || res.ID != "" || len(c.called) != 0 || b.values(t) != allOld {
			t.Errorf("%s: %+v, %v, called %v", op, res, err, c.called)
		}
	}
}

// Wherever the power goes while it is withdrawn, the next start finds no half
// state: either nothing, or a record that is carried out to its end.
func TestPowerCutWhileItIsWithdrawn(t *testing.T) {
	for _, at := range []string{"journal.withdraw.open", "journal.withdraw.a", "journal.withdraw.b"} {
		for _, step := range []string{".remove", ".syncdir"} {
			b := newBench(t)
			failed := fails("journal.accept.open.syncdir", on)
			off := fails(at+step, cut)
			if err := b.journal(opfs.Hooks(failed, off)).Accept(b.rec); err == nil {
				t.Errorf("%s%s: it is accepted", at, step)
			}
			if _, err := b.again(t.Context(), nil, b.cell(nil)); err != nil {
				t.Errorf("%s%s: %v", at, step, err)
			}
			if v := b.values(t); v != allOld && v != allNew {
				t.Errorf("%s%s: values %s", at, step, v)
			}
		}
	}
}

// What a finished transaction left behind, its marker, is taken away before the
// next one is written: beside another record it would be a half state.
func TestLeftoversGoBeforeTheNextRecord(t *testing.T) {
	b := newBench(t)
	if _, err := b.whole(t.Context(), fails("journal.committed.open", cut), b.cell(nil)); err == nil {
		t.Fatal("the marker went")
	}
	b.rec.ID = "t2"
	if err := b.journal(fails("journal.accept.open", cut)).Accept(b.rec); err == nil {
		t.Fatal("it is accepted")
	}
	if r, err := b.journal(nil).Open(); err != nil || r != nil && r.ID != "t2" {
		t.Errorf("after a cut before its marker: %+v, %v", r, err)
	}
}

// Only the record in the journal is carried out or decided about.
func TestAnotherRecordIsRefused(t *testing.T) {
	b, _ := trialBench(t)
	r := onTrial(t, b)
	other := *r
	other.ID = "another"
	c := b.cell(nil)
	if _, err := b.journal(nil).Run(t.Context(), &other, []journal.Participant{c}, nil); !errors.Is(err, journal.ErrInvalid) || len(c.called) != 0 {
		t.Errorf("carried out: %v, called %v", err, c.called)
	}
	other.ID = "another"
	if err := b.journal(nil).Decide(&other, true, ""); !errors.Is(err, journal.ErrInvalid) {
		t.Errorf("confirmed: %v", err)
	}
	if now, err := b.journal(nil).Open(); err != nil || now == nil || now.State != journal.OnTrial {
		t.Errorf("now %+v, %v", now, err)
	}
}

// put writes a copy that is whole, whatever it says.
func (b *bench) put(t *testing.T, i, version int, generation uint64, change func(*journal.Record)) {
	t.Helper()
	r := b.rec
	r.Version, r.State = version, journal.Accepted
	change(&r)
	body, err := json.Marshal(r)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(b.copy(i)), 0o700)
	}
	if err == nil {
		err = os.WriteFile(b.copy(i), journal.Seal(version, generation, append(body, '\n')), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Of two whole copies the later counts, whichever file it is in; two of one
// generation that differ are a half state; and a copy is worth nothing that says
// what no program of ours writes.
func TestWhichCopyCounts(t *testing.T) {
	same := func(*journal.Record) {}
	persisted := func(r *journal.Record) { r.State = journal.Persisted }
	for _, later := range []int{0, 1} {
		b := newBench(t)
		b.put(t, 1-later, journal.Version, 1, same)
		b.put(t, later, journal.Version, 2, persisted)
		if r, err := b.journal(nil).Open(); err != nil || r == nil || r.State != journal.Persisted {
			t.Errorf("the later one in %s: %+v, %v", b.copy(later), r, err)
		}
	}
	b := newBench(t)
	b.put(t, 0, journal.Version, 1, same)
	b.put(t, 1, journal.Version, 1, persisted)
	if r, err := b.journal(nil).Open(); !errors.Is(err, journal.ErrHalfState) {
		t.Errorf("two that contradict each other: %+v, %v", r, err)
	}
	for name, odd := range map[string]func(*bench, int){
		"a state that there is not": func(b *bench, i int) {
			b.put(t, i, journal.Version, 9, func(r *journal.Record) { r.State = "almost" })
		},
		"no steps":  func(b *bench, i int) { b.put(t, i, journal.Version, 9, func(r *journal.Record) { r.Steps = nil }) },
		"version 0": func(b *bench, i int) { b.put(t, i, 0, 9, same) },
	} {
		b := newBench(t)
		b.put(t, 0, journal.Version, 1, same)
		odd(b, 1)
		if r, err := b.journal(nil).Open(); err != nil || r == nil || r.State != journal.Accepted {
			t.Errorf("%s, beside a whole one: %+v, %v", name, r, err)
		}
		odd(b, 0)
		if r, err := b.journal(nil).Open(); err != nil || r != nil {
			t.Errorf("%s, in both: %+v, %v", name, r, err)
		}
	}
}

// order is a participant that notes what it is asked for.
type order struct {
	calls []string
	fail  map[journal.Action]error
}

func (o *order) ID() string { return "cell" }
func (o *order) note(a journal.Action, s reset.Step) error {
	o.calls = append(o.calls, string(a)+" "+s.Name)
	return o.fail[a]
}

func (o *order) Persist(_ context.Context, s reset.Step) error { return o.note(journal.Persist, s) }

func (o *order) Activate(_ context.Context, s reset.Step) error { return o.note(journal.Activate, s) }
func (o *order) Verify(_ context.Context, s reset.Step) error   { return o.note(journal.Verify, s) }
func (o *order) Undo(_ context.Context, s reset.Step) error     { return o.note(journal.Undo, s) }

// The way back is the way there from its end: every file is old again before the
// running system is told, and told it is.
func TestTheWayBackIsTheWayThereFromItsEnd(t *testing.T) {
	back := []string{"undo two", "undo one", "activate two", "activate one"}
	for failing, want := range map[journal.Action][]string{
		journal.Persist:  append([]string{"persist one"}, back...),
		journal.Activate: append([]string{"persist one", "persist two", "activate one"}, back...),
		journal.Verify:   append([]string{"persist one", "persist two", "activate one", "activate two", "verify one"}, back...),
	} {
		b := newBench(t)
		o := &order{fail: map[journal.Action]error{failing: setting.ErrPermanent}}
		j := b.journal(nil)
		if err := j.Accept(b.rec); err != nil {
			t.Fatal(err)
		}
		r, err := j.Open()
		if err != nil {
			t.Fatal(err)
		}
		res, err := j.Run(t.Context(), r, []journal.Participant{o}, nil)
		if err != nil || res.State != journal.Undone || !slices.Equal(o.calls, want) {
			t.Errorf("%s fails: %+v, %v, called %q, want %q", failing, res, err, o.calls, want)
		}
		// What could not be made active again is told, not taken for done.
		if told := slices.Equal(res.NotActive, []string{"two", "one"}); told != (failing == journal.Activate) {
			t.Errorf("%s fails: not active is %q", failing, res.NotActive)
		}
	}
}
