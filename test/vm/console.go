//go:build linux

package vm

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// Console is a keyboard and a screen on the machine's serial line.
type Console struct {
	conn net.Conn

	mu     sync.Mutex
	screen strings.Builder
	seen   int // how much of it was waited for already
}

func dialConsole(ctx context.Context, path string) (*Console, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	c := &Console{conn: conn}
	go c.read()
	return c, nil
}

// Console connects a keyboard and a screen.
func (m *Machine) Console(ctx context.Context) (*Console, error) {
	return dialConsole(ctx, m.path("serial"))
}

func (c *Console) read() {
	buf := make([]byte, 4096)
	for {
		n, err := c.conn.Read(buf)
		c.mu.Lock()
		c.screen.Write(buf[:n])
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Type types a line.
func (c *Console) Type(line string) error {
	_, err := c.conn.Write([]byte(line + "\r"))
	return err
}

// Shows waits until the screen shows something that it has not been waited for before.
func (c *Console) Shows(ctx context.Context, what string) error {
	for {
		c.mu.Lock()
		shown := c.screen.String()[c.seen:]
		at := strings.Index(shown, what)
		if at >= 0 {
			c.seen += at + len(what)
		}
		c.mu.Unlock()
		if at >= 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the console did not show %q: %w; it shows %q", what, ctx.Err(), shown)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Close takes keyboard and screen away.
func (c *Console) Close() error { return c.conn.Close() }

// Showed says whether the screen ever showed something.
func (c *Console) Showed(what string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Contains(c.screen.String(), what)
}
