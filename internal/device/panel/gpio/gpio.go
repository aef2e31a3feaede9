//go:build linux

// Package gpio is the front panel of a board whose button, light and buzzer hang
// on bare GPIO lines, by the kernel's character device /dev/gpiochipN (its second
// interface, Linux 5.10 and later). Where the board's device tree gives the same
// button to gpio-keys, package evdev reads it, and that is better: the kernel
// knows then what it is.
//
// Lines never reach systemd-logind. Holds are measured by the kernel's own time
// stamps. The package never guesses a line, never drives one that it reads, and
// lets every line go as it was when it ends; which line is which is the owner's to
// say. Rows D1, D8.
package gpio

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/warthog618/go-gpiocdev"
	"golang.org/x/sys/unix"

	"github.com/paperclip-nas/paperclip/internal/device/panel"
)

// consumer is what `gpioinfo` shows as the user of a line.
const consumer = "paperclipd"

// Line names one line.
type Line struct {
	Chip   string // "gpiochip0"; empty where Name says it
	Offset int    // on the chip, from 0
	Name   string // the board's own name of the line
	Low    bool   // it is pressed or lit when low
}

// String is the line for a person.
func (l Line) String() string {
	if l.Name != "" {
		return "GPIO line " + l.Name
	}
	return fmt.Sprintf("GPIO line %s:%d", l.Chip, l.Offset)
}

// line is an open line: gpiocdev's, or a test's.
type line interface {
	Value() (int, error)
	SetValue(value int) error
	Close() error
}

// event is one edge as the kernel tells it: when, on CLOCK_MONOTONIC, and a
// number that counts every edge of the line.
type event struct {
	at   time.Duration
	down bool
	seq  uint32
}

// queued is how many edges wait for Edges; the kernel keeps more.
const queued = 256

// Button is a reset button on a line. It implements panel.Button.
type Button struct {
	line line
	now  func() time.Duration
	held bool

	mu     sync.Mutex
	events chan event
	lost   bool // edges were dropped here
	seq    uint32
}

// OpenButton takes the line for reading. It fails where the line is in use.
func OpenButton(l Line) (*Button, error) {
	return openButton(monotonic, func(handle func(event)) (line, error) {
		return request(l, gpiocdev.AsInput, gpiocdev.WithBothEdges, gpiocdev.WithMonotonicEventClock,
			gpiocdev.WithEventHandler(func(e gpiocdev.LineEvent) {
				handle(event{at: e.Timestamp, down: e.Type == gpiocdev.LineEventRisingEdge, seq: e.LineSeqno})
			}))
	})
}

func openButton(now func() time.Duration, open func(handle func(event)) (line, error)) (*Button, error) {
	b := &Button{now: now, events: make(chan event, queued)}
	var err error
	if b.line, err = open(b.handle); err != nil {
		return nil, err
	}
	value, err := b.line.Value()
	if err != nil {
		return nil, errors.Join(err, b.line.Close())
	}
	b.held = value == 1
	return b, nil
}

// request opens a line by its chip or by its name.
func request(l Line, options ...gpiocdev.LineReqOption) (line, error) {
	chip, offset := l.Chip, l.Offset
	if l.Name != "" {
		var err error
		if chip, offset, err = gpiocdev.FindLine(l.Name); err != nil {
			return nil, fmt.Errorf("%s: %w", l, err)
		}
	}
	options = append(options, gpiocdev.WithConsumer(consumer))
	if l.Low {
		options = append(options, gpiocdev.AsActiveLow)
	}
	opened, err := gpiocdev.RequestLine(chip, offset, options...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l, err)
	}
	if opened.UapiAbiVersion() < 2 { // its time stamps would be of a clock that is set
		return nil, errors.Join(fmt.Errorf("%s: this kernel's GPIO interface is too old (Linux 5.10 has the one that is needed)", l), opened.Close())
	}
	return opened, nil
}

// handle takes an edge from the kernel's reader, which must not wait.
func (b *Button) handle(e event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case b.events <- e:
	default:
		b.lost = true
	}
}

// Edges implements panel.Button.
func (b *Button) Edges(ctx context.Context, out chan<- panel.Edge) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e := <-b.events:
			edge, err := b.edge(e)
			if err != nil {
				return err
			}
			select {
			case out <- edge:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// edge tells whether edges before this one are missing, by the kernel's count
// and by ours; then only the line itself says how it is now.
func (b *Button) edge(e event) (panel.Edge, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	gap := b.lost && len(b.events) == 0 || b.seq != 0 && e.seq != b.seq+1
	b.seq = e.seq
	if !gap {
		return panel.Edge{At: e.at, Down: e.down}, nil
	}
	b.lost = false
	value, err := b.line.Value()
	return panel.Edge{At: b.now(), Down: value == 1, Lost: true}, err
}

// HeldAtStart implements panel.Button.
func (b *Button) HeldAtStart() bool { return b.held }

// Now implements panel.Button.
func (b *Button) Now() time.Duration { return b.now() }

// Close lets the line go.
func (b *Button) Close() error { return b.line.Close() }

func monotonic() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("gpio: CLOCK_MONOTONIC: " + err.Error()) // every Linux has it
	}
	return time.Duration(ts.Nano())
}

// Output is a light or a buzzer on a line: on or off. It implements panel.Beeper
// (a buzzer has one pitch, whatever is asked for) and, under one name,
// panel.Light.
type Output struct {
	line line
	name string
}

// OpenOutput takes the line for writing, off. name is what the light is called
// on this panel; a buzzer needs none.
func OpenOutput(l Line, name string) (*Output, error) {
	opened, err := request(l, gpiocdev.AsOutput(0))
	if err != nil {
		return nil, err
	}
	return &Output{opened, name}, nil
}

// Tone implements panel.Beeper.
func (o *Output) Tone(hz int) error { return o.set(hz > 0) }

// Set implements panel.Light.
func (o *Output) Set(name string, on bool) error {
	if name != o.name {
		return fmt.Errorf("this panel has no light %q", name)
	}
	return o.set(on)
}

func (o *Output) set(on bool) error {
	value := 0
	if on {
		value = 1
	}
	return o.line.SetValue(value)
}

// Close switches it off and lets the line go.
func (o *Output) Close() error { return errors.Join(o.set(false), o.line.Close()) }
