package reset_test

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

func settings(t *rapid.T) nas.Settings {
	flag := rapid.Bool()
	s := nas.Settings{
		Accounts: []nas.Account{
			{Name: "anna", Administrator: true, Enabled: flag.Draw(t, "anna on"), SecondFactor: flag.Draw(t, "anna 2fa")},
			{Name: "root", Administrator: true, BuiltIn: true, Enabled: flag.Draw(t, "root on")},
			{Name: "ben", Enabled: true, SecondFactor: true},
		},
		Interfaces: []nas.Interface{{Name: "eth0", Method: nas.Static, Addresses: []netip.Prefix{netip.MustParsePrefix("192.168.1.20/24")}, MTU: rapid.SampledFrom([]int{0, 1500, 9000}).Draw(t, "mtu")}},
	}
	if flag.Draw(t, "full") {
		s.Name = "cellar"
		s.Shares = &nas.Shares{Defined: []string{"homes"}, Baseline: []string{"homes"}}
		if flag.Draw(t, "shares changed") {
			s.Shares.Defined, s.Shares.Changed = []string{"photos", "homes"}, true
		}
		s.Guest = &nas.Guest{Enabled: flag.Draw(t, "guest")}
		s.Ports = &nas.Ports{HTTP: 8080, HTTPS: 8443, ForceHTTPS: flag.Draw(t, "force")}
		s.PPPoE = &nas.PPPoE{Enabled: flag.Draw(t, "pppoe")}
		s.Bonds = []nas.Bond{{Name: "bond0", Members: []string{"eth0", "eth1"}, Enabled: true}}
		s.AutoBlock = &nas.AutoBlock{Enabled: true, Blocked: []string{"10.0.0.9"}}
		s.Firewall = &nas.Firewall{Enabled: true, Rules: 7}
		s.HighAvailability = rapid.SampledFrom([]*nas.Membership{{}, {Member: true, Cluster: "ha1"}}).Draw(t, "ha")
		s.VirtualMachines = &nas.Membership{Member: true, Cluster: "vm1"}
		s.EncryptedFolders = []nas.EncryptedFolder{{Name: "papers", Mounted: true, MountOnStart: true, KeySealed: true, KeepKey: flag.Draw(t, "keep key")}}
	}
	return s
}

func everythingCovered() reset.Coverage {
	c := reset.Coverage{}
	for _, e := range nas.Effects() {
		c[e] = reset.Found{Present: true}
	}
	return c
}

// The kept column of requirements.md §1: no effect touches another account,
// the block list, the firewall's rules, or the settings it was given.
func TestEffectsKeepWhatTheTableKeeps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := settings(t)
		original := before.Clone()
		e := rapid.SampledFrom(nas.Effects()).Draw(t, "effect")
		after := reset.Apply(e, before, "anna")
		if d := cmp.Diff(original, before, cmpopts.EquateComparable(netip.Prefix{})); d != "" {
			t.Fatalf("Apply changed its argument: %s", d)
		}
		for _, name := range []string{"root", "ben"} {
			was, _ := original.Account(name)
			is, _ := after.Account(name)
			if e == nas.H3 && name == "ben" { // locked, and nothing else
				was.Enabled = false
			}
			if was != is {
				t.Fatalf("%s changed %s: %+v, was %+v", e, name, is, was)
			}
		}
		if original.AutoBlock != nil && !slices.Equal(original.AutoBlock.Blocked, after.AutoBlock.Blocked) {
			t.Fatalf("%s lost the block list", e)
		}
		if original.Firewall != nil && original.Firewall.Rules != after.Firewall.Rules {
			t.Fatalf("%s lost firewall rules", e)
		}
		if e != nas.E13 {
			was, _ := original.Account("anna")
			is, _ := after.Account("anna")
			if was.SecondFactor != is.SecondFactor {
				t.Fatalf("%s removed a second factor (promise 7)", e)
			}
		}
	})
}

// Each effect changes its own part only, and a second time nothing more.
func TestEffectsAreSeparateAndRepeatable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settings(t)
		e := rapid.SampledFrom(nas.Effects()).Draw(t, "effect")
		after := reset.Apply(e, s, "anna")
		for _, other := range nas.Effects() {
			if other == e || other == nas.E1 || e == nas.E1 || other == nas.H3 && e == nas.E13 {
				continue
			}
			if a, b := reset.Describe(other, s, "anna"), reset.Describe(other, after, "anna"); a != b {
				t.Fatalf("%s changed %s: %q to %q", e, other, a, b)
			}
		}
		if e == nas.E1 {
			return
		}
		if d := cmp.Diff(after, reset.Apply(e, after, "anna"), cmpopts.EquateComparable(netip.Prefix{})); d != "" {
			t.Fatalf("%s twice differs: %s", e, d)
		}
	})
}

// A plan names exactly the settings that Apply would change (promise 4).
func TestPlanTellsWhatApplyDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settings(t)
		mode := rapid.SampledFrom([]reset.Mode{reset.Soft, reset.Hard}).Draw(t, "mode")
		scope := rapid.SampledFrom([]reset.Scope{reset.Credentials, reset.Network, reset.All}).Draw(t, "scope")
		p := reset.Build(reset.Request{Device: "cellar", Mode: mode, Scope: scope, Administrator: "anna"}, s, everythingCovered())
		told := map[nas.Effect]bool{}
		for _, c := range p.Changes {
			if c.From == c.To {
				t.Fatalf("%s is told as a change from %q to itself", c.ID, c.From)
			}
			told[c.ID] = true
		}
		for _, e := range reset.Effects(mode, scope) {
			changed := !cmp.Equal(s, reset.Apply(e, s, "anna"), cmpopts.EquateComparable(netip.Prefix{}))
			described := reset.Describe(e, s, "anna") != reset.Describe(e, reset.Apply(e, s, "anna"), "anna")
			if e == nas.E1 {
				described = true
			}
			if described != told[e] || (changed && !told[e]) {
				t.Fatalf("%s: changed %v, told %v\n%+v", e, changed, told[e], p.Changes)
			}
		}
		if scope == reset.Network && mode == reset.Soft && told[nas.E1] {
			t.Fatal("a network reset replaces a password (D13)")
		}
	})
}

func TestPlanNamesWhatNoAdapterCovers(t *testing.T) {
	p := reset.Build(reset.Request{Mode: reset.Soft, Scope: reset.All, Administrator: "anna"},
		nas.Settings{Accounts: []nas.Account{{Name: "anna", Administrator: true}}},
		reset.Coverage{nas.E1: {Present: true}, nas.E4: {Why: "netplan writes these files"}})
	if len(p.Changes) != 1 || p.Changes[0].ID != nas.E1 {
		t.Fatalf("changes: %+v", p.Changes)
	}
	if len(p.NotCovered) != len(reset.Effects(reset.Soft, reset.All))-1 {
		t.Fatalf("not covered: %q", p.NotCovered)
	}
	if !strings.Contains(strings.Join(p.NotCovered, "\n"), "netplan writes these files") {
		t.Fatalf("the reason is missing: %q", p.NotCovered)
	}
	if strings.Contains(strings.Join(p.NotCovered, "\n"), "(E") {
		t.Fatalf("a row's letter means nothing to its reader: %q", p.NotCovered)
	}
}

// The hash stands for everything that a plan says: what is accepted is what was
// shown, to the last word.
func TestHashCoversEveryField(t *testing.T) {
	whole := reset.Plan{
		Device: "cellar", Mode: reset.Soft, Scope: reset.All, Administrator: "anna", Wizard: &reset.Wizard{}, SecondFactor: true, Saved: "00",
		Changes: []reset.Change{{ID: nas.E1}}, Keeps: []string{"k"}, Losses: []string{"l"}, Interrupts: []string{"i"},
		NotCovered: []string{"n"}, Takes: "seconds", Needs: []string{"w"},
	}
	for i := range reflect.TypeFor[reset.Plan]().NumField() {
		other, name := whole, reflect.TypeFor[reset.Plan]().Field(i).Name
		field := reflect.ValueOf(&other).Elem().Field(i)
		if field.IsZero() {
			t.Fatalf("%s is not tried", name)
		}
		field.SetZero()
		if other.Hash() == whole.Hash() {
			t.Errorf("the hash says nothing of %s", name)
		}
	}
}

func TestHashNamesThePlan(t *testing.T) {
	a := reset.Build(reset.Request{Mode: reset.Soft, Administrator: "anna"}, nas.Settings{}, everythingCovered())
	b := reset.Build(reset.Request{Mode: reset.Soft, Administrator: "root"}, nas.Settings{}, everythingCovered())
	if a.Hash() == b.Hash() {
		t.Fatal("two plans, one hash")
	}
	var back reset.Plan
	raw, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &back); err != nil || back.Hash() != a.Hash() {
		t.Fatalf("the hash does not survive the wire: %v", err)
	}
}

// A NAS with a thousand accounts has a plan that can still be sent and read.
func TestPlanOfManyAccountsStaysShort(t *testing.T) {
	s := nas.Settings{Accounts: []nas.Account{{Name: "anna", Administrator: true}}}
	for i := range 5000 {
		s.Accounts = append(s.Accounts, nas.Account{Name: "pupil" + strings.Repeat("x", 20) + string(rune('a'+i%26))})
	}
	raw, err := json.Marshal(reset.Build(reset.Request{Mode: reset.Soft, Scope: reset.All, Administrator: "anna"}, s, everythingCovered()))
	if err != nil || len(raw) > 8<<10 || !strings.Contains(string(raw), "and 4980 others") {
		t.Fatalf("%d bytes, %v", len(raw), err)
	}
}

// Cockpit is a management page too: its port is in the plan (E3).
func TestCockpitsPort(t *testing.T) {
	s := nas.Settings{Cockpit: &nas.Cockpit{Listen: []string{"443", "192.0.2.1:8443"}}}
	after := reset.Apply(nas.E3, s, "")
	if got := reset.Describe(nas.E3, after, ""); !strings.Contains(got, "Cockpit 9090") {
		t.Errorf("after: %s", got)
	}
	if got := reset.Describe(nas.E3, s, ""); !strings.Contains(got, "Cockpit 443 and 192.0.2.1:8443") {
		t.Errorf("Apply changed what it was given: %s", got)
	}
}
