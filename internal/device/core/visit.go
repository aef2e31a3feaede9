package core

import (
	"bytes"
	"cmp"
	"context"
	"crypto/subtle"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/sealed"
	"github.com/paperclip-nas/paperclip/internal/x/spake2"
)

// visit is one session of a claim: what core holds for one assistant.
type visit struct {
	id      string
	binding deviceapi.Binding
	pake    *spake2.B // between share and confirmation
	with    access.PresenceKind
	channel *sealed.Responder // once presence is proved
	calls   turn              // one sealed call at a time
	seen    *seen             // by options, for the plan that follows; guarded by calls

	// The confirmation that proved presence and what was answered, so that an
	// assistant that lost the answer can ask again.
	proof, answer []byte
}

// turn lets one call at a time through. Who comes meanwhile waits: an assistant
// whose first try took too long sends the same box again, and gets its answer.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return catalog.New("busy").Because(ctx.Err())
	}
}

func (t turn) give() { <-t }

func (t turn) taken() bool { return len(t) > 0 }

// refuse turns a refusal of the claim into its problem.
func refuse(r access.Refusal) error {
	if r == access.NoRefusal {
		return nil
	}
	return catalog.New(catalog.ID(r))
}

func (c *Core) claimSession(q corewire.ClaimSessionRequest) (deviceapi.SessionReply, error) {
	if !c.certified(q.LeafSPKI) {
		return deviceapi.SessionReply{}, catalog.New("bad_message", "its connection is not one of this device's")
	}
	id, err := randomID(c.cfg.Rand)
	if err != nil {
		return deviceapi.SessionReply{}, err
	}
	now := c.cfg.Clock.Monotonic()
	if err := refuse(c.claim.Enter(now, id, q.Source.WithZone("").String())); err != nil {
		return deviceapi.SessionReply{}, err
	}
	c.visits[id] = &visit{id: id, calls: newTurn(), binding: deviceapi.Binding{
		Identity: c.publicKey(), LeafSPKI: q.LeafSPKI, Claim: c.claimID, Session: id,
	}}
	c.forgetVisits()
	return deviceapi.SessionReply{
		Claim: c.claimID, Session: id, TriesLeft: c.cfg.Rules.SessionTries,
		WaitSeconds: c.waitSeconds(now, id),
	}, nil
}

// forgetVisits drops what core holds for sessions that the claim has ended.
func (c *Core) forgetVisits() {
	for id := range c.visits {
		if !c.claim.Has(id) {
			delete(c.visits, id)
		}
	}
}

// waitSeconds is a guess at when the session's turn comes: 0 is now.
func (c *Core) waitSeconds(now time.Duration, id string) int {
	if c.claim.Turn(now, id) != access.NotYourTurn {
		return 0
	}
	return int(c.claim.TurnEnds(now)/time.Second) + 1
}

// claimPake is one try: it is counted, on disk, before anything that depends
// on the code leaves the device.
func (c *Core) claimPake(q corewire.ClaimPakeRequest) (deviceapi.PakeReply, error) {
	now := c.cfg.Clock.Monotonic()
	v := c.visits[q.Body.Session]
	if v == nil {
		return deviceapi.PakeReply{}, c.noVisit()
	}
	code, err := c.presencePassword(q.Body.With)
	if err != nil {
		return deviceapi.PakeReply{}, err
	}
	if err := refuse(c.claim.Count(now, v.id)); err != nil {
		return deviceapi.PakeReply{}, err
	}
	if err := c.attempts.try(); err != nil {
		return deviceapi.PakeReply{}, err
	}
	c.publish()
	b, err := spake2.NewB(c.cfg.Rand, []byte(code.Reveal()), v.binding.PAKE())
	if err != nil {
		return deviceapi.PakeReply{}, err
	}
	if err := b.Finish(q.Body.Share); err != nil {
		return deviceapi.PakeReply{}, catalog.New("bad_message", "its share is not a point of the curve")
	}
	v.pake, v.with = b, q.Body.With
	return deviceapi.PakeReply{Share: b.Share(), TriesLeft: c.claim.TriesLeft(v.id)}, nil
}

// claimConfirm ends a try. The assistant confirms first; only to one that knew
// the code does the device confirm itself.
func (c *Core) claimConfirm(q corewire.ClaimConfirmRequest) (deviceapi.ConfirmReply, error) {
	v := c.visits[q.Body.Session]
	if v == nil {
		return deviceapi.ConfirmReply{}, c.noVisit()
	}
	if v.proof != nil && subtle.ConstantTimeCompare(v.proof, q.Body.Confirm) == 1 {
		return deviceapi.ConfirmReply{Confirm: v.answer}, nil
	}
	if v.pake == nil {
		return deviceapi.ConfirmReply{}, catalog.New("wrong_code")
	}
	b := v.pake
	v.pake = nil
	confirm, key, err := b.Confirm(q.Body.Confirm)
	if err != nil {
		c.cfg.Log.Info("a wrong code was typed", "claim", c.claimID, "session", v.id, "source", q.Source.String(), "failures", c.claim.Failures())
		return deviceapi.ConfirmReply{}, catalog.New("wrong_code")
	}
	if err := refuse(c.claim.Succeed(c.cfg.Clock.Monotonic(), v.id)); err != nil {
		return deviceapi.ConfirmReply{}, err
	}
	channel, err := sealed.Device(key, v.binding.Channel())
	if err != nil {
		return deviceapi.ConfirmReply{}, err
	}
	v.channel, v.proof, v.answer = sealed.NewResponder(channel), bytes.Clone(q.Body.Confirm), confirm
	c.code = access.Code{}
	c.speaker.hush()
	c.cfg.Log.Info("presence is proved", "claim", c.claimID, "session", v.id, "source", q.Source.String(), "with", string(cmp.Or(v.with, "code")))
	c.tellRecogniser()
	c.publish()
	return deviceapi.ConfirmReply{Confirm: confirm}, nil
}

// noVisit is why there is no such session: no claim, or none of that name.
func (c *Core) noVisit() error {
	if c.claim.State() == access.Closed {
		return refuse(access.ClaimClosed)
	}
	return refuse(access.NoSession)
}

// claimSealed answers one sealed call. Calls of a session come one at a time:
// the channel's order is its protection against replay.
func (c *Core) claimSealed(ctx context.Context, q corewire.ClaimSealedRequest) (deviceapi.SealedReply, error) {
	var v *visit
	err := c.do(ctx, func() error {
		if v = c.visits[q.Body.Session]; v == nil {
			return c.noVisit()
		}
		if err := refuse(c.claim.Holds(c.cfg.Clock.Monotonic(), v.id)); err != nil {
			return err
		}
		return nil
	})
	if err != nil {
		return deviceapi.SealedReply{}, err
	}
	if err := v.calls.take(ctx); err != nil {
		return deviceapi.SealedReply{}, err
	}
	defer v.calls.give()
	box, err := v.channel.Answer(q.Body.Box, func(message []byte) []byte { return c.answer(ctx, v, message) })
	if err != nil {
		err = catalog.New("bad_message", "it is not sealed for this session, or came out of order").Because(err)
	}
	return deviceapi.SealedReply{Box: box}, err
}
