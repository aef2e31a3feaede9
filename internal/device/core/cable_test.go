package core_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
)

// fakeCable knows who has which address.
type fakeCable map[string]string

func (c fakeCable) Taken(_ context.Context, _ string, address netip.Addr) (string, error) {
	if mac, ok := c[address.String()]; ok {
		return mac, nil
	}
	return "", errors.New("the interface has no cable")
}

// D5: an address that another device has is refused before a plan is shown, with
// whose it is; where nobody can be asked, the answer stands.
func TestWizardsAddressInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.cable = fakeCable{"192.168.7.9": "02:00:00:00:00:09", "192.168.7.10": ""}
		d.stop()
		d.boot(nil)
		a := d.presentHard()
		before := d.everything()
		err := a.call(deviceapi.KindPlan, hard(t, "eth0=192.168.7.9/24"), &deviceapi.PlanReply{})
		if problem(err) != "address_in_use" || !strings.Contains(err.Error(), "02:00:00:00:00:09") {
			t.Errorf("an address in use: %v", err)
		}
		same(t, "an address in use", before, d.everything())
		for _, free := range []string{"eth0=192.168.7.10/24", "eth0=192.168.7.11/24"} {
			if err := a.call(deviceapi.KindPlan, hard(t, free), &deviceapi.PlanReply{}); err != nil {
				t.Errorf("%s: %v", free, err)
			}
		}
	})
}

var _ core.Cable = fakeCable{}
