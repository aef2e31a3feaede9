package netstack

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// Connection is a profile as "nmcli connection show" lists it.
type Connection struct{ UUID, Type, Device, File string }

// notRunning is nmcli's exit status where NetworkManager does not run.
const notRunning = 8

// rows are the fields of each row that an nmcli command prints; running is
// false where NetworkManager does not answer.
func (s System) rows(ctx context.Context, args ...string) (rows [][]string, running bool, err error) {
	if !s.exists("/run/NetworkManager") || s.Runner == nil {
		return nil, false, nil
	}
	nmcli := s.Nmcli
	if nmcli == "" {
		nmcli = "nmcli"
	}
	out, err := s.Runner.Run(ctx, "netstack.survey.nmcli", opfs.Command{Path: nmcli, Args: append([]string{"--terse", "--fields"}, args...)})
	switch {
	case errors.Is(err, opfs.ErrNoCommand), err == nil && out.ExitCode == notRunning:
		return nil, false, nil
	case err != nil:
		return nil, false, err
	case out.ExitCode != 0:
		return nil, false, fmt.Errorf("nmcli ended with status %d: %.200s", out.ExitCode, out.Stderr)
	}
	for line := range strings.Lines(string(out.Stdout)) {
		rows = append(rows, terse(strings.TrimSuffix(line, "\n")))
	}
	return rows, true, nil
}

// Connections are NetworkManager's profiles; running is false where it does
// not run.
func (s System) Connections(ctx context.Context) (all []Connection, running bool, err error) {
	rows, running, err := s.rows(ctx, "UUID,TYPE,DEVICE,FILENAME", "connection", "show")
	for _, r := range rows {
		if len(r) == 4 {
			all = append(all, Connection{r[0], r[1], r[2], r[3]})
		}
	}
	return all, running, err
}

// profiles are, by interface, what NetworkManager manages. It also shows what
// others configure, as unmanaged or "(externally)".
func (s System) profiles(ctx context.Context) (map[string]Profile, error) {
	devices, running, err := s.rows(ctx, "DEVICE,STATE,CON-UUID", "device", "status")
	if err != nil || !running {
		return nil, err
	}
	all, _, err := s.Connections(ctx)
	if err != nil {
		return nil, err
	}
	profiles := make(map[string]Profile)
	for _, d := range devices {
		if len(d) != 3 || d[1] == "unmanaged" || strings.Contains(d[1], "externally") {
			continue
		}
		p := Profile{UUID: strings.Trim(d[2], "-")} // "--" is none
		for _, c := range all {
			if c.UUID == p.UUID && p.UUID != "" {
				p.Type, p.File = c.Type, c.File
			}
		}
		profiles[d[0]] = p
	}
	return profiles, nil
}

// terse splits a line of nmcli --terse: fields between colons, in which a
// backslash takes away the meaning of a colon or of itself.
func terse(line string) []string {
	fields := []string{""}
	escaped := false
	for _, r := range line {
		last := len(fields) - 1
		switch {
		case !escaped && r == '\\':
			escaped = true
			continue
		case !escaped && r == ':':
			fields = append(fields, "")
		default:
			fields[last] += string(r)
		}
		escaped = false
	}
	return fields
}
