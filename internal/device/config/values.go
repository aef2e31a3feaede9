package config

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/button"
)

// The types of the values check themselves while the file is read, so that
// what is wrong with one is told with its line and column.

// Name is what the device is called on the LAN: 1 to 63 bytes, printable.
type Name struct{ text string }

// String is the name; empty is the host's.
func (n Name) String() string { return n.text }

// UnmarshalText takes a name that can be announced.
func (n *Name) UnmarshalText(text []byte) error {
	s := string(text)
	if len(s) > 63 || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("a name has at most 63 bytes, all of them printable")
	}
	n.text = s
	return nil
}

// Group is the name of a Unix group.
type Group struct{ text string }

// String is the group's name.
func (g Group) String() string { return g.text }

// UnmarshalText takes what groupadd takes.
func (g *Group) UnmarshalText(text []byte) error {
	s := string(text)
	letter := func(r rune) bool { return r >= 'a' && r <= 'z' || r == '_' }
	bad := func(r rune) bool { return !letter(r) && (r < '0' || r > '9') && r != '-' }
	if s == "" || len(s) > 32 || !letter(rune(s[0])) || strings.ContainsFunc(s, bad) {
		return fmt.Errorf("%q is not the name of a group", s)
	}
	g.text = s
	return nil
}

// Folder is an absolute path.
type Folder struct{ text string }

// String is the path.
func (f Folder) String() string { return f.text }

// UnmarshalText takes a clean absolute path.
func (f *Folder) UnmarshalText(text []byte) error {
	s := string(text)
	if !path.IsAbs(s) || path.Clean(s) != s || strings.ContainsRune(s, 0) {
		return fmt.Errorf("%q is not an absolute path", s)
	}
	f.text = s
	return nil
}

// Window is how long a claim stays open: 3 to 60 minutes.
type Window struct{ d time.Duration }

// Duration is how long.
func (w Window) Duration() time.Duration { return w.d }

// UnmarshalText reads a duration such as "15m".
func (w *Window) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if err != nil || d < 3*time.Minute || d > time.Hour {
		return fmt.Errorf(`%q is not from "3m" to "60m"`, text)
	}
	w.d = d
	return nil
}

// Policy is an owner's choice of what a claim may do.
type Policy struct{ choice access.ButtonPolicy }

// Choice is which.
func (p Policy) Choice() access.ButtonPolicy { return p.choice }

// UnmarshalText reads a choice.
func (p *Policy) UnmarshalText(text []byte) error {
	choice, err := access.ParseButtonPolicy(string(text))
	if err != nil {
		return err
	}
	p.choice = choice
	return nil
}

// Profile is the name of the button's gestures.
type Profile struct{ text string }

// Profile is what that profile says.
func (p Profile) Profile() button.Profile {
	profile, _ := button.ProfileNamed(p.text)
	return profile
}

// UnmarshalText takes a profile that exists. A vendor's is refused by Parse,
// which says why.
func (p *Profile) UnmarshalText(text []byte) error {
	if _, ok := button.ProfileNamed(string(text)); !ok {
		return fmt.Errorf(`there is no profile %q: "paperclip" is the one for a real device`, text)
	}
	p.text = string(text)
	return nil
}

// Part is a part of the front panel: the one there is, none, or one that is
// named by the path of its device.
type Part struct{ text string }

const (
	auto = "auto"
	none = "none"
)

// None tells that the device does without this part.
func (p Part) None() bool { return p.text == none }

// Path is the path of the part's device; empty where it is to be looked for, is
// a GPIO line, or there is none.
func (p Part) Path() string {
	if _, gpio := p.GPIO(); gpio || p.text == auto || p.text == none {
		return ""
	}
	return p.text
}

// Named tells that the owner said which device it is.
func (p Part) Named() bool { return p.text != auto && p.text != none }

// GPIO is the line that the part hangs on, where it is one.
func (p Part) GPIO() (Line, bool) { return gpioLine(p.text) }

// UnmarshalText takes auto, none, a path below /dev/input or a GPIO line.
func (p *Part) UnmarshalText(text []byte) error {
	s := string(text)
	if strings.HasPrefix(s, gpioPrefix) {
		if err := checkLine(s); err != nil {
			return err
		}
	} else if s != auto && s != none && (path.Clean(s) != s || !strings.HasPrefix(s, "/dev/input/")) {
		return fmt.Errorf(`%q is not "auto", "none", a path below /dev/input or a GPIO line such as "gpio:gpiochip0:3:low"`, s)
	}
	p.text = s
	return nil
}

// Key is the key that a button reports: a name, or a number as the kernel has
// it.
type Key struct{ text string }

// keys are the names, with their numbers in the kernel's
// input-event-codes.h, that buttons of this kind report.
func keys() map[string]uint16 {
	return map[string]uint16{
		"KEY_RESTART": 0x198, "KEY_SETUP": 0x8d, "KEY_CONFIG": 0xab, "KEY_PROG1": 0x94, "KEY_WPS_BUTTON": 0x211, "BTN_0": 0x100, "BTN_1": 0x101,
	}
}

// maxKey is the kernel's KEY_MAX.
const maxKey = 0x2ff

// Code is the key's number.
func (k Key) Code() uint16 {
	if code, ok := keys()[k.text]; ok {
		return code
	}
	n, _ := strconv.ParseUint(k.text, 0, 16)
	return uint16(n)
}

// UnmarshalText takes a known name or a number such as "0x198".
func (k *Key) UnmarshalText(text []byte) error {
	s := string(text)
	n, err := strconv.ParseUint(s, 0, 16)
	if _, ok := keys()[s]; !ok && (err != nil || n < 1 || n > maxKey) {
		names := make([]string, 0, len(keys()))
		for name := range keys() {
			names = append(names, name)
		}
		slices.Sort(names)
		return fmt.Errorf(`%q is not a key: a number from "0x1" to "0x2ff", or one of %s`, s, strings.Join(names, ", "))
	}
	k.text = s
	return nil
}

// ScanCode is what the hardware reports for a key.
type ScanCode uint32

// Light is the name of a light below /sys/class/leds, a GPIO line, or empty for
// none.
type Light struct{ text string }

// None tells that there is no light.
func (l Light) None() bool { return l.text == "" }

// LED is the light's name below /sys/class/leds; empty where it is a GPIO line,
// or there is none.
func (l Light) LED() string {
	if _, gpio := l.GPIO(); gpio {
		return ""
	}
	return l.text
}

// GPIO is the line that the light hangs on, where it is one.
func (l Light) GPIO() (Line, bool) { return gpioLine(l.text) }

// UnmarshalText takes a name without a path, or a GPIO line.
func (l *Light) UnmarshalText(text []byte) error {
	s := string(text)
	if strings.HasPrefix(s, gpioPrefix) {
		if err := checkLine(s); err != nil {
			return err
		}
	} else if s == "." || s == ".." || len(s) > 255 || strings.ContainsAny(s, "/\x00") {
		return fmt.Errorf("%q is not the name of a light below /sys/class/leds", s)
	}
	l.text = s
	return nil
}

func dotted(k toml.Key) string { return strings.Join(k, ".") }

// plain makes an error of the library fit for a person: no prefix, one line, no
// control characters that the file may have held.
func plain(s string) string {
	s = strings.TrimPrefix(s, "toml: ")
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
}
