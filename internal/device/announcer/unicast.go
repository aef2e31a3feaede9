package announcer

import (
	"errors"
	"net"
	"net/netip"
	"sync"

	"github.com/paperclip-nas/paperclip/internal/protocol/announce"
)

// Unicast answers, on one port, whoever asks there: the lab's way to be found,
// since a loopback interface has no multicast.
type Unicast struct {
	conn *net.UDPConn
	done sync.WaitGroup

	mu        sync.Mutex
	instances []announce.Instance
}

// NewUnicast listens on address; port 0 takes any that is free.
func NewUnicast(address netip.AddrPort) (*Unicast, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(address))
	if err != nil {
		return nil, err
	}
	u := &Unicast{conn: conn}
	u.done.Go(u.serve)
	return u, nil
}

// Address is where it answers.
func (u *Unicast) Address() netip.AddrPort {
	return u.conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// Set replaces what is announced.
func (u *Unicast) Set(instances ...announce.Instance) error {
	if _, err := announce.Unasked(instances); err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.instances = instances
	return nil
}

// Close ends it.
func (u *Unicast) Close() error {
	err := u.conn.Close()
	u.done.Wait()
	return err
}

func (u *Unicast) serve() {
	buffer := make([]byte, announce.MaxMessage)
	for {
		n, from, err := u.conn.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP answer to something that was sent; the next read blocks
		}
		q, err := announce.ParseQuery(buffer[:n])
		if err != nil {
			continue
		}
		u.mu.Lock()
		b, err := announce.Answer(q, u.instances, announce.Legacy)
		u.mu.Unlock()
		if err == nil && b != nil {
			_, _ = u.conn.WriteToUDPAddrPort(b, from) // as with every datagram, the querier asks again
		}
	}
}
