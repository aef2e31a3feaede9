//go:build linux

// Package sysled switches a NAS's lights through /sys/class/leds.
//
// A light is borrowed: the first Set takes it from the kernel trigger that
// drives it (disk activity, heartbeat), and Close gives it back as it was. A
// light that is never set is never touched. It writes nothing but brightness
// and trigger, and creates no file. Row D8.
package sysled

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// Dir is where the kernel has its lights.
const Dir = "/sys/class/leds"

// attributeMax bounds what is read from one attribute. The list of triggers is
// the longest and stays under one page.
const attributeMax = 64 << 10

// Lights are some of the machine's lights. They implement panel.Light.
type Lights struct {
	leds map[string]*led

	mu sync.Mutex
}

// led is one light under /sys/class/leds.
type led struct {
	dir        string
	max        string // brightness that is full on
	taken      bool
	trigger    string // as it was before; "" when the light has none to choose
	brightness string
}

// Open looks up lights by name: names maps what the program calls a light
// ("status") to what the kernel calls it ("nas:green:status"). dir is Dir,
// or a test's own. It fails when a light does not exist, and changes nothing.
func Open(dir string, names map[string]string) (*Lights, error) {
	l := &Lights{leds: make(map[string]*led, len(names))}
	for name, sysfs := range names {
		if sysfs == "" || sysfs != filepath.Base(sysfs) {
			return nil, fmt.Errorf("light %q: %q is no name of a light in %s", name, sysfs, dir)
		}
		d := &led{dir: filepath.Join(dir, sysfs)}
		high, err := d.read("max_brightness")
		if err != nil {
			return nil, fmt.Errorf("light %q: %w", name, err)
		}
		if n, err := strconv.Atoi(high); err != nil || n < 1 {
			return nil, fmt.Errorf("light %q: its max_brightness is %q, not a number from 1", name, high)
		}
		d.max = high
		l.leds[name] = d
	}
	return l, nil
}

// Set implements panel.Light.
func (l *Lights) Set(name string, on bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.leds[name]
	if d == nil {
		return fmt.Errorf("this panel has no light %q", name)
	}
	if err := d.take(); err != nil {
		return fmt.Errorf("light %q: %w", name, err)
	}
	value := "0"
	if on {
		value = d.max
	}
	return d.write("brightness", value)
}

// Close gives every light back to what drove it before. The Lights can be used
// again afterwards.
func (l *Lights) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, d := range l.leds {
		errs = append(errs, d.giveBack())
	}
	return errors.Join(errs...)
}

// take remembers what the light does, and makes it ours.
func (d *led) take() error {
	if d.taken {
		return nil
	}
	brightness, err := d.read("brightness")
	if err != nil {
		return err
	}
	trigger, err := d.read("trigger")
	if err != nil && !errors.Is(err, os.ErrNotExist) { // a kernel without LED triggers
		return err
	}
	d.brightness, d.trigger = brightness, active(trigger)
	if d.trigger != "" && d.trigger != "none" {
		if err := d.write("trigger", "none"); err != nil {
			return err
		}
	}
	d.taken = true
	return nil
}

func (d *led) giveBack() error {
	if !d.taken {
		return nil
	}
	d.taken = false
	if d.trigger == "" || d.trigger == "none" {
		return d.write("brightness", d.brightness)
	}
	// The trigger sets the brightness itself; writing that after it would
	// switch some triggers off.
	return errors.Join(d.write("brightness", d.brightness), d.write("trigger", d.trigger))
}

// active is the trigger in brackets of a list such as "none [timer] disk".
func active(triggers string) string {
	for _, t := range strings.Fields(triggers) {
		if name, ok := strings.CutPrefix(t, "["); ok {
			return strings.TrimSuffix(name, "]")
		}
	}
	return ""
}

func (d *led) read(attribute string) (string, error) {
	b, err := os.ReadFile(filepath.Join(d.dir, attribute))
	if err != nil {
		return "", err
	}
	if len(b) > attributeMax {
		return "", fmt.Errorf("%s/%s is longer than %d bytes", d.dir, attribute, attributeMax)
	}
	return strings.TrimSpace(string(b)), nil
}

// write sets an attribute that exists; it never makes one.
func (d *led) write(attribute, value string) error {
	f, err := os.OpenFile(filepath.Join(d.dir, attribute), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}
