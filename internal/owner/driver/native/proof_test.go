package native_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"slices"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/owner/driver/native"
	"github.com/paperclip-nas/paperclip/internal/owner/keys"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
)

// proofs are both ways in which an owner proves to be one.
func proofs(t *testing.T) map[string]native.Proof {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]native.Proof{"the owner key": {Key: key}, "a password": {Account: "anna", Password: access.NewSecret(newPassword)}}
}

// Promise 6: an owner says nothing to a NAS whose key no claim has proved.
func TestUnprovedDeviceHearsNoOwner(t *testing.T) {
	for name, proof := range proofs(t) {
		s := newServer(t, lately())
		for met, pin := range map[string]keys.Pin{"unknown": {}, "met": {Key: s.pub()}, "proved, and none": {Proved: true}} {
			if _, err := s.meet(t, pin).Owner(t.Context(), proof); !errors.Is(err, catalog.New("identity_unknown")) {
				t.Errorf("%s, to one that is %s: %v", name, met, err)
			}
		}
		if slices.Contains(s.paths, deviceapi.PathOwnerSession) || slices.Contains(s.paths, deviceapi.PathOwnerSealed) {
			t.Errorf("%s: it was asked for %v", name, s.paths)
		}
		s.clean(t, newPassword, "anna")
	}
}

// X9 X14: nor to whoever cannot sign this very exchange with the NAS's key.
func TestOwnersHalfMustBeSigned(t *testing.T) {
	_, thief, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, proof := range proofs(t) {
		s := newServer(t, lately())
		for lie, sign := range map[string]func(deviceapi.OwnerBinding) []byte{
			"nothing":       func(deviceapi.OwnerBinding) []byte { return nil },
			"another key's": func(b deviceapi.OwnerBinding) []byte { return ed25519.Sign(thief, b.Statement()) },
			"another TLS key": func(b deviceapi.OwnerBinding) []byte {
				b.LeafSPKI = []byte("x")
				return ed25519.Sign(s.key, b.Statement())
			},
			"another session": func(b deviceapi.OwnerBinding) []byte { b.Session = "s0"; return ed25519.Sign(s.key, b.Statement()) },
			"another's half": func(b deviceapi.OwnerBinding) []byte {
				b.OwnerShare = b.DeviceShare
				return ed25519.Sign(s.key, b.Statement())
			},
			"the owner's part": func(b deviceapi.OwnerBinding) []byte { return ed25519.Sign(s.key, b.Proof()) },
		} {
			s.sign = sign
			if _, err := s.meet(t, keys.Pin{Key: s.pub(), Proved: true}).Owner(t.Context(), proof); !errors.Is(err, catalog.New("bad_message")) {
				t.Errorf("%s, %s: %v", name, lie, err)
			}
		}
		if slices.Contains(s.paths, deviceapi.PathOwnerSealed) {
			t.Errorf("%s: it was asked for %v", name, s.paths)
		}
		s.sign = nil
		if _, err := s.meet(t, keys.Pin{Key: s.pub(), Proved: true}).Owner(t.Context(), proof); !errors.Is(err, catalog.New("owner_unknown")) || !slices.Contains(s.paths, deviceapi.PathOwnerSealed) {
			t.Errorf("%s: with the right signature it is not asked who it is: %v", name, err)
		}
		s.clean(t, newPassword, "anna")
	}
}
