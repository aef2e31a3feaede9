package guided

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
)

// Diagram draws the table as a Mermaid state diagram.
func Diagram() string {
	var b strings.Builder
	b.WriteString("stateDiagram-v2\n    [*] --> find\n")
	arrow := func(from, to rescue.Name, why string) {
		fmt.Fprintf(&b, "    %s --> %s", from, cmp.Or(strings.ReplaceAll(string(to), string(ended), "[*]"), "[*]"))
		if why != "" {
			b.WriteString(" : " + why)
		}
		b.WriteString("\n")
	}
	for _, s := range table() {
		arrow(s.name, s.next, "")
		if s.dead != "" {
			arrow(s.name, s.dead, "the reset kept the password")
		}
		if s.name == waitReady {
			arrow(s.name, meet, "ready now, and something else is wrong")
		}
		for _, id := range slices.Sorted(maps.Keys(s.on)) {
			arrow(s.name, s.on[catalog.ID(id)], string(id))
		}
	}
	return b.String()
}

// Document writes the table as docs/guided.md has it.
func Document() string {
	var b strings.Builder
	b.WriteString("# The way back into a Synology or QNAP\n\nMade from the table in `internal/owner/guided`; a test keeps it up to date. A step that a way does not\nneed is passed over.\n\n```mermaid\n" + Diagram() + "```\n\n")
	b.WriteString("| step | what it is | of which ways | interrupted here, it goes on at |\n|---|---|---|---|\n")
	words := map[rescue.Name]string{entrance: "where its way meets the NAS", wasItSet: "the sign-in, if the password was set before; else where its way meets the NAS"}
	for _, s := range table() {
		of := "all"
		if s.only != nil {
			var names []string
			for _, w := range s.only {
				names = append(names, string(w))
			}
			of = strings.Join(names, ", ")
		}
		at := cmp.Or(words[s.resume], string(cmp.Or(s.resume, s.name)))
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", s.name, s.text, of, at)
	}
	return b.String()
}
