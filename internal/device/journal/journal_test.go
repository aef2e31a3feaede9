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
	"time"

	"pgregory.net/rapid"

	"github.com/paperclip-nas/paperclip/internal/device/journal"
	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/scratch"
)

// cell is a participant whose setting is one small file a step.
type cell struct {
	fsys   opfs.FS
	dir    string
	fail   map[journal.Action]error // always, for this action
	flaky  map[journal.Action]int   // that many times
	called []journal.Action
}

type cellData struct{ File, From, To string }

func (c *cell) ID() string { return "cell" }

func (c *cell) stumble(a journal.Action) error {
	c.called = append(c.called, a)
	if c.flaky[a] > 0 {
		c.flaky[a]--
		return errors.New("try again")
	}
	return c.fail[a]
}

func (c *cell) move(a journal.Action, s reset.Step, from, to func(cellData) string) error {
	if err := c.stumble(a); err != nil {
		return err
	}
	var d cellData
	if err := json.Unmarshal(s.Data, &d); err != nil {
		return err
	}
	path := filepath.Join(c.dir, d.File)
	now, err := c.fsys.ReadFile(path)
	op := "cell." + string(a)
	switch {
	case err != nil:
		return err
	case string(now) == to(d):
		return atomicfile.Settle(c.fsys, op, path)
	case string(now) != from(d):
		return setting.ErrThirdValue
	}
	return atomicfile.Replace(c.fsys, op, path, []byte(to(d)), atomicfile.Options{})
}

func from(d cellData) string { return d.From }
func to(d cellData) string   { return d.To }

func (c *cell) Persist(_ context.Context, s reset.Step) error {
	return c.move(journal.Persist, s, from, to)
}

func (c *cell) Undo(_ context.Context, s reset.Step) error { return c.move(journal.Undo, s, to, from) }
func (c *cell) Activate(context.Context, reset.Step) error { return c.stumble(journal.Activate) }
func (c *cell) Verify(_ context.Context, s reset.Step) error {
	return c.stumble(journal.Verify)
}

// bench is a journal and two settings in a temporary directory.
type bench struct {
	up  *boot // which start of the system it is; nil cannot tell
	dir string
	rec journal.Record
}

const secretHash = "OLD-HASH-IN-UNDO-IMAGE"

func newBench(t testing.TB) *bench {
	b := &bench{dir: scratch.Dir(t)}
	for _, f := range []string{"one", "two"} {
		b.set(t, f, secretHash+f)
		data, _ := json.Marshal(cellData{f, secretHash + f, "new " + f})
		b.rec.Steps = append(b.rec.Steps, reset.Step{Name: f, Adapter: "cell", Effects: []nas.Effect{nas.E1}, Data: data})
	}
	b.rec.ID, b.rec.PlanHash, b.rec.AcceptedAt = "t1", "ab12", time.Unix(1e9, 0).UTC()
	b.rec.Plan = json.RawMessage(`{"device":"cellar"}`)
	return b
}

func (b *bench) set(t testing.TB, file, value string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, file), []byte(value), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) values(t testing.TB) string {
	t.Helper()
	var v []string
	for _, f := range []string{"one", "two"} {
		data, err := os.ReadFile(filepath.Join(b.dir, f))
		if err != nil {
			t.Fatal(err)
		}
		v = append(v, string(data))
	}
	return strings.Join(v, ",")
}

const (
	allOld = secretHash + "one," + secretHash + "two"
	allNew = "new one,new two"
)

func (b *bench) journal(hook opfs.Hook) *journal.Journal {
	j := journal.New(opfs.OS(hook), filepath.Join(b.dir, "state"))
	j.Pause = 0
	if b.up != nil {
		j.Boot = b.up
	}
	return j
}

func (b *bench) cell(hook opfs.Hook) *cell { return &cell{fsys: opfs.OS(hook), dir: b.dir} }

func (b *bench) copy(i int) string {
	return filepath.Join(b.dir, "state", "journal."+string(rune('a'+i)))
}

// whole is one transaction from acceptance to its end.
func (b *bench) whole(ctx context.Context, hook opfs.Hook, c *cell) (journal.Result, error) {
	j := b.journal(hook)
	if err := j.Accept(b.rec); err != nil {
		return journal.Result{}, err
	}
	return b.again(ctx, hook, c)
}

// again is what happens at every start: files first, then the rest.
func (b *bench) again(ctx context.Context, hook opfs.Hook, c *cell) (journal.Result, error) {
	j := b.journal(hook)
	if err := j.RecoverFiles(ctx, []journal.Participant{c}); err != nil {
		return journal.Result{}, err
	}
	r, err := j.Open()
	if r == nil || err != nil {
		return journal.Result{}, err
	}
	return j.Run(ctx, r, []journal.Participant{c}, nil)
}

func TestAllNew(t *testing.T) {
	b := newBench(t)
	c := b.cell(nil)
	res, err := b.whole(t.Context(), nil, c)
	if err != nil || res.State != journal.Committed || b.values(t) != allNew {
		t.Fatalf("result %+v, err %v, values %s", res, err, b.values(t))
	}
	want := []journal.Action{"persist", "persist", "activate", "activate", "verify", "verify"}
	if !slices.Equal(c.called, want) {
		t.Errorf("called %v, want %v", c.called, want)
	}
	b.noSecretLeft(t)
	last, err := b.journal(nil).Last()
	if err != nil || last.ID != "t1" || last.PlanHash != "ab12" || last.Steps[0].Data != nil {
		t.Errorf("last = %+v, err %v: want id and hash, no data", last, err)
	}
}

// Undo images are erased at commit, in both copies and all temporary files.
func (b *bench) noSecretLeft(t testing.TB) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(b.dir, "state"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(b.dir, "state", e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), secretHash) {
			t.Errorf("%s still holds the undo image", e.Name())
		}
		if e.Name() == "journal.open" {
			t.Error("the marker is still there")
		}
	}
}

func TestAStepThatNeverSucceedsGoesBack(t *testing.T) {
	for _, action := range []journal.Action{journal.Persist, journal.Activate, journal.Verify} {
		for name, failure := range map[string]error{"stubborn": errors.New("busy"), "permanent": setting.ErrPermanent} {
			t.Run(string(action)+"_"+name, func(t *testing.T) {
				b := newBench(t)
				c := b.cell(nil)
				c.fail = map[journal.Action]error{action: failure}
				res, err := b.whole(t.Context(), nil, c)
				if err != nil || res.State != journal.Undone || b.values(t) != allOld {
					t.Fatalf("result %+v, err %v, values %s", res, err, b.values(t))
				}
				if res.Failure == "" {
					t.Error("it does not say why it went back")
				}
				tries := 0
				for _, a := range c.called {
					if a == action {
						tries++
					}
					if a == journal.Undo {
						break
					}
				}
				if want := map[string]int{"stubborn": 3, "permanent": 1}[name]; tries != want {
					t.Errorf("%s was tried %d times, want %d", action, tries, want)
				}
				b.noSecretLeft(t)
			})
		}
	}
}

func TestATransientFailureIsTriedAgain(t *testing.T) {
	b := newBench(t)
	c := b.cell(nil)
	c.flaky = map[journal.Action]int{journal.Persist: 2, journal.Activate: 1, journal.Verify: 2}
	res, err := b.whole(t.Context(), nil, c)
	if err != nil || res.State != journal.Committed || b.values(t) != allNew {
		t.Fatalf("result %+v, err %v, values %s", res, err, b.values(t))
	}
}

// A value that somebody else set is never overwritten, going forward or back.
func TestAThirdValueStays(t *testing.T) {
	b := newBench(t)
	b.set(t, "two", "theirs")
	res, err := b.whole(t.Context(), nil, b.cell(nil))
	if err != nil || res.State != journal.Undone {
		t.Fatalf("result %+v, err %v", res, err)
	}
	if got, want := b.values(t), secretHash+"one,theirs"; got != want {
		t.Errorf("values %s, want %s", got, want)
	}
	if !slices.Equal(res.LeftAlone, []string{"two"}) {
		t.Errorf("left alone %v, want two", res.LeftAlone)
	}
}

func TestAnUndoThatFailsIsAHalfState(t *testing.T) {
	b := newBench(t)
	c := b.cell(nil)
	c.fail = map[journal.Action]error{journal.Verify: setting.ErrPermanent, journal.Undo: errors.New("disk gone")}
	if _, err := b.whole(t.Context(), nil, c); !errors.Is(err, journal.ErrHalfState) {
		t.Fatalf("err = %v, want ErrHalfState", err)
	}
	if err := b.journal(nil).RecoverFiles(t.Context(), []journal.Participant{c}); !errors.Is(err, journal.ErrHalfState) {
		t.Fatalf("at boot: err = %v, want ErrHalfState", err)
	}
	c.fail = nil // the disk is back: the next start mends it
	res, err := b.again(t.Context(), nil, c)
	if err != nil || res.State != journal.Undone || b.values(t) != allOld {
		t.Fatalf("result %+v, err %v, values %s", res, err, b.values(t))
	}
}

func TestAMissingAdapter(t *testing.T) {
	b := newBench(t)
	j := b.journal(nil)
	if err := j.Accept(b.rec); err != nil {
		t.Fatal(err)
	}
	if err := j.RecoverFiles(t.Context(), nil); !errors.Is(err, journal.ErrHalfState) {
		t.Fatalf("err = %v, want ErrHalfState", err)
	}
}

func TestRecoverFilesLeavesTheRunningSystemAlone(t *testing.T) {
	b := newBench(t)
	c := b.cell(nil)
	j := b.journal(nil)
	if err := j.Accept(b.rec); err != nil {
		t.Fatal(err)
	}
	if err := j.RecoverFiles(t.Context(), []journal.Participant{c}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.called, []journal.Action{"persist", "persist"}) || b.values(t) != allNew {
		t.Errorf("called %v, values %s", c.called, b.values(t))
	}
	r, err := j.Open()
	if err != nil || r == nil || r.State != journal.Persisted {
		t.Fatalf("open = %+v, %v; want persisted", r, err)
	}
}

func TestBeingToldToStop(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	j := b.journal(nil)
	if err := j.Accept(b.rec); err != nil {
		t.Fatal(err)
	}
	r, _ := j.Open()
	_, err := j.Run(ctx, r, []journal.Participant{b.cell(nil)}, func(e journal.Event) {
		if e.State == journal.Activated && e.Step == "" {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("err = %v, want canceled", err)
	}
	if res, err := b.again(t.Context(), nil, b.cell(nil)); err != nil || res.State != journal.Committed {
		t.Fatalf("result %+v, err %v", res, err)
	}
}

func TestOneTransactionAtATime(t *testing.T) {
	b := newBench(t)
	j := b.journal(nil)
	if err := j.Accept(b.rec); err != nil {
		t.Fatal(err)
	}
	if err := j.Accept(b.rec); !errors.Is(err, journal.ErrOpen) {
		t.Fatalf("err = %v, want ErrOpen", err)
	}
}

func TestWhatCannotBeAccepted(t *testing.T) {
	for name, spoil := range map[string]func(*journal.Record){
		"no id":       func(r *journal.Record) { r.ID = "" },
		"no steps":    func(r *journal.Record) { r.Steps = nil },
		"same name":   func(r *journal.Record) { r.Steps[1].Name = r.Steps[0].Name },
		"no adapter":  func(r *journal.Record) { r.Steps[0].Adapter = "" },
		"far too big": func(r *journal.Record) { r.Plan = json.RawMessage(`"` + strings.Repeat("x", 5<<20) + `"`) },
	} {
		b := newBench(t)
		spoil(&b.rec)
		var rec opfs.Recorder
		j := b.journal(rec.Hook)
		if err := j.Accept(b.rec); !errors.Is(err, journal.ErrInvalid) {
			t.Errorf("%s: err = %v, want ErrInvalid", name, err)
		}
		if r, err := j.Open(); r != nil || err != nil {
			t.Errorf("%s: open = %v, %v", name, r, err)
		}
	}
}

// Every operation of a whole run fails, for good, from each point on: as when
// the power goes there. The next start ends all old or all new, with no undo
// image left, and the start after that does nothing.
func TestPowerCutAtEveryOperation(t *testing.T) {
	for name, fail := range map[string]map[journal.Action]error{
		"forward": nil,
		"back":    {journal.Verify: setting.ErrPermanent},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			var rec opfs.Recorder
			c := b.cell(rec.Hook)
			c.fail = fail
			if _, err := b.whole(t.Context(), rec.Hook, c); err != nil {
				t.Fatal(err)
			}
			for _, p := range rec.Points() {
				cutAndRecover(t, p, fail)
			}
			t.Logf("%d points", len(rec.Points()))
		})
	}
}

func cutAndRecover(t *testing.T, p opfs.Point, fail map[journal.Action]error) {
	t.Helper()
	b := newBench(t)
	dead := false
	errDead := errors.New("no power")
	hook := opfs.Hooks(opfs.At(p, func() error { dead = true; return nil }), func(string, opfs.When) error {
		if dead {
			return errDead
		}
		return nil
	})
	c := b.cell(hook)
	c.fail = fail
	if _, err := b.whole(t.Context(), hook, c); !errors.Is(err, errDead) {
		// An error after the last operation of all can come too late to matter.
		t.Logf("%s: err = %v", p, err)
	}
	c = b.cell(nil)
	c.fail = fail
	if _, err := b.again(t.Context(), nil, c); err != nil {
		t.Fatalf("%s: recovery: %v", p, err)
	}
	if got := b.values(t); got != allOld && (got != allNew || fail != nil) {
		t.Fatalf("%s: values %s", p, got)
	}
	b.noSecretLeft(t)
	var rec opfs.Recorder
	c = b.cell(rec.Hook)
	if res, err := b.again(t.Context(), rec.Hook, c); err != nil || res.ID != "" || len(c.called) > 0 || len(rec.Ops()) > 0 {
		t.Fatalf("%s: a second start did %v %v: %+v, %v", p, c.called, rec.Ops(), res, err)
	}
}

// Damage to one copy never matters; to both, it is a half state exactly when
// settings may have been touched.
func TestAnyDamage(t *testing.T) {
	for _, state := range []journal.State{"", journal.Accepted, journal.Persisted, journal.Committed} {
		t.Run("state_"+string(state), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) { damage(t, rt, state) })
		})
	}
}

func damage(t *testing.T, rt *rapid.T, state journal.State) {
	b := newBench(t)
	j := b.journal(nil)
	c := b.cell(nil)
	if state != "" {
		if err := j.Accept(b.rec); err != nil {
			rt.Fatal(err)
		}
	}
	switch state {
	case journal.Persisted:
		if err := j.RecoverFiles(t.Context(), []journal.Participant{c}); err != nil {
			rt.Fatal(err)
		}
	case journal.Committed:
		if _, err := b.again(t.Context(), nil, c); err != nil {
			rt.Fatal(err)
		}
	case "": // an acceptance cut short while the first copy was written
		if err := j.Accept(b.rec); err != nil {
			rt.Fatal(err)
		}
		if err := errors.Join(os.Remove(b.copy(1)), os.Remove(filepath.Join(b.dir, "state", "journal.open"))); err != nil {
			rt.Fatal(err)
		}
		spoil(rt, b.copy(0))
		if r, err := j.Open(); r != nil || err != nil {
			rt.Fatalf("open = %+v, %v; want none", r, err)
		}
		if _, err := b.again(t.Context(), nil, c); err != nil || b.values(t) != allOld {
			rt.Fatalf("err %v, values %s", err, b.values(t))
		}
		b.noSecretLeft(t)
		return
	}
	which := rapid.SampledFrom([]string{"a", "b", "both"}).Draw(rt, "which")
	if which != "b" {
		spoil(rt, b.copy(0))
	}
	if which != "a" {
		spoil(rt, b.copy(1))
	}
	_, err := b.again(t.Context(), nil, c)
	if lost := which == "both" && state != journal.Committed; lost {
		if !errors.Is(err, journal.ErrHalfState) {
			rt.Fatalf("err = %v, want ErrHalfState", err)
		}
		if err := j.Accept(b.rec); !errors.Is(err, journal.ErrHalfState) {
			rt.Fatalf("accept: err = %v, want ErrHalfState", err)
		}
		return
	}
	if err != nil || b.values(t) != allNew {
		rt.Fatalf("err %v, values %s", err, b.values(t))
	}
}

// spoil truncates a file or flips one of its bits.
func spoil(rt *rapid.T, path string) {
	data, err := os.ReadFile(path)
	if err != nil {
		rt.Fatal(err)
	}
	if rapid.Bool().Draw(rt, "truncate") {
		data = data[:rapid.IntRange(0, len(data)-1).Draw(rt, "length")]
	} else {
		bit := rapid.IntRange(0, 8*len(data)-1).Draw(rt, "bit")
		data[bit/8] ^= 1 << (bit % 8)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		rt.Fatal(err)
	}
}

// The marker names the change that was begun. Beside a record of another one
// nobody knows what that change did: nothing is carried out, nothing is accepted,
// and the doors stay shut.
func TestTheMarkerNamesItsRecord(t *testing.T) {
	b := newBench(t)
	j := b.journal(nil)
	if err := j.Accept(b.rec); err != nil {
		t.Fatal(err)
	}
	marker := filepath.Join(b.dir, "state", "journal.open")
	if name, err := os.ReadFile(marker); err != nil || strings.TrimSpace(string(name)) != b.rec.ID {
		t.Fatalf("the marker of %s is %q (%v)", b.rec.ID, name, err)
	}
	if err := os.WriteFile(marker, []byte("another\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := j.Open(); !errors.Is(err, journal.ErrHalfState) {
		t.Errorf("open: %+v, %v", r, err)
	}
	if err := j.RecoverFiles(t.Context(), []journal.Participant{b.cell(nil)}); !errors.Is(err, journal.ErrHalfState) {
		t.Errorf("at the start: %v", err)
	}
	if err := j.Accept(b.rec); !errors.Is(err, journal.ErrHalfState) {
		t.Errorf("the next one: %v", err)
	}
	if b.values(t) != allOld {
		t.Errorf("values %s", b.values(t))
	}
}

func TestANewerFormatIsRefusedNotDiscarded(t *testing.T) {
	b := newBench(t)
	if err := os.Mkdir(filepath.Join(b.dir, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b.copy(0), journal.Seal(journal.Version+1, 1, []byte("{}\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.journal(nil).Open(); !errors.Is(err, journal.ErrVersion) {
		t.Fatalf("err = %v, want ErrVersion", err)
	}
}

func TestTheJournalIsRootOnly(t *testing.T) {
	b := newBench(t)
	if err := b.journal(nil).Accept(b.rec); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{b.copy(0): 0o600, b.copy(1): 0o600, filepath.Dir(b.copy(0)): 0o700} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, err %v; want %v", path, info.Mode(), err, want)
		}
	}
}
