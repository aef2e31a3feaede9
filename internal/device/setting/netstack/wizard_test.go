package netstack

import (
	"errors"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// D5: an address that a stack's adapter cannot set is refused beforehand, with
// the reason, and only for that stack's own interfaces.
func TestDHCPOnly(t *testing.T) {
	a, err := reset.ParseAddress("eth0=10.0.7.9/24")
	if err != nil {
		t.Fatal(err)
	}
	w := reset.Wizard{Network: []reset.Address{a}}
	if err := DHCPOnly(w, []string{"eth1", "eth0"}, "ifupdown"); !errors.Is(err, catalog.New("wizard_answer")) || !strings.Contains(err.Error(), "eth0 is ifupdown's") {
		t.Errorf("%v", err)
	}
	for _, err := range []error{DHCPOnly(w, []string{"eth1"}, "ifupdown"), DHCPOnly(reset.Wizard{}, []string{"eth0"}, "ifupdown"), DHCPOnly(w, nil, "")} {
		if err != nil {
			t.Error(err)
		}
	}
}
