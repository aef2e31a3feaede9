package netchange_test

import (
	"context"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/x/netchange"
	"github.com/paperclip-nas/paperclip/internal/x/nettest"
)

// Every change is told, a burst at least once, and the end is one.
func TestWatch(t *testing.T) {
	nettest.Isolated(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		changes, err := netchange.Watch(ctx)
		if err != nil {
			t.Fatal(err)
		}
		told := func() (more bool) {
			t.Helper()
			select {
			case _, more = <-changes:
				return more
			case <-time.After(30 * time.Second):
				t.Fatal("nothing was told")
			}
			return false
		}
		for _, command := range [][]string{
			{"link", "add", "lan0", "type", "veth", "peer", "name", "lan1"},
			{"link", "set", "lan0", "up"},
			{"address", "add", "192.168.7.1/24", "dev", "lan0"},
			{"address", "add", "fd00::1/64", "dev", "lan0", "nodad"},
			{"link", "del", "lan0"},
		} {
			nettest.IP(t, command...)
			if !told() {
				t.Fatalf("it ended at %v", command)
			}
		}
		cancel()
		for told() { // what was still to be told
		}
	})
}
