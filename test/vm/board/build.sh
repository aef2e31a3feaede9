#!/bin/bash
# build.sh KERNEL FOLDER: makes the modules of a NAS's board that Debian's kernel has not: gpio-sim, a chip
# of GPIO lines that the test pulls, from the kernel's own source; and panel.c, which puts the kernel's
# gpio-keys on one of them. Nothing is installed here; needs gcc and make.
set -euo pipefail
kver=$1 out=$2
here=$(cd "$(dirname "$0")" && pwd)
series=$(grep -oE '^[0-9]+\.[0-9]+' <<< "$kver")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
apt-get download -qq -o APT::Sandbox::User=root "linux-headers-$kver" "linux-headers-${kver%-*}-common" "linux-kbuild-$series" "linux-source-$series"
for deb in linux-headers-*.deb linux-kbuild-*.deb; do dpkg-deb -x "$deb" headers; done
sed -i "s#/usr/src/#$tmp/headers/usr/src/#" "headers/usr/src/linux-headers-$kver/Makefile"
source=linux-source-$series
dpkg-deb --fsys-tarfile "$source"_*.deb | tar -xO "./usr/src/$source.tar.xz" |
	tar -xJ --strip-components=3 "$source/drivers/gpio/gpio-sim.c" "$source/drivers/gpio/gpiolib.h" "$source/kernel/irq/irq_sim.c"
# Debian's kernel has no IRQ_SIM either; what is not exported to modules has an exported equal.
sed -i '/EXPORT_SYMBOL/d; s/handle_simple_irq(irq_to_desc(irqnum))/generic_handle_irq(irqnum)/' irq_sim.c
cp "$here/panel.c" .
printf 'obj-m := gpio-board.o panel.o\ngpio-board-y := gpio-sim.o irq_sim.o\n' > Makefile
make -s -C "headers/usr/src/linux-headers-$kver" M="$tmp" modules >&2
strip --strip-debug gpio-board.ko panel.ko
mkdir -p "$out"
cp gpio-board.ko panel.ko "$out/"
