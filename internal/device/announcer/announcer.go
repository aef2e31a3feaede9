// Package announcer tells the LAN that this device is there: multicast DNS
// service discovery, with the messages of protocol/announce.
//
// [Multicast] is what runs on a device. It answers on the links that it was
// given and on no other, each with that link's addresses, and follows links
// that come and go, such as a claim's own interfaces. [Unicast] says the same
// on one port of the loopback interface, for the lab.
//
// It says what it is told to say and knows nothing else: it adds no serial, no
// version, no user. It never answers a stranger beyond the link: a querier
// whose address is not on the link gets no datagram of its own, so nobody can
// aim answers at a third party.
//
// The library that was looked at first, brutella/dnssd, joins the multicast
// group on the interfaces of its start only, and announces addresses that
// conflict with its own when two interfaces are on one LAN, which a claim's
// always are. Names here hold the device's key id, so they are known to be
// unique and need no probing (RFC 6762 §8.1).
package announcer

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/paperclip-nas/paperclip/internal/protocol/announce"
	"github.com/paperclip-nas/paperclip/internal/x/netchange"
)

// Link is what is announced on one network interface.
type Link struct {
	Interface string
	// Instances are the services. One without addresses is announced with those
	// that the interface has at that time.
	Instances []announce.Instance
}

const (
	lookEvery    = 10 * time.Second // how soon an interface that appears is noticed where the kernel does not tell
	lookSeldom   = time.Hour        // and where it does
	repeatAfter  = time.Second      // the second announcement (RFC 6762 §8.3), and the pause between equal answers (§6)
	leastDelay   = 20 * time.Millisecond
	delaySpread  = 100 * time.Millisecond // answers of many devices must not collide (§6)
	maxPending   = 64                     // delayed answers at a time; more questions than that are dropped
	packetsAhead = 16
)

// Multicast announces on the device's links. Its methods may be called from
// several goroutines.
type Multicast struct {
	log     *slog.Logger
	sockets []*socket
	set     chan []Link
	packets chan packet
	changes <-chan struct{} // of interfaces and addresses; nil where the kernel does not tell
	unwatch context.CancelFunc
	stop    chan struct{}
	closed  sync.Once
	done    sync.WaitGroup
	pending atomic.Int32
}

// NewMulticast starts an announcer that says nothing until Set. It needs one
// of the two sockets, IPv4 or IPv6, on UDP port 5353; other programs on the
// device may hold that port as well.
func NewMulticast(log *slog.Logger) (*Multicast, error) {
	v4, err4 := listen4()
	v6, err6 := listen6()
	m := &Multicast{log: log, set: make(chan []Link), packets: make(chan packet, packetsAhead), stop: make(chan struct{})}
	for _, s := range []*socket{v4, v6} {
		if s != nil {
			m.sockets = append(m.sockets, s)
		}
	}
	if len(m.sockets) == 0 {
		return nil, fmt.Errorf("announcer: cannot listen for multicast DNS: %w; %w", err4, err6)
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.unwatch = cancel
	changes, err := netchange.Watch(ctx)
	if err != nil {
		log.Warn("interfaces that come and go are noticed late", "within", lookEvery, "error", err)
	}
	m.changes = changes
	for _, s := range m.sockets {
		m.done.Go(func() { s.readInto(m.packets, m.stop) })
	}
	m.done.Go(m.run)
	return m, nil
}

// Set replaces what is announced. What is new or changed is announced at once;
// to what is gone it says goodbye. A link whose interface does not exist is
// announced when it appears.
func (m *Multicast) Set(links ...Link) error {
	for _, l := range links {
		if _, err := announce.Unasked(l.Instances); err != nil {
			return fmt.Errorf("announcer: on %s: %w", l.Interface, err)
		}
	}
	select {
	case m.set <- slices.Clone(links):
		return nil
	case <-m.stop:
		return net.ErrClosed
	}
}

// Close says goodbye on every link and ends the announcer.
func (m *Multicast) Close() error {
	m.closed.Do(func() { close(m.stop); m.unwatch() })
	m.done.Wait()
	return nil
}

// link is a Link as it stands on the network; only run touches it.
type link struct {
	want     Link
	iface    *net.Interface // nil while there is none
	prefixes []netip.Prefix
	instance []announce.Instance // with the addresses filled in
	repeat   time.Time           // when the second announcement is due; zero when it was made
	last     []byte              // the last multicast answer,
	lastAt   time.Time           // and its time
}

// run owns the links.
func (m *Multicast) run() {
	links := map[string]*link{}
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case want := <-m.set:
			m.replace(links, want)
			m.look(links)
			next.Reset(m.until(links))
		case <-next.C:
			m.look(links)
			next.Reset(m.until(links))
		case _, more := <-m.changes:
			if !more {
				m.changes = nil
			}
			m.look(links)
			next.Reset(m.until(links))
		case p := <-m.packets:
			for _, l := range links {
				if l.iface != nil && l.iface.Index == p.ifindex {
					m.answer(l, p)
				}
			}
		case <-m.stop:
			m.replace(links, nil)
			for _, s := range m.sockets {
				s.close()
			}
			return
		}
	}
}

// until is how long nothing is due: a device that has nothing to say sleeps.
func (m *Multicast) until(links map[string]*link) time.Duration {
	wait := lookSeldom // Set or a change wakes it
	for _, l := range links {
		due := lookSeldom
		if m.changes == nil {
			due = lookEvery
		}
		if !l.repeat.IsZero() {
			due = max(time.Until(l.repeat), time.Millisecond)
		}
		wait = min(wait, due)
	}
	return wait
}

// replace takes the new wishes in; look carries them out.
func (m *Multicast) replace(links map[string]*link, want []Link) {
	for name, l := range links {
		if !slices.ContainsFunc(want, func(w Link) bool { return w.Interface == name }) {
			m.leave(l)
			delete(links, name)
		}
	}
	for _, w := range want {
		l := links[w.Interface]
		if l == nil {
			l = &link{}
			links[w.Interface] = l
		}
		l.want = w
	}
}

// look compares each link with the interfaces that there are.
func (m *Multicast) look(links map[string]*link) {
	now := time.Now()
	for name, l := range links {
		iface, prefixes := usable(name)
		if iface == nil {
			l.iface, l.repeat = nil, time.Time{}
			continue
		}
		if l.iface == nil || l.iface.Index != iface.Index {
			m.join(iface)
		}
		instances := fill(l.want.Instances, prefixes)
		changed := l.iface == nil || l.iface.Index != iface.Index || !sameInstances(l.instance, instances)
		gone := missing(l.instance, instances)
		l.iface, l.prefixes, l.instance = iface, prefixes, instances
		if len(gone) > 0 {
			m.multicast(l, announce.Goodbye, gone)
		}
		switch {
		case changed:
			m.multicast(l, announce.Unasked, instances)
			l.repeat = now.Add(repeatAfter)
		case !l.repeat.IsZero() && !now.Before(l.repeat):
			m.multicast(l, announce.Unasked, instances)
			l.repeat = time.Time{}
		}
	}
}

func (m *Multicast) join(iface *net.Interface) {
	for _, s := range m.sockets {
		if err := s.join(iface); err != nil {
			m.log.Debug("cannot join the multicast group", "interface", iface.Name, "group", s.group, "error", err)
		}
	}
}

func (m *Multicast) leave(l *link) {
	if l.iface == nil {
		return
	}
	m.multicast(l, announce.Goodbye, l.instance)
	for _, s := range m.sockets {
		if err := s.leave(l.iface); err != nil {
			m.log.Debug("cannot leave the multicast group", "interface", l.iface.Name, "error", err)
		}
	}
}

func (m *Multicast) multicast(l *link, message func([]announce.Instance) ([]byte, error), instances []announce.Instance) {
	if len(instances) == 0 {
		return
	}
	b, err := message(instances)
	if err != nil { // Set looked; addresses make no name longer
		m.log.Error("cannot announce", "interface", l.want.Interface, "error", err)
		return
	}
	for _, s := range m.sockets {
		m.send(s, b, l.iface.Index, s.group)
	}
}

func (m *Multicast) send(s *socket, b []byte, ifindex int, to netip.AddrPort) {
	if err := s.write(b, ifindex, to); err != nil {
		m.log.Debug("cannot send an announcement", "to", to, "error", err)
	}
}

// answer answers one query, after a short random delay.
func (m *Multicast) answer(l *link, p packet) {
	q, err := announce.ParseQuery(p.data)
	if err != nil {
		return // an answer of somebody else's, or noise
	}
	alone := p.from.Port() != announcePort || len(q.Questions) > 0 && q.Questions[0].Unicast
	to, manner := p.socket.group, announce.Multicast
	if onLink(l.prefixes, p.from.Addr()) && alone {
		to = p.from
		if p.from.Port() != announcePort {
			manner = announce.Legacy
		}
	}
	b, err := announce.Answer(q, l.instance, manner)
	if err != nil || b == nil {
		return
	}
	if to == p.socket.group {
		if now := time.Now(); bytes.Equal(b, l.last) && now.Sub(l.lastAt) < repeatAfter {
			return // everyone on the link has just heard it
		} else {
			l.last, l.lastAt = b, now
		}
	}
	if m.pending.Add(1) > maxPending {
		m.pending.Add(-1)
		return
	}
	ifindex := l.iface.Index
	time.AfterFunc(leastDelay+rand.N(delaySpread), func() {
		defer m.pending.Add(-1)
		m.send(p.socket, b, ifindex, to)
	})
}

// usable is the interface of that name, with its addresses, while it is up.
func usable(name string) (*net.Interface, []netip.Prefix) {
	iface, err := net.InterfaceByName(name)
	if err != nil || iface.Flags&net.FlagUp == 0 {
		return nil, nil
	}
	addrs, err := iface.Addrs()
	if err != nil {
		return nil, nil
	}
	var prefixes []netip.Prefix
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			prefixes = append(prefixes, p)
		}
	}
	if len(prefixes) == 0 {
		return nil, nil
	}
	return iface, prefixes
}

// onLink reports whether a querier's address is one of the link's own subnets.
func onLink(prefixes []netip.Prefix, from netip.Addr) bool {
	from = from.WithZone("")
	if from.Is6() && from.IsLinkLocalUnicast() {
		return true
	}
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(from) })
}

func fill(instances []announce.Instance, prefixes []netip.Prefix) []announce.Instance {
	out := slices.Clone(instances)
	for n := range out {
		if len(out[n].Addresses) > 0 {
			continue
		}
		for _, p := range prefixes {
			out[n].Addresses = append(out[n].Addresses, p.Addr())
		}
	}
	return out
}

func sameInstances(a, b []announce.Instance) bool {
	return slices.EqualFunc(a, b, func(x, y announce.Instance) bool {
		return x.Service == y.Service && x.Name == y.Name && x.Host == y.Host && x.Port == y.Port &&
			slices.Equal(x.Text, y.Text) && slices.Equal(x.Addresses, y.Addresses)
	})
}

// missing are the instances of old whose name is no longer among now.
func missing(old, now []announce.Instance) []announce.Instance {
	return slices.DeleteFunc(slices.Clone(old), func(o announce.Instance) bool {
		return slices.ContainsFunc(now, func(n announce.Instance) bool { return n.Service == o.Service && n.Name == o.Name })
	})
}
