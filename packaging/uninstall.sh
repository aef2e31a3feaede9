#!/bin/sh
# uninstall.sh [--root DIR]: takes away what install.sh put onto a Debian system, programs and units.
#
# What belongs to the device and its people stays: /etc/paperclip, /var/lib/paperclip (identity, receipts),
# /var/lib/paperclip-home, the accounts, and every setting as it is. Running it again changes nothing more.
# It refuses while a reset is under way, which only paperclipd can bring to its end.
set -eu
root=
fail() { echo "uninstall.sh: $*" >&2; exit "${code:-2}"; }
while [ $# -gt 0 ]; do
	case $1 in
	--root) [ $# -ge 2 ] || fail "--root wants a folder"; root=${2%/}; shift 2 ;;
	*) fail "usage: uninstall.sh [--root DIR]" ;;
	esac
done
[ "$(id -u)" = 0 ] || fail "this needs root"
[ -e "$root/usr/lib/systemd/systemd" ] || fail "$root/ is not a system with systemd"
[ ! -e "$root/var/lib/paperclip/journal.open" ] || code=4 fail "a reset is under way: wait for its end ('paperclipd status'), then run this again"

for unit in paperclipd-front.service paperclipd-core.service paperclip-recovery.service; do
	[ -e "$root/usr/lib/systemd/system/$unit" ] || continue
	systemctl ${root:+--root="$root"} --quiet disable "$unit"
	# The recovery unit has nothing running, and to stop it would stop SSH and the network, which require it.
	[ -n "$root" ] || [ "$unit" = paperclip-recovery.service ] || systemctl stop "$unit"
done
entry=$root/etc/grub.d/45_paperclip_safe
had=$([ -e "$entry" ] && echo yes || true)
rm -f "$entry" "$root/usr/sbin/paperclipd" \
	"$root/usr/lib/systemd/system/paperclip-recovery.service" "$root/usr/lib/systemd/system/paperclipd-core.service" \
	"$root/usr/lib/systemd/system/paperclipd-front.service" "$root/usr/lib/systemd/system/paperclip-safe.target" \
	"$root/usr/lib/systemd/system-generators/paperclip-safe" "$root/usr/lib/systemd/logind.conf.d/50-paperclip.conf" \
	"$root/usr/lib/sysusers.d/paperclip.conf" "$root/usr/lib/tmpfiles.d/paperclip.conf"
if [ -z "$root" ]; then
	systemctl daemon-reload
	systemctl kill --signal=HUP systemd-logind.service
	[ -z "$had" ] || update-grub || echo "uninstall.sh: the boot menu could not be written; run update-grub" >&2
fi
echo "uninstall.sh: kept: /etc/paperclip, /var/lib/paperclip, /var/lib/paperclip-home"
