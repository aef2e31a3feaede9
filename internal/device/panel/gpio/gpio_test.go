//go:build linux

package gpio

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/panel"
	"github.com/paperclip-nas/paperclip/internal/device/panel/paneltest"
)

// fake is a line of no chip.
type fake struct {
	mu     sync.Mutex
	value  int
	set    []int
	seq    uint32
	handle func(event)
	err    error
	closed bool
}

func (f *fake) Value() (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.value, f.err
}

func (f *fake) SetValue(v int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.value, f.set = v, append(f.set, v)
	return f.err
}

func (f *fake) Close() error {
	f.closed = true
	return nil
}

// finger moves the button; the kernel counts every edge.
func (f *fake) finger(down bool) {
	f.mu.Lock()
	f.value = 0
	if down {
		f.value = 1
	}
	f.seq++
	e := event{at: monotonic(), down: down, seq: f.seq}
	f.mu.Unlock()
	f.handle(e)
}

func button(t *testing.T, held bool) (*Button, *fake) {
	t.Helper()
	f := &fake{}
	if held {
		f.value = 1
	}
	b, err := openButton(monotonic, func(handle func(event)) (line, error) {
		f.handle = handle
		return f, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b, f
}

func TestContract(t *testing.T) {
	paneltest.Button(t, func(t *testing.T, held bool) (panel.Button, func(bool)) {
		b, f := button(t, held)
		return b, f.finger
	})
	light := &fake{}
	paneltest.Light(t, &Output{light, "status"}, "status", func() bool { return light.value == 1 })
	if err := (&Output{light, "status"}).Set("other", true); err == nil {
		t.Error("a light of another name is set")
	}
	buzzer := &fake{}
	o := &Output{buzzer, ""}
	paneltest.Beeper(t, o, func() (heard []int) { // one pitch for all
		for i, v := range buzzer.set {
			heard = append(heard, v*[]int{1000, 2000, 0}[i])
		}
		return heard
	})
	if err := errors.Join(o.Tone(5), o.Close()); err != nil || buzzer.value != 0 || !buzzer.closed {
		t.Errorf("closed while it sounds: value %d, %v", buzzer.value, err)
	}
}

// Whether the kernel's queue or ours was too short: no hold is measured across
// the gap, and the line itself says how the button is.
func TestGapsAreTold(t *testing.T) {
	b, f := button(t, false)
	out := make(chan panel.Edge)
	go func() { _ = b.Edges(t.Context(), out) }()
	f.finger(true)
	if e := <-out; e.Lost || !e.Down {
		t.Errorf("%+v", e)
	}
	f.mu.Lock()
	f.seq += 2 // the kernel dropped two
	f.mu.Unlock()
	f.finger(true)
	if e := <-out; !e.Lost || !e.Down {
		t.Errorf("after a gap: %+v", e)
	}
	f.finger(false)
	if e := <-out; e.Lost || e.Down {
		t.Errorf("after that: %+v", e)
	}

	full, f := button(t, false)
	for i := range queued + 3 {
		f.finger(i%2 == 0)
	}
	out = make(chan panel.Edge, 2*queued)
	go func() { _ = full.Edges(t.Context(), out) }()
	lost := 0
	for range queued {
		if e := <-out; e.Lost {
			lost++
		}
	}
	f.finger(false)
	if e := <-out; lost != 1 || !e.Lost && lost == 0 {
		t.Errorf("%d of the edges of an overflow say so; the next one is %+v", lost, e)
	}
}

func TestOpenFails(t *testing.T) {
	broken := errors.New("broken")
	f := &fake{err: broken}
	if _, err := openButton(monotonic, func(func(event)) (line, error) { return f, nil }); !errors.Is(err, broken) || !f.closed {
		t.Errorf("%v, closed %v", err, f.closed)
	}
	for _, l := range []Line{{Chip: "gpiochip999"}, {Name: "paperclip-no-such-line"}} {
		if _, err := OpenButton(l); err == nil || !strings.Contains(err.Error(), "GPIO line") {
			t.Errorf("%s: %v", l, err)
		}
		if _, err := OpenOutput(l, "x"); err == nil {
			t.Errorf("%s opens", l)
		}
	}
}

// With a simulated chip (kernel module gpio-sim, set up by the VM test) the same
// contract holds through the kernel. PAPERCLIP_GPIO_SIM is the folder of the
// simulated line, PAPERCLIP_GPIO_LINE is "gpiochip0:3".
func TestContractInTheKernel(t *testing.T) {
	sim, name := os.Getenv("PAPERCLIP_GPIO_SIM"), os.Getenv("PAPERCLIP_GPIO_LINE")
	if sim == "" {
		t.Skip("needs a simulated chip (kernel module gpio-sim): make test-vm has one")
	}
	chip, offset, _ := strings.Cut(name, ":")
	l := Line{Chip: chip, Offset: int(offset[0] - '0'), Low: true}
	pull := func(down bool) {
		level := "pull-up"
		if down {
			level = "pull-down"
		}
		if err := os.WriteFile(filepath.Join(sim, "pull"), []byte(level), 0); err != nil {
			t.Error(err)
		}
	}
	paneltest.Button(t, func(t *testing.T, held bool) (panel.Button, func(bool)) {
		pull(held)
		b, err := OpenButton(l)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		return b, pull
	})
	o, err := OpenOutput(l, "status")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	paneltest.Light(t, o, "status", func() bool {
		value, err := os.ReadFile(filepath.Join(sim, "value"))
		return err == nil && strings.TrimSpace(string(value)) == "0" // lit when low
	})
}
