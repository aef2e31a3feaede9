//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"github.com/paperclip-nas/paperclip/internal/device/config"
	"github.com/paperclip-nas/paperclip/internal/device/panel"
	"github.com/paperclip-nas/paperclip/internal/device/panel/evdev"
	"github.com/paperclip-nas/paperclip/internal/device/panel/gpio"
	"github.com/paperclip-nas/paperclip/internal/device/panel/realtime"
	"github.com/paperclip-nas/paperclip/internal/device/panel/sysled"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
)

// The panel's devices may appear a little later than this program.
const (
	panelPatience = 10 * time.Second
	panelRetry    = 250 * time.Millisecond
)

// status is what core calls the light.
const status = "status"

func buttonConfig(cfg config.Config) evdev.Config {
	c := evdev.Config{Path: cfg.Panel.Button.Path(), Key: cfg.Panel.ButtonKey.Code()}
	for _, code := range cfg.Panel.Remap {
		c.Remap = append(c.Remap, uint32(code))
	}
	return c
}

// openPanel takes the button, first of all, and then what it can of the rest.
// Without a button core still runs, for the console's commands; it says so.
func (m *machine) openPanel(ctx context.Context, cfg config.Config) (p panel.Panel, closers []io.Closer, err error) {
	p.Clock = m.clock
	if !cfg.Panel.Button.None() {
		b, err := patiently(ctx, m, func() (openButton, error) { return newButton(cfg) })
		switch {
		case err == nil:
			p.Button, closers = b, append(closers, b)
		case ctx.Err() != nil:
			return p, closers, ctx.Err()
		case cfg.Panel.Button.Named():
			return p, closers, catalog.New("no_button", err.Error()).Because(err)
		default:
			m.log.Error("there is no reset button; a claim cannot be opened at the device", "error", err)
		}
	}
	if !cfg.Panel.Beeper.None() {
		b, err := newBeeper(cfg)
		if err != nil {
			m.log.Error("there is no beeper; the code cannot be heard", "error", err)
		} else {
			p.Beeper, closers = b, append(closers, b)
		}
	}
	if !cfg.Panel.Light.None() {
		l, err := newLight(cfg)
		if err != nil {
			m.log.Error("the light cannot be used", "error", err)
		} else {
			p.Light, p.Status, closers = l, status, append(closers, l)
		}
	}
	return p, closers, nil
}

// ordinaryReport is where core leaves for doctor why it is not scheduled in
// real time, if it is not.
const ordinaryReport = "/run/paperclip/ordinary"

// realTime is the thread that keeps the time of beeps. One that the kernel makes
// an ordinary one works too, and doctor tells.
func (m *machine) realTime() *realtime.Thread {
	t := realtime.Start()
	var why []byte
	if err := t.Refused(); err != nil {
		m.log.Warn("beeps may come late while this NAS is busy", "error", err)
		why = []byte(err.Error())
	}
	if m.root == "" {
		if err := atomicfile.Replace(m.fs, "realtime.report", ordinaryReport, why, atomicfile.Options{Mode: 0o600}); err != nil {
			m.log.Warn("doctor was not told how beeps are scheduled", "error", err)
		}
	}
	return t
}

// scheduled is why core's beeps are not scheduled in real time, for doctor.
func (m *machine) scheduled() error {
	why, err := m.fs.ReadFile(ordinaryReport)
	if err == nil && len(why) > 0 {
		err = errors.New(string(why))
	}
	return err
}

// The parts with their ends, whatever they hang on.
type (
	openButton interface {
		panel.Button
		io.Closer
	}
	openBeeper interface {
		panel.Beeper
		io.Closer
	}
	openLight interface {
		panel.Light
		io.Closer
	}
)

func newButton(cfg config.Config) (openButton, error) {
	if line, ok := cfg.Panel.Button.GPIO(); ok {
		return gpio.OpenButton(gpio.Line(line))
	}
	return evdev.Open(buttonConfig(cfg))
}

func newBeeper(cfg config.Config) (openBeeper, error) {
	if line, ok := cfg.Panel.Beeper.GPIO(); ok {
		return gpio.OpenOutput(gpio.Line(line), "")
	}
	return evdev.OpenBeeper(cfg.Panel.Beeper.Path())
}

func newLight(cfg config.Config) (openLight, error) {
	if line, ok := cfg.Panel.Light.GPIO(); ok {
		return gpio.OpenOutput(gpio.Line(line), status)
	}
	return sysled.Open(sysled.Dir, map[string]string{status: cfg.Panel.Light.LED()})
}

// patiently tries again for a while.
func patiently[T any](ctx context.Context, m *machine, open func() (T, error)) (T, error) {
	for end := m.clock.Monotonic() + panelPatience; ; {
		v, err := open()
		if err == nil || m.clock.Monotonic() >= end {
			return v, err
		}
		select {
		case <-ctx.Done():
			return v, ctx.Err()
		case <-m.clock.After(panelRetry):
		}
	}
}

// findButton says which button there is, for doctor. One that is taken is
// core's already.
func findButton(cfg config.Config) (string, error) {
	b, err := newButton(cfg)
	switch {
	case errors.Is(err, unix.EBUSY):
		return "There is a reset button, and paperclipd has it.", nil
	case err != nil:
		return "", catalog.New("no_button", err.Error()).Because(err)
	}
	return "There is a reset button.", b.Close()
}

func findBeeper(cfg config.Config) (string, error) {
	b, err := newBeeper(cfg)
	if errors.Is(err, unix.EBUSY) {
		return "There is a beeper, and paperclipd has it.", nil
	}
	if err != nil {
		return "", fmt.Errorf("no beeper: %w", err)
	}
	return "There is a beeper.", b.Close()
}
