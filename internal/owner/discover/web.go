package discover

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/protocol/authlogin"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/webassistant"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

// Web looks at the pages that a NAS serves, reading only what it shows to
// everyone: at the addresses that were typed, which may be where no broadcast
// reaches, and at a device that is said to wait for its set-up.
type Web struct {
	ports   webPorts
	targets []netip.Prefix
	total   int
	asked   atomic.Int64
	sent    atomic.Int64
	onLink  func(netip.Addr) bool

	mu       sync.Mutex
	followed map[netip.Addr]bool
}

// webPorts are where the makers' pages are.
type webPorts struct{ synology, qnap, qnapTLS, native uint16 }

// MaxSubnet bounds how many addresses one subnet of a sweep has: a /16 of IPv4.
const MaxSubnet = 1 << 16

const (
	sweepAhead = 128                  // addresses that are asked at a time
	sweepPause = 4 * time.Millisecond // between two addresses: a router must not notice
	sweepSlack = 6 * time.Second      // for the last of them
)

// NewWeb looks at every address of targets.
func NewWeb(targets ...netip.Prefix) *Web {
	w := &Web{
		ports: webPorts{synology: 5000, qnap: 8080, qnapTLS: 443, native: 5001}, targets: targets,
		onLink: ours(interfaces()), followed: map[netip.Addr]bool{},
	}
	for _, t := range targets {
		w.total += 1 << (t.Addr().BitLen() - t.Bits())
	}
	return w
}

// Name is "web".
func (*Web) Name() string { return "web" }

// Sent is how many connections were tried.
func (w *Web) Sent() int { return int(w.sent.Load()) }

// Takes is how long asking every address takes at most.
func (w *Web) Takes() time.Duration {
	if w.total == 0 {
		return 0
	}
	return time.Duration(w.total)*max(sweepPause, dialTime/sweepAhead) + sweepSlack
}

// Notices tells where the time did not do for all addresses.
func (w *Web) Notices() []catalog.Problem {
	if n := int(w.asked.Load()); n < w.total {
		return []catalog.Problem{catalog.New("sweep_cut", n, w.total)}
	}
	return nil
}

// Find asks every address once, and ends when all have answered or not.
func (w *Web) Find(ctx context.Context, out chan<- Sighting) error {
	var asking sync.WaitGroup
	defer asking.Wait()
	places := make(chan struct{}, sweepAhead)
	pace := time.NewTicker(sweepPause)
	defer pace.Stop()
	for _, t := range w.targets {
		for a := t.Masked().Addr(); t.Contains(a); a = a.Next() {
			select {
			case places <- struct{}{}:
			case <-ctx.Done():
				return nil
			}
			asking.Go(func() {
				defer func() { <-places }()
				if w.look(ctx, a, out); ctx.Err() == nil {
					w.asked.Add(1)
				}
			})
			select {
			case <-pace.C:
			case <-ctx.Done():
				return nil
			}
		}
	}
	return nil
}

// look asks one address on all ports at once.
func (w *Web) look(ctx context.Context, a netip.Addr, out chan<- Sighting) {
	var asking sync.WaitGroup
	for _, ask := range []func(context.Context, netip.Addr) (Sighting, bool){w.synology, w.qnap, w.qnapTLS, w.native} {
		asking.Go(func() {
			if s, ok := ask(ctx, a); ok {
				give(ctx, out, s)
			}
		})
	}
	asking.Wait()
}

// Follow reads the state of a device that waits for its set-up, once for each
// address, and only on our own networks: a forged answer sends this program
// nowhere else.
func (w *Web) Follow(ctx context.Context, s Sighting, out chan<- Sighting) {
	switch s.Status {
	case nas.NotInstalled, nas.ConfigurationLost, nas.Recoverable, nas.Migratable, nas.Installing:
	default:
		return
	}
	if s.Source == w.Name() || s.Vendor != "Synology" || !w.onLink(s.From) || !w.first(s.From) {
		return
	}
	if found, ok := w.installer(ctx, s.From); ok {
		give(ctx, out, found)
	}
}

func (w *Web) first(a netip.Addr) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := w.followed[a]
	w.followed[a] = true
	return !seen
}

// open reports whether anybody listens there, which costs less than a request.
func (w *Web) open(ctx context.Context, a netip.Addr, port uint16) bool {
	w.sent.Add(1)
	d := net.Dialer{Timeout: dialTime}
	c, err := d.DialContext(ctx, "tcp", netip.AddrPortFrom(a, port).String())
	if err != nil {
		return false
	}
	c.Close()
	return true
}

func (w *Web) read(ctx context.Context, scheme string, a netip.Addr, port uint16, path string) ([]byte, error) {
	host := a.String()
	if a.Is6() {
		host = "[" + a.WithZone("").String() + "]"
		if a.Zone() != "" {
			host = "[" + a.WithZone("").String() + "%25" + a.Zone() + "]"
		}
	}
	return fetch(ctx, plainClient(a), scheme+"://"+host+":"+strconv.Itoa(int(port))+path, webassistant.MaxSize)
}

// seenAt begins a sighting of a page.
func (w *Web) seenAt(a netip.Addr, vendor string) Sighting {
	return Sighting{Source: w.Name(), From: a, Addresses: []netip.Addr{a}, Vendor: vendor, Status: nas.Unknown}
}

func (w *Web) synology(ctx context.Context, a netip.Addr) (Sighting, bool) {
	if !w.open(ctx, a, w.ports.synology) {
		return Sighting{}, false
	}
	if s, ok := w.installer(ctx, a); ok {
		return s, true
	}
	// What DSM answers to everyone once it runs (vendors/synology.md §3.3).
	b, err := w.read(ctx, "http", a, w.ports.synology, "/webapi/entry.cgi?api=SYNO.API.Info&version=1&method=query&query=SYNO.API.Auth")
	if err != nil || !bytes.Contains(b, []byte(`"SYNO.API.Auth"`)) || !json.Valid(b) {
		return Sighting{}, false
	}
	s := w.seenAt(a, "Synology")
	s.HTTPPort, s.Status, s.Guessed = int(w.ports.synology), nas.Ready, true
	return s, true
}

// installer reads the state that a device without an operating system gives.
func (w *Web) installer(ctx context.Context, a netip.Addr) (Sighting, bool) {
	w.sent.Add(1)
	b, err := w.read(ctx, "http", a, w.ports.synology, webassistant.Path)
	if err != nil {
		return Sighting{}, false
	}
	state, err := webassistant.Parse(b)
	if err != nil {
		return Sighting{}, false
	}
	s := w.seenAt(a, "Synology")
	s.Name, s.Model, s.Serial, s.Version, s.Build = state.Name, state.Model, state.Serial, state.Version, state.Build
	s.HTTPPort, s.HTTPSPort, s.Status = int(w.ports.synology), int(state.HTTPSPort), state.Status()
	if state.MAC != "" {
		s.MACs = []string{state.MAC}
	}
	return s, true
}

func (w *Web) qnap(ctx context.Context, a netip.Addr) (Sighting, bool) {
	return w.askQNAP(ctx, "http", a, w.ports.qnap)
}

func (w *Web) qnapTLS(ctx context.Context, a netip.Addr) (Sighting, bool) {
	return w.askQNAP(ctx, "https", a, w.ports.qnapTLS)
}

func (w *Web) askQNAP(ctx context.Context, scheme string, a netip.Addr, port uint16) (Sighting, bool) {
	if !w.open(ctx, a, port) {
		return Sighting{}, false
	}
	b, err := w.read(ctx, scheme, a, port, authlogin.Path)
	if err != nil {
		return Sighting{}, false
	}
	i, err := authlogin.Parse(b)
	if err != nil {
		return Sighting{}, false
	}
	s := w.seenAt(a, "QNAP")
	s.Name, s.Model, s.Version, s.Build = i.Name, i.Model, i.Version, i.Build
	s.HTTPPort, s.HTTPSPort = int(i.HTTPPort), int(i.HTTPSPort)
	s.Status, s.Guessed = i.Status()
	return s, true
}

// native reads what one of our own devices tells everyone. The key id is a hint
// like the rest: nothing was proved.
func (w *Web) native(ctx context.Context, a netip.Addr) (Sighting, bool) {
	if !w.open(ctx, a, w.ports.native) {
		return Sighting{}, false
	}
	b, err := w.read(ctx, "https", a, w.ports.native, deviceapi.PathDevice)
	if err != nil {
		return Sighting{}, false
	}
	var d deviceapi.Device
	if json.Unmarshal(b, &d) != nil || d.KeyID == "" || d.Vendor != "Paperclip" {
		return Sighting{}, false
	}
	s := w.seenAt(a, "Paperclip")
	s.Name, s.Model, s.KeyID = printable.Clean(d.Name), printable.Clean(d.Model), printable.Clean(d.KeyID)
	s.Claim, s.HTTPSPort = &d.Claim.Open, int(w.ports.native)
	s.Status = d.State()
	return s, true
}
