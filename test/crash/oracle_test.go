package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/device/journal"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/receipt"
	"github.com/paperclip-nas/paperclip/internal/protocol/snapshot"
	"github.com/paperclip-nas/paperclip/internal/x/opfs/crashfs"
)

// What must be so after any cut, beside the doors.

// receipts must be whole, chained, one for each change that has ended, hold what
// was told, and say how it ended.
func (q *inquiry) receipts(dev *device, d *crashfs.Disk, x told) error {
	list, err := dev.core.Receipts()
	if err != nil {
		return err
	}
	committed := 0
	for i, r := range list.Receipts {
		result, either := receipt.Committed, q.trial() && i >= q.settled
		if i >= q.settled && q.ending != forward {
			result, either = receipt.Undone, false
		}
		if !r.Valid || r.Statement.Result != result && !either {
			return fmt.Errorf("receipt %s: valid %t, result %s", r.Name, r.Valid, r.Statement.Result)
		}
		if r.Statement.Result == receipt.Committed {
			committed++
		}
	}
	if n := len(list.Receipts); n < x.accepted || n > x.begun {
		return fmt.Errorf("%d receipts, not %d to %d", n, x.accepted, x.begun)
	}
	if looks(d) != q.looks[committed] {
		return fmt.Errorf("%d receipts of what was done, but the settings are others:\n%s", committed, difference(q.looks[committed], looks(d)))
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
	return announced(d, committed)
}

// announced: whatever was changed, everybody is told (D11).
func announced(d *crashfs.Disk, committed int) error {
	var told struct{ Notices []struct{ ID catalog.ID } }
	if err := read(d, "notices.json", &told); err != nil {
		return err
	}
	of := 0
	for _, n := range told.Notices {
		if slices.Contains([]catalog.ID{"notice_reset", "notice_account", "notice_restored"}, n.ID) {
			of++
		}
	}
	if of < committed {
		return fmt.Errorf("%d notices of %d changes", of, committed)
	}
	return nil
}

// kept is what lies on the device for another day: how it was set up when it
// first started (D5), the settings of before a hard reset and what is to follow
// it, snapshots and to whom they are sealed (R6), the claimant's key.
func (q *inquiry) kept(d *crashfs.Disk, x told, changes int) error {
	if raw, err := d.ReadFile(stateDir + "/baseline.json"); x.started && string(raw) != q.baseline {
		return fmt.Errorf("the baseline is another one: %w", errors.Join(err))
	}
	if q.ending != forward && changes > q.settled {
		return nil // all of it was taken back
	}
	var setUp struct{ Restore reset.Restore }
	var owners struct{ Owners []json.RawMessage }
	var recovery struct{ Recipient string }
	if err := errors.Join(read(d, "setup.json", &setUp), read(d, "owners.json", &owners), read(d, "recovery.json", &recovery)); err != nil {
		return err
	}
	wanted := reset.RestoreNone
	if q.hard() && changes > 0 {
		shelf := core.Bundles(d, stateDir)
		names, err := shelf.Names()
		if err == nil && len(names) == 0 {
			err = errors.New("none")
		}
		if err == nil {
			_, err = shelf.Load(names[len(names)-1])
		}
		if err != nil {
			return fmt.Errorf("the settings of before the hard reset: %w", err)
		}
		if changes == 1 { // and not put back
			wanted = reset.RestoreBundle
		}
	}
	switch {
	case setUp.Restore != wanted:
		return fmt.Errorf("what is to follow is %q, not %q", setUp.Restore, wanted)
	case !x.asked.IsZero() && changes > q.settled && len(owners.Owners) != 1:
		return fmt.Errorf("%d owner keys are enrolled, not the claimant's", len(owners.Owners))
	case x.keyed && recovery.Recipient == "":
		return errors.New("nobody knows any more to whom snapshots are sealed")
	case x.keyed && changes > q.settled:
		return snapshots(d)
	}
	return nil
}

// hard reports whether the first change is a hard reset.
func (s scenario) hard() bool {
	return strings.HasPrefix(slices.Concat(s.before, s.acts)[0].name, string(hard))
}

// snapshots are whole, and there is one of before a change.
func snapshots(d *crashfs.Disk) error {
	entries, err := d.ReadDir(stateDir + "/snapshots")
	if err != nil || len(entries) == 0 {
		return fmt.Errorf("no snapshot of before the change: %w", errors.Join(err))
	}
	for _, e := range entries {
		raw, err := d.ReadFile(stateDir + "/snapshots/" + e.Name())
		if err == nil && !strings.HasPrefix(e.Name(), ".") {
			_, err = snapshot.Check(raw)
		}
		if err != nil {
			return fmt.Errorf("snapshot %s: %w", e.Name(), err)
		}
	}
	return nil
}

// read reads one of the device's own files; none is as good as an empty one.
func read(d *crashfs.Disk, name string, into any) error {
	raw, err := d.ReadFile(stateDir + "/" + name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// judge looks at the disk after a recovery.
func (q *inquiry) judge(d *crashfs.Disk, x told) (changes int, err error) {
	from, to := q.allowed(x)
	now := looks(d)
	i := slices.Index(q.looks[from:to+1], now)
	if i < 0 {
		return 0, fmt.Errorf("neither all old nor all new:\n%s", difference(q.looks[from], now))
	}
	if err := errors.Join(q.doors.open(d), counters(d, x), proofs(d, x, from+i-q.settled), request(d, x, from+i-q.settled), q.kept(d, x, from+i)); err != nil {
		return 0, err
	}
	j := journal.New(d, stateDir)
	switch open, err := j.Open(); {
	case err != nil:
		return 0, fmt.Errorf("the journal: %w", err)
	case open != nil:
		return 0, fmt.Errorf("the journal is still open: %s is %s: %s", open.ID, open.State, open.Failure)
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
	var n struct {
		Claims, Tries, Codes int
		SignIns              int `json:"sign_ins"`
	}
	if err := read(d, "attempts.json", &n); err != nil {
		return err
	}
	if n.Claims < x.claims || n.Tries < x.tries || n.SignIns < x.signIns || n.Codes < x.codes {
		return fmt.Errorf("%+v are counted, but %d claims, %d tries, %d sign-ins and %d recovery codes were answered", n, x.claims, x.tries, x.signIns, x.codes)
	}
	return nil
}

// proofs that were used up stay so: before anything that they opened.
func proofs(d *crashfs.Disk, x told, changes int) error {
	if !x.given {
		return nil
	}
	var given struct {
		Users map[string][]struct{ Spent bool }
	}
	if err := read(d, "codes.json", &given); err != nil {
		return err
	}
	spent := 0
	for _, c := range given.Users[anna] {
		if c.Spent {
			spent++
		}
	}
	switch all := len(given.Users[anna]); {
	case all != access.RecoveryCodes:
		return fmt.Errorf("%d recovery codes were given out, not %d", all, access.RecoveryCodes)
	case spent > 1, spent == 0 && (x.spent || changes > 0):
		return fmt.Errorf("%d recovery codes are spent; one was taken: %t; changes: %d", spent, x.spent, changes)
	}
	return nil
}

// forgotten is how much of a wait a power cut may cost: what passes between two
// times that it is written down, and a little.
const forgotten = 5*time.Minute + 2*time.Second

// request is where one stands that waits: it is kept, its wait is never shorter
// than it was told and hardly longer, and it is done only once it is.
func request(d *crashfs.Disk, x told, changes int) error {
	if x.asked.IsZero() {
		return nil
	}
	var kept struct {
		Requests []struct {
			State access.RequestState
			Wait  access.Wait
		}
	}
	if err := read(d, "requests.json", &kept); err != nil {
		return err
	}
	if len(kept.Requests) != 1 {
		return fmt.Errorf("%d requests are kept, not the one that was answered", len(kept.Requests))
	}
	q, waited := kept.Requests[0], x.now.Sub(x.asked)
	left := patience - waited
	switch q.State {
	case access.RequestWaiting:
		if x.refused || changes > 0 || q.Wait.Left < left-10*time.Minute || q.Wait.Left > left+forgotten {
			return fmt.Errorf("it waits for %s more, and %s are left; refused: %t; changes: %d", q.Wait.Left, left, x.refused, changes)
		}
	case access.RequestRipe:
		if x.refused || changes > 0 || left > 0 {
			return fmt.Errorf("it is ripe, with %s left; refused: %t; changes: %d", left, x.refused, changes)
		}
	case access.RequestDone:
		if changes == 0 {
			return errors.New("it is done, and nothing is changed")
		}
	case access.RequestRefused:
	default:
		return fmt.Errorf("it is %s", q.State)
	}
	return nil
}

// noOp starts the device once more, which changes nothing, but for how long a
// request has waited.
func (q *inquiry) noOp(ctx context.Context, d *crashfs.Disk, x told) error {
	before := d.Killed()
	if err := q.recover(ctx, &recorder{disk: d, told: x, boot: boot{"start for nothing", time.Now()}}, false); err != nil {
		return fmt.Errorf("started again: %w", err)
	}
	for _, disk := range []*crashfs.Disk{before, d} {
		disk.Wipe(stateDir + "/requests.json")
	}
	if d.Sum() != before.Sum() {
		return fmt.Errorf("starting again changes something:\n%s", difference(whole(before), whole(d)))
	}
	return nil
}
