//go:build linux

package vm

import (
	"context"
	"strings"
	"testing"
	"time"
)

// testBoard is a board whose button hangs on a GPIO line (D4): our lines hold their contract through the
// kernel, and paperclipd takes the button both as a raw line and where the kernel's gpio-keys made a
// keyboard of it. A finger is the line pulled down.
func testBoard(t *testing.T, ctx context.Context, n *nas) {
	n.shell(t, ctx, `mkdir -p /run/payload; tar -C /run/payload -xf /dev/vdd; cp /run/payload/gpio.test /run/gpio.test; rm -r /run/payload
modprobe configfs; modprobe gpio-board
mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
chip=/sys/kernel/config/gpio-sim/nas; mkdir -p $chip/bank0; echo 8 > $chip/bank0/num_lines; echo 1 > $chip/live`)
	chip := n.shell(t, ctx, `cat /sys/kernel/config/gpio-sim/nas/bank0/chip_name`)
	line := n.shell(t, ctx, `echo /sys/devices/platform/$(cat /sys/kernel/config/gpio-sim/nas/dev_name)/`+chip+`/sim_gpio3; echo pull-up > /sys/devices/platform/*/`+chip+`/sim_gpio3/pull`)
	said := n.shell(t, ctx, `PAPERCLIP_GPIO_SIM=`+line+` PAPERCLIP_GPIO_LINE=`+chip+`:3 /run/gpio.test -test.v -test.run '^TestContractInTheKernel$'`)
	if !strings.Contains(said, "--- PASS: TestContractInTheKernel") {
		t.Errorf("the contract in the kernel: %s", said)
	}
	t.Log(said)

	t.Run("a raw line", func(t *testing.T) { n.pulls(t, ctx, line, "gpio:"+chip+":3:low") })
	n.shell(t, ctx, `systemctl stop paperclipd-core
for c in /sys/class/gpio/gpiochip*; do [ "$(cat $c/ngpio)" != 8 ] || base=$(cat $c/base); done
modprobe panel base=$base; udevadm settle`)
	t.Run("gpio-keys", func(t *testing.T) {
		n.pulls(t, ctx, line, n.shell(t, ctx, `ls /dev/input/by-path/platform-gpio-keys*-event`))
	})
}

// pulls gives paperclipd that button, and opens a claim with it: held 4.5 s, let go.
func (n *nas) pulls(t *testing.T, ctx context.Context, line, button string) {
	t.Helper()
	n.shell(t, ctx, `sed -i 's#^button = .*#button = "`+button+`"#' /etc/paperclip/paperclip.toml; systemctl restart paperclipd-core`)
	n.serving(t, ctx)
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := n.shell(t, ctx, `journalctl --no-pager -o cat -u paperclipd-core | grep -c 'a claim is open' || true`)
	n.shell(t, ctx, `echo pull-down > `+line+`/pull`)
	pause(ctx, 4500*time.Millisecond)
	n.shell(t, ctx, `echo pull-up > `+line+`/pull`)
	_, err := n.Agent.Until(limited, `test "$(journalctl --no-pager -o cat -u paperclipd-core | grep -c 'a claim is open')" -gt `+began)
	check(t, err)
}
