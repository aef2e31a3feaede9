//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/device/journal"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/identity"
)

// statusReport is what `status --json` prints. Status is null while core does
// not answer; Journal is read from the disk and is there in any case.
type statusReport struct {
	Status  *core.Status  `json:"status"`
	Journal journalReport `json:"journal"`
}

// journalReport says which reset was the last and how far it is.
type journalReport struct {
	Transaction string           `json:"transaction,omitempty"`
	State       string           `json:"state,omitempty"`
	Failure     string           `json:"failure,omitempty"`
	Problem     *catalog.Problem `json:"problem,omitempty"`
}

func newStatus(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "status", Short: "This device's key, its claim and its last reset", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m := newMachine(o, cmd.ErrOrStderr())
			if err := m.asRoot("paperclipd status"); err != nil {
				return err
			}
			r := statusReport{Journal: m.journal()}
			var s core.Status
			unreachable := m.read(cmd.Context(), corewire.ReadStatus, &s)
			if unreachable == nil {
				r.Status = &s
			}
			if o.json {
				if err := printJSON(cmd.OutOrStdout(), r); err != nil {
					return err
				}
				o.json = false // that was the one document
			} else {
				printStatus(cmd.OutOrStdout(), r)
			}
			if r.Journal.Problem != nil {
				return *r.Journal.Problem
			}
			return unreachable
		},
	}
	jsonFlag(cmd, o)
	return cmd
}

// journal reads the journal on disk, which answers even where core does not
// start because of it.
func (m *machine) journal() journalReport {
	j := journal.New(m.fs, stateDir)
	record, err := j.Open()
	if err == nil && record == nil {
		record, err = j.Last()
	}
	switch {
	case errors.Is(err, journal.ErrHalfState):
		p := catalog.New("half_state").Because(err)
		return journalReport{Problem: &p}
	case err != nil:
		p := catalog.AsProblem(err)
		return journalReport{Problem: &p}
	case record == nil:
		return journalReport{}
	}
	return journalReport{Transaction: record.ID, State: string(record.State), Failure: record.Failure}
}

func printStatus(w io.Writer, r statusReport) {
	if s := r.Status; s != nil {
		fmt.Fprintf(w, "Name:          %s\n", s.Device.Name)
		fmt.Fprintf(w, "Key:           %s\n", identity.Grouped(s.Device.KeyID))
		fmt.Fprintf(w, "Status:        %s: %s\n", s.Device.State(), s.Device.State().Meaning())
		switch c := s.Device.Claim; {
		case !c.Open:
			fmt.Fprintln(w, "Claim:         none is open")
		default:
			fmt.Fprintf(w, "Claim:         open (%s), closes in %d s\n", s.ClaimState, c.ClosesInSeconds)
		}
		if s.LastIgnored != "" {
			fmt.Fprintf(w, "Last press:    selected nothing: %s\n", s.LastIgnored)
		}
		fmt.Fprintf(w, "Ever:          %d claims, %d codes tried\n", s.Claims, s.Tries)
	}
	switch j := r.Journal; {
	case j.Problem != nil:
		fmt.Fprintln(w, "Last reset:    its record cannot be read")
	case j.Transaction == "":
		fmt.Fprintln(w, "Last reset:    none")
	default:
		fmt.Fprintf(w, "Last reset:    %s: %s %s\n", j.Transaction, j.State, j.Failure)
	}
}
