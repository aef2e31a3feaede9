//go:build linux

package evdev

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// fewKeys is how many keys a front panel may have to be taken without being
// named: a keyboard has a hundred, and grabbing it would leave the console
// mute.
const fewKeys = 8

const inputDir = "/dev/input"

// Seen is one event device that was looked at.
type Seen struct {
	Path string
	Name string // as the device calls itself
	Keys int    // how many keys it has
	Has  bool   // whether the wanted one is among them
	Err  error  // why it could not be asked, if it could not
}

// fits tells whether the device can be taken for a front panel.
func (s Seen) fits() bool { return s.Err == nil && s.Has && s.Keys <= fewKeys }

func (s Seen) String() string {
	what := fmt.Sprintf("%s %q: ", s.Path, s.Name)
	switch {
	case s.Err != nil:
		return what + s.Err.Error()
	case !s.Has:
		return what + "has no such key"
	case !s.fits():
		return what + fmt.Sprintf("has it, and %d other keys: a keyboard is not taken without being named", s.Keys-1)
	}
	return what + "would do"
}

// FindError says why no button was taken: none or several would do.
type FindError struct {
	Key  uint16
	Seen []Seen
}

func (e *FindError) Error() string {
	var why strings.Builder
	fits := 0
	for _, s := range e.Seen {
		fmt.Fprintf(&why, "; %s", s)
		if s.fits() {
			fits++
		}
	}
	switch {
	case len(e.Seen) == 0:
		return fmt.Sprintf("no reset button (key code %#x): this machine has no input devices in %s", e.Key, inputDir)
	case fits > 1:
		return fmt.Sprintf("%d devices have a reset button (key code %#x), name the one that is meant%s", fits, e.Key, why.String())
	}
	return fmt.Sprintf("no reset button (key code %#x), name the device if one of these is it%s", e.Key, why.String())
}

// grab finds the configured button and makes it ours, grab first.
func grab(cfg Config) (*node, error) {
	path := cfg.Path
	if path == "" {
		var err error
		if path, err = find(look(cfg.Key), cfg.Key); err != nil {
			return nil, err
		}
	}
	n, err := openNode(path, os.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("reset button: %w", err)
	}
	if err := n.take(cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("reset button %s: %w", path, err), n.Close())
	}
	return n, nil
}

// take prepares an open device. Nothing but the grab happens before the grab.
func (n *node) take(cfg Config) error {
	switch err := n.grab(); {
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("another program has grabbed it, so its presses would not reach us: %w", err)
	case errors.Is(err, unix.ENOTTY), errors.Is(err, unix.EINVAL):
		return fmt.Errorf("it is no input device: %w", err)
	case err != nil:
		return fmt.Errorf("grab: %w", err)
	}
	for _, scan := range cfg.Remap {
		if err := n.remap(scan, cfg.Key); err != nil {
			return fmt.Errorf("make scan code %#x report key code %#x: %w", scan, cfg.Key, err)
		}
	}
	keys, err := n.keys()
	if err != nil {
		return fmt.Errorf("ask for its keys: %w", err)
	}
	if !keys.has(cfg.Key) {
		return fmt.Errorf("it has no key with code %#x", cfg.Key)
	}
	if err := n.stampMonotonic(); err != nil {
		return fmt.Errorf("set its clock: %w", err)
	}
	return nil
}

// find chooses the one device that will do.
func find(seen []Seen, key uint16) (string, error) {
	var path string
	fits := 0
	for _, s := range seen {
		if s.fits() {
			path = s.Path
			fits++
		}
	}
	if fits != 1 {
		return "", &FindError{Key: key, Seen: seen}
	}
	return path, nil
}

// look asks every event device what it is, and changes nothing.
func look(key uint16) []Seen {
	var all []Seen
	for _, path := range eventDevices() {
		s := Seen{Path: path}
		n, err := openNode(path, os.O_RDONLY)
		if err != nil {
			s.Err = err
			all = append(all, s)
			continue
		}
		s.Name = n.name()
		keys, err := n.keys()
		s.Keys, s.Has, s.Err = keys.count(), keys.has(key), err
		n.Close() // nothing was written
		all = append(all, s)
	}
	return all
}

// eventDevices lists /dev/input/event*, by number.
func eventDevices() []string {
	paths, err := filepath.Glob(inputDir + "/event*")
	if err != nil {
		return nil // the pattern is fixed and right
	}
	number := func(path string) int {
		n, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(path), "event"))
		if err != nil {
			return -1
		}
		return n
	}
	slices.SortFunc(paths, func(a, b string) int { return number(a) - number(b) })
	return paths
}
