//go:build linux

package sysled_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/panel/paneltest"
	"github.com/paperclip-nas/paperclip/internal/device/panel/sysled"
)

// sysfs makes a directory with lights; each attribute is a plain file.
func sysfs(t *testing.T, leds map[string]map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for led, attributes := range leds {
		if err := os.Mkdir(filepath.Join(dir, led), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, value := range attributes {
			if err := os.WriteFile(filepath.Join(dir, led, name), []byte(value), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func value(t *testing.T, parts ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const status = "nas:green:status"

func TestContract(t *testing.T) {
	dir := sysfs(t, map[string]map[string]string{status: {
		"brightness": "0\n", "max_brightness": "255\n", "trigger": "[none] timer disk-activity\n",
	}})
	l, err := sysled.Open(dir, map[string]string{"status": status})
	if err != nil {
		t.Fatal(err)
	}
	paneltest.Light(t, l, "status", func() bool { return value(t, dir, status, "brightness") == "255" })
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// A light that something else drives is borrowed and given back.
func TestALightIsGivenBack(t *testing.T) {
	for _, c := range []struct {
		name              string
		trigger, during   string
		after, brightness string
	}{
		{"driven by a trigger", "none [disk-activity] timer\n", "none", "disk-activity", "12"},
		{"driven by nothing", "[none] timer\n", "[none] timer\n", "[none] timer\n", "12"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := sysfs(t, map[string]map[string]string{
				status:     {"brightness": "12\n", "max_brightness": "15\n", "trigger": c.trigger},
				"nas:idle": {"brightness": "7\n", "max_brightness": "15\n", "trigger": c.trigger},
			})
			l, err := sysled.Open(dir, map[string]string{"status": status, "idle": "nas:idle"})
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // usable again after Close
				if err := l.Set("status", true); err != nil {
					t.Fatal(err)
				}
				if got := value(t, dir, status, "brightness"); got != "15" {
					t.Errorf("brightness is %q, want full", got)
				}
				if got := value(t, dir, status, "trigger"); got != c.during {
					t.Errorf("trigger is %q while borrowed, want %q", got, c.during)
				}
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				if got := value(t, dir, status, "trigger"); got != c.after {
					t.Errorf("trigger is %q after, want %q", got, c.after)
				}
				if got := value(t, dir, status, "brightness"); got != c.brightness {
					t.Errorf("brightness is %q after, want %q", got, c.brightness)
				}
				// a plain file lists no triggers: as sysfs would show it again
				if err := os.WriteFile(filepath.Join(dir, status, "trigger"), []byte(c.trigger), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got := value(t, dir, "nas:idle", "brightness") + value(t, dir, "nas:idle", "trigger"); got != "7\n"+c.trigger {
				t.Errorf("a light that was never set was changed: %q", got)
			}
		})
	}
}

func TestAKernelWithoutTriggers(t *testing.T) {
	dir := sysfs(t, map[string]map[string]string{status: {"brightness": "1\n", "max_brightness": "1\n"}})
	l, err := sysled.Open(dir, map[string]string{"status": status})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Set("status", false); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if got := value(t, dir, status, "brightness"); got != "1" {
		t.Errorf("brightness is %q after, want 1", got)
	}
	if _, err := os.Stat(filepath.Join(dir, status, "trigger")); err == nil {
		t.Error("it made a file")
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := sysfs(t, map[string]map[string]string{status: {"brightness": "1", "max_brightness": "zero"}})
	for _, name := range []string{"", "..", "../" + status, "no:such:led", status} {
		if _, err := sysled.Open(dir, map[string]string{"status": name}); err == nil {
			t.Errorf("a light called %q was accepted", name)
		}
	}
	l, err := sysled.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Set("status", true); err == nil {
		t.Error("a light that the panel does not have was set")
	}
}
