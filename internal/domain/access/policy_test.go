package access_test

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// D9, D11: each choice and each kind of reset; the network alone never asks
// for more, and no choice but full lets presence alone reach a password.
func TestPolicyTable(t *testing.T) {
	want := map[access.ButtonPolicy]access.Demand{
		access.ButtonFull: access.PresenceIsEnough, access.ButtonNetworkOnly: access.Never,
		access.ButtonSecondProof: access.SecondProof, access.ButtonWait: access.WaitADay,
	}
	for _, p := range access.ButtonPolicies() {
		if got := p.Asks(reset.Effects(reset.Soft, reset.Network)); got != access.PresenceIsEnough {
			t.Errorf("%s: the network alone asks for %s", p, got)
		}
		for _, effects := range [][]nas.Effect{reset.Effects(reset.Soft, reset.Credentials), reset.Effects(reset.Soft, reset.All), reset.Effects(reset.Hard, ""), {nas.E1}, {nas.E9}, {nas.E4, nas.E13}} {
			if got := p.Asks(effects); got != want[p] {
				t.Errorf("%s asks for %s before %v, want %s", p, got, effects, want[p])
			}
		}
		if back, err := access.ParseButtonPolicy(string(p)); err != nil || back != p {
			t.Errorf("%s: %v", p, err)
		}
		if p.Costs() == "" {
			t.Errorf("%s: its cost is not told", p)
		}
	}
	if _, err := access.ParseButtonPolicy("open"); err == nil {
		t.Error("a policy that is none")
	}
}

func TestRecoveryCodes(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		c, err := access.NewRecoveryCode(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		printed := access.FormatRecoveryCode(c)
		for _, typed := range []string{printed, strings.ToUpper(printed), strings.ReplaceAll(printed, "-", " "), " " + c.Reveal() + "\n", strings.NewReplacer("0", "O", "1", "l").Replace(printed)} {
			back, err := access.ParseRecoveryCode(typed)
			if err != nil || back.Reveal() != c.Reveal() {
				t.Fatalf("%q is not read back: %v", typed, err)
			}
		}
		if seen[c.Reveal()] {
			t.Fatal("the same code twice")
		}
		seen[c.Reveal()] = true
	}
	for _, bad := range []string{"", "7k2m-9qxw-b4tn", "7k2m-9qxw-b4tnaa", "7k2m-9qxw-b4tnu", "päss-wort-abcde", strings.Repeat("-", 100)} {
		if _, err := access.ParseRecoveryCode(bad); err == nil {
			t.Errorf("%q is read as a code", bad)
		}
	}
	if _, err := access.NewRecoveryCode(strings.NewReader("short")); err == nil {
		t.Error("a code without randomness")
	}
}
