// Package core is the part of paperclipd that decides: it has the identity key,
// the journal and the setting adapters, owns every counter, and listens on
// nothing.
//
// One goroutine (Run) owns the state: the button's edges, the claim, the
// sessions and the transaction's progress. Requests of a front come in over
// package corewire and are carried to that goroutine one at a time. A front is
// believed in nothing but the address a visitor came from: it relays, and what
// it relays inside a claim is sealed between the assistant and core.
//
// Core never writes to a data volume, never tells settings or account names
// before presence is proved, never accepts a plan other than the one shown,
// and has no code for gestures that act at once or passwords that are blank.
package core

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/journal"
	"github.com/paperclip-nas/paperclip/internal/device/panel"
	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/button"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/check"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/identity"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// Accounts checks passwords against the system's own store.
type Accounts interface {
	// Check says whether the password is the account's. A missing, disabled or
	// passwordless account is false, after the same work as any other.
	Check(ctx context.Context, user string, password access.Secret) (bool, error)
}

// Sessions ends what an administrator had open before the reset.
type Sessions interface {
	End(ctx context.Context, administrator string) error
}

// ClaimNetwork is the network interface of the claim's own (design.md, "Claim").
type ClaimNetwork interface {
	// Open makes the claim reachable and calls changed whenever addresses come
	// or go, the first time before it returns. It touches no address that the
	// system has.
	Open(ctx context.Context, changed func([]access.Interface)) error
	// Close takes everything away that Open made. Closing twice is fine.
	Close(ctx context.Context) error
}

// Cable is asked whether an address is somebody's before the NAS gets it.
type Cable interface {
	// Taken returns the MAC of whoever else has the address on the network of the
	// interface; empty is nobody that answers. An error: it cannot be told.
	Taken(ctx context.Context, name string, address netip.Addr) (mac string, err error)
}

// Config is what a Core is built from. Accounts, Network and Sessions may be
// nil; Panel's parts too.
type Config struct {
	Name  string        // what the device is called on the LAN
	Named func() string // the same where a reset can change it: asked each time; may be nil
	Model string
	Dir   string // state directory: identity, journal, counters, receipts

	FS    opfs.FS
	Clock clock.Clock
	Rand  io.Reader
	Log   *slog.Logger

	Panel   panel.Panel
	Profile button.Profile

	Adapters []setting.Adapter
	Accounts Accounts
	Network  ClaimNetwork
	Sessions Sessions
	Cable    Cable // asked before an address is set by hand; nil: nobody is
	Ports    func() nas.Ports
	Rules    access.Rules
	Trial    time.Duration       // how long a restore has to be confirmed; 0 is five minutes
	Policy   access.ButtonPolicy // what a claim may do; empty is all
	Boot     clock.Boot          // what waits are measured by; nil: only while this program runs
	Notifier Notifier            // how people are told of a notice; nil: on the LAN alone
	SafeMode bool                // only recovery runs on this NAS just now (A7): shown, and changes nothing here
	// Findings are what doctor finds, for `paperclip check`; nil is nothing.
	Findings func(context.Context) []check.Finding
}

// Core is the deciding half of a device.
type Core struct {
	cfg       Config
	identity  ed25519.PrivateKey
	journal   *journal.Journal
	attempts  attempts
	codes     *codes
	label     *label
	owners    *owners
	recovery  *recovery
	setUp     *setUp // Run's goroutine only, once it runs
	requests  *requests
	notices   *notices
	witnesses *witnesses
	signIns   throttle

	calls   chan func()
	started chan struct{} // closed when Run has finished an open journal
	done    chan struct{} // closed when Run has returned

	// Below: Run's goroutine only.
	ctx           context.Context
	edges         chan panel.Edge // nil without a button
	recogniser    *button.Recogniser
	claim         *access.Claim
	claimID       string
	code          access.Code
	visits        map[string]*visit
	ahead         *ahead // at the system, since the claim was opened
	leaves        []leaf
	conversations map[string]*conversation // with owners
	passwordsSet  uint64                   // how often a change ended conversations, since the start
	turns         uint64                   // how often a transaction began or ended, since the start
	current       *transaction
	trial         *trial        // a restore that waits to be confirmed
	halfState     bool          // a transaction could be neither finished nor undone
	lingerEnds    time.Duration // when a finished claim closes by itself
	speaker       *speaker
	network       *networkKeeper
	interfaces    []access.Interface
	ready         bool
	watchers      map[chan corewire.State]bool
	ignored       string // why the last press selected nothing (D8)

	mail        chan catalog.Notice // to be mailed
	bannerShown *string             // nil: not known since the start
}

// New loads or makes the identity and opens the journal. A journal whose record
// is damaged is the problem half_state: then nothing may start.
func New(cfg Config) (*Core, error) {
	if cfg.Profile.ActsAtOnce {
		return nil, catalog.New("vendor_profile", cfg.Profile.Name)
	}
	if cfg.Boot == nil { // time counts only while this program runs
		start, err := randomID(cfg.Rand)
		if err != nil {
			return nil, err
		}
		cfg.Boot = clock.BootOf(cfg.Clock, start)
	}
	if cfg.Rules == (access.Rules{}) {
		cfg.Rules = access.DefaultRules()
	}
	id, err := loadIdentity(cfg.FS, cfg.Dir, cfg.Rand)
	if err != nil {
		return nil, err
	}
	j := journal.New(cfg.FS, cfg.Dir)
	if _, err := j.Open(); err != nil {
		return nil, journalProblem(err)
	}
	a, err := loadAttempts(cfg.FS, cfg.Dir)
	if err != nil {
		return nil, err
	}
	given, err := loadCodes(cfg.FS, cfg.Dir, cfg.Rand)
	if err != nil {
		return nil, err
	}
	onLabel, err := loadLabel(cfg.FS, cfg.Dir)
	if err != nil {
		return nil, err
	}
	owners, err := loadOwners(cfg.FS, cfg.Dir)
	if err != nil {
		return nil, err
	}
	left, err := loadSetUp(cfg.FS, cfg.Dir)
	if err != nil {
		return nil, err
	}
	waiting, err := loadRequests(cfg.FS, cfg.Dir)
	if err != nil {
		return nil, err
	}
	signedIn, err := loadWitnesses(cfg.FS, cfg.Dir)
	if err != nil {
		return nil, err
	}
	told, err := loadNotices(cfg.FS, cfg.Dir)
	if err != nil {
		return nil, err
	}
	recovery, err := loadRecovery(cfg.FS, cfg.Dir)
	if err != nil {
		return nil, err
	}
	j.Boot = cfg.Boot
	c := &Core{
		recovery: recovery, owners: owners, conversations: map[string]*conversation{}, setUp: left, requests: waiting, notices: told, witnesses: signedIn, mail: make(chan catalog.Notice, mailQueue),
		cfg: cfg, identity: id, journal: j, attempts: a, codes: given, label: onLabel, signIns: newThrottle(cfg.Clock),
		calls: make(chan func()), started: make(chan struct{}), done: make(chan struct{}),
		claim: access.NewClaim(cfg.Rules), visits: map[string]*visit{}, watchers: map[chan corewire.State]bool{},
	}
	c.recogniser = button.New(cfg.Profile, c.buttonOptions()...)
	return c, nil
}

func (c *Core) buttonOptions() []button.Option {
	if b := c.cfg.Panel.Button; b != nil && b.HeldAtStart() {
		return []button.Option{button.HeldAtStart(b.Now())}
	}
	return nil
}

// KeyID is the name of the device's identity key.
func (c *Core) KeyID() string { return identity.KeyID(c.publicKey()) }

// PublicKey is the device's identity: what a person compares on the console.
func (c *Core) PublicKey() ed25519.PublicKey { return c.publicKey() }

func (c *Core) publicKey() ed25519.PublicKey { return c.identity.Public().(ed25519.PublicKey) }

// Recover is the boot unit's work: it finishes or undoes the files of a reset
// that was interrupted, before any door opens. Activation is core's, later.
func Recover(ctx context.Context, cfg Config) error {
	j := journal.New(cfg.FS, cfg.Dir)
	j.Boot = cfg.Boot
	return journalProblem(j.RecoverFiles(ctx, participants(cfg.Adapters)))
}

// Run owns the device until ctx is done. It finishes an open transaction first,
// then watches the button and serves requests.
func (c *Core) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer close(c.done)
	defer cancel()
	c.ctx = ctx
	if err := c.finishOpen(ctx); err != nil {
		return err
	}
	go c.mails(ctx)
	c.showBanner()
	c.speaker = startSpeaker(ctx, c.cfg.Panel, c.cfg.Log)
	defer c.speaker.wait()
	c.network = keepNetwork(ctx, c.cfg.Network, c.cfg.Log, c.networkChanged)
	defer c.network.wait()
	lost := c.watchButton(ctx)
	c.ready = true
	c.recogniser.SetReady(true)
	close(c.started)
	for {
		select {
		case <-ctx.Done():
			return nil
		case f := <-c.calls:
			c.tick()
			f()
		case e := <-c.edges:
			c.edge(e)
		case err := <-lost:
			c.cfg.Log.Error("the reset button cannot be read; it is looked for again and again", "error", err)
		case <-c.nextDeadline():
		}
		c.passTime()
	}
}

// watchButton reads the button. One that is lost may come back, as a USB panel
// does: without it nobody gets in.
func (c *Core) watchButton(ctx context.Context) (lost chan error) {
	if c.cfg.Panel.Button == nil {
		return nil
	}
	lost = make(chan error)
	c.edges = make(chan panel.Edge)
	go func() {
		for told := false; ; told = true {
			begun := c.cfg.Clock.Monotonic()
			err := c.cfg.Panel.Button.Edges(ctx, c.edges)
			if err != nil && (!told || c.cfg.Clock.Monotonic()-begun > time.Hour) { // once each time that it goes away
				select {
				case lost <- err:
				case <-ctx.Done():
				}
			}
			select {
			case <-ctx.Done():
				return
			case <-c.cfg.Clock.After(buttonAgain):
			}
		}
	}()
	return lost
}

// buttonAgain is how soon a lost button is looked for again.
const buttonAgain = time.Minute

// nextDeadline is when something happens by itself, if anything does.
func (c *Core) nextDeadline() <-chan time.Time {
	wait, any := time.Duration(0), false
	sooner := func(d time.Duration) {
		if !any || d < wait {
			wait, any = d, true
		}
	}
	if at, ok := c.recogniser.Deadline(); ok && c.cfg.Panel.Button != nil {
		sooner(at - c.cfg.Panel.Button.Now())
	}
	if at, open := c.claim.Closes(); open && c.claim.State() != access.Accepted {
		sooner(at - c.cfg.Clock.Monotonic())
	}
	if c.lingerEnds > 0 {
		sooner(c.lingerEnds - c.cfg.Clock.Monotonic())
	}
	if c.trial != nil {
		sooner(c.trialLeft())
	}
	for _, next := range []func() (time.Duration, bool){c.nextRequest, c.nextBanner} {
		if in, some := next(); some {
			sooner(in)
		}
	}
	if !any {
		return nil
	}
	return c.cfg.Clock.After(max(wait, 0))
}

// tick brings the recogniser up to now. Edges that wait come first: they are
// older than now.
func (c *Core) tick() {
	for {
		select {
		case e := <-c.edges:
			c.edge(e)
			continue
		default:
		}
		break
	}
	if c.cfg.Panel.Button != nil {
		c.signals(c.recogniser.Tick(c.cfg.Panel.Button.Now()))
	}
}

func (c *Core) passTime() {
	c.tick()
	c.passTrial()
	now := c.cfg.Clock.Monotonic()
	if c.claim.Lapsed(now) {
		c.endClaim(access.Lapse, "the window is over")
	}
	if c.lingerEnds > 0 && now >= c.lingerEnds {
		c.endClaim(access.Finish, "the claimant is gone")
	}
	c.passRequests()
	c.showBanner()
	c.speaker.mood(c.mood())
}

// mood is what the status light shows while there is nothing else to say.
func (c *Core) mood() button.Mood {
	switch {
	case c.halfState:
		return button.MoodHalfState
	case c.busy():
		return button.MoodWorking
	case c.deviceStatus() == nas.ConfigurationLost:
		return button.MoodConfigLost
	case c.cfg.SafeMode:
		return button.MoodSafe
	}
	return button.MoodRest
}

// errStopped says that Run is not running.
var errStopped = errors.New("core has stopped")

// do runs f in Run's goroutine and returns its error.
func (c *Core) do(ctx context.Context, f func() error) error {
	result := make(chan error, 1)
	select {
	case c.calls <- func() { result <- f() }:
		return <-result
	case <-ctx.Done():
		return ctx.Err()
	case <-c.done:
		return errStopped
	}
}

// Serve answers one front over a connection that the caller has authenticated,
// until it or ctx ends.
func (c *Core) Serve(ctx context.Context, conn net.Conn) error {
	return corewire.Serve(ctx, conn, handler{c, false})
}

// ServeConsole is Serve for root on the device itself, who may also read the
// status and the receipts.
func (c *Core) ServeConsole(ctx context.Context, conn net.Conn) error {
	return corewire.Serve(ctx, conn, console{handler{c, true}})
}

func participants(adapters []setting.Adapter) []journal.Participant {
	out := make([]journal.Participant, len(adapters))
	for i, a := range adapters {
		out[i] = a
	}
	return out
}

func journalProblem(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, journal.ErrHalfState):
		return catalog.New("half_state").Because(err)
	default:
		return err
	}
}
