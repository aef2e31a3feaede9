package announcer

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/paperclip-nas/paperclip/internal/protocol/announce"
)

const announcePort = 5353

// packet is a datagram and where it came in.
type packet struct {
	socket  *socket
	data    []byte
	ifindex int
	from    netip.AddrPort
}

// socket is the multicast group of one IP version, on the interfaces that it
// joined.
type socket struct {
	group netip.AddrPort
	conn  *net.UDPConn
	join  func(*net.Interface) error
	leave func(*net.Interface) error
	read  func([]byte) (n, ifindex int, from net.Addr, err error)
	// write sends on one interface: with several, the routing table cannot know.
	write func(b []byte, ifindex int, to netip.AddrPort) error
}

// hopLimit of every multicast DNS datagram (RFC 6762 §11).
const hopLimit = 255

func listen4() (*socket, error) {
	group := netip.AddrPortFrom(netip.AddrFrom4([4]byte{224, 0, 0, 251}), announcePort)
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(group))
	if err != nil {
		return nil, err
	}
	p := ipv4.NewPacketConn(conn)
	if err := errors.Join(p.SetControlMessage(ipv4.FlagInterface, true), p.SetMulticastTTL(hopLimit), p.SetTTL(hopLimit)); err != nil {
		conn.Close()
		return nil, err
	}
	to := net.UDPAddrFromAddrPort(group)
	return &socket{
		group: group, conn: conn,
		join:  func(i *net.Interface) error { return p.JoinGroup(i, to) },
		leave: func(i *net.Interface) error { return p.LeaveGroup(i, to) },
		read: func(b []byte) (int, int, net.Addr, error) {
			n, c, from, err := p.ReadFrom(b)
			if c == nil {
				return n, 0, from, err
			}
			return n, c.IfIndex, from, err
		},
		write: func(b []byte, ifindex int, to netip.AddrPort) error {
			_, err := p.WriteTo(b, &ipv4.ControlMessage{IfIndex: ifindex}, net.UDPAddrFromAddrPort(to))
			return err
		},
	}, nil
}

func listen6() (*socket, error) {
	group := netip.AddrPortFrom(netip.MustParseAddr("ff02::fb"), announcePort)
	conn, err := net.ListenUDP("udp6", net.UDPAddrFromAddrPort(group))
	if err != nil {
		return nil, err
	}
	p := ipv6.NewPacketConn(conn)
	if err := errors.Join(p.SetControlMessage(ipv6.FlagInterface, true), p.SetMulticastHopLimit(hopLimit), p.SetHopLimit(hopLimit)); err != nil {
		conn.Close()
		return nil, err
	}
	to := net.UDPAddrFromAddrPort(group)
	return &socket{
		group: group, conn: conn,
		join:  func(i *net.Interface) error { return p.JoinGroup(i, to) },
		leave: func(i *net.Interface) error { return p.LeaveGroup(i, to) },
		read: func(b []byte) (int, int, net.Addr, error) {
			n, c, from, err := p.ReadFrom(b)
			if c == nil {
				return n, 0, from, err
			}
			return n, c.IfIndex, from, err
		},
		write: func(b []byte, ifindex int, to netip.AddrPort) error {
			_, err := p.WriteTo(b, &ipv6.ControlMessage{IfIndex: ifindex}, net.UDPAddrFromAddrPort(to))
			return err
		},
	}, nil
}

// readInto hands on what arrives until the socket is closed.
func (s *socket) readInto(out chan<- packet, stop <-chan struct{}) {
	buffer := make([]byte, announce.MaxMessage)
	for {
		n, ifindex, from, err := s.read(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		udp, ok := from.(*net.UDPAddr)
		if err != nil || !ok {
			pause(stop)
			continue
		}
		p := packet{socket: s, data: append([]byte(nil), buffer[:n]...), ifindex: ifindex, from: udp.AddrPort()}
		select {
		case out <- p:
		case <-stop:
			return
		}
	}
}

// pause keeps a socket that has nothing but errors from taking the processor.
func pause(stop <-chan struct{}) {
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case <-t.C:
	case <-stop:
	}
}

func (s *socket) close() { s.conn.Close() }
