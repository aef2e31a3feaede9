//go:build linux

package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// diskNames are the machine's own disks. The guest sees root as vda, the array's halves as vdb and vdc,
// and, after the payload, the vault as vde.
var diskNames = [...]string{"root", "disk1", "disk2", "vault"}

// storage says how the disks are kept.
type storage int

const (
	qcow2   storage = iota // with saved moments in them
	raw                    // plain images
	journal                // plain images, and a log of what was written to each, with the flushes
)

// logSize is how large a log may grow, in bytes: its file is sparse.
const logSize = 16 << 30

// disks are QEMU's arguments for all disks, in the guest's order.
func (m *Machine) disks() (argv []string) {
	for _, name := range diskNames {
		if name == "vault" {
			argv = append(argv, "-drive", "file="+m.config.Payload+",format=raw,if=none,id=payload,readonly=on", "-device", "virtio-blk-pci,drive=payload")
		}
		argv = append(argv, m.disk(name)...)
	}
	return argv
}

func (m *Machine) disk(name string) []string {
	device := []string{"-device", "virtio-blk-pci,drive=" + name}
	if m.storage == qcow2 {
		return append([]string{"-drive", "file=" + m.path(name+".qcow2") + ",if=none,id=" + name + ",cache=unsafe"}, device...)
	}
	plain := func(node, file string) []string {
		// Nothing needs to reach the host's disk: what a cut loses is decided by the log.
		return node2argv(map[string]any{"driver": "raw", "node-name": node, "cache": map[string]bool{"no-flush": true}, "file": map[string]any{"driver": "file", "filename": file}})
	}
	if m.storage == raw {
		return append(plain(name, m.path(name+".raw")), device...)
	}
	argv := append(plain(name+"-image", m.path(name+".raw")), plain(name+"-log", m.path(name+".log"))...)
	argv = append(argv, node2argv(map[string]any{
		"driver": "blklogwrites", "node-name": name, "file": name + "-image", "log": name + "-log", "log-sector-size": sector, "log-append": false,
	})...)
	return append(argv, device...)
}

func node2argv(node map[string]any) []string {
	b, err := json.Marshal(node)
	if err != nil { // strings and numbers all through
		panic(err)
	}
	return []string{"-blockdev", string(b)}
}

func (m *Machine) path(name string) string { return filepath.Join(m.config.Dir, name) }

// Suspend keeps memory in a file and ends QEMU; the disks are then as they were at that moment, as plain
// images beside it. Wake goes on from there, as often as wanted.
func (m *Machine) Suspend(ctx context.Context) error {
	// It stands still meanwhile: of memory that changes, an emulated machine may keep a page of before, and
	// its kernel falls over a timer when it wakes.
	if err := m.QMP.Do(ctx, "stop", nil, nil); err != nil {
		return err
	}
	if err := m.QMP.Do(ctx, "migrate-set-parameters", map[string]int{"max-bandwidth": 4 << 30}, nil); err != nil {
		return err
	}
	if err := m.QMP.Do(ctx, "migrate", map[string]string{"uri": "exec:cat > " + m.path("memory")}, nil); err != nil {
		return err
	}
	for {
		var migration struct{ Status string }
		if err := m.QMP.Do(ctx, "query-migrate", nil, &migration); err != nil {
			return err
		}
		switch migration.Status {
		case "completed":
			if err := m.Quit(ctx); err != nil {
				return err
			}
			m.kept = m.config.Dir
			for _, name := range diskNames {
				if err := run(ctx, "qemu-img", "convert", "-O", "raw", m.path(name+".qcow2"), m.path(name+".base")); err != nil {
					return err
				}
			}
			return nil
		case "failed", "cancelled":
			return fmt.Errorf("memory could not be kept: migration %s", migration.Status)
		}
		select {
		case <-ctx.Done():
			return errors.Join(errors.New("memory could not be kept"), ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Beside is another machine that wakes from what this one's Suspend kept, with disks and a LAN of its own.
func (m *Machine) Beside(ctx context.Context, c Config) (*Machine, error) {
	return &Machine{config: c, kept: m.kept}, copyFile(ctx, m.path("initramfs"), filepath.Join(c.Dir, "initramfs"))
}

// Wake goes on from where Suspend left, with the disks as they were then and a log of every write from
// now on.
func (m *Machine) Wake(ctx context.Context) error {
	if err := m.rewind(ctx); err != nil {
		return err
	}
	for _, name := range diskNames {
		if err := createSparse(m.path(name+".log"), logSize); err != nil {
			return err
		}
	}
	m.storage = journal
	if err := m.power(ctx, "", "-incoming", "exec:cat "+filepath.Join(m.kept, "memory")); err != nil {
		return err
	}
	if err := m.goOn(ctx); err != nil {
		return errors.Join(err, m.Cut(), m.explain())
	}
	return nil
}

// goOn waits until the memory is read, and lets the machine run.
func (m *Machine) goOn(ctx context.Context) error {
	if err := m.monitors(ctx); err != nil {
		return err
	}
	for {
		var is struct{ Status string }
		if err := m.QMP.Do(ctx, "query-status", nil, &is); err != nil {
			return err
		}
		if is.Status == "paused" {
			break
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("it does not wake, and is %q", is.Status), ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
	if err := m.QMP.Do(ctx, "cont", nil, nil); err != nil {
		return err
	}
	return m.meetAgent(ctx)
}

// rewind puts the plain images back to what they were at Suspend.
func (m *Machine) rewind(ctx context.Context) error {
	for _, name := range diskNames {
		if err := copyFile(ctx, filepath.Join(m.kept, name+".base"), m.path(name+".raw")); err != nil {
			return err
		}
	}
	return nil
}

// BootRaw switches the machine on with its plain images as they are.
func (m *Machine) BootRaw(ctx context.Context) error {
	m.storage = raw
	return m.Boot(ctx)
}

// Forget makes the plain images what disks hold that lose their write cache with the power: what was
// written up to each disk's last flush, and nothing after it. It returns how many writes were lost.
func (m *Machine) Forget(ctx context.Context) (lost int, err error) {
	if err := m.rewind(ctx); err != nil {
		return 0, err
	}
	for _, name := range diskNames {
		n, err := replayFile(m.path(name+".log"), m.path(name+".raw"))
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		lost += n
	}
	return lost, nil
}

func copyFile(ctx context.Context, from, to string) error {
	return run(ctx, "cp", "--sparse=always", "--reflink=auto", from, to)
}
