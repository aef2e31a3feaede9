//go:build linux

package crash

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/journal"
	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/networkd"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ports"
	"github.com/paperclip-nas/paperclip/internal/device/setting/shadow"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

var benchDir = flag.String("bench.dir", "", "a folder on the disk to measure (the temporary folder, or where that is in memory, this package's)")

// BenchmarkReset measures journal and files of a reset of everything, accepted
// to committed, on a real disk. Beside it, in turn: its fsyncs alone, each on as
// many bytes, as new files that take the old one's name. Programs (Samba,
// networkctl) are stood in for by nothing and cost nothing here.
func BenchmarkReset(b *testing.B) {
	dir := realDisk(b)
	var times, floors []time.Duration
	var ops []wrote
	for b.Loop() {
		took, did := benchReset(b, dir)
		times, ops = append(times, took), did
		floors = append(floors, benchFloor(b, dir, did))
	}
	syncs := 0
	for _, o := range ops {
		if o.what == "sync" || o.what == "syncdir" {
			syncs++
		}
	}
	took, floor := median(times), median(floors)
	b.ReportMetric(float64(took)/1e6, "ms/reset")
	b.ReportMetric(float64(floor)/1e6, "ms/floor")
	b.ReportMetric(float64(took)/float64(floor), "×floor")
	b.ReportMetric(float64(syncs), "fsyncs")
	b.ReportMetric(0, "ns/op")
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// realDisk is a folder that is not in memory.
func realDisk(b *testing.B) string {
	const tmpfs = 0x01021994
	parent := *benchDir
	if parent == "" {
		var st syscall.Statfs_t
		if parent = os.TempDir(); syscall.Statfs(parent, &st) != nil || st.Type == tmpfs {
			parent = "."
		}
	}
	dir, err := os.MkdirTemp(parent, "paperclip-bench-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	if dir, err = filepath.Abs(dir); err != nil {
		b.Fatal(err)
	}
	return dir
}

// benchReset prepares a system, and times one reset of all of it.
func benchReset(b *testing.B, dir string) (time.Duration, []wrote) {
	root, err := os.MkdirTemp(dir, "root-")
	if err != nil {
		b.Fatal(err)
	}
	for path, content := range linuxFiles(b) {
		full := filepath.Join(root, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(content), 0o640)); err != nil {
			b.Fatal(err)
		}
	}
	for path, content := range map[string]string{"state": "", "links/2": "NETWORK_FILE=/etc/systemd/network/10-lan.network\n", "links/3": "NETWORK_FILE=/etc/systemd/network/10-two.network\n"} {
		full := filepath.Join(root, "run/systemd/netif", path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(content), 0o640)); err != nil {
			b.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(root, stateDir), 0o700); err != nil {
		b.Fatal(err)
	}
	noted := &noting{FS: opfs.Under(root, opfs.OS(nil))}
	adapters := []setting.Adapter{
		shadow.New(shadow.Config{FS: noted, Clock: clock.System(), Rand: rand.Reader}),
		ports.New(noted, func(context.Context, nas.Ports) error { return nil }),
		networkd.New(networkd.Config{FS: noted, Runner: instant{root}}),
	}
	r := journal.Record{ID: "bench", PlanHash: "00", Plan: json.RawMessage(`{}`), Mode: reset.Soft, Scope: reset.All, Administrator: anna}
	var ps []journal.Participant
	for _, a := range adapters {
		steps, err := a.Prepare(b.Context(), setting.Request{Mode: reset.Soft, Scope: reset.All, Administrator: anna, Password: access.NewSecret(newPassword)})
		if err != nil || len(steps) == 0 {
			b.Fatalf("%s: %d steps, %v", a.ID(), len(steps), err)
		}
		r.Steps, ps = append(r.Steps, steps...), append(ps, a)
	}
	syscall.Sync()
	begun := time.Now()
	j := journal.New(noted, stateDir)
	if err := j.Accept(r); err != nil {
		b.Fatal(err)
	}
	result, err := j.Run(b.Context(), &r, ps, nil)
	took := time.Since(begun)
	if err != nil || result.State != journal.Committed {
		b.Fatalf("%+v, %v", result, err)
	}
	return took, noted.all
}

// instant is networkctl without the time that it takes.
type instant struct{ root string }

func (r instant) Run(context.Context, string, opfs.Command) (opfs.Output, error) {
	for i := range 2 {
		state := fmt.Sprintf("ADMIN_STATE=configured\nNETWORK_FILE=%s/05-paperclip-reset-eth%d.network\n", networkd.Directory, i)
		if err := os.WriteFile(filepath.Join(r.root, "run/systemd/netif/links", fmt.Sprint(i+2)), []byte(state), 0o640); err != nil {
			return opfs.Output{}, err
		}
	}
	return opfs.Output{}, nil
}

// wrote is one write, rename or sync of a run.
type wrote struct {
	what, path, to string
	bytes          int
}

// noting notes what is written and synced.
type noting struct {
	opfs.FS
	all []wrote
}

func (n *noting) CreateExclusive(op, path string, perm fs.FileMode) (opfs.File, error) {
	f, err := n.FS.CreateExclusive(op, path, perm)
	return &notingFile{f, n, path}, err
}

func (n *noting) Rename(op, from, to string) error {
	n.all = append(n.all, wrote{what: "rename", path: from, to: to})
	return n.FS.Rename(op, from, to)
}

func (n *noting) Remove(op, path string) error {
	n.all = append(n.all, wrote{what: "remove", path: path})
	return n.FS.Remove(op, path)
}

func (n *noting) SyncDir(op, path string) error {
	n.all = append(n.all, wrote{what: "syncdir", path: path})
	return n.FS.SyncDir(op, path)
}

type notingFile struct {
	opfs.File
	n    *noting
	path string
}

func (f *notingFile) Write(op string, p []byte) (int, error) {
	f.n.all = append(f.n.all, wrote{what: "write", path: f.path, bytes: len(p)})
	return f.File.Write(op, p)
}

func (f *notingFile) Sync(op string) error {
	f.n.all = append(f.n.all, wrote{what: "sync", path: f.path})
	return f.File.Sync(op)
}

// benchFloor does the fsyncs of a run again, with what each has to make
// durable and nothing else: no reading, checking, hashing or locking.
func benchFloor(b *testing.B, dir string, ops []wrote) time.Duration {
	root, err := os.MkdirTemp(dir, "floor-")
	if err != nil {
		b.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	dirs := map[string]*os.File{}
	files := map[string]*os.File{}
	for _, o := range ops {
		for _, d := range []string{o.path, filepath.Dir(o.path)} {
			if strings.Contains(filepath.Base(d), ".") || dirs[d] != nil {
				continue
			}
			if err := os.MkdirAll(filepath.Join(root, d), 0o700); err != nil {
				b.Fatal(err)
			}
			if dirs[d], err = os.Open(filepath.Join(root, d)); err != nil {
				b.Fatal(err)
			}
			defer dirs[d].Close()
		}
	}
	syscall.Sync()
	begun := time.Now()
	for _, o := range ops {
		path := filepath.Join(root, o.path)
		switch o.what {
		case "write":
			if files[o.path], err = os.Create(path); err == nil {
				_, err = files[o.path].Write(zeros[:o.bytes])
			}
		case "sync":
			err = errors.Join(files[o.path].Sync(), files[o.path].Close())
		case "rename":
			err = os.Rename(path, filepath.Join(root, o.to))
		case "remove":
			err = os.Remove(path)
		case "syncdir":
			err = dirs[o.path].Sync()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(begun)
}
