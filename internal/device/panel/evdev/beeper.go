//go:build linux

package evdev

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Pitches that the kernel's speaker driver makes; outside it stays silent
// without an error (drivers/input/misc/pcspkr.c).
const (
	minHz = 21
	maxHz = 32766
)

// ErrNoBeeper says that no input device makes tones. On a PC the module is
// pcspkr.
var ErrNoBeeper = errors.New("no device in " + inputDir + " makes tones (on a PC, the kernel module pcspkr does)")

// Beeper is an input device that makes tones. It implements panel.Beeper.
type Beeper struct {
	reopen func() (io.WriteCloser, error)

	mu  sync.Mutex
	dev io.WriteCloser
}

// OpenBeeper opens the beeper at path, or, when path is empty, the first
// device that makes tones: ErrNoBeeper when there is none.
func OpenBeeper(path string) (*Beeper, error) {
	return openBeeper(func() (io.WriteCloser, error) {
		if path != "" {
			return tonal(path)
		}
		for _, p := range eventDevices() {
			if n, err := tonal(p); err == nil {
				return n, nil
			}
		}
		return nil, ErrNoBeeper
	})
}

func openBeeper(reopen func() (io.WriteCloser, error)) (*Beeper, error) {
	dev, err := reopen()
	if err != nil {
		return nil, err
	}
	return &Beeper{reopen: reopen, dev: dev}, nil
}

// tonal opens the device at path if it makes tones.
func tonal(path string) (*node, error) {
	n, err := openNode(path, os.O_WRONLY)
	if err != nil {
		return nil, fmt.Errorf("beeper: %w", err)
	}
	can, err := n.beeps()
	if err == nil && !can {
		err = errors.New("it makes no tones")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("beeper %s: %w", path, err), n.Close())
	}
	return n, nil
}

// Tone implements panel.Beeper. hz is 0 or 21 to 32766. A device that went
// away is looked for once.
func (b *Beeper) Tone(hz int) error {
	if hz != 0 && (hz < minHz || hz > maxHz) {
		return fmt.Errorf("tone of %d Hz: the beeper makes %d to %d Hz", hz, minHz, maxHz)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	// Other readers of the device see the tone only once it is reported.
	msg := appendEvent(nil, evSnd, sndTone, int32(hz))
	msg = appendEvent(msg, evSyn, synReport, 0)
	_, err := b.dev.Write(msg)
	if errors.Is(err, unix.ENODEV) {
		b.dev.Close() // it is gone: nothing is left to fail
		dev, again := b.reopen()
		if again != nil {
			return again
		}
		b.dev = dev
		_, err = dev.Write(msg)
	}
	if err != nil {
		return fmt.Errorf("beeper: %w", err)
	}
	return nil
}

// Close falls silent and lets go of the device.
func (b *Beeper) Close() error {
	silent := b.Tone(0)
	b.mu.Lock()
	defer b.mu.Unlock()
	return errors.Join(silent, b.dev.Close())
}
