package reset_test

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

func static(t interface{ Fatal(...any) }, text string) reset.Address {
	a, err := reset.ParseAddress(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// D5: the answers that make sense, and those that would leave a NAS that nobody
// reaches; each is refused with words.
func TestWizardIsChecked(t *testing.T) {
	s := nas.Settings{
		Interfaces: []nas.Interface{{Name: "eth0"}, {Name: "eth1"}},
		Bonds:      []nas.Bond{{Name: "bond0", Members: []string{"eth2", "eth3"}, Enabled: true}},
	}
	good := []reset.Wizard{
		{},
		{Name: "cellar", Restore: reset.RestoreBundle},
		{Name: "n4s-2", Network: []reset.Address{static(t, "eth0=192.168.1.5/24,gateway=192.168.1.1,dns=9.9.9.9,dns=2620:fe::fe")}},
		{Network: []reset.Address{static(t, "eth0=10.0.0.5/8"), static(t, "eth1=192.168.1.5/30")}},
		{Network: []reset.Address{static(t, "eth2=192.168.1.5/24")}}, // a member, which the reset sets free
		{Name: strings.Repeat("a", 63)},
	}
	for _, w := range good {
		if err := w.Check(s); err != nil {
			t.Errorf("%+v: %v", w, err)
		}
	}
	for _, name := range []string{"-a", "a-", "a b", "Cellar", "a.b", "cellar\n", "ü", "12", "localhost", strings.Repeat("a", 64), "../x", "a;b", "a\x00"} {
		if err := (reset.Wizard{Name: name}).Check(s); !errors.Is(err, reset.ErrWizard) {
			t.Errorf("name %q: %v", name, err)
		}
	}
	for _, bad := range []string{
		"eth9=192.168.1.5/24", "bond0=192.168.1.5/24", "eth0=192.168.1.0/24", "eth0=192.168.1.255/24",
		"eth0=192.168.1.5/31", "eth0=192.168.1.5/7", "eth0=127.0.0.1/8", "eth0=169.254.1.1/16", "eth0=224.0.0.1/24",
		"eth0=0.0.0.5/8", "eth0=255.1.2.3/24", "eth0=2001:db8::5/64",
		"eth0=192.168.1.5/24,gateway=192.168.2.1", "eth0=192.168.1.5/24,gateway=192.168.1.5",
		"eth0=192.168.1.5/24,gateway=192.168.1.255", "eth0=192.168.1.5/24,gateway=fe80::1",
		"eth0=192.168.1.5/24,dns=0.0.0.0", "eth0=192.168.1.5/24,dns=224.0.0.1", "eth0=192.168.1.5/24,dns=127.0.0.1",
		"eth0=192.168.1.5/24,dns=1.1.1.1,dns=1.1.1.2,dns=1.1.1.3,dns=1.1.1.4",
	} {
		if err := (reset.Wizard{Network: []reset.Address{static(t, bad)}}).Check(s); !errors.Is(err, reset.ErrWizard) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	for _, w := range []reset.Wizard{
		{Network: []reset.Address{static(t, "eth0=10.0.0.5/8"), static(t, "eth0=192.168.1.5/24")}},
		{Network: []reset.Address{static(t, "eth0=10.0.0.5/8"), static(t, "eth1=10.9.0.5/24")}},
		{Network: []reset.Address{{Interface: "eth0"}}},
		{Restore: "everything"},
	} {
		if err := w.Check(s); !errors.Is(err, reset.ErrWizard) {
			t.Errorf("%+v: %v", w, err)
		}
	}
}

func TestAddressesAsTyped(t *testing.T) {
	for _, text := range []string{"eth0=192.168.1.5/24", "eth0=192.168.1.5/24,gateway=192.168.1.1", "eth0=192.168.1.5/24,gateway=192.168.1.1,dns=9.9.9.9,dns=1.1.1.1"} {
		if got := static(t, text).String(); got != text {
			t.Errorf("%s became %s", text, got)
		}
	}
	for _, text := range []string{"", "dhcp", "eth0", "=1.2.3.4/24", "eth0=1.2.3.4", "eth0=1.2.3.4/24,", "eth0=1.2.3.4/24,gateway=", "eth0=1.2.3.4/24,gateway=1.2.3.1,gateway=1.2.3.2", "eth0=1.2.3.4/24,mtu=9000", strings.Repeat("x", 600)} {
		if _, err := reset.ParseAddress(text); !errors.Is(err, reset.ErrWizard) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	f.Add("eth0=192.168.1.5/24,gateway=192.168.1.1,dns=9.9.9.9")
	f.Add("dhcp")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := reset.ParseAddress(text)
		if err != nil {
			return
		}
		again, err := reset.ParseAddress(a.String())
		if err != nil || again.String() != a.String() {
			t.Fatalf("%q became %q: %v", text, a, err)
		}
	})
}

func answers(t *rapid.T) reset.Wizard {
	w := reset.Wizard{Name: rapid.SampledFrom([]string{"", "cellar", "attic"}).Draw(t, "name")}
	if rapid.Bool().Draw(t, "static") {
		w.Network = []reset.Address{static(t, "eth0=192.168.7.9/24,gateway=192.168.7.1,dns=9.9.9.9")}
	}
	return w
}

// A hard reset sets back all that a soft one of everything does, and more; and
// what both set back becomes the same, but for the wizard's answers.
func TestHardIsMoreThanSoft(t *testing.T) {
	soft, hard := reset.Effects(reset.Soft, reset.All), reset.Effects(reset.Hard, "")
	for _, e := range soft {
		if !slices.Contains(hard, e) {
			t.Errorf("%s is in soft alone", e)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := settings(t)
		for _, e := range soft {
			if d := cmp.Diff(reset.Apply(e, s, "anna"), reset.Wizard{}.Apply(e, s, "anna"), cmpopts.EquateComparable(netip.Prefix{})); d != "" {
				t.Fatalf("%s: %s", e, d)
			}
		}
		a := reset.Build(reset.Request{Mode: reset.Soft, Scope: reset.All, Administrator: "anna"}, s, everythingCovered())
		b := reset.Build(reset.Request{Mode: reset.Hard, Administrator: "anna"}, s, everythingCovered())
		for _, c := range a.Changes {
			if !slices.Contains(b.Changes, c) {
				t.Fatalf("soft changes %+v, hard does not: %+v", c, b.Changes)
			}
		}
		if len(b.NotCovered) == 0 || b.Wizard == nil || a.Wizard != nil {
			t.Fatalf("%+v", b)
		}
	})
}

// X24: after a hard reset of any NAS the administrator who was chosen can sign
// in, and nobody else but root at the console; without one it is refused.
func TestSomebodyCanAlwaysSignIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, w := settings(t), answers(t)
		covered := everythingCovered()
		for _, e := range nas.Effects() {
			if rapid.IntRange(0, 9).Draw(t, "missing "+string(e)) == 0 {
				delete(covered, e)
			}
		}
		who := rapid.SampledFrom([]string{"anna", "root", "ben", "", "nobody"}).Draw(t, "who")
		mode := rapid.SampledFrom([]reset.Mode{reset.Soft, reset.Hard}).Draw(t, "mode")
		r := reset.Request{Mode: mode, Scope: reset.All, Administrator: who, Wizard: w}
		after := s
		for _, e := range reset.Effects(r.Mode, r.Scope) {
			if covered[e].Present {
				after = w.Apply(e, after, who)
			}
		}
		usable := 0
		for _, a := range after.Administrators() {
			if a.Enabled {
				usable++
			}
		}
		if reset.WayIn(r, s, covered) && usable == 0 {
			t.Fatalf("nobody can sign in: %+v", after.Accounts)
		}
		if mode == reset.Hard && covered[nas.E1].Present && (who == "anna" || who == "root") != reset.WayIn(r, s, covered) {
			t.Fatalf("%q: a way in is %v", who, reset.WayIn(r, s, covered))
		}
		if mode == reset.Hard && covered[nas.H3].Present {
			for _, a := range after.Accounts {
				if a.Enabled && a.Name != who && a.Name != "root" {
					t.Fatalf("%s can still sign in", a.Name)
				}
			}
		}
	})
}

// The plan of a hard reset tells the wizard's answers, and its hash covers them.
func TestPlanTellsTheAnswers(t *testing.T) {
	s := nas.Settings{
		Name: "cellar", Accounts: []nas.Account{{Name: "anna", Administrator: true}, {Name: "ben", Enabled: true}},
		Interfaces: []nas.Interface{{Name: "eth0", Method: nas.DHCP}},
		Shares:     &nas.Shares{Defined: []string{"photos"}, Baseline: []string{}, Changed: true},
	}
	build := func(w reset.Wizard) reset.Plan {
		return reset.Build(reset.Request{Mode: reset.Hard, Scope: reset.Network, Administrator: "anna", Wizard: w}, s, everythingCovered())
	}
	plain, told := build(reset.Wizard{}), build(reset.Wizard{Name: "attic", Network: []reset.Address{static(t, "eth0=192.168.7.9/24")}})
	if plain.Hash() == told.Hash() || plain.Hash() == build(reset.Wizard{Restore: reset.RestoreBundle}).Hash() || plain.Scope != "" {
		t.Error("other answers, the same plan")
	}
	want := map[nas.Effect][2]string{
		nas.H1: {"cellar", "attic"}, nas.E4: {"eth0: address from DHCP", "eth0: static 192.168.7.9/24"},
		nas.H2: {"photos", "as at install: none"}, nas.H3: {"ben: open", "ben: locked"},
	}
	for _, c := range told.Changes {
		if w, ok := want[c.ID]; ok && w != [2]string{c.From, c.To} {
			t.Errorf("%s: %q to %q", c.ID, c.From, c.To)
		}
		delete(want, c.ID)
	}
	if len(want) > 0 {
		t.Errorf("not told: %v", want)
	}
	if text := strings.Join(told.Keeps, "\n"); !strings.Contains(text, "fstab") || !strings.Contains(text, "keeps its owner") || strings.Contains(text, "passwords of") {
		t.Errorf("keeps: %s", text)
	}
}
