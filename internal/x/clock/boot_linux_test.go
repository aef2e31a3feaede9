package clock_test

import (
	"testing"

	"github.com/paperclip-nas/paperclip/internal/x/clock"
)

func TestSystemBoot(t *testing.T) {
	start, up, err := clock.SystemBoot().Up()
	if err != nil || len(start) != 36 || up <= 0 {
		t.Fatalf("%q %s %v", start, up, err)
	}
	again, later, err := clock.SystemBoot().Up()
	if err != nil || again != start || later < up {
		t.Errorf("%q %s %v after %q %s", again, later, err, start, up)
	}
}
