package clock_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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
	kernel, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil || strings.TrimSpace(string(kernel)) != start {
		t.Errorf("the kernel calls this start %q, not %q (%v)", kernel, start, err)
	}
}

// X18: waits run on the time since the start, sleep included: neither on the wall
// clock, which anybody with root sets, nor on the clock that stands still while
// the NAS sleeps. In a namespace where only the first of them is a day ahead it is
// a day later.
func TestSystemBootCountsSleep(t *testing.T) {
	const day = 24 * time.Hour
	if os.Getenv("CLOCK_TEST_IN_NAMESPACE") != "" {
		var awake unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &awake); err != nil {
			t.Fatal(err)
		}
		_, up, err := clock.SystemBoot().Up()
		if slept := up - time.Duration(awake.Nano()); err != nil || slept < day || slept > 365*day {
			t.Fatalf("up for %s, of which it slept %s (%v)", up, slept, err)
		}
		return
	}
	if out, err := exec.Command("unshare", "--time", "--boottime=86400", "true").CombinedOutput(); err != nil {
		t.Skipf("no time namespace here: %v %s", err, out)
	}
	inside := exec.Command("unshare", "--time", "--boottime=86400", os.Args[0], "-test.run=^TestSystemBootCountsSleep$")
	inside.Env = append(os.Environ(), "CLOCK_TEST_IN_NAMESPACE=1")
	if out, err := inside.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
