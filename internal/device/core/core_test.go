package core_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/device/panel"
	"github.com/paperclip-nas/paperclip/internal/device/panel/memory"
	"github.com/paperclip-nas/paperclip/internal/device/setting"
	store "github.com/paperclip-nas/paperclip/internal/device/setting/memory"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/button"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/identity"
	"github.com/paperclip-nas/paperclip/internal/protocol/sealed"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/scratch"
	"github.com/paperclip-nas/paperclip/internal/x/spake2"
)

const (
	oldPassword = "what anna had forgotten"
	newPassword = "violet tractor 9 gulls"
)

// device is a NAS under test: core over memory adapters, and what a person and
// a front have of it.
type device struct {
	t       *testing.T
	dir     string
	log     *bytes.Buffer
	store   *store.Store
	panel   *memory.Panel
	ear     *memory.Listener
	core    *core.Core
	front   *corewire.Client
	network *fakeNetwork
	source  netip.Addr
	policy  access.ButtonPolicy
	starts  int        // of the system, for its waits
	up      clock.Boot // nil: each start of core is one of the system
	told    *fakeNotifier
	cable   core.Cable
	rand    io.Reader    // nil: the system's
	hook    opfs.Hook    // around every write of core's own
	ahead   atomic.Int64 // nanoseconds that the wall clock was set forward by
	stop    func()

	sessions core.Sessions
	button   func(panel.Button) panel.Button   // nil: as it is
	accounts func(core.Accounts) core.Accounts // nil: as they are
}

// fakeBoot is a start of the system, told by the test's time.
type fakeBoot struct {
	start string
	begun time.Time
}

func (b fakeBoot) Up() (string, time.Duration, error) { return b.start, time.Since(b.begun), nil }

// setClock is a clock whose wall clock somebody sets.
type setClock struct {
	clock.Clock
	ahead *atomic.Int64
}

func (c setClock) Now() time.Time { return c.Clock.Now().Add(time.Duration(c.ahead.Load())) }

// fakeNotifier is what people are told, and fails where it is told to.
type fakeNotifier struct {
	mu     sync.Mutex
	banner string
	mails  []string
	fail   error
}

func (n *fakeNotifier) Banner(_ context.Context, text string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.banner = text
	return n.fail
}

func (n *fakeNotifier) Mail(_ context.Context, subject, text string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mails = append(n.mails, subject+"\n"+text)
	return n.fail
}

// refuse makes every later notice fail.
func (n *fakeNotifier) refuse(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fail = err
}

func (n *fakeNotifier) read() (banner string, mails []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.banner, slices.Clone(n.mails)
}

// fakeNetwork records what is asked of the claim's network.
type fakeNetwork struct {
	mu    sync.Mutex
	calls []string
	down  int // how often opening fails
	stuck int // how often closing fails
}

func (n *fakeNetwork) Open(_ context.Context, changed func([]access.Interface)) error {
	n.note("open")
	n.mu.Lock()
	n.down--
	down := n.down >= 0
	n.mu.Unlock()
	if down {
		return errors.New("no network card is up")
	}
	changed([]access.Interface{{Name: "claim0", MAC: "02:00:00:00:00:01", Prefixes: []netip.Prefix{netip.MustParsePrefix("169.254.7.7/16")}}})
	return nil
}

func (n *fakeNetwork) Close(context.Context) error {
	n.note("close")
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stuck--; n.stuck >= 0 {
		return errors.New("the network card does not answer")
	}
	return nil
}

func (n *fakeNetwork) note(s string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls = append(n.calls, s)
}

func (n *fakeNetwork) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.calls)
}

func (n *fakeNetwork) last() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.calls) == 0 {
		return ""
	}
	return n.calls[len(n.calls)-1]
}

func settings() nas.Settings {
	return nas.Settings{
		Name:   "cellar",
		Shares: &nas.Shares{Defined: []string{"photos"}, Baseline: []string{}, Changed: true},
		Accounts: []nas.Account{
			{Name: "anna", Administrator: true, Enabled: true},
			{Name: "root", Administrator: true, BuiltIn: true},
			{Name: "ben", Enabled: true},
		},
		Ports:      &nas.Ports{HTTP: 8080, HTTPS: 8443, ForceHTTPS: true},
		Interfaces: []nas.Interface{{Name: "eth0", Method: nas.Static, Addresses: []netip.Prefix{netip.MustParsePrefix("192.168.1.20/24")}}},
		Firewall:   &nas.Firewall{Enabled: true, Rules: 3},
	}
}

// start runs a device. change may replace its adapters.
func start(t *testing.T, change func([]setting.Adapter) []setting.Adapter) *device {
	t.Helper()
	d := &device{t: t, dir: scratch.Dir(t), log: &bytes.Buffer{}, network: &fakeNetwork{}, told: &fakeNotifier{}, source: netip.MustParseAddr("192.168.1.7")}
	hash, err := store.Hash(rand.Reader, access.NewSecret(oldPassword))
	if err != nil {
		t.Fatal(err)
	}
	d.store, err = store.Create(opfs.OS(nil), filepath.Join(d.dir, "settings.json"), store.State{Settings: settings(), Hashes: map[string]string{"anna": hash, "ben": hash}})
	if err != nil {
		t.Fatal(err)
	}
	d.boot(change)
	t.Cleanup(func() { d.stop() })
	return d
}

// boot starts core as at power-on.
func (d *device) boot(change func([]setting.Adapter) []setting.Adapter) {
	d.t.Helper()
	c, err := core.New(d.config(change))
	if err != nil {
		d.t.Fatal(err)
	}
	d.core = c
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	mine, theirs := net.Pipe()
	running.Go(func() {
		if err := c.Run(ctx); err != nil {
			d.t.Errorf("core: %v", err)
		}
	})
	running.Go(func() { _ = c.Serve(ctx, mine) })
	d.front, err = corewire.Dial(ctx, theirs)
	if err != nil {
		d.t.Fatal(err)
	}
	d.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
}

// config is what core is built from at the next start.
func (d *device) config(change func([]setting.Adapter) []setting.Adapter) core.Config {
	adapters := d.store.Adapters()
	if change != nil {
		adapters = change(adapters)
	}
	clk := setClock{clock.System(), &d.ahead}
	d.starts++
	d.panel = memory.New(clk)
	d.ear = d.panel.Listen()
	up := clock.Boot(fakeBoot{fmt.Sprint("start ", d.starts), time.Now()})
	if d.up != nil {
		up = d.up
	}
	accounts := core.Accounts(d.store)
	if d.accounts != nil {
		accounts = d.accounts(accounts)
	}
	random := io.Reader(rand.Reader)
	if d.rand != nil {
		random = d.rand
	}
	ports := d.panel.Ports()
	if d.button != nil {
		ports.Button = d.button(ports.Button)
	}
	return core.Config{
		Name: "cellar", Named: func() string { return d.store.Running().Settings.Name }, Model: "Linux NAS", Dir: filepath.Join(d.dir, "state"), FS: opfs.OS(d.hook), Clock: clk, Rand: random,
		Log:   slog.New(slog.NewTextHandler(d.log, nil)),
		Panel: ports, Profile: button.Paperclip(), Adapters: adapters, Accounts: accounts, Network: d.network, Policy: d.policy,
		Ports: func() nas.Ports { return *d.store.Running().Settings.Ports }, Boot: up, Notifier: d.told, Cable: d.cable, Sessions: d.sessions,
	}
}

// secondFactor gives an account a second factor, as its owner would.
func (d *device) secondFactor(user string) {
	d.t.Helper()
	d.stop()
	s := d.store.Running()
	for i := range s.Settings.Accounts {
		if s.Settings.Accounts[i].Name == user {
			s.Settings.Accounts[i].SecondFactor = true
		}
	}
	var err error
	if d.store, err = store.Create(opfs.OS(nil), filepath.Join(d.dir, "settings.json"), s); err != nil {
		d.t.Fatal(err)
	}
	d.boot(nil)
}

// press holds the button and lets the device settle: a release counts once it
// has not bounced for a moment.
func (d *device) press(hold time.Duration) {
	d.t.Helper()
	if err := d.panel.Press(context.Background(), hold); err != nil {
		d.t.Fatal(err)
	}
	time.Sleep(2 * button.Paperclip().Debounce) // fake time
	synctest.Wait()
}

func (d *device) about() deviceapi.Device {
	d.t.Helper()
	var about deviceapi.Device
	if err := d.front.Read(context.Background(), corewire.ReadDevice, &about); err != nil {
		d.t.Fatal(err)
	}
	return about
}

// hear listens until a whole code was said.
func (d *device) hear() access.Code {
	d.t.Helper()
	var l button.Listener
	l.Hear(0, false)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		tone, err := d.ear.Next(ctx)
		if err != nil {
			d.t.Fatalf("no code was heard: %v", err)
		}
		if code, ok := l.Hear(tone.At, tone.Hz > 0); ok {
			return code
		}
	}
}

// assistant is the owner's side of one session.
type assistant struct {
	d       *device
	session string
	binding deviceapi.Binding
	channel *sealed.Channel
	key     ed25519.PublicKey // sent with the commit
	label   string
}

// enter opens a session over a TLS key that core certified.
func (d *device) enter() (*assistant, error) {
	d.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		d.t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		d.t.Fatal(err)
	}
	ctx := context.Background()
	certs, err := d.front.Certify(ctx, corewire.CertifyRequest{LeafPublicKey: spki})
	if err != nil {
		d.t.Fatal(err)
	}
	id, leaf, err := identity.VerifyChain(certs.Chain, time.Now())
	if err != nil {
		d.t.Fatal(err)
	}
	reply, err := d.front.ClaimSession(ctx, corewire.ClaimSessionRequest{Source: d.source, LeafSPKI: leaf})
	if err != nil {
		return nil, err
	}
	return &assistant{d: d, session: reply.Session, binding: deviceapi.Binding{Identity: id, LeafSPKI: leaf, Claim: reply.Claim, Session: reply.Session}}, nil
}

// try types a code.
func (a *assistant) try(code access.Presence) error {
	ctx := context.Background()
	run, err := spake2.NewA(rand.Reader, []byte(code.Password(a.binding.Identity).Reveal()), a.binding.PAKE())
	if err != nil {
		a.d.t.Fatal(err)
	}
	share, err := a.d.front.ClaimPake(ctx, corewire.ClaimPakeRequest{Source: a.d.source, Body: deviceapi.PakeRequest{Session: a.session, Share: run.Share(), With: code.With()}})
	if err != nil {
		return err
	}
	mine, err := run.Finish(share.Share)
	if err != nil {
		a.d.t.Fatal(err)
	}
	theirs, err := a.d.front.ClaimConfirm(ctx, corewire.ClaimConfirmRequest{Source: a.d.source, Body: deviceapi.ConfirmRequest{Session: a.session, Confirm: mine}})
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

func (a *assistant) call(kind deviceapi.Kind, body, reply any) error {
	a.d.t.Helper()
	message, err := deviceapi.EncodeCall(kind, body)
	if err != nil {
		a.d.t.Fatal(err)
	}
	box, err := a.channel.Seal(message)
	if err != nil {
		a.d.t.Fatal(err)
	}
	out, err := a.d.front.ClaimSealed(context.Background(), corewire.ClaimSealedRequest{Source: a.d.source, Body: deviceapi.SealedRequest{Session: a.session, Box: box}})
	if err != nil {
		return err
	}
	plain, err := a.channel.Open(out.Box)
	if err != nil {
		return err
	}
	return deviceapi.ParseReply(plain, reply)
}

// present opens a claim and proves presence.
func (d *device) present() *assistant {
	d.t.Helper()
	d.press(4200 * time.Millisecond)
	return d.prove()
}

// presentHard is present for a hard reset: the second press.
func (d *device) presentHard() *assistant {
	d.t.Helper()
	d.press(4200 * time.Millisecond)
	time.Sleep(3 * time.Second)
	d.press(4200 * time.Millisecond)
	d.ear = d.panel.Listen() // the code of before the second press is worth nothing
	return d.prove()
}

func (d *device) prove() *assistant {
	d.t.Helper()
	code := d.hear()
	a, err := d.enter()
	if err != nil {
		d.t.Fatal(err)
	}
	if err := a.try(code); err != nil {
		d.t.Fatalf("the code that was said is refused: %v", err)
	}
	return a
}

// reset goes from the proof to the end of the transaction.
func (a *assistant) reset(q deviceapi.PlanCall, password string) (deviceapi.ProgressReply, error) {
	a.d.t.Helper()
	return a.resetWith(q, password, "")
}

// resetWith is reset with a recovery code beside it.
func (a *assistant) resetWith(q deviceapi.PlanCall, password, code string) (deviceapi.ProgressReply, error) {
	a.d.t.Helper()
	var plan deviceapi.PlanReply
	if err := a.call(deviceapi.KindPlan, q, &plan); err != nil {
		return deviceapi.ProgressReply{}, err
	}
	var accepted deviceapi.CommitReply
	if err := a.call(deviceapi.KindCommit, deviceapi.CommitCall{PlanHash: plan.Hash, Administrator: q.Administrator, NewPassword: access.NewSecret(password), RecoveryCode: access.NewSecret(code), OwnerKey: a.key, OwnerLabel: a.label, Wizard: q.Wizard}, &accepted); err != nil {
		return deviceapi.ProgressReply{}, err
	}
	for {
		var p deviceapi.ProgressReply
		if err := a.call(deviceapi.KindProgress, deviceapi.ProgressCall{Transaction: accepted.Transaction}, &p); err != nil {
			return p, err
		}
		if p.Done {
			return p, nil
		}
		time.Sleep(10 * time.Millisecond) // fake time: lets the transaction go on
	}
}

func (d *device) accepts(user, password string) bool {
	d.t.Helper()
	ok, err := d.store.Check(context.Background(), user, access.NewSecret(password))
	if err != nil {
		d.t.Fatal(err)
	}
	return ok
}

// everything is every file of the device but the counters and the identity.
func (d *device) everything() map[string]string {
	d.t.Helper()
	all := map[string]string{}
	err := filepath.Walk(d.dir, func(name string, info os.FileInfo, err error) error {
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(name)
		rel, _ := filepath.Rel(d.dir, name)
		if base := filepath.Base(name); base != "attempts.json" {
			all[rel] = info.Mode().String() + " " + string(raw)
		}
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return all
}

func problem(err error) catalog.ID {
	if p, ok := errors.AsType[catalog.Problem](err); ok {
		return p.ID
	}
	if err != nil {
		return catalog.ID("not a problem: " + err.Error())
	}
	return ""
}

func (d *device) logs(text string) bool { return strings.Contains(d.log.String(), text) }

func same(t *testing.T, what string, before, after map[string]string) {
	t.Helper()
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("%s changed the device:\n%s", what, diff)
	}
}
