package discover

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// datagram is what arrived, and from where.
type datagram struct {
	data []byte
	from netip.AddrPort
}

const (
	maxDatagram = 9000
	// A thousand devices may answer within a few milliseconds. What the kernel
	// keeps for a socket are some 200 datagrams, so they are taken out of it at
	// once and wait here.
	waitingRoom   = 4096
	receiveBuffer = 4 << 20 // bytes; systems give less
)

// converse sends in rounds and takes what arrives on conns, until ctx ends,
// until take is done, or until send fails. pause says how long to wait after a
// round, the first of which is 0. It closes conns.
func converse(ctx context.Context, conns []net.PacketConn, pause func(round int) time.Duration, send func(round int) error, take func(datagram) (done bool)) error {
	ctx, cancel := context.WithCancel(ctx)
	arrived := make(chan datagram, waitingRoom)
	var readers sync.WaitGroup
	for _, c := range conns {
		if b, ok := c.(interface{ SetReadBuffer(bytes int) error }); ok {
			_ = b.SetReadBuffer(receiveBuffer) // the default does for a small network
		}
		readers.Go(func() { read(ctx, c, arrived) })
	}
	defer readers.Wait()
	defer func() {
		cancel()
		for _, c := range conns {
			c.Close()
		}
	}()
	next := time.NewTimer(0)
	defer next.Stop()
	for round := 0; ; {
		select {
		case <-next.C:
			if err := send(round); err != nil {
				return err
			}
			next.Reset(pause(round))
			round++
		case d := <-arrived:
			if take(d) {
				return nil
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func read(ctx context.Context, c net.PacketConn, out chan<- datagram) {
	buffer := make([]byte, maxDatagram)
	for {
		n, from, err := c.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
			return
		}
		udp, ok := from.(*net.UDPAddr)
		if err != nil || !ok {
			// Windows reports an unreachable port as an error of the next read.
			select {
			case <-ctx.Done():
				return
			case <-time.After(10 * time.Millisecond):
				continue
			}
		}
		a := udp.AddrPort()
		d := datagram{append([]byte(nil), buffer[:n]...), netip.AddrPortFrom(a.Addr().Unmap(), a.Port())}
		select {
		case out <- d:
		case <-ctx.Done():
			return
		}
	}
}

// overhear listens on each interface to what devices tell everyone:
// announcements, and answers to others. A device with an address of another
// subnet can answer no other way. It is an extra: where another program holds
// the port alone, it is left out.
func overhear(group netip.Addr, port int) []net.PacketConn {
	var out []net.PacketConn
	for _, i := range upInterfaces(net.FlagMulticast) {
		c, err := net.ListenMulticastUDP("udp4", &i, &net.UDPAddr{IP: group.AsSlice(), Port: port})
		if err == nil {
			out = append(out, c)
		}
	}
	return out
}

// give hands a sighting on, unless the search is over.
func give(ctx context.Context, out chan<- Sighting, s Sighting) {
	select {
	case out <- s:
	case <-ctx.Done():
	}
}

// expected are the places that were asked by name and have not answered.
type expected map[netip.AddrPort]bool

func expect(targets []netip.AddrPort) expected {
	e := expected{}
	for _, t := range targets {
		e[t] = true
	}
	return e
}

// heard strikes out where an answer came from; true when none is left. A
// findhost device answers from another port than it was asked on.
func (e expected) heard(from netip.AddrPort) bool {
	if e[from] {
		delete(e, from)
		return len(e) == 0
	}
	var there []netip.AddrPort
	for t := range e {
		if t.Addr() == from.Addr() && !t.Addr().IsLoopback() {
			there = append(there, t)
		}
	}
	if len(there) == 1 {
		delete(e, there[0])
	}
	return len(e) == 0
}

// networks lists the subnets where a broadcast can be sent: of interfaces that
// are up and are not loopback.
func networks() []network {
	var out []network
	for _, i := range upInterfaces(net.FlagBroadcast) {
		for _, p := range prefixes(i) {
			if p.Addr().Is4() && p.Bits() < 31 {
				out = append(out, network{i, p.Masked(), directedBroadcast(p)})
			}
		}
	}
	return out
}

func upInterfaces(flag net.Flags) []net.Interface {
	all, err := net.Interfaces()
	if err != nil {
		return nil
	}
	var out []net.Interface
	for _, i := range all {
		if i.Flags&net.FlagUp != 0 && i.Flags&net.FlagLoopback == 0 && i.Flags&flag == flag {
			out = append(out, i)
		}
	}
	return out
}

func prefixes(i net.Interface) []netip.Prefix {
	addrs, err := i.Addrs()
	if err != nil {
		return nil
	}
	var out []netip.Prefix
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// directedBroadcast is the last address of an IPv4 subnet.
func directedBroadcast(p netip.Prefix) netip.Addr {
	a := p.Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		a[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(a)
}
