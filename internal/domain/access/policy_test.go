package access_test

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// D9, D11: each choice and each kind of reset; the network alone never asks
// for more, and no choice but full lets presence alone reach a password.
func TestPolicyTable(t *testing.T) {
	want := map[access.ButtonPolicy]access.Demand{
		access.ButtonFull: access.PresenceIsEnough, access.ButtonNetworkOnly: access.Never,
		access.ButtonSecondProof: access.SecondProof, access.ButtonWait: access.AfterWait,
	}
	for _, p := range access.ButtonPolicies() {
		if got := p.Asks(reset.Effects(reset.Soft, reset.Network)); got != access.PresenceIsEnough {
			t.Errorf("%s: the network alone asks for %s", p, got)
		}
		for _, effects := range [][]nas.Effect{reset.Effects(reset.Soft, reset.Credentials), reset.Effects(reset.Soft, reset.All), reset.Effects(reset.Hard, ""), {nas.E1}, {nas.E9}, {nas.E1, nas.E2}} {
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
	for _, bad := range []string{"open", "wait", "wait 0h", "wait 169h", "wait 24", "wait 024h", "wait +1h", "wait 1.5h", "wait  24h", "Full"} {
		if p, err := access.ParseButtonPolicy(bad); err == nil {
			t.Errorf("%q is taken for the choice %q", bad, p)
		}
		if got := access.ButtonPolicy(bad).Asks([]nas.Effect{nas.E1}); got != access.Never {
			t.Errorf("what is no choice (%q) asks for %s", bad, got)
		}
	}
}

// D11: any whole hours of a week.
func TestWaits(t *testing.T) {
	for hours := 1; hours <= access.MaxWaitHours; hours++ {
		p, err := access.ParseButtonPolicy(fmt.Sprintf("wait %dh", hours))
		length, ok := p.Wait()
		if err != nil || !ok || length != time.Duration(hours)*time.Hour || !strings.Contains(p.Costs(), fmt.Sprint(hours)) {
			t.Errorf("%d hours: %v %s %q", hours, err, length, p.Costs())
		}
	}
}

// Promise 7, E13: presence alone never takes a second factor away.
func TestSecondFactorNeedsMoreThanPresence(t *testing.T) {
	for p, want := range map[access.ButtonPolicy]access.Demand{
		access.ButtonFull: access.SecondProof, "": access.SecondProof, access.ButtonSecondProof: access.SecondProof,
		access.ButtonWait: access.AfterWait, "wait 1h": access.AfterWait, access.ButtonNetworkOnly: access.Never,
	} {
		for _, effects := range [][]nas.Effect{{nas.E13}, {nas.E1, nas.E13}, {nas.E4, nas.E13}} {
			if got := p.Asks(effects); got != want {
				t.Errorf("%q asks for %s before %v, want %s", p, got, effects, want)
			}
		}
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
