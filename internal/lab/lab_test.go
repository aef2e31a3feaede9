package lab_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/lab"
	"github.com/paperclip-nas/paperclip/internal/owner/discover"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
	"github.com/paperclip-nas/paperclip/internal/x/scratch"
)

// journalOf collects what the virtual devices log.
type journalOf struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journalOf) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journalOf) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

func start(t *testing.T, dir string) (*lab.Rack, *journalOf) {
	t.Helper()
	log := &journalOf{}
	rack, err := lab.Start(context.Background(), lab.Options{Dir: dir, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rack.Close() })
	return rack, log
}

// F2: the rack is found over real sockets, through the same sources and codecs
// as a LAN: our own by its announcement, a Synology by findhost, a QNAP by its
// announcement.
func TestRackIsFound(t *testing.T) {
	rack, _ := start(t, scratch.Dir(t))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	found, err := discover.Find(ctx, []discover.Source{discover.NewFindhost(rack.Findhost()...), discover.NewMDNS(rack.MDNS()...)}, discover.Options{Wait: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range found.Devices {
		names = append(names, d.Name+" "+d.Vendor)
	}
	slices.Sort(names)
	if got := strings.Join(names, ", "); got != "attic Synology, cellar Paperclip, studio QNAP" {
		t.Errorf("found %s", got)
	}
}

// The robot holds the button until the beep, and hears the code: with nothing
// but what a person has.
func TestRobotOpensAClaimAndHearsItsCode(t *testing.T) {
	rack, log := start(t, scratch.Dir(t))
	cellar, _ := rack.Named("cellar")
	robot := cellar.Robot(nil)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := robot.Press(ctx, rescue.Press{Device: "cellar", Hold: 4 * time.Second, Beeps: 1}); err != nil {
		t.Fatal(err)
	}
	code, err := robot.Hear(ctx, rescue.Hear{Device: "cellar"})
	if err != nil {
		t.Fatal(err)
	}
	counts, _ := code.(access.Code)
	for _, n := range counts {
		if n < 1 || n > 6 {
			t.Error("a count is not 1 to 6")
		}
	}
	if !strings.Contains(log.String(), "a claim is open") {
		t.Error("the press opened no claim")
	}
}

// The witness sees one byte, one mode, one name, and a file that is new.
func TestWitnessSeesEveryChange(t *testing.T) {
	rack, _ := start(t, scratch.Dir(t))
	cellar, _ := rack.Named("cellar")
	ctx := context.Background()
	files, err := filepath.Glob(filepath.Join(cellar.Volume(), "papers", "*"))
	if err != nil || len(files) < 10 {
		t.Fatalf("%v, %d files", err, len(files))
	}
	for name, alter := range map[string]func(file string) error{
		"nothing": func(string) error { return nil },
		"one byte": func(file string) error {
			raw, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			raw[17] ^= 1
			info, err := os.Stat(file)
			if err != nil {
				return err
			}
			if err := os.Chmod(file, 0o600); err != nil {
				return err
			}
			if err := os.WriteFile(file, raw, 0o600); err != nil {
				return err
			}
			return os.Chmod(file, info.Mode())
		},
		"one mode": func(file string) error { return os.Chmod(file, 0o777) },
		"one name": func(file string) error { return os.Rename(file, file+"x") },
		"one more": func(file string) error { return os.WriteFile(file+" (copy)", nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			w := cellar.Witness()
			if err := w.Before(ctx, "cellar", "anna"); err != nil {
				t.Fatal(err)
			}
			if err := alter(files[0]); err != nil {
				t.Fatal(err)
			}
			seen, err := w.After(ctx, "cellar", "anna")
			if err != nil {
				t.Fatal(err)
			}
			if *seen.OldPasswordRefused {
				t.Error("the old password is said to be refused, and nobody changed it")
			}
			if (seen.Data.Changed > 0) != (name != "nothing") || seen.Data.Files < 1000 {
				t.Errorf("%+v", *seen.Data)
			}
			if name == "one name" {
				files = files[1:]
			}
		})
	}
}

// The state is kept in the folder; two racks on one folder are refused.
func TestRackIsTheSameInItsFolder(t *testing.T) {
	dir := scratch.Dir(t)
	first, _ := start(t, dir)
	if _, err := lab.Start(context.Background(), lab.Options{Dir: dir}); catalog.AsProblem(err).ID != "lab_failed" {
		t.Errorf("a second rack on the same folder: %v", err)
	}
	key := func(r *lab.Rack) string {
		found, err := discover.Find(context.Background(), []discover.Source{discover.NewMDNS(r.MDNS()...)}, discover.Options{Wait: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range found.Devices {
			if d.Name == "cellar" {
				return d.KeyID
			}
		}
		t.Fatal("cellar is not there")
		return ""
	}
	before := key(first)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, _ := start(t, dir)
	if after := key(again); after != before || before == "" {
		t.Errorf("cellar was %s and is %s", before, after)
	}
}

func TestPlanIsMadeFromTheRealSettings(t *testing.T) {
	rack, _ := start(t, scratch.Dir(t))
	for _, n := range rack.All() {
		p, err := n.Plan(context.Background(), reset.Soft, reset.Network, "")
		if err != nil || len(p.Changes) < 3 || !strings.Contains(p.Changes[1].From, "static 192.168.1.") {
			t.Errorf("%s: %v %+v", n.Name(), err, p.Changes)
		}
	}
}
