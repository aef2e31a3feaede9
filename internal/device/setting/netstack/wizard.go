package netstack

import (
	"fmt"
	"slices"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// DHCPOnly refuses the set-up wizard's address for one of the interfaces, where
// they are a stack's whose adapter sets no address by hand.
func DHCPOnly(w reset.Wizard, interfaces []string, stack string) error {
	for _, a := range w.Network {
		if slices.Contains(interfaces, a.Interface) {
			return catalog.New("wizard_answer", fmt.Sprintf("%s is %s's, with which only dhcp can be chosen; set the address there afterwards", a.Interface, stack))
		}
	}
	return nil
}
