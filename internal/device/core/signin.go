package core

import (
	"context"
	"slices"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
)

// throttle makes a source that fails wait longer each time, and never for
// good: nobody can lock the owner out (promise 7, X22), as each source waits
// alone and none waits longer than a minute.
type throttle struct {
	clock   clock.Clock
	sources map[string]*failing
}

type failing struct {
	failures int
	until    time.Duration
}

const (
	freeFailures   = 3
	longestWait    = time.Minute
	sourcesTracked = 1024
)

func newThrottle(c clock.Clock) throttle {
	return throttle{clock: c, sources: map[string]*failing{}}
}

// wait is how long the source must wait before its next try.
func (t throttle) wait(source string) time.Duration {
	if f := t.sources[source]; f != nil {
		return max(0, f.until-t.clock.Monotonic())
	}
	return 0
}

// count notes a try that has not succeeded yet.
func (t throttle) count(source string) {
	f := t.sources[source]
	if f == nil {
		t.makeRoom()
		f = &failing{}
		t.sources[source] = f
	}
	f.failures++
	if over := f.failures - freeFailures; over > 0 {
		f.until = t.clock.Monotonic() + min(longestWait, time.Second<<min(over, 10))
	}
}

func (t throttle) succeed(source string) { delete(t.sources, source) }

// makeRoom forgets the source whose wait ends first.
func (t throttle) makeRoom() {
	if len(t.sources) < sourcesTracked {
		return
	}
	first := ""
	for s, f := range t.sources {
		if first == "" || f.until < t.sources[first].until {
			first = s
		}
	}
	delete(t.sources, first)
}

// signIn checks a name and password. The answer is the same, after the same
// work, for an account that is missing, disabled or has another password.
func (c *Core) signIn(ctx context.Context, q corewire.SignInRequest) (deviceapi.SignInReply, error) {
	source := q.Source.WithZone("").String()
	err := c.do(ctx, func() error {
		if wait := c.signIns.wait(source); wait > 0 {
			return catalog.New("sign_in_later", wait.Round(time.Second).String())
		}
		c.signIns.count(source)
		return c.attempts.signIn()
	})
	if err != nil {
		return deviceapi.SignInReply{}, err
	}
	if c.cfg.Accounts == nil {
		return deviceapi.SignInReply{}, catalog.New("not_yet", "signing in on this system")
	}
	mark := c.mark(ctx, q.User) // before: one that is changed meanwhile is not taken for the one that was checked
	ok, err := c.cfg.Accounts.Check(ctx, q.User, q.Password)
	if err != nil {
		return deviceapi.SignInReply{}, err
	}
	if !ok {
		return deviceapi.SignInReply{}, catalog.New("sign_in_failed")
	}
	administrator, err := c.isAdministrator(ctx, q.User)
	if err != nil {
		return deviceapi.SignInReply{}, err
	}
	if !administrator {
		mark = ""
	}
	return deviceapi.SignInReply{User: q.User, Administrator: administrator}, c.do(ctx, func() error {
		c.signIns.succeed(source)
		c.witnessed(q.User, mark)
		return nil
	})
}

// isAdministrator asks the first adapter that knows accounts.
func (c *Core) isAdministrator(ctx context.Context, user string) (bool, error) {
	for _, a := range c.cfg.Adapters {
		if !slices.Contains(a.Effects(), nas.E1) {
			continue
		}
		s, err := surveyed(ctx, []setting.Adapter{a})
		if err != nil {
			return false, err
		}
		if account, ok := s.settings.Account(user); ok {
			return account.Administrator, nil
		}
	}
	return false, nil
}
