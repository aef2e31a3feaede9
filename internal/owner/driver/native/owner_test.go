package native_test

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/owner/driver/native"
	"github.com/paperclip-nas/paperclip/internal/owner/keys"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/sealed"
)

// ownerSession is the NAS's half of an owner's conversation.
func (s *server) ownerSession(q deviceapi.OwnerSessionRequest) (any, error) {
	mine, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	s.owner.binding = deviceapi.OwnerBinding{
		Identity: s.pub(), LeafSPKI: s.leafSPKI, Session: rand.Text(), OwnerShare: q.Share, DeviceShare: mine.PublicKey().Bytes(),
	}
	key, belongs, err := s.owner.binding.Channel(mine, q.Share)
	if err != nil {
		return nil, err
	}
	channel, err := sealed.Device(key, belongs)
	if err != nil {
		return nil, err
	}
	s.owner.respond = sealed.NewResponder(channel)
	b := s.owner.binding
	signature := ed25519.Sign(s.key, b.Statement())
	if s.sign != nil {
		signature = s.sign(b)
	}
	return deviceapi.OwnerSessionReply{Session: b.Session, Share: b.DeviceShare, Signature: signature}, nil
}

func (s *server) ownerSealed(q deviceapi.SealedRequest) (any, error) {
	if s.owner.respond == nil || q.Session != s.owner.binding.Session {
		return nil, catalog.New("no_such_session")
	}
	box, err := s.owner.respond.Answer(q.Box, s.ownerCall)
	return deviceapi.SealedReply{Box: box}, err
}

func (s *server) ownerCall(message []byte) []byte {
	c, err := deviceapi.ParseOwnerCall(message)
	if err != nil {
		panic(err)
	}
	s.calls = append(s.calls, c.Kind)
	var body any = deviceapi.ProgressReply{State: "trial", Steps: []deviceapi.StepState{}}
	if c.Kind == deviceapi.Kind(deviceapi.OwnerProve) {
		var q deviceapi.OwnerProveCall
		if err := c.Decode(&q); err != nil {
			panic(err)
		}
		if len(q.OwnerKey) == 0 || !s.owner.key.Equal(q.OwnerKey) || !ed25519.Verify(q.OwnerKey, s.owner.binding.Proof(), q.Signature) {
			return refusal("owner_unknown")
		}
		body = deviceapi.OwnerProveReply{Account: "anna", By: deviceapi.ByOwnerKey}
	}
	reply, err := deviceapi.EncodeReply(body)
	if err != nil {
		panic(err)
	}
	return reply
}

func refusal(id catalog.ID) []byte {
	reply, err := deviceapi.EncodeProblem(catalog.New(id))
	if err != nil {
		panic(err)
	}
	return reply
}

// R6: where the NAS has started its core anew, as after a restore that opened a
// volume, the owner's conversation is begun again with the same key.
func TestOwnerBeginsAgain(t *testing.T) {
	s := newServer(t, lately())
	key, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s.owner.key = key
	d := s.meet(t, keys.Pin{Key: s.pub(), Proved: true})
	o, err := d.Owner(t.Context(), native.Proof{Key: private})
	if err != nil {
		t.Fatal(err)
	}
	progress := func() error {
		return o.Call(t.Context(), deviceapi.OwnerProgress, deviceapi.ProgressCall{Transaction: "t1"}, &deviceapi.ProgressReply{})
	}
	if err := progress(); err != nil || o.As().Account != "anna" {
		t.Fatal(o.As(), err)
	}

	s.forget()
	for range 2 { // and it does so however often it is asked
		if err := progress(); !errors.Is(err, catalog.New("no_such_session")) {
			t.Fatalf("after a start of core: %v", err)
		}
	}
	if err := o.Again(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := progress(); err != nil || o.As().Account != "anna" {
		t.Fatal(o.As(), err)
	}

	s.forget()
	s.owner.key = nil // it was taken off meanwhile
	if err := o.Again(t.Context()); !errors.Is(err, catalog.New("owner_unknown")) {
		t.Fatalf("with a key that is not an owner's any more: %v", err)
	}
}

// Nothing is sent to a NAS whose key no claim has proved, nor to another's.
func TestOwnerSendsNothingToAStranger(t *testing.T) {
	s := newServer(t, lately())
	d := s.meet(t, keys.Pin{})
	_, err := d.Owner(t.Context(), native.Proof{Account: "anna", Password: access.NewSecret(newPassword)})
	if !errors.Is(err, catalog.New("identity_unknown")) {
		t.Fatal(err)
	}
	if len(s.calls) != 0 {
		t.Fatalf("it was asked %v", s.calls)
	}
	s.clean(t, newPassword, "anna")
}

// forget is a start of core.
func (s *server) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owner.respond = nil
}
