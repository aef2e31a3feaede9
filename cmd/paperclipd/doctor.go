//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/paperclip-nas/paperclip/internal/device/config"
	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/device/doctor"
	"github.com/paperclip-nas/paperclip/internal/domain/check"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
)

// errUnhealthy ends with status 1 after the checks were printed.
var errUnhealthy = errors.New("not every check is well")

func newDoctor(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "doctor", Short: "Look whether this NAS is ready for the day somebody holds the button", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m := newMachine(o, cmd.ErrOrStderr())
			if err := m.asRoot("paperclipd doctor"); err != nil {
				return err
			}
			checks := doctor.Look(cmd.Context(), m.patient(o))
			if o.json {
				if err := printJSON(cmd.OutOrStdout(), map[string][]doctor.Check{"checks": checks}); err != nil {
					return err
				}
			} else {
				printChecks(cmd.OutOrStdout(), checks)
			}
			if !doctor.Healthy(checks) {
				return errUnhealthy
			}
			return nil
		},
	}
	jsonFlag(cmd, o)
	return cmd
}

// patient is the machine as doctor looks at it. Below another root it looks at
// files alone.
func (m *machine) patient(o *options) doctor.Machine {
	p := doctor.Machine{
		Files:    m.fs,
		Config:   func() (config.Config, error) { return config.Load(m.fs, o.config) },
		Adapters: m.adapters,
		Device:   m.device,
		Label: func() (bool, error) {
			_, there, err := core.HasLabel(m.fs, stateDir)
			return there, err
		},
		Core: func(ctx context.Context) error {
			var d deviceapi.Device
			return m.read(ctx, corewire.ReadDevice, &d)
		},
	}
	if m.root == "" {
		p.Sandbox, p.Rules = m.sandboxFound, coreRules
		p.Button, p.Beeper, p.RealTime = findButton, findBeeper, m.scheduled
		p.User = func() error {
			_, _, err := frontIDs()
			return err
		}
		p.Cards = func(cfg config.Config) ([]string, error) {
			var names []string
			for _, i := range (&room{virtual: cfg.Network.VirtualCards, clock: m.clock}).interfaces() {
				names = append(names, i.Name)
			}
			return names, nil
		}
	}
	return p
}

// findings are what doctor finds while core itself runs.
func (m *machine) findings(o *options) func(context.Context) []check.Finding {
	return func(ctx context.Context) []check.Finding {
		p := m.patient(o)
		p.Core = nil // it is core that asks
		out := []check.Finding{}
		for _, one := range doctor.Look(ctx, p) {
			out = append(out, check.Finding(one))
		}
		return out
	}
}

// device is the number of the file system that path is on.
func (m *machine) device(path string) (uint64, error) {
	info, err := os.Stat(filepath.Join(m.root, path))
	if err != nil {
		return 0, err
	}
	return uint64(info.Sys().(*syscall.Stat_t).Dev), nil //nolint:unconvert // 32 bits on some systems
}

func printChecks(w io.Writer, checks []doctor.Check) {
	for _, c := range checks {
		mark := "ok   "
		if !c.OK {
			mark = "WRONG"
		}
		fmt.Fprintf(w, "%s  %-18s %s\n", mark, c.ID, c.Why)
		if c.WhatToDo != "" && !c.OK {
			fmt.Fprintf(w, "%25s %s\n", "→", c.WhatToDo)
		}
	}
}
