// Package sessions ends what an administrator has open when their password is
// replaced, so that whoever knew the old one does not stay inside (X15): logins
// on the console and over SSH, through systemd-logind, and connections to Samba.
//
// It ends one account's sessions and no other's, changes no setting, and locks
// nobody out: who knows the new password signs in again at once. A program that
// the account started outside of a session (cron, say) goes on.
package sessions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// maxSessions bounds how many connections to Samba are ended.
const maxSessions = 256

// Ender ends sessions with the system's own tools. It is core.Sessions.
type Ender struct {
	Runner opfs.Runner
	// SambaConfig is Samba's configuration file: "/etc/samba/smb.conf" when
	// empty.
	SambaConfig string
}

// End ends the account's sessions everywhere. It goes on after a failure; the
// error then says what is still open. Ending none is fine.
func (e Ender) End(ctx context.Context, account string) error {
	if account == "" || strings.HasPrefix(account, "-") {
		return fmt.Errorf("%q is not the name of an account", account)
	}
	logins := make(chan error, 1)
	go func() { logins <- e.logins(ctx, account) }() // either takes seconds on a slow NAS: nobody stays inside for both
	samba := e.samba(ctx, account)
	return errors.Join(<-logins, samba)
}

// logins ends the sessions that systemd-logind knows, and what runs in them.
func (e Ender) logins(ctx context.Context, account string) error {
	out, err := e.Runner.Run(ctx, "sessions.end.logind", opfs.Command{Path: "loginctl", Args: []string{"terminate-user", account}})
	switch {
	case errors.Is(err, opfs.ErrNoCommand):
		return nil
	case err != nil:
		return fmt.Errorf("ending logins: %w", err)
	case out.ExitCode != 0 && !strings.Contains(string(out.Stderr), "not logged in"):
		return fmt.Errorf("ending logins: loginctl says %s", said(out))
	}
	return nil
}

// samba tells each of smbd's processes that serves the account to stop. The
// next connection needs the new password.
func (e Ender) samba(ctx context.Context, account string) error {
	out, err := e.samba1(ctx, "sessions.list.samba", "smbstatus", "--processes", "--json")
	if errors.Is(err, opfs.ErrNoCommand) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("listing Samba's sessions: %w", err)
	}
	pids, err := processes(out.Stdout, account)
	if err != nil {
		return fmt.Errorf("listing Samba's sessions: %w", err)
	}
	var failed []error
	for _, pid := range pids {
		if _, err := e.samba1(ctx, "sessions.end.samba", "smbcontrol", strconv.Itoa(pid), "shutdown"); err != nil {
			failed = append(failed, fmt.Errorf("ending Samba's session %d: %w", pid, err))
		}
	}
	return errors.Join(failed...)
}

// samba1 runs one of Samba's tools, which must succeed.
func (e Ender) samba1(ctx context.Context, op, tool string, args ...string) (opfs.Output, error) {
	if e.SambaConfig != "" {
		args = append([]string{"--configfile=" + e.SambaConfig}, args...)
	}
	out, err := e.Runner.Run(ctx, op, opfs.Command{Path: tool, Args: args})
	if err == nil && out.ExitCode != 0 {
		err = fmt.Errorf("%s says %s", tool, said(out))
	}
	return out, err
}

// processes reads what smbstatus says of an account (Samba 4.17 and later).
func processes(status []byte, account string) ([]int, error) {
	var s struct {
		Sessions map[string]struct {
			Server struct {
				PID string `json:"pid"`
			} `json:"server_id"`
			User string `json:"username"`
		} `json:"sessions"`
	}
	if err := json.Unmarshal(status, &s); err != nil {
		return nil, errors.New("smbstatus does not answer with JSON")
	}
	var pids []int
	for _, session := range s.Sessions {
		pid, err := strconv.Atoi(session.Server.PID)
		if !strings.EqualFold(session.User, account) || err != nil || pid <= 1 || slices.Contains(pids, pid) {
			continue
		}
		if pids = append(pids, pid); len(pids) == maxSessions {
			break
		}
	}
	slices.Sort(pids)
	return pids, nil
}

func said(out opfs.Output) string {
	return fmt.Sprintf("%.200q (exit %d)", strings.TrimSpace(string(out.Stderr)), out.ExitCode)
}
