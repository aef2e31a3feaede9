#!/bin/sh
# install.sh [--root DIR] [--boot-entry] PAPERCLIPD: puts a built paperclipd and its units onto a Debian system.
#
# Without --root it installs on this machine and starts the units; with it, onto a root below DIR
# (an image), where they start at the next boot. What is there of the configuration stays. Running it
# again changes nothing more. --boot-entry also adds "Paperclip safe mode" to GRUB's menu
# (docs/safe-mode.md).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=
entry=
fail() { echo "install.sh: $*" >&2; exit 2; }
while [ $# -gt 0 ]; do
	case $1 in
	--root) [ $# -ge 2 ] || fail "--root wants a folder"; root=${2%/}; shift 2 ;;
	--boot-entry) entry=yes; shift ;;
	-*) fail "unknown option $1" ;;
	*) break ;;
	esac
done
[ $# -eq 1 ] || fail "usage: install.sh [--root DIR] PAPERCLIPD"
[ -f "$1" ] || fail "$1 is not there: build it first, with CGO_ENABLED=0 go build ./cmd/paperclipd"
[ "$(id -u)" = 0 ] || fail "this needs root"
[ -e "$root/usr/lib/systemd/systemd" ] || fail "this system has no systemd: paperclipd runs on Debian 12 and 13 so far"
grep -qs '^ID=debian$' "$root/etc/os-release" || fail "this is not Debian: paperclipd runs on Debian 12 and 13 so far"

put() { # put MODE SOURCE TARGET: a whole file or none, also when the power fails
	mkdir -p "$root$(dirname "$3")"
	install -m "$1" "$2" "$root$3.new"
	mv -f "$root$3.new" "$root$3"
}
put 0755 "$1" /usr/sbin/paperclipd
for unit in paperclip-recovery.service paperclipd-core.service paperclipd-front.service paperclip-safe.target; do
	put 0644 "$here/systemd/$unit" "/usr/lib/systemd/system/$unit"
done
put 0755 "$here/systemd-generators/paperclip-safe" /usr/lib/systemd/system-generators/paperclip-safe
put 0644 "$here/sysusers.d/paperclip.conf" /usr/lib/sysusers.d/paperclip.conf
put 0644 "$here/tmpfiles.d/paperclip.conf" /usr/lib/tmpfiles.d/paperclip.conf
put 0644 "$here/logind.conf.d/50-paperclip.conf" /usr/lib/systemd/logind.conf.d/50-paperclip.conf
[ -e "$root/etc/paperclip/paperclip.toml" ] || put 0644 "$here/paperclip.toml" /etc/paperclip/paperclip.toml
systemd-sysusers ${root:+--root="$root"} paperclip.conf
systemd-tmpfiles ${root:+--root="$root"} --create paperclip.conf

units="paperclip-recovery.service paperclipd-core.service paperclipd-front.service"
# shellcheck disable=SC2086 # one word a unit
systemctl ${root:+--root="$root"} --quiet enable $units
if [ -z "$root" ]; then
	systemctl daemon-reload
	systemctl kill --signal=HUP systemd-logind.service # reads its configuration anew
	systemctl start paperclip-recovery.service
	systemctl restart paperclipd-core.service paperclipd-front.service
	echo "install.sh: 'paperclipd label --new' makes a code to write on the NAS, for whoever cannot hear its beeps"
fi
if [ -n "$entry" ]; then
	[ -d "$root/etc/grub.d" ] || fail "this system does not start by GRUB; docs/safe-mode.md says what to add to another boot loader"
	put 0755 "$here/grub.d/45_paperclip_safe" /etc/grub.d/45_paperclip_safe
	[ -n "$root" ] || update-grub
elif [ -z "$root" ] && [ -d /etc/grub.d ] && [ ! -e /etc/grub.d/45_paperclip_safe ]; then
	echo "install.sh: for a boot entry \"Paperclip safe mode\", run it again with --boot-entry"
fi
