package native

import (
	"bytes"
	"context"
	"net/netip"
)

// Holders meets the NAS at other addresses. The first are those where it answers
// too. The copies are those where somebody else holds its identity key (X23): a
// TLS key that is not this NAS's answers there, while this NAS still shows its
// own. Each start of a NAS makes a TLS key of its own, which never leaves it.
func (d *Device) Holders(ctx context.Context, at []netip.AddrPort) (same, copies []netip.AddrPort) {
	here, leaf := []netip.AddrPort{d.Address()}, d.Leaf()
	for _, a := range at {
		if a == here[0] {
			continue
		}
		other, err := Meet(ctx, []netip.AddrPort{a}, d.Pin(), d.o)
		if err != nil {
			continue
		}
		if !bytes.Equal(other.Leaf(), leaf) {
			again, err := Meet(ctx, here, d.Pin(), d.o)
			if err == nil && bytes.Equal(again.Leaf(), leaf) {
				copies = append(copies, a)
				continue
			}
		} // else its TLS key was just renewed: for a copy it takes two at once
		same = append(same, a)
	}
	return same, copies
}

// Leaf is the TLS key (DER) that the last connection showed.
func (d *Device) Leaf() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.leaf
}
