package nas_test

import (
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// F3: every status of vendors/synology.md §3.1 has an id, a label and a meaning.
func TestStatusesAreDefined(t *testing.T) {
	seen := map[string]nas.Status{}
	for _, s := range nas.Statuses() {
		if s.ID() == "" || s.String() == "" || s.Meaning() == "" {
			t.Errorf("status %d is incomplete", s)
		}
		if other, twice := seen[s.ID()]; twice {
			t.Errorf("%d and %d are both %s", s, other, s.ID())
		}
		seen[s.ID()] = s
	}
	if nas.StatusFromFindhost(4) != nas.ConfigurationLost || nas.StatusFromFindhost(15) != nas.Other || nas.StatusFromFindhost(1<<31) != nas.Other {
		t.Error("field a7 is misread")
	}
	if nas.Status(77).ID() != "other" {
		t.Error("a status from nowhere has no name")
	}
}

func TestNormalMAC(t *testing.T) {
	for in, want := range map[string]string{
		"00:11:32:AA:bb:0c": "00:11:32:aa:bb:0c", "00-11-32-AA-BB-0C": "00:11:32:aa:bb:0c",
		"0011.32aa.bb0c": "00:11:32:aa:bb:0c", "001132AABB0C": "00:11:32:aa:bb:0c",
		"": "", "001132AABB": "", "001132AABB0C0D": "", "zz:11:32:aa:bb:0c": "", ":001132AABB0C": "",
	} {
		got, ok := nas.NormalMAC(in)
		if got != want || ok != (want != "") {
			t.Errorf("%q: %q %v", in, got, ok)
		}
	}
}

func TestEffectsHaveNames(t *testing.T) {
	for _, e := range nas.Effects() {
		if e.Setting() == "" {
			t.Errorf("%s has no name", e)
		}
	}
}
