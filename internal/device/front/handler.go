package front

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/web"
)

// callTimeout is how long core may take for one call.
const callTimeout = 20 * time.Second

// bounds keep a flood from core: how fast one source may ask, how many of its
// requests may be under way, and how many of all may be with core at once.
// Those that wait for a place are few, since connections are bounded.
type bounds struct {
	rate  *limiter
	each  *gate
	slots chan struct{}
}

func newBounds(r rate, each, slots int, now func() time.Duration) bounds {
	return bounds{newLimiter(r, now), newGate(maxConnections, each), make(chan struct{}, slots)}
}

// handler is front's one http.Handler, without the guard around it.
type handler struct {
	front  *Front
	table  []route
	bounds map[load]bounds
	cross  *http.CrossOriginProtection
}

func newHandler(f *Front, table []route) http.Handler {
	now := f.cfg.Clock.Monotonic
	h := &handler{front: f, table: table, cross: http.NewCrossOriginProtection(), bounds: map[load]bounds{
		loadRead:   newBounds(rate{perSecond: 20, burst: 60}, 4, corewire.MaxInFlight/4, now),
		loadClaim:  newBounds(rate{perSecond: 20, burst: 60}, 2, corewire.MaxInFlight/2, now),
		loadSignIn: newBounds(rate{perSecond: 1, burst: 10}, 1, 2, now),
	}}
	return web.Secure(h)
}

// ServeHTTP finds the route, asks its policy, and answers.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := h.visitor(r)
	if v.leaf != nil && !bytes.Equal(v.leaf, h.front.leaf()) {
		w.Header().Set("Connection", "close") // it began with a key that was replaced
	}
	err := h.answer(w, r, v)
	if err == nil {
		return
	}
	p := problemOf(err)
	h.front.log.Debug("refused", "source", v.source, "problem", p.ID)
	h.sendProblem(w, r, p)
}

func (h *handler) answer(w http.ResponseWriter, r *http.Request, v visitor) error {
	route, err := h.admit(w, r, v)
	if err != nil {
		return err
	}
	ctx, leave, err := h.enter(r.Context(), route.load, v.source)
	if err != nil {
		return err
	}
	defer leave()
	if err := h.stillClosed(ctx, route, v); err != nil {
		return err
	}
	return route.answer(h.front, w, r.WithContext(ctx), v)
}

// admit finds the route and asks its policy; only whether a claim is open is
// left to be asked of core.
func (h *handler) admit(w http.ResponseWriter, r *http.Request, v visitor) (route, error) {
	if !v.local() {
		return route{}, catalog.New("local_only")
	}
	view := h.front.view.Load()
	if !web.KnownHost(r.Host, hostNames(view.device)...) {
		return route{}, catalog.New("unknown_host")
	}
	route, problem, allow := find(h.table, r.Method, r.RequestURI)
	if allow != "" {
		w.Header().Set("Allow", allow)
	}
	if problem == "" {
		problem = route.refuse(v, view.state.Claim.Open)
	}
	if problem != "" && problem != "claim_closed" {
		return route, catalog.New(problem)
	}
	if h.cross.Check(r) != nil {
		return route, catalog.New("cross_site")
	}
	return route, nil
}

// enter takes a place within the bounds of a load, until leave.
func (h *handler) enter(ctx context.Context, l load, source netip.Addr) (_ context.Context, leave func(), err error) {
	b, ok := h.bounds[l]
	if !ok || !b.rate.allow(source) || !b.each.enter(source) {
		return nil, nil, catalog.New("too_fast")
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	select {
	case b.slots <- struct{}{}:
	case <-ctx.Done():
		cancel()
		b.each.leave(source)
		return nil, nil, catalog.New("too_fast")
	}
	return ctx, func() {
		<-b.slots
		cancel()
		b.each.leave(source)
	}, nil
}

// stillClosed refuses what only an open claim allows. Where none is known to be
// open it asks core: the news of one may still be on its way.
func (h *handler) stillClosed(ctx context.Context, r route, v visitor) error {
	if r.refuse(v, h.front.view.Load().state.Claim.Open) == "" {
		return nil
	}
	d, err := h.front.device(ctx)
	if err != nil {
		return err
	}
	if problem := r.refuse(v, d.Claim.Open); problem != "" {
		return catalog.New(problem)
	}
	return nil
}

// visitor reads the connection, and nothing that a header says.
func (h *handler) visitor(r *http.Request) visitor {
	v := visitor{tls: r.TLS != nil, leaf: leafOf(r.Context())}
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return v
	}
	remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
	v.source = remote.Addr()
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		local := addrPort(a)
		v.onLink = local.IsValid() && h.front.cfg.OnLink(local, remote)
	}
	return v
}

// problemOf is what a caller is told of an error.
func problemOf(err error) catalog.Problem {
	p, ok := errors.AsType[catalog.Problem](err)
	switch {
	case ok:
		return p
	case errors.Is(err, corewire.ErrClosed), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return catalog.New("core_unreachable")
	default:
		return catalog.New("internal")
	}
}

// sendProblem answers with JSON, which the interface speaks, or with plain text
// where a person's browser asked.
func (h *handler) sendProblem(w http.ResponseWriter, r *http.Request, p catalog.Problem) {
	status := statusOf(p)
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	if !strings.HasPrefix(r.RequestURI, "/api/") {
		http.Error(w, p.Error(), status)
		return
	}
	sendJSON(w, status, deviceapi.ErrorReply{Problem: p})
}

func sendJSON(w http.ResponseWriter, status int, body any) {
	data, err := deviceapi.Encode(body)
	if err != nil {
		http.Error(w, "this answer cannot be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", deviceapi.ContentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	_, _ = w.Write(data)
}

// leaf is the TLS key that new connections begin with.
func (f *Front) leaf() []byte {
	if c := f.cert.Load(); c != nil {
		return c.spki
	}
	return nil
}
