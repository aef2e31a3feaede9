// Package libvirt takes this NAS out of a virtual machine cluster (E11), where
// libvirt makes it part of one, and puts it back.
//
// libvirt itself has no clusters: a host belongs to one because managers and
// other hosts reach its libvirt over the network, to place, move and control
// machines on it. That is what is removed, and nothing more: the sockets on
// which libvirt listens for other hosts (TCP and TLS) are masked and stopped.
// Virtual machines run on, start as they did before, and are managed from this
// NAS; their definitions, disks, networks and certificates stay.
//
// A libvirt that was told to listen by an option of its own (--listen) is
// recognised and left alone, with the reason.
package libvirt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/saved"
	"github.com/paperclip-nas/paperclip/internal/device/setting/unit"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// ID is the adapter's name in steps and operations.
const ID = "libvirt"

// door is a socket for other hosts, and the service that answers there.
type door struct{ socket, service, what string }

func doors() []door {
	return []door{
		{"libvirtd-tcp.socket", "libvirtd.service", "TCP"},
		{"libvirtd-tls.socket", "libvirtd.service", "TLS"},
		{"virtproxyd-tcp.socket", "virtproxyd.service", "TCP, by virtproxyd"},
		{"virtproxyd-tls.socket", "virtproxyd.service", "TLS, by virtproxyd"},
	}
}

// Sockets are the units that the adapter asks about.
func Sockets() (all []string) {
	for _, d := range doors() {
		all = append(all, d.socket)
	}
	return all
}

// Adapter is libvirt.
type Adapter struct{ unit.System }

// New is the adapter of that system. It has no side effect.
func New(s unit.System) *Adapter { return &Adapter{s} }

// ID is "libvirt".
func (a *Adapter) ID() string { return ID }

// Effects is E11.
func (a *Adapter) Effects() []nas.Effect { return []nas.Effect{nas.E11} }

// Detect says whether libvirt is here, with sockets for other hosts.
func (a *Adapter) Detect(ctx context.Context) (reset.Found, error) {
	found := reset.Found{What: "libvirt, as far as other hosts manage it"}
	if file := a.listens(); file != "" {
		found.Why = "libvirtd is told to listen by --listen in " + file + ", and not by a socket of systemd: take that out by hand"
		found.Blocked = true
		return found, nil
	}
	for _, d := range doors() {
		st, err := a.State(ctx, ID+".detect.show", d.socket)
		if errors.Is(err, unit.ErrNoSystemd) {
			found.Why = err.Error()
			return found, nil
		}
		if err != nil {
			return found, err
		}
		found.Present = found.Present || st.Installed
	}
	if !found.Present {
		found.Why = "libvirt is not installed"
	}
	return found, nil
}

// listens is the file that tells libvirtd to listen by itself; "" when none does.
func (a *Adapter) listens() string {
	for _, file := range []string{"/etc/default/libvirtd", "/etc/sysconfig/libvirtd"} {
		data, err := a.FS.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			words := strings.Fields(strings.Trim(value, `"'`))
			if (key == "LIBVIRTD_ARGS" || key == "libvirtd_opts") && (slices.Contains(words, "--listen") || slices.Contains(words, "-l")) {
				return file
			}
		}
	}
	return ""
}

// Read fills whether other hosts manage this one's machines, and by what.
func (a *Adapter) Read(ctx context.Context, s *nas.Settings) error {
	var open []string
	for _, d := range doors() {
		st, err := a.State(ctx, ID+".read.show", d.socket)
		if err != nil {
			return err
		}
		if st.On() {
			open = append(open, d.what)
		}
	}
	s.VirtualMachines = &nas.Membership{Member: len(open) > 0}
	if len(open) > 0 {
		s.VirtualMachines.Cluster = "hosts that manage libvirt over the network (" + strings.Join(open, "; ") + ")"
	}
	return nil
}

// Prepare gives one step for each socket that is on.
func (a *Adapter) Prepare(ctx context.Context, r setting.Request) ([]reset.Step, error) {
	if !slices.Contains(reset.Effects(r.Mode, r.Scope), nas.E11) {
		return nil, nil
	}
	var steps []reset.Step
	for _, d := range doors() {
		c, err := a.Off(ctx, ID, d.socket)
		if err != nil {
			return nil, err
		}
		if c == nil {
			continue
		}
		data, err := json.Marshal(c)
		if err != nil {
			return nil, err
		}
		steps = append(steps, reset.Step{Name: "libvirt for other hosts: " + d.socket, Adapter: ID, Effects: a.Effects(), Data: data})
	}
	return steps, nil
}

func read(s reset.Step) (unit.Change, door, error) {
	var c unit.Change
	err := json.Unmarshal(s.Data, &c)
	for _, d := range doors() {
		if err == nil && d.socket == c.Unit {
			return c, d, nil
		}
	}
	return c, door{}, fmt.Errorf("the step %q is not one of libvirt's: %w", s.Name, setting.ErrPermanent)
}

// Persist writes the socket's mask.
func (a *Adapter) Persist(_ context.Context, s reset.Step) error {
	c, _, err := read(s)
	if err != nil {
		return err
	}
	return a.System.Persist(ID, c)
}

// Undo removes the socket's mask.
func (a *Adapter) Undo(_ context.Context, s reset.Step) error {
	c, _, err := read(s)
	if err != nil {
		return err
	}
	return a.System.Undo(ID, c)
}

// Activate closes the socket, or opens it again. The service has to let go of
// the one, and must not run while the other is opened, so it is stopped in
// between; its other sockets start it when it is needed, and virtual machines
// are not its children.
func (a *Adapter) Activate(ctx context.Context, s reset.Step) error {
	c, d, err := read(s)
	if err != nil {
		return err
	}
	off, err := a.Masked(c)
	if err != nil {
		return err
	}
	socket, err := a.State(ctx, ID+".activate.show", d.socket)
	if err != nil {
		return err
	}
	closes, opens := off && socket.Active, !off && c.Active && !socket.Active
	if !closes && !opens {
		return a.System.Activate(ctx, ID, c)
	}
	service, err := a.State(ctx, ID+".activate.show", d.service)
	if err != nil {
		return err
	}
	if service.Active {
		if err := a.Do(ctx, ID+".activate.service.stop", "stop", d.service); err != nil {
			return err
		}
	}
	if err := a.System.Activate(ctx, ID, c); err != nil || !service.Active {
		return err
	}
	return a.Do(ctx, ID+".activate.service.start", "start", d.service)
}

// Verify reads back that the socket is closed.
func (a *Adapter) Verify(ctx context.Context, s reset.Step) error {
	c, _, err := read(s)
	if err != nil {
		return err
	}
	return a.System.Verify(ctx, ID, c)
}

// Save is the sockets for other hosts.
func (a *Adapter) Save(ctx context.Context) (json.RawMessage, error) {
	return a.SaveUnits(ctx, ID, sockets()...)
}

func sockets() []string {
	var all []string
	for _, d := range doors() {
		all = append(all, d.socket)
	}
	return all
}

// PrepareRestore gives one step for each socket that is not as it was saved.
func (a *Adapter) PrepareRestore(ctx context.Context, raw json.RawMessage) ([]reset.Step, error) {
	changes, err := a.RestoreUnits(ctx, ID, raw, sockets()...)
	var steps []reset.Step
	for _, c := range changes {
		step, err := saved.Step(a, "libvirt for other hosts: "+c.Unit, c)
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
	}
	return steps, err
}
