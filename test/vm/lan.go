//go:build linux

package vm

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
)

// A Place is where on the LAN something runs.
type Place string

// The places of a LAN.
const (
	Switch    Place = "lan" // the switch: a bridge, the machine's cable, no address
	Router    Place = "dhcp"
	Client    Place = "cli" // the owner's computer, in the LAN's subnet
	OldSubnet Place = "old" // a computer configured for the subnet that the NAS has its static address in
)

const (
	tapName   = "tap0"
	guestMAC  = "52:54:00:12:34:56"
	secondTap = "tap1"
	secondMAC = "52:54:00:12:34:57"
	// GuestAddress is the machine's static address (customize.sh), foreign to the LAN it is plugged into.
	GuestAddress = "192.168.77.10"
	// LeasedAddress and SecondAddress are what the LAN's DHCP server gives to the machine's two NICs.
	LeasedAddress = "10.77.0.60"
	SecondAddress = "10.77.0.61"
)

// LAN is a small network in namespaces of its own: nothing of it is seen by the host, nor the host by it.
type LAN struct {
	dir          string
	suffix       string
	dnsmasq      *exec.Cmd
	dnsmasqEnded chan struct{}
}

// NewLAN builds the network and starts its DHCP server, whose files go to dir.
func NewLAN(ctx context.Context, dir string) (*LAN, error) {
	random := make([]byte, 4)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	l := &LAN{dir: dir, suffix: "-" + hex.EncodeToString(random)}
	if err := l.build(ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *LAN) build(ctx context.Context) error {
	lan := l.Namespace(Switch)
	steps := [][]string{
		{"netns", "add", lan},
		{"-n", lan, "link", "set", "lo", "up"},
		{"-n", lan, "link", "add", "br0", "type", "bridge", "stp_state", "0", "mcast_snooping", "0"},
		{"-n", lan, "link", "set", "br0", "up"},
		{"-n", lan, "tuntap", "add", tapName, "mode", "tap"},
		{"-n", lan, "link", "set", tapName, "master", "br0", "up"},
		{"-n", lan, "tuntap", "add", secondTap, "mode", "tap"},
		{"-n", lan, "link", "set", secondTap, "master", "br0", "up"},
	}
	for place, address := range map[Place]string{Router: "10.77.0.1/24", Client: "10.77.0.50/24", OldSubnet: "192.168.77.50/24"} {
		ns, port := l.Namespace(place), "v-"+string(place)
		steps = append(steps,
			[]string{"netns", "add", ns},
			[]string{"-n", ns, "link", "set", "lo", "up"},
			[]string{"link", "add", port, "netns", lan, "type", "veth", "peer", "name", "eth0", "netns", ns},
			[]string{"-n", lan, "link", "set", port, "master", "br0", "up"},
			[]string{"-n", ns, "link", "set", "eth0", "up"},
			[]string{"-n", ns, "address", "add", address, "dev", "eth0"},
		)
	}
	steps = append(steps,
		// The owner's computer has no IPv6: by the NIC's own fe80 address it would reach the NAS without the
		// claim's addresses, and these are what is tested.
		[]string{"netns", "exec", l.Namespace(Client), "sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6"},
		// Broadcasts to 255.255.255.255 need some default route.
		[]string{"-n", l.Namespace(Client), "route", "add", "default", "via", "10.77.0.1"},
	)
	for _, args := range steps {
		if err := run(ctx, append([]string{"ip"}, args...)...); err != nil {
			return err
		}
	}
	return l.StartDHCP(ctx)
}

// StartDHCP switches the LAN's DHCP server on. It does not ping an address before it leases it: that costs 3 s.
func (l *LAN) StartDHCP(ctx context.Context) error {
	log, err := os.OpenFile(filepath.Join(l.dir, "dnsmasq.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	c := l.command(context.WithoutCancel(ctx), Router, "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--no-ping",
		"--user=root", "--group=root", "--pid-file=", "--interface=eth0", "--bind-interfaces", "--port=0", "--dhcp-authoritative",
		"--dhcp-host="+guestMAC+","+LeasedAddress, "--dhcp-host="+secondMAC+","+SecondAddress,
		"--dhcp-range=10.77.0.100,10.77.0.150,1h", "--dhcp-leasefile="+filepath.Join(l.dir, "leases"), "--log-dhcp", "--log-facility=-")
	c.Stdout, c.Stderr = log, log
	ended := make(chan struct{})
	if err := startChild(c, func(error) { close(ended) }); err != nil {
		return err
	}
	l.dnsmasq, l.dnsmasqEnded = c, ended
	return nil
}

// StopDHCP switches it off.
func (l *LAN) StopDHCP() error {
	if l.dnsmasq == nil {
		return nil
	}
	err := l.dnsmasq.Process.Kill()
	<-l.dnsmasqEnded // its end by our signal is no news
	l.dnsmasq = nil
	return err
}

// Namespace is the name of a place's network namespace.
func (l *LAN) Namespace(p Place) string { return "pc-" + string(p) + l.suffix }

// Command is a program that runs on a computer of the LAN.
func (l *LAN) Command(ctx context.Context, p Place, argv ...string) *exec.Cmd {
	return l.command(ctx, p, argv...)
}

func (l *LAN) command(ctx context.Context, p Place, argv ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", l.Namespace(p)}, argv...)...)
}

// Close takes the network away, all that is there of it.
func (l *LAN) Close() error {
	errs := []error{l.StopDHCP()}
	for _, p := range []Place{Client, Router, OldSubnet, Switch} {
		name := l.Namespace(p)
		if _, err := os.Stat(filepath.Join("/run/netns", name)); err == nil {
			errs = append(errs, run(context.Background(), "ip", "netns", "delete", name))
		}
	}
	return errors.Join(errs...)
}
