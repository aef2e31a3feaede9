package rescue

import (
	"fmt"

	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

// PlanLines puts a plan into the words in which it is shown before it is
// accepted (promise 4). What the NAS sent is made safe to show.
func PlanLines(p reset.Plan) []string {
	lines := []string{fmt.Sprintf("What will happen on %s:", p.Device)}
	if len(p.Changes) == 0 {
		lines = append(lines, "  nothing changes")
	}
	for _, c := range p.Changes {
		lines = append(lines, "  changes  "+c.Setting, "             from  "+c.From, "             to    "+c.To)
	}
	if len(p.Losses) == 0 {
		lines = append(lines, "  loses  nothing")
	}
	for _, part := range []struct {
		word  string
		items []string
	}{
		{"loses", p.Losses}, {"keeps", p.Keeps}, {"stops for a moment", p.Interrupts}, {"not covered", p.NotCovered},
	} {
		for _, item := range part.items {
			lines = append(lines, fmt.Sprintf("  %s  %s", part.word, item))
		}
	}
	lines = append(lines, "  takes  "+p.Takes)
	for i := range lines {
		lines[i] = printable.Clean(lines[i])
	}
	return lines
}

// describeNAS is a found NAS in one line, with what stands on its label, so that
// a person can see which box is meant (F7).
func describeNAS(n NAS) string {
	d := n.Name
	if n.Model != "" {
		d += ", " + n.Vendor + " " + n.Model
	} else if n.Vendor != "" {
		d += ", " + n.Vendor
	}
	if n.Address != "" {
		d += ", at " + n.Address
	}
	switch {
	case n.Serial != "":
		d += " (label: serial " + n.Serial + ")"
	case len(n.MACs) > 0:
		d += " (label: MAC " + n.MACs[0] + ")"
	}
	return printable.Clean(d)
}
