package corewire

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/x/strictjson"
)

// Handler is core as front sees it. Its methods are called concurrently, at
// most MaxInFlight at once, with a context that ends with the connection. An
// error that is or wraps a catalog.Problem is sent as that problem; any other
// as the problem "internal", without its text.
type Handler interface {
	Certify(context.Context, CertifyRequest) (CertifyReply, error)
	ClaimSession(context.Context, ClaimSessionRequest) (deviceapi.SessionReply, error)
	ClaimPake(context.Context, ClaimPakeRequest) (deviceapi.PakeReply, error)
	ClaimConfirm(context.Context, ClaimConfirmRequest) (deviceapi.ConfirmReply, error)
	ClaimSealed(context.Context, ClaimSealedRequest) (deviceapi.SealedReply, error)
	SignIn(context.Context, SignInRequest) (deviceapi.SignInReply, error)
	OwnerSession(context.Context, OwnerSessionRequest) (deviceapi.OwnerSessionReply, error)
	OwnerSealed(context.Context, OwnerSealedRequest) (deviceapi.SealedReply, error)
	// Read returns an object to be marshalled.
	Read(context.Context, ReadRequest) (any, error)
	// States sends the present state at once and again after each change. It
	// may leave out states that were overtaken. It stops when the context ends
	// and may close the channel then.
	States(context.Context) <-chan State
}

// helloTimeout is how long a new connection may take to say hello.
const helloTimeout = 10 * time.Second

// Serve answers one front until the connection or the context ends, and closes
// the connection. It returns after the last call to h has returned: nil when
// front left, a *ProtocolError when it broke the protocol, the context's error,
// or that of the connection (io.ErrUnexpectedEOF when it ended inside a frame).
func Serve(ctx context.Context, conn net.Conn, h Handler) error {
	outer := ctx
	ctx, cancel := context.WithCancel(ctx)
	s := &server{w: &writer{conn: conn}, conn: conn, h: h, busy: map[uint64]bool{}, slots: make(chan struct{}, MaxInFlight), cancel: cancel}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	err := s.run(ctx)
	if broken, ok := errors.AsType[*ProtocolError](err); ok {
		_ = s.w.send(0, kindClose, catalog.New("bad_message", broken.Reason))
	}
	cancel()
	s.calls.Wait()
	stop()
	_ = conn.Close()
	if outer.Err() != nil {
		return outer.Err()
	}
	if s.failed() != nil {
		return s.failed()
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

type server struct {
	conn   net.Conn
	w      *writer
	h      Handler
	slots  chan struct{} // a token for each call under way
	calls  sync.WaitGroup
	cancel context.CancelFunc

	mu   sync.Mutex
	busy map[uint64]bool // ids of the calls under way
	err  error           // the first that a call met while writing
}

// run reads until something is wrong.
func (s *server) run(ctx context.Context) error {
	if err := s.hello(); err != nil {
		return err
	}
	s.calls.Go(func() { s.pushStates(ctx) })
	for {
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		m, err := readMessage(s.conn)
		if err != nil {
			return err
		}
		call, err := s.parse(m)
		if err != nil {
			return err
		}
		s.calls.Go(func() {
			s.answer(ctx, m.ID, call)
			<-s.slots
		})
	}
}

// hello takes the first message, which must be of this version.
func (s *server) hello() error {
	_ = s.conn.SetReadDeadline(time.Now().Add(helloTimeout))
	m, err := readMessage(s.conn)
	if err != nil {
		return err
	}
	var theirs hello
	if m.Kind != KindHello || strictjson.Unmarshal(m.Body, &theirs) != nil {
		return violation("the first message is not hello")
	}
	if theirs.Version != Version {
		return violation("front speaks another version of this protocol")
	}
	_ = s.conn.SetReadDeadline(time.Time{})
	return s.w.send(m.ID, kindResult, hello{Version: Version})
}

// call is a request that was understood and waits to be carried out.
type call func(context.Context) (any, error)

// parse understands a request wholly before anything is done for it.
func (s *server) parse(m message) (call, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.ID == 0 || s.busy[m.ID] {
		return nil, violation("a request without an id of its own")
	}
	c, err := parseCall(s.h, m)
	if err != nil {
		return nil, err
	}
	s.busy[m.ID] = true
	return c, nil
}

func parseCall(h Handler, m message) (call, error) {
	switch m.Kind {
	case KindCertify:
		return bind(m.Body, h.Certify)
	case KindClaimSession:
		return bind(m.Body, h.ClaimSession)
	case KindClaimPake:
		return bind(m.Body, h.ClaimPake)
	case KindClaimConfirm:
		return bind(m.Body, h.ClaimConfirm)
	case KindClaimSealed:
		return bind(m.Body, h.ClaimSealed)
	case KindSignIn:
		return bind(m.Body, h.SignIn)
	case KindOwnerSession:
		return bind(m.Body, h.OwnerSession)
	case KindOwnerSealed:
		return bind(m.Body, h.OwnerSealed)
	case KindRead:
		return bind(m.Body, h.Read)
	case KindReset:
		if console, ok := h.(Console); ok {
			return bind(m.Body, console.Reset)
		}
	case KindCodes:
		if console, ok := h.(Console); ok {
			return bind(m.Body, console.GiveCodes)
		}
	case KindForgetOwner:
		if console, ok := h.(Console); ok {
			return bind(m.Body, console.ForgetOwner)
		}
	case KindLabel:
		if console, ok := h.(Console); ok {
			return bind(m.Body, console.SetLabel)
		}
	case KindRestore:
		if console, ok := h.(Console); ok {
			return bind(m.Body, console.Restore)
		}
	case KindRefuse:
		if console, ok := h.(Console); ok {
			return bind(m.Body, console.Refuse)
		}
	}
	return nil, violation("a request of a kind that is not known here")
}

// bind reads a request's body for the method that takes it.
func bind[Q, R any](body json.RawMessage, method func(context.Context, Q) (R, error)) (call, error) {
	var q Q
	if err := strictjson.Unmarshal(body, &q); err != nil {
		return nil, violation("a request that cannot be read: " + err.Error())
	}
	return func(ctx context.Context) (any, error) { return method(ctx, q) }, nil
}

// answer carries a request out and sends what came of it.
func (s *server) answer(ctx context.Context, id uint64, c call) {
	result, err := c(ctx)
	s.mu.Lock()
	delete(s.busy, id)
	s.mu.Unlock()
	switch {
	case ctx.Err() != nil: // the connection is over, and err may only say so
	case err == nil:
		s.deliver(ctx, id, kindResult, result)
	default:
		s.deliver(ctx, id, kindProblem, catalog.AsProblem(err))
	}
}

func (s *server) pushStates(ctx context.Context) {
	states := s.h.States(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case state, ok := <-states:
			if !ok {
				return
			}
			s.deliver(ctx, 0, kindState, state)
		}
	}
}

// deliver sends; where it cannot, the connection is of no more use. A result
// that is too large is core's own mistake and becomes the problem "internal".
func (s *server) deliver(ctx context.Context, id uint64, k Kind, body any) {
	err := s.w.send(id, k, body)
	if errors.Is(err, errUnsendable) && k == kindResult {
		err = s.w.send(id, kindProblem, catalog.New("internal"))
	}
	if err == nil || ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.mu.Unlock()
	s.cancel()
}

func (s *server) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
