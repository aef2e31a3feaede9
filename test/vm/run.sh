#!/bin/bash
# run.sh [go test flags…]: the whole VM test, as root on a Debian with Go: installs what it needs by apt, builds
# the image once (image.sh), builds the programs, and runs the Go test.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ "$(id -u)" = 0 ] || { echo "run.sh: the VM test needs root: it makes network namespaces and a disk image" >&2; exit 2; }

# The program that is missing, and the package that brings it.
missing=
for need in qemu-system-x86_64:qemu-system-x86 qemu-img:qemu-utils mmdebstrap:mmdebstrap mke2fs:e2fsprogs cpio:cpio depmod:kmod xz:xz-utils zstd:zstd \
	dnsmasq:dnsmasq-base ip:iproute2 ssh:openssh-client sshpass:sshpass smbclient:smbclient flock:util-linux; do
	command -v "${need%%:*}" > /dev/null || missing="$missing ${need#*:}"
done
if [ -n "$missing" ]; then
	echo "run.sh: installing$missing" >&2
	apt-get update -qq
	# shellcheck disable=SC2086 # one word a package
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing > /dev/null
fi
apt-cache show linux-image-amd64 > /dev/null 2>&1 || apt-get update -qq

export CGO_ENABLED=0 PAPERCLIP_VM=1
PAPERCLIP_VM_DIR=$(mktemp -d /tmp/paperclip-vm.XXXXXX)
export PAPERCLIP_VM_DIR
trap 'rm -rf "$PAPERCLIP_VM_DIR"' EXIT
go build -o "$PAPERCLIP_VM_DIR/guest" ./test/vm/guest
go build -o "$PAPERCLIP_VM_DIR/paperclip" ./cmd/paperclip
mkdir "$PAPERCLIP_VM_DIR/payload"
go build -o "$PAPERCLIP_VM_DIR/payload/paperclipd" ./cmd/paperclipd
cp -r packaging "$PAPERCLIP_VM_DIR/payload/"
tar -C "$PAPERCLIP_VM_DIR/payload" -cf "$PAPERCLIP_VM_DIR/payload.tar" .
PAPERCLIP_VM_IMAGE=$(test/vm/image.sh "$PAPERCLIP_VM_DIR/guest")
export PAPERCLIP_VM_IMAGE
go test -count=1 -timeout 14m "$@" ./test/vm
