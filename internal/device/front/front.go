// Package front is the part of paperclipd that strangers can talk to: the
// device's page, its HTTPS interface and what it announces. It has no privilege
// and keeps nothing worth stealing.
//
// Everything that matters is core's: front has core certify its short-lived TLS
// key, shows what core says of itself, and passes the steps of a claim and
// sign-ins on, as they came. It decides only who may not even ask: each route
// has an explicit policy (see routes), and a route without one answers nobody.
// It reads no settings, counts no tries, and logs no bodies.
//
// Claims and sign-ins are taken from on-link sources alone: whoever is in the
// room, not whoever came through a VPN. A sign-in could be let in from further
// away; until somebody needs that, it is not.
package front

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
)

// Config is what a Front works with.
type Config struct {
	// Dial connects to core. It is called again when the connection is lost.
	Dial func(context.Context) (net.Conn, error)
	// HTTP and HTTPS are addresses to listen on, "127.0.0.1:0" in the lab.
	// Empty means every address, on the port that core's settings say.
	HTTP, HTTPS string
	// OnLink tells whether remote is on the very network on which it reached
	// local. Without it, nobody is.
	OnLink func(local, remote netip.AddrPort) bool
	// Announce is told what to announce; it may be nil.
	Announce Announcer
	// Interfaces lists the machine's own network interfaces to announce on,
	// besides those that core names. It may be nil.
	Interfaces func() []corewire.Interface
	// Changed says that Interfaces may have changed. Where it is nil, front looks
	// every ten seconds.
	Changed <-chan struct{}

	Clock clock.Clock  // the machine's if nil
	Rand  io.Reader    // crypto/rand if nil
	Log   *slog.Logger // nowhere if nil
}

// Front serves until its Run ends.
type Front struct {
	cfg      Config
	log      *slog.Logger
	handler  http.Handler
	view     atomic.Pointer[view]
	cert     atomic.Pointer[certificate]
	ready    chan struct{}
	isReady  sync.Once
	news     chan []Announcement // the latest that was not announced yet
	mu       sync.Mutex
	serving  [2]*server // by scheme
	stopping sync.WaitGroup
}

// view is what requests see of core. It is replaced, never changed.
type view struct {
	client *corewire.Client // nil while core does not answer
	device deviceapi.Device
	state  corewire.State
	at     time.Duration // when the state came, on Config.Clock
}

const (
	dialTimeout = 10 * time.Second
	retryLeast  = 200 * time.Millisecond
	retryMost   = 5 * time.Second
	lookAgain   = 10 * time.Second // at a port that was in use, the certificate's age, and interfaces where nobody tells
	lookSeldom  = 5 * time.Minute  // at the certificate's age alone
)

// New returns a Front that does nothing before Run.
func New(cfg Config) *Front {
	if cfg.OnLink == nil {
		cfg.OnLink = func(_, _ netip.AddrPort) bool { return false }
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.System()
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	f := &Front{cfg: cfg, log: cfg.Log, ready: make(chan struct{}), news: make(chan []Announcement, 1)}
	f.handler = newHandler(f, routes())
	f.view.Store(&view{})
	return f
}

// Ready closes when both listeners answer for the first time.
func (f *Front) Ready() <-chan struct{} { return f.ready }

// Addresses are where it listens; the zero value where it does not.
func (f *Front) Addresses() (http, https netip.AddrPort) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.serving[plain].address(), f.serving[secure].address()
}

// Run serves until ctx ends, and then returns nil. It outlives core: while core
// is away the page says so, and the interface answers core_unreachable. The
// only error is the problem port_in_use, before it has ever listened.
func (f *Front) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var announcing sync.WaitGroup
	announcing.Go(func() { f.announce(ctx) })
	defer func() {
		cancel()
		f.shutdown()
		announcing.Wait()
	}()
	wait, said := retryLeast, ""
	for {
		served, err := f.connected(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, catalog.New("port_in_use")) {
			return err
		}
		if served {
			wait = retryLeast
		}
		if why := fmt.Sprint(err); served || why != said { // it may be away for weeks
			f.log.Warn("core is away; it is asked again and again", "error", err)
			said = why
		}
		select {
		case <-ctx.Done():
			return nil
		case <-f.cfg.Clock.After(wait):
			wait = min(2*wait, retryMost)
		}
	}
}

// connected is one connection to core, from its start to its end. served tells
// whether core answered at all.
func (f *Front) connected(ctx context.Context) (served bool, err error) {
	listens := false
	client, err := f.dial(ctx)
	if err != nil {
		return false, err
	}
	defer client.Close()
	defer f.lose()
	if err := f.certify(ctx, client); err != nil {
		return false, err
	}
	look, changed := f.cfg.Clock.After(lookAgain), f.cfg.Changed
	for {
		select {
		case <-ctx.Done():
			return true, ctx.Err()
		case s, ok := <-client.States():
			if !ok {
				return true, client.Err()
			}
			if err := f.learn(ctx, client, s); err != nil {
				return true, err
			}
		case _, more := <-changed:
			if !more {
				changed = nil
			}
		case <-look:
			stale := f.cert.Load().stale(f.cfg.Clock.Now())
			if stale {
				if err := f.certify(ctx, client); err != nil {
					return true, err
				}
			}
			if changed != nil && listens { // a device that has nothing to do sleeps
				if look = f.cfg.Clock.After(lookSeldom); !stale {
					continue
				}
			} else {
				look = f.cfg.Clock.After(lookAgain)
			}
		}
		before := listens
		if listens, err = f.follow(); err != nil {
			return true, err
		}
		if before && !listens {
			look = f.cfg.Clock.After(lookAgain)
		}
	}
}

// learn takes a state of core, and reads what goes with it.
func (f *Front) learn(ctx context.Context, client *corewire.Client, s corewire.State) error {
	v := view{client: client, state: s}
	if err := client.Read(ctx, corewire.ReadDevice, &v.device); err != nil {
		return err
	}
	v.state.Claim = v.device.Claim // what was read is the later one
	v.at = f.cfg.Clock.Monotonic()
	f.view.Store(&v)
	return nil
}

// follow listens and announces as the present view says. A port that is in use
// is an error before the first listening; later the old one stays and the new
// one is tried again: somebody may be in the middle of a claim. listens says
// that it listens where it should.
func (f *Front) follow() (listens bool, err error) {
	v := f.view.Load()
	if v.client == nil {
		return false, nil
	}
	err = f.listen(v.state.Ports)
	switch {
	case err == nil:
		f.isReady.Do(func() { close(f.ready) })
	case !f.everReady():
		return false, err
	default:
		f.log.Error("cannot listen where the settings say; still listening where it did", "error", err)
	}
	f.tell(v)
	return err == nil, nil
}

func (f *Front) everReady() bool {
	select {
	case <-f.ready:
		return true
	default:
		return false
	}
}

func (f *Front) dial(ctx context.Context) (*corewire.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := f.cfg.Dial(ctx)
	if err != nil {
		return nil, err
	}
	return corewire.Dial(ctx, conn)
}

// lose keeps what was known of core for the page, without the connection.
func (f *Front) lose() {
	v := *f.view.Load()
	v.client = nil
	v.device.Ready, v.device.Claim, v.state.Claim = false, deviceapi.Claim{}, deviceapi.Claim{}
	f.view.Store(&v)
	f.tell(&v)
}
