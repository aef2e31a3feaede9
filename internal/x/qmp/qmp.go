// Package qmp is a client of QEMU's machine protocol: one JSON object a line each way over a Unix
// socket, a greeting first. It runs commands one at a time and knows the few that our tests need:
// keys held down and let go, snapshots by the human monitor, a byte of an I/O port.
//
// It never starts QEMU, never keeps events, and never retries: an error is the caller's to judge.
package qmp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Error is a command that QEMU refused.
type Error struct {
	Command, Class, Description string
}

func (e *Error) Error() string {
	return fmt.Sprintf("qmp: %s: %s (%s)", e.Command, e.Description, e.Class)
}

// Client is one connection to one machine. Its methods may be called from several goroutines; the
// commands then run one after the other.
type Client struct {
	mu      sync.Mutex
	conn    net.Conn
	decoder *json.Decoder
	encoder *json.Encoder
}

// Dial connects to the Unix socket at path and leaves the greeting behind.
func Dial(ctx context.Context, path string) (*Client, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	c, err := New(ctx, conn)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return c, nil
}

// New speaks over a connection that is already there; the client owns it from then on, if err is nil.
func New(ctx context.Context, conn net.Conn) (*Client, error) {
	c := &Client{conn: conn, decoder: json.NewDecoder(conn), encoder: json.NewEncoder(conn)}
	defer c.bound(ctx)()
	var greeting struct {
		QMP json.RawMessage `json:"QMP"`
	}
	if err := c.decoder.Decode(&greeting); err != nil {
		return nil, fmt.Errorf("qmp: greeting: %w", err)
	}
	if greeting.QMP == nil {
		return nil, errors.New("qmp: the other end is not QEMU: no greeting")
	}
	return c, c.exchange("qmp_capabilities", nil, nil)
}

// Close ends the connection; the machine runs on.
func (c *Client) Close() error { return c.conn.Close() }

// Do runs one command. args and out may be nil; out is filled from the answer's "return".
// After an error that is no *Error the connection is of no more use.
func (c *Client) Do(ctx context.Context, command string, args, out any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.bound(ctx)()
	return c.exchange(command, args, out)
}

// bound makes reads and writes end with ctx; the function it returns ends that.
func (c *Client) bound(ctx context.Context) func() {
	stop := context.AfterFunc(ctx, func() {
		// A deadline on an open socket only fails when the socket is gone, and then reads fail too.
		_ = c.conn.SetDeadline(time.Unix(1, 0))
	})
	return func() { stop() }
}

func (c *Client) exchange(command string, args, out any) error {
	request := struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
	}{command, args}
	if err := c.encoder.Encode(request); err != nil {
		return fmt.Errorf("qmp: %s: %w", command, err)
	}
	for {
		var answer struct {
			Return json.RawMessage `json:"return"`
			Event  string          `json:"event"`
			Error  *struct {
				Class string `json:"class"`
				Desc  string `json:"desc"`
			} `json:"error"`
		}
		if err := c.decoder.Decode(&answer); err != nil {
			return fmt.Errorf("qmp: %s: %w", command, err)
		}
		switch {
		case answer.Event != "":
		case answer.Error != nil:
			return &Error{Command: command, Class: answer.Error.Class, Description: answer.Error.Desc}
		case out != nil:
			return json.Unmarshal(answer.Return, out)
		default:
			return nil
		}
	}
}

// Monitor runs a command of the human monitor, such as "savevm ready", and returns what it printed.
// The monitor has no error of its own: what it printed must be judged.
func (c *Client) Monitor(ctx context.Context, line string) (string, error) {
	var printed string
	err := c.Do(ctx, "human-monitor-command", map[string]string{"command-line": line}, &printed)
	return printed, err
}

// Key presses (down) or lets go of one key, by QEMU's name for it ("f12").
func (c *Client) Key(ctx context.Context, name string, down bool) error {
	type value struct {
		Type string `json:"type"`
		Data any    `json:"data"`
	}
	key := map[string]any{"down": down, "key": value{"qcode", name}}
	return c.Do(ctx, "input-send-event", map[string]any{"events": []value{{"key", key}}}, nil)
}

// Port reads one byte of the machine's I/O port space.
func (c *Client) Port(ctx context.Context, port uint16) (byte, error) {
	printed, err := c.Monitor(ctx, fmt.Sprintf("i /b 0x%x", port))
	if err != nil {
		return 0, err
	}
	// "portb[0x0061] = 0x21"
	_, number, found := strings.Cut(strings.TrimSpace(printed), "= ")
	if !found {
		return 0, fmt.Errorf("qmp: no byte of port 0x%x in %q", port, printed)
	}
	v, err := strconv.ParseUint(number, 0, 8)
	if err != nil {
		return 0, fmt.Errorf("qmp: no byte of port 0x%x in %q", port, printed)
	}
	return byte(v), nil
}
