package journal_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/journal"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// boot is which start of the system it is, and for how long.
type boot struct {
	start string
	since time.Duration
}

func (b *boot) Up() (string, time.Duration, error) { return b.start, b.since, nil }

// trialBench is a bench whose record is on trial, on a system that starts.
func trialBench(t *testing.T) (*bench, *boot) {
	b := newBench(t)
	b.up = &boot{start: "first", since: time.Hour}
	b.rec.Trial = &journal.Trial{For: 5 * time.Minute, Start: "first"}
	return b, b.up
}

// onTrial brings the record to where it waits.
func onTrial(t *testing.T, b *bench) *journal.Record {
	t.Helper()
	res, err := b.whole(t.Context(), nil, b.cell(nil))
	if err != nil || res.State != journal.OnTrial || b.values(t) != allNew {
		t.Fatalf("%+v, %v, values %s", res, err, b.values(t))
	}
	r, err := b.journal(nil).Open()
	if err != nil || r == nil {
		t.Fatal(r, err)
	}
	return r
}

// R6: a restore stays only if somebody confirms it.
func TestATrialThatIsConfirmedStays(t *testing.T) {
	b, up := trialBench(t)
	r := onTrial(t, b)
	up.since += 4 * time.Minute
	if res, err := b.again(t.Context(), nil, b.cell(nil)); err != nil || res.State != journal.OnTrial {
		t.Fatalf("core started anew in its time: %+v %v", res, err)
	}
	if err := b.journal(nil).Decide(r, true, ""); err != nil || r.State != journal.Committed {
		t.Fatal(r.State, err)
	}
	up.start = "second"
	if res, err := b.again(t.Context(), nil, b.cell(nil)); err != nil || res.ID != "" || b.values(t) != allNew {
		t.Fatalf("%+v %v, values %s", res, err, b.values(t))
	}
	b.noSecretLeft(t)
}

// R6: five minutes, a restart, or a word to the contrary take it back.
func TestATrialThatIsNotConfirmedGoesBack(t *testing.T) {
	for name, end := range map[string]func(*bench, *boot, *journal.Record) error{
		"time over": func(_ *bench, up *boot, _ *journal.Record) error { up.since += 5 * time.Minute; return nil },
		"restart": func(_ *bench, up *boot, _ *journal.Record) error {
			up.start, up.since = "second", time.Second
			return nil
		},
		"withdrawn":                         func(b *bench, _ *boot, r *journal.Record) error { return b.journal(nil).Decide(r, false, "withdrawn") },
		"nobody can tell which start it is": func(b *bench, _ *boot, _ *journal.Record) error { b.up = nil; return nil },
	} {
		t.Run(name, func(t *testing.T) {
			b, up := trialBench(t)
			r := onTrial(t, b)
			if err := end(b, up, r); err != nil {
				t.Fatal(err)
			}
			if name != "withdrawn" {
				if err := b.journal(nil).Decide(r, true, ""); !errors.Is(err, journal.ErrInvalid) {
					t.Errorf("a confirmation that comes too late: %v", err)
				}
			}
			res, err := b.again(t.Context(), nil, b.cell(nil))
			if err != nil || res.State != journal.Undone || res.Failure == "" || b.values(t) != allOld {
				t.Fatalf("%+v %v, values %s", res, err, b.values(t))
			}
			if err := b.journal(nil).Decide(r, true, ""); !errors.Is(err, journal.ErrInvalid) {
				t.Errorf("a confirmation after the end: %v", err)
			}
			b.noSecretLeft(t)
		})
	}
}

// The power goes at every operation of a trial, its confirmation, or its going
// back, and the start after it is another one: all old, or, where it was
// confirmed, all new; and the start after that does nothing.
func TestPowerCutAtEveryOperationOfATrial(t *testing.T) {
	for _, confirmed := range []bool{true, false} {
		life := func(b *bench, up *boot, hook opfs.Hook) error {
			c := b.cell(hook)
			if _, err := b.whole(t.Context(), hook, c); err != nil {
				return err
			}
			j := b.journal(hook)
			r, err := j.Open()
			if err != nil || r == nil {
				return err
			}
			if err := j.Decide(r, confirmed, "withdrawn"); err != nil {
				return err
			}
			_, err = b.again(t.Context(), hook, c)
			return err
		}
		var rec opfs.Recorder
		b, up := trialBench(t)
		if err := life(b, up, rec.Hook); err != nil {
			t.Fatal(err)
		}
		marked := false // the confirmation is on disk, in one copy at least
		for _, p := range rec.Points() {
			b, up := trialBench(t)
			dead, errDead := false, errors.New("no power")
			hook := opfs.Hooks(opfs.At(p, func() error { dead = true; return nil }), func(string, opfs.When) error {
				if dead {
					return errDead
				}
				return nil
			})
			_ = life(b, up, hook)
			marked = marked || strings.HasPrefix(p.Op, "journal.committed.")
			up.start, up.since = "second", time.Second
			if _, err := b.again(t.Context(), nil, b.cell(nil)); err != nil {
				t.Fatalf("%s: recovery: %v", p, err)
			}
			if got := b.values(t); got != allOld && (got != allNew || !marked || !confirmed) {
				t.Fatalf("%s: values %s", p, got)
			}
			b.noSecretLeft(t)
			if res, err := b.again(t.Context(), nil, b.cell(nil)); err != nil || res.ID != "" {
				t.Fatalf("%s: a second start: %+v %v", p, res, err)
			}
		}
		t.Logf("confirmed %t: %d points", confirmed, len(rec.Points()))
	}
}

// The format of before is still read: an upgrade finds it after a restart.
func TestTheFormatOfBeforeIsRead(t *testing.T) {
	b := newBench(t)
	if err := os.Mkdir(b.dir+"/state", 0o700); err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"version":1,"id":"t","state":"committed","steps":[{"name":"s","adapter":"a"}]}` + "\n")
	if err := os.WriteFile(b.copy(0), journal.Seal(1, 1, body), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := b.journal(nil).Last(); err != nil || r == nil || r.ID != "t" {
		t.Fatal(r, err)
	}
}
