// Package doctor looks whether a machine is ready for the day on which somebody
// holds the button: `paperclipd doctor`.
//
// It only looks. It repairs nothing, opens no claim, and what it says holds for
// the moment at which it looked.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/config"
	"github.com/paperclip-nas/paperclip/internal/device/sandbox"
	"github.com/paperclip-nas/paperclip/internal/device/service"
	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// Check is one thing that was looked at. Why says what was found, good or bad.
type Check struct {
	ID       string `json:"id"`
	OK       bool   `json:"ok"`
	Why      string `json:"why"`
	WhatToDo string `json:"what_to_do,omitempty"`
}

// Files is what is read of the system; opfs.FS is one.
type Files interface {
	ReadFile(path string) ([]byte, error)
	Stat(path string) (fs.FileInfo, error)
	ReadDir(path string) ([]fs.DirEntry, error)
}

// Machine is what doctor looks at. A function that is nil is left out.
type Machine struct {
	Files    Files
	Config   func() (config.Config, error)
	User     func() error // the user that front runs as
	Adapters func(config.Config) []setting.Adapter
	// Button and Beeper say which device was found.
	Button, Beeper func(config.Config) (string, error)
	RealTime       func() error                          // why core's beeps are not scheduled before all else
	Cards          func(config.Config) ([]string, error) // network cards that a claim can use
	Device         func(path string) (uint64, error)     // the number of the file system at path
	Core           func(context.Context) error           // whether core answers
	Sandbox        func() (sandbox.Report, error)        // what core could not do when it started
	Rules          func(config.Config) sandbox.Rules     // what it should be able to do now
	Label          func() (there bool, err error)        // a code on the label
}

// Look makes every check. It goes on after one that fails.
func Look(ctx context.Context, m Machine) []Check {
	cfg, err := m.Config()
	checks := []Check{check("config", err, "The configuration file is understood.")}
	if err != nil {
		cfg = config.Default()
	}
	checks = append(checks, check("system", service.Supported(m.Files), "This system is supported."))
	if m.User != nil {
		checks = append(checks, checkOr("user", m.User(), "The user paperclip exists.", "Run systemd-sysusers, or install paperclipd again."))
	}
	checks = append(checks, m.logind(), m.recovery())
	checks = append(checks, m.settings(ctx, cfg)...)
	choice := cfg.Claim.Allows.Choice()
	checks = append(checks, Check{ID: "button_policy", OK: true, Why: fmt.Sprintf("What the button may do: %s. %s", choice, choice.Costs())})
	checks = append(checks, m.label()...)
	checks = append(checks, m.panel(cfg, m.labelled())...)
	checks = append(checks, m.network(cfg)...)
	checks = append(checks, m.volumes(cfg)...)
	checks = append(checks, m.sandbox(cfg)...)
	if m.Core != nil {
		checks = append(checks, check("core", m.Core(ctx), "The part of paperclipd that holds the keys answers."))
	}
	return checks
}

// Healthy tells whether every check was well.
func Healthy(checks []Check) bool {
	return !slices.ContainsFunc(checks, func(c Check) bool { return !c.OK })
}

// check makes a Check of an error, in the catalogue's words where it has some.
func check(id string, err error, well string) Check {
	if err == nil {
		return Check{ID: id, OK: true, Why: well}
	}
	p := catalog.AsProblem(err)
	if p.ID == "internal" {
		return Check{ID: id, Why: err.Error()}
	}
	return Check{ID: id, Why: strings.TrimSpace(p.Text + " " + p.Meaning), WhatToDo: p.WhatToDo}
}

func checkOr(id string, err error, well, whatToDo string) Check {
	c := check(id, err, well)
	if !c.OK && c.WhatToDo == "" {
		c.WhatToDo = whatToDo
	}
	return c
}

// logind looks for the drop-in without which systemd-logind reboots on the
// reset button while paperclipd does not hold it.
func (m Machine) logind() Check {
	const id, name = "logind", "50-paperclip.conf"
	for _, dir := range []string{"/etc/systemd/logind.conf.d", "/run/systemd/logind.conf.d", "/usr/lib/systemd/logind.conf.d"} {
		text, err := m.Files.ReadFile(dir + "/" + name)
		if err != nil {
			continue // the next one counts then
		}
		for _, key := range []string{"HandleRebootKey=ignore", "HandleRebootKeyLongPress=ignore"} {
			if !slices.Contains(strings.Fields(string(text)), key) {
				return Check{ID: id, Why: dir + "/" + name + " does not say " + key + ".", WhatToDo: "Install paperclipd again."}
			}
		}
		return Check{ID: id, OK: true, Why: "systemd-logind leaves the reset button alone."}
	}
	return Check{
		ID: id, Why: "systemd-logind restarts or powers off the NAS when its reset button is held while paperclipd is not running.",
		WhatToDo: "Install paperclipd again: it brings " + name + " for logind.",
	}
}

// recovery looks whether the doors wait for the recovery unit at boot.
func (m Machine) recovery() Check {
	const id, unit = "recovery", "paperclip-recovery.service"
	var waits, open []string
	for _, door := range []string{"ssh.service", "smbd.service", "systemd-networkd.service", "NetworkManager.service"} {
		if !m.has("/lib/systemd/system/"+door) && !m.has("/usr/lib/systemd/system/"+door) && !m.has("/etc/systemd/system/"+door) {
			continue
		}
		if m.has("/etc/systemd/system/" + door + ".requires/" + unit) {
			waits = append(waits, door)
		} else {
			open = append(open, door)
		}
	}
	if len(open) > 0 {
		return Check{
			ID: id, Why: strings.Join(open, " and ") + " would start after a power cut before an interrupted reset was finished or undone.",
			WhatToDo: "Run systemctl enable " + unit + ".",
		}
	}
	return Check{ID: id, OK: true, Why: strings.TrimSpace("After a power cut an interrupted reset is finished or undone first. " + forText(waits))}
}

func forText(doors []string) string {
	if len(doors) == 0 {
		return ""
	}
	return "These wait for it: " + strings.Join(doors, ", ") + "."
}

func (m Machine) has(path string) bool {
	_, err := m.Files.Stat(path)
	return err == nil
}

// settings asks each adapter what it finds. Only one is a must: somewhere a
// password can be set.
func (m Machine) settings(ctx context.Context, cfg config.Config) []Check {
	if m.Adapters == nil {
		return nil
	}
	var checks []Check
	password := false
	for _, a := range m.Adapters(cfg) {
		found, err := a.Detect(ctx)
		switch id := "setting." + a.ID(); {
		case err != nil:
			checks = append(checks, checkOr(id, err, "", "A reset is not begun while this cannot be read."))
		case found.Present:
			password = password || slices.Contains(a.Effects(), nas.E1)
			checks = append(checks, Check{ID: id, OK: true, Why: found.What})
		default:
			checks = append(checks, Check{ID: id, OK: true, Why: "Not on this system: " + found.Why})
		}
	}
	if !password {
		checks = append(checks, Check{ID: "password", Why: "No account of this system can be given a new password.", WhatToDo: "See the checks of the settings."})
	}
	return checks
}

// label says whether there is a code on the label: a way to prove presence where
// nobody hears a beep.
func (m Machine) label() []Check {
	const id = "label_code"
	if m.Label == nil {
		return nil
	}
	switch there, err := m.Label(); {
	case err != nil:
		return []Check{check(id, err, "")}
	case there:
		return []Check{{ID: id, OK: true, Why: "There is a code on the label: in a claim it serves in place of the beeps. Whoever comes to the NAS can read it."}}
	default:
		return []Check{{ID: id, OK: true, Why: "There is no code on the label: in a claim only what the NAS beeps serves. `paperclipd label --new` makes one to be stuck on the NAS."}}
	}
}

func (m Machine) labelled() bool {
	if m.Label == nil {
		return false
	}
	there, err := m.Label()
	return err == nil && there
}

func (m Machine) panel(cfg config.Config, labelled bool) []Check {
	var checks []Check
	for _, part := range []struct {
		id, without string
		none        bool
		find        func(config.Config) (string, error)
	}{
		{"button", "The configuration says that there is no button: a claim cannot be opened at the device.", cfg.Panel.Button.None(), m.Button},
		{"beeper", "The configuration says that there is no beeper.", cfg.Panel.Beeper.None(), m.Beeper},
	} {
		switch {
		case part.find == nil:
		case part.none:
			checks = append(checks, Check{ID: part.id, OK: part.id != "button", Why: part.without})
		default:
			found, err := part.find(cfg)
			checks = append(checks, checkOr(part.id, err, found, "Name it in paperclip.toml, [panel] "+part.id+"."))
		}
	}
	light := cfg.Panel.Light.LED()
	if light != "" && !m.has("/sys/class/leds/"+light) {
		checks = append(checks, Check{ID: "light", Why: fmt.Sprintf("There is no light %q in /sys/class/leds.", light), WhatToDo: "Correct paperclip.toml, [panel] light."})
	}
	silent := cfg.Panel.Beeper.None() && cfg.Panel.Light.None()
	if m.RealTime != nil && !silent {
		checks = append(checks, m.realTime()...)
	}
	if silent && !labelled {
		checks = append(checks, Check{ID: "code", Why: "With neither beeper nor light nobody can be told the code of a claim.", WhatToDo: "Set one in paperclip.toml, [panel], or stick a code on the NAS: `paperclipd label --new`."})
	}
	return checks
}

// realTime tells how core's beeps are scheduled, once core has said so.
func (m Machine) realTime() []Check {
	const id = "beep_timing"
	err := m.RealTime()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // core has not run: its own check tells
	case err != nil:
		return []Check{{
			ID: id, Why: "While this NAS is busy, beeps and blinks come late: the kernel refused core " + err.Error() + ".",
			WhatToDo: "Start core by its systemd unit, unchanged (LimitRTPRIO). Holds are measured right all the same.",
		}}
	}
	return []Check{{ID: id, OK: true, Why: "Beeps and blinks come in time while this NAS is busy: they have a real-time thread."}}
}

func (m Machine) network(cfg config.Config) []Check {
	const id = "claim_network"
	switch {
	case m.Cards == nil:
		return nil
	case !cfg.Network.ClaimNetwork:
		return []Check{{ID: id, OK: true, Why: "Switched off in the configuration: a claim is reached at the NAS's own addresses alone."}}
	}
	cards, err := m.Cards(cfg)
	switch {
	case err != nil:
		return []Check{check(id, err, "")}
	case len(cards) == 0:
		return []Check{{ID: id, Why: "No wired network card is up.", WhatToDo: "Plug the NAS in; a claim is reached by cable."}}
	}
	return []Check{{ID: id, OK: true, Why: "A claim gets addresses of its own on " + strings.Join(cards, ", ") + "."}}
}

// volumes looks whether the data lies apart from the system. Where it does not,
// the guarantee that the kernel keeps paperclipd away from it is weaker.
func (m Machine) volumes(cfg config.Config) []Check {
	if m.Device == nil {
		return nil
	}
	root, err := m.Device("/")
	if err != nil {
		return []Check{check("volumes", err, "")}
	}
	checks := m.besideSystem(root)
	for _, v := range cfg.Device.Volumes {
		id := "volume " + v.String()
		device, err := m.Device(v.String())
		switch {
		case err != nil:
			checks = append(checks, checkOr(id, err, "", "Correct paperclip.toml, [device] volumes."))
		case device == root:
			checks = append(checks, Check{
				ID: id, Why: "It is on the system's own file system. Only the list of folders that paperclipd may write to keeps it from that data.",
				WhatToDo: "Put the data on a volume of its own.",
			})
		default:
			checks = append(checks, Check{ID: id, OK: true, Why: "A volume of its own: paperclipd cannot write there."})
		}
	}
	return checks
}
