package lab

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/panel/memory"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/button"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/lab/face"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
)

// Robot stands in front of a virtual NAS in a person's place: it holds the
// button until it hears the beep, counts the beeps of the code, and chooses
// what is offered first. It knows nothing but what a person would hear and see.
type Robot struct {
	nas     *NAS
	ear     *memory.Listener
	tell    func(rescue.Event)
	pressed bool          // it has pressed before
	slip    time.Duration // how long it holds the first time, by mistake; 0: as told

	// Password is the new password; where it is empty the robot makes one up.
	Password access.Secret
}

// Robot returns one for this NAS. tell is given the progress; it may be nil.
func (n *NAS) Robot(tell func(rescue.Event)) *Robot {
	r := &Robot{nas: n, ear: n.panel.Listen(), tell: tell}
	if n.box != nil {
		switch sc := n.box.Scenario(); {
		case sc.Has(face.ShortPress):
			r.slip = shortSlip
		case sc.Has(face.LongPress):
			r.slip = longSlip
		}
	}
	return r
}

// What a person does by mistake: letting go before any beep, and holding on past
// the second beep of a QNAP.
const (
	shortSlip = 1500 * time.Millisecond
	longSlip  = 12 * time.Second
)

var _ rescue.Person = (*Robot)(nil)

// patience is how long the robot waits for a beep, on the NAS's clock.
const patience = 30 * time.Second

// Press holds the button until the beep, or for a short moment where none is
// due.
func (r *Robot) Press(ctx context.Context, p rescue.Press) error {
	if hold := r.slip; hold > 0 {
		r.slip = 0
		return r.nas.panel.Press(ctx, hold)
	}
	if p.Beeps == 0 {
		return r.nas.panel.Press(ctx, p.Hold)
	}
	if r.pressed { // a finger takes a moment between two presses, or it is a bounce
		select {
		case <-r.nas.clock.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r.pressed = true
	letGo, heard := make(chan time.Time, 1), make(chan error, 1)
	go func() {
		err := r.hearBeep(ctx)
		heard <- err
		letGo <- time.Time{}
	}()
	if err := r.nas.panel.PressUntil(ctx, letGo); err != nil {
		return err
	}
	defer func() { r.ear = r.nas.panel.Listen() }() // what was said before is no code any more
	return <-heard
}

// hearBeep waits for the next tone to begin; patience without one is the problem
// no_beep.
func (r *Robot) hearBeep(outer context.Context) error {
	ctx, cancel := context.WithCancel(outer)
	defer cancel()
	go func() {
		select {
		case <-r.nas.clock.After(patience):
			cancel()
		case <-ctx.Done():
		}
	}()
	for {
		tone, err := r.ear.Next(ctx)
		switch {
		case errors.Is(err, memory.ErrMissed):
		case err != nil && outer.Err() == nil:
			return catalog.New("no_beep").Because(err)
		case err != nil:
			return err
		case tone.Hz == button.AckPattern(1)[0].Hz: // not a count of the code, which may sound just now
			return nil
		}
	}
}

// Hear counts the beeps until it has heard a whole code.
func (r *Robot) Hear(ctx context.Context, _ rescue.Hear) (access.Presence, error) {
	var l button.Listener
	l.Hear(r.nas.panel.Now(), false)
	for {
		tone, err := r.ear.Next(ctx)
		if errors.Is(err, memory.ErrMissed) {
			l = button.Listener{}
			continue
		}
		if err != nil {
			return nil, err
		}
		if code, ok := l.Hear(tone.At, tone.Hz > 0); ok {
			return access.Code(code), nil
		}
	}
}

// Choose takes what is offered first, accepts the plan and makes up a password.
func (r *Robot) Choose(_ context.Context, q rescue.Question) (rescue.Answer, error) {
	switch {
	case q.ID == rescue.AskNewPassword, q.ID == rescue.AskPassword:
		if r.Password.Empty() {
			r.Password = access.NewSecret(rand.Text())
		}
		return rescue.Answer{Password: r.Password}, nil
	case q.Default != "":
		return rescue.Answer{Option: q.Default, Yes: true}, nil
	case len(q.Options) > 0:
		return rescue.Answer{Option: q.Options[0].ID, Yes: true}, nil
	}
	return rescue.Answer{Yes: true}, nil
}

// Tell passes progress on.
func (r *Robot) Tell(e rescue.Event) {
	if r.tell != nil {
		r.tell(e)
	}
}
