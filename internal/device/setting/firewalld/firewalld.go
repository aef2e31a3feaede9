// Package firewalld switches firewalld off (E9), where that is the firewall,
// and on again.
//
// Its rules, which are files in /etc/firewalld, are only counted: the service
// is masked and stopped, and what it put into the kernel is gone with it. The
// way back is the usual one: systemctl unmask and start.
package firewalld

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting/unit"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// ID is the adapter's name in steps and operations.
const ID = "firewalld"

// Unit is the service that the adapter switches.
const Unit = "firewalld.service"

// Adapter is firewalld.
type Adapter struct{ unit.Switch }

// New is the adapter of that system. It has no side effect.
func New(s unit.System) *Adapter {
	return &Adapter{unit.Switch{System: s, Name: ID, Unit: Unit, What: "firewalld", Step: "firewall (firewalld)", Row: nas.E9}}
}

// Read adds firewalld to the firewall.
func (a *Adapter) Read(ctx context.Context, s *nas.Settings) error {
	st, err := a.State(ctx, ID+".read.show", a.Unit)
	if err != nil {
		return err
	}
	if s.Firewall == nil {
		s.Firewall = &nas.Firewall{}
	}
	s.Firewall.Enabled = s.Firewall.Enabled || st.On()
	s.Firewall.Rules += a.rules()
	return nil
}

// rules counts the owner's rules. A file that cannot be read counts as none.
func (a *Adapter) rules() int {
	files := []string{"/etc/firewalld/direct.xml"}
	for _, dir := range []string{"/etc/firewalld/zones", "/etc/firewalld/policies"} {
		entries, _ := a.FS.ReadDir(dir)
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".xml") {
				files = append(files, path.Join(dir, e.Name()))
			}
		}
	}
	n := 0
	for _, f := range files {
		if data, err := a.FS.ReadFile(f); err == nil {
			n += count(data)
		}
	}
	return n
}

// count is how many elements right below the root of a zone are rules.
func count(data []byte) int {
	n, depth := 0, 0
	d := xml.NewDecoder(bytes.NewReader(data))
	for {
		t, err := d.RawToken()
		if err != nil {
			return n
		}
		switch t := t.(type) {
		case xml.StartElement:
			depth++
			if depth == 2 && slices.Contains([]string{
				"service", "port", "protocol", "source-port", "forward-port", "icmp-block", "rule", "passthrough",
			}, t.Name.Local) {
				n++
			}
		case xml.EndElement:
			depth--
		}
	}
}

// Activate stops or starts the service, and takes out of the kernel what it
// left there (CleanupOnExit=no in firewalld.conf).
func (a *Adapter) Activate(ctx context.Context, s reset.Step) error {
	if err := a.Switch.Activate(ctx, s); err != nil {
		return err
	}
	c, err := a.Change(s)
	if err != nil {
		return err
	}
	off, err := a.Masked(c)
	if err != nil || !off {
		return err
	}
	left, err := a.left(ctx)
	if err != nil {
		return err
	}
	for _, table := range left {
		out, err := a.Runner.Run(ctx, ID+".activate.delete", opfs.Command{Path: "nft", Args: append([]string{"delete"}, strings.Fields(table)...)})
		if err != nil {
			return err
		}
		if out.ExitCode != 0 {
			return fmt.Errorf("nft could not delete %s: %.200s", table, out.Stderr)
		}
	}
	return nil
}

// left are firewalld's own tables in the kernel, as "table inet firewalld".
func (a *Adapter) left(ctx context.Context) ([]string, error) {
	out, err := a.Runner.Run(ctx, ID+".read.tables", opfs.Command{Path: "nft", Args: []string{"list", "tables"}})
	if errors.Is(err, opfs.ErrNoCommand) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if out.ExitCode != 0 {
		return nil, fmt.Errorf("nft list tables ended with status %d: %.200s", out.ExitCode, out.Stderr)
	}
	var tables []string
	for line := range strings.Lines(string(out.Stdout)) {
		if w := strings.Fields(line); len(w) == 3 && w[0] == "table" && strings.HasPrefix(w[2], "firewalld") {
			tables = append(tables, strings.Join(w, " "))
		}
	}
	return tables, nil
}

// Verify reads back from systemd and from the kernel.
func (a *Adapter) Verify(ctx context.Context, s reset.Step) error {
	if err := a.Switch.Verify(ctx, s); err != nil {
		return err
	}
	c, err := a.Change(s)
	if err != nil || c.Back {
		return err
	}
	left, err := a.left(ctx)
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("firewalld is stopped, but its rules are still in force: %s", left[0])
	}
	return err
}
