package deviceapi

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/protocol/sealed"
	"github.com/paperclip-nas/paperclip/internal/x/spake2"
)

func binding() Binding {
	return Binding{Identity: bytes.Repeat([]byte{1}, 32), LeafSPKI: []byte("leaf"), Claim: "claim", Session: "session"}
}

// pake runs a claim's PAKE, each side with what it sees.
func pake(t *testing.T, assistantCode, deviceCode access.Code, assistant, device Binding) (keyA, keyB []byte, err error) {
	t.Helper()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	a, err := spake2.NewA(rand.Reader, []byte(assistantCode.Secret().Reveal()), assistant.PAKE())
	ok(err)
	b, err := spake2.NewB(rand.Reader, []byte(deviceCode.Secret().Reveal()), device.PAKE())
	ok(err)
	ok(b.Finish(a.Share()))
	confirmA, err := a.Finish(b.Share())
	ok(err)
	confirmB, keyB, err := b.Confirm(confirmA)
	if err != nil {
		return nil, nil, err
	}
	keyA, err = a.Confirm(confirmB)
	return keyA, keyB, err
}

// One claim through all of its messages, as assistant and core make it.
func TestAClaimFromCodeToSealedCall(t *testing.T) {
	code := access.Code{3, 1, 6, 2}
	keyA, keyB, err := pake(t, code, code, binding(), binding())
	if err != nil {
		t.Fatal(err)
	}
	assistant, err := sealed.Assistant(keyA, binding().Channel())
	if err != nil {
		t.Fatal(err)
	}
	device, err := sealed.Device(keyB, binding().Channel())
	if err != nil {
		t.Fatal(err)
	}
	call, err := EncodeCall(KindPlan, PlanCall{Mode: "soft", Scope: "network"})
	if err != nil {
		t.Fatal(err)
	}
	box, err := assistant.Seal(call)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := sealed.NewResponder(device).Answer(box, func(request []byte) []byte {
		c, err := ParseCall(request)
		if err != nil || c.Kind != KindPlan {
			t.Errorf("core got %v, %v", c, err)
		}
		reply, err := EncodeReply(PlanReply{Plan: plan(), Hash: plan().Hash()})
		if err != nil {
			t.Error(err)
		}
		return reply
	})
	if err != nil {
		t.Fatal(err)
	}
	reply, err := assistant.Open(answer)
	if err != nil {
		t.Fatal(err)
	}
	var got PlanReply
	if err := ParseReply(reply, &got); err != nil {
		t.Fatal(err)
	}
	if err := got.Check(); err != nil {
		t.Error(err)
	}
}

// Somebody between assistant and device shows the assistant keys of his own:
// the PAKE fails although the code is right. So it does for another claim or
// session, and for a wrong code.
func TestThePAKEIsBoundToWhatEachSideSees(t *testing.T) {
	code := access.Code{3, 1, 6, 2}
	for name, change := range map[string]func(*Binding){
		"another identity":   func(b *Binding) { b.Identity = bytes.Repeat([]byte{2}, 32) },
		"another TLS key":    func(b *Binding) { b.LeafSPKI = []byte("leaf of somebody between") },
		"another claim":      func(b *Binding) { b.Claim = "claim of yesterday" },
		"another session":    func(b *Binding) { b.Session = "a neighbour's" },
		"a border shifted":   func(b *Binding) { b.Claim, b.Session = "claims", "ession" },
		"TLS key into claim": func(b *Binding) { b.LeafSPKI, b.Claim = []byte("lea"), "fclaim" },
	} {
		t.Run(name, func(t *testing.T) {
			seen := binding()
			change(&seen)
			if _, _, err := pake(t, code, code, seen, binding()); !errors.Is(err, spake2.ErrConfirm) {
				t.Errorf("err = %v, want ErrConfirm", err)
			}
		})
	}
	if _, _, err := pake(t, code, access.Code{3, 1, 6, 3}, binding(), binding()); !errors.Is(err, spake2.ErrConfirm) {
		t.Errorf("wrong code: %v, want ErrConfirm", err)
	}
}

// The largest sealed message fits into a body, whatever is in it.
func TestTheLargestBoxFitsABody(t *testing.T) {
	wire, err := Encode(SealedRequest{Session: string(bytes.Repeat([]byte("s"), 128)), Box: bytes.Repeat([]byte{0xff}, sealed.MaxPlain+sealed.Overhead)})
	if err != nil || len(wire) > MaxBody {
		t.Errorf("%d bytes, %v: want at most %d", len(wire), err, MaxBody)
	}
}
