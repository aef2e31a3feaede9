package catalog_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
)

// C1: every model and family of the requirements is known, with the button's
// place or that it is not documented, the holds, and the defaults.
func TestEveryModelIsKnown(t *testing.T) {
	for _, name := range []string{"TS-251", "TS-453", "TS-453D", "TS-932P", "TS-231K", "TS-433", "DS212", "DS415+", "DS1816+", "RS814", "RS815", "RX415", "DS920+", "FS3400", "RS1221+", "DS1522+", "TVS-872X", "TS-853DU-RP"} {
		m, ok := catalog.ModelNamed(name)
		if !ok || m.Name != name {
			t.Errorf("%s: %+v %v", name, m, ok)
			continue
		}
		facts := catalog.FactsForModel(m, "")
		has := func(part string) bool {
			return slices.ContainsFunc(facts, func(f catalog.Fact) bool { return strings.Contains(string(f.ID), part) })
		}
		if !has(".button.") || !has("default") {
			t.Errorf("%s: no button or no default credentials in %d facts", name, len(facts))
		}
		if p, ok := catalog.PlaceOf(m); !ok || p.Text == "" {
			t.Errorf("%s: nothing is said about where its button is", name)
		}
		for _, f := range facts {
			if strings.HasPrefix(string(f.ID), "model.") && f.Models != name {
				t.Errorf("%s: a fact about %s", name, f.Models)
			}
		}
	}
	for _, name := range []string{"", "toaster", "DSx", "X920"} {
		if m, ok := catalog.ModelNamed(name); ok {
			t.Errorf("%q is taken for %+v", name, m)
		}
	}
}

func TestShapes(t *testing.T) {
	for name, want := range map[string]catalog.Shape{"DS212": catalog.TwoBay, "ds920+": catalog.FourBay, "RS815": catalog.Rack, "TS-251": catalog.TwoBay, "ts453d": catalog.FourBay, "TS-873U-RP": catalog.Rack, "DS218+": catalog.TwoBay, "QNAP TS-464": catalog.FourBay} {
		if m, ok := catalog.ModelNamed(name); !ok || m.Shape != want {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

// C2: default credentials differ by firmware; the one that runs counts, and for
// each firmware there is exactly one.
func TestDefaultsByFirmware(t *testing.T) {
	for _, c := range []struct {
		vendor, version string
		want            catalog.ID
	}{
		{"QNAP", "5.2.0", "qnap.default.cloudkey"},
		{"QNAP", "h5.2.3", "qnap.default.cloudkey"},
		{"QNAP", "6.0.0", "qnap.default.cloudkey"},
		{"QNAP", "5.1.9", "qnap.default.mac"},
		{"QNAP", "4.4.2", "qnap.default.mac"},
		{"QNAP", "5.0.1", "qnap.default.mac"},
		{"QNAP", "4.4.1", "qnap.default.admin"},
		{"QNAP", "4.3.3", "qnap.default.admin"},
		{"QNAP", "3.8", "qnap.default.admin"},
		{"Synology", "6.2.3", "synology.mode1.password"},
		{"Synology", "5.2", "synology.mode1.password"},
		{"Synology", "6.2.4", "synology.mode1.password.page"},
		{"Synology", "7.2", "synology.mode1.password.page"},
		{"Synology", "7.2-64570", "synology.mode1.password.page"},
		{"Synology", catalog.DSMVersion("6.2", "25556"), "synology.mode1.password.page"},
		{"Synology", catalog.DSMVersion("6.2", "25426"), "synology.mode1.password"},
	} {
		var got []catalog.ID
		for _, f := range catalog.FactsFor(c.vendor) {
			id := string(f.ID)
			if (strings.HasPrefix(id, "qnap.default.") && f.ID != "qnap.default.running" && f.ID != "qnap.default.reuse" || strings.HasPrefix(id, "synology.mode1.password")) && f.Applies(c.version) {
				got = append(got, f.ID)
			}
		}
		if len(got) != 1 || got[0] != c.want {
			t.Errorf("%s %s: %v, want %s", c.vendor, c.version, got, c.want)
		}
	}
	if v := catalog.DSMVersion("7.2", "64570"); v != "7.2" {
		t.Errorf("%s", v)
	}
	if f, _ := catalog.FactNamed("qnap.default.mac"); !f.Applies("") || !f.Applies("what") {
		t.Error("an unknown version rules something out")
	}
}

// D10: where a source does harm the catalogue says so.
func TestHarmfulAdviceIsNamed(t *testing.T) {
	f, ok := catalog.FactNamed("qnap.wrong.ten_seconds")
	if !ok || !strings.Contains(f.Text, "harmful") || !strings.Contains(f.Text, "3") {
		t.Errorf("%+v", f)
	}
	if f, _ := catalog.FactNamed("qnap.button.advanced"); !strings.Contains(f.Text, "deletes users") || !strings.Contains(f.Text, "shared folders") {
		t.Errorf("%+v", f)
	}
	if f, _ := catalog.FactNamed("qnap.button.basic"); !strings.Contains(f.Text, "the one you want") {
		t.Errorf("%+v", f)
	}
}
