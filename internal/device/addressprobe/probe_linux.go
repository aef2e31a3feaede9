package addressprobe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// How often is asked, and how long after each is listened: about RFC 5227's
// PROBE_NUM, PROBE_MIN and ANNOUNCE_WAIT, without its waits against many devices
// that start at once.
const (
	probes = 3
	pause  = time.Second
)

const etherARP = 0x0806

// Cable is the machine's own network cards.
type Cable struct{}

// Taken asks on an interface, or on the bond or bridge that it belongs to,
// whether an address is somebody else's, and returns whose: empty where nobody
// answers within about three seconds. An interface without a cable is an error,
// and an address that this machine itself has is nobody else's.
func (Cable) Taken(ctx context.Context, name string, asked netip.Addr) (mac string, err error) {
	if !asked.Is4() {
		return "", errors.New("only an address of IPv4 can be asked for")
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		return "", fmt.Errorf("the interface %s: %w", name, err)
	}
	if master, err := netlink.LinkByIndex(link.Attrs().MasterIndex); link.Attrs().MasterIndex != 0 && err == nil {
		link = master
	}
	if link.Attrs().OperState != netlink.OperUp && link.Attrs().OperState != netlink.OperUnknown {
		return "", fmt.Errorf("the interface %s has no cable", name)
	}
	own, err := netlink.AddrList(nil, unix.AF_INET)
	if err != nil {
		return "", err
	}
	if slices.ContainsFunc(own, func(a netlink.Addr) bool { return a.IP.Equal(asked.AsSlice()) }) {
		return "", nil
	}
	card, err := net.InterfaceByIndex(link.Attrs().Index)
	if err != nil {
		return "", err
	}
	return ask(ctx, card, asked)
}

func ask(ctx context.Context, card *net.Interface, asked netip.Addr) (mac string, err error) {
	ours, err := macs()
	if err != nil {
		return "", err
	}
	conn, err := packet.Listen(card, packet.Datagram, etherARP, nil)
	if err != nil {
		return "", fmt.Errorf("listening on %s: %w", card.Name, err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	everybody := &packet.Addr{HardwareAddr: net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}
	for range probes {
		if _, err := conn.WriteTo(probe(card.HardwareAddr, asked), everybody); err != nil {
			return "", fmt.Errorf("asking on %s: %w", card.Name, err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(pause)); err != nil {
			return "", err
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		mac, err := listen(conn, asked, ours)
		if mac != "" || !errors.Is(err, os.ErrDeadlineExceeded) {
			return mac, err
		}
	}
	return "", ctx.Err()
}

// Announce tells the neighbours of an interface that an address of IPv4 is at its
// MAC: the interface must have it.
func Announce(name string, addr netip.Addr) (err error) {
	card, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	conn, err := packet.Listen(card, packet.Datagram, etherARP, nil)
	if err != nil {
		return fmt.Errorf("speaking on %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	everybody := &packet.Addr{HardwareAddr: net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}
	_, err = conn.WriteTo(announcement(card.HardwareAddr, addr), everybody)
	return err
}

// listen reads until somebody has the address, or the deadline.
func listen(conn net.PacketConn, asked netip.Addr, ours []string) (string, error) {
	buffer := make([]byte, 1500)
	for {
		n, _, err := conn.ReadFrom(buffer)
		if err != nil {
			return "", err
		}
		if mac, ok := whose(buffer[:n], asked); ok && !slices.Contains(ours, mac.String()) {
			return mac.String(), nil
		}
	}
}

// macs are this machine's own: another card of it on the same cable hears us.
func macs() ([]string, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, err
	}
	var all []string
	for _, l := range links {
		all = append(all, l.Attrs().HardwareAddr.String())
	}
	return all, nil
}
