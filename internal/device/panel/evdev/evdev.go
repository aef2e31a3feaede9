//go:build linux

// Package evdev is the reset button and the beeper of a real front panel, as
// the Linux input layer shows them in /dev/input.
//
// The button is ours alone: it is grabbed before anything else is done with
// it, because systemd-logind reboots or powers off on the same key. Holds are
// measured by the kernel's own time stamps, so a busy machine does not lengthen
// them. If the process dies, the kernel lets go of the grab.
//
// It never grabs a whole keyboard by itself, never guesses between two
// buttons, never writes to a device that it reads, and gives no meaning to a
// press. Rows D1, D2, D8.
package evdev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/paperclip-nas/paperclip/internal/device/panel"
)

// KeyRestart is the key code of a reset button (KEY_RESTART in the kernel's
// input-event-codes.h).
const KeyRestart = 0x198

// keyMax is the highest key code the kernel has (KEY_MAX).
const keyMax = 0x2ff

// awayDefault is how long a button may be gone (a USB panel that resets)
// before Edges gives up.
const awayDefault = 30 * time.Second

// retryEvery is how often a button that went away is looked for.
const retryEvery = 250 * time.Millisecond

// Config says which button is meant. Its zero value looks for the one device
// with a reset key and few others.
type Config struct {
	// Path of the event device, for instance
	// /dev/input/by-path/platform-gpio-keys-event. Empty: look for it.
	Path string
	// Key is the key code, 1 to 0x2ff; 0 is KeyRestart.
	Key uint16
	// Remap lists scan codes that this device shall report as Key, for boards
	// whose key map is wrong. It needs Path, lasts while the button is open,
	// and is put back by Close.
	Remap []uint32
	// Away is how long the device may be gone before Edges gives up; 0 is 30 s.
	Away time.Duration
}

// Button is an open, grabbed reset button. It implements panel.Button.
type Button struct {
	key    uint16
	away   time.Duration
	reopen func() (device, error)
	now    func() time.Duration
	held   bool

	mu     sync.Mutex // guards what follows
	dev    device
	gone   bool // dev went away, and is closed
	closed bool
}

// device is an event device as Button needs it: a pipe in tests.
type device interface {
	io.ReadCloser
	SetReadDeadline(time.Time) error
	Down(key uint16) (bool, error)
}

// Open finds the button, grabs it, and asks whether it is already down. Its
// errors say what was looked at and why it would not do: see FindError.
func Open(cfg Config) (*Button, error) {
	if cfg.Key == 0 {
		cfg.Key = KeyRestart
	}
	if cfg.Key > keyMax {
		return nil, fmt.Errorf("key code %#x: the highest there is is %#x", cfg.Key, keyMax)
	}
	if len(cfg.Remap) > 0 && cfg.Path == "" {
		return nil, errors.New("remapping scan codes needs the path of the device: no device is remapped on a guess")
	}
	if cfg.Away <= 0 {
		cfg.Away = awayDefault
	}
	return open(cfg, func() (device, error) { return grab(cfg) }, monotonic)
}

func open(cfg Config, reopen func() (device, error), now func() time.Duration) (*Button, error) {
	dev, err := reopen()
	if err != nil {
		return nil, err
	}
	held, err := dev.Down(cfg.Key)
	if err != nil {
		return nil, errors.Join(err, dev.Close())
	}
	return &Button{key: cfg.Key, away: cfg.Away, reopen: reopen, now: now, held: held, dev: dev}, nil
}

// monotonic is the clock that the device is told to stamp its events by.
func monotonic() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("evdev: CLOCK_MONOTONIC: " + err.Error()) // every Linux has it
	}
	return time.Duration(ts.Nano())
}

// HeldAtStart implements panel.Button.
func (b *Button) HeldAtStart() bool { return b.held }

// Now implements panel.Button: the time since boot, not counting sleep.
func (b *Button) Now() time.Duration { return b.now() }

// Close lets go of the button. Edges then ends.
func (b *Button) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	if b.gone {
		return nil
	}
	return b.dev.Close()
}

// Edges implements panel.Button. When the device goes away it waits for it to
// come back, as long as Config.Away says; called again, it waits again.
func (b *Button) Edges(ctx context.Context, out chan<- panel.Edge) error {
	for {
		b.mu.Lock()
		dev, gone := b.dev, b.gone
		b.mu.Unlock()
		if !gone {
			r := reader{dev: dev, key: b.key, out: out}
			if err := r.run(ctx); !errors.Is(err, unix.ENODEV) {
				return err
			}
		}
		if err := b.comeBack(ctx); err != nil {
			return err
		}
		// What happened meanwhile, nobody knows.
		down, err := b.dev.Down(b.key)
		if errors.Is(err, unix.ENODEV) {
			continue
		}
		if err != nil {
			return err
		}
		if err := send(ctx, out, panel.Edge{At: b.now(), Down: down, Lost: true}); err != nil {
			return err
		}
	}
}

// comeBack opens the button anew once it is there again.
func (b *Button) comeBack(ctx context.Context) error {
	wait, cancel := context.WithTimeout(ctx, b.away)
	defer cancel()
	again := time.NewTicker(retryEvery)
	defer again.Stop()
	for {
		err := b.replace()
		if err == nil || errors.Is(err, errClosed) {
			return err
		}
		select {
		case <-again.C:
		case <-wait.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("the reset button went away and did not come back within %v: %w", b.away, err)
		}
	}
}

var errClosed = errors.New("the reset button was closed")

func (b *Button) replace() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return errClosed
	}
	if !b.gone {
		b.dev.Close() // nothing is left to fail
		b.gone = true
	}
	dev, err := b.reopen()
	if err != nil {
		return err
	}
	b.dev, b.gone = dev, false
	return nil
}

// reader turns one device's events into edges.
type reader struct {
	dev     device
	key     uint16
	out     chan<- panel.Edge
	dropped bool // the kernel's queue overflowed; wait for the end of the report
}

// run reads until ctx is done or the device fails.
func (r *reader) run(ctx context.Context) error {
	cancelled := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(cancelled)
		r.dev.SetReadDeadline(time.Unix(1, 0)) // wakes the read; if it can't, the device is closed and the read ends anyway
	})
	defer func() {
		if !stop() {
			<-cancelled
			r.dev.SetReadDeadline(time.Time{})
		}
	}()
	var buf [eventSize]byte
	for {
		if _, err := io.ReadFull(r.dev, buf[:]); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("read the reset button: %w", err)
		}
		edge, ok, err := r.take(decode(buf[:]))
		if err != nil {
			return err
		}
		if ok {
			if err := send(ctx, r.out, edge); err != nil {
				return err
			}
		}
	}
}

// take is what one event means. Repeats (value 2) are no edges. After
// SYN_DROPPED the rest of the report is worthless: the state is asked for.
func (r *reader) take(e event) (panel.Edge, bool, error) {
	switch {
	case e.Type == evSyn && e.Code == synDropped:
		r.dropped = true
	case e.Type == evSyn && e.Code == synReport && r.dropped:
		r.dropped = false
		down, err := r.dev.Down(r.key)
		return panel.Edge{At: e.At, Down: down, Lost: true}, err == nil, err
	case r.dropped:
	case e.Type == evKey && e.Code == r.key && (e.Value == 0 || e.Value == 1):
		return panel.Edge{At: e.At, Down: e.Value == 1}, true, nil
	}
	return panel.Edge{}, false, nil
}

func send(ctx context.Context, out chan<- panel.Edge, e panel.Edge) error {
	select {
	case out <- e:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
