package front

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/protocol/announce"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/identity"
)

// visitorClient is a client that takes any certificate, and keeps connections.
func visitorClient(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// post sends v, passwords included, and returns status and body.
func post(t *testing.T, c *http.Client, at netip.AddrPort, path string, v any) (int, string) {
	t.Helper()
	body, err := deviceapi.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Post("https://"+at.String()+path, deviceapi.ContentType, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	answer, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(answer)
}

func get(t *testing.T, c *http.Client, url string) (int, string, http.Header) {
	t.Helper()
	r, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(body), r.Header
}

// Promise 6: the connection shows the device's identity, and the claim hears of
// the very TLS key that the visitor sees.
func TestTheChainIsTheDevices(t *testing.T) {
	core := newFakeCore(t, true)
	f := start(t, core, nil)
	_, at := f.Addresses()
	conn, err := tls.Dial("tcp", at.String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	var raw [][]byte
	for _, c := range conn.ConnectionState().PeerCertificates {
		raw = append(raw, c.Raw)
	}
	_ = conn.Close()
	pub, spki, err := identity.VerifyChain(raw, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if !pub.Equal(core.key.Public().(ed25519.PublicKey)) {
		t.Error("another identity")
	}
	if status, body := post(t, visitorClient(t), at, deviceapi.PathClaimSession, deviceapi.SessionRequest{}); status != 200 {
		t.Fatalf("session: %d %s", status, body)
	}
	q := core.got()[0].(corewire.ClaimSessionRequest)
	if !bytes.Equal(q.LeafSPKI, spki) || q.Source != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("core heard of source %s and another TLS key", q.Source)
	}
	if conn, err := tls.Dial("tcp", at.String(), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}); err == nil {
		_ = conn.Close()
		t.Error("TLS 1.2 is taken")
	}
}

// Every step goes to core as it came and comes back as core gave it.
func TestRelays(t *testing.T) {
	core := newFakeCore(t, true)
	f := start(t, core, nil)
	_, at := f.Addresses()
	c := visitorClient(t)
	for _, step := range []struct {
		path   string
		body   any
		status int
		answer string
	}{
		{deviceapi.PathClaimSession, deviceapi.SessionRequest{}, 200, `"session":"s1"`},
		{deviceapi.PathClaimPake, deviceapi.PakeRequest{Session: "s1", Share: []byte("A")}, 200, `"tries_left":4`},
		{deviceapi.PathClaimConfirm, deviceapi.ConfirmRequest{Session: "s1", Confirm: []byte("x")}, 403, `"id":"wrong_code"`},
		{deviceapi.PathClaimSealed, deviceapi.SealedRequest{Session: "s1", Box: []byte("box")}, 200, `"box":"Ym94"`},
		{deviceapi.PathSignIn, deviceapi.SignInRequest{User: "anna", Password: access.NewSecret("right")}, 200, `"administrator":true`},
		{deviceapi.PathOwnerSession, deviceapi.OwnerSessionRequest{Share: []byte("A")}, 200, `"session":"o1"`},
		{deviceapi.PathOwnerSealed, deviceapi.SealedRequest{Session: "o1", Box: []byte("box")}, 200, `"box":"Ym94"`},
	} {
		status, answer := post(t, c, at, step.path, step.body)
		if status != step.status || !strings.Contains(answer, step.answer) {
			t.Errorf("%s: %d %s", step.path, status, answer)
		}
	}
	if n := len(core.got()); n != 7 {
		t.Errorf("%d calls reached core, want 7", n)
	}
	status, body, _ := get(t, c, "https://"+at.String()+deviceapi.PathDevice)
	if status != 200 || !strings.Contains(body, keyID) || strings.Contains(body, "anna") {
		t.Errorf("device: %d %s", status, body)
	}
}

// G: the same bytes for an account that exists and one that does not.
func TestIdenticalAnswers(t *testing.T) {
	f := start(t, newFakeCore(t, false), nil)
	_, at := f.Addresses()
	c := visitorClient(t)
	wrong := access.NewSecret("wrong")
	s1, b1 := post(t, c, at, deviceapi.PathSignIn, deviceapi.SignInRequest{User: "anna", Password: wrong})
	s2, b2 := post(t, c, at, deviceapi.PathSignIn, deviceapi.SignInRequest{User: "nobody-here", Password: wrong})
	if s1 != 403 || s1 != s2 || b1 != b2 {
		t.Errorf("%d %s\n%d %s", s1, b1, s2, b2)
	}
}

// A source that is not on-link is told so, and core never hears of it.
func TestOffLink(t *testing.T) {
	core := newFakeCore(t, true)
	f := start(t, core, func(c *Config) { c.OnLink = nil })
	_, at := f.Addresses()
	c := visitorClient(t)
	for _, path := range []string{deviceapi.PathClaimSession, deviceapi.PathClaimPake, deviceapi.PathClaimConfirm, deviceapi.PathClaimSealed, deviceapi.PathSignIn, deviceapi.PathOwnerSession, deviceapi.PathOwnerSealed} {
		if status, body := post(t, c, at, path, struct{}{}); status != 403 || !strings.Contains(body, `"off_link"`) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if got := core.got(); len(got) != 0 {
		t.Errorf("core heard %v", got)
	}
}

// A claim that has just opened, or was just proved, is so at once, although the
// news of it comes later.
func TestNewsThatIsLate(t *testing.T) {
	core := newFakeCore(t, false)
	f := start(t, core, nil)
	_, at := f.Addresses()
	c := visitorClient(t)
	if status, body := post(t, c, at, deviceapi.PathClaimSession, deviceapi.SessionRequest{}); status != 403 || !strings.Contains(body, "claim_closed") {
		t.Errorf("without a claim: %d %s", status, body)
	}
	core.mu.Lock()
	core.state = stateOf(true) // and no word of it
	core.mu.Unlock()
	if _, body, _ := get(t, c, "https://"+at.String()+deviceapi.PathDevice); !strings.Contains(body, `"open":true`) {
		t.Errorf("the device says %s", body)
	}
	if status, body := post(t, c, at, deviceapi.PathClaimSession, deviceapi.SessionRequest{}); status != 200 {
		t.Errorf("with a claim: %d %s", status, body)
	}
	if n := len(core.got()); n != 1 {
		t.Errorf("core heard of %d claim steps", n)
	}
}

func TestCoreGoesAndComesBack(t *testing.T) {
	core := newFakeCore(t, true)
	up := make(chan struct{}, 1)
	up <- struct{}{}
	f := start(t, core, func(c *Config) {
		c.Dial = func(ctx context.Context) (net.Conn, error) {
			select {
			case <-up:
				return core.Dial(ctx)
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	})
	plainAt, at := f.Addresses()
	c := visitorClient(t)
	before := f.leaf()
	core.hangUp()
	until(t, func() bool { return f.view.Load().client == nil })
	if status, body := post(t, c, at, deviceapi.PathClaimSession, deviceapi.SessionRequest{}); status != 503 || !strings.Contains(body, "core_unreachable") {
		t.Errorf("without core: %d %s", status, body)
	}
	if status, body, _ := get(t, c, "http://"+plainAt.String()+"/"); status != 200 || !strings.Contains(body, "not running just now") {
		t.Errorf("page without core: %d %s", status, body)
	}
	up <- struct{}{}
	until(t, func() bool { return f.view.Load().client != nil })
	if status, _, _ := get(t, c, "https://"+at.String()+deviceapi.PathDevice); status != 200 {
		t.Errorf("device after core came back: %d", status)
	}
	if !bytes.Equal(before, f.leaf()) {
		t.Error("the TLS key changed although connections go on")
	}
}

// While core is away for long that is said once, and it is asked all the same.
func TestCoreIsAwayForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lockedBuffer
		dialled := 0
		f := New(Config{Log: slog.New(slog.NewTextHandler(&log, nil)), Dial: func(context.Context) (net.Conn, error) {
			dialled++
			return nil, errors.New("nobody is there")
		}})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- f.Run(ctx) }()
		time.Sleep(time.Hour)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if n := strings.Count(log.String(), "core is away"); n != 1 || dialled < 500 {
			t.Errorf("said %d times, asked %d times", n, dialled)
		}
	})
}

// until waits for something that another goroutine will do.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("it did not happen")
		}
	}
}

// E3: front listens where core's settings say, and follows them.
func TestPortsChange(t *testing.T) {
	core := newFakeCore(t, false)
	first, second := freePort(t), freePort(t)
	core.state.Ports = corewire.Ports{HTTP: int(first), HTTPS: int(second)}
	log := &lockedBuffer{}
	f := start(t, core, func(c *Config) { c.HTTP, c.HTTPS, c.Log = "", "", slog.New(slog.NewTextHandler(log, nil)) })
	c := visitorClient(t)
	if http, https := f.Addresses(); http.Port() != first || https.Port() != second {
		t.Fatalf("listening on %s and %s", http, https)
	}
	third := freePort(t)
	core.change(func(s *corewire.State) { s.Ports.HTTPS = int(third) })
	until(t, func() bool { _, https := f.Addresses(); return https.Port() == third })
	if status, _, _ := get(t, c, "https://"+netip.AddrPortFrom(netip.IPv6Loopback(), third).String()+deviceapi.PathDevice); status != 200 {
		t.Errorf("on the new port: %d", status)
	}
	// A port that is taken: the old one stays, so a claim under way goes on.
	taken, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	core.change(func(s *corewire.State) { s.Ports.HTTP = int(addrPort(taken.Addr()).Port()); s.Claim.Open = true })
	until(t, func() bool { return strings.Contains(log.String(), "still listening where it did") })
	if http, _ := f.Addresses(); http.Port() != first || !f.view.Load().state.Claim.Open {
		t.Errorf("listening on %s", http)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// freePort is one that nothing listens on, below those that the system gives to
// outgoing connections: there another test could get it meanwhile.
func freePort(t *testing.T) uint16 {
	t.Helper()
	for {
		port := 20000 + rand.IntN(12000)
		ln, err := net.Listen("tcp", ":"+strconv.Itoa(port))
		if err == nil {
			_ = ln.Close()
			return uint16(port)
		}
		if t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
}

func TestPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	f := New(Config{Dial: newFakeCore(t, false).Dial, HTTP: "127.0.0.1:0", HTTPS: taken.Addr().String()})
	err = f.Run(t.Context())
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	if !errors.Is(err, catalog.New("port_in_use")) || !strings.Contains(err.Error(), port) || catalog.ExitOf(err) != catalog.Failed {
		t.Errorf("Run = %v", err)
	}
	if http, _ := f.Addresses(); http.IsValid() {
		t.Error("still listening")
	}
}

// The TLS key is replaced in time, and when the clock jumps, but never under an
// open claim, which is bound to it.
func TestRenewal(t *testing.T) {
	for name, c := range map[string]struct {
		open    bool
		passes  time.Duration
		renewed bool
	}{
		"too early":          {false, 15 * time.Hour, false},
		"in time":            {false, 17 * time.Hour, true},
		"the clock was late": {false, 3 * 365 * 24 * time.Hour, true},
		"the clock was fast": {false, -3 * time.Hour, true},
		"under a claim":      {true, 17 * time.Hour, true},
	} {
		core := newFakeCore(t, c.open)
		clk := &stepClock{looks: make(chan chan time.Time, 1)}
		f := start(t, core, func(c *Config) { c.Clock = clk })
		before := f.leaf()
		clk.pass(c.passes)
		(<-clk.looks) <- time.Time{}
		again := <-clk.looks // it looked, and waits to look again
		again <- time.Time{}
		<-clk.looks // whatever the first look led to is done
		if changed := !bytes.Equal(f.leaf(), before); changed != (c.renewed && !c.open) {
			t.Errorf("%s: the key was replaced: %t", name, changed)
		}
		core.mu.Lock()
		if asked := len(core.leaves); (asked > 1) != c.renewed {
			t.Errorf("%s: core was asked %d times", name, asked)
		}
		core.mu.Unlock()
	}
}

// stepClock stands still until it is moved, and hands out the waits for a look
// around.
type stepClock struct {
	looks chan chan time.Time
	moved atomic.Int64
}

func (c *stepClock) pass(d time.Duration)     { c.moved.Store(int64(d)) }
func (c *stepClock) Now() time.Time           { return time.Now().Add(time.Duration(c.moved.Load())) }
func (c *stepClock) Monotonic() time.Duration { return 0 }
func (c *stepClock) After(d time.Duration) <-chan time.Time {
	ch := make(chan time.Time, 1)
	if d == lookAgain {
		c.looks <- ch
	}
	return ch
}

// A flood of sign-ins: core has at most two at once and few in all, the
// flooder is told to wait, and another kind of request still gets through.
func TestFloodIsBounded(t *testing.T) {
	core := newFakeCore(t, true)
	core.hold = make(chan struct{})
	f := start(t, core, nil)
	_, at := f.Addresses()
	c := visitorClient(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	statuses := map[int]int{}
	for range 30 {
		wg.Go(func() {
			status, _ := post(t, c, at, deviceapi.PathSignIn, deviceapi.SignInRequest{User: "anna", Password: access.NewSecret("x")})
			mu.Lock()
			defer mu.Unlock()
			statuses[status]++
		})
	}
	until(t, func() bool { mu.Lock(); defer mu.Unlock(); return statuses[429] == 29 })
	if status, body := post(t, c, at, deviceapi.PathClaimSession, deviceapi.SessionRequest{}); status != 200 {
		t.Errorf("a claim under the flood: %d %s", status, body)
	}
	close(core.hold)
	wg.Wait()
	if core.mostIn > 2 {
		t.Errorf("%d sign-ins at once with core", core.mostIn)
	}
}

func TestLimiterForgetsTheLongestUnused(t *testing.T) {
	now := time.Duration(0)
	l := newLimiter(rate{perSecond: 1, burst: 2}, func() time.Duration { return now })
	me := netip.MustParseAddr("192.168.1.20")
	allowed := func() (n int) {
		for range 10 {
			if l.allow(me) {
				n++
			}
		}
		return n
	}
	if n := allowed(); n != 2 {
		t.Errorf("a burst of two is %d", n)
	}
	if now = time.Second; allowed() != 1 {
		t.Error("one a second is not one")
	}
	a := netip.MustParseAddr("fd00::")
	for range 10 * maxSources {
		a = a.Next()
		l.allow(a)
		now++
	}
	if len(l.buckets) > maxSources {
		t.Errorf("%d sources are remembered", len(l.buckets))
	}
}

// A connection too many is closed, and a place is free again when one ends.
func TestConnectionsAreBounded(t *testing.T) {
	f := start(t, newFakeCore(t, false), nil)
	at, _ := f.Addresses()
	var conns []net.Conn
	for range maxConnectionsEach {
		c, err := net.Dial("tcp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	answered := func() bool {
		c, err := net.Dial("tcp", at.String())
		if err != nil {
			return false
		}
		defer c.Close()
		_, _ = io.WriteString(c, "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
		answer, _ := io.ReadAll(c)
		return strings.Contains(string(answer), "200 OK")
	}
	if answered() {
		t.Error("one more than allowed is answered")
	}
	_ = conns[0].Close()
	until(t, answered)
}

type heardAnnouncements struct {
	mu   sync.Mutex
	last []Announcement
}

func (h *heardAnnouncements) Set(_ context.Context, a []Announcement) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = a
	return nil
}

func (h *heardAnnouncements) latest() []Announcement {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

// F2: what is announced is name, key id, the NIC's own MAC and the claim, on
// each interface, on the port that is listened on, and follows the state.
func TestAnnounces(t *testing.T) {
	core, heard := newFakeCore(t, false), &heardAnnouncements{}
	f := start(t, core, func(c *Config) {
		c.Announce = heard
		c.Interfaces = func() []corewire.Interface {
			return []corewire.Interface{{Name: "eth0", MAC: "02:11:32:00:00:01"}, {Name: "odd", MAC: "none"}}
		}
	})
	until(t, func() bool { return len(heard.latest()) == 2 })
	_, https := f.Addresses()
	for _, open := range []bool{true, false} {
		core.change(func(s *corewire.State) { s.Claim.Open = open })
		until(t, func() bool {
			n, err := announce.ParseNative(heard.latest()[0].Instance)
			return err == nil && n.Claim == open
		})
	}
	for i, name := range []string{"pclip0", "eth0"} {
		a := heard.latest()[i]
		n, err := announce.ParseNative(a.Instance)
		if err != nil || a.Interface != name || n.Name != "cellar" || n.KeyID != keyID || n.MAC != "02:11:32:00:00:01" || a.Instance.Port != https.Port() {
			t.Errorf("%+v (%v)", a, err)
		}
	}
	core.hangUp()
	until(t, func() bool { return f.view.Load().client != nil })
}
