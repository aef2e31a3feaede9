package rescue

import (
	"context"
	"fmt"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
)

// Where a NAS's owner asks for a wait (D11), handing the plan over leaves a
// request. This computer's key comes back for it: the new password is chosen and
// sent only then, and nothing keeps it meanwhile.

func notWaiting(r *run) bool { return !r.state.Waits }

// redeemed leaves out what the NAS has taken over already.
func redeemed(r *run) bool { return !r.state.Waits || r.state.Redeemed }

// noPasswordYet leaves the password for when the wait is over.
func noPasswordYet(r *run) bool { return noPassword(r) || r.state.Waits }

// tellCosts says what the owner's choice of what the button may do costs (D9),
// where they chose anything but all.
func (r *run) tellCosts() {
	if c := r.options.Costs; c != "" && r.options.Policy != access.ButtonFull {
		r.tell(Choose, "Its owner chose what the button may do: "+string(r.options.Policy)+". "+c)
	}
}

// doWait asks where the request stands.
func doWait(ctx context.Context, r *run) error {
	key, err := r.cfg.Keys.OwnerKey(r.cfg.Rand)
	if err != nil {
		return err
	}
	device, err := r.meetAgain(ctx)
	if err != nil {
		return err
	}
	reply, err := device.Request(ctx, key, r.state.Request)
	if err != nil {
		if catalog.AsProblem(err).ID == "request_unknown" || catalog.AsProblem(err).ID == "owner_unknown" {
			r.state.Handed = false // it never got there
		}
		return err
	}
	r.state.Request = reply.Request
	// One that was undone is ripe again.
	r.state.Redeemed = reply.State == access.RequestCarried || reply.State == access.RequestDone
	left := (time.Duration(reply.WaitSeconds) * time.Second).Round(time.Minute)
	switch reply.State {
	case access.RequestRipe, access.RequestCarried, access.RequestDone:
		return nil
	case access.RequestWaiting:
		if r.asked {
			return catalog.New("wait_begun", left, fmt.Sprintf("%s %s", r.again(), r.state.ID))
		}
		return catalog.New("wait_not_over", left)
	default:
		return catalog.New("request_over", string(reply.State))
	}
}

// verifyWait has nothing more to look at: the answer was the NAS's own.
func verifyWait(_ context.Context, r *run) (bool, error) { return r.state.Request != "", nil }

// doRedeem has the request carried out, with the password that is chosen now.
func doRedeem(ctx context.Context, r *run) error {
	if !noPassword(r) {
		if err := r.choosePassword(ctx); err != nil {
			return err
		}
	}
	key, err := r.cfg.Keys.OwnerKey(r.cfg.Rand)
	if err != nil {
		return err
	}
	device, err := r.meetAgain(ctx)
	if err != nil {
		return err
	}
	reply, err := device.Resume(ctx, key, deviceapi.ResumeCall{Request: r.state.Request, NewPassword: r.password})
	if err != nil {
		return err
	}
	if r.state.Plan == nil || reply.Check(*r.state.Plan) != nil {
		return catalog.New("bad_message", "the plan is not the one that was accepted")
	}
	r.state.Redeemed, r.state.Transaction, r.state.Plan, r.state.PlanHash = true, reply.Transaction, &reply.Plan, reply.Hash
	return nil
}

func verifyRedeem(_ context.Context, r *run) (bool, error) { return r.state.Transaction != "", nil }

// choosePassword asks for a password until it will do.
func (r *run) choosePassword(ctx context.Context) error {
	a, ok := r.administrator()
	if !ok { // after a wait the options were not asked for anew
		a = deviceapi.Administrator{Name: r.state.Administrator}
	}
	return r.askPassword(ctx, a)
}
