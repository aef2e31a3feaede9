package reset_test

import (
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// R6: every row that a reset can change is in exactly one part, so that what is
// left out of a restore is left out by name.
func TestPartsCoverEveryRowOnce(t *testing.T) {
	of := map[nas.Effect]int{}
	for _, p := range reset.Parts() {
		for _, e := range p.Effects {
			of[e]++
		}
	}
	for _, e := range nas.Effects() {
		if of[e] != 1 {
			t.Errorf("%s is in %d parts", e, of[e])
		}
	}
	if all, err := reset.EffectsOf(nil); err != nil || len(all) != len(nas.Effects()) {
		t.Errorf("all: %v %v", all, err)
	}
	if some, err := reset.EffectsOf([]string{"firewall", "guest"}); err != nil || len(some) != 2 {
		t.Errorf("some: %v %v", some, err)
	}
	if _, err := reset.EffectsOf([]string{"everything"}); err == nil || !strings.Contains(err.Error(), "network") {
		t.Errorf("an unknown part: %v", err)
	}
}

// R6: then, now and what a reset leaves, told apart.
func TestDifferencesThreeWays(t *testing.T) {
	then := nas.Settings{Ports: &nas.Ports{HTTP: 80, HTTPS: 443}, Firewall: &nas.Firewall{Enabled: true, Rules: 4}, Guest: &nas.Guest{}}
	now := nas.Settings{Ports: &nas.Ports{HTTP: 8080, HTTPS: 8443}, Firewall: &nas.Firewall{Enabled: true, Rules: 4}, Guest: &nas.Guest{}}
	all := reset.Differences(then, now, nas.Effects())
	differs := 0
	for _, d := range all {
		if d.Differs {
			differs++
		}
		if d.ID == nas.E3 && (!strings.Contains(d.Then, "80") || !strings.Contains(d.Now, "8080") || !strings.Contains(d.Default, "5000")) {
			t.Errorf("%+v", d)
		}
	}
	if len(all) != 3 || differs != 1 {
		t.Errorf("%d rows, %d differ: %+v", len(all), differs, all)
	}
}

// A restore is no way in: it sets no password and nobody can type its mode.
func TestPutBackIsNoReset(t *testing.T) {
	if len(reset.Effects(reset.PutBack, "")) != 0 || reset.SetsPassword(reset.PutBack, "") {
		t.Error("a restore has a reset's effects")
	}
	if _, err := reset.ParseMode(string(reset.PutBack)); err == nil {
		t.Error("restore can be asked for as a reset")
	}
	p := reset.BuildPutBack(reset.PutBackRequest{Device: "cellar", From: "the snapshot", Trial: "5 minutes", Steps: []reset.Step{
		{Name: "nftables", Effects: []nas.Effect{nas.E9}}, {Name: "networkd.eth0", Effects: []nas.Effect{nas.E4, nas.E5}},
	}, Differences: []reset.Difference{{ID: nas.E4, Setting: "network addresses", Then: "static", Now: "dhcp", Differs: true}, {ID: nas.E5, Then: "x", Now: "x"}}})
	if len(p.Changes) != 2 || p.Changes[1].From != "dhcp" || !strings.Contains(p.Changes[0].To, "the snapshot") || len(p.Interrupts) == 0 {
		t.Errorf("%+v", p)
	}
}
