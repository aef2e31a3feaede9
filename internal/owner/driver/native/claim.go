package native

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/sealed"
	"github.com/paperclip-nas/paperclip/internal/x/spake2"
)

const (
	// turnTime is how often a session asks whether its turn has come. Turns
	// last two minutes at most; patience covers several.
	turnTime     = 2 * time.Second
	turnPatience = 10 * time.Minute
)

// claim is one session of a claim, ours.
type claim struct {
	session string
	binding deviceapi.Binding
	leaf    []byte
	line    *line // once presence is proved
}

// Prove runs the PAKE with the code, once. A wrong code is the problem
// wrong_code, also where it is the NAS that does not know it; the same session
// then takes another try. waiting is told how long others may take first.
func (d *Device) Prove(ctx context.Context, code access.Presence, waiting func(time.Duration)) error {
	d.calls.Lock()
	defer d.calls.Unlock()
	if d.claim != nil && d.claim.line != nil {
		return catalog.New("already_proved")
	}
	if d.claim == nil {
		if err := d.openSession(ctx, waiting); err != nil {
			return err
		}
	}
	err := d.try(ctx, code, waiting)
	if err != nil && !errors.Is(err, catalog.New("wrong_code")) && !errors.Is(err, catalog.New("tries_spent")) {
		d.claim = nil // the next try begins a session anew
	}
	return err
}

func (d *Device) openSession(ctx context.Context, waiting func(time.Duration)) error {
	var reply deviceapi.SessionReply
	s, err := d.call(ctx, http.MethodPost, deviceapi.PathClaimSession, deviceapi.SessionRequest{}, &reply)
	if err != nil {
		return err
	}
	pub, leaf, _, err := d.chain(*s)
	if err != nil {
		return catalog.New("not_a_device", d.host()).Because(err)
	}
	d.claim = &claim{
		session: reply.Session, leaf: leaf,
		binding: deviceapi.Binding{Identity: pub, LeafSPKI: leaf, Claim: reply.Claim, Session: reply.Session},
	}
	if reply.WaitSeconds > 0 {
		waiting(time.Duration(min(reply.WaitSeconds, int(turnPatience/time.Second))) * time.Second)
	}
	return nil
}

func (d *Device) try(ctx context.Context, code access.Presence, waiting func(time.Duration)) error {
	c := d.claim
	a, err := spake2.NewA(d.o.Rand, []byte(code.Password(c.binding.Identity).Reveal()), c.binding.PAKE())
	if err != nil {
		return err
	}
	share, err := d.inTurn(ctx, deviceapi.PakeRequest{Session: c.session, Share: a.Share(), With: code.With()}, waiting)
	if err != nil {
		return err
	}
	confirm, err := a.Finish(share)
	if err != nil {
		return catalog.New("bad_message", "the share of the NAS").Because(err)
	}
	var reply deviceapi.ConfirmReply
	if _, err := d.call(ctx, http.MethodPost, deviceapi.PathClaimConfirm, deviceapi.ConfirmRequest{Session: c.session, Confirm: confirm}, &reply); err != nil {
		return err
	}
	key, err := a.Confirm(reply.Confirm)
	if err != nil {
		return catalog.New("wrong_code").Because(err) // it does not know the code: it is not the NAS that beeps
	}
	channel, err := sealed.Assistant(key, c.binding.Channel())
	if err != nil {
		return err
	}
	c.line = &line{path: deviceapi.PathClaimSealed, session: c.session, channel: channel}
	d.mu.Lock()
	d.pin.Proved, d.pin.Leaf = true, c.leaf
	d.mu.Unlock()
	return nil
}

// inTurn sends the share, and waits as long as others are proving.
func (d *Device) inTurn(ctx context.Context, q deviceapi.PakeRequest, waiting func(time.Duration)) ([]byte, error) {
	begun := d.o.Clock.Monotonic()
	for {
		var reply deviceapi.PakeReply
		_, err := d.call(ctx, http.MethodPost, deviceapi.PathClaimPake, q, &reply)
		if !errors.Is(err, catalog.New("not_your_turn")) || d.o.Clock.Monotonic()-begun > turnPatience {
			return reply.Share, err
		}
		waiting(turnTime)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-d.o.Clock.After(turnTime):
		}
	}
}

// sealedCall makes one call inside the claim.
func (d *Device) sealedCall(ctx context.Context, kind deviceapi.Kind, body, out any) error {
	d.calls.Lock()
	defer d.calls.Unlock()
	if d.claim == nil || d.claim.line == nil {
		return catalog.New("presence_not_shown")
	}
	return d.claim.line.call(ctx, d, kind, body, out)
}

// Options is what can be done, on which settings.
func (d *Device) Options(ctx context.Context) (r deviceapi.OptionsReply, err error) {
	err = d.sealedCall(ctx, deviceapi.KindOptions, deviceapi.Empty{}, &r)
	return r, err
}

// Plan is what one choice will do.
func (d *Device) Plan(ctx context.Context, q deviceapi.PlanCall) (r deviceapi.PlanReply, err error) {
	err = d.sealedCall(ctx, deviceapi.KindPlan, q, &r)
	return r, err
}

// Commit accepts a plan. After the problem unreachable it may be called again
// with the same call: it is carried out once.
func (d *Device) Commit(ctx context.Context, q deviceapi.CommitCall) (r deviceapi.CommitReply, err error) {
	err = d.sealedCall(ctx, deviceapi.KindCommit, q, &r)
	return r, err
}

// Progress is how far a transaction is.
func (d *Device) Progress(ctx context.Context, transaction string) (r deviceapi.ProgressReply, err error) {
	err = d.sealedCall(ctx, deviceapi.KindProgress, deviceapi.ProgressCall{Transaction: transaction}, &r)
	return r, err
}

// Leave ends the claim.
func (d *Device) Leave(ctx context.Context) error {
	err := d.sealedCall(ctx, deviceapi.KindClose, deviceapi.Empty{}, &deviceapi.Empty{})
	if err == nil {
		d.calls.Lock()
		d.claim = nil
		d.calls.Unlock()
	}
	return err
}
