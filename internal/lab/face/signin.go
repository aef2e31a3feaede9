package face

import (
	"context"
	"crypto/rand"
	"net/netip"
	"slices"
	"time"

	store "github.com/paperclip-nas/paperclip/internal/device/setting/memory"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// Rules are a box's auto block.
type Rules struct {
	Attempts int
	Within   time.Duration
}

// DefaultRules are DSM's defaults (vendors/synology.md §4.1): ten in five
// minutes.
func DefaultRules() Rules { return Rules{Attempts: 10, Within: 5 * time.Minute} }

// Rules are the box's.
func (b *Box) Rules() Rules {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rules
}

// SetRules replaces them.
func (b *Box) SetRules(r Rules) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rules = r
}

// Outcome is how a sign-in ended. Each vendor has numbers of its own for it.
type Outcome int

// The outcomes.
const (
	SignedIn Outcome = iota
	WrongPassword
	IsDisabled
	NoPrivilege
	NeedsCode
	WrongCode
	MustEnrol // a second factor is demanded, and there is none yet
	IsBlocked // the address
	HasExpired
	IsLocked // the account
)

// SignIn is one attempt.
type SignIn struct {
	From     netip.Addr
	User     string
	Password access.Secret
	Code     string // of the second factor
	Trusted  bool   // it was given before, from this device
}

// Try judges an attempt, in the order in which the vendors do: the address, the
// password, the account's state, the second factor. A wrong password or code
// counts towards the auto block; what is asked for without being wrong does not.
func (b *Box) Try(ctx context.Context, a SignIn) (Outcome, error) {
	settings, m := b.Settings(), b.Memory()
	if b.blocked(a.From) {
		return IsBlocked, nil
	}
	if slices.Contains(m.Locked, a.User) {
		return IsLocked, nil
	}
	fits, err := b.fits(ctx, a.User, a.Password)
	account, known := settings.Account(a.User)
	switch {
	case err != nil:
		return WrongPassword, err
	case !fits || !known:
		return WrongPassword, b.failed(a.From)
	case !account.Enabled:
		return IsDisabled, nil
	case m.Expires[a.User] != "":
		return HasExpired, nil
	case slices.Contains(m.Unprivilege, a.User):
		return NoPrivilege, nil
	case account.SecondFactor && a.Trusted:
		return SignedIn, nil
	case account.SecondFactor && a.Code == "":
		return NeedsCode, nil
	case account.SecondFactor && !b.secondFactor(a.User, a.Code):
		return WrongCode, b.failed(a.From)
	case !account.SecondFactor && m.EnforceOTP && account.Administrator:
		return MustEnrol, nil
	}
	return SignedIn, nil
}

// fits compares the password alone: an account that is switched off has one too.
func (b *Box) fits(ctx context.Context, user string, password access.Secret) (bool, error) {
	ok, err := b.cfg.Store.Check(ctx, user, password)
	if ok || err != nil {
		return ok, err
	}
	return store.Matches(b.cfg.Store.Running().Hashes[user], password), nil
}

func (b *Box) blocked(from netip.Addr) bool {
	block := b.Settings().AutoBlock
	return block != nil && block.Enabled && slices.Contains(block.Blocked, from.String())
}

// failed counts, and blocks.
func (b *Box) failed(from netip.Addr) error {
	now := b.cfg.Clock.Monotonic()
	b.mu.Lock()
	recent := slices.DeleteFunc(b.failures[from], func(at time.Duration) bool { return now-at > b.rules.Within })
	recent = append(recent, now)
	b.failures[from] = recent
	block := len(recent) >= b.rules.Attempts
	b.mu.Unlock()
	if !block {
		return nil
	}
	return b.EditSettings(func(s *nas.Settings) {
		if s.AutoBlock != nil && !slices.Contains(s.AutoBlock.Blocked, from.String()) {
			s.AutoBlock.Blocked = append(s.AutoBlock.Blocked, from.String())
		}
	})
}

// EditSettings changes the settings as the vendor's control panel does.
func (b *Box) EditSettings(change func(*nas.Settings)) error {
	return b.cfg.Store.Edit("face.settings", func(s *store.State) error {
		change(&s.Settings)
		return nil
	})
}

// SetPassword replaces an account's password and ends its other sessions.
func (b *Box) SetPassword(user string, password access.Secret, keep string) error {
	if err := b.cfg.Store.SetPassword(user, password); err != nil {
		return err
	}
	b.EndSessions(func(sid string, s Session) bool { return s.User == user && sid != keep })
	return nil
}

// Session is one sign-in.
type Session struct {
	User  string
	From  netip.Addr
	Token string // against forged requests, where it was asked for
	Since time.Time
}

// maxSessions bounds what a client that signs in for ever takes.
const maxSessions = 256

// Begin begins a session.
func (b *Box) Begin(s Session) (sid string) {
	sid, s.Since = rand.Text(), b.cfg.Clock.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.sessions) >= maxSessions {
		clear(b.sessions)
	}
	b.sessions[sid] = s
	return sid
}

// Session is the one with that id.
func (b *Box) Session(sid string) (Session, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, ok := b.sessions[sid]
	return s, ok
}

// Sessions lists them.
func (b *Box) Sessions() map[string]Session {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make(map[string]Session, len(b.sessions))
	for sid, s := range b.sessions {
		all[sid] = s
	}
	return all
}

// EndSessions ends those that which names.
func (b *Box) EndSessions(which func(sid string, s Session) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for sid, s := range b.sessions {
		if which(sid, s) {
			delete(b.sessions, sid)
		}
	}
}

// Trust remembers a device from which the account's second factor was given.
func (b *Box) Trust(user string) (id string) {
	id = rand.Text()
	if err := b.Remember(func(m *Memory) { m.Devices[id] = user }); err != nil {
		return ""
	}
	return id
}

// Trusts reports whether the device was remembered for that account.
func (b *Box) Trusts(id, user string) bool { return id != "" && b.Memory().Devices[id] == user }
