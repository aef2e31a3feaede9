#!/bin/bash
# customize.sh ROOT: makes the Debian root a NAS on which all that a reset sets back is on.
# The three firewalls cannot be on at once; the test chooses one before it boots.
set -euo pipefail
root=$1
in_root() { chroot "$root" env PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }

echo cellar > "$root/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 cellar\n' > "$root/etc/hosts"

# E1, E2: an administrator, another user, a guest who signs in by a password, and Samba's guest.
in_root useradd -m -u 1000 -s /bin/bash -G sudo anna
in_root useradd -m -u 1001 -s /bin/bash ben
in_root useradd -m -u 1002 -s /bin/bash guest
printf 'anna:old anna password\nben:ben keeps this one\nguest:guest\n' | in_root chpasswd
printf 'old anna password\nold anna password\n' | in_root smbpasswd -s -a anna
mkdir -p "$root/srv/data"
cat > "$root/etc/samba/smb.conf" <<'SMB'
# the owner's
[global]
   workgroup = CELLAR
   server role = standalone server
   disable netbios = yes
   # for the printer
   map to guest = Bad User
[data]
   path = /srv/data
   guest ok = yes
SMB

# E4: a static address by systemd-networkd.
cat > "$root/etc/systemd/network/20-lan.network" <<'NET'
[Match]
Name=host0
[Link]
MTUBytes=9000
[Network]
Address=192.168.77.10/24
Gateway=192.168.77.1
NET

# E3: ports of the owner's.
mkdir -p "$root/etc/paperclip"
printf 'http = 80 # mine\nhttps = 443\n' > "$root/etc/paperclip/ports.toml"

# E4, by the other stacks: their programs are here and off; a test starts one in a boot of its own.
rm -f "$root/etc/network/interfaces.d"/*
printf 'auto lo\niface lo inet loopback\n' > "$root/etc/network/interfaces"
printf '[main]\nplugins=keyfile\n[device]\nmatch-device=interface-name:*\nmanaged=1\n' > "$root/etc/NetworkManager/conf.d/10-test.conf"
rm -f "$root/usr/lib/NetworkManager/conf.d/10-globally-managed-devices.conf"
in_root systemctl -q disable NetworkManager.service NetworkManager-wait-online.service NetworkManager-dispatcher.service networking.service

# E3: Cockpit at another port.
mkdir -p "$root/etc/systemd/system/cockpit.socket.d"
printf '[Socket]\nListenStream=\nListenStream=8443\n' > "$root/etc/systemd/system/cockpit.socket.d/listen.conf"
in_root systemctl -q enable cockpit.socket

# E12: a folder in gocryptfs that is opened at start with a key kept on the NAS, and a disk in LUKS.
mkdir -p "$root/srv/papers.encrypted" "$root/srv/papers" "$root/srv/vault" "$root/etc/keys"
printf 'the folder key' > "$root/etc/keys/papers"
printf 'the disk key' > "$root/etc/keys/vault"
chmod 600 "$root"/etc/keys/*
in_root gocryptfs -q -init -scryptn 10 -passfile /etc/keys/papers /srv/papers.encrypted
echo '/srv/papers.encrypted /srv/papers fuse./usr/bin/gocryptfs nodev,nosuid,quiet,passfile=/etc/keys/papers 0 0' >> "$root/etc/fstab"
truncate -s 32M "$root/srv/vault.img"
in_root cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 /srv/vault.img /etc/keys/vault
printf '# the disks\nvault /srv/vault.img /etc/keys/vault luks\n' > "$root/etc/crypttab"
echo '/dev/mapper/vault /srv/vault ext4 defaults,nofail,x-systemd.device-timeout=1s 0 2' >> "$root/etc/fstab"

# E6: a PPPoE connection that pppd dials.
cat > "$root/etc/ppp/peers/dsl-provider" <<'PPP'
# Configured by hand
plugin pppoe.so
nic-host0
user "anna@provider"
persist
noauth
PPP
chmod 640 "$root/etc/ppp/peers/dsl-provider"

# E8: fail2ban over a log file of its own, and counted failures of pam_faillock.
cat > "$root/etc/fail2ban/jail.local" <<'F2B'
[DEFAULT]
banaction = nftables-multiport
backend = polling
[sshd]
enabled = true
logpath = /var/log/auth.log
bantime = 1d
F2B
: > "$root/var/log/auth.log"
sed -i -e '/pam_unix.so/s/success=1/success=2/' -e '/pam_unix.so/i auth\trequired\tpam_faillock.so preauth' \
	-e '/pam_unix.so/a auth\t[default=die]\tpam_faillock.so authfail' "$root/etc/pam.d/common-auth"

# E9: rules for each of the three.
cat > "$root/etc/nftables.conf" <<'NFT'
#!/usr/sbin/nft -f
# the owner's rules
flush ruleset
table inet filter {
	chain input {
		type filter hook input priority 0; policy drop;
		iif "lo" accept
		tcp dport { 22, 445 } accept
	}
}
NFT
sed -i 's/^ENABLED=.*/ENABLED=no/' "$root/etc/ufw/ufw.conf"
sed -i 's/^IPV6=.*/IPV6=no/' "$root/etc/default/ufw"
in_root systemctl -q disable nftables.service firewalld.service

# E10: a virtual address shared with another NAS.
cat > "$root/etc/keepalived/keepalived.conf" <<'KA'
global_defs {
	router_id cellar
}
vrrp_instance storage {
	state MASTER
	interface host0
	virtual_router_id 51
	priority 100
	virtual_ipaddress {
		192.168.77.50/24
	}
}
KA

# E11: libvirt, which other hosts may manage.
cat >> "$root/etc/libvirt/libvirtd.conf" <<'LV'
auth_tcp = "none"
LV
in_root systemctl -q enable libvirtd-tcp.socket

# E13: anna's second factor.
printf 'JBSWY3DPEHPK3PXP\n" RATE_LIMIT 3 30\n" TOTP_AUTH\n12345678\n' > "$root/home/anna/.google_authenticator"
in_root chown anna:anna /home/anna/.google_authenticator
chmod 400 "$root/home/anna/.google_authenticator"
echo 'auth required pam_google_authenticator.so nullok' >> "$root/etc/pam.d/sshd"

in_root systemctl -q enable systemd-networkd.service fail2ban.service keepalived.service smbd.service
in_root systemctl -q mask systemd-networkd-wait-online.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
	e2scrub_all.timer fstrim.timer nmbd.service samba-ad-dc.service winbind.service libvirt-guests.service
in_root apt-get clean
rm -rf "$root"/var/lib/apt/lists/*
in_root systemd-machine-id-setup
