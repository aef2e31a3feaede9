// SPDX-License-Identifier: GPL-2.0
/*
 * A board file for tests: the kernel's own gpio-keys on line 3 of a chip, as a NAS maker wires a reset
 * button. The chip's lines are numbered from base.
 */
#include <linux/gpio_keys.h>
#include <linux/input.h>
#include <linux/module.h>
#include <linux/platform_device.h>

static int base;
module_param(base, int, 0444);

static struct gpio_keys_button button = {
	.code = KEY_RESTART, .type = EV_KEY, .active_low = 1, .debounce_interval = 20, .desc = "reset",
};
static struct gpio_keys_platform_data panel = { .buttons = &button, .nbuttons = 1, .name = "NAS front panel" };
static struct platform_device *device;

static int __init panel_init(void)
{
	button.gpio = base + 3;
	device = platform_device_register_data(NULL, "gpio-keys", 0, &panel, sizeof(panel));
	return PTR_ERR_OR_ZERO(device);
}

static void __exit panel_exit(void)
{
	platform_device_unregister(device);
}

module_init(panel_init);
module_exit(panel_exit);
MODULE_DESCRIPTION("gpio-keys on a simulated chip");
MODULE_LICENSE("GPL");
