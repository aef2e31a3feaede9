#!/bin/bash
# image.sh: builds, once per recipe, the Debian root that the container test boots, and prints its folder.
#
# It is a NAS on which every part that a reset sets back is present and on: see customize.sh. Nothing of
# ours is in it. Packages come from the sources this machine's apt is set up with; PAPERCLIP_SUITE=trixie
# takes that release from the same places. Runs as root; nothing outside the cache folder is changed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
base=${XDG_CACHE_HOME:-$HOME/.cache}/paperclip-nspawn
say() { echo "image: $*" >&2; }

. /etc/os-release
suite=${PAPERCLIP_SUITE:-$VERSION_CODENAME}
key=$(cat "$here/image.sh" "$here/guest-packages" "$here/customize.sh" <(echo "$suite") | sha256sum | cut -c1-16)
out=$base/$key
if [ -e "$out/complete" ]; then echo "$out/root"; exit 0; fi
mkdir -p "$base"
exec 9>"$base/lock"
flock 9
if [ -e "$out/complete" ]; then echo "$out/root"; exit 0; fi

tmp=$(mktemp -d "$base/build.XXXXXX")
trap 'rm -rf --one-file-system "$tmp"' EXIT
chmod 755 "$tmp"
started=$SECONDS
say "building $out (Debian $suite)"
apt-cache show firewalld > /dev/null 2>&1 || apt-get update -qq
apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' | sed "s/\b$VERSION_CODENAME\b/$suite/g" | sort -u > "$tmp/sources.list"
[ -s "$tmp/sources.list" ] || { say "apt is set up with no Debian archive"; exit 1; }
mmdebstrap --quiet --variant=minbase --mode=root \
	--include="$(grep -v '^#' "$here/guest-packages" | paste -sd,)" \
	--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
	--customize-hook="$here/customize.sh \"\$1\"" \
	"$suite" "$tmp/root" "$tmp/sources.list" >&2
rm -f "$tmp/sources.list"
touch "$tmp/complete"
mv -T "$tmp" "$out"
say "built in $((SECONDS - started)) s, $(du -sh "$out" | cut -f1)"
echo "$out/root"
