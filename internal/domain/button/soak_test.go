package button

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	soakTraces = flag.Int("soak.traces", 20000, "how many traces TestSoak reads")
	soakSeed   = flag.Uint64("soak.seed", 1, "where TestSoak starts")
)

// tally counts what a soak read.
type tally struct {
	traces, events, beeps, ignored map[string]int
	selected                       map[string]int
	misread                        int
	first                          string // the first misread trace
}

func newTally() *tally {
	return &tally{
		traces: map[string]int{}, events: map[string]int{}, beeps: map[string]int{},
		ignored: map[string]int{}, selected: map[string]int{},
	}
}

func (y *tally) add(z *tally) {
	for _, m := range [][2]map[string]int{
		{y.traces, z.traces},
		{y.events, z.events},
		{y.beeps, z.beeps},
		{y.ignored, z.ignored},
		{y.selected, z.selected},
	} {
		for k, n := range m[1] {
			m[0][k] += n
		}
	}
	if y.misread == 0 {
		y.first = z.first
	}
	y.misread += z.misread
}

// soak reads n traces from one seed.
func soak(seed uint64, n int, names []string, change func(*Recogniser)) *tally {
	y := newTally()
	c := newReader(change)
	g := generator{source: random{rand.New(rand.NewPCG(seed, 0))}}
	type count struct {
		traces, events, beeps int
		ignored               [reasonsCount]int
		selected              map[string]int
	}
	counts := make([]count, len(names))
	for i := range n {
		k := i % len(names)
		t := g.trace(names[k])
		if wrong := c.misread(t, manner(i/len(names)%manners)); wrong != "" {
			if y.misread++; y.misread == 1 {
				y.first = fmt.Sprintf("seed %d, trace %d: %s", seed, i, wrong)
			}
		}
		counts[k].traces++
		counts[k].events += len(t.events)
		for _, h := range c.heard {
			switch s := h.signal.(type) {
			case Beep:
				counts[k].beeps++
			case Ignored:
				counts[k].ignored[s.Reason]++
			default:
				if counts[k].selected == nil {
					counts[k].selected = map[string]int{}
				}
				counts[k].selected[selection(s)]++
			}
		}
	}
	for k, name := range names {
		y.traces[name] += counts[k].traces
		y.events[name] += counts[k].events
		y.beeps[name] += counts[k].beeps
		for r, n := range counts[k].ignored {
			y.ignored[name+" "+Reason(r).String()] += n
		}
		for s, n := range counts[k].selected {
			y.selected[name+" "+s] += n
		}
	}
	return y
}

func selection(s Signal) string {
	switch s := s.(type) {
	case OpenClaim:
		return "open-claim"
	case HardenClaim:
		return "harden-claim"
	case FreshCode:
		return "fresh-code"
	case GrantTries:
		return "grant-tries"
	case CloseClaim:
		return "close-claim"
	case Act:
		return s.Mode.String()
	}
	return "unknown"
}

// No trace is misread, of as many as one has time for; vendors' profiles too.
// `make soak-button` reads ten million.
func TestSoak(t *testing.T) {
	const chunk = 10000
	names := profileNames()[:4]
	chunks := make(chan int)
	results := make(chan *tally)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range chunks {
				results <- soak(*soakSeed+uint64(i), min(chunk, *soakTraces-i*chunk), names, nil)
			}
		})
	}
	began := time.Now()
	go func() {
		for i := range (*soakTraces + chunk - 1) / chunk {
			chunks <- i
		}
		close(chunks)
		workers.Wait()
		close(results)
	}()
	total := newTally()
	for y := range results {
		total.add(y)
	}
	report(t, names, total, time.Since(began))
	if total.misread > 0 {
		t.Errorf("%d traces misread; the first: %s", total.misread, total.first)
	}
	for _, name := range names {
		if total.traces[name] == 0 || total.beeps[name] == 0 {
			t.Errorf("%s: the soak read nothing", name)
		}
	}
}

func report(t *testing.T, names []string, y *tally, took time.Duration) {
	traces, events := 0, 0
	for _, name := range names {
		traces += y.traces[name]
		events += y.events[name]
		t.Logf("%-16s %9d traces %10d events %9d beeps; selected: %s; ignored: %s", name, y.traces[name],
			y.events[name], y.beeps[name], counted(y.selected, name), counted(y.ignored, name))
	}
	t.Logf("%d traces, %d events, %d misread, in %v (%.0f traces/s on %d cores)", traces, events, y.misread,
		took.Round(time.Millisecond), float64(traces)/took.Seconds(), runtime.GOMAXPROCS(0))
}

func counted(counts map[string]int, name string) string {
	var parts []string
	for k, n := range counts {
		if what, ok := strings.CutPrefix(k, name+" "); ok && n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", what, n))
		}
	}
	sort.Strings(parts)
	return strings.Join(parts, ", ")
}
