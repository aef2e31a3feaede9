package reset_test

import (
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// R10: where failed sign-ins are counted, the plan says beforehand whether the
// new password works at once, and that nobody else's count is touched.
func TestCountedSignInsAreInThePlan(t *testing.T) {
	s := nas.Settings{Accounts: []nas.Account{{Name: "anna", Administrator: true, Enabled: true}}}
	for scope, want := range map[reset.Scope]string{reset.Credentials: "when that time is over", reset.All: "only that of anna is cleared", reset.Network: ""} {
		covered := reset.Coverage{nas.E1: {Present: true}, nas.E8: reset.Found{Present: true, What: "fail2ban"}.With(reset.Found{Present: true, Counts: true})}
		r := reset.Request{Device: "cellar", Mode: reset.Soft, Scope: scope, Administrator: "anna"}
		said := strings.Join(reset.Build(r, s, covered).Keeps, "\n")
		if want != "" && !strings.Contains(said, want) || want == "" && strings.Contains(said, "faillock") {
			t.Errorf("%s: %s", scope, said)
		}
		covered[nas.E8] = reset.Found{Present: true, What: "fail2ban"}
		if said := strings.Join(reset.Build(r, s, covered).Keeps, "\n"); strings.Contains(said, "faillock") {
			t.Errorf("%s, without faillock: %s", scope, said)
		}
	}
}
