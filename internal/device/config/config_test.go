package config

import (
	"errors"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
)

func diff(want, got Config) string {
	return cmp.Diff(want, got, cmp.Exporter(func(reflect.Type) bool { return true }))
}

// What is shipped says every key with its default.
func TestTheShippedFileIsTheDefaults(t *testing.T) {
	text, err := os.ReadFile("../../../packaging/paperclip.toml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse("paperclip.toml", text)
	if err != nil {
		t.Fatal(err)
	}
	if d := diff(Default(), got); d != "" {
		t.Errorf("as shipped it is not the default:\n%s", d)
	}
	// Every key stands there, and with the comment taken off it is a valid
	// line of the very same meaning.
	var on []string
	for line := range strings.SplitSeq(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, "#"); ok && !strings.HasPrefix(rest, " ") && strings.Contains(rest, " = ") {
			line = rest
		}
		on = append(on, line)
	}
	all := strings.Join(on, "\n")
	got, err = Parse("paperclip.toml", []byte(all))
	if err != nil {
		t.Fatalf("with every key set: %v", err)
	}
	want := Default()
	want.Device.Volumes, want.Panel.Remap = []Folder{}, []ScanCode{}
	if d := diff(want, got); d != "" {
		t.Errorf("with every key set it is not the default:\n%s", d)
	}
	for _, key := range []string{"name", "admin_group", "volumes", "window", "allows", "profile", "button", "button_key", "remap", "beeper", "light", "claim_network", "virtual_cards"} {
		if !strings.Contains(all, "\n"+key+" = ") {
			t.Errorf("the key %s is not in the shipped file", key)
		}
	}
}

// A mistake is told with its line and column, and nothing starts.
func TestMistakes(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want string // within the problem's text
	}{
		"unknown key":       {"[device]\nnmae = \"cellar\"\n", `line 2, column 1: there is no setting "device.nmae"`},
		"unknown table":     {"\n\n  [devise]\nname = \"a\"\n", "line 3, column"},
		"key of no table":   {"name = \"a\"\n", `line 1, column 1: there is no setting "name"`},
		"syntax":            {"[device]\nname = cellar\n", "line 2, column 8"},
		"cut off":           {"[device", "line 1"},
		"wrong type":        {"[network]\nclaim_network = \"yes\"\n", "line 2, column 17"},
		"window too short":  {"[claim]\nwindow = \"2m59s\"\n", `line 2, column 10: "2m59s" is not from`},
		"policy unknown":    {"[claim]\nallows = \"anything\"\n", "line 2, column 10"},
		"policy of 0 hours": {"[claim]\nallows = \"wait 0h\"\n", "line 2, column 10"},
		"policy of a month": {"[claim]\nallows = \"wait 720h\"\n", "line 2, column 10"},
		"window too long":   {"[claim]\nwindow = \"61m\"\n", "line 2, column 10"},
		"window of no unit": {"[claim]\nwindow = \"15\"\n", "line 2, column 10"},
		"window a number":   {"[claim]\nwindow = 15\n", "line 2, column 10"},
		"name with bell":    {"[device]\nname = \"a\\u0007\"\n", "line 2, column 8"},
		"group":             {"[device]\nadmin_group = \"Domain Admins\"\n", "line 2, column 15"},
		"relative volume":   {"[device]\nvolumes = [\"/srv\", \"data\"]\n", "line 2, column 20"},
		"button elsewhere":  {"[panel]\nbutton = \"/etc/shadow\"\n", "line 2, column 10"},
		"gpio chip alone":   {"[panel]\nbutton = \"gpio:gpiochip0\"\n", "line 2, column 10"},
		"gpio high":         {"[panel]\nbutton = \"gpio:gpiochip0:3:high\"\n", "line 2, column 10"},
		"gpio by path":      {"[panel]\nbeeper = \"gpio:/dev/gpiochip0:3\"\n", "line 2, column 10"},
		"gpio light":        {"[panel]\nlight = \"gpio:\"\n", "line 2, column 9"},
		"button by dots":    {"[panel]\nbutton = \"/dev/input/../mem\"\n", "line 2, column 10"},
		"key":               {"[panel]\nbutton_key = \"KEY_POWER\"\n", "line 2, column 14"},
		"key number":        {"[panel]\nbutton_key = \"0x300\"\n", "line 2, column 14"},
		"name a number":     {"[device]\nname = 5\n", "line 2, column 8"},
		"a switch as text":  {"[panel]\nbutton = true\n", "line 2, column 10"},
		"a date":            {"[device]\nadmin_group = 2026-11-22\n", "line 2, column 15"},
		"a table for text":  {"[device.name]\nx = 1\n", "line 1"},
		"remap negative":    {"[panel]\nbutton = \"/dev/input/event0\"\nremap = [-1]\n", "line 3, column 10"},
		"remap on a guess":  {"[panel]\nremap = [0x58]\n", "remap needs the path"},
		"light by path":     {"[panel]\nlight = \"../../x\"\n", "line 2, column 9"},
		"profile":           {"[panel]\nprofile = \"asus\"\n", "line 2, column 11"},
		"twice":             {"[claim]\nwindow = \"3m\"\nwindow = \"4m\"\n", "line 3"},
		"too large":         {strings.Repeat("#", maxSize+1), "more than"},
	} {
		_, err := Parse("paperclip.toml", []byte(c.text))
		p := catalog.AsProblem(err)
		if p.ID != "config_invalid" || p.Exit != catalog.WrongUse || !strings.Contains(p.Text, c.want) {
			t.Errorf("%s: %s %q, want %q", name, p.ID, p.Text, c.want)
		}
	}
}

func TestVendorsProfilesAreRefused(t *testing.T) {
	for _, p := range []string{"synology", "synology-legacy", "qnap"} {
		_, err := Parse("paperclip.toml", []byte("[panel]\nprofile = \""+p+"\"\n"))
		if !errors.Is(err, catalog.New("vendor_profile")) || !strings.Contains(err.Error(), p) {
			t.Errorf("%s: %v", p, err)
		}
	}
}

func TestValues(t *testing.T) {
	c, err := Parse("x", []byte(`
[device]
name = "Größe 2"
admin_group = "wheel"
volumes = ["/srv", "/mnt/data"]
[claim]
window = "1h"
allows = "second proof"
[panel]
button = "/dev/input/by-path/platform-gpio-keys-event"
button_key = "0x211"
remap = [0x58, 89]
beeper = "none"
light = "nas:green:status"
[network]
claim_network = false
`))
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Device: Device{Name: Name{"Größe 2"}, AdminGroup: Group{"wheel"}, Volumes: []Folder{{"/srv"}, {"/mnt/data"}}},
		Claim:  Claim{Window: Window{time.Hour}, Allows: Policy{access.ButtonSecondProof}},
		Panel: Panel{
			Profile: Profile{"paperclip"}, Button: Part{"/dev/input/by-path/platform-gpio-keys-event"}, ButtonKey: Key{"0x211"},
			Remap: []ScanCode{0x58, 89}, Beeper: Part{none}, Light: Light{"nas:green:status"},
		},
		Network: Network{},
	}
	if d := diff(want, c); d != "" {
		t.Error(d)
	}
	if c.Panel.ButtonKey.Code() != 0x211 || (Key{"KEY_RESTART"}).Code() != 408 || c.Panel.Beeper.Path() != "" || !c.Panel.Beeper.None() || c.Panel.Button.Path() == "" {
		t.Error("a key or part reads wrongly")
	}
}

type unreadable struct{}

func (unreadable) ReadFile(string) ([]byte, error) { return nil, fs.ErrPermission }

func TestLoad(t *testing.T) {
	c, err := Load(fstest.MapFS{}, "etc/paperclip.toml")
	if err != nil || diff(Default(), c) != "" {
		t.Errorf("a missing file: %v %+v", err, c)
	}
	if _, err := Load(unreadable{}, "etc/paperclip.toml"); !errors.Is(err, catalog.New("config_invalid")) || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a file that cannot be read: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "[device]\nname = \"a\"", "[claim]\nwindow = \"15m\"", "[panel]\nremap = [1]\nbutton=\"/dev/input/event0\"", "a = 1", "[[device]]", "\xff", "device = {name = 'x'}", "[device]\nname = 2026-11-22", "[device]\nname = [[]]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse("x", text)
		if err != nil {
			p := catalog.AsProblem(err)
			if p.ID != "config_invalid" && p.ID != "vendor_profile" {
				t.Errorf("%q: %v", text, err)
			}
			for _, r := range p.Text {
				if r < ' ' {
					t.Errorf("%q: %q moves a terminal", text, p.Text)
				}
			}
			return
		}
		if w := c.Claim.Window.Duration(); w < 3*time.Minute || w > time.Hour {
			t.Errorf("%q: a window of %s", text, w)
		}
		if c.Panel.Profile.text != "paperclip" || len(c.Device.Name.String()) > 63 || c.Panel.ButtonKey.Code() == 0 {
			t.Errorf("%q: %+v", text, c)
		}
	})
}

func TestGPIOLines(t *testing.T) {
	c, err := Parse("x", []byte("[panel]\nbutton = \"gpio:gpiochip0:3:low\"\nbeeper = \"gpio:BUZZER\"\nlight = \"gpio:gpiochip12:40\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []struct {
		gpio func() (Line, bool)
		want Line
	}{
		{c.Panel.Button.GPIO, Line{Chip: "gpiochip0", Offset: 3, Low: true}},
		{c.Panel.Beeper.GPIO, Line{Name: "BUZZER"}},
		{c.Panel.Light.GPIO, Line{Chip: "gpiochip12", Offset: 40}},
	} {
		if got, ok := part.gpio(); !ok || got != part.want {
			t.Errorf("%+v, want %+v", got, part.want)
		}
	}
	if c.Panel.Button.Path() != "" || c.Panel.Light.LED() != "" || !c.Panel.Button.Named() || c.Panel.Light.None() {
		t.Errorf("a line is taken for a device: %+v", c.Panel)
	}
	if _, ok := Default().Panel.Button.GPIO(); ok || Default().Panel.Button.Named() {
		t.Error("the default is a line")
	}
}
