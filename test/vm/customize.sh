#!/bin/bash
# customize.sh ROOT: makes the Debian root a NAS with two accounts, a share and a static address.
# Nothing of Paperclip is put in here: the test installs that as an owner would.
set -euo pipefail
root=$1
in_root() { chroot "$root" env PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }

echo cellar > "$root/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 cellar\n' > "$root/etc/hosts"
cat > "$root/etc/fstab" <<'FSTAB'
LABEL=root / ext4 errors=remount-ro 0 1
LABEL=srv /srv ext4 nofail,x-systemd.device-timeout=60 0 2
FSTAB
mkdir -p "$root/etc/mdadm"
printf 'HOMEHOST <ignore>\nMAILADDR root\nARRAY /dev/md0 metadata=1.2 name=cellar:0\n' > "$root/etc/mdadm/mdadm.conf"

# Accounts. anna administers (group sudo), ben does not; both have a shadow and a Samba password.
in_root useradd -m -u 1000 -s /bin/bash -G sudo anna
in_root useradd -m -u 1001 -s /bin/bash ben
printf 'anna:old anna password\nben:ben keeps this one\n' | in_root chpasswd
for u in 'anna:old anna password' 'ben:ben keeps this one'; do
	printf '%s\n%s\n' "${u#*:}" "${u#*:}" | in_root smbpasswd -s -a "${u%%:*}"
done
in_root usermod -L root

cat > "$root/etc/samba/smb.conf" <<'SMB'
[global]
workgroup = CELLAR
server role = standalone server
disable netbios = yes
smb ports = 445
map to guest = never
[data]
path = /srv/data
read only = no
SMB

# A static address of a subnet that is not the one of the LAN it is plugged into.
cat > "$root/etc/systemd/network/20-lan.network" <<'NET'
[Match]
Name=eth0
[Network]
Address=192.168.77.10/24
Gateway=192.168.77.1
DNS=192.168.77.1
NET
in_root systemctl -q enable systemd-networkd.service ssh.service smbd.service
in_root systemctl -q disable systemd-networkd-wait-online.service
# Under emulation these cost seconds and do nothing for a NAS under test.
in_root systemctl -q mask e2scrub_reap.service e2scrub_all.timer systemd-binfmt.service samba-ad-dc.service nmbd.service winbind.service \
	apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer man-db.timer mdcheck_start.timer mdcheck_continue.timer mdmonitor-oneshot.timer

# The parts of E3 to E13 are there and off; dress.sh switches them on.
in_root systemctl -q disable fail2ban.service keepalived.service libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket \
	virtlockd.socket virtlogd.socket virtlockd-admin.socket virtlogd-admin.socket libvirt-guests.service nftables.service
in_root systemctl -q mask libvirt-guests.service systemd-machined.service

# The reset button: no emulated keyboard has KEY_RESTART, so F12 becomes it, as a board's maker would do it.
mkdir -p "$root/etc/udev/hwdb.d"
printf 'evdev:atkbd:dmi:*\n KEYBOARD_KEY_58=restart\n' > "$root/etc/udev/hwdb.d/61-reset-button.hwdb"
in_root systemd-hwdb update
in_root apt-get clean
rm -rf "$root"/var/lib/apt/lists/*
in_root systemd-machine-id-setup
