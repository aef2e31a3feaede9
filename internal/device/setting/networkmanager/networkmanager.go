// Package networkmanager sets the wired interfaces that NetworkManager
// configures back to DHCP, or to the set-up wizard's address (E4), ordinary frames (E5), no PPPoE by itself (E6)
// and no bond (E7), by editing entries of its profiles, the keyfiles in
// /etc/NetworkManager/system-connections.
//
// Every profile that a wired interface could come up by is meant, also one that
// is not in use just now. Only entries about those settings change; a profile
// is never removed: a bond's and a PPPoE's only no longer start by themselves.
// What is kept of a file in a step is the sections that change, so that no
// secret of a profile (802.1X, PPPoE) gets into one.
//
// The package never touches a file that another program writes, in /run or
// with a mark in its head: then it says so. It never touches Wi-Fi, VPNs, VLANs
// or bridges without a cable, and it leaves a bond on which something else is
// built.
package networkmanager

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/blockedit"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ini"
	"github.com/paperclip-nas/paperclip/internal/device/setting/netstack"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// ID is the adapter's name in steps and operations.
const ID = "networkmanager"

// Directory is where profiles can be edited.
const Directory = "/etc/NetworkManager/system-connections"

// Config is what an Adapter is built from. FS and Runner are required.
type Config struct {
	FS     opfs.FS
	Runner opfs.Runner
	Nmcli  string // "nmcli" when empty
	// Virtual takes in Ethernet interfaces without hardware: for containers
	// and tests.
	Virtual bool
}

// Adapter is NetworkManager.
type Adapter struct {
	cfg    Config
	system netstack.System
}

// New is the adapter of the system below cfg.FS. It has no side effect.
func New(cfg Config) *Adapter {
	if cfg.Nmcli == "" {
		cfg.Nmcli = "nmcli"
	}
	return &Adapter{cfg, netstack.System{FS: cfg.FS, Runner: cfg.Runner, Nmcli: cfg.Nmcli, Virtual: cfg.Virtual}}
}

// ID is "networkmanager".
func (a *Adapter) ID() string { return ID }

// Effects are E4 to E7.
func (a *Adapter) Effects() []nas.Effect { return []nas.Effect{nas.E4, nas.E5, nas.E6, nas.E7} }

// Detect says whether NetworkManager configures a wired interface by files
// that can be edited.
func (a *Adapter) Detect(ctx context.Context) (reset.Found, error) {
	found := reset.Found{What: "NetworkManager"}
	if _, err := a.cfg.FS.Stat("/run/NetworkManager"); err != nil {
		found.Why = "NetworkManager does not run here"
		return found, nil
	}
	n, err := a.load(ctx)
	if err != nil {
		found.Why = err.Error()
		return found, nil
	}
	if len(n.nics) == 0 {
		found.Why = n.refused
		if found.Why == "" {
			found.Why = "NetworkManager configures no wired interface here"
		}
		return found, nil
	}
	if _, err := n.reset(reset.Wizard{}); err != nil {
		found.Why, found.Blocked = err.Error(), true
		return found, nil
	}
	found.Present = true
	return found, nil
}

// Read fills the interfaces, bonds and PPPoE of NetworkManager.
func (a *Adapter) Read(ctx context.Context, s *nas.Settings) error {
	n, err := a.load(ctx)
	if err != nil {
		return err
	}
	for _, nic := range n.nics {
		in := nas.Interface{Method: nas.Unmanaged}
		if p, ok := n.profileOf(nic); ok {
			in = p.keyfile.settings()
		}
		in.Name, in.MAC, in.MTU = nic.Name, nic.MAC, max(in.MTU, nic.MTU)
		netstack.Put(s, in)
	}
	for _, b := range n.bonds() {
		s.Bonds = append(s.Bonds, nas.Bond{Name: b.profile.keyfile.name(), Members: b.names(), Enabled: true})
	}
	for _, p := range n.dialUps() {
		if s.PPPoE == nil || !s.PPPoE.Enabled {
			s.PPPoE = &nas.PPPoE{Enabled: true, Interface: p.over()}
		}
	}
	return nil
}

// change is what the step's Data holds.
type change struct {
	Edits []blockedit.Edit `json:"edits"`
	Auto  []string         `json:"auto"`            // profiles (UUID) whose addresses come by themselves
	Fixed []string         `json:"fixed,omitempty"` // profiles with the wizard's address
	Off   []string         `json:"off"`             // profiles that no longer start by themselves
	Up    []string         `json:"up"`              // profiles that were in use: those in Off among them
	Back  []goal           `json:"back,omitempty"`  // of a restore: what is to hold then
}

// Prepare gives one step for all profiles: a bond is spread over several.
func (a *Adapter) Prepare(ctx context.Context, r setting.Request) ([]reset.Step, error) {
	if !slices.Contains(reset.Effects(r.Mode, r.Scope), nas.E4) {
		return nil, nil
	}
	n, err := a.load(ctx)
	if err != nil {
		return nil, err
	}
	if err := n.bound(r.Wizard); err != nil {
		return nil, err
	}
	e, err := n.reset(r.Wizard)
	if err != nil || len(e.change.Edits) == 0 {
		return nil, err
	}
	data, err := json.Marshal(e.change)
	if err != nil {
		return nil, err
	}
	return []reset.Step{{Name: "connections of NetworkManager", Adapter: ID, Effects: e.listed(), Data: data}}, nil
}

// plainUUID tells whether s looks like one of NetworkManager's UUIDs, and so is no option.
func plainUUID(s string) bool {
	return len(s) >= 4 && len(s) <= 64 && s[0] != '-' && strings.Trim(s, "-0123456789abcdefABCDEF") == ""
}

func read(s reset.Step) (change, error) {
	var c change
	err := json.Unmarshal(s.Data, &c)
	for _, uuid := range slices.Concat(c.Auto, c.Fixed, c.Off, c.Up) {
		if !plainUUID(uuid) {
			err = fmt.Errorf("%q is no connection", uuid)
		}
	}
	for _, g := range c.Back {
		if !plainUUID(g.UUID) {
			err = fmt.Errorf("%q is no connection", g.UUID)
		}
	}
	if err != nil || len(c.Edits) == 0 {
		return change{}, fmt.Errorf("the step %q is not one of NetworkManager's: %w", s.Name, setting.ErrPermanent)
	}
	return c, nil
}

// Persist writes the new entries.
func (a *Adapter) Persist(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	return blockedit.Move(a.cfg.FS, "networkmanager.persist", c.Edits, ini.Split, blockedit.New)
}

// Undo writes the old entries again.
func (a *Adapter) Undo(_ context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	return blockedit.Move(a.cfg.FS, "networkmanager.undo", c.Edits, ini.Split, blockedit.Old)
}

// How long nmcli waits, in seconds: NetworkManager itself goes on.
const patience = "15"

// Exit statuses of nmcli (nmcli(1)) that are no failure of a reset: there may
// be no cable, or no DHCP server, or nothing to take down.
const (
	timedOut     = 3
	notActivated = 4
	notThere     = 10
)

// Activate has NetworkManager read its files again, and takes the interfaces
// that were in use through their profiles anew: that interrupts them.
func (a *Adapter) Activate(ctx context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	isNew, err := blockedit.At(a.cfg.FS, c.Edits, ini.Split, blockedit.New)
	if err != nil {
		return err
	}
	if _, err := a.nmcli(ctx, "networkmanager.activate.reload", nil, "connection", "reload"); err != nil {
		return err
	}
	for _, g := range c.Back { // the other way round they are not wanted any more
		if g.Start && !isNew {
			if _, err := a.nmcli(ctx, "networkmanager.activate.down", []int{timedOut, notThere}, "--wait", patience, "connection", "down", "uuid", g.UUID); err != nil {
				return err
			}
		}
	}
	for _, uuid := range c.Off {
		if isNew && slices.Contains(c.Up, uuid) {
			if _, err := a.nmcli(ctx, "networkmanager.activate.down", []int{timedOut, notThere}, "--wait", patience, "connection", "down", "uuid", uuid); err != nil {
				return err
			}
		}
	}
	up := slices.Clone(c.Up)
	for _, g := range c.Back {
		if g.Start && isNew {
			up = append(up, g.UUID)
		}
	}
	for _, uuid := range up {
		if isNew && slices.Contains(c.Off, uuid) {
			continue
		}
		if _, err := a.nmcli(ctx, "networkmanager.activate.up", []int{timedOut, notActivated}, "--wait", patience, "connection", "up", "uuid", uuid); err != nil {
			return err
		}
	}
	return nil
}

func (a *Adapter) nmcli(ctx context.Context, op string, good []int, args ...string) (string, error) {
	out, err := a.cfg.Runner.Run(ctx, op, opfs.Command{Path: a.cfg.Nmcli, Args: args})
	if err != nil {
		return "", err
	}
	if out.ExitCode != 0 && !slices.Contains(good, out.ExitCode) {
		return "", fmt.Errorf("nmcli ended with status %d: %.200s", out.ExitCode, out.Stderr)
	}
	return string(out.Stdout), nil
}

// Verify reads back the files, and from NetworkManager what it goes by.
func (a *Adapter) Verify(ctx context.Context, s reset.Step) error {
	c, err := read(s)
	if err != nil {
		return err
	}
	switch isNew, err := blockedit.At(a.cfg.FS, c.Edits, ini.Split, blockedit.New); {
	case err != nil:
		return err
	case !isNew:
		return fmt.Errorf("the files in %s do not hold what was written", Directory)
	}
	type check struct {
		property, want string
		uuids          []string
	}
	checks := []check{{"ipv4.method", "auto", c.Auto}, {"ipv4.method", "manual", c.Fixed}, {"connection.autoconnect", "no", c.Off}}
	for _, g := range c.Back {
		if g.Method != "" {
			checks = append(checks, check{"ipv4.method", g.Method, []string{g.UUID}})
		}
		checks = append(checks, check{"connection.autoconnect", map[bool]string{true: "yes", false: "no"}[g.Starts], []string{g.UUID}})
	}
	for _, check := range checks {
		for _, uuid := range check.uuids {
			got, err := a.nmcli(ctx, "networkmanager.verify.show", nil, "--get-values", check.property, "connection", "show", "uuid", uuid)
			if err != nil {
				return err
			}
			if firstLine(got) != check.want {
				return fmt.Errorf("NetworkManager has %s %q for the connection %s", check.property, firstLine(got), uuid)
			}
		}
	}
	return nil
}
