package guided_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/ways"
	"github.com/paperclip-nas/paperclip/internal/owner/guided"
	"github.com/paperclip-nas/paperclip/internal/owner/kept"
	"github.com/paperclip-nas/paperclip/internal/owner/pins"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/scratch"
)

const testID = "abcdefgh"

// hasty is a disk that forgets nothing and takes no time to say so.
type hasty struct{ opfs.FS }

type hastyFile struct{ opfs.File }

func (hasty) SyncDir(string, string) error { return nil }
func (hastyFile) Sync(string) error        { return nil }

func (h hasty) CreateExclusive(op, path string, perm fs.FileMode) (opfs.File, error) {
	f, err := h.FS.CreateExclusive(op, path, perm)
	return hastyFile{f}, err
}

// home is a computer on which rescues are written down.
func (w *world) home(t *testing.T, dir string, p rescue.Person) guided.Config {
	t.Helper()
	disk := hasty{opfs.OS(nil)}
	known, err := pins.Open(disk, dir)
	if err != nil {
		t.Fatal(err)
	}
	settings, err := kept.Open(disk, dir)
	if err != nil {
		t.Fatal(err)
	}
	return guided.Config{
		Person: p, Finder: w, Meet: w.meet, Pins: known, Known: settings, Clock: w.clock, Rand: rand.Reader, FS: disk, Dir: filepath.Join(dir, "rescues"), ID: testID,
	}
}

// killed is a person at whose computer the power fails as a step begins or ends.
type killed struct {
	*world
	at   rescue.Name
	kind rescue.EventKind
	hit  *bool
}

func (k killed) Tell(e rescue.Event) {
	k.world.Tell(e)
	if e.Step == k.at && e.Kind == k.kind {
		*k.hit = true
		runtime.Goexit()
	}
}

// modeTwo is a NAS of which two presses take every setting, and its installer.
func modeTwo() *world {
	w := newWorld("Synology")
	w.answers[rescue.AskWay] = string(ways.Reset2)
	w.answers[guided.AskLabel] = "S1"
	w.answers[guided.AskBackup] = "yes"
	w.answers[guided.AskTryIt] = "the installer's password"
	w.onPress = func(w *world, n int) {
		if n%2 == 0 {
			w.found.Status, w.found.StatusText, w.found.Name = "configuration_lost", "Configuration lost", "DiskStation"
			w.found.Addresses = []netip.Addr{netip.MustParseAddr("192.0.2.77")}
			w.print, w.silent = theirs, 2
		}
	}
	return w
}

// A rescue that is killed as any step begins, or as it ends, goes on and gets its
// owner in; nothing secret is on the disk (R1).
func TestKilledAtEveryStep(t *testing.T) {
	worlds := map[string]func() *world{
		"mode 1": func() *world { return newWorld("Synology") }, "3 seconds": func() *world { return newWorld("QNAP") }, "mode 2": modeTwo,
		"other administrator": func() *world {
			w := newWorld("Synology")
			w.passwords["dora"] = "doras own password"
			w.settings.Accounts = append(w.settings.Accounts, nas.Account{Name: "dora", Administrator: true, Enabled: true})
			w.answers[rescue.AskWay] = string(ways.OtherAdministrator)
			w.answers[guided.AskAccount], w.answers[guided.AskTryIt] = "dora", "doras own password"
			return w
		},
	}
	for name, build := range worlds {
		hits := 0
		for _, at := range guided.Steps() {
			kinds := []rescue.EventKind{rescue.StepDone} // the next step's beginning is written down as that step
			if at == "press" || at == "set_password" {
				kinds = append(kinds, rescue.StepStarted)
			}
			for _, kind := range kinds {
				w, hit, dir := build(), false, scratch.Dir(t)
				done := false
				ended := aside(func() {
					res, err := guided.Start(t.Context(), w.home(t, dir, killed{w, at, kind, &hit}), guided.Request{Target: "attic"})
					done = err == nil && res.SignedIn
				})
				<-ended
				if !hit {
					if !done {
						t.Fatalf("%s: not killed, and not done", name)
					}
					continue // a step that this way does not have
				}
				hits++
				w.noSecret(t, dir)
				w.answers[guided.AskWasSet] = "no"
				if w.passwords["anna"] == newPassword && at != "other_administrator" && name != "other administrator" {
					w.answers[guided.AskWasSet], w.answers[guided.AskTryIt] = "yes", newPassword
				}
				if at == "sign_in" || at == "harden" || at == "put_back" {
					w.answers[guided.AskWasSet] = "yes"
					if name != "mode 2" {
						w.answers[guided.AskTryIt] = newPassword
					}
				}
				w.attempts = nil
				if !guided.Kept(opfs.OS(nil), filepath.Join(dir, "rescues"), testID) {
					t.Fatalf("%s, %s %s: nothing is written down", name, at, kind)
				}
				res, err := guided.Resume(t.Context(), w.home(t, dir, w), guided.Request{})
				w.holds(t, res, err)
				if err != nil || !res.SignedIn || res.Administrator != "anna" || res.ID != testID {
					t.Errorf("%s, killed at %s %s: %+v, %v\n%s", name, at, kind, res, err, strings.Join(w.events, "\n"))
				}
				w.noSecret(t, dir)
				again, err := guided.Resume(t.Context(), w.home(t, dir, w), guided.Request{})
				if err != nil || !again.SignedIn {
					t.Errorf("%s, killed at %s %s: what has ended is not told again: %+v, %v", name, at, kind, again, err)
				}
			}
		}
		if hits < 12 {
			t.Errorf("%s: killed at %d places only", name, hits)
		}
	}
}

// aside runs f in a goroutine of its own, which f may end.
func aside(f func()) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f()
	}()
	return ended
}

// noSecret looks through everything on the disk.
func (w *world) noSecret(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, secret := range append(slices.Clone(w.attempts), newPassword, "doras own password", "245EBE000001", "the installer's password") {
			if len(secret) > 5 && bytes.Contains(b, []byte(secret)) {
				t.Errorf("a password in %s", path)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// Interrupted before the press nothing was done: 1. After it, in part: 5. Both say
// how to go on.
func TestInterrupted(t *testing.T) {
	for at, exit := range map[rescue.Name]catalog.Exit{"choose_way": catalog.Failed, "administrator": catalog.InPart} {
		w := newWorld("Synology")
		ctx, cancel := context.WithCancel(t.Context())
		p := person{w, func(rescue.Question) (rescue.Answer, bool) { return rescue.Answer{}, false }}
		w.told = func(e rescue.Event) {
			if e.Step == at {
				cancel()
			}
		}
		_, err := guided.Start(ctx, w.home(t, scratch.Dir(t), p), guided.Request{Target: "attic"})
		if !errors.Is(err, catalog.New("interrupted")) || catalog.ExitOf(err) != exit || !strings.Contains(catalog.AsProblem(err).WhatToDo, "--resume "+testID) {
			t.Errorf("%s: %v, exit %d", at, err, catalog.ExitOf(err))
		}
		cancel()
	}
}

// A state that cannot be used is said so, and nothing is done.
func TestUnusableState(t *testing.T) {
	w := newWorld("Synology")
	dir := scratch.Dir(t)
	cfg := w.home(t, dir, w)
	if _, err := guided.Resume(t.Context(), cfg, guided.Request{}); !errors.Is(err, catalog.New("resume_unknown")) {
		t.Error(err)
	}
	if err := os.MkdirAll(filepath.Join(cfg.Dir, testID), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "{", `{"version":2}`, `{"version":1,"id":"other234"}`, `{"version":1,"id":"abcdefgh","step":"dance"}`, `{"version":1,"more":1}`} {
		if err := os.WriteFile(filepath.Join(cfg.Dir, testID, "guided.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := guided.Resume(t.Context(), cfg, guided.Request{}); !errors.Is(err, catalog.New("file_unusable")) || w.presses != 0 {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// docs/guided.md is made from the table: `UPDATE_DOCS=1 go test
// ./internal/owner/guided -run Document` writes it.
func TestDocumentIsUpToDate(t *testing.T) {
	const file = "../../../docs/guided.md"
	if os.Getenv("UPDATE_DOCS") != "" {
		if err := os.WriteFile(file, []byte(guided.Document()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || string(got) != guided.Document() {
		t.Errorf("docs/guided.md is not what the table says: UPDATE_DOCS=1 go test ./internal/owner/guided -run Document (%v)", err)
	}
}

// A computer whose disk is full once the button was held does not leave the NAS
// open with its default password: the rescue goes on, and says so.
func TestFullDiskAfterThePress(t *testing.T) {
	for _, pressed := range []bool{true, false} {
		w := newWorld("Synology")
		w.answers[guided.AskLabel] = "S1"
		dir := t.TempDir()
		cfg := w.home(t, dir, w)
		cfg.FS = hasty{opfs.OS(func(op string, when opfs.When) error {
			if when == opfs.Before && (w.presses > 0) == pressed && (pressed || strings.HasPrefix(op, "guided.state")) {
				return errors.New("no space left on device")
			}
			return nil
		})}
		cfg.Known = nil
		var err error
		if cfg.Pins, err = pins.Open(cfg.FS, dir); err != nil {
			t.Fatal(err)
		}
		res, err := guided.Start(t.Context(), cfg, guided.Request{Target: "attic"})
		switch told := strings.Contains(strings.Join(w.events, "\n"), "could not be written down"); {
		case !pressed && (!errors.Is(err, catalog.New("rescue_not_kept")) || w.presses > 0):
			t.Errorf("before the press: %v, %d presses", err, w.presses)
		case pressed && (err != nil || !res.SignedIn || !told):
			t.Errorf("after the press: %v, signed in: %v, told: %v", err, res.SignedIn, told)
		}
	}
}
