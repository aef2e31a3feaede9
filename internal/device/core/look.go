package core

import (
	"context"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// survey is a system as it is now: its settings, and what the adapters can
// change of them. Asking costs seconds on a slow NAS, so it is asked once for
// whatever is decided together.
type survey struct {
	settings nas.Settings
	covered  reset.Coverage
}

func surveyed(ctx context.Context, adapters []setting.Adapter) (s survey, err error) {
	ctx = opfs.KeepAnswers(ctx)
	s.covered = reset.Coverage{}
	for _, a := range adapters {
		found, err := a.Detect(ctx)
		if err != nil {
			return survey{}, preflight(a.ID(), err)
		}
		for _, e := range a.Effects() {
			if old, known := s.covered[e]; known {
				s.covered[e] = old.With(found)
			} else {
				s.covered[e] = found
			}
		}
		if !found.Present {
			continue
		}
		if err := a.Read(ctx, &s.settings); err != nil {
			return survey{}, preflight(a.ID(), err)
		}
	}
	return s, nil
}

// seen is the system as a claimant is shown it, and from when that is.
type seen struct {
	survey
	at time.Duration
}

// seenFor is how old the options and the first plan may be.
const seenFor = time.Minute

func (c *Core) fresh(s seen) bool { return c.cfg.Clock.Monotonic()-s.at < seenFor }

func (c *Core) lookNow(ctx context.Context) (s seen, err error) {
	s.at = c.cfg.Clock.Monotonic()
	s.survey, err = surveyed(ctx, c.cfg.Adapters)
	return s, err
}

// ahead is a look at the system that nobody has asked for yet.
type ahead struct {
	done chan struct{} // closed when seen and err are there
	seen seen
	err  error
}

// lookAhead looks at the system while the code is still said and typed, so that
// whoever proves presence need not wait for it. Run's goroutine only.
func (c *Core) lookAhead() {
	a := &ahead{done: make(chan struct{})}
	c.ahead = a
	go func() {
		defer close(a.done)
		a.seen, a.err = c.lookNow(c.ctx)
	}()
}

// look is the look that was taken ahead, once and while it is fresh, else one of now.
func (c *Core) look(ctx context.Context) (seen, error) {
	a, err := in(ctx, c, func() (*ahead, error) {
		a := c.ahead
		c.ahead = nil
		return a, nil
	})
	if err != nil {
		return seen{}, err
	}
	if a == nil {
		return c.lookNow(ctx)
	}
	select {
	case <-a.done:
	case <-ctx.Done():
		return seen{}, catalog.New("busy").Because(ctx.Err())
	}
	if a.err != nil || !c.fresh(a.seen) {
		return c.lookNow(ctx)
	}
	return a.seen, nil
}

// planSurvey is what a plan is made of: what the claimant was shown a moment
// ago, once; else the system as it is now. A commit asks anew in any case, and
// refuses a plan that is not of now any more.
func (c *Core) planSurvey(ctx context.Context, v *visit) (survey, error) {
	was := v.seen
	v.seen = nil
	if was != nil && c.fresh(*was) {
		return was.survey, nil
	}
	return surveyed(ctx, c.cfg.Adapters)
}
