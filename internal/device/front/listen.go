package front

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
)

// The two schemes, in the order in which they are set up.
const (
	plain  = 0
	secure = 1
)

const (
	maxConnections     = 256 // a scheme
	maxConnectionsEach = 32  // a source
	maxHeader          = 8 << 10
	shutdownTimeout    = 3 * time.Second
)

// server is one listener with what answers on it.
type server struct {
	want string // the address that it was asked to listen on
	ln   net.Listener
	http *http.Server
}

func (s *server) address() netip.AddrPort {
	if s == nil {
		return netip.AddrPort{}
	}
	return addrPort(s.ln.Addr())
}

// listen makes both schemes listen where they should. The new listener is there
// before the old one goes.
func (f *Front) listen(p corewire.Ports) error {
	wants := [2]string{plain: f.cfg.HTTP, secure: f.cfg.HTTPS}
	for scheme, port := range [2]int{plain: p.HTTP, secure: p.HTTPS} {
		if wants[scheme] == "" && port > 0 {
			wants[scheme] = ":" + strconv.Itoa(port)
		}
		if err := f.listenOn(scheme, wants[scheme]); err != nil {
			return err
		}
	}
	return nil
}

func (f *Front) listenOn(scheme int, want string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.serving[scheme]
	if old == nil && want == "" || old != nil && old.want == want {
		return nil
	}
	var now *server
	if want != "" {
		ln, err := net.Listen("tcp", want)
		if err != nil {
			return portProblem(want, err)
		}
		now = f.serve(scheme, want, ln)
		f.log.Info("listening", "address", ln.Addr().String(), "tls", scheme == secure)
	}
	f.serving[scheme] = now
	if old != nil {
		f.stopping.Go(old.stop)
	}
	return nil
}

func portProblem(want string, err error) error {
	_, port, _ := net.SplitHostPort(want)
	if errors.Is(err, syscall.EADDRINUSE) {
		return catalog.New("port_in_use", port).Because(err)
	}
	return err
}

// serve answers on ln until the server is stopped.
func (f *Front) serve(scheme int, want string, ln net.Listener) *server {
	s := &server{want: want, ln: ln, http: &http.Server{
		Handler:           f.handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      callTimeout + 10*time.Second,
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(f.log.Handler(), slog.LevelDebug),
		ConnContext:       withLeaf,
	}}
	bounded := &listener{Listener: ln, gate: newGate(maxConnections, maxConnectionsEach)}
	if scheme == secure {
		bounded.certificate = f.cert.Load
	}
	f.stopping.Go(func() { _ = s.http.Serve(bounded) })
	return s
}

// stop lets the requests under way end.
func (s *server) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close()
	}
}

// shutdown ends both listeners and waits for them.
func (f *Front) shutdown() {
	f.mu.Lock()
	for scheme, s := range f.serving {
		if s != nil {
			f.stopping.Go(s.stop)
		}
		f.serving[scheme] = nil
	}
	f.mu.Unlock()
	f.stopping.Wait()
}

// listener bounds the connections, and puts TLS on them where it has a
// certificate.
type listener struct {
	net.Listener
	gate        *gate
	certificate func() *certificate // nil for plain HTTP
}

// Accept closes what is too much without a word.
func (l *listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		source := addrPort(raw.RemoteAddr()).Addr()
		if !l.gate.enter(source) {
			_ = raw.Close()
			continue
		}
		c := &conn{Conn: raw, leave: func() { l.gate.leave(source) }}
		if l.certificate == nil {
			return c, nil
		}
		certificate := l.certificate()
		c.leaf = certificate.spki
		return tls.Server(c, certificate.config()), nil
	}
}

// conn is an accepted connection.
type conn struct {
	net.Conn
	leaf  []byte // the TLS key that it was begun with
	leave func()
	once  sync.Once
}

func (c *conn) Close() error {
	c.once.Do(c.leave)
	return c.Conn.Close()
}

type leafKey struct{}

// withLeaf lets a request know the TLS key of its connection.
func withLeaf(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		if own, ok := t.NetConn().(*conn); ok {
			return context.WithValue(ctx, leafKey{}, own.leaf)
		}
	}
	return ctx
}

func leafOf(ctx context.Context) []byte {
	leaf, _ := ctx.Value(leafKey{}).([]byte)
	return leaf
}

// addrPort reads a TCP address, IPv4 as IPv4 even where it came over an IPv6
// socket. What is none is the zero value, which no policy lets in.
func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
