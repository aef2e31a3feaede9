# dress.sh: run in the guest. Switches on all that a reset of scope all sets back, so that every row of E1
# to E13 has something to change; and one account, one list of blocked addresses, one set of rules that stay.
set -eu
export LC_ALL=C.UTF-8

# E2: a guest who may use the share without a password.
sed -i 's/^map to guest = never/map to guest = Bad User/; s/^path = .srv.data/&\nguest ok = yes/' /etc/samba/smb.conf

# E3: ports of the owner's.
printf 'http = 8080 # mine\nhttps = 8443\n' > /etc/paperclip/ports.toml

# E4 E5 E7: both NICs in a bond with jumbo frames, at the static address.
cd /etc/systemd/network
rm 20-lan.network
printf '[NetDev]\nName=bond0\nKind=bond\n[Bond]\nMode=active-backup\nMIIMonitorSec=100ms\n' > 10-bond0.netdev
printf '[Match]\nName=eth0 eth1\n[Network]\nBond=bond0\n' > 20-members.network
cat > 30-bond0.network <<'NET'
[Match]
Name=bond0
[Link]
MTUBytes=9000
[Network]
Address=192.168.77.10/24
Gateway=192.168.77.1
NET

# E6: a PPPoE connection that pppd would dial.
cat > /etc/ppp/peers/dsl-provider <<'PPP'
# Configured by hand
plugin pppoe.so
nic-eth1
user "anna@provider"
persist
noauth
PPP
chmod 640 /etc/ppp/peers/dsl-provider

# E8: fail2ban over a log of its own.
cat > /etc/fail2ban/jail.local <<'F2B'
[DEFAULT]
banaction = nftables-multiport
backend = polling
[sshd]
enabled = true
logpath = /var/log/auth.log
bantime = 1w
F2B
: > /var/log/auth.log

# E9: the owner's rules. What is tested with is let in.
cat > /etc/nftables.conf <<'NFT'
#!/usr/sbin/nft -f
# the owner's rules
flush ruleset
table inet filter {
	chain input {
		type filter hook input priority 0; policy drop;
		iif "lo" accept
		ct state established,related accept
		ip protocol icmp accept
		tcp dport { 22, 445 } accept
	}
}
NFT

# E10: a virtual address shared with another NAS.
cat > /etc/keepalived/keepalived.conf <<'KA'
global_defs {
	router_id cellar
}
vrrp_instance storage {
	state MASTER
	interface bond0
	virtual_router_id 51
	priority 100
	virtual_ipaddress {
		192.168.77.90/24
	}
}
KA

# E11: libvirt, which other hosts may manage.
echo 'auth_tcp = "none"' >> /etc/libvirt/libvirtd.conf

# E12: an encrypted volume on a disk of its own, opened at start with a key that the NAS keeps. (A quick
# derivation: the emulated processor would take 10 s for the usual one.)
mkdir -p -m 700 /etc/keys /vault
(umask 077; head -c 48 /dev/urandom | base64 > /etc/keys/vault)
cryptsetup luksFormat --batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000 /dev/vde /etc/keys/vault
echo 'vault /dev/vde /etc/keys/vault luks' >> /etc/crypttab
echo '/dev/mapper/vault /vault ext4 nofail 0 2' >> /etc/fstab
systemctl daemon-reload
systemctl start systemd-cryptsetup@vault
mke2fs -q -t ext4 /dev/mapper/vault
systemctl start vault.mount

# E13: anna's second factor, asked for at the console.
printf 'JBSWY3DPEHPK3PXP\n" RATE_LIMIT 3 30\n" TOTP_AUTH\n12345678\n' > /home/anna/.google_authenticator
chown anna:anna /home/anna/.google_authenticator
chmod 400 /home/anna/.google_authenticator
echo 'auth required pam_google_authenticator.so nullok' >> /etc/pam.d/login

systemctl daemon-reload
systemctl enable --quiet nftables fail2ban keepalived libvirtd-tcp.socket
systemctl restart systemd-networkd
systemctl start nftables fail2ban libvirtd-tcp.socket
systemctl reload smbd
systemctl restart paperclipd-core paperclipd-front
until ip -4 -o address show dev bond0 | grep -q 192.168.77.10/; do sleep 0.2; done
systemctl start keepalived
until fail2ban-client ping > /dev/null; do sleep 0.5; done
fail2ban-client set sshd banip 192.0.2.7 > /dev/null
until ip -o address show dev bond0 | grep -q 192.168.77.90/; do sleep 0.2; done
until ss -Hltn 'sport = :8443' | grep -q .; do sleep 0.2; done
