package native_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/owner/keys"
)

// X23: two that hold one identity key at the same time are told from one NAS with
// two addresses, and from somebody with a key of his own.
func TestHoldersTellsACopy(t *testing.T) {
	s := newServer(t, lately())
	clone, stranger := newServerOf(t, s.key, lately()), newServer(t, lately())
	second := s.alsoAt(t)
	d := s.meet(t, keys.Pin{Key: s.pub(), Proved: true})
	same, copies := d.Holders(t.Context(), []netip.AddrPort{s.addr, second, clone.addr, stranger.addr})
	if !slices.Equal(same, []netip.AddrPort{second}) || !slices.Equal(copies, []netip.AddrPort{clone.addr}) {
		t.Errorf("the same at %v (want %v), copies at %v (want %v)", same, second, copies, clone.addr)
	}
	clone.clean(t, newPassword)
}

// A NAS whose TLS key is made anew while it is asked is no copy of itself.
func TestRenewalIsNoCopy(t *testing.T) {
	s := newServer(t, lately())
	d := s.meet(t, keys.Pin{Key: s.pub(), Proved: true})
	s.renew(t)
	if same, copies := d.Holders(t.Context(), []netip.AddrPort{s.alsoAt(t)}); len(same) != 1 || len(copies) != 0 {
		t.Errorf("the same at %v, copies at %v", same, copies)
	}
}
