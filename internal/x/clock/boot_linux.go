package clock

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// bootID is the kernel's name for this start, random at each.
const bootID = "/proc/sys/kernel/random/boot_id"

// SystemBoot is the kernel's CLOCK_BOOTTIME and boot id.
func SystemBoot() Boot { return systemBoot{} }

type systemBoot struct{}

func (systemBoot) Up() (string, time.Duration, error) {
	id, err := os.ReadFile(bootID)
	if err != nil {
		return "", 0, fmt.Errorf("which start of the system this is: %w", err)
	}
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return "", 0, fmt.Errorf("how long the system has been up: %w", err)
	}
	return strings.TrimSpace(string(id)), time.Duration(t.Nano()), nil
}
