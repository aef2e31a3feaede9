//go:build linux

package main

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/announcer"
	"github.com/paperclip-nas/paperclip/internal/device/claimnet"
	"github.com/paperclip-nas/paperclip/internal/device/claimnet/onlink"
	"github.com/paperclip-nas/paperclip/internal/device/config"
	"github.com/paperclip-nas/paperclip/internal/device/front"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/protocol/announce"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
)

// claimLink is how the names of a claim's own links begin.
const claimLink = "pclip"

// claimNetwork lets in the ports of now and those that a reset goes back to.
func (m *machine) claimNetwork(cfg config.Config) *claimnet.Network {
	return claimnet.New(claimnet.Config{
		FS: m.fs, Run: m.runner, Hook: m.hook, Clock: m.clock, Log: m.log, Virtual: cfg.Network.VirtualCards, Ports: m.claimPorts,
	})
}

func (m *machine) claimPorts() []uint16 {
	var all []uint16
	for _, p := range []nas.Ports{m.ports(), nas.DefaultPorts()} {
		for _, port := range []int{p.HTTP, p.HTTPS} {
			if !slices.Contains(all, uint16(port)) {
				all = append(all, uint16(port))
			}
		}
	}
	return all
}

// room answers who is on-link, from a look at the interfaces that is at most
// roomAge old.
type room struct {
	virtual bool
	clock   clock.Clock

	mu   sync.Mutex
	last onlink.Neighbours
	at   time.Duration
	ever bool
}

const roomAge = 500 * time.Millisecond

func (r *room) look() onlink.Neighbours { return r.lookWithin(roomAge) }

// lookWithin is a look that is at most so old.
func (r *room) lookWithin(age time.Duration) onlink.Neighbours {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := r.clock.Monotonic(); !r.ever || now-r.at >= age {
		n, err := onlink.Snapshot(r.virtual)
		if err != nil {
			n = onlink.Neighbours{} // nobody is let in by an old look
		}
		r.last, r.at, r.ever = n, now, true
	}
	return r.last
}

func (r *room) onLink(local, remote netip.AddrPort) bool {
	return r.look().OnLink(local.Addr(), remote.Addr())
}

// interfaces are the machine's own that lead to the room, to announce on.
func (r *room) interfaces() []corewire.Interface {
	var all []corewire.Interface
	for _, i := range r.lookWithin(0).Interfaces { // it is asked after a change
		own, err := net.InterfaceByName(i.Name)
		if !i.Room || err != nil || strings.HasPrefix(i.Name, claimLink) {
			continue
		}
		all = append(all, corewire.Interface{Name: i.Name, MAC: own.HardwareAddr.String()})
	}
	return all
}

// announcing is the multicast announcer as front wants it.
type announcing struct{ multicast *announcer.Multicast }

func (a announcing) Set(_ context.Context, all []front.Announcement) error {
	links := make([]announcer.Link, 0, len(all))
	for _, one := range all {
		links = append(links, announcer.Link{Interface: one.Interface, Instances: []announce.Instance{one.Instance}})
	}
	return a.multicast.Set(links...)
}
