package discover_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/owner/discover"
)

// script is a source that says what it is told, when it is told.
type script struct {
	says  map[time.Duration]discover.Sighting
	lasts time.Duration // then it is done; 0 = when the search is
	fails error
}

func (script) Name() string { return "script" }
func (script) Sent() int    { return 3 }

func (s script) Find(ctx context.Context, out chan<- discover.Sighting) error {
	start := time.Now()
	for _, at := range slices.Sorted(maps.Keys(s.says)) {
		select {
		case <-time.After(at - time.Since(start)):
			select {
			case out <- s.says[at]:
			case <-ctx.Done():
				return nil
			}
		case <-ctx.Done():
			return nil
		}
	}
	if s.lasts > 0 || s.fails != nil {
		select {
		case <-time.After(s.lasts - time.Since(start)):
		case <-ctx.Done():
		}
		return s.fails
	}
	<-ctx.Done()
	return nil
}

func named(name string, n byte) discover.Sighting {
	a := netip.AddrFrom4([4]byte{192, 0, 2, n})
	return discover.Sighting{Source: "script", From: a, Name: name, Serial: "S" + name, Addresses: []netip.Addr{a}, Status: nas.Ready}
}

func names(r discover.Result) []string {
	var out []string
	for _, d := range r.Devices {
		out = append(out, d.Name)
	}
	return out
}

// A device may answer late (vendors/synology.md §1.1): the search waits to the
// end of its time, 12 s, and not a second longer.
func TestWaitsForTheLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := script{says: map[time.Duration]discover.Sighting{time.Second: named("attic", 1), 11900 * time.Millisecond: named("cellar", 2), 12100 * time.Millisecond: named("garage", 3)}}
		r, err := discover.Find(t.Context(), []discover.Source{s, s}, discover.Options{})
		if err != nil || !slices.Equal(names(r), []string{"attic", "cellar"}) {
			t.Errorf("%v, %v", names(r), err)
		}
		if r.ElapsedMS != 12000 || r.PacketsSent != 6 || len(r.Findings) != 0 || r.Err() != nil {
			t.Errorf("%+v", r)
		}
	})
}

// Where every source has come to its end nothing is waited for.
func TestEndsWithItsSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := script{says: map[time.Duration]discover.Sighting{10 * time.Millisecond: named("attic", 1)}, lasts: 20 * time.Millisecond}
		r, err := discover.Find(t.Context(), []discover.Source{s}, discover.Options{})
		if err != nil || len(r.Devices) != 1 || r.ElapsedMS != 20 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// A search for one device ends soon after it is there, and not before a second
// one of that name had its chance.
func TestEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		another := named("attic", 9)
		another.Serial = "S9"
		s := script{says: map[time.Duration]discover.Sighting{time.Second: named("attic", 1), 2 * time.Second: another, 5 * time.Second: named("cellar", 2)}}
		r, err := discover.Find(t.Context(), []discover.Source{s}, discover.Options{Enough: func(d []discover.Device) bool {
			_, err := discover.Match(d, "attic")
			return err == nil
		}})
		if err != nil || len(r.Devices) != 2 || r.ElapsedMS != 2500 {
			t.Errorf("%v after %d ms, %v", names(r), r.ElapsedMS, err)
		}
		if _, err := discover.Match(r.Devices, "attic"); catalog.ExitOf(err) != catalog.WrongUse {
			t.Errorf("two of that name: %v", err)
		}
	})
}

func TestFindings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := script{fails: errors.New("address already in use")}
		r, err := discover.Find(t.Context(), []discover.Source{broken, script{}}, discover.Options{Wait: time.Second})
		if err != nil || catalog.ExitOf(r.Err()) != catalog.NotFound {
			t.Errorf("%v, %v", err, r.Err())
		}
		var ids []catalog.ID
		for _, f := range r.Findings {
			ids = append(ids, f.ID)
			if f.Text == "" || f.WhatToDo == "" {
				t.Errorf("%+v says nothing", f)
			}
		}
		if !slices.Equal(ids, []catalog.ID{"search_failed", "none_found"}) {
			t.Errorf("%v", ids)
		}
		b, err := json.Marshal(r)
		if err != nil || !json.Valid(b) || string(b[:14]) != `{"devices":[],` {
			t.Errorf("%s, %v", b, err)
		}
	})
}

// The caller's end is the end, and no failure of a source.
func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s := script{says: map[time.Duration]discover.Sighting{10 * time.Millisecond: named("attic", 1)}}
		r, err := discover.Find(ctx, []discover.Source{s}, discover.Options{})
		if !errors.Is(err, context.DeadlineExceeded) || len(r.Devices) != 1 || len(r.Findings) != 0 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// Who a device is, only the hook says; what proved one key is one device.
func TestVerify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two, fake := named("cellar", 1), named("cellar", 2), named("cellar", 3)
		for i, s := range []*discover.Sighting{&one, &two, &fake} {
			s.Serial, s.KeyID, s.HTTPPort = "", "abcdefghijklmnopqrstuvwx23", 5000+i // ports differ, so they are not merged on sight
		}
		s := script{says: map[time.Duration]discover.Sighting{1: one, 2: two, 3: fake}, lasts: time.Millisecond}
		var asked atomic.Int32
		r, err := discover.Find(t.Context(), []discover.Source{s}, discover.Options{Verify: func(ctx context.Context, d *discover.Device) {
			asked.Add(1)
			if _, limited := ctx.Deadline(); !limited {
				t.Error("no time limit")
			}
			if d.Verified != discover.VerifiedUnknown {
				t.Errorf("verified before: %q", d.Verified)
			}
			d.Verified = discover.VerifiedMatch
			if d.HTTPPort == 5002 {
				d.Verified = discover.VerifiedMismatch
			}
		}})
		if err != nil || asked.Load() != 3 || len(r.Devices) != 2 {
			t.Fatalf("%+v, %v", r.Devices, err)
		}
		if r.Devices[0].Verified != discover.VerifiedMatch || len(r.Devices[0].Addresses) != 2 || r.Devices[1].Verified != discover.VerifiedMismatch {
			t.Errorf("%+v", r.Devices)
		}
	})
}

// X23: two that proved the same key and are not one running NAS are not made one,
// and the finding names both; so is one that was met at an address of the other.
func TestCopiesAreNotJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, copied := named("cellar", 1), named("attic", 2)
		for _, s := range []*discover.Sighting{&one, &copied} {
			s.Serial, s.KeyID = "", "abcdefghijklmnopqrstuvwx23"
		}
		find := func(leaf func(d *discover.Device) []byte, copies ...netip.Addr) discover.Result {
			s := script{says: map[time.Duration]discover.Sighting{1: one, 2: copied}, lasts: time.Millisecond}
			r, err := discover.Find(t.Context(), []discover.Source{s}, discover.Options{Verify: func(_ context.Context, d *discover.Device) {
				d.Verified, d.Leaf, d.Copies = discover.VerifiedMatch, leaf(d), copies
			}})
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		if r := find(func(d *discover.Device) []byte { return []byte(d.Name) }); len(r.Devices) != 2 || len(r.Findings) != 1 || r.Findings[0].ID != "look_alikes" {
			t.Errorf("two TLS keys: %+v", r)
		}
		if r := find(func(*discover.Device) []byte { return []byte("one") }); len(r.Devices) != 1 || len(r.Findings) != 0 {
			t.Errorf("one TLS key: %+v", r)
		}
		where := netip.MustParseAddr("192.0.2.99")
		if r := find(func(*discover.Device) []byte { return []byte("one") }, where); len(r.Findings) != 1 || r.Findings[0].ID != "key_copied" || !strings.Contains(r.Findings[0].Text, where.String()) {
			t.Errorf("a copy at an address of its own: %+v", r.Findings)
		}
	})
}

func TestChangedTellsOfEveryStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := script{says: map[time.Duration]discover.Sighting{1: named("attic", 1), 2: named("attic", 1), 3: named("cellar", 2)}, lasts: time.Millisecond}
		var counts []int
		_, err := discover.Find(t.Context(), []discover.Source{s}, discover.Options{Changed: func(d []discover.Device) { counts = append(counts, len(d)) }})
		if err != nil || !slices.Equal(counts, []int{1, 2}) {
			t.Errorf("%v, %v", counts, err)
		}
	})
}

// Lists in the JSON are never null, also where nothing was found and everything
// was verified.
func TestNothingIsAnEmptyList(t *testing.T) {
	r, err := discover.Find(t.Context(), nil, discover.Options{Verify: func(context.Context, *discover.Device) {}})
	b, _ := json.Marshal(r)
	if err != nil || !strings.HasPrefix(string(b), `{"devices":[],"findings":[{`) {
		t.Errorf("%s, %v", b, err)
	}
}
