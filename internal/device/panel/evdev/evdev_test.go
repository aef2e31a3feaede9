//go:build linux

package evdev

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/paperclip-nas/paperclip/internal/device/panel"
	"github.com/paperclip-nas/paperclip/internal/device/panel/paneltest"
)

// fake is an event device whose kernel is a pipe. Its state is set apart from
// its events, as the kernel's is.
type fake struct {
	*os.File
	down atomic.Bool
}

func (f *fake) Down(uint16) (bool, error) { return f.down.Load(), nil }

// kernel writes what an event device would say.
type kernel struct {
	t *testing.T
	w *os.File
}

func newFake(t *testing.T) (*fake, kernel) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return &fake{File: r}, kernel{t, w}
}

func (k kernel) say(at time.Duration, typ, code uint16, value int32) {
	k.t.Helper()
	if _, err := k.w.Write(stamped(at, typ, code, value)); err != nil {
		k.t.Fatal(err)
	}
}

func stamped(at time.Duration, typ, code uint16, value int32) []byte {
	b := appendEvent(nil, typ, code, value)
	sec, usec := uint64(at/time.Second), uint64(at%time.Second/time.Microsecond)
	if longSize == 4 {
		binary.NativeEndian.PutUint32(b, uint32(sec))
		binary.NativeEndian.PutUint32(b[4:], uint32(usec))
	} else {
		binary.NativeEndian.PutUint64(b, sec)
		binary.NativeEndian.PutUint64(b[8:], usec)
	}
	return b
}

func newButton(t *testing.T, f *fake) *Button {
	t.Helper()
	b, err := open(Config{Key: KeyRestart, Away: time.Minute}, func() (device, error) { return f, nil }, monotonic)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// collect reads edges until the device ends.
func collect(t *testing.T, b *Button) []panel.Edge {
	t.Helper()
	out := make(chan panel.Edge, 100)
	if err := b.Edges(t.Context(), out); !errors.Is(err, io.EOF) {
		t.Fatalf("Edges ended with %v, want EOF", err)
	}
	close(out)
	var all []panel.Edge
	for e := range out {
		all = append(all, e)
	}
	return all
}

func check(t *testing.T, got []panel.Edge, want ...panel.Edge) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("edges are\n%+v, want\n%+v", got, want)
	}
}

func TestContract(t *testing.T) {
	paneltest.Button(t, func(t *testing.T, held bool) (panel.Button, func(bool)) {
		f, k := newFake(t)
		f.down.Store(held)
		return newButton(t, f), func(down bool) {
			value := int32(0)
			if down {
				value = 1
			}
			f.down.Store(down)
			k.say(monotonic(), evKey, KeyRestart, value)
			k.say(monotonic(), evSyn, synReport, 0)
		}
	})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	beeper, err := openBeeper(func() (io.WriteCloser, error) { return w, nil })
	if err != nil {
		t.Fatal(err)
	}
	paneltest.Beeper(t, beeper, func() []int {
		w.Close()
		return tones(t, r)
	})
}

// tones reads the pitches of whole reports, as another reader would see them.
func tones(t *testing.T, r io.Reader) []int {
	t.Helper()
	var heard []int
	pending := -1
	for {
		var buf [eventSize]byte
		if _, err := io.ReadFull(r, buf[:]); err == io.EOF {
			return heard
		} else if err != nil {
			t.Fatal(err)
		}
		switch e := decode(buf[:]); {
		case e.Type == evSnd && e.Code == sndTone:
			pending = int(e.Value)
		case e.Type == evSyn && e.Code == synReport && pending >= 0:
			heard = append(heard, pending)
			pending = -1
		}
	}
}

// D2: a hold is as long as the kernel says, however late it is read; repeats
// and other keys are nothing.
func TestEdgesAreStampedByTheKernel(t *testing.T) {
	f, k := newFake(t)
	b := newButton(t, f)
	k.say(100*time.Second, evKey, KeyRestart, 1)
	k.say(100*time.Second, evSyn, synReport, 0)
	k.say(101*time.Second, evKey, KeyRestart, 2)
	k.say(102*time.Second, evKey, 30, 1)
	k.say(103*time.Second, 0x04, 4, 0x58) // EV_MSC MSC_SCAN
	k.say(103999*time.Millisecond, evKey, KeyRestart, 0)
	k.w.Close()
	check(t, collect(t, b), panel.Edge{At: 100 * time.Second, Down: true}, panel.Edge{At: 103999 * time.Millisecond})
}

// D8: after an overflow nothing is believed until the kernel was asked anew.
func TestDroppedEventsAreAskedFor(t *testing.T) {
	for _, down := range []bool{false, true} {
		f, k := newFake(t)
		b := newButton(t, f)
		f.down.Store(down)
		k.say(1*time.Second, evKey, KeyRestart, 1)
		k.say(2*time.Second, evSyn, synDropped, 0)
		k.say(3*time.Second, evKey, KeyRestart, 0)
		k.say(3*time.Second, evKey, KeyRestart, 1)
		k.say(4*time.Second, evSyn, synReport, 0)
		k.say(5*time.Second, evKey, KeyRestart, 0)
		k.w.Close()
		check(t, collect(t, b),
			panel.Edge{At: 1 * time.Second, Down: true},
			panel.Edge{At: 4 * time.Second, Down: down, Lost: true},
			panel.Edge{At: 5 * time.Second})
	}
}

// A panel that is unplugged is waited for, and what it shows then is marked.
func TestAButtonThatComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newSilent(), newSilent()
		devices := []device{first, nil, nil, second}
		start := time.Now()
		b, err := open(Config{Key: KeyRestart, Away: awayDefault}, func() (device, error) {
			dev := devices[0]
			devices = devices[1:]
			if dev == nil {
				return nil, unix.ENOENT
			}
			return dev, nil
		}, func() time.Duration { return time.Since(start) })
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		out := make(chan panel.Edge)
		ended := make(chan error)
		go func() { ended <- b.Edges(ctx, out) }()
		first.fail <- unix.ENODEV
		if e, want := <-out, (panel.Edge{At: 2 * retryEvery, Lost: true}); e != want {
			t.Errorf("first edge after it came back: %+v, want %+v", e, want)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Edges ended with %v", err)
		}
	})
}

func TestAButtonThatStaysAwayIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dev := newSilent()
		opened := false
		b, err := open(Config{Key: KeyRestart, Away: awayDefault}, func() (device, error) {
			if opened {
				return nil, unix.ENOENT
			}
			opened = true
			return dev, nil
		}, monotonic)
		if err != nil {
			t.Fatal(err)
		}
		dev.fail <- unix.ENODEV
		start := time.Now()
		err = b.Edges(t.Context(), make(chan panel.Edge))
		if !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), "did not come back within 30s") {
			t.Errorf("Edges ended with %v", err)
		}
		if waited := time.Since(start); waited != awayDefault {
			t.Errorf("it waited %v, want %v", waited, awayDefault)
		}
		opened = false // it is there again, and asked for again
		ctx, cancel := context.WithCancel(t.Context())
		out, ended := make(chan panel.Edge), make(chan error)
		go func() { ended <- b.Edges(ctx, out) }()
		if e := <-out; !e.Lost {
			t.Errorf("first edge after it came back: %+v", e)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Edges ended with %v", err)
		}
	})
}

// silent is a device that says nothing until it fails or its read is timed
// out; made of channels, so that fake time passes.
type silent struct{ fail chan error }

func newSilent() *silent { return &silent{fail: make(chan error, 1)} }

func (s *silent) Read([]byte) (int, error)  { return 0, <-s.fail }
func (s *silent) Close() error              { return nil }
func (s *silent) Down(uint16) (bool, error) { return false, nil }
func (s *silent) SetReadDeadline(d time.Time) error {
	if !d.IsZero() {
		s.fail <- os.ErrDeadlineExceeded
	}
	return nil
}

func TestCloseEndsEdges(t *testing.T) {
	f, _ := newFake(t)
	b := newButton(t, f)
	ended := make(chan error)
	go func() { ended <- b.Edges(t.Context(), make(chan panel.Edge)) }()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Errorf("Edges ended with %v, want os.ErrClosed", err)
	}
	if err := b.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

func TestFindTakesOneSmallPanelAndSaysWhyNot(t *testing.T) {
	power := Seen{Path: "/dev/input/event0", Name: "Power Button", Keys: 1}
	reset := Seen{Path: "/dev/input/event1", Name: "front panel", Keys: 3, Has: true}
	board := Seen{Path: "/dev/input/event2", Name: "keyboard", Keys: 120, Has: true}
	other := Seen{Path: "/dev/input/event3", Name: "second\npanel", Keys: 1, Has: true}
	dead := Seen{Path: "/dev/input/event4", Err: unix.EACCES}
	for _, c := range []struct {
		name string
		seen []Seen
		want string
		says []string
	}{
		{"one", []Seen{power, reset, board, dead}, reset.Path, nil},
		{"none at all", nil, "", []string{"no input devices"}},
		{"only a keyboard", []Seen{power, board, dead}, "", []string{"a keyboard is not taken", "has no such key", "permission denied"}},
		{"two", []Seen{reset, other}, "", []string{"2 devices", reset.Path, other.Path, `"second\npanel"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, err := find(c.seen, KeyRestart)
			if path != c.want || (err == nil) != (c.want != "") {
				t.Fatalf("found %q, %v, want %q", path, err, c.want)
			}
			for _, s := range c.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%q does not say %q", err, s)
				}
			}
		})
	}
}

func TestOpenRefusesWhatItCannotMean(t *testing.T) {
	for name, cfg := range map[string]Config{
		"a key that does not exist":       {Key: keyMax + 1},
		"remapping a device not named":    {Remap: []uint32{0x58}},
		"a file that is no input device":  {Path: "/dev/null"},
		"a path that does not exist":      {Path: t.TempDir() + "/none"},
		"a directory instead of a device": {Path: t.TempDir()},
	} {
		if b, err := Open(cfg); err == nil {
			b.Close()
			t.Errorf("%s was accepted", name)
		}
	}
	if b, err := OpenBeeper("/dev/null"); err == nil {
		b.Close()
		t.Error("/dev/null is taken for a beeper")
	}
}

// sink is a beeper device that fails as told and keeps what it gets.
type sink struct {
	got  []byte
	fail error
}

func (s *sink) Close() error { return nil }
func (s *sink) Write(p []byte) (int, error) {
	if s.fail != nil {
		return 0, s.fail
	}
	s.got = append(s.got, p...)
	return len(p), nil
}

func TestBeeper(t *testing.T) {
	gone, back := &sink{}, &sink{}
	devices := []*sink{gone, back}
	b, err := openBeeper(func() (io.WriteCloser, error) {
		if len(devices) == 0 {
			return nil, ErrNoBeeper
		}
		dev := devices[0]
		devices = devices[1:]
		return dev, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, hz := range []int{-1, 1, minHz - 1, maxHz + 1} {
		if err := b.Tone(hz); err == nil {
			t.Errorf("a tone of %d Hz, which the kernel leaves silent, was accepted", hz)
		}
	}
	gone.fail = unix.ENODEV
	if err := b.Tone(750); err != nil {
		t.Errorf("a beeper that is back was not used: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if got := tones(t, bytes.NewReader(back.got)); !slices.Equal(got, []int{750, 0}) {
		t.Errorf("heard %v, want 750 Hz and silence", got)
	}
	back.fail = unix.ENODEV
	if err := b.Tone(750); !errors.Is(err, ErrNoBeeper) {
		t.Errorf("a beeper that stays away: %v, want ErrNoBeeper", err)
	}
}

// The numbers of the kernel's input.h, as C computes them on x86 and arm.
func TestIoctlNumbers(t *testing.T) {
	for name, c := range map[string]struct{ got, want uintptr }{
		"EVIOCGRAB":         {eviocgrab, 0x40044590},
		"EVIOCSCLOCKID":     {eviocsclockid, 0x400445a0},
		"EVIOCGKEYCODE":     {eviocgkeycode, 0x80084504},
		"EVIOCSKEYCODE":     {eviocskeycode, 0x40084504},
		"EVIOCGNAME(256)":   {eviocgname, 0x81004506},
		"EVIOCGKEY(96)":     {eviocgkey, 0x80604518},
		"EVIOCGBIT(KEY,96)": {eviocgbitKey, 0x80604521},
		"EVIOCGBIT(SND,8)":  {eviocgbitSnd, 0x80084532},
	} {
		if c.got != c.want {
			t.Errorf("%s is %#x, want %#x", name, c.got, c.want)
		}
	}
	var all bits
	if unsafe.Sizeof(all) != keyBytes || unsafe.Sizeof(keycode{}) != 8 {
		t.Error("an argument has the wrong size")
	}
}

func TestBits(t *testing.T) {
	var b bits
	for _, key := range []uint16{0, 63, 64, KeyRestart, keyMax} {
		if b.has(key) {
			t.Errorf("empty bits have %#x", key)
		}
		b[key/uint16(longBits)] |= 1 << (key % uint16(longBits))
		if !b.has(key) {
			t.Errorf("bit %#x is set and not seen", key)
		}
	}
	if b.count() != 5 || b.has(keyMax+1) {
		t.Errorf("count is %d, has(max+1) %v", b.count(), b.has(keyMax+1))
	}
}

// Whatever bytes come, an event is read or not; reading and writing agree.
func FuzzDecode(f *testing.F) {
	f.Add(uint32(1), uint32(2), uint16(evKey), uint16(KeyRestart), int32(1))
	f.Add(uint32(0), uint32(999999), uint16(evSyn), uint16(synDropped), int32(-1))
	f.Fuzz(func(t *testing.T, sec, usec uint32, typ, code uint16, value int32) {
		at := time.Duration(sec&0x7fffffff)*time.Second + time.Duration(usec%1e6)*time.Microsecond
		if got, want := decode(stamped(at, typ, code, value)), (event{at, typ, code, value}); got != want {
			t.Errorf("decoded %+v, want %+v", got, want)
		}
	})
}
