package crash

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/device/panel/memory"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/button"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/identity"
	"github.com/paperclip-nas/paperclip/internal/protocol/sealed"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
	"github.com/paperclip-nas/paperclip/internal/x/spake2"
)

// device is core at work, with a person at its button and a front.
type device struct {
	core  *core.Core
	clock clock.Clock
	root  *corewire.Client // at the console
	panel *memory.Panel
	ear   *memory.Listener
	front *corewire.Client
	stop  func()
}

var source = netip.MustParseAddr("192.168.1.7")

// power starts core, in fake time.
func power(ctx context.Context, cfg core.Config) (*device, error) {
	d := &device{panel: memory.New(clock.System()), clock: cfg.Clock}
	d.ear = d.panel.Listen()
	cfg.Panel, cfg.Profile, cfg.Log = d.panel.Ports(), button.Paperclip(), slog.New(slog.DiscardHandler)
	c, err := core.New(cfg)
	if err != nil {
		return nil, err
	}
	d.core = c
	if err := c.RecordBaseline(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	front, theirs := net.Pipe()
	console, roots := net.Pipe()
	running.Go(func() { _ = c.Run(ctx) })
	running.Go(func() { _ = c.Serve(ctx, front) })
	running.Go(func() { _ = c.ServeConsole(ctx, console) })
	d.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	var err1, err2 error
	d.front, err1 = corewire.Dial(ctx, theirs)
	d.root, err2 = corewire.Dial(ctx, roots)
	if err := errors.Join(err1, err2); err != nil {
		d.stop()
		return nil, err
	}
	return d, d.front.Read(ctx, corewire.ReadDevice, new(deviceapi.Device))
}

// hard stands among the scopes for a hard reset, which has none.
const hard reset.Scope = "hard"

// hardAnew is one whose first administrator is a new account, called newcomer.
const hardAnew reset.Scope = "hard, new administrator"

const newcomer = "carla"

// openClaim holds the button, twice for a hard reset, and hears the code.
func (d *device) openClaim(ctx context.Context, scope reset.Scope) (access.Code, error) {
	if err := d.panel.Press(ctx, 4200*time.Millisecond); err != nil {
		return access.Code{}, err
	}
	if scope == hard || scope == hardAnew {
		time.Sleep(3 * time.Second) // fake time, as all here
		if err := d.panel.Press(ctx, 4200*time.Millisecond); err != nil {
			return access.Code{}, err
		}
		time.Sleep(time.Second)
		d.ear = d.panel.Listen() // the code of before the second press is worth nothing
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var l button.Listener
	l.Hear(0, false)
	for {
		tone, err := d.ear.Next(ctx)
		if err != nil {
			return access.Code{}, fmt.Errorf("no code was heard: %w", err)
		}
		if code, ok := l.Hear(tone.At, tone.Hz > 0); ok {
			return code, nil
		}
	}
}

// claimant is the owner's side of one session.
type claimant struct {
	device  *device
	session string
	binding deviceapi.Binding
	channel *sealed.Channel
}

// certified is a TLS key of a front, and whose device it is.
func (d *device) certified(ctx context.Context) (id ed25519.PublicKey, leaf []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, nil, err
	}
	certs, err := d.front.Certify(ctx, corewire.CertifyRequest{LeafPublicKey: spki})
	if err != nil {
		return nil, nil, err
	}
	return identity.VerifyChain(certs.Chain, d.clock.Now())
}

func (d *device) enter(ctx context.Context) (*claimant, error) {
	id, leaf, err := d.certified(ctx)
	if err != nil {
		return nil, err
	}
	reply, err := d.front.ClaimSession(ctx, corewire.ClaimSessionRequest{Source: source, LeafSPKI: leaf})
	if err != nil {
		return nil, err
	}
	return &claimant{device: d, session: reply.Session, binding: deviceapi.Binding{Identity: id, LeafSPKI: leaf, Claim: reply.Claim, Session: reply.Session}}, nil
}

// try types a code; shown is called once the device has answered with its
// share, which only a counted try may bring.
func (a *claimant) try(ctx context.Context, code access.Code, answered func()) error {
	run, err := spake2.NewA(rand.Reader, []byte(code.Secret().Reveal()), a.binding.PAKE())
	if err != nil {
		return err
	}
	share, err := a.device.front.ClaimPake(ctx, corewire.ClaimPakeRequest{Source: source, Body: deviceapi.PakeRequest{Session: a.session, Share: run.Share()}})
	if err != nil {
		return err
	}
	answered()
	mine, err := run.Finish(share.Share)
	if err != nil {
		return err
	}
	theirs, err := a.device.front.ClaimConfirm(ctx, corewire.ClaimConfirmRequest{Source: source, Body: deviceapi.ConfirmRequest{Session: a.session, Confirm: mine}})
	if err != nil {
		return err
	}
	k, err := run.Confirm(theirs.Confirm)
	if err != nil {
		return err
	}
	a.channel, err = sealed.Assistant(k, a.binding.Channel())
	return err
}

func (a *claimant) call(ctx context.Context, kind deviceapi.Kind, body, reply any) error {
	message, err := deviceapi.EncodeCall(kind, body)
	if err != nil {
		return err
	}
	box, err := a.channel.Seal(message)
	if err != nil {
		return err
	}
	out, err := a.device.front.ClaimSealed(ctx, corewire.ClaimSealedRequest{Source: source, Body: deviceapi.SealedRequest{Session: a.session, Box: box}})
	if err != nil {
		return err
	}
	plain, err := a.channel.Open(out.Box)
	if err != nil {
		return err
	}
	return deviceapi.ParseReply(plain, reply)
}
