package ifupdown

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/setting/blockedit"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ifupdown/interfaces"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// patience is how long an interface may take to come up before the next one
// gets its turn. A DHCP client that has found no server by then goes on asking.
const patience = 15 * time.Second

const standardMTU = 1500

// sided is the files with the edits on one side, whichever they are on now.
type sided struct {
	opfs.FS
	edits []blockedit.Edit
	side  blockedit.Side
}

func (f sided) ReadFile(path string) ([]byte, error) {
	data, err := f.FS.ReadFile(path)
	if err != nil {
		return nil, err
	}
	text, err := blockedit.Apply(string(data), blockedit.In(f.edits, path), interfaces.Split, f.side)
	return []byte(text), err
}

func (a *Adapter) on(side blockedit.Side, c change) (interfaces.Config, error) {
	return interfaces.Load(sided{a.cfg.FS, c.Edits, side})
}

// Activate takes the interfaces down as they were and brings them up as the
// files have them now. Whatever an attempt before it left is cleared first.
func (a *Adapter) Activate(ctx context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	goal, up, down := blockedit.New, c.Up, c.Down
	switch isNew, err := blockedit.At(a.cfg.FS, c.Edits, interfaces.Split, blockedit.New); {
	case err != nil:
		return err
	case !isNew:
		goal, up, down = blockedit.Old, c.Down, c.Up
	}
	after, err := a.on(goal, c)
	if err != nil {
		return err
	}
	before, err := a.on(blockedit.New+blockedit.Old-goal, c)
	if err != nil {
		return err
	}
	both := slices.Compact(slices.Sorted(slices.Values(slices.Concat(down, up))))
	for _, name := range both {
		if err := a.stopTrying(ctx, name); err != nil {
			return err
		}
	}
	if err := errors.Join(a.down(ctx, before, down), a.down(ctx, after, up)); err != nil {
		return err
	}
	for _, name := range both {
		if err := a.clear(ctx, name, after); err != nil {
			return err
		}
	}
	if goal == blockedit.New {
		if err := a.ordinaryFrames(ctx, c.Jumbo); err != nil {
			return err
		}
	}
	return a.up(ctx, after, up)
}

// unit is the unit in which ifup runs.
func unit(name string) string {
	return "paperclip-ifup-" + strings.NewReplacer("@", "_", ":", "_").Replace(name) + ".service"
}

// stopTrying ends an ifup of ours that still waits for an address, and its DHCP
// client with it: ifdown would wait a minute for them. Stopping the unit alone
// would end ifup only, by the unit's own KillMode.
func (a *Adapter) stopTrying(ctx context.Context, name string) error {
	if !a.trying(ctx, "ifupdown.activate.trying", name) {
		return nil
	}
	for _, verb := range []string{"kill", "stop"} {
		const notLoaded = 5 // it ended meanwhile
		if err := a.run(ctx, "ifupdown.activate."+verb, opfs.Command{Path: "systemctl", Args: []string{verb, unit(name)}}, notLoaded); err != nil {
			return err
		}
	}
	return nil
}

// down deconfigures interfaces as a configuration has them, by its text on
// standard input: the files have another by now. Where an interface is down
// already, its commands fail, which is no harm.
func (a *Adapter) down(ctx context.Context, config interfaces.Config, names []string) error {
	for _, name := range names {
		if !slices.Contains(config.Names(), name) {
			continue
		}
		if _, err := a.cfg.Runner.Run(ctx, "ifupdown.activate.down", opfs.Command{
			Path: "systemd-run",
			Args: []string{
				"--quiet", "--collect", "--pipe", "--wait", "--",
				"ifdown", "--force", "--ignore-errors", "--interfaces=/dev/stdin", name,
			},
			Stdin: []byte(config.Flat()),
		}); err != nil {
			return err
		}
	}
	return nil
}

// clear takes from an interface what ifdown left on it: an address, or a bond
// that is no more.
func (a *Adapter) clear(ctx context.Context, name string, config interfaces.Config) error {
	switch {
	case strings.Contains(name, ":") || !a.link(name):
		return nil // an alias, or not there
	case !slices.Contains(config.Names(), name) && a.exists("/sys/class/net/"+name+"/bonding"):
		return a.run(ctx, "ifupdown.activate.unbond", opfs.Command{Path: "ip", Args: []string{"link", "delete", "dev", name}})
	}
	return a.run(ctx, "ifupdown.activate.flush", opfs.Command{Path: "ip", Args: []string{"address", "flush", "dev", name}})
}

func (a *Adapter) ordinaryFrames(ctx context.Context, names []string) error {
	for _, name := range names {
		if !a.link(name) {
			continue
		}
		args := []string{"link", "set", "dev", name, "mtu", strconv.Itoa(standardMTU)}
		if err := a.run(ctx, "ifupdown.activate.mtu", opfs.Command{Path: "ip", Args: args}); err != nil {
			return err
		}
	}
	return nil
}

// up brings interfaces up by the files. Not being done in time is no failure:
// there may be no cable, or no DHCP server.
func (a *Adapter) up(ctx context.Context, config interfaces.Config, names []string) error {
	for _, name := range names {
		if !a.expected(config, name) {
			continue
		}
		err := a.run(ctx, "ifupdown.activate.up", opfs.Command{
			Path: "systemd-run",
			Args: []string{
				"--quiet", "--collect", "--unit=" + unit(name), "--service-type=oneshot", "--property=KillMode=process", "--",
				"ifup", name,
			},
			Timeout: patience,
		})
		if err != nil && (ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded)) {
			return err
		}
	}
	return nil
}

// expected reports whether an interface can come up: it is there, or ifup makes
// it.
func (a *Adapter) expected(config interfaces.Config, name string) bool {
	base, _, _ := strings.Cut(name, ":")
	return a.link(base) || config.Made(name)
}

func (a *Adapter) link(name string) bool { return a.exists("/sys/class/net/" + name) }

// run runs a command that has to succeed, or to end with a status that is as
// good.
func (a *Adapter) run(ctx context.Context, op string, c opfs.Command, good ...int) error {
	out, err := a.cfg.Runner.Run(ctx, op, c)
	if err != nil {
		return err
	}
	if out.ExitCode != 0 && !slices.Contains(good, out.ExitCode) {
		return fmt.Errorf("%s %s ended with status %d: %.200s", c.Path, strings.Join(c.Args, " "), out.ExitCode, out.Stderr)
	}
	return nil
}

// Verify reads back the files, from ifup's own record and the kernel that the
// interfaces are up by them, and that no bond and no jumbo frames are left.
func (a *Adapter) Verify(ctx context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	switch isNew, err := blockedit.At(a.cfg.FS, c.Edits, interfaces.Split, blockedit.New); {
	case err != nil:
		return err
	case !isNew:
		return fmt.Errorf("%s does not hold what was written", strings.Join(blockedit.Paths(c.Edits), ", "))
	}
	config, err := interfaces.Load(a.cfg.FS)
	if err != nil {
		return err
	}
	for _, name := range c.Down {
		made := !c.Back || a.exists("/sys/class/net/"+name+"/bonding") // a member of a bond has no stanza, and stays
		if !slices.Contains(config.Names(), name) && a.link(name) && made {
			return fmt.Errorf("%s is still there", name)
		}
	}
	for _, name := range c.Jumbo {
		if mtu, _ := strconv.Atoi(a.system.Attribute(name, "mtu")); mtu > standardMTU {
			return fmt.Errorf("%s still has an MTU of %d", name, mtu)
		}
	}
	up, err := a.system.BroughtUp()
	if err != nil {
		return err
	}
	for _, name := range c.Up {
		if !up[name] && a.expected(config, name) && !a.trying(ctx, "ifupdown.verify.trying", name) {
			return fmt.Errorf("ifup has not brought up %s", name)
		}
	}
	return nil
}

// trying reports whether ifup still waits for an address.
func (a *Adapter) trying(ctx context.Context, op, name string) bool {
	out, err := a.cfg.Runner.Run(ctx, op, opfs.Command{Path: "systemctl", Args: []string{"is-active", unit(name)}})
	return err == nil && strings.TrimSpace(string(out.Stdout)) == "activating"
}
