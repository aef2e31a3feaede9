//go:build linux

package journal_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/journal"
	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/networkd"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ports"
	"github.com/paperclip-nas/paperclip/internal/device/setting/samba"
	"github.com/paperclip-nas/paperclip/internal/device/setting/samba/sambatest"
	"github.com/paperclip-nas/paperclip/internal/device/setting/shadow"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/scratch"
)

// The crash suite: a child process with the real adapters over files on disk is
// killed (SIGKILL) at every place of a run, and started again. Promise 1: the
// settings are then all old or all new.
//
// The child is this test binary, started again. It is told by its environment
// what to do (job).

var crashAll = flag.Bool("crash.all", false, "kill again at every place of every recovery, not at a sample (hours)")

// crashEvery keeps a plain `go test` short: it is killed at every twelfth place.
// `make kill` is killed at each.
var crashEvery = flag.Int("crash.every", 12, "be killed at every nth place")

const jobVariable = "PAPERCLIP_CRASH_JOB"

// job is what one child does.
type job struct {
	Root     string
	Begin    bool      // accept the prepared record; else start as after a power cut
	Kill     *killedAt // nil: run to the end
	Hopeless bool      // verifying the last step never succeeds, so all goes back
	Broken   bool      // an adapter whose undo does nothing: the suite must see it
	Boot     string    // which start of the system this is
	Record   string    // file for the places of the run
}

// killedAt is a place in a run. Torn: in the middle of writing, half done.
type killedAt struct {
	opfs.Point
	Torn bool
}

func (k killedAt) String() string {
	if k.Torn {
		return "in the middle of " + strings.TrimPrefix(k.Point.String(), "before ")
	}
	return k.Point.String()
}

func TestMain(m *testing.M) {
	if text := os.Getenv(jobVariable); text != "" {
		var j job
		if err := json.Unmarshal([]byte(text), &j); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		if err := j.child(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// networkctl makes the stand-in for networkd's state follow the files. It is no
// program of Go's: thousands are started, and a shell is there at once.
const networkctl = `#!/bin/sh
root=${0%/*}
file=/etc/systemd/network/10-lan.network
ours=/etc/systemd/network/05-paperclip-reset-eth0.network
if [ -e "$root$ours" ]; then file=$ours; fi
printf 'ADMIN_STATE=configured\nNETWORK_FILE=%s\n' "$file" > "$root/run/systemd/netif/links/2"
`

// die ends this process as a power cut does: nothing is cleaned up.
func die() error {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// child is the whole life of the process under test.
func (j job) child() error {
	var rec opfs.Recorder
	hook := opfs.Hook(rec.Hook)
	if j.Kill != nil && !j.Kill.Torn {
		hook = opfs.At(j.Kill.Point, die)
	}
	fsys := opfs.OS(hook)
	if j.Kill != nil && j.Kill.Torn {
		fsys = &tearing{FS: fsys, at: j.Kill.Point}
	}
	err := j.work(fsys, hook)
	if j.Record != "" && err == nil {
		data, err := json.Marshal(rec.Points())
		if err != nil {
			return err
		}
		return os.WriteFile(j.Record, data, 0o600)
	}
	return err
}

// work is what the device's processes do: the core accepts and carries out;
// after a power cut the recovery unit does the files, then core the rest.
func (j job) work(fsys opfs.FS, hook opfs.Hook) error {
	ctx := context.Background()
	jn := journal.New(fsys, filepath.Join(j.Root, "var/lib/paperclip"))
	jn.Pause, jn.Boot = 0, clock.BootOf(clock.System(), j.Boot)
	var ps []journal.Participant
	for _, a := range adapters(j.Root, fsys, hook) {
		ps = append(ps, &stepwise{Participant: a, hook: hook, job: j})
	}
	if j.Begin {
		data, err := os.ReadFile(filepath.Join(j.Root, "record.json"))
		if err != nil {
			return err
		}
		var r journal.Record
		if err := json.Unmarshal(data, &r); err != nil {
			return err
		}
		if err := jn.Accept(r); err != nil {
			return err
		}
	} else if err := jn.RecoverFiles(ctx, ps); err != nil {
		return err
	}
	r, err := jn.Open()
	if err != nil || r == nil {
		return err
	}
	result, err := jn.Run(ctx, r, ps, nil)
	if err != nil || result.State != journal.OnTrial {
		return err
	}
	if err := jn.Decide(r, true, ""); err != nil {
		return err
	}
	_, err = jn.Run(ctx, r, ps, nil)
	return err
}

// stepwise makes the time between the steps and the marks a place of its own.
type stepwise struct {
	journal.Participant
	hook opfs.Hook
	job  job
}

func (s *stepwise) around(action string, st reset.Step, do func(context.Context, reset.Step) error) error {
	return s.hook.Around("step."+action+"."+s.ID(), func() error { return do(context.Background(), st) })
}

func (s *stepwise) Persist(_ context.Context, st reset.Step) error {
	return s.around("persist", st, s.Participant.Persist)
}

func (s *stepwise) Activate(_ context.Context, st reset.Step) error {
	return s.around("activate", st, s.Participant.Activate)
}

func (s *stepwise) Verify(_ context.Context, st reset.Step) error {
	if s.job.Hopeless && s.ID() == networkd.ID {
		return fmt.Errorf("told to fail: %w", setting.ErrPermanent)
	}
	return s.around("verify", st, s.Participant.Verify)
}

func (s *stepwise) Undo(_ context.Context, st reset.Step) error {
	if s.job.Broken && s.ID() == samba.ID {
		return nil
	}
	return s.around("undo", st, s.Participant.Undo)
}

// tearing is a file system on which one write ends half way, with the process.
type tearing struct {
	opfs.FS
	at   opfs.Point
	seen int
}

func (f *tearing) CreateExclusive(op, path string, perm fs.FileMode) (opfs.File, error) {
	file, err := f.FS.CreateExclusive(op, path, perm)
	return &tearingFile{file, f}, err
}

type tearingFile struct {
	opfs.File
	fs *tearing
}

func (f *tearingFile) Write(op string, p []byte) (int, error) {
	if op == f.fs.at.Op {
		if f.fs.seen++; f.fs.seen == f.fs.at.Nth {
			if _, err := f.File.Write(op, p[:len(p)/2]); err != nil {
				return 0, err
			}
			return 0, die()
		}
	}
	return f.File.Write(op, p)
}

func adapters(root string, fsys opfs.FS, hook opfs.Hook) []setting.Adapter {
	below := opfs.Under(root, fsys)
	return []setting.Adapter{
		shadow.New(shadow.Config{FS: below, Clock: clock.System(), Rand: rand.Reader}),
		samba.New(samba.Config{Runner: sambatest.Runner(hook), Clock: clock.System(), ConfigFile: filepath.Join(root, "etc/samba/smb.conf"), Pdbedit: sambatest.Path, Python: sambatest.Path}),
		ports.New(below, func(context.Context, nas.Ports) error { return nil }),
		networkd.New(networkd.Config{FS: below, Runner: opfs.Exec(hook), Networkctl: filepath.Join(root, "networkctl")}),
	}
}

const (
	oldHash   = "$6$somesaltsomesalt$OldHashOldHashOldHash"
	oldNTHash = "5C54B3EE4C8287D5A795C0A58FE8201A"
)

// prepare makes a system with all four settings, and a record that changes them.
func prepare(t *testing.T, root, self string, l life) {
	t.Helper()
	for path, content := range map[string]string{
		"etc/passwd":                         "root:x:0:0::/root:/bin/sh\nanna:x:1000:1000::/home/anna:/bin/sh\nben:x:1001:1001::/home/ben:/bin/sh\n",
		"etc/group":                          "sudo:x:27:anna\n",
		"etc/shadow":                         "root:*:19000:0:99999:7:::\n# kept\nanna:" + oldHash + ":19000:0:99999:7:::\nben:$6$x$BensHash:19000:0:99999:7:::\n",
		"etc/.pwd.lock":                      "",
		"etc/samba/smb.conf":                 "[global]\n",
		"etc/samba/smb.conf.passdb":          "anna:1000:XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX:" + oldNTHash + ":[U          ]:LCT-6B028451:\nben:1001:XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX:A9F0DD57E1EDAB5BB55A9AC0A99C15EC:[U          ]:LCT-6B028451:\n",
		"etc/paperclip/ports.toml":           "http = 80\nforce_https = true\n",
		"etc/systemd/network/10-lan.network": "[Match]\nName=eth0\n[Network]\nAddress=192.168.77.5/24\n",
		"run/systemd/netif/state":            "",
		"sys/class/net/eth0/type":            "1\n",
		"sys/class/net/eth0/ifindex":         "2\n",
		"sys/class/net/eth0/device/vendor":   "\n",
		"run/systemd/netif/links/2":          "ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/10-lan.network\n",
		"srv/music/song":                     "data that no reset touches",
	} {
		full := filepath.Join(root, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(content), 0o640)); err != nil {
			t.Fatal(err)
		}
	}
	tool := filepath.Join(t.TempDir(), "networkctl")
	if err := errors.Join(
		os.WriteFile(tool, []byte(networkctl), 0o755),
		os.Symlink(self, filepath.Join(root, "self")), os.Symlink(tool, filepath.Join(root, "networkctl")),
	); err != nil {
		t.Fatal(err)
	}
	r := journal.Record{ID: "crash", PlanHash: "00", Plan: json.RawMessage(`{}`)}
	if l.trial {
		r.Trial = &journal.Trial{For: time.Hour, Start: firstStart}
	}
	for _, a := range adapters(root, opfs.OS(nil), nil) {
		steps, err := a.Prepare(t.Context(), setting.Request{
			Mode: l.mode, Scope: map[reset.Mode]reset.Scope{reset.Soft: reset.All}[l.mode],
			Administrator: "anna", Password: access.NewSecret("four words quite apart"),
		})
		if err != nil || len(steps) == 0 {
			t.Fatalf("%s: steps %v, %v", a.ID(), steps, err)
		}
		r.Steps = append(r.Steps, steps...)
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "record.json"), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// bed is the system before, and what it looks like all old and all new.
type bed struct {
	template string
	old, new string
	hopeless bool
	broken   bool
	runs     atomic.Int64
	olds     atomic.Int64
	news     atomic.Int64
}

func newBed(t *testing.T, self string, l life) *bed {
	b := &bed{template: scratch.Dir(t), hopeless: l.hopeless}
	prepare(t, b.template, self, l)
	b.old = look(t, b.template)
	full := b.fresh(t)
	if killed, err := b.start(t, job{Root: full, Begin: true}, false); killed || err != nil {
		t.Fatalf("an undisturbed run: killed %t, %v", killed, err)
	}
	if b.new = look(t, full); b.new == b.old {
		t.Fatal("an undisturbed run changes nothing")
	}
	return b
}

// binary is what a child runs: this test binary; or one built without the race
// detector, which would make thousands of short processes ten times as slow and
// has nothing to find in one goroutine.
func binary(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if !raceDetector {
		return self
	}
	out := filepath.Join(t.TempDir(), "journal.test")
	if text, err := exec.Command("go", "test", "-c", "-vet=off", "-race=false", "-o", out, ".").CombinedOutput(); err != nil {
		t.Logf("children run with the race detector, slowly: %v: %s", err, text)
		return self
	}
	return out
}

// fresh copies the system.
func (b *bed) fresh(t *testing.T) string {
	t.Helper()
	root := filepath.Join(scratch.Dir(t), "root")
	if err := copyTree(b.template, root); err != nil {
		t.Fatal(err)
	}
	return root
}

func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		switch {
		case d.IsDir():
			return os.MkdirAll(target, 0o755)
		case d.Type()&fs.ModeSymlink != 0:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(link, target)
		}
		data, err1 := os.ReadFile(path)
		info, err2 := d.Info()
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		return errors.Join(os.WriteFile(target, data, 0o600), os.Chmod(target, info.Mode()))
	})
}

// look is every file of the system with mode and content, but the journal's own
// and the record that the test prepared.
func look(t *testing.T, root string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		rel := strings.TrimPrefix(path, root)
		if err != nil || strings.HasPrefix(rel, "/var") || rel == "/record.json" {
			return err
		}
		info, err := d.Info()
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%s %v %q\n", rel, info.Mode(), data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// start runs one child to its end, or to where it is killed.
func (b *bed) start(t *testing.T, j job, hopeless bool) (killed bool, err error) {
	t.Helper()
	b.runs.Add(1)
	j.Hopeless, j.Broken, j.Boot = hopeless, b.broken, "after a cut"
	if j.Begin {
		j.Boot = firstStart
	}
	text, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(filepath.Join(j.Root, "self"))
	c.Env = append(os.Environ(), jobVariable+"="+string(text), "GOMAXPROCS=1", "GOGC=off") // short lives
	var stderr bytes.Buffer
	c.Stderr = &stderr
	err = c.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signal() == syscall.SIGKILL {
			return true, nil
		}
		return false, fmt.Errorf("%w: %s", err, stderr.Bytes())
	}
	return false, err
}

// places runs one child to its end and lists the places where it can be killed.
func (b *bed) places(t *testing.T, j job) []killedAt {
	t.Helper()
	j.Record = filepath.Join(t.TempDir(), "places")
	if killed, err := b.start(t, j, b.hopeless); killed || err != nil {
		t.Fatalf("a recorded run: killed %t, %v", killed, err)
	}
	data, err := os.ReadFile(j.Record)
	if err != nil {
		t.Fatal(err)
	}
	var points []opfs.Point
	if err := json.Unmarshal(data, &points); err != nil {
		t.Fatal(err)
	}
	var all []killedAt
	for _, p := range points {
		all = append(all, killedAt{Point: p})
		if strings.HasSuffix(p.Op, ".write") && p.When == opfs.Before {
			all = append(all, killedAt{p, true})
		}
	}
	return all
}

// judge looks at a system after its recovery: all old or all new, nothing left
// to do, nothing left over.
func (b *bed) judge(t *testing.T, root string) error {
	t.Helper()
	switch now := look(t, root); {
	case now == b.old:
		b.olds.Add(1)
	case now == b.new && !b.hopeless:
		b.news.Add(1)
	default:
		return fmt.Errorf("neither all old nor all new:\n%s", now)
	}
	var rec opfs.Recorder
	j := job{Root: root}
	if err := j.work(opfs.OS(rec.Hook), rec.Hook); err != nil || len(rec.Ops()) > 0 {
		return fmt.Errorf("starting again is not a no-op: %v, %v", rec.Ops(), err)
	}
	entries, err := os.ReadDir(filepath.Join(root, "var/lib/paperclip"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(root, "var/lib/paperclip", e.Name()))
		if err != nil {
			return err
		}
		if bytes.Contains(data, []byte(oldHash)) || bytes.Contains(data, []byte(oldNTHash)) {
			return fmt.Errorf("an undo image is left in %s", e.Name())
		}
	}
	return nil
}

// killAndStart is one case: killed at a place, started again, judged.
func (b *bed) killAndStart(t *testing.T, root string, j job) {
	t.Helper()
	j.Root = root
	killed, err := b.start(t, j, b.hopeless)
	if !killed {
		t.Fatalf("%s: the run went past it: %v", j.Kill, err)
	}
	if killed, err := b.start(t, job{Root: root}, b.hopeless); killed || err != nil {
		t.Fatalf("%s: starting again: killed %t, %v", j.Kill, killed, err)
	}
	if err := b.judge(t, root); err != nil {
		t.Fatalf("%s: %v", j.Kill, err)
	}
}

func TestKilledAtEveryOperation(t *testing.T) {
	self := binary(t)
	for _, l := range lives() {
		each := *crashEvery
		if each > 1 && l.mode == reset.Hard { // the short run is for what is common
			each *= 3
		}
		t.Run(l.name, func(t *testing.T) {
			b := newBed(t, self, l)
			places := b.places(t, job{Root: b.fresh(t), Begin: true})
			t.Run("places", func(t *testing.T) {
				for i, p := range places {
					if i%each != 0 {
						continue
					}
					t.Run(fmt.Sprint(i), func(t *testing.T) {
						t.Parallel()
						b.killAndStart(t, b.fresh(t), job{Begin: true, Kill: &p})
					})
				}
			})
			t.Logf("%d places to be killed at, of which each %d. was tried, %d processes, ended %d times all old, %d times all new",
				len(places), each, b.runs.Load(), b.olds.Load(), b.news.Load())
			if b.olds.Load() == 0 || !l.hopeless && b.news.Load() == 0 {
				t.Error("only one end was ever reached: this test cannot fail")
			}
		})
	}
}

// Killed, and killed again while recovering: at a sample of the first places,
// and of the second; all of them with -crash.all.
func TestKilledAgainWhileRecovering(t *testing.T) {
	if *crashEvery > 1 && !*crashAll {
		t.Skip("long: make kill runs it")
	}
	self := binary(t)
	firstEach, secondEach := 79, 11
	if *crashAll {
		firstEach, secondEach = 1, 1
	}
	for _, l := range lives() {
		t.Run(l.name, func(t *testing.T) {
			hopeless, b := l.hopeless, newBed(t, self, l)
			var cases atomic.Int64
			places := b.places(t, job{Root: b.fresh(t), Begin: true})
			t.Run("places", func(t *testing.T) {
				for i := firstEach / 2; i < len(places); i += firstEach {
					t.Run(fmt.Sprint(i), func(t *testing.T) {
						t.Parallel()
						cut := &bed{template: b.fresh(t), old: b.old, new: b.new, hopeless: hopeless}
						if killed, err := b.start(t, job{Root: cut.template, Begin: true, Kill: &places[i]}, hopeless); !killed {
							t.Fatalf("%s: the run went past it: %v", places[i], err)
						}
						second := cut.places(t, job{Root: cut.fresh(t)})
						for k := i % secondEach; k < len(second); k += secondEach {
							cut.killAndStart(t, cut.fresh(t), job{Kill: &second[k]})
							cases.Add(1)
						}
					})
				}
			})
			t.Logf("%d pairs of places", cases.Load())
			if cases.Load() == 0 {
				t.Error("no pair was tried")
			}
		})
	}
}

// The suite sees an adapter that does not take its change back.
func TestTheSuiteSeesAHalfState(t *testing.T) {
	self, err := os.Executable() // for three processes: none is built for them
	if err != nil {
		t.Fatal(err)
	}
	b := newBed(t, self, lives()[1])
	b.broken = true
	root := b.fresh(t)
	if killed, err := b.start(t, job{Root: root, Begin: true}, true); killed || err != nil {
		t.Fatalf("killed %t, %v", killed, err)
	}
	if err := b.judge(t, root); err == nil || !strings.Contains(err.Error(), "neither all old nor all new") {
		t.Errorf("judged %v", err)
	}
}
