// Package discover finds every NAS on the LAN, whoever made it: it asks in
// several ways at once, and puts together what comes back.
//
// What devices say on a LAN are hints: anyone can send any of it. So a
// [Device] says for each value who said so, two answers are taken for one
// device only where nothing in them contradicts, and a forged answer may stand
// beside a device but never in its place. Who a device is this package does
// not decide: [Options.Verify] asks somebody who talks to it over a connection
// that proves its key.
//
// It sends questions and nothing else: no password, no setting, no packet that
// changes a device.
package discover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
)

// DefaultWait is how long a search on a real network lasts: some devices take
// more than 3 s to answer and answer not every question (vendors/synology.md
// §1.1), others up to 10 s (vendors/qnap.md §1.1). It ends earlier only where
// nothing can come any more (every typed place has answered or was given up), or
// where the caller has the one device that it looked for: so no late one is lost.
// What is found is told of at once all the same ([Options.Changed]).
const DefaultWait = 12 * time.Second

const (
	settle      = 1500 * time.Millisecond // after Enough: time for a second match
	verifyWait  = 5 * time.Second
	verifyAll   = 15 * time.Second
	verifyAhead = 8 // devices that are verified at a time
)

// Source is one way of asking.
type Source interface {
	// Name is what `found_by` and a fact's `source` say.
	Name() string
	// Find asks, and sends what answers, until ctx ends or until nothing more
	// can come. That ctx ended is no error.
	Find(ctx context.Context, out chan<- Sighting) error
	// Sent is how many datagrams it has sent.
	Sent() int
}

// Follower is a source that looks closer at what any source has seen.
type Follower interface {
	// Follow sends what it learns; it sends nothing where s is none of its
	// business. It is called once for each new sighting, several at a time.
	Follow(ctx context.Context, s Sighting, out chan<- Sighting)
}

// Noticer is a source that has noticed something that a person should know.
type Noticer interface {
	// Notices lists it, once the search is over.
	Notices() []catalog.Problem
}

// Options are how to search.
type Options struct {
	// Wait is how long to search at most; DefaultWait where it is zero. A search
	// whose sources all come to an end is done earlier.
	Wait time.Duration
	// Enough, where given, ends the search early: shortly after it says that
	// these devices will do.
	Enough func([]Device) bool
	// Changed, where given, is told of the devices whenever there is something
	// new, from the searching goroutine.
	Changed func([]Device)
	// Around, where given, is what this computer knows of the networks that it
	// is on, once the search is over: it explains why a device is not there.
	Around func() Surroundings
	// Verify, where given, looks at each device once the search is over and sets
	// Verified and what else it then knows. It is called from several goroutines,
	// each with a device of its own.
	Verify func(ctx context.Context, d *Device)
}

// Result is what a search found, and what `find --json` prints.
type Result struct {
	Devices     []Device  `json:"devices"`
	Findings    []Finding `json:"findings"`
	ElapsedMS   int64     `json:"elapsed_ms"`
	PacketsSent int       `json:"packets_sent"`
}

// Finding is something about the search that a person should know.
type Finding struct {
	ID       catalog.ID `json:"id"`
	Text     string     `json:"text"`
	WhatToDo string     `json:"what_to_do"`
}

// Err is the problem none_found where there is no device, with exit status 3.
func (r Result) Err() error {
	if len(r.Devices) == 0 {
		return catalog.New("none_found")
	}
	return nil
}

// Find searches with all sources at once. It returns what was found until then
// and ctx's error where the caller ended ctx; a source that fails becomes a
// finding, since the others may do.
func Find(ctx context.Context, sources []Source, o Options) (Result, error) {
	start := time.Now()
	if o.Wait <= 0 {
		o.Wait = DefaultWait
	}
	b := &book{onLink: ours(interfaces())}
	failed := search(ctx, sources, o, b)
	devices := verify(ctx, b.devices(), o.Verify)
	r := Result{
		Devices:  devices,
		Findings: findings(devices, failed, b.overflow),
	}
	noticed := []catalog.Problem{}
	for _, s := range sources {
		r.PacketsSent += s.Sent()
		if n, ok := s.(Noticer); ok {
			noticed = append(noticed, n.Notices()...)
		}
	}
	if o.Around != nil {
		noticed = append(noticed, o.Around().explain(devices)...)
	}
	r.Findings = tell(r.Findings, noticed)
	r.ElapsedMS = time.Since(start).Milliseconds()
	return r, ctx.Err()
}

// Bounds on what is told and followed, so that the first device is told of at
// once and a flood keeps this program from nothing else.
const (
	tellPause    = 20 * time.Millisecond
	followAhead  = 8
	maxFollowed  = 256
	sightingRoom = 1024
)

// search fills b, and returns why sources failed.
func search(ctx context.Context, sources []Source, o Options, b *book) []error {
	ctx, cancel := context.WithTimeout(ctx, o.Wait)
	defer cancel()
	sightings := make(chan Sighting, sightingRoom)
	errs := make([]error, len(sources))
	var running sync.WaitGroup
	for i, s := range sources {
		running.Go(func() {
			if err := s.Find(ctx, sightings); err != nil && ctx.Err() == nil {
				errs[i] = fmt.Errorf("%s: %w", s.Name(), err)
			}
		})
	}
	ended := make(chan struct{})
	go func() {
		running.Wait()
		close(ended)
	}()
	l := listener{o: o, b: b}
	f := newFollowing(ctx, sources, sightings)
	for ended != nil || f.pending > 0 || len(sightings) > 0 {
		select {
		case <-l.due: // before what a crowd says meanwhile
			l.tell()
		default:
		}
		select {
		case s := <-sightings:
			if b.add(s) {
				l.heard()
				f.follow(s)
			}
		case <-l.due:
			l.tell()
		case <-l.enough:
			cancel() // the sources end, and with them the loop
			l.enough = nil
		case <-f.done:
			f.pending--
		case <-ended:
			ended = nil
		}
	}
	if l.due != nil {
		l.tell()
	}
	return slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

// listener tells whoever waits of what is new: the first at once, what follows
// on its heels together, and never so often that telling takes more time than
// searching.
type listener struct {
	o      Options
	b      *book
	due    <-chan time.Time // something is new and not told of
	enough <-chan time.Time
	after  time.Time // not before then again
}

func (l *listener) heard() {
	switch {
	case l.due != nil || l.o.Changed == nil && l.o.Enough == nil:
	case l.after.IsZero():
		l.tell()
	default:
		l.due = time.After(time.Until(l.after))
	}
}

func (l *listener) tell() {
	begun := time.Now()
	l.due = nil
	devices := l.b.devices()
	if l.o.Changed != nil {
		l.o.Changed(devices)
	}
	if l.enough == nil && l.o.Enough != nil && l.o.Enough(devices) {
		l.enough = time.After(settle)
	}
	l.after = time.Now().Add(max(tellPause, 2*time.Since(begun)))
}

// following hands sightings to the sources that look closer, a few at a time
// and a bounded number in all.
type following struct {
	ctx     context.Context
	all     []Follower
	out     chan<- Sighting
	places  chan struct{}
	done    chan struct{}
	begun   int
	pending int // not over before these are
}

func newFollowing(ctx context.Context, sources []Source, out chan<- Sighting) *following {
	f := &following{ctx: ctx, out: out, places: make(chan struct{}, followAhead), done: make(chan struct{}, maxFollowed)}
	for _, s := range sources {
		if x, ok := s.(Follower); ok {
			f.all = append(f.all, x)
		}
	}
	return f
}

func (f *following) follow(s Sighting) {
	for _, x := range f.all {
		if f.begun == maxFollowed {
			return
		}
		f.begun++
		f.pending++
		go func() {
			defer func() { f.done <- struct{}{} }()
			select {
			case f.places <- struct{}{}:
				defer func() { <-f.places }()
				x.Follow(f.ctx, s, f.out)
			case <-f.ctx.Done():
			}
		}()
	}
}

// verify asks f about every device, and joins those that proved to be one. A
// flood of devices is not waited for beyond verifyAll.
func verify(ctx context.Context, devices []Device, f func(context.Context, *Device)) []Device {
	if f == nil {
		return devices
	}
	ctx, cancel := context.WithTimeout(ctx, verifyAll)
	defer cancel()
	var running sync.WaitGroup
	places := make(chan struct{}, verifyAhead)
	for i := range devices {
		running.Go(func() {
			select {
			case places <- struct{}{}:
				defer func() { <-places }()
			case <-ctx.Done():
				return
			}
			ctx, cancel := context.WithTimeout(ctx, verifyWait)
			defer cancel()
			f(ctx, &devices[i])
		})
	}
	running.Wait()
	return joinVerified(devices)
}

// joinVerified makes one of all devices that proved the same key: a NAS that
// answered on two networks.
func joinVerified(devices []Device) []Device {
	out := []Device{}
	for _, d := range devices {
		i := slices.IndexFunc(out, func(o Device) bool {
			return d.Verified == VerifiedMatch && o.Verified == VerifiedMatch && d.KeyID != "" && d.KeyID == o.KeyID && bytes.Equal(d.Leaf, o.Leaf)
		})
		if i < 0 {
			out = append(out, d)
			continue
		}
		out[i].MACs = union(out[i].MACs, d.MACs)
		out[i].Addresses = union(out[i].Addresses, d.Addresses)
		out[i].FoundBy = union(out[i].FoundBy, d.FoundBy)
		out[i].Facts = union(out[i].Facts, d.Facts)
		out[i].Copies = union(out[i].Copies, d.Copies)
	}
	return out
}

func union[T comparable](a, b []T) []T {
	out := slices.Clone(a)
	for _, v := range b {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// errNoNetwork is a source's error where there is no interface to ask on.
var errNoNetwork = errors.New("no network")

// tell adds problems to findings, each once.
func tell(out []Finding, problems []catalog.Problem) []Finding {
	for _, p := range problems {
		if !slices.ContainsFunc(out, func(f Finding) bool { return f.ID == p.ID && f.Text == p.Text }) {
			out = append(out, Finding{ID: p.ID, Text: p.Text, WhatToDo: p.WhatToDo})
		}
	}
	return out
}

func findings(devices []Device, failed []error, overflow bool) []Finding {
	out := []Finding{}
	add := func(p catalog.Problem) { out = tell(out, []catalog.Problem{p}) }
	for _, err := range failed {
		if errors.Is(err, errNoNetwork) {
			add(catalog.New("no_network"))
			continue
		}
		add(catalog.New("search_failed", err))
	}
	if overflow {
		add(catalog.New("find_flooded"))
	}
	for _, pair := range lookAlikes(devices) {
		add(catalog.New("look_alikes", strings.Join(pair, " and ")))
	}
	for _, d := range devices {
		for _, a := range d.Copies {
			add(catalog.New("key_copied", d.label(), a))
		}
	}
	if len(devices) == 0 && !slices.ContainsFunc(out, func(f Finding) bool { return f.ID == "no_network" }) {
		add(catalog.New("none_found"))
	}
	return out
}
