package guided

import (
	"cmp"
	"context"
	"slices"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/ways"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
)

// Where a rescue goes on that was interrupted in a step: most of them say which.
const (
	itself   rescue.Name = ""                  // this step again
	entrance rescue.Name = "where_it_goes_in"  // where this way meets the NAS: what follows needs a session
	wasItSet rescue.Name = "ask_if_it_was_set" // the new password may have arrived
)

// Resume goes on with a guided rescue that was interrupted: cfg.ID's. One that
// has ended gives its result again. No password is written down, so those that
// are needed are asked for again.
func Resume(ctx context.Context, cfg Config, req Request) (rescue.Result, error) {
	st, err := load(cfg.FS, cfg.Dir, cfg.ID)
	if err != nil {
		return rescue.Result{}, err
	}
	r := newRun(cfg, req)
	r.take(st)
	r.resumed = true
	if st.Step == ended {
		return r.res, r.judge()
	}
	at, err := r.goesOn(ctx, st.Step)
	if err != nil {
		return r.close(ctx, err)
	}
	return r.goThrough(ctx, at)
}

// goesOn is where to go on, once the NAS was seen again.
func (r *run) goesOn(ctx context.Context, stopped rescue.Name) (rescue.Name, error) {
	all := table()
	s := all[slices.IndexFunc(all, func(s step) bool { return s.name == stopped })]
	at := cmp.Or(s.resume, s.name)
	if at == find {
		r.req.Target = cmp.Or(r.label(), r.req.Target)
		return find, nil
	}
	if at == wasItSet {
		at = entrance
		if !keepsPassword(r) {
			set, err := r.yes(ctx, rescue.Question{
				ID: AskWasSet, Text: "Was the new password of " + r.administrator + " set before the interruption?", Default: "no",
				Options: []rescue.Option{{ID: "no", Text: "no, or not sure: set it now"}, {ID: "yes", Text: "yes: try it once"}},
			})
			if err != nil {
				return "", err
			}
			if set {
				at = signIn
			}
		}
	}
	if at == entrance {
		at = r.entrance()
	}
	if at == watch { // it looks for itself
		return at, nil
	}
	_, err := r.step(ctx, step{name: find, text: "Looking for the NAS again", do: doFindAgain})
	return at, err
}

// entrance is the first step of a way that speaks to the NAS.
func (r *run) entrance() rescue.Name {
	switch {
	case r.reset():
		return meetAgain
	case r.way.ID == ways.OtherAdministrator:
		return helper
	case r.way.ID == "":
		return signIn
	}
	return byHand
}

// doFindAgain waits until the NAS is seen, wherever it is now.
func doFindAgain(ctx context.Context, r *run) (bool, error) {
	for begun := r.cfg.Clock.Monotonic(); ; {
		d, ok, err := r.look(ctx)
		if err != nil {
			return false, err
		}
		if ok {
			r.now = d
			return true, nil
		}
		if r.cfg.Clock.Monotonic()-begun > r.cfg.Patience {
			return false, catalog.New("never_came_back", r.cfg.Patience)
		}
		if err := r.pause(ctx); err != nil {
			return false, err
		}
	}
}
