package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/config"
)

// sandbox tells what core tried when it started, and which layer refused it.
func (m Machine) sandbox(cfg config.Config) []Check {
	const id = "sandbox"
	if m.Sandbox == nil {
		return nil
	}
	r, err := m.Sandbox()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return []Check{{ID: id, Why: "core has not said yet what the kernel keeps it from.", WhatToDo: "Check `systemctl status paperclipd-core`."}}
	case err != nil:
		return []Check{check(id, err, "")}
	case len(r.Open) > 0:
		return []Check{{
			ID: id, Why: "core does not run: the kernel would let it write to " + strings.Join(r.Open, ", ") + ".",
			WhatToDo: "Start it by its systemd unit, unchanged; mount no volume inside /etc or /var/lib/paperclip.",
		}}
	case len(r.Weak()) > 0:
		return []Check{{
			ID: id, Why: fmt.Sprintf("Only %s keeps core from %s: a change of mode, and on old kernels a truncation, would get through.", layer(r.Landlock), strings.Join(r.Weak(), ", ")),
			WhatToDo: "Run systemctl restart paperclipd-core; start it by its unit, unchanged.",
		}}
	}
	checks := []Check{{
		ID: id, OK: true, Why: fmt.Sprintf("core was refused by the kernel on %d file systems and %d block devices when it started: read-only mounts, and %s.", len(r.Volumes), r.Devices, layer(r.Landlock)),
	}}
	if missing := m.notYetAllowed(cfg, r.Write); len(missing) > 0 {
		checks = append(checks, Check{
			ID: "sandbox.new", Why: "Since core was started, this came that it has to write to: " + strings.Join(missing, ", ") + ".",
			WhatToDo: "Run systemctl restart paperclipd-core.",
		})
	}
	return checks
}

// layer names the second layer and what its version leaves open.
func layer(abi int) string {
	switch {
	case abi < 1:
		return "no Landlock (this kernel has none)"
	case abi < 3:
		return fmt.Sprintf("Landlock (ABI %d, which knows no truncation)", abi)
	}
	return fmt.Sprintf("Landlock (ABI %d)", abi)
}

// notYetAllowed are the folders of the rules that exist now and did not when
// core started.
func (m Machine) notYetAllowed(cfg config.Config, write []string) []string {
	if m.Rules == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(m.Rules(cfg).Write), func(path string) bool {
		return slices.Contains(write, path) || !m.has(path)
	})
}
