// Package nftables switches the firewall of nftables.service off (E9), and on
// again: rules that are loaded from /etc/nftables.conf when the system starts.
//
// That file is only read. The service is masked, and the rules in the kernel
// are flushed, all of them: so does the service when it is stopped, on Debian.
// Programs that put rules of their own beside it (containers, virtual machines)
// have to be restarted then, as after each reload of nftables.service.
package nftables

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting/unit"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// ID is the adapter's name in steps and operations.
const ID = "nftables"

// Unit is the service that the adapter switches.
const Unit = "nftables.service"

// Configuration is the file of rules that Debian's service loads.
const Configuration = "/etc/nftables.conf"

// Adapter is nftables.service.
type Adapter struct{ unit.Switch }

// New is the adapter of that system. It has no side effect.
func New(s unit.System) *Adapter {
	return &Adapter{unit.Switch{System: s, Name: ID, Unit: Unit, What: "nftables", Step: "firewall (nftables)", Row: nas.E9}}
}

// Read adds nftables.service to the firewall.
func (a *Adapter) Read(ctx context.Context, s *nas.Settings) error {
	st, err := a.State(ctx, ID+".read.show", a.Unit)
	if err != nil {
		return err
	}
	r, err := a.ruleset()
	if err != nil {
		return err
	}
	if s.Firewall == nil {
		s.Firewall = &nas.Firewall{}
	}
	s.Firewall.Enabled = s.Firewall.Enabled || st.On()
	s.Firewall.Rules += r.rules
	return nil
}

func (a *Adapter) ruleset() (ruleset, error) {
	data, err := a.FS.ReadFile(Configuration)
	if errors.Is(err, fs.ErrNotExist) {
		return ruleset{}, nil
	}
	return parse(string(data)), err
}

// Activate empties the kernel's rules and stops the service, or starts it,
// which loads them again. The flush comes first: while the service counts as
// running, it is done again after a power cut.
func (a *Adapter) Activate(ctx context.Context, s reset.Step) error {
	c, err := a.Change(s)
	if err != nil {
		return err
	}
	off, err := a.Masked(c)
	if err != nil {
		return err
	}
	st, err := a.State(ctx, ID+".activate.show", a.Unit)
	if err != nil {
		return err
	}
	if off && st.Active {
		out, err := a.nft(ctx, ID+".activate.flush", "flush", "ruleset")
		if err != nil {
			return err
		}
		if out.ExitCode != 0 {
			return fmt.Errorf("nft flush ruleset ended with status %d: %.200s", out.ExitCode, out.Stderr)
		}
	}
	return a.Switch.Activate(ctx, s)
}

func (a *Adapter) nft(ctx context.Context, op string, args ...string) (opfs.Output, error) {
	return a.Runner.Run(ctx, op, opfs.Command{Path: "nft", Args: args})
}

// Verify reads back from systemd, and from the kernel that it has none of the
// tables that the file makes; or all of them, where they are back in force.
func (a *Adapter) Verify(ctx context.Context, s reset.Step) error {
	if err := a.Switch.Verify(ctx, s); err != nil {
		return err
	}
	c, err := a.Change(s)
	if err != nil {
		return err
	}
	r, err := a.ruleset()
	if err != nil {
		return err
	}
	out, err := a.nft(ctx, ID+".verify.tables", "list", "tables")
	if err != nil {
		return err
	}
	if out.ExitCode != 0 {
		return fmt.Errorf("nft list tables ended with status %d: %.200s", out.ExitCode, out.Stderr)
	}
	var loaded []string
	for line := range strings.Lines(string(out.Stdout)) {
		if name, is := strings.CutPrefix(strings.TrimSpace(line), "table "); is {
			loaded = append(loaded, name)
		}
	}
	for _, name := range r.tables {
		switch there := slices.Contains(loaded, name); {
		case there && !c.Back:
			return fmt.Errorf("the rules of table %s are still in force", name)
		case !there && c.Back && c.Active:
			return fmt.Errorf("the rules of table %s are not in force again", name)
		}
	}
	return nil
}
