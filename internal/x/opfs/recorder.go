package opfs

import (
	"fmt"
	"sync"
)

// Point is one place in a run where a process can be stopped: before or after
// the nth time (from 1) that the operation op is done.
type Point struct {
	Op   string
	Nth  int
	When When
}

// String is like "before shadow.persist.rename#1".
func (p Point) String() string { return fmt.Sprintf("%s %s#%d", p.When, p.Op, p.Nth) }

// Recorder is a [Hook] that remembers the operations of a run in their order,
// so that a test enumerates its crash points instead of typing them in. The
// zero value is ready, and safe for concurrent use.
type Recorder struct {
	mu     sync.Mutex
	points []Point
	seen   map[string]int
}

// Hook records; it never fails an operation.
func (r *Recorder) Hook(op string, when When) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil {
		r.seen = make(map[string]int)
	}
	if when == Before {
		r.seen[op]++
	}
	r.points = append(r.points, Point{op, r.seen[op], when})
	return nil
}

// Points are all places of the recorded run, in order: two an operation.
func (r *Recorder) Points() []Point {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Point(nil), r.points...)
}

// Ops are the names of the operations begun, in order, repeats included.
func (r *Recorder) Ops() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ops []string
	for _, p := range r.points {
		if p.When == Before {
			ops = append(ops, p.Op)
		}
	}
	return ops
}

// At is a hook that calls act when the run comes to the point p, and does
// nothing elsewhere. What act returns is what the hook returns.
func At(p Point, act func() error) Hook {
	var mu sync.Mutex
	begun := 0
	return func(op string, when When) error {
		if op != p.Op {
			return nil
		}
		mu.Lock()
		if when == Before {
			begun++
		}
		hit := begun == p.Nth && when == p.When
		mu.Unlock()
		if !hit {
			return nil
		}
		return act()
	}
}

// Hooks calls several hooks in turn and stops at the first error. Nil ones are
// passed over.
func Hooks(hooks ...Hook) Hook {
	return func(op string, when When) error {
		for _, h := range hooks {
			if h == nil {
				continue
			}
			if err := h(op, when); err != nil {
				return err
			}
		}
		return nil
	}
}
