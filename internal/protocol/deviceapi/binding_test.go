package deviceapi

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// X9 X14: what the identity key signs, what an owner key signs, and the key of
// an owner's conversation each stand for this device, this TLS key, this session
// and these two halves, and for nothing else.
func TestOwnersConversationIsBoundToWhatEachSideSees(t *testing.T) {
	mine, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	seen := OwnerBinding{
		Identity: bytes.Repeat([]byte{1}, 32), LeafSPKI: []byte("leaf"), Session: "session",
		OwnerShare: mine.PublicKey().Bytes(), DeviceShare: theirs.PublicKey().Bytes(),
	}
	key := func(b OwnerBinding) []byte {
		k, _, err := b.Channel(mine, theirs.PublicKey().Bytes())
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	for name, change := range map[string]func(*OwnerBinding){
		"another identity":     func(b *OwnerBinding) { b.Identity = bytes.Repeat([]byte{2}, 32) },
		"another TLS key":      func(b *OwnerBinding) { b.LeafSPKI = []byte("leaf of somebody between") },
		"another session":      func(b *OwnerBinding) { b.Session = "another's" },
		"another owner's half": func(b *OwnerBinding) { b.OwnerShare = theirs.PublicKey().Bytes() },
		"another NAS's half":   func(b *OwnerBinding) { b.DeviceShare = mine.PublicKey().Bytes() },
		"a border shifted":     func(b *OwnerBinding) { b.LeafSPKI, b.Session = []byte("lea"), "fsession" },
	} {
		other := seen
		change(&other)
		if bytes.Equal(seen.Statement(), other.Statement()) {
			t.Errorf("%s: the NAS's signature fits too", name)
		}
		if bytes.Equal(seen.Proof(), other.Proof()) {
			t.Errorf("%s: the owner's signature fits too", name)
		}
		if bytes.Equal(key(seen), key(other)) {
			t.Errorf("%s: it has the same key", name)
		}
	}
	if bytes.Equal(seen.Statement(), seen.Proof()) {
		t.Error("the NAS's signature is the owner's proof")
	}
}

// D11: what comes back when a request is resumed is held against what the person
// has accepted, and against its own hash.
func TestResumedPlanIsHeldAgainstTheAcceptedOne(t *testing.T) {
	asked := plan()
	other := plan()
	other.Administrator = "somebody else"
	for name, c := range map[string]struct {
		reply ResumeReply
		want  error
	}{
		"the same":         {ResumeReply{Plan: asked, Hash: asked.Hash()}, nil},
		"another account":  {ResumeReply{Plan: other, Hash: other.Hash()}, ErrPlanHash},
		"another's hash":   {ResumeReply{Plan: asked, Hash: other.Hash()}, ErrPlanHash},
		"none":             {ResumeReply{Plan: reset.Plan{}, Hash: asked.Hash()}, ErrPlanHash},
		"none, and hashed": {ResumeReply{Plan: reset.Plan{}, Hash: reset.Plan{}.Hash()}, ErrPlanHash},
	} {
		if err := c.reply.Check(asked); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
