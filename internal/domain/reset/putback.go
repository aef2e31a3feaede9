package reset

import (
	"fmt"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// PutBack is the mode of a restore: saved settings are put back (R6). It is no
// way in, so ParseMode does not know it.
const PutBack Mode = "restore"

// Part is a group of settings that a restore can be narrowed to, by its name.
type Part struct {
	Name    string
	Effects []nas.Effect
}

// Parts lists them.
func Parts() []Part {
	return []Part{
		{"accounts", []nas.Effect{nas.E1, nas.H3}},
		{"second-factor", []nas.Effect{nas.E13}},
		{"guest", []nas.Effect{nas.E2}},
		{"ports", []nas.Effect{nas.E3}},
		{"network", []nas.Effect{nas.E4, nas.E5, nas.E6, nas.E7}},
		{"auto-block", []nas.Effect{nas.E8}},
		{"firewall", []nas.Effect{nas.E9}},
		{"clusters", []nas.Effect{nas.E10, nas.E11}},
		{"encrypted-folders", []nas.Effect{nas.E12}},
		{"name", []nas.Effect{nas.H1}},
		{"shares", []nas.Effect{nas.H2}},
	}
}

// EffectsOf reads the names of parts as typed; none means all of them.
func EffectsOf(only []string) ([]nas.Effect, error) {
	if len(only) == 0 {
		return nas.Effects(), nil
	}
	var out []nas.Effect
	for _, name := range only {
		parts := Parts()
		i := slices.IndexFunc(parts, func(p Part) bool { return p.Name == name })
		if i < 0 {
			var names []string
			for _, p := range parts {
				names = append(names, p.Name)
			}
			return nil, fmt.Errorf("there is no part %.40q: %s", name, strings.Join(names, ", "))
		}
		out = append(out, parts[i].Effects...)
	}
	return out, nil
}

// Difference is one setting three ways: as it was saved, as it is, and as a
// reset leaves it.
type Difference struct {
	ID      nas.Effect `json:"id"`
	Setting string     `json:"setting"`
	Then    string     `json:"then"`
	Now     string     `json:"now"`
	Default string     `json:"default"`
	Differs bool       `json:"differs"` // then from now
}

// Differences compares what was saved with what is, for each effect that words
// can tell. Passwords and second factors are none of them.
func Differences(then, now nas.Settings, effects []nas.Effect) []Difference {
	out := []Difference{}
	for _, e := range nas.Effects() {
		if e == nas.E1 || e == nas.E13 || !slices.Contains(effects, e) || !present(e, then) && !present(e, now) {
			continue
		}
		d := Difference{
			ID: e, Setting: e.Setting(),
			Then: Describe(e, then, ""), Now: Describe(e, now, ""), Default: Describe(e, Apply(e, now, ""), ""),
		}
		d.Differs = d.Then != d.Now
		out = append(out, d)
	}
	return out
}

// PutBackRequest is what a restore is planned from.
type PutBackRequest struct {
	Device      string
	From        string       // what is put back, for the reader: "the snapshot of 2 January 2026"
	Digest      string       // hex SHA-256 of what is put back
	Differences []Difference // of the chosen parts
	Steps       []Step       // that the adapters prepared
	NotCovered  []string
	Trial       string // how long it has to be confirmed, for the reader
}

// BuildPutBack works out the plan of a restore.
func BuildPutBack(r PutBackRequest) Plan {
	p := Plan{
		Device: r.Device, Mode: PutBack, Saved: r.Digest,
		Changes: []Change{}, Losses: []string{}, Interrupts: []string{}, NotCovered: append([]string{}, r.NotCovered...),
		Keeps: []string{
			"every file on every volume: no restore writes to a volume",
			"every administrator's password, and who is an administrator",
			"the NAS's identity, its owner keys, counters, receipts and used codes, and what its button may do",
		},
		Takes: "seconds; the NAS may then be at another address",
		Needs: []string{"`paperclip restore " + r.Device + " --confirm` within " + r.Trial + " of its being in force: else, and at a restart, everything goes back to how it is now"},
	}
	for _, s := range r.Steps {
		p.putBack(s, r)
	}
	if len(p.Changes) > 0 {
		p.Losses = append(p.Losses, "how these settings are now, once it is confirmed")
	}
	return p
}

// putBack tells what one step changes: the rows whose words differ, or that
// something differs which the words do not tell.
func (p *Plan) putBack(s Step, r PutBackRequest) {
	told := false
	for _, d := range r.Differences {
		if d.Differs && slices.Contains(s.Effects, d.ID) {
			p.change(Change{ID: d.ID, Setting: d.Setting, From: d.Now, To: d.Then})
			told = true
		}
	}
	if !told && len(s.Effects) > 0 {
		e := s.Effects[0]
		setting := e.Setting()
		if e == nas.E1 {
			setting = "other accounts"
		}
		p.change(Change{ID: e, Setting: setting, From: "as it is now (" + s.Name + ")", To: "as in " + r.From})
	}
}

func (p *Plan) change(c Change) {
	if slices.Contains(p.Changes, c) {
		return
	}
	p.Changes = append(p.Changes, c)
	if c.ID == nas.E1 {
		return // of others' accounts: nobody's session ends
	}
	for _, i := range interrupts(c.ID) {
		if !slices.Contains(p.Interrupts, i) {
			p.Interrupts = append(p.Interrupts, i)
		}
	}
}
