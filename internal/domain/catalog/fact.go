package catalog

import (
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Confidence is how sure a fact is, as the vendors' files grade it.
type Confidence string

// The grades (vendors/*.md). No row may claim hardware: nothing was tested on
// a vendor's device yet.
const (
	A         Confidence = "A" // two independent sources, the vendor's own document, or real bytes
	B         Confidence = "B" // one good source
	C         Confidence = "C" // weak
	Inference Confidence = "I" // concluded from A or B
	Sought    Confidence = "?" // looked for, and not found in any source that was read
)

// Automatic reports whether a program may change something on the strength of
// a fact of this grade; below B a person is guided instead (design.md,
// "Vendors").
func (c Confidence) Automatic() bool { return c == A || c == B }

// Fact is one thing that is known about a device, with where it is from.
type Fact struct {
	ID         ID         `json:"id"`
	Vendor     string     `json:"vendor"`
	Models     string     `json:"model"`    // a model, a family, or "all"
	Firmware   string     `json:"firmware"` // a range in words, or "all"
	Text       string     `json:"text"`
	Value      string     `json:"value"` // for programs: seconds, counts, names; may be empty
	Source     string     `json:"source"`
	Confidence Confidence `json:"confidence"`
}

// facts is written once, by whoever asks first: a look-up reads it, nobody changes it.
var facts = sync.OnceValue(func() []Fact {
	all := slices.Concat(paperclipFacts(), synologyFacts(), qnapFacts(), modelFacts())
	for i := range all {
		all[i].Source = inWords(all[i].Source)
	}
	return all
})

// inWords is a source as a reader can use it: the rows name the project's notes
// by their files, which are kept beside the repository (CONTRIBUTING.md).
func inWords(source string) string {
	return strings.NewReplacer("vendors/synology.md", "project's notes on Synology", "vendors/qnap.md", "project's notes on QNAP", "requirements.md", "project's requirements").Replace(source)
}

// Facts lists everything that is known about devices.
func Facts() []Fact { return slices.Clone(facts()) }

// FactNamed looks a fact up.
func FactNamed(id ID) (Fact, bool) {
	all := facts()
	i := slices.IndexFunc(all, func(f Fact) bool { return f.ID == id })
	if i < 0 {
		return Fact{}, false
	}
	return all[i], true
}

// FactsFor lists what is known for a vendor, case-insensitively.
func FactsFor(vendor string) []Fact {
	var out []Fact
	for _, f := range facts() {
		if strings.EqualFold(f.Vendor, vendor) {
			out = append(out, f)
		}
	}
	return out
}

// FactsForModel lists what applies to a model; version is its firmware's, such
// as "7.2", and empty where it is not known: then all firmware's facts are
// listed.
func FactsForModel(m Model, version string) []Fact {
	var out []Fact
	for _, f := range FactsFor(m.Vendor) {
		if f.about(m) && f.Applies(version) {
			out = append(out, f)
		}
	}
	return out
}

// about reports whether the fact is about such a model.
func (f Fact) about(m Model) bool {
	switch {
	case strings.HasPrefix(string(f.ID), "model."):
		return f.Models == m.Name
	case strings.HasPrefix(string(f.ID), "family."):
		return f.Models == m.Family+" family"
	}
	return true
}

// Applies reports whether the fact holds for that firmware. An empty version,
// or one that cannot be read, rules nothing out.
func (f Fact) Applies(version string) bool {
	v, ok := parseVersion(version)
	if !ok {
		return true
	}
	r := f.Firmware
	switch {
	case r == "all":
		return true
	case strings.HasSuffix(r, " and later"):
		since, _ := parseVersion(strings.TrimSuffix(r, " and later"))
		return slices.Compare(v, since) >= 0
	case strings.HasSuffix(r, " and earlier"):
		last, _ := parseVersion(strings.TrimSuffix(r, " and earlier"))
		return slices.Compare(v, last) <= 0 || within(v, last)
	}
	first, last, ok := strings.Cut(r, " to ")
	if !ok {
		return true
	}
	since, _ := parseVersion(first)
	until, _ := parseVersion(last)
	return slices.Compare(v, since) >= 0 && (slices.Compare(v, until) <= 0 || within(v, until))
}

// IsVersion tells whether s can be compared with what a fact says of firmware;
// the empty string means any.
func IsVersion(s string) bool {
	_, ok := parseVersion(s)
	return ok || s == ""
}

// within reports whether v is a release of the line that limit names: 5.1.9 is
// within 5.1.
func within(v, limit []int) bool {
	return len(v) >= len(limit) && slices.Equal(v[:len(limit)], limit)
}

// parseVersion reads "7.2", "5.1.x", "h5.2.0" (QuTS hero) or "7.0-41222": the
// numbers before anything else.
func parseVersion(s string) ([]int, bool) {
	s = strings.TrimLeft(strings.TrimSpace(s), "hc")
	s, _, _ = strings.Cut(s, "-")
	var out []int
	for part := range strings.SplitSeq(s, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			break
		}
		out = append(out, n)
	}
	return out, len(out) > 0
}

// DSMVersion is a DSM's version as the facts need it. Over the LAN a DSM of
// the 6.2 line calls itself "6.2" whatever its patch; only its build tells 6.2.4
// (25556), from which on the reset is another one (synology.build.624).
func DSMVersion(version, build string) string {
	v, ok := parseVersion(version)
	n, err := strconv.Atoi(build)
	if !ok || err != nil || len(v) != 2 || v[0] != 6 || v[1] != 2 {
		return version
	}
	if n >= 25556 {
		return "6.2.4"
	}
	return "6.2.3"
}

func paperclipFacts() []Fact {
	const source = "docs/button.md"
	p := func(id ID, text, value string) Fact {
		return Fact{ID: id, Vendor: "Paperclip", Models: "all", Firmware: "all", Text: text, Value: value, Source: source, Confidence: A}
	}
	return []Fact{
		p("paperclip.button.soft", "Hold the reset button about 4 seconds; at the one beep, let go. A soft claim opens; nothing is changed by that.", "4 s, 1 beep"),
		p("paperclip.button.hard", "Within 10 seconds of the first beep hold again about 4 seconds, until three beeps: the claim becomes a hard one.", "4 s, 3 beeps"),
		p("paperclip.button.close", "Held longer than 10 seconds, an open claim closes and everything is as it was.", "10 s"),
		p("paperclip.button.code", "A short press while a claim is open says a fresh code.", ""),
	}
}
