package catalog

import (
	"slices"
	"strconv"
	"strings"
)

// Shape is what the back of a device looks like, for the picture that shows
// where to look for the hole (C4).
type Shape string

// The shapes that there are pictures of.
const (
	TwoBay  Shape = "2bay"
	FourBay Shape = "4bay" // and every larger desktop box
	Rack    Shape = "rack"
)

// Model is one kind of device.
type Model struct {
	Name   string // as it is sold: "DS920+"
	Vendor string
	Family string // "DS", "RS", "FS", "RX"; "TS" and so on for QNAP
	Bays   int    // 0 where its name does not say
	Shape  Shape
	// Expansion is a box of drives without a system of its own.
	Expansion bool
}

// Models lists the models that the sources name (requirements C1). More are
// understood by the families of their names: see ModelNamed.
func Models() []Model {
	var out []Model
	for _, m := range knownModels() {
		out = append(out, m.Model)
	}
	return out
}

type knownModel struct {
	Model
	note string // what is to be said about this very model; may be empty
}

func knownModels() []knownModel {
	syn := func(name, family string, bays int, shape Shape, note string) knownModel {
		return knownModel{Model{Name: name, Vendor: "Synology", Family: family, Bays: bays, Shape: shape, Expansion: family == "RX"}, note}
	}
	qnap := func(name string, bays int, shape Shape, note string) knownModel {
		return knownModel{Model{Name: name, Vendor: "QNAP", Family: "TS", Bays: bays, Shape: shape}, note}
	}
	return []knownModel{
		syn("DS212", "DS", 2, TwoBay, ""),
		syn("DS415+", "DS", 4, FourBay, ""),
		syn("DS1816+", "DS", 0, FourBay, "A source names this model; whether it was ever sold was not found. Look at the label."),
		syn("DS920+", "DS", 4, FourBay, ""),
		syn("RS814", "RS", 4, Rack, ""),
		syn("RS815", "RS", 4, Rack, ""),
		syn("RX415", "RX", 4, Rack, "An expansion unit: it has no system of its own to reset. Use the button of the NAS that it is cabled to."),
		qnap("TS-251", 2, TwoBay, ""),
		qnap("TS-453", 4, FourBay, "A family: TS-453 Pro, A, B, Be, D and others. One source gives hold times by model; the vendor gives the same for all: 3 and 10 seconds."),
		qnap("TS-453D", 4, FourBay, ""),
		qnap("TS-932P", 9, FourBay, "Sold as TS-932P and TS-932PX."),
		qnap("TS-231K", 2, TwoBay, ""),
		qnap("TS-433", 4, FourBay, ""),
	}
}

// families are how the vendors' names begin, longest first.
func families() []Model {
	return []Model{
		{Vendor: "Synology", Family: "DS", Shape: FourBay},
		{Vendor: "Synology", Family: "RS", Shape: Rack},
		{Vendor: "Synology", Family: "FS", Shape: Rack},
		{Vendor: "Synology", Family: "RX", Shape: Rack, Expansion: true},
		{Vendor: "Synology", Family: "DX", Shape: FourBay, Expansion: true},
		{Vendor: "QNAP", Family: "TVS", Shape: FourBay},
		{Vendor: "QNAP", Family: "TBS", Shape: FourBay},
		{Vendor: "QNAP", Family: "HS", Shape: FourBay},
		{Vendor: "QNAP", Family: "TS", Shape: FourBay},
	}
}

// ModelNamed reads a model's name, however it is written: one of those that
// the sources name, else one of a family, by how its name begins. A vendor's
// name alone is a model without a name.
func ModelNamed(name string) (Model, bool) {
	asWritten := strings.ToUpper(strings.TrimSpace(name))
	name = compact(name)
	for _, m := range Models() {
		if compact(m.Name) == name {
			return m, true
		}
	}
	for _, v := range []string{"Synology", "QNAP", "Paperclip"} {
		rest, ok := strings.CutPrefix(name, compact(v))
		switch {
		case ok && rest == "":
			return Model{Vendor: v}, true
		case ok:
			return ModelNamed(rest)
		}
	}
	for _, v := range []struct{ name, vendor string }{{"DISKSTATION", "Synology"}, {"RACKSTATION", "Synology"}, {"FLASHSTATION", "Synology"}, {"LINUX", "Paperclip"}, {"LINUXNAS", "Paperclip"}} {
		if name == v.name {
			return Model{Vendor: v.vendor}, true
		}
	}
	for _, f := range families() {
		if digits, ok := strings.CutPrefix(name, f.Family); ok && digits != "" && digits[0] >= '0' && digits[0] <= '9' {
			return f.sized(asWritten, digits), true
		}
	}
	return Model{}, false
}

// sized fills in what the digits of a name say: Synology's are bays and year,
// QNAP's first ones are bays.
func (m Model) sized(name, digits string) Model {
	at := strings.Index(name, m.Family)
	m.Name = name[at:]
	number := digits
	if i := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		number = digits[:i]
	}
	if m.Vendor == "QNAP" {
		m.Name = m.Family + "-" + strings.TrimLeft(name[at+len(m.Family):], "- ")
		if strings.HasSuffix(digits, "U") || strings.Contains(digits, "XU") || strings.Contains(digits, "URP") {
			m.Shape = Rack
		}
		if len(number) >= 3 {
			m.Bays, _ = strconv.Atoi(number[:len(number)-2])
		}
	} else if len(number) == 3 && m.Family == "DS" {
		m.Bays, _ = strconv.Atoi(number[:1])
	}
	if m.Shape == FourBay && m.Bays > 0 && m.Bays <= 2 {
		m.Shape = TwoBay
	}
	return m
}

// compact writes a name without what people leave out or add.
func compact(s string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || r == '_' {
			return -1
		}
		return r
	}, strings.ToUpper(s))
}

// modelFacts are what is known of single models and of families: mostly where
// the button is, and that it is not documented where so.
func modelFacts() []Fact {
	var out []Fact
	for _, m := range knownModels() {
		out = append(out, m.facts()...)
	}
	family := func(vendor, name, text, source string, c Confidence) Fact {
		return Fact{ID: ID("family." + strings.ToLower(name) + ".place"), Vendor: vendor, Models: name + " family", Firmware: "all", Text: text, Source: source, Confidence: c}
	}
	return append(
		out,
		family("Synology", "DS", "On DiskStations RESET is a small hole on the back panel, among the ports (seen for DS106, DS216j, DS1815+).", "DS106 manual p. 18; DS216j installation guide; a review of the DS1815+", B),
		family("Synology", "RS", "Where RESET is on RackStations was not found; look on the back panel, near the network ports.", "vendors/synology.md §5.3", Sought),
		family("Synology", "FS", "Where RESET is on FlashStations was not found; look on the back panel, near the network ports.", "vendors/synology.md §5.3", Sought),
		family("Synology", "RX", "An expansion unit has no system of its own: use the button of the NAS that it is cabled to.", "concluded from vendors/synology.md §5.1", Inference),
		family("Synology", "DX", "An expansion unit has no system of its own: use the button of the NAS that it is cabled to.", "concluded from vendors/synology.md §5.1", Inference),
		family("QNAP", "TS", "On the back of the NAS; the vendor's guide says no more.", "vendors/qnap.md §4.4", A),
		family("QNAP", "TVS", "On the back of the NAS; the vendor's guide says no more.", "vendors/qnap.md §4.4", A),
		family("QNAP", "TBS", "On the back of the NAS; the vendor's guide says no more.", "vendors/qnap.md §4.4", A),
		family("QNAP", "HS", "On the back of the NAS; the vendor's guide says no more.", "vendors/qnap.md §4.4", A),
	)
}

func (m knownModel) facts() []Fact {
	id := func(what string) ID {
		return ID("model." + strings.ToLower(strings.NewReplacer("+", "plus", "-", "").Replace(m.Name)) + "." + what)
	}
	source := "vendors/synology.md §5.3"
	if m.Vendor == "QNAP" {
		source = "vendors/qnap.md §4.4"
	}
	var out []Fact
	add := func(what, text, value, source string, c Confidence) {
		out = append(out, Fact{ID: id(what), Vendor: m.Vendor, Models: m.Name, Firmware: "all", Text: text, Value: value, Source: source, Confidence: c})
	}
	if m.Bays > 0 {
		add("bays", "It has "+strconv.Itoa(m.Bays)+" drive bays, as its name says.", strconv.Itoa(m.Bays), "the vendors' naming of models", Inference)
	}
	if !m.Expansion {
		add("place", "Where RESET is on the "+m.Name+" itself: not documented for this model. What is known of its family is given apart.", "not documented", source, Sought)
	}
	if m.note != "" {
		add("note", m.note, "", "requirements.md C1; "+source, C)
	}
	return out
}

// PlaceOf is where the button of such a model is, as far as is known.
func PlaceOf(m Model) (Fact, bool) {
	facts := FactsFor(m.Vendor)
	i := slices.IndexFunc(facts, func(f Fact) bool {
		return strings.HasPrefix(string(f.ID), "family.") && f.Models == m.Family+" family"
	})
	if i < 0 {
		return Fact{}, false
	}
	return facts[i], true
}
