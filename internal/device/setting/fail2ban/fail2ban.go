// Package fail2ban switches automatic blocking by fail2ban off (E8), and on
// again.
//
// The service is masked and stopped, by which every address is let in again.
// Whom it had blocked stays in its database (fail2ban.sqlite3), which is only
// ever read here: when the service starts again it blocks those anew whose time
// is not up.
package fail2ban

import (
	"context"
	_ "embed"
	"encoding/json"
	"net/netip"

	"github.com/paperclip-nas/paperclip/internal/device/setting/unit"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// ID is the adapter's name in steps and operations.
const ID = "fail2ban"

// Unit is the service that the adapter switches.
const Unit = "fail2ban.service"

// Database is where Debian's fail2ban remembers whom it blocked.
const Database = "/var/lib/fail2ban/fail2ban.sqlite3"

// script lists the blocked addresses. fail2ban needs the Python it runs in.
//
//go:embed blocked.py
var script string

// maxBlocked bounds the list that is shown.
const maxBlocked = 10_000

// Adapter is fail2ban.
type Adapter struct{ unit.Switch }

// New is the adapter of that system. It has no side effect.
func New(s unit.System) *Adapter {
	return &Adapter{unit.Switch{System: s, Name: ID, Unit: Unit, What: "fail2ban", Step: "auto block (fail2ban)", Row: nas.E8}}
}

// Read fills whether addresses are blocked after failed sign-ins, and which
// are. A database that cannot be read is an empty list.
func (a *Adapter) Read(ctx context.Context, s *nas.Settings) error {
	st, err := a.State(ctx, ID+".read.show", a.Unit)
	if err != nil {
		return err
	}
	s.AutoBlock = &nas.AutoBlock{Enabled: st.On(), Blocked: a.blocked(ctx)}
	return nil
}

func (a *Adapter) blocked(ctx context.Context) []string {
	if _, err := a.FS.Stat(Database); err != nil {
		return nil // it never ran: Python need not be started to say so
	}
	out, err := a.Runner.Run(ctx, ID+".read.database", opfs.Command{Path: "/usr/bin/python3", Args: []string{"-I", "-c", script, Database}})
	if err != nil || out.ExitCode != 0 {
		return nil
	}
	return addresses(out.Stdout)
}

// addresses reads a JSON list, and drops what is neither an address nor a
// network.
func addresses(data []byte) []string {
	var listed []string
	if json.Unmarshal(data, &listed) != nil {
		return nil
	}
	var all []string
	for _, text := range listed[:min(len(listed), maxBlocked)] {
		_, err1 := netip.ParseAddr(text)
		_, err2 := netip.ParsePrefix(text)
		if err1 == nil || err2 == nil {
			all = append(all, text)
		}
	}
	return all
}
