package crash

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/device/journal"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
	"github.com/paperclip-nas/paperclip/internal/x/opfs/crashfs"
)

// scenario is one run whose every point is a place to crash.
type scenario struct {
	kind   kind
	model  crashfs.Model
	before []act // done undisturbed, and durable, beforehand
	acts   []act
	ending ending
	policy access.ButtonPolicy
	mutant string // the fsync that the program forgot
}

func (s scenario) String() string {
	var names []string
	for _, a := range slices.Concat(s.before, s.acts) {
		names = append(names, a.name)
	}
	return fmt.Sprintf("%s, %s, %s, %s disk", s.kind.name, strings.Join(names, " then "), s.ending, s.model)
}

// trial reports whether something in it is on trial.
func (s scenario) trial() bool {
	return slices.ContainsFunc(s.acts, func(a act) bool { return a.trial })
}

// config is the device of the scenario on a disk, in one start of the system.
func (s scenario) config(d *crashfs.Disk, b boot) (core.Config, error) {
	cfg, err := s.kind.config(d, s.ending)
	cfg.Boot, cfg.Policy, cfg.Trial = b, s.policy, trialTime
	return cfg, err
}

// moment is a point of a run: the disk then, and what had been told.
type moment struct {
	at   crashfs.Point
	disk *crashfs.Disk
	told told
	boot string        // which start of the system it was
	up   time.Duration // and how long it had been up
}

// run is a recorded scenario.
type run struct {
	scenario
	moments []moment
	looks   []string // of the system after so many changes, the last of which may not stay
	between []string // of a system all new that is going to be all old again
	syncs   []string // the names of its fsyncs
	key     string   // the device's
	settled int      // changes that were made beforehand
	ended   time.Time

	baseline string // how the system was at the first start
}

// recorder collects moments of a disk.
type recorder struct {
	mu      sync.Mutex
	disk    *crashfs.Disk
	told    told
	boot    boot
	starts  int
	moments []moment
}

func (r *recorder) tell(change func(*told)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told.receipts = slices.Clone(r.told.receipts)
	change(&r.told)
}

// restarts is another start of the system.
func (r *recorder) restarts() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.starts++
	r.boot = boot{fmt.Sprint("start ", r.starts), time.Now()}
}

func (r *recorder) watch() {
	r.disk.Watch(func(p crashfs.Point) { r.take(p) })
}

func (r *recorder) take(p crashfs.Point) {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.told
	if !x.asked.IsZero() && x.now.IsZero() { // of a recovery it is known: when it was cut
		x.now = time.Now()
	}
	r.moments = append(r.moments, moment{p, r.disk.Killed(), x, r.boot.id, time.Since(r.boot.at)})
}

// record carries a scenario out, undisturbed, from the first start of the
// device on a fresh system, or from where what came before has left it.
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

// carryOut starts the device on a disk and does what the scenario says.
func (r *run) carryOut(t *testing.T, d *crashfs.Disk, x told) {
	t.Helper()
	b := &box{run: r, rec: &recorder{disk: d, told: x}}
	b.rec.restarts()
	if len(r.before) == 0 {
		b.rec.watch()
	}
	start := func() {
		if err := b.start(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		r.key = b.core.KeyID()
		baseline, err := d.ReadFile(stateDir + "/baseline.json")
		if err != nil {
			t.Fatal(err)
		}
		r.baseline = string(baseline)
		b.rec.tell(func(x *told) { x.started = true })
	}
	if len(r.before) > 0 {
		ending := r.ending
		r.ending = forward
		start()
		for _, a := range r.before {
			r.act(t, b, a)
		}
		b.stop()
		d.Settle()
		b.rec.watch()
		r.ending, r.settled = ending, b.rec.told.accepted
	}
	start()
	defer func() { b.stop() }()
	for _, a := range r.acts {
		r.act(t, b, a)
	}
	b.rec.take(crashfs.Point{Op: "the end", At: crashfs.After})
	d.Watch(nil)
	r.moments, r.ended = b.rec.moments, time.Now()
	r.syncs = slices.DeleteFunc(d.Syncs(), func(op string) bool { // those of before do not count
		return !slices.ContainsFunc(r.moments, func(m moment) bool { return m.at.Op == op })
	})
	for _, m := range r.moments {
		if strings.HasPrefix(m.at.Op, "journal.persisted.") && !r.trial() {
			r.between = append(r.between, looks(m.disk))
		}
	}
}

// act does one thing.
func (r *run) act(t *testing.T, b *box, a act) {
	t.Helper()
	if err := a.do(t.Context(), b); err != nil {
		t.Fatalf("%s: %v", a.name, explain(err))
	}
	now := looks(b.rec.disk)
	if back := now == r.looks[len(r.looks)-1]; back != (a.undone || r.ending != forward) {
		t.Fatalf("%s: %s ended with everything old: %t, %v\n%s", r.scenario, a.name, back, b.rec.told.problem, difference(r.looks[len(r.looks)-1], now))
	}
	switch {
	case !a.undone:
		r.looks = append(r.looks, now)
	case a.trial && b.inForce != "": // what it would have been
		r.looks = append(r.looks, b.inForce)
	}
}

// allowed is how many changes may have come true, from and to, for a device that
// has told so much.
func (r *run) allowed(x told) (from, to int) { return x.sure, x.maybe }

// tally counts.
type tally struct {
	points, kills, cuts           int // of the scenario
	paths, pointsAgain, cutsAgain int // of its recoveries
	seenOpen                      int // of these points
	seen, recoveries, olds, news  int
}

func (c *tally) add(o tally) {
	c.points += o.points
	c.kills += o.kills
	c.cuts += o.cuts
	c.paths += o.paths
	c.pointsAgain += o.pointsAgain
	c.seenOpen += o.seenOpen
	c.cutsAgain += o.cutsAgain
	c.seen += o.seen
	c.recoveries += o.recoveries
	c.olds += o.olds
	c.news += o.news
}

func (c tally) String() string {
	return fmt.Sprintf("%d points, %d kills, %d disks after a power cut; %d ways to recover, %d points of them, %d seen before, %d disks after a second cut; "+
		"%d of all disks seen before, %d recoveries, %d ended all old, %d all new",
		c.points, c.kills, c.cuts, c.paths, c.pointsAgain, c.seenOpen, c.cutsAgain, c.seen, c.recoveries, c.olds, c.news)
}

// effort is how much is tried.
type effort struct {
	first  int // disks at a point, at most
	damage int // every so manyth disk is also tried with a damaged journal copy; 0: none
	ways   int // ways to recover that are cut again, at most
	second int // disks at a point of such a recovery, at most
}

// inquiry tries the crashes of one run.
//
// All that a recovery starts from is the disk, what was told, and whether the
// system started too: its clock and the names of starts are always the same. So a
// disk is tried once, however many points lead to it. The power is cut again, at
// every point of it, in the first recovery that goes each way: the ways being the
// different sequences of operations.
type inquiry struct {
	*run
	effort
	tally
	doors doors
	tried map[string]bool
	ways  map[string]bool
}

// crash is a place to start from again.
type crash struct {
	disk  *crashfs.Disk
	told  told
	boot  boot
	alone bool // core was killed, and the system goes on
	first bool
}

// cutAt is a disk as a cut has left it, at a point of the run or, not being the
// first, of a recovery.
func cutAt(d *crashfs.Disk, x told, first bool) crash {
	name := "start after a cut"
	if !first {
		name = "start after a second cut"
	}
	return crash{disk: d, told: x, boot: boot{name, time.Now()}, first: first}
}

// nearby is how many points after a mutant's fsync are all tried; of the rest, a
// part.
const nearby = 40

// crash tries everything and stops at the first failure.
func (r *run) crash(ctx context.Context, e effort) (tally, error) {
	q := &inquiry{run: r, effort: e, doors: r.kind.doors(), tried: map[string]bool{}, ways: map[string]bool{}}
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
	still := fmt.Sprintf("killed %x %v %s", m.disk.State(), m.told, m.boot)
	if m.at.At != crashfs.After && !q.again(still) { // after one is before the next
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
	return q.crashed(ctx, crash{disk: m.disk.Killed(), told: m.told, boot: boot{m.boot, time.Now().Add(-m.up)}, alone: true, first: true})
}

// cut is a disk as found after a power cut, and with a bad sector in one of the
// journal's copies.
func (q *inquiry) cut(ctx context.Context, d *crashfs.Disk, x told, first bool) error {
	if first {
		q.cuts++
	} else {
		q.cutsAgain++
	}
	for _, bad := range q.damages(first) {
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
		if q.again(fmt.Sprintf("%x %v", c.Sum(), x)) {
			q.seen++
			continue
		}
		if err := q.crashed(ctx, cutAt(c, x, first)); err != nil {
			if bad != "" {
				err = fmt.Errorf("with a damaged %s: %w", bad, err)
			}
			return err
		}
	}
	return nil
}

// again reports whether something has been tried before.
func (q *inquiry) again(what string) bool {
	before := q.tried[what]
	q.tried[what] = true
	return before
}

// damages are the copies of the journal to damage in turn, after none, and both.
func (q *inquiry) damages(first bool) []string {
	if !first || q.damage == 0 || (q.cuts+q.cutsAgain)%q.damage != 0 {
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
	cfg, err := q.config(d, cutAt(d, x, true).boot)
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

// crashed starts the device again after a crash, and judges. Every point of its
// recovery is a place for a power cut again, if no other went the same way.
func (q *inquiry) crashed(ctx context.Context, c crash) error {
	d, rec := c.disk, recorder{disk: c.disk, told: c.told, boot: c.boot}
	if c.first && q.effort.ways > 0 {
		rec.watch()
	}
	q.recoveries++
	if err := q.recover(ctx, &rec, c.alone); err != nil {
		return err
	}
	d.Watch(nil)
	i, err := q.judge(d, rec.told)
	if err != nil {
		return err
	}
	if i == q.settled || q.ending != forward {
		q.olds++
	} else {
		q.news++
	}
	if !q.again(fmt.Sprintf("at rest %x %v", d.Sum(), rec.told)) {
		if err := q.noOp(ctx, d, rec.told); err != nil {
			return err
		}
	}
	return q.cutAgain(ctx, rec.moments)
}

func (q *inquiry) cutAgain(ctx context.Context, recovery []moment) error {
	var b strings.Builder
	for _, m := range recovery {
		fmt.Fprintln(&b, m.at)
	}
	way := b.String()
	if way == "" || q.ways[way] || len(q.ways) == q.effort.ways {
		return nil
	}
	q.ways[way] = true
	q.paths++
	for _, m := range recovery {
		q.pointsAgain++
		if q.again(fmt.Sprintf("open %x %v", m.disk.State(), m.told)) {
			q.seenOpen++
			continue
		}
		if err := q.doors.open(m.disk); err != nil {
			return fmt.Errorf("%s of its recovery: %w", m.at, err)
		}
		for c := range m.disk.Cuts(q.second) {
			if err := q.cut(ctx, c, m.told, false); err != nil {
				return fmt.Errorf("cut again %s of its recovery: %w", m.at, err)
			}
		}
	}
	return nil
}

// recover is a start of core alone, or of the system after a cut: the recovery
// unit, then doors, then core.
func (q *inquiry) recover(ctx context.Context, rec *recorder, alone bool) error {
	d := rec.disk
	if !alone {
		if err := q.recoverFiles(ctx, rec); err != nil {
			return err
		}
	}
	cfg, err := q.config(d, rec.boot)
	if err != nil {
		return err
	}
	cfg.Clock = setBack{cfg.Clock, time.Since(q.ended)}
	dev, err := power(ctx, cfg)
	if err != nil {
		return fmt.Errorf("core: %w", explain(err))
	}
	defer dev.stop()
	if rec.told.started && dev.core.KeyID() != q.key {
		return errors.New("the device has become another one: its identity key is gone")
	}
	if err := q.decide(ctx, &box{device: dev, run: q.run, rec: rec}, alone); err != nil {
		return err
	}
	return q.receipts(dev, d, rec.told)
}

// setBack is a clock that is late.
type setBack struct {
	clock.Clock
	by time.Duration
}

func (c setBack) Now() time.Time { return c.Clock.Now().Add(-c.by) }

func (q *inquiry) recoverFiles(ctx context.Context, rec *recorder) error {
	d := rec.disk
	cfg, err := q.config(d, rec.boot)
	if err != nil {
		return err
	}
	cfg.Clock = setBack{cfg.Clock, time.Since(q.ended)}
	if err := core.Recover(ctx, cfg); err != nil {
		return fmt.Errorf("the recovery unit: %w", explain(err))
	}
	from, to := q.allowed(rec.told)
	if now := looks(d); !slices.Contains(q.looks[from:to+1], now) && !slices.Contains(q.between, now) {
		return fmt.Errorf("the doors open on a half state:\n%s", difference(q.looks[from], now))
	}
	if err := q.doors.open(d); err != nil {
		return fmt.Errorf("after the recovery unit: %w", err)
	}
	q.kind.start(d)
	return nil
}

// decide ends a trial that goes on because core alone was killed: by its time,
// or by the owner. A trial that a power cut has overtaken is over.
func (q *inquiry) decide(ctx context.Context, b *box, alone bool) error {
	open, err := journal.New(b.rec.disk, stateDir).Open()
	if err != nil || open == nil {
		return err
	}
	if open.State != journal.OnTrial || !alone {
		return fmt.Errorf("what was begun is not ended: %s", open.State)
	}
	if q.kills%2 == 0 {
		b.rec.tell(func(x *told) { x.maybe = x.sure }) // whatever was asked for, the device did not take it
		time.Sleep(trialTime)
	} else {
		b.rec.tell(func(x *told) { x.maybe = x.sure })
		if err := b.decided(ctx, false); err != nil {
			return fmt.Errorf("confirming after core was killed: %w", err)
		}
	}
	time.Sleep(10 * time.Second)
	return nil
}

// explain adds the cause, which is not for people.
func explain(err error) error { return errors.Join(err, errors.Unwrap(err)) }

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
