//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/config"
	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/device/sandbox"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
)

// sandboxReport is where core leaves for doctor what it could not do.
const sandboxReport = "/run/paperclip/sandbox.json"

// quietEvery is how often core is asked whether it may be started anew. Nothing
// asks while there is no need to.
const quietEvery = 20 * time.Second

func coreRules(cfg config.Config) sandbox.Rules {
	if light := cfg.Panel.Light.LED(); light != "" {
		return sandbox.Core(light)
	}
	return sandbox.Core()
}

// confine takes from this process what it does not need, and tries whether it
// is gone: the problem sandbox_open where it is not.
func (m *machine) confine(rules sandbox.Rules) (sandbox.Report, error) {
	abi, write, err := rules.Apply()
	if err != nil {
		return sandbox.Report{}, catalog.New("sandbox_failed").Because(err)
	}
	r, err := sandbox.Check(abi, write)
	if err != nil {
		return r, catalog.New("sandbox_failed").Because(err)
	}
	m.log.Info("sandbox", "tried", r.String())
	for _, path := range r.Weak() {
		m.log.Warn("only the second layer of the sandbox keeps paperclipd from this file system", "path", path)
	}
	return r, open(r)
}

func open(r sandbox.Report) error {
	if len(r.Open) == 0 {
		return nil
	}
	return catalog.New("sandbox_open", strings.Join(r.Open, ", "))
}

// confineCore is confine for core, which leaves its report for doctor.
func (m *machine) confineCore(cfg config.Config) (sandbox.Report, error) {
	r, refused := m.confine(coreRules(cfg))
	text, err := json.Marshal(r)
	if err == nil {
		err = atomicfile.Replace(m.fs, "sandbox.report", sandboxReport, text, atomicfile.Options{Mode: 0o600})
	}
	return r, errors.Join(refused, err)
}

// watchMounts ends with an error when a file system was mounted that the unit's
// read-only mounts do not cover, as soon as nothing is under way: systemd then
// starts core in a sandbox that covers it.
func (m *machine) watchMounts(ctx context.Context, c *core.Core, before sandbox.Report) error {
	now, err := sandbox.Watch(ctx, before)
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return catalog.New("sandbox_failed").Because(err)
	case len(now.Open) > 0:
		return open(now)
	}
	m.log.Warn("a file system was mounted; core starts anew, in a sandbox that covers it", "paths", strings.Join(now.Weak(), ", "))
	for !c.Quiet(ctx) {
		select {
		case <-ctx.Done():
			return nil
		case <-m.clock.After(quietEvery):
		}
	}
	return catalog.New("sandbox_anew")
}

// sandboxFound is core's report, for doctor.
func (m *machine) sandboxFound() (r sandbox.Report, err error) {
	text, err := m.fs.ReadFile(sandboxReport)
	if err != nil {
		return r, err
	}
	err = json.Unmarshal(text, &r)
	return r, err
}
