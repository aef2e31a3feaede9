#!/bin/bash
# image.sh: builds, once per recipe and kernel, what the VM test boots, and prints the folder.
#
#   vmlinux         Debian's kernel, uncompressed (saves 3 s of each boot under emulation)
#   modules.cpio.gz the modules that find the root disk, for the initramfs
#   root.qcow2      a plain Debian with systemd, networkd, Samba, OpenSSH, mdadm: nothing of ours in it
#   vault.qcow2     an empty disk, for an encrypted volume
#   disk1.qcow2, disk2.qcow2   the two halves of a RAID1 with the owner's files (see guest/populate.go)
#
# The kernel is whatever linux-image-amd64 points to today; packages come from the sources this
# machine's apt is set up with. Runs as root; nothing outside the cache folder is changed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
guest=${1:?usage: image.sh path/to/static/guest}
base=${XDG_CACHE_HOME:-$HOME/.cache}/paperclip-vm
say() { echo "image: $*" >&2; }

apt-cache show linux-image-amd64 > /dev/null 2>&1 || apt-get update -qq
kernel=$(apt-cache depends --important linux-image-amd64 | awk '$1 == "Depends:" { print $2; exit }')
kver=${kernel#linux-image-}
kversion=$(apt-cache policy "$kernel" | awk '$1 == "Candidate:" { print $2 }')
[ -n "$kver" ] && [ "$kversion" != "(none)" ] || { say "apt knows no linux-image-amd64"; exit 1; }
. /etc/os-release
suite=$VERSION_CODENAME
key=$(cat "$here/image.sh" "$here/guest-packages" "$here/customize.sh" "$here/guest/populate.go" "$here"/board/* <(echo "$suite $kver $kversion") | sha256sum | cut -c1-16)
out=$base/$key
mkdir -p "$base"
exec 9>"$base/lock"
flock 9
if [ -e "$out/complete" ]; then touch "$out"; echo "$out"; exit 0; fi
# Images that nobody has used for a week: a new kernel or recipe leaves the old one behind.
find "$base" -mindepth 1 -maxdepth 1 -type d -mtime +7 -exec rm -rf {} +

tmp=$(mktemp -d "$base/build.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
started=$SECONDS
say "building $out (Debian $suite, kernel $kver $kversion)"

# 1. The kernel.
mkdir "$tmp/deb" "$tmp/kernel"
(cd "$tmp/deb" && apt-get download -qq -o APT::Sandbox::User=root "$kernel")
dpkg-deb -x "$tmp"/deb/*.deb "$tmp/kernel"
# The payload's compressor differs by release: the magic says which, and "ELF" says it was right.
vmlinux() {
	local image=$1 magic tool at
	for tool in 'xz -dc --single-stream:\xfd7zXZ' 'zstd -dc:\x28\xb5\x2f\xfd' 'gzip -dc:\x1f\x8b\x08' 'lz4 -dc:\x02\x21\x4c\x18'; do
		magic=${tool#*:} tool=${tool%%:*}
		for at in $(LC_ALL=C grep -abPo "$magic" "$image" | cut -d: -f1); do
			tail -c "+$((at + 1))" "$image" | $tool > "$tmp/vmlinux" 2>/dev/null || true
			if [ "$(head -c 4 "$tmp/vmlinux" | tail -c 3)" = ELF ]; then return 0; fi
		done
	done
	say "cannot unpack the kernel"; return 1
}
vmlinux "$tmp/kernel/boot/vmlinuz-$kver"
depmod -b "$tmp/kernel" "$kver"

# 2. What the initramfs loads before there is a root disk.
mkdir -p "$tmp/initrd/modules"
for m in virtio_pci virtio_blk virtio_console ext4 crc32c_generic raid1; do
	modprobe -d "$tmp/kernel" -S "$kver" --show-depends "$m" | awk '$1 == "insmod" { print $2 }'
done | awk '!seen[$0]++' | while read -r p; do
	name=$(basename "$p"); name=${name%.xz}
	case $p in *.xz) xz -dc "$p" ;; *) cat "$p" ;; esac > "$tmp/initrd/modules/$name"
	echo "$name" >> "$tmp/initrd/modules/order"
done
(cd "$tmp/initrd" && find . | cpio -o -H newc --quiet | gzip -1) > "$tmp/modules.cpio.gz"

# 3. The root file system, from the Debian archives that apt here is set up with.
apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' | sort -u > "$tmp/sources.list"
[ -s "$tmp/sources.list" ] || { say "apt is set up with no Debian archive"; exit 1; }
mmdebstrap --quiet --variant=minbase --mode=root \
	--include="$(grep -v '^#' "$here/guest-packages" | paste -sd,)" \
	--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
	--customize-hook="$here/customize.sh \"\$1\"" \
	"$suite" "$tmp/root" "$tmp/sources.list" >&2
# Only the modules a NAS like this one loads: the rest is 300 MB that every boot would carry.
mod=lib/modules/$kver
mkdir -p "$tmp/root/$mod/kernel"
for d in crypto arch/x86/crypto lib net fs/ext4 fs/jbd2 fs/fuse fs/autofs fs/nls fs/efivarfs fs/configfs drivers/block drivers/char drivers/hid drivers/input drivers/leds drivers/md \
	drivers/gpio drivers/net/bonding drivers/net/macvlan.ko drivers/net/virtio_net.ko drivers/net/net_failover.ko drivers/net/veth.ko drivers/net/dummy.ko drivers/net/tun.ko drivers/virtio net/core/failover.ko; do
	for p in "$tmp/kernel/$mod/kernel/$d"*; do
		[ -e "$p" ] || continue
		mkdir -p "$tmp/root/$mod/kernel/$(dirname "$d")"
		cp -a "$p" "$tmp/root/$mod/kernel/$(dirname "$d")/"
	done
done
"$here/board/build.sh" "$kver" "$tmp/root/$mod/board"
cp "$tmp/kernel/$mod"/modules.{builtin,order,builtin.modinfo} "$tmp/root/$mod/"
depmod -b "$tmp/root" "$kver"
mke2fs -q -t ext4 -F -L root -d "$tmp/root" "$tmp/root.img" 2500M
qemu-img convert -O qcow2 "$tmp/root.img" "$tmp/root.qcow2"
rm -rf "$tmp/root" "$tmp/root.img" "$tmp/kernel" "$tmp/deb" "$tmp/initrd" "$tmp/sources.list"

# The vault: a spare disk on which a test makes an encrypted volume.
qemu-img create -q -f qcow2 "$tmp/vault.qcow2" 64M

# 4. The array: made, formatted and filled by the guest's own mdadm and kernel.
for d in disk1 disk2; do qemu-img create -q -f qcow2 "$tmp/$d.qcow2" 256M; done
mkdir "$tmp/init"; cp "$guest" "$tmp/init/init"
(cd "$tmp/init" && find . | cpio -o -H newc --quiet | gzip -1) > "$tmp/init.cpio.gz"
cat "$tmp/modules.cpio.gz" "$tmp/init.cpio.gz" > "$tmp/initrd.gz"
timeout 180 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -m 512 -display none -nodefaults -no-reboot \
	-kernel "$tmp/vmlinux" -initrd "$tmp/initrd.gz" -append "console=ttyS0 panic=-1 quiet paperclip.init=prepare" \
	-drive "file=$tmp/root.qcow2,if=none,id=r,cache=unsafe" -device virtio-blk-pci,drive=r \
	-drive "file=$tmp/disk1.qcow2,if=none,id=d1,cache=unsafe" -device virtio-blk-pci,drive=d1 \
	-drive "file=$tmp/disk2.qcow2,if=none,id=d2,cache=unsafe" -device virtio-blk-pci,drive=d2 \
	-serial "file:$tmp/prepare.log" </dev/null
grep -q '^PREPARED' "$tmp/prepare.log" || { say "the array was not made:"; cat "$tmp/prepare.log" >&2; exit 1; }
rm -rf "$tmp/init" "$tmp/init.cpio.gz" "$tmp/initrd.gz"
echo "$kver $kversion" > "$tmp/complete"
mv -T "$tmp" "$out"
say "built in $((SECONDS - started)) s, $(du -sh "$out" | cut -f1)"
echo "$out"
