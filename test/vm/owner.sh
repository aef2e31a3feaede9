# owner.sh CODE SCOPE: run in the guest. Makes an owner's computer on the NAS's own LAN, a network namespace
# behind a link of the same switch, and starts a rescue on it. That stops where it wants the new password:
# it reads it from a pipe. What it says goes to the serial line.
set -eu
umask 077
mkdir -p /run/owner
tar -C /run/owner -xf /dev/vdd ./paperclip
mkfifo /run/owner/password
echo "$1" > /run/owner/code
until port=$(ip -o link show type macvlan | grep -oP 'pclip\d+@\K[^:]+' | head -1 | grep .); do sleep 0.2; done
ip netns add owner
ip link add owner0 link "$port" netns owner type macvlan mode bridge
ip netns exec owner sh -c 'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6'
ip -n owner link set lo up
ip -n owner address add 10.77.0.51/24 dev owner0
ip -n owner link set owner0 up
ip -n owner route add default via 10.77.0.1
systemd-run --quiet --collect --unit=owner -p StandardError=file:/dev/ttyS0 -p StandardOutput=null -E PAPERCLIP_HOME=/run/owner/home \
	ip netns exec owner /run/owner/paperclip rescue cellar --yes --json --wait 20s --administrator anna --scope "$2" \
	--code-file /run/owner/code --password-file /run/owner/password
