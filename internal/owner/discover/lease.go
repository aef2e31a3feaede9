package discover

import (
	"context"
	"net/netip"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/protocol/leases"
)

// Leases is a router's list of the addresses that it gave out (row F5): where a
// search does not reach, it does.
type Leases struct{ all []leases.Lease }

// NewLeases reads a lease file. A file that is none is the problem
// leases_unusable, exit status 2.
func NewLeases(file []byte) (*Leases, error) {
	all, _, err := leases.Parse(file)
	if err != nil {
		return nil, catalog.New("leases_unusable", err).Because(err)
	}
	return &Leases{all}, nil
}

// Name is "leases".
func (*Leases) Name() string { return "leases" }

// Sent is 0: reading a list sends nothing.
func (*Leases) Sent() int { return 0 }

// Find gives every lease and ends. One whose MAC belongs to a maker of NAS is a
// device; any other only says more of a device that is found in another way.
func (l *Leases) Find(ctx context.Context, out chan<- Sighting) error {
	for _, x := range l.all {
		if x.MAC == "" {
			continue
		}
		maker := catalog.MakerOf(x.MAC)
		give(ctx, out, Sighting{
			Source: l.Name(), From: x.Address, Addresses: []netip.Addr{x.Address}, Name: x.Name, Vendor: maker, MACs: []string{x.MAC},
			Status: nas.Unknown, Listed: true, Clue: maker == "",
		})
	}
	return nil
}

// Addresses are where the makers' devices were when the list was written, to be
// looked at.
func (l *Leases) Addresses() []netip.Prefix {
	var out []netip.Prefix
	for _, x := range l.all {
		if catalog.MakerOf(x.MAC) != "" {
			out = append(out, netip.PrefixFrom(x.Address, x.Address.BitLen()))
		}
	}
	return out
}
