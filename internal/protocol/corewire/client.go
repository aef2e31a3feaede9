package corewire

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"sync"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/x/strictjson"
)

// ErrClosed is what calls end with when the connection to core is gone.
var ErrClosed = errors.New("corewire: the connection to core is closed")

// Client is front's end of the connection. Its methods are safe for concurrent
// use; more than MaxInFlight calls at once wait for each other. A refusal by
// core is a catalog.Problem.
type Client struct {
	conn   net.Conn
	w      *writer
	slots  chan struct{}
	states chan State // holds the latest that was not taken yet
	done   chan struct{}

	mu      sync.Mutex
	last    uint64
	pending map[uint64]chan message
	err     error
}

// Dial says hello to core over conn, which is connected already, and takes
// conn over. The context bounds the hello alone.
func Dial(ctx context.Context, conn net.Conn) (*Client, error) {
	c := &Client{
		conn: conn, w: &writer{conn: conn},
		slots: make(chan struct{}, MaxInFlight), states: make(chan State, 1),
		done: make(chan struct{}), pending: map[uint64]chan message{},
	}
	go c.read()
	var theirs hello
	err := c.call(ctx, KindHello, hello{Version: Version}, &theirs)
	if err == nil && theirs.Version != Version {
		err = violation("core speaks another version of this protocol")
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// States gives the latest state of core; one that was not taken in time is
// overtaken by the next. It closes when the connection ends.
func (c *Client) States() <-chan State { return c.states }

// Done closes when the connection has ended; Err then says why.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err is why the connection ended, nil while it has not: ErrClosed, a
// *ProtocolError, or the catalog.Problem with which core closed it.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close ends the connection and waits for its reader.
func (c *Client) Close() {
	_ = c.conn.Close()
	<-c.done
}

// Certify asks core for a certificate chain for front's TLS key.
func (c *Client) Certify(ctx context.Context, q CertifyRequest) (r CertifyReply, err error) {
	err = c.call(ctx, KindCertify, q, &r)
	return r, err
}

// ClaimSession asks for a place in the claim's queue.
func (c *Client) ClaimSession(ctx context.Context, q ClaimSessionRequest) (r deviceapi.SessionReply, err error) {
	err = c.call(ctx, KindClaimSession, q, &r)
	return r, err
}

// ClaimPake passes an assistant's share on.
func (c *Client) ClaimPake(ctx context.Context, q ClaimPakeRequest) (r deviceapi.PakeReply, err error) {
	err = c.call(ctx, KindClaimPake, q, &r)
	return r, err
}

// ClaimConfirm passes an assistant's confirmation on.
func (c *Client) ClaimConfirm(ctx context.Context, q ClaimConfirmRequest) (r deviceapi.ConfirmReply, err error) {
	err = c.call(ctx, KindClaimConfirm, q, &r)
	return r, err
}

// ClaimSealed passes a sealed call on.
func (c *Client) ClaimSealed(ctx context.Context, q ClaimSealedRequest) (r deviceapi.SealedReply, err error) {
	err = c.call(ctx, KindClaimSealed, q, &r)
	return r, err
}

// SignIn asks whether a name and password open this device.
func (c *Client) SignIn(ctx context.Context, q SignInRequest) (r deviceapi.SignInReply, err error) {
	body, err := q.encode()
	if err != nil {
		return r, err
	}
	err = c.call(ctx, KindSignIn, json.RawMessage(body), &r)
	return r, err
}

// OwnerSession begins an owner's conversation.
func (c *Client) OwnerSession(ctx context.Context, q OwnerSessionRequest) (r deviceapi.OwnerSessionReply, err error) {
	err = c.call(ctx, KindOwnerSession, q, &r)
	return r, err
}

// OwnerSealed passes a sealed call of an owner on.
func (c *Client) OwnerSealed(ctx context.Context, q OwnerSealedRequest) (r deviceapi.SealedReply, err error) {
	err = c.call(ctx, KindOwnerSealed, q, &r)
	return r, err
}

// Read reads one thing into v.
func (c *Client) Read(ctx context.Context, what What, v any) error {
	return c.call(ctx, KindRead, ReadRequest{What: what}, v)
}

// call sends a request and waits for its answer.
func (c *Client) call(ctx context.Context, k Kind, body, reply any) error {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return ctx.Err()
	case <-c.done:
		return c.Err()
	}
	id, answer, err := c.expect()
	if err != nil {
		return err
	}
	defer c.forget(id)
	if err := c.w.send(id, k, body); err != nil {
		if errors.Is(err, errUnsendable) {
			return err // nothing was written: the connection is as it was
		}
		_ = c.conn.Close()
		<-c.done
		return c.Err()
	}
	select {
	case m := <-answer:
		return decode(m, reply)
	case <-ctx.Done():
		return ctx.Err()
	case <-c.done:
		return c.Err()
	}
}

func decode(m message, reply any) error {
	if m.Kind == kindResult {
		return strictjson.Unmarshal(m.Body, reply)
	}
	var p catalog.Problem
	if err := strictjson.Unmarshal(m.Body, &p); err != nil {
		return err
	}
	return p
}

// expect registers a new id.
func (c *Client) expect() (uint64, <-chan message, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, nil, c.err
	}
	c.last++
	answer := make(chan message, 1)
	c.pending[c.last] = answer
	return c.last, answer, nil
}

func (c *Client) forget(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, id)
}

// read takes messages until the connection ends.
func (c *Client) read() {
	err := c.readAll()
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, io.ErrClosedPipe} {
		if errors.Is(err, end) {
			err = ErrClosed
		}
	}
	_ = c.conn.Close()
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
	close(c.states)
	close(c.done)
}

func (c *Client) readAll() error {
	for {
		m, err := readMessage(c.conn)
		if err != nil {
			return err
		}
		switch m.Kind {
		case kindState:
			var s State
			if err := strictjson.Unmarshal(m.Body, &s); err != nil {
				return violation("a state that cannot be read: " + err.Error())
			}
			c.publish(s)
		case kindResult, kindProblem:
			c.resolve(m)
		case kindClose:
			return decode(m, nil)
		default:
			return violation("a message of a kind that is not known here")
		}
	}
}

// publish replaces a state that was not taken yet. Only the reader calls it.
func (c *Client) publish(s State) {
	select {
	case <-c.states:
	default:
	}
	c.states <- s
}

// resolve hands an answer to its call; one that nobody waits for any more is
// dropped.
func (c *Client) resolve(m message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if answer, ok := c.pending[m.ID]; ok {
		delete(c.pending, m.ID)
		answer <- m
	}
}
