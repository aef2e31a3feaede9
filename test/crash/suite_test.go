package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/device/journal"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/receipt"
	"github.com/paperclip-nas/paperclip/internal/x/opfs/crashfs"
)

// scenario is one run whose every point is a place to crash.
type scenario struct {
	kind   kind
	model  crashfs.Model
	scopes []reset.Scope // one claim after the other
	ending ending
	mutant string // the fsync that the program forgot
}

func (s scenario) String() string {
	var scopes []string
	for _, x := range s.scopes {
		scopes = append(scopes, string(x))
	}
	return fmt.Sprintf("%s, %s, %s, %s disk", s.kind.name, strings.Join(scopes, " then "), s.ending, s.model)
}

// moment is a point of a run: the disk then, and what had been told.
type moment struct {
	at   crashfs.Point
	disk *crashfs.Disk
	told told
}

// run is a recorded scenario.
type run struct {
	scenario
	moments []moment
	looks   []string // of the system after so many resets
	between []string // of a system all new that is going to be all old again
	syncs   []string // the names of its fsyncs
	key     string   // the device's
}

// recorder collects moments of a disk.
type recorder struct {
	mu      sync.Mutex
	told    told
	moments []moment
}

func (r *recorder) tell(change func(*told)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told.receipts = slices.Clone(r.told.receipts)
	change(&r.told)
}

func (r *recorder) watch(d *crashfs.Disk) {
	d.Watch(func(p crashfs.Point) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.moments = append(r.moments, moment{p, d.Killed(), r.told})
	})
}

// record carries a scenario out, undisturbed, from the first start of the
// device on a fresh system.
func record(t *testing.T, s scenario) *run {
	t.Helper()
	d := s.kind.install(t, s.model)
	if s.mutant != "" {
		d.Ignore(s.mutant)
	}
	r := &run{scenario: s, looks: []string{looks(d)}}
	r.carryOut(t, d, told{})
	return r
}

// carryOut starts the device on a disk and does the claims of the scenario.
func (r *run) carryOut(t *testing.T, d *crashfs.Disk, x told) {
	t.Helper()
	rec := recorder{told: x}
	rec.watch(d)
	cfg, err := r.kind.config(d, r.ending)
	if err != nil {
		t.Fatal(err)
	}
	dev, err := power(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.stop()
	r.key = dev.core.KeyID()
	rec.tell(func(x *told) { x.started = true })
	for _, scope := range r.scopes {
		if err := dev.claim(t.Context(), scope, rec.tell); err != nil {
			t.Fatalf("%s: %v", scope, err)
		}
		now := looks(d)
		if back := now == r.looks[len(r.looks)-1]; back == (r.ending == forward) {
			t.Fatalf("%s: ended with everything old: %t", r.scenario, back)
		}
		r.looks = append(r.looks, now)
	}
	d.Watch(nil)
	r.moments, r.syncs = append(rec.moments, moment{crashfs.Point{Op: "the end", At: crashfs.After}, d.Killed(), rec.told}), d.Syncs()
	for _, m := range r.moments {
		if strings.HasPrefix(m.at.Op, "journal.persisted.") {
			r.between = append(r.between, looks(m.disk))
		}
	}
}

// allowed is how many resets may have come true, from and to, for a device that
// has told so much.
func (r *run) allowed(x told) (from, to int) { return x.accepted, x.begun }

// tally counts.
type tally struct {
	points, kills, cuts, cutsAgain, recoveries, olds, news int
}

func (c *tally) add(o tally) {
	c.points += o.points
	c.kills += o.kills
	c.cuts += o.cuts
	c.cutsAgain += o.cutsAgain
	c.recoveries += o.recoveries
	c.olds += o.olds
	c.news += o.news
}

func (c tally) String() string {
	return fmt.Sprintf("%d points, %d kills, %d disks after a power cut, %d after a second crash; %d different recoveries, %d ended all old, %d all new",
		c.points, c.kills, c.cuts, c.cutsAgain, c.recoveries, c.olds, c.news)
}

// effort is how much is tried.
type effort struct {
	first  int // disks at a point, at most
	damage int // every so manyth disk is also tried with a damaged journal copy; 0: none
	again  int // every so manyth recovery is crashed too; 0: none
	second int // disks at a point of such a recovery, at most
}

// inquiry tries the crashes of one run.
type inquiry struct {
	*run
	effort
	tally
	doors doors
	seen  map[string]bool
}

// nearby is how many points after a mutant's fsync are all tried; of the rest, a
// part.
const nearby = 40

// crash tries everything and stops at the first failure.
func (r *run) crash(ctx context.Context, e effort) (tally, error) {
	q := &inquiry{run: r, effort: e, doors: doors{}, seen: map[string]bool{}}
	since := -1 // points since the mutant's fsync
	for i, m := range r.moments {
		if m.at.Op == r.mutant {
			since = 0
		}
		if r.mutant != "" && since < 0 || since > nearby && i%8 != 0 {
			continue
		}
		if since >= 0 {
			since++
		}
		q.points++
		if err := q.moment(ctx, m); err != nil {
			return q.tally, fmt.Errorf("%s: %s: %w", r.scenario, m.at, err)
		}
	}
	return q.tally, nil
}

func (q *inquiry) moment(ctx context.Context, m moment) error {
	if err := q.doors.open(m.disk); err != nil {
		return fmt.Errorf("while it runs: %w", err)
	}
	if m.at.At != crashfs.After { // after one is before the next
		q.kills++
		if err := q.kill(ctx, m); err != nil {
			return fmt.Errorf("killed: %w", err)
		}
	}
	i := 0
	for d := range m.disk.Cuts(q.first) {
		i++
		if err := q.cut(ctx, d, m.told, true); err != nil {
			return fmt.Errorf("power cut, disk %d: %w", i, err)
		}
	}
	return nil
}

// kill is the program's death alone: what was written stays, but is no safer
// for it, so that a power cut while the next one recovers is tried as well.
func (q *inquiry) kill(ctx context.Context, m moment) error {
	return q.crashed(ctx, m.disk.Killed(), m.told, false, q.again > 0 && q.kills%q.again == 0)
}

// cut is a disk as found after a power cut, and with a bad sector in one of the
// journal's copies.
func (q *inquiry) cut(ctx context.Context, d *crashfs.Disk, x told, deeper bool) error {
	if deeper {
		q.cuts++
	} else {
		q.cutsAgain++
	}
	for _, bad := range q.damages(deeper) {
		c := d.Killed()
		if bad == both {
			if err := q.bothDamaged(ctx, c, x); err != nil {
				return fmt.Errorf("with %s: %w", bad, err)
			}
			continue
		}
		if bad != "" && !damage(c, bad) {
			continue
		}
		key := fmt.Sprintf("%x %v", c.Sum(), x)
		if q.seen[key] {
			continue
		}
		q.seen[key] = true
		again := deeper && q.again > 0 && len(q.seen)%q.again == 0
		if err := q.crashed(ctx, c, x, true, again); err != nil {
			if bad != "" {
				err = fmt.Errorf("with a damaged %s: %w", bad, err)
			}
			return err
		}
	}
	return nil
}

// damages are the copies of the journal to damage in turn, after none, and both.
func (q *inquiry) damages(deeper bool) []string {
	if !deeper || q.damage == 0 || (q.cuts+q.cutsAgain)%q.damage != 0 {
		return []string{""}
	}
	return []string{"", "journal.a", "journal.b", both}
}

const both = "both copies damaged"

// bothDamaged is more than the journal can mend. It must not be silent about
// it: the doors stay shut, unless nothing is half changed.
func (q *inquiry) bothDamaged(ctx context.Context, d *crashfs.Disk, x told) error {
	if a, b := damage(d, "journal.a"), damage(d, "journal.b"); !a && !b {
		return nil
	}
	cfg, err := q.kind.config(d, q.ending)
	if err != nil {
		return err
	}
	if p, ok := errors.AsType[catalog.Problem](core.Recover(ctx, cfg)); ok && p.ID == "half_state" {
		return nil
	}
	from, to := q.allowed(x)
	if now := looks(d); !slices.Contains(q.looks[from:to+1], now) {
		return fmt.Errorf("the doors open on a half state:\n%s", difference(q.looks[from], now))
	}
	return nil
}

// damage flips a bit.
func damage(d *crashfs.Disk, name string) bool {
	path := stateDir + "/" + name
	data, err := d.ReadFile(path)
	if err != nil || len(data) == 0 {
		return false
	}
	data[len(data)/2] ^= 1
	put(d, path, string(data))
	return true
}

// crashed starts the device again on a disk, and judges. With deeper, every
// point of that recovery is a place for a power cut again.
func (q *inquiry) crashed(ctx context.Context, d *crashfs.Disk, x told, cut, deeper bool) error {
	var rec recorder
	if deeper {
		rec.told = x
		rec.watch(d)
	}
	q.recoveries++
	if err := q.recover(ctx, d, x, cut); err != nil {
		return err
	}
	d.Watch(nil)
	i, err := q.judge(d, x)
	if err != nil {
		return err
	}
	if i == 0 || q.ending != forward {
		q.olds++
	} else {
		q.news++
	}
	if err := q.noOp(ctx, d, x); err != nil {
		return err
	}
	for _, m := range rec.moments {
		q.points++
		if err := q.doors.open(m.disk); err != nil {
			return fmt.Errorf("%s of its recovery: %w", m.at, err)
		}
		for c := range m.disk.Cuts(q.second) {
			if err := q.cut(ctx, c, x, false); err != nil {
				return fmt.Errorf("cut again %s of its recovery: %w", m.at, err)
			}
		}
	}
	return nil
}

// recover is a start of the system after a cut (the recovery unit, then doors,
// then core), or of core alone.
func (q *inquiry) recover(ctx context.Context, d *crashfs.Disk, x told, cut bool) error {
	if cut {
		cfg, err := q.kind.config(d, q.ending)
		if err != nil {
			return err
		}
		if err := core.Recover(ctx, cfg); err != nil {
			return fmt.Errorf("the recovery unit: %w", explain(err))
		}
		from, to := q.allowed(x)
		if now := looks(d); !slices.Contains(q.looks[from:to+1], now) && !slices.Contains(q.between, now) {
			return fmt.Errorf("the doors open on a half state:\n%s", difference(q.looks[from], now))
		}
		if err := q.doors.open(d); err != nil {
			return fmt.Errorf("after the recovery unit: %w", err)
		}
		q.kind.start(d)
	}
	cfg, err := q.kind.config(d, q.ending)
	if err != nil {
		return err
	}
	dev, err := power(ctx, cfg)
	if err != nil {
		return fmt.Errorf("core: %w", explain(err))
	}
	defer dev.stop()
	if x.started && dev.core.KeyID() != q.key {
		return errors.New("the device has become another one: its identity key is gone")
	}
	return q.receipts(dev, d, x)
}

// explain adds the cause, which is not for people.
func explain(err error) error { return errors.Join(err, errors.Unwrap(err)) }

// receipts must be whole, chained, one for each reset that has ended, and hold
// what was told.
func (q *inquiry) receipts(dev *device, d *crashfs.Disk, x told) error {
	list, err := dev.core.Receipts()
	if err != nil {
		return err
	}
	want := receipt.Undone
	if q.ending == forward {
		want = receipt.Committed
	}
	for _, r := range list.Receipts {
		if !r.Valid || r.Statement.Result != want {
			return fmt.Errorf("receipt %s: valid %t, result %s", r.Name, r.Valid, r.Statement.Result)
		}
	}
	n := len(list.Receipts)
	if from, to := q.allowed(x); n < from || n > to {
		return fmt.Errorf("%d receipts, not %d to %d", n, from, to)
	}
	if from, _ := q.allowed(x); q.ending == forward && looks(d) != q.looks[n] {
		return fmt.Errorf("%d receipts, but the settings are others:\n%s", n, difference(q.looks[from], looks(d)))
	}
	var kept []string
	for _, r := range list.Receipts {
		raw, _ := d.ReadFile(stateDir + "/receipts/" + r.Name)
		kept = append(kept, string(raw))
	}
	for i, r := range x.receipts {
		if !slices.Contains(kept, r) {
			return fmt.Errorf("receipt %d that was told is not kept", i+1)
		}
	}
	return nil
}

// judge looks at the disk after a recovery.
func (q *inquiry) judge(d *crashfs.Disk, x told) (resets int, err error) {
	from, to := q.allowed(x)
	now := looks(d)
	i := slices.Index(q.looks[from:to+1], now)
	if i < 0 {
		return 0, fmt.Errorf("neither all old nor all new:\n%s", difference(q.looks[from], now))
	}
	if err := q.doors.open(d); err != nil {
		return 0, err
	}
	if err := counters(d, x); err != nil {
		return 0, err
	}
	j := journal.New(d, stateDir)
	if open, err := j.Open(); err != nil || open != nil {
		return 0, fmt.Errorf("the journal is still open: %v, %v", open, err)
	}
	if last, err := j.Last(); err != nil || last != nil && slices.ContainsFunc(last.Steps, func(s reset.Step) bool { return s.Data != nil }) {
		return 0, fmt.Errorf("the journal still holds undo images: %v", err)
	}
	a, _ := d.ReadFile(stateDir + "/journal.a")
	b, _ := d.ReadFile(stateDir + "/journal.b")
	if !bytes.Equal(a, b) || exists(d, stateDir+"/journal.open") {
		return 0, errors.New("the journal is not tidy")
	}
	return from + i, nil
}

// counters never go back.
func counters(d *crashfs.Disk, x told) error {
	var n struct{ Claims, Tries int }
	raw, err := d.ReadFile(stateDir + "/attempts.json")
	if err == nil {
		err = json.Unmarshal(raw, &n)
	}
	if x.claims+x.tries > 0 && err != nil {
		return fmt.Errorf("the counters: %w", err)
	}
	if n.Claims < x.claims || n.Tries < x.tries {
		return fmt.Errorf("%d claims and %d tries are counted, but %d and %d were answered", n.Claims, n.Tries, x.claims, x.tries)
	}
	return nil
}

// noOp starts the device once more, which changes nothing.
func (q *inquiry) noOp(ctx context.Context, d *crashfs.Disk, x told) error {
	before := d.Killed()
	if err := q.recover(ctx, d, x, true); err != nil {
		return fmt.Errorf("started again: %w", err)
	}
	if d.Sum() != before.Sum() {
		return fmt.Errorf("starting again changes something:\n%s", difference(whole(before), whole(d)))
	}
	return nil
}

func whole(d *crashfs.Disk) string {
	var b strings.Builder
	for path, f := range maps.Collect(d.Files("/")) {
		fmt.Fprintf(&b, "%s %v %q\n", path, f.Mode, f.Data)
	}
	return b.String()
}

// difference is the lines that only one of two texts has.
func difference(want, got string) string {
	var b strings.Builder
	one, other := strings.Split(want, "\n"), strings.Split(got, "\n")
	for _, l := range one {
		if !slices.Contains(other, l) {
			fmt.Fprintf(&b, "- %.400s\n", l)
		}
	}
	for _, l := range other {
		if !slices.Contains(one, l) {
			fmt.Fprintf(&b, "+ %.400s\n", l)
		}
	}
	return b.String()
}

// inFakeTime records and crashes a scenario.
func inFakeTime(t *testing.T, s scenario, e effort) (c tally, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c, err = record(t, s).crash(t.Context(), e)
	})
	return c, err
}
