package crash

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/snapshot"
)

// told is what the device has said so far: none of it may be unsaid by a cut.
type told struct {
	started                       bool // its identity was shown
	claims, tries, signIns, codes int  // answered
	begun                         int  // changes asked for
	accepted                      int  // changes whose acceptance was answered
	maybe                         int  // of these, how many may have come true
	sure                          int  // and how many have, or will
	receipts                      []string
	problem                       *catalog.Problem // with which the last change ended

	asked   time.Time // when a request was left that waits; zero without one
	now     time.Time // when this was, if one was
	refused bool      // it was refused, or may have been
	given   bool      // recovery codes were
	spent   bool      // one of them was used up
	keyed   bool      // snapshots are sealed to the owner's key
}

// String tells them apart within a run, in which the nth receipt is always the
// same.
func (x told) String() string {
	type plain told
	n := len(x.receipts)
	x.receipts = nil
	return fmt.Sprintf("%v %d", plain(x), n)
}

// teller changes it under a lock that the watcher of the disk takes too.
type teller func(func(*told))

// box is a device in a scenario: with its disk, which can be started anew, and
// with what people keep who use it.
type box struct {
	*device
	run *run
	rec *recorder

	saved   []byte // what a snapshot held
	codes   []access.Secret
	key     ed25519.PrivateKey
	inForce string // how everything looked on trial
}

// boot is one start of the system.
type boot struct {
	id string
	at time.Time
}

// Up is how long ago that was.
func (b boot) Up() (string, time.Duration, error) { return b.id, time.Since(b.at), nil }

// act is what somebody does with a device.
type act struct {
	name string
	do   func(context.Context, *box) error
	// undone: the settings are as before afterwards.
	undone bool
	// trial: they may be, if the power is cut before somebody confirms it.
	trial bool
}

// begin and accept tell of a change that goes to its end once it is accepted.
func begin(t *told)  { t.begun++; t.maybe++ }
func accept(t *told) { t.accepted++; t.sure++ }

func ended(p deviceapi.ProgressReply) func(*told) {
	return func(t *told) { t.problem = p.Problem; t.receipts = append(t.receipts, string(p.Receipt)) }
}

// resets are claims, one after the other.
func resets(scopes ...reset.Scope) (all []act) {
	for _, scope := range scopes {
		all = append(all, act{name: string(scope), do: func(ctx context.Context, b *box) error { return b.claim(ctx, scope, b.rec.tell) }})
	}
	return all
}

// claim is a whole claim: press, a wrong code, the right one, plan, commit, and
// the end of the reset.
func (d *device) claim(ctx context.Context, scope reset.Scope, tell teller) error {
	a, err := d.present(ctx, scope, tell)
	if err != nil {
		return err
	}
	q := deviceapi.PlanCall{Mode: reset.Soft, Scope: scope, Administrator: anna}
	if scope == hard || scope == hardAnew {
		q.Mode, q.Scope, q.Wizard = reset.Hard, "", &reset.Wizard{Name: "attic", Network: []reset.Address{}, Restore: reset.RestoreBundle}
	}
	if scope == hardAnew {
		q.Administrator, q.Wizard.NewAdministrator = newcomer, true
	}
	commit := deviceapi.CommitCall{Administrator: q.Administrator, Wizard: q.Wizard}
	if reset.SetsPassword(q.Mode, q.Scope) {
		commit.NewPassword = access.NewSecret(newPassword)
	}
	return a.reset(ctx, q, commit, tell)
}

// present is a claim up to the proof.
func (d *device) present(ctx context.Context, scope reset.Scope, tell teller) (*claimant, error) {
	code, err := d.openClaim(ctx, scope)
	if err != nil {
		return nil, err
	}
	tell(func(t *told) { t.claims++ })
	a, err := d.enter(ctx)
	if err != nil {
		return nil, err
	}
	wrong := code
	wrong[0] = wrong[0]%6 + 1
	counted := func() { tell(func(t *told) { t.tries++ }) }
	if err := a.try(ctx, wrong, counted); err == nil {
		return nil, errors.New("a wrong code was taken")
	}
	if err := a.try(ctx, code, counted); err != nil {
		return nil, fmt.Errorf("the code that was said: %w", err)
	}
	return a, nil
}

// reset is the rest of it.
func (a *claimant) reset(ctx context.Context, q deviceapi.PlanCall, commit deviceapi.CommitCall, tell teller) error {
	var plan deviceapi.PlanReply
	if err := a.call(ctx, deviceapi.KindPlan, q, &plan); err != nil {
		return err
	}
	commit.PlanHash = plan.Hash
	tell(begin)
	var accepted deviceapi.CommitReply
	if err := a.call(ctx, deviceapi.KindCommit, commit, &accepted); err != nil {
		return err
	}
	tell(accept)
	const often, most = 500, 600
	for n := 0; ; n++ {
		var p deviceapi.ProgressReply
		if err := a.call(ctx, deviceapi.KindProgress, deviceapi.ProgressCall{Transaction: accepted.Transaction}, &p); err != nil {
			return err
		}
		if p.Done {
			tell(ended(p))
			break
		}
		switch { // fake time: lets the reset go on
		case n < often:
			time.Sleep(10 * time.Millisecond)
		case n < most:
			time.Sleep(time.Second)
		default: // what it cannot write down it tries again and again
			return catalog.New("busy")
		}
	}
	return a.leave(ctx)
}

func (a *claimant) leave(ctx context.Context) error {
	if err := a.call(ctx, deviceapi.KindClose, deviceapi.Empty{}, &deviceapi.Empty{}); err != nil {
		return err
	}
	time.Sleep(time.Minute) // fake time: the button's own windows pass
	return nil
}

// signIn is a conversation by a password, which is a counted try.
func (b *box) signIn(ctx context.Context, account, password string) (*owner, error) {
	o, err := b.byPassword(ctx, account, password)
	if err == nil {
		b.rec.tell(func(t *told) { t.signIns++ })
	}
	return o, err
}

// snapshotted has anna take a snapshot of everything (R6).
func snapshotted() act {
	return act{name: "snapshot", undone: true, do: func(ctx context.Context, b *box) error {
		o, err := b.signIn(ctx, anna, oldPassword)
		if err != nil {
			return err
		}
		key, recipient, err := snapshot.NewRecoveryKey()
		if err != nil {
			return err
		}
		if err := o.call(ctx, deviceapi.OwnerRecoveryKey, deviceapi.RecoveryKeyCall{Recipient: recipient}, &deviceapi.RecoveryKeyReply{}); err != nil {
			return err
		}
		b.rec.tell(func(t *told) { t.keyed = true })
		var made deviceapi.SnapshotReply
		if err := o.call(ctx, deviceapi.OwnerSnapshot, deviceapi.SnapshotCall{}, &made); err != nil {
			return err
		}
		var file []byte
		for len(file) < made.Size {
			var piece deviceapi.OwnerGetReply
			if err := o.call(ctx, deviceapi.OwnerGet, deviceapi.OwnerGetCall{Offset: len(file)}, &piece); err != nil {
				return err
			}
			file = append(file, piece.Data...)
		}
		_, b.saved, err = snapshot.Open(file, key)
		return err
	}}
}

// trialTime is how long a restore has to be confirmed.
const trialTime = 5 * time.Minute

// restore puts back what was saved: what a snapshot held, or what the device
// kept before its hard reset. It is on trial then, until end.
func restore(how string, undone bool, end func(context.Context, *box) error) act {
	return act{name: "restore, " + how, undone: undone, trial: true, do: func(ctx context.Context, b *box) error {
		o, err := b.signIn(ctx, anna, newPassword)
		if err != nil {
			return err
		}
		own := b.saved == nil
		for at := 0; at < len(b.saved); at += deviceapi.MaxChunk {
			piece := b.saved[at:min(len(b.saved), at+deviceapi.MaxChunk)]
			if err := o.call(ctx, deviceapi.OwnerPut, deviceapi.OwnerPutCall{Offset: at, Data: piece}, &deviceapi.Empty{}); err != nil {
				return err
			}
		}
		var plan deviceapi.RestorePlanReply
		if err := o.call(ctx, deviceapi.OwnerRestorePlan, deviceapi.RestorePlanCall{Bundle: own}, &plan); err != nil {
			return err
		}
		b.rec.tell(func(t *told) { t.begun++ })
		var accepted deviceapi.CommitReply
		if err := o.call(ctx, deviceapi.OwnerRestore, deviceapi.RestoreCall{Bundle: own, Hash: plan.Hash}, &accepted); err != nil {
			return err
		}
		b.rec.tell(func(t *told) { t.accepted++ })
		p, err := o.until(ctx, accepted.Transaction)
		if err != nil {
			return err
		}
		if p.State != "trial" && b.run.ending == forward {
			return fmt.Errorf("the restore is %s and not on trial: %v", p.State, p.Problem)
		}
		if p.State == "trial" {
			b.inForce = looks(b.rec.disk)
			if err := end(ctx, b); err != nil {
				return err
			}
			if o, err = b.signIn(ctx, anna, newPassword); err != nil {
				return err
			}
			if p, err = o.until(ctx, accepted.Transaction); err != nil {
				return err
			}
		}
		if !p.Done {
			return fmt.Errorf("the restore is still %s", p.State)
		}
		b.rec.tell(ended(p))
		return nil
	}}
}

// decided is the owner's word in a new conversation.
func (b *box) decided(ctx context.Context, undo bool) error {
	o, err := b.signIn(ctx, anna, newPassword)
	if err != nil {
		return err
	}
	if !undo {
		b.rec.tell(func(t *told) { t.maybe++ })
	}
	if err := o.call(ctx, deviceapi.OwnerRestoreConfirm, deviceapi.RestoreConfirmCall{Undo: undo}, &deviceapi.RestoreConfirmReply{}); err != nil {
		return err
	}
	if !undo {
		b.rec.tell(func(t *told) { t.sure++ })
	}
	return nil
}

// The ends that a trial can have.
func confirmed() act {
	return restore("confirmed", false, func(ctx context.Context, b *box) error { return b.decided(ctx, false) })
}

func takenBack() act {
	return restore("taken back", true, func(ctx context.Context, b *box) error { return b.decided(ctx, true) })
}

func lapsed() act {
	return restore("not confirmed in time", true, func(context.Context, *box) error {
		time.Sleep(trialTime + time.Second)
		return nil
	})
}

func restarted() act {
	return restore("restarted before it was confirmed", true, func(ctx context.Context, b *box) error {
		b.stop()
		return b.start(ctx, true)
	})
}

// start switches the device on; recover is for a start of the whole system.
func (b *box) start(ctx context.Context, system bool) error {
	d := b.rec.disk
	if system {
		b.rec.restarts()
		cfg, err := b.run.config(d, b.rec.boot)
		if err != nil {
			return err
		}
		if err := core.Recover(ctx, cfg); err != nil {
			return err
		}
		b.run.kind.start(d)
	}
	cfg, err := b.run.config(d, b.rec.boot)
	if err != nil {
		return err
	}
	b.device, err = power(ctx, cfg)
	return err
}

// changed is an administrator's change of an account (R2 R3 R4).
func changed(by, password, account string, action reset.Scope, to string) act {
	return act{name: fmt.Sprintf("%s of %s by %s", action, account, by), do: func(ctx context.Context, b *box) error {
		o, err := b.signIn(ctx, by, password)
		if err != nil {
			return err
		}
		b.rec.tell(begin)
		var r deviceapi.AccountReply
		if err := o.call(ctx, deviceapi.OwnerAccount, deviceapi.AccountCall{Account: account, Action: action, NewPassword: access.NewSecret(to)}, &r); err != nil {
			return err
		}
		b.rec.tell(accept)
		p, err := o.until(ctx, r.Transaction)
		b.rec.tell(ended(p))
		return err
	}}
}

// given has root give anna recovery codes.
func given() act {
	return act{name: "codes", undone: true, do: func(ctx context.Context, b *box) error {
		r, err := b.root.GiveCodes(ctx, corewire.CodesRequest{Administrator: anna})
		for _, code := range r.Codes {
			b.codes = append(b.codes, access.NewSecret(code))
		}
		b.rec.tell(func(t *told) { t.given = err == nil })
		return err
	}}
}

// unfactored is a claim that takes anna's second factor away with a recovery
// code (E13), after a wrong one.
func unfactored() act {
	return act{name: "second factor", do: func(ctx context.Context, b *box) error {
		a, err := b.present(ctx, reset.Credentials, b.rec.tell)
		if err != nil {
			return err
		}
		q := deviceapi.PlanCall{Mode: reset.Soft, Scope: reset.Credentials, Administrator: anna, SecondFactor: true}
		var plan deviceapi.PlanReply
		if err := a.call(ctx, deviceapi.KindPlan, q, &plan); err != nil {
			return err
		}
		wrong := deviceapi.CommitCall{PlanHash: plan.Hash, Administrator: anna, NewPassword: access.NewSecret(newPassword), RecoveryCode: access.NewSecret("aaaa-aaaa-aaaaa")}
		if err := a.call(ctx, deviceapi.KindCommit, wrong, &deviceapi.CommitReply{}); !errors.Is(err, catalog.New("second_proof_wrong")) {
			return fmt.Errorf("a wrong recovery code: %w", err)
		}
		b.rec.tell(func(t *told) { t.codes++ })
		right := wrong
		right.RecoveryCode = b.codes[0]
		return a.reset(ctx, q, right, func(change func(*told)) {
			b.rec.tell(func(t *told) {
				before := t.accepted
				change(t)
				if t.accepted > before {
					t.codes, t.spent = t.codes+1, true
				}
			})
		})
	}}
}

// patience is how long the owner's policy has a claimant wait.
const (
	patience = time.Hour
	waiting  = access.ButtonPolicy("wait 1h")
)

// leave leaves a request that waits (D11).
func (b *box) leave(ctx context.Context) (id string, err error) {
	a, err := b.present(ctx, reset.Credentials, b.rec.tell)
	if err != nil {
		return "", err
	}
	if _, b.key, err = ed25519.GenerateKey(rand.Reader); err != nil {
		return "", err
	}
	var plan deviceapi.PlanReply
	if err := a.call(ctx, deviceapi.KindPlan, deviceapi.PlanCall{Mode: reset.Soft, Scope: reset.Credentials, Administrator: anna}, &plan); err != nil {
		return "", err
	}
	var reply deviceapi.CommitReply
	if err := a.call(ctx, deviceapi.KindCommit, deviceapi.CommitCall{PlanHash: plan.Hash, Administrator: anna, OwnerKey: publicHalf(b.key)}, &reply); err != nil {
		return "", err
	}
	b.rec.tell(func(t *told) { t.asked = time.Now() })
	return reply.Request, a.leave(ctx)
}

// awaited is a request that is carried out by its key after its wait, and
// refused before that one that an owner says no to.
func awaited() act {
	return act{name: "waited for", do: func(ctx context.Context, b *box) error {
		id, err := b.leave(ctx)
		if err != nil {
			return err
		}
		time.Sleep(patience)
		o, err := b.byKey(ctx, b.key)
		if err != nil {
			return err
		}
		b.rec.tell(begin)
		var r deviceapi.ResumeReply
		if err := o.call(ctx, deviceapi.OwnerResume, deviceapi.ResumeCall{Request: id, NewPassword: access.NewSecret(newPassword)}, &r); err != nil {
			return err
		}
		b.rec.tell(accept)
		p, err := o.until(ctx, r.Transaction)
		b.rec.tell(ended(p))
		return err
	}}
}

func refused() act {
	return act{name: "refused", undone: true, do: func(ctx context.Context, b *box) error {
		id, err := b.leave(ctx)
		if err != nil {
			return err
		}
		time.Sleep(7 * time.Minute)
		if err := b.root.Refuse(ctx, corewire.RefuseRequest{ID: id}); err != nil {
			return err
		}
		b.rec.tell(func(t *told) { t.refused = true })
		time.Sleep(patience)
		o, err := b.byKey(ctx, b.key)
		if err != nil {
			return err
		}
		if err := o.call(ctx, deviceapi.OwnerResume, deviceapi.ResumeCall{Request: id, NewPassword: access.NewSecret(newPassword)}, &deviceapi.ResumeReply{}); !errors.Is(err, catalog.New("request_over")) {
			return fmt.Errorf("a refused request is resumed: %w", err)
		}
		return nil
	}}
}
