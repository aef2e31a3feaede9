package crash

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/opfs/crashfs"
)

// Bad input and bad disks: a clear problem of the catalogue, and nothing changed
// or all of it, whatever is wrong.

// faults is a disk on which operations fail.
type faults struct {
	opfs.FS
	mu   sync.Mutex
	seen []string // operations, in order
	fail func(n int, op, path string) error
}

func (f *faults) at(op, path string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, op)
	if f.fail == nil {
		return nil
	}
	if err := f.fail(len(f.seen), op, path); err != nil {
		return &fs.PathError{Op: op, Path: path, Err: err}
	}
	return nil
}

func (f *faults) set(fail func(n int, op, path string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen, f.fail = nil, fail
}

func (f *faults) CreateExclusive(op, path string, perm fs.FileMode) (opfs.File, error) {
	if err := f.at(op, path); err != nil {
		return nil, err
	}
	file, err := f.FS.CreateExclusive(op, path, perm)
	return faultyFile{file, f, path}, err
}

func (f *faults) Rename(op, from, to string) error {
	if err := f.at(op, to); err != nil {
		return err
	}
	return f.FS.Rename(op, from, to)
}

func (f *faults) Remove(op, path string) error {
	if err := f.at(op, path); err != nil {
		return err
	}
	return f.FS.Remove(op, path)
}

func (f *faults) MkdirAll(op, path string, perm fs.FileMode) error {
	if err := f.at(op, path); err != nil {
		return err
	}
	return f.FS.MkdirAll(op, path, perm)
}

type faultyFile struct {
	opfs.File
	disk *faults
	path string
}

func (f faultyFile) Write(op string, p []byte) (int, error) {
	if err := f.disk.at(op, f.path); err != nil {
		return 0, err
	}
	return f.File.Write(op, p)
}

// broken is a linux NAS on a disk with faults, without some of its programs.
func broken(t *testing.T, change func(map[string]string), missing ...string) (*crashfs.Disk, *faults, core.Config) {
	t.Helper()
	k := linux()
	files := k.files
	k.files = func(t testing.TB) map[string]string {
		all := files(t)
		if change != nil {
			change(all)
		}
		return all
	}
	d := k.install(t, crashfs.Ordered)
	f := &faults{FS: d}
	cfg, err := k.config(d, forward)
	if err != nil {
		t.Fatal(err)
	}
	cfg.FS, cfg.Adapters = f, linuxAdapters(f, without{programs{d}, missing}, false)
	return d, f, cfg
}

// without is a system on which programs are not installed.
type without struct {
	opfs.Runner
	missing []string
}

func (w without) Run(ctx context.Context, op string, c opfs.Command) (opfs.Output, error) {
	if slices.Contains(w.missing, c.Path) {
		return opfs.Output{}, fmt.Errorf("%s: %w", c.Path, opfs.ErrNoCommand)
	}
	return w.Runner.Run(ctx, op, c)
}

// isClear reports whether an error is one for people: of the catalogue, with
// what to do.
func isClear(err error) bool {
	p, ok := errors.AsType[catalog.Problem](err)
	return err == nil || ok && p.Text != "" && p.WhatToDo != ""
}

// Configuration that was cut off, at many places, or is garbage.
func TestHalfWrittenFiles(t *testing.T) {
	everything := setting.Request{Mode: reset.Soft, Scope: reset.All, Administrator: anna, Password: access.NewSecret(newPassword)}
	for _, k := range []kind{linux(), ifupdowns(), managers()} {
		refused, carried := 0, 0
		for name, whole := range k.files(t) {
			if (!strings.HasPrefix(name, "/etc/") && !strings.HasPrefix(name, "/sys/")) || whole == "" || strings.HasSuffix(name, ".passdb") {
				continue
			}
			for i := range 9 {
				if !*full && !*sample && i%4 > 0 { // with the race detector each costs eight times as much
					continue
				}
				text := whole[:len(whole)*i/9]
				if i == 8 {
					text = "\x00\xff[" + whole
				}
				d := k.install(t, crashfs.Ordered)
				put(d, name, text)
				all, _, err := k.adapters(d)
				if err != nil {
					t.Fatal(err)
				}
				before := looks(d)
				_, err = core.MakePlan(t.Context(), all, reset.Request{Device: "cellar", Mode: reset.Soft, Scope: reset.All, Administrator: anna})
				if !isClear(err) {
					t.Errorf("%s, part %d: the plan: %v", name, i, err)
				}
				for _, a := range all {
					if keeper, ok := a.(setting.Keeper); ok {
						_, _ = keeper.Save(t.Context())
					}
					steps, err := a.Prepare(t.Context(), everything)
					if looks(d) != before {
						t.Fatalf("%s, part %d: preparing %s changed something", name, i, a.ID())
					}
					if err != nil {
						refused++
						continue
					}
					for _, st := range steps {
						if err := a.Persist(t.Context(), st); err == nil {
							carried++
						}
						if err := a.Undo(t.Context(), st); err != nil && !errors.Is(err, setting.ErrThirdValue) {
							t.Errorf("%s, part %d: undo of %s: %v", name, i, st.Name, err)
						}
					}
					if looks(d) != before {
						t.Fatalf("%s, part %d: %s is not as before\n%s", name, i, a.ID(), difference(before, looks(d)))
					}
				}
			}
		}
		t.Logf("%s: %d refused, %d carried out and undone", k.name, refused, carried)
		if refused == 0 || carried == 0 {
			t.Error("this test could not fail")
		}
	}
}

// A disk that fills up, or is read-only from some point on: all old, or all new
// once there is room; and no step is taken on a disk that cannot be written.
func TestDisksThatCannotBeWritten(t *testing.T) {
	full := func(op string) bool {
		return strings.HasSuffix(op, ".create") || strings.HasSuffix(op, ".write") || strings.HasSuffix(op, ".mkdir")
	}
	for name, fault := range map[string]struct {
		errno syscall.Errno
		hits  func(string) bool
	}{"full": {syscall.ENOSPC, full}, "read-only": {syscall.EROFS, func(string) bool { return true }}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, f, cfg := broken(t, nil)
				old := looks(d)
				if _, err := attempt(t, cfg, f, nil); err != nil {
					t.Fatal(err)
				}
				ops, renewed := len(f.seen), looks(d)
				step := 11
				if *thorough() {
					step = 1
				}
				olds, news := 0, 0
				for from := 1; from <= ops; from += step {
					d, f, cfg := broken(t, nil)
					problem, err := attempt(t, cfg, f, func(n int, op, _ string) error {
						if n >= from && fault.hits(op) {
							return fault.errno
						}
						return nil
					})
					if _, told := errors.AsType[catalog.Problem](err); err != nil && !told && !strings.Contains(err.Error(), "no code was heard") {
						t.Errorf("from operation %d of %d: %v", from, ops, err)
					}
					if problem != nil && !isClear(*problem) {
						t.Errorf("from operation %d of %d: %v", from, ops, problem)
					}
					f.set(nil) // there is room again, and the system starts
					dev, err := power(t.Context(), cfg)
					if err != nil {
						t.Fatalf("from operation %d of %d, started again: %v", from, ops, explain(err))
					}
					dev.stop()
					switch now := looks(d); {
					case now == old:
						olds++
					case settled(now) == settled(renewed):
						news++
					default:
						t.Fatalf("from operation %d of %d: half a reset\n%s", from, ops, difference(old, now))
					}
					if err := linux().doors().open(d); err != nil {
						t.Fatalf("from operation %d of %d: %v", from, ops, err)
					}
				}
				t.Logf("%d operations; ended all old %d, all new %d times", ops, olds, news)
				if olds == 0 {
					t.Error("this test could not fail")
				}
			})
		})
	}
}

// thorough is -crash.full: full is a fault here.
func thorough() *bool { return full }

// settled is a look without hashes: each reset mints another.
func settled(look string) string {
	var kept []string
	for line := range strings.Lines(look) {
		if strings.HasPrefix(line, anna+":") {
			line = anna
		}
		kept = append(kept, line)
	}
	return strings.Join(kept, "")
}

// attempt starts core and does one claim of everything, in which faults begin
// once core has started. It returns what the reset ended with, and how the claim went.
func attempt(t *testing.T, cfg core.Config, f *faults, fail func(int, string, string) error) (problem *catalog.Problem, err error) {
	t.Helper()
	dev, err := power(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.stop()
	f.set(fail)
	var mu sync.Mutex
	err = dev.claim(t.Context(), reset.All, func(change func(*told)) {
		mu.Lock()
		defer mu.Unlock()
		var x told
		change(&x)
		if x.problem != nil {
			problem = x.problem
		}
	})
	return problem, err
}

// A program that is not installed, each in turn.
func TestMissingTools(t *testing.T) {
	for _, tool := range []string{"systemctl", "pdbedit", "/usr/bin/python3", "networkctl", "ufw", "nft", "systemd-run", "testparm"} {
		synctest.Test(t, func(t *testing.T) {
			d, f, cfg := broken(t, nil, tool)
			old := looks(d)
			problem, err := attempt(t, cfg, f, nil)
			if !isClear(err) {
				t.Errorf("without %s: %v", tool, err)
			}
			switch now := looks(d); {
			case (err != nil || problem != nil) && now != old:
				t.Errorf("without %s: it failed, and something is changed: %v, %v\n%s", tool, err, problem, difference(old, now))
			case err == nil && problem == nil && now == old:
				t.Errorf("without %s: it was done, and nothing is changed", tool)
			case tool == "/usr/bin/python3" && err == nil && problem == nil:
				t.Error("done, and the old password still opens the shares: Samba's could not be replaced")
			}
			t.Logf("without %s: %v, %v", tool, err, problem)
		})
	}
}

// /etc/shadow that is a mount of its own, as on NAS whose /etc is a RAM disk.
func TestBindMountedShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, f, cfg := broken(t, nil)
		old := looks(d)
		problem, err := attempt(t, cfg, f, func(_ int, _, path string) error {
			if path == "/etc/shadow" {
				return syscall.EBUSY
			}
			return nil
		})
		if err != nil || problem == nil || problem.ID != "step_failed" || !strings.Contains(problem.Text, "mount") {
			t.Errorf("%v, %v", err, problem)
		}
		if now := looks(d); now != old {
			t.Errorf("something is changed:\n%s", difference(old, now))
		}
	})
}

// An administrator with no account in Samba gets a new password all the same.
func TestAdministratorWithoutSamba(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const passdb = "/etc/samba/smb.conf.passdb"
		d, f, cfg := broken(t, func(files map[string]string) {
			_, files[passdb], _ = strings.Cut(files[passdb], "\n")
		})
		before, _ := d.ReadFile(passdb)
		if problem, err := attempt(t, cfg, f, nil); err != nil || problem != nil {
			t.Fatal(err, problem)
		}
		after, _ := d.ReadFile(passdb)
		if !signsIn(d, anna, newPassword) || !bytes.Equal(before, after) {
			t.Errorf("signs in %t; Samba's accounts were %q and are %q", signsIn(d, anna, newPassword), before, after)
		}
	})
}

// Two journals that contradict each other: the doors stay shut, and it says so.
func TestTwoJournals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var disks []*crashfs.Disk
		var cfgs []core.Config
		for range 2 {
			d, f, cfg := broken(t, nil)
			if problem, err := attempt(t, cfg, f, nil); err != nil || problem != nil {
				t.Fatal(err, problem)
			}
			disks, cfgs = append(disks, d), append(cfgs, cfg)
		}
		theirs, err := disks[1].ReadFile(stateDir + "/journal.b")
		if err != nil {
			t.Fatal(err)
		}
		put(disks[0], stateDir+"/journal.b", string(theirs))
		before := looks(disks[0])
		err = core.Recover(t.Context(), cfgs[0])
		if p, ok := errors.AsType[catalog.Problem](err); !ok || p.ID != "half_state" || !isClear(p) {
			t.Errorf("recover: %v", err)
		}
		if _, err := power(t.Context(), cfgs[0]); err == nil {
			t.Error("core starts on two journals")
		}
		if looks(disks[0]) != before {
			t.Error("something was changed")
		}
	})
}
