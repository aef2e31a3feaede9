package rescue

import (
	"context"
	"errors"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/receipt"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

// doFollow waits for the end of the transaction: by its claimant's session, or
// after an interruption by what the NAS tells anybody.
func doFollow(ctx context.Context, r *run) error {
	begun := r.cfg.Clock.Monotonic()
	for n := 0; ; n++ {
		done, err := r.followOnce(ctx)
		away := errors.Is(err, catalog.New("unreachable"))
		if done || err != nil && !away && !errors.Is(err, catalog.New("core_unreachable")) { // core may be starting anew
			return err
		}
		if away && n%4 == 3 {
			r.tell(Follow, "The NAS does not answer at "+r.device.Address().String()+"; looking for it at another address.")
			r.lookAgain(ctx)
		}
		if r.overdue(begun) {
			return r.stillAtIt(err)
		}
		if err := r.pause(ctx); err != nil {
			return err
		}
	}
}

// stillAtIt is why the end was not seen: err, or that the NAS answers and is at it.
func (r *run) stillAtIt(err error) error {
	if err != nil {
		return err
	}
	p := catalog.New("busy")
	p.Exit, p.WhatToDo = catalog.InPart, "Leave it on, and see how it ended with: "+r.again()+" "+r.state.ID
	return p
}

func (r *run) followOnce(ctx context.Context) (done bool, err error) {
	if r.proved && r.state.Transaction != "" {
		reply, err := r.device.Progress(ctx, r.state.Transaction)
		if err == nil {
			return r.followed(reply)
		}
		if unsure(err) {
			return false, err
		}
		r.proved = false // the session is gone; the transaction is not
	}
	info, err := r.device.Info(ctx)
	if err == nil && info.Ready {
		r.fetchReceipt(ctx)
	}
	return err == nil && info.Ready, err
}

// fetchReceipt asks for a receipt that the interrupted session could not give,
// with the key that the commit enrolled. That there is none says nothing: the
// NAS may not have taken over the plan.
func (r *run) fetchReceipt(ctx context.Context) {
	owner, err := r.cfg.Keys.OwnerKey(r.cfg.Rand)
	if err != nil || r.state.HasReceipt {
		return
	}
	device, err := r.meetAgain(ctx)
	if err != nil {
		return
	}
	file, err := device.Receipt(ctx, owner, r.state.Transaction)
	if err != nil {
		return
	}
	keyID, s, err := receipt.Verify(file)
	if err != nil || keyID != r.state.KeyID || s.PlanHash != r.state.PlanHash || s.Result != receipt.Committed {
		return // of another reset
	}
	if r.store.saveReceipt(r.state.ID, file) == nil {
		r.state.HasReceipt, r.state.Committed, r.state.Transaction = true, true, s.Transaction
	}
}

// progressWords is how far a transaction is, for people; a state that this version
// does not know is shown as it came.
func progressWords(state string) string {
	words, ok := map[string]string{
		"accepted": "written down", "persisted": "written", "activated": "in force", "verified": "checked",
		"trial": "on trial", "committed": "done", "undoing": "being taken back", "reverted": "being taken back", "undone": "taken back",
	}[state]
	if !ok {
		return printable.Clean(state)
	}
	return words
}

func (r *run) followed(reply deviceapi.ProgressReply) (bool, error) {
	finished := 0
	for _, s := range reply.Steps {
		if s.State == "verify" || s.State == "verified" {
			finished++
		}
	}
	r.cfg.Person.Tell(Event{Kind: Progress, Step: Follow, Text: progressWords(reply.State), Done: finished, Total: len(reply.Steps)})
	if !reply.Done {
		return false, nil
	}
	if err := r.keepReceipt(reply); err != nil {
		return true, err
	}
	if p := reply.Problem; p != nil {
		r.state.Handed = false // it was undone: nothing is left to follow
		return true, *p
	}
	r.state.Committed = true
	return true, nil
}

// keepReceipt writes a receipt down as soon as there is one, as it came.
func (r *run) keepReceipt(reply deviceapi.ProgressReply) error {
	if len(reply.Receipt) == 0 {
		return nil
	}
	if err := r.store.saveReceipt(r.state.ID, reply.Receipt); err != nil {
		return err
	}
	r.state.HasReceipt = true
	return nil
}

// verifyFollow looks from outside: the NAS is ready again. With the receipt it
// is also its signed word; signing in is the test of both.
func verifyFollow(ctx context.Context, r *run) (bool, error) {
	info, err := r.info(ctx)
	if err == nil {
		r.followHard(info)
	}
	return err == nil && info.Ready, err
}
