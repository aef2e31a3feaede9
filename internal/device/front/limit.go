package front

import (
	"net/netip"
	"sync"
	"time"
)

// bucket is how many requests one source may still make.
type bucket struct {
	left float64
	at   time.Duration // when left was right
}

// rate is how fast a source's requests come back, and how many it may save up.
type rate struct{ perSecond, burst float64 }

// limiter holds a bucket a source. At most maxSources are remembered; then the
// one that was used longest ago is forgotten.
type limiter struct {
	rate rate
	now  func() time.Duration

	mu      sync.Mutex
	buckets map[netip.Addr]bucket
}

const maxSources = 1024

func newLimiter(r rate, now func() time.Duration) *limiter {
	return &limiter{rate: r, now: now, buckets: map[netip.Addr]bucket{}}
}

// allow takes one request of source, if it has one left.
func (l *limiter) allow(source netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	b, known := l.buckets[source]
	if !known {
		l.makeRoom()
		b = bucket{left: l.rate.burst, at: now}
	}
	b.left = min(l.rate.burst, b.left+(now-b.at).Seconds()*l.rate.perSecond)
	b.at = now
	ok := b.left >= 1
	if ok {
		b.left--
	}
	l.buckets[source] = b
	return ok
}

func (l *limiter) makeRoom() {
	if len(l.buckets) < maxSources {
		return
	}
	var oldest netip.Addr
	first := true
	for source, b := range l.buckets {
		if first || b.at < l.buckets[oldest].at {
			oldest, first = source, false
		}
	}
	delete(l.buckets, oldest)
}

// gate bounds how much is under way at once, in all and for each source, so
// that one source never has all of it.
type gate struct {
	most, mostEach int

	mu     sync.Mutex
	inside int
	each   map[netip.Addr]int
}

func newGate(most, mostEach int) *gate {
	return &gate{most: most, mostEach: mostEach, each: map[netip.Addr]int{}}
}

// enter lets source in, if there is room; each that is let in leaves once.
func (g *gate) enter(source netip.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside >= g.most || g.each[source] >= g.mostEach {
		return false
	}
	g.inside++
	g.each[source]++
	return true
}

func (g *gate) leave(source netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	if g.each[source]--; g.each[source] == 0 {
		delete(g.each, source)
	}
}
