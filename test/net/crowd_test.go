package net

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/paperclip-nas/paperclip/internal/owner/discover"
	"github.com/paperclip-nas/paperclip/internal/protocol/announce"
	"github.com/paperclip-nas/paperclip/internal/protocol/findhost"
	"github.com/paperclip-nas/paperclip/internal/protocol/qfinder"
	"github.com/paperclip-nas/paperclip/internal/x/nettest"
)

// isolated runs f in a namespace of its own, where it was asked for.
func isolated(t *testing.T, needs []string, f func(t *testing.T)) {
	t.Helper()
	if os.Getenv("PAPERCLIP_NET") != "1" {
		t.Skip("networks of its own: set PAPERCLIP_NET=1 (make test-net)")
	}
	for _, n := range needs {
		if _, err := exec.LookPath(n); err != nil {
			t.Skipf("no %s: see test/net/packages", n)
		}
	}
	nettest.Isolated(t, f)
}

// crowd is a LAN full of devices: the test's end of the cable is nic0.
type crowd struct {
	t     *testing.T
	space *nettest.Space
	loss  float64                   // of each datagram, either way
	delay func(n int) time.Duration // before device n answers
	extra int                       // copies of an answer beside the first
	first atomic.Int64              // when the first answer went out, in Unix nanoseconds
	mu    sync.Mutex
	open  []net.PacketConn
}

// lan makes a link with room for 65,000 devices.
func lan(t *testing.T) *crowd {
	t.Helper()
	c := &crowd{t: t, space: nettest.NewSpace(t), delay: func(int) time.Duration { return 0 }}
	c.space.Link(t, "nic0", "lan0")
	nettest.IP(t, "address", "add", "10.77.255.254/16", "dev", "nic0")
	c.space.IP(t, "address", "add", "10.77.0.1/16", "dev", "lan0")
	t.Cleanup(func() {
		for _, o := range c.open {
			o.Close()
		}
	})
	return c
}

func place(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 77, byte(1 + n/200), byte(1 + n%200)})
}

// addresses gives the devices their places.
func (c *crowd) addresses(n int) {
	c.t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "address add %s/16 dev lan0\n", place(i))
	}
	file := filepath.Join(c.t.TempDir(), "batch")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		c.t.Fatal(err)
	}
	c.space.IP(c.t, "-batch", file)
}

// socket opens one in the devices' namespace.
func (c *crowd) socket(address string) net.PacketConn {
	c.t.Helper()
	var conn net.PacketConn
	var err error
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20)
		})
	}}
	c.space.Do(func() { conn, err = lc.ListenPacket(c.t.Context(), "udp4", address) })
	if err != nil {
		c.t.Fatal(err)
	}
	c.mu.Lock()
	c.open = append(c.open, conn)
	c.mu.Unlock()
	return conn
}

// each calls take with every datagram that arrives.
func each(conn net.PacketConn, take func(b []byte, from *net.UDPAddr)) {
	go func() {
		buffer := make([]byte, 9000)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			take(append([]byte(nil), buffer[:n]...), from.(*net.UDPAddr))
		}
	}()
}

func (c *crowd) lost() bool { return c.loss > 0 && rand.Float64() < c.loss }

// answer sends b as device n does, after its delay, with its copies.
func (c *crowd) answer(n int, conn net.PacketConn, b []byte, to ...net.Addr) {
	if c.lost() {
		return // the question did not arrive
	}
	time.AfterFunc(c.delay(n), func() {
		c.first.CompareAndSwap(0, time.Now().UnixNano())
		for range 1 + c.extra {
			for _, a := range to {
				if !c.lost() {
					_, _ = conn.WriteTo(b, a)
				}
			}
		}
	})
}

// synology puts devices from..to on the LAN: they answer from port 1234 to port
// 9999, to everyone and to the querier (vendors/synology.md §1.1).
func (c *crowd) synology(from, to int) {
	type device struct {
		conn  net.PacketConn
		reply []byte
	}
	var all []device
	for n := from; n < to; n++ {
		status := uint32(1)
		b, err := findhost.Reply{
			Type: findhost.TypeResponse, Status: &status, Name: fmt.Sprintf("syno%04d", n), Model: "DS920+", Version: "7.2", Build: 64570,
			Serial: fmt.Sprintf("2040%09d", n), MAC: fmt.Sprintf("00:11:32:00:%02x:%02x", n>>8, n&255), Address: place(n), HTTPPort: 5000, HTTPSPort: 5001,
		}.Packet().Append(nil)
		if err != nil {
			c.t.Fatal(err)
		}
		all = append(all, device{c.socket(place(n).String() + ":1234"), b})
	}
	each(c.socket("0.0.0.0:9999"), func(b []byte, who *net.UDPAddr) {
		if p, err := findhost.Parse(b); err != nil || !p.IsQuery() || who.IP.Equal(net.IPv4(10, 77, 0, 1)) {
			return
		}
		for i, d := range all {
			c.answer(from+i, d.conn, d.reply, &net.UDPAddr{IP: net.IPv4(10, 77, 255, 255), Port: 9999}, &net.UDPAddr{IP: who.IP, Port: 9999})
		}
	})
}

// qnap puts devices on the LAN that answer by broadcast (vendors/qnap.md §1.1).
func (c *crowd) qnap(from, to int) {
	conns := map[int]net.PacketConn{}
	for n := from; n < to; n++ {
		conns[n] = c.socket(place(n).String() + ":8097")
	}
	mac := func(n int) string { return fmt.Sprintf("00:08:9b:00:%02x:%02x", n>>8, n&255) }
	each(c.socket("0.0.0.0:8097"), func(b []byte, _ *net.UDPAddr) {
		q, err := qfinder.Parse(b)
		if err != nil || q.Server {
			return
		}
		for n := from; n < to; n++ {
			if !q.IsQuery(mac(n)) {
				continue
			}
			r := qfinder.Reply{Kind: q.Kind, Address: mac(n), Name: fmt.Sprintf("qnap%04d", n), Model: "TS-453D", MACs: []string{mac(n)}}
			if q.Kind == qfinder.Detail {
				r.IP = place(n)
			}
			if b, err := r.Packet().Append(nil); err == nil {
				c.answer(n, conns[n], b, &net.UDPAddr{IP: net.IPv4(10, 77, 255, 255), Port: 8097})
			}
		}
	})
}

// ours puts Paperclip devices on the LAN, by multicast DNS.
func (c *crowd) ours(from, to int) {
	var conn net.PacketConn
	var err error
	c.space.Do(func() {
		var i *net.Interface
		if i, err = net.InterfaceByName("lan0"); err == nil {
			conn, err = net.ListenMulticastUDP("udp4", i, &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353})
		}
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.open = append(c.open, conn)
	c.space.IP(c.t, "route", "add", "224.0.0.0/4", "dev", "lan0")
	answers := map[int]net.PacketConn{}
	for n := from; n < to; n++ {
		answers[n] = c.socket(place(n).String() + ":5353")
	}
	everyone := &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353}
	each(conn, func(b []byte, who *net.UDPAddr) {
		q, err := announce.ParseQuery(b)
		if err != nil {
			return
		}
		for n := from; n < to; n++ {
			i, err := announce.Native{
				Name: fmt.Sprintf("ours%04d", n), KeyID: fmt.Sprintf("abcdefghijklmnopqrstuv%c%c%c%c", 'a'+n>>12&15, 'a'+n>>8&15, 'a'+n>>4&15, 'a'+n&15),
				MAC: fmt.Sprintf("02:00:00:00:%02x:%02x", n>>8, n&255),
			}.Instance(5001, place(n))
			if err != nil {
				continue
			}
			manner, to := announce.Legacy, who
			if who.Port == everyone.Port {
				manner, to = announce.Multicast, everyone
			}
			if b, err := announce.Answer(q, []announce.Instance{i}, manner); err == nil && b != nil {
				c.answer(n, answers[n], b, to)
			}
		}
	})
}

// everyWay is what the program asks by.
func everyWay() []discover.Source {
	return []discover.Source{discover.NewFindhost(), discover.NewQfinder(), discover.NewMDNS(), discover.NewSSDP(), discover.NewWeb()}
}
